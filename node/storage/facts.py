"""Instances as JSON text, without loss: absurd geometry included.

JSON has no NaN and no infinity, and PostgreSQL refuses them; they are written as ``{"float": "nan"}``. Unknown keys
are ignored and missing ones take their defaults, so that rows outlive a change of the types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any, TypeVar, cast

from node.domain.records import Kept
from node.domain.series import Acquisition, Instance, SliceGeometry

Fact = TypeVar("Fact")


def encode_instance(instance: Instance) -> str:
    """An Instance as ASCII JSON."""
    try:
        return json.dumps(instance, default=_shallow, allow_nan=False, separators=(",", ":"))
    except ValueError:  # NaN or infinity: rare, and only then looked for
        return json.dumps(_finite(asdict(instance)), allow_nan=False, separators=(",", ":"))


def decode_instance(text: str) -> Instance:
    """The Instance that was encoded."""
    facts = json.loads(text, object_hook=_restored)
    facts["acquisition"] = _built(Acquisition, facts["acquisition"])
    facts["slices"] = [_built(SliceGeometry, geometry) for geometry in facts["slices"]]
    return _built(Instance, facts)


def encode_texts(texts: tuple[str, ...]) -> str:
    """A tuple of texts as JSON."""
    return json.dumps(texts)


def decode_texts(text: str) -> tuple[str, ...]:
    """The tuple that was encoded."""
    return tuple(json.loads(text))


def encode_kept(kept: Kept | None) -> str | None:
    """Where a file lies, as JSON."""
    return None if kept is None else json.dumps(asdict(kept))


def decode_kept(text: str) -> Kept:
    """The Kept that was encoded."""
    return Kept(**json.loads(text))


def _shallow(value: Any) -> dict[str, Any]:  # noqa: ANN401 what the encoder does not know: a dataclass in there
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _finite(value: Any) -> Any:  # noqa: ANN401 any JSON value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(item) for item in value]
    return value


def _restored(value: dict[str, Any]) -> Any:  # noqa: ANN401 a dict, or the number it stands for
    return float(value["float"]) if value.keys() == {"float"} else value


def _built(kind: Callable[..., Fact], facts: dict[str, Any]) -> Fact:
    known = {field.name for field in fields(cast("type[Instance]", kind))}  # any of the three dataclasses
    return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in facts.items() if key in known})
