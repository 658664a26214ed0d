"""One experiment, in one frozen value: read from TOML, written whole into the bundle."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar, get_type_hints

from model.network import NetworkConfig, coarse_network, fine_network

_T = TypeVar("_T")


class ConfigError(ValueError):
    """The experiment's file holds something unknown, of the wrong type or out of range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortConfig:
    """Which phantoms are trained on and which are held out. A cohort is a list of seeds, nothing else."""

    first_seed: int = 1
    cases: int = 200
    held_out_first_seed: int = 900_001
    held_out_cases: int = 24

    def __post_init__(self) -> None:
        ours = range(self.first_seed, self.first_seed + self.cases)
        theirs = range(self.held_out_first_seed, self.held_out_first_seed + self.held_out_cases)
        if self.cases < 1 or self.held_out_cases < 1:
            raise ConfigError("a cohort has at least one case to train on and one to hold out")
        if ours.start < theirs.stop and theirs.start < ours.stop:
            raise ConfigError("held-out seeds must not be trained on")

    def seeds(self) -> range:
        """Seeds to train on."""
        return range(self.first_seed, self.first_seed + self.cases)

    def held_out_seeds(self) -> range:
        """Seeds never trained on."""
        return range(self.held_out_first_seed, self.held_out_first_seed + self.held_out_cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """AdamW with warm-up and cosine decay; the exported weights are a running average."""

    steps: int
    batch: int
    rate: float = 2e-3
    weight_decay: float = 1e-3
    warm_up: int = 100
    average: float = 0.998
    clip: float = 3.0
    checkpoint_steps: int = 250

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.checkpoint_steps) < 1 or self.rate <= 0 or not 0 <= self.average < 1:
            raise ConfigError("steps, batch and checkpoint_steps are at least 1, rate is positive, average in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far training images are bent away from the phantoms. Never mirrored: vessels have sides."""

    rotation_sd_deg: float = 6.0
    scale: tuple[float, float] = (0.88, 1.14)
    shift_sd_mm: float = 8.0
    centre_sd_mm: float = 6.0
    gain_sd: float = 0.03
    offset_sd_hu: float = 8.0
    noise_hu: tuple[float, float] = (1.0, 22.0)
    contrast: float = 0.06
    no_position: float = 0.15
    solids: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """Everything that decides what comes out of training."""

    name: str = "first"
    version: str = "1"
    seed: int = 1
    cohort: CohortConfig = field(default_factory=CohortConfig)
    coarse_network: NetworkConfig = field(default_factory=coarse_network)
    fine_network: NetworkConfig = field(default_factory=fine_network)
    coarse: Optimisation = field(default_factory=lambda: Optimisation(steps=2500, batch=4))
    fine: Optimisation = field(default_factory=lambda: Optimisation(steps=12_000, batch=8))
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file; what it leaves out keeps its default. Raises :class:`ConfigError` or OSError."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path.name} is not TOML: {error}") from error
        return _build(cls, values, cls().as_dict(), "")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from :meth:`as_dict`. Raises :class:`ConfigError`."""
        return _build(cls, values, cls().as_dict(), "")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the bundle."""
        plain = asdict(self)
        for name in ("coarse_network", "fine_network"):
            plain[name] = getattr(self, name).as_dict()
        return plain


_NUMBERS: Final = {int: (int,), float: (int, float), str: (str,)}


def _build(kind: type[_T], values: Mapping[str, Any], default: Mapping[str, Any], where: str) -> _T:
    if kind is NetworkConfig:
        try:
            return kind(**{**default, **values, "heads": _heads({**default, **values})})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{where}: {error}") from error
    hints = get_type_hints(kind)
    unknown = sorted(values.keys() - hints.keys())
    if unknown:
        raise ConfigError(f"{where or 'experiment'} has no setting {', '.join(unknown)}")
    built: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]  # only dataclasses come here
        name, hint, path = item.name, hints[item.name], f"{where}.{item.name}".lstrip(".")
        value = values.get(name, default[name])
        if is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{path} is a table")
            built[name] = _build(hint, value, default[name], path)  # type: ignore[arg-type]  # a class, not a value
        else:
            built[name] = _plain(hint, value, path)
    return kind(**built)


def _plain(hint: Any, value: Any, path: str) -> Any:  # noqa: ANN401  # a type hint and a TOML value
    if hint in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, _NUMBERS[hint]):
            raise ConfigError(f"{path} is {hint.__name__}, not {value!r}")
        return hint(value)
    if not isinstance(value, (list, tuple)) or len(value) != 2 or value[0] > value[1]:
        raise ConfigError(f"{path} is a range [low, high], not {value!r}")
    return (float(value[0]), float(value[1]))


def _heads(values: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(count)) for name, count in values["heads"])
