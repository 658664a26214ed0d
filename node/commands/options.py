"""Options that several commands share, and how they fail: one clear message, the right exit code."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.bundle import BundleError
from node import log
from node.domain.errors import NodeError
from node.settings import Settings, SettingsError

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings (TOML). The environment, SECOND_READER_..., comes on top.", dir_okay=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

USAGE = 2
FAILED = 1

out = Console()
err = Console(stderr=True)


def complain(text: str) -> None:
    """One line on standard error, however long: scripts read it."""
    err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def speak_alone() -> None:
    """For commands that say themselves what became of a connection: the network library's own lines are noise then."""
    logging.getLogger("node.dicom.pynetdicom").setLevel(logging.CRITICAL)


@contextmanager
def silent(*names: str) -> Iterator[None]:
    """The loggers of these names say nothing for a while."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def load_settings(config: Path | None) -> Settings:
    """The settings, with logging set up as they say; exits with 2 and every fault named if they cannot be used."""
    try:
        settings = Settings.load(config, os.environ)
    except SettingsError as error:
        complain(str(error))
        raise typer.Exit(USAGE) from None
    log.configure(settings.log.level, settings.log.format)
    return settings


@contextmanager
def explained() -> Iterator[None]:
    """Foreseen errors as one line and exit code 1, or 2 where a setting is at fault."""
    try:
        yield
    except SettingsError as error:
        complain(str(error))
        raise typer.Exit(USAGE) from None
    except (NodeError, BundleError, ValueError) as error:
        complain(str(error))
        raise typer.Exit(FAILED) from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        complain(f"{error.strerror or error}{where}")
        raise typer.Exit(FAILED) from None
