"""The table of settings for README.md, made from the settings themselves: ``python -m tests.settings_table``."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from node.settings import Settings

HEAD = ("| Setting | Default | What it does |", "| --- | --- | --- |")
START, END = "<!-- settings -->", "<!-- /settings -->"


def settings_table() -> list[str]:
    """The lines of the table: a row for every setting, parts in their order."""
    return [*HEAD, *_of_model(Settings, "")]


def section_of(readme: str) -> list[str]:
    """What stands between the marks of the settings' section, without empty lines."""
    inside = readme.partition(START)[2].partition(END)[0]
    return [line for line in inside.splitlines() if line.strip()]


def _of_model(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner, listed = _part_of(field.annotation)
        path = f"{prefix}{name}"
        if inner is None:
            yield _row(path, _default(field), field.description or "")
            continue
        if field.description:
            yield _row(path, _default(field), field.description)
        if is_dataclass(inner):
            yield from _of_dataclass(inner, f"{path}.")
        else:
            yield from _of_model(inner, f"{path}[]." if listed else f"{path}.")


def _of_dataclass(kind: Any, prefix: str) -> Iterator[str]:  # noqa: ANN401 - any dataclass
    yield _row(prefix.removesuffix("."), "", (kind.__doc__ or "").splitlines()[0])
    described = _attributes(kind)
    for field in fields(kind):
        value = field.default if field.default is not MISSING else field.default_factory()
        if is_dataclass(value):
            yield from _of_dataclass(type(value), f"{prefix}{field.name}.")
        else:
            yield _row(f"{prefix}{field.name}", _shown(value), described[field.name])


def _attributes(kind: Any) -> dict[str, str]:  # noqa: ANN401 - any dataclass
    """What the Attributes section of a docstring says of each field."""
    section = inspect.getdoc(kind).partition("----------\n")[2]
    found = re.findall(r"^(\w+)\n((?: {4}.+\n?)+)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _part_of(annotation: Any) -> tuple[Any, bool]:  # noqa: ANN401 - any annotation
    """The model or dataclass an annotation holds, and whether as a list."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return annotation, False
    for inner in get_args(annotation):
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner, True
    return None, False


def _default(field: FieldInfo) -> str:
    return "required" if field.default is PydanticUndefined else _shown(field.default)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    plain: object = value
    if isinstance(value, Path):
        plain = str(value)
    elif isinstance(value, timedelta):
        plain = value.total_seconds()
    elif isinstance(value, Mapping):
        plain = dict(value)
    text = json.dumps(plain, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 60 else "see `node/domain/policy.py`"


def _row(path: str, default: str, description: str) -> str:
    cells = (cell.replace("|", "\\|").replace("``", "`") for cell in (f"`{path}`", default, description))
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(settings_table()))  # noqa: T201 - to be pasted
