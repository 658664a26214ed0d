"""Where settings come from: a TOML file, the environment, files with secrets; and what is wrong with them, in words."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_type_hints

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

PREFIX = "SECOND_READER_"
_NOT_SETTINGS = (f"{PREFIX}FAULT", f"{PREFIX}REFERENCE_DATA")  # for tests; read where they are used


class SettingsError(Exception):
    """The settings cannot be used; the message lists every fault by its name."""


class Environment(EnvSettingsSource):
    """The environment as given, not as the process has it: settings are an argument."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._given = environ
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._given.items()}


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file. Raises SettingsError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def own_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings in an environment, with the content of a file for a name that ends in ``_FILE``."""
    own = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    own = {name: value for name, value in own.items() if name.upper() not in _NOT_SETTINGS}
    named = {name: value for name, value in own.items() if name.upper().endswith("_FILE")}
    plain = {name: value for name, value in own.items() if name not in named}
    return plain | {name[: -len("_FILE")]: secret_from(Path(value)) for name, value in named.items()}


def unknown_names(environ: Mapping[str, str], parts: Collection[str]) -> list[str]:
    """A line for every name in the environment that belongs to none of the parts of the settings."""
    return [
        f"no setting has the name {name}"
        for name in sorted(environ)
        if name.upper().removeprefix(PREFIX).split("__")[0].lower() not in parts
    ]


def secret_from(path: Path) -> str:
    """The secret a file holds, without the line break at its end. Raises SettingsError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the secret in {path}: {error}") from None


def in_words(error: ValidationError, path: Path | None) -> str:
    """Every fault of the settings, a line each; no value is repeated, it may be a secret."""
    where = f"in {path} or the environment" if path is not None else "in the environment"
    lines = [f"{len(error.errors())} setting(s) {where} cannot be used:"]
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        lines.append(f"  {name or 'settings'}: {fault['msg']}")
    return "\n".join(lines)


def only_known(kind: type) -> Callable[[object], object]:
    """Refuses keys that the domain's dataclass does not have: a misspelt limit must not pass as 'the default'."""

    def check(given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        hints = get_type_hints(kind)
        unknown = sorted(set(given) - set(hints))
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(hints))}")
        for name, value in given.items():
            if is_dataclass(hints[name]):
                only_known(hints[name])(value)
        return given

    return check
