"""Values out of a JSON document, with the place named when one is not what it should be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from node.domain.errors import Malformed


def mapping(value: object, place: str) -> Mapping[str, object]:
    """``value``, if it is a JSON object."""
    if not isinstance(value, Mapping):
        raise Malformed(f"{place}: an object is needed, not {_shown(value)}")
    return value


def plain(value: object) -> object:
    """The value as JSON has it: tuples become lists; what JSON cannot hold is a ValueError."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"JSON cannot hold a {type(value).__name__}")


def check_finite(value: object, place: str = "") -> None:
    """Raise ValueError where a number in a JSON value is not finite, and say where."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{place}: {value} is no measurement")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_finite(item, f"{place}.{key}" if place else str(key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_finite(item, f"{place}[{index}]")


@dataclass(frozen=True, slots=True)
class Place:
    """A JSON object and where in the document it stands; every method raises :class:`Malformed` with that place."""

    content: Mapping[str, object]
    path: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the object holds."""
        return tuple(self.content)

    def at(self, name: str) -> Place:
        """The object under ``name``."""
        return Place(mapping(self._get(name), self._path(name)), self._path(name))

    def places(self, name: str) -> list[Place]:
        """The objects in the list under ``name``."""
        path = self._path(name)
        return [
            Place(mapping(item, f"{path}[{index}]"), f"{path}[{index}]") for index, item in enumerate(self._list(name))
        ]

    def string(self, name: str, *, missing: str | None = None) -> str:
        """The text under ``name``; ``missing`` where there is none."""
        if missing is not None and name not in self.content:
            return missing
        return self._string(self._get(name), self._path(name))

    def strings(self, name: str, *, missing: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The list of texts under ``name``; ``missing`` where there is none."""
        if missing is not None and name not in self.content:
            return missing
        return tuple(self._string(item, f"{self._path(name)}[{n}]") for n, item in enumerate(self._list(name)))

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise Malformed(f"{self._path(name)}: true or false is needed, not {_shown(value)}")
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        return _number(self._get(name), self._path(name))

    def number_or_null(self, name: str) -> float | None:
        """A finite number; None for null or where there is none."""
        value = self.content.get(name)
        return None if value is None else _number(value, self._path(name))

    def integer(self, name: str) -> int:
        """A whole number."""
        return _integer(self._get(name), self._path(name))

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Exactly ``count`` finite numbers."""
        return tuple(_number(item, self._path(name)) for item in self._list(name, count))

    def integers(self, name: str, count: int) -> tuple[int, ...]:
        """Exactly ``count`` whole numbers."""
        return tuple(_integer(item, self._path(name)) for item in self._list(name, count))

    def pair(self, name: str) -> tuple[float, float]:
        """Two finite numbers, the lower first."""
        low, high = self.numbers(name, 2)
        if low > high:
            raise Malformed(f"{self._path(name)}: the lower end {low:g} is above the upper end {high:g}")
        return low, high

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _get(self, name: str) -> object:
        if name not in self.content:
            raise Malformed(f"{self._path(name)}: missing")
        return self.content[name]

    def _list(self, name: str, count: int | None = None) -> list[object]:
        value = self._get(name)
        if not isinstance(value, list):
            raise Malformed(f"{self._path(name)}: a list is needed, not {_shown(value)}")
        if count is not None and len(value) != count:
            raise Malformed(f"{self._path(name)}: {count} values are needed, not {len(value)}")
        return value

    def _string(self, value: object, path: str) -> str:
        if not isinstance(value, str):
            raise Malformed(f"{path}: a text is needed, not {_shown(value)}")
        return value


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{path}: a number is needed, not {_shown(value)}")
    try:
        number = float(value)
    except OverflowError as error:
        raise Malformed(f"{path}: the number is too large") from error
    if not math.isfinite(number):  # 1e999 is JSON, and infinite when read
        raise Malformed(f"{path}: the number is too large")
    return number


def _integer(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{path}: a whole number is needed, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """What a value is, not what it says: it may hold anything."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
