"""One experiment, in one frozen value: read from TOML, written whole into the bundle."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Self, TypeVar, get_type_hints

from model.network import NetworkConfig, coarse_network, fine_network

_T = TypeVar("_T")

MOST_MEMBERS: Final = 9


class ConfigError(ValueError):
    """The experiment's file holds something unknown, of the wrong type or out of range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortConfig:
    """Which phantoms are trained on and which are held out. A cohort is a list of seeds, nothing else.

    Attributes
    ----------
    wide_cases
        Whole chests, which only the localiser is trained on; see :mod:`train.wide`.

    """

    first_seed: int = 1
    cases: int = 200
    wide_cases: int = 0
    held_out_first_seed: int = 900_001
    held_out_cases: int = 24
    watched_first_seed: int = 800_001
    watched_cases: int = 6

    def __post_init__(self) -> None:
        if self.cases < 1 or self.held_out_cases < 1 or min(self.watched_cases, self.wide_cases) < 0:
            raise ConfigError("a cohort has at least one case to train on and one to hold out")
        groups = (self.seeds(), self.held_out_seeds(), self.watched_seeds())
        for ours, theirs in combinations([group for group in groups if group], 2):
            if ours.start < theirs.stop and theirs.start < ours.stop:
                raise ConfigError("held-out seeds must not be trained on, nor watched while training")

    def seeds(self) -> range:
        """Seeds to train on."""
        return range(self.first_seed, self.first_seed + self.cases)

    def held_out_seeds(self) -> range:
        """Seeds never trained on."""
        return range(self.held_out_first_seed, self.held_out_first_seed + self.held_out_cases)

    def watched_seeds(self) -> range:
        """Seeds that training is watched on; neither trained on nor evaluated."""
        return range(self.watched_first_seed, self.watched_first_seed + self.watched_cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """AdamW with warm-up and cosine decay; the exported weights are a running average.

    Attributes
    ----------
    watch_steps
        Every so many steps the average is tried on the watched cases.

    """

    steps: int
    batch: int
    rate: float = 2e-3
    weight_decay: float = 1e-3
    warm_up: int = 100
    average: float = 0.998
    clip: float = 3.0
    checkpoint_steps: int = 250
    watch_steps: int = 500

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.batch, self.checkpoint_steps, self.watch_steps) < 1
            or self.rate <= 0
            or not 0 <= self.average < 1
        ):
            raise ConfigError(
                "steps, batch, checkpoint_steps and watch_steps are at least 1, rate is positive, average in [0, 1)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far training images are bent away from the phantoms. Never mirrored: vessels have sides.

    A name that ends in ``_share`` is the probability that it happens to a field at all.

    Attributes
    ----------
    rotation_deg, scale, stretch_sd, shift_sd_mm, elastic_mm
        In the slice; elastic is the SD of a smooth random displacement.
    centre_sd_mm, no_position
        How wrong the localiser may be; how often the position channels are 0.
    contrast
        How often there is contrast agent in the blood.
    solids
        How often the localiser sees a phantom of plastic.
    context_mm, thick_share, moved_share, moved_sd_mm, repeated_share
        Distance between the slices seen together, where it is not the plain one, and how often; neighbours shifted by
        motion; a neighbour replaced by the middle slice.
    gain_sd, offset_sd_hu, gamma, sharpness
        Another scanner: gamma bends soft tissue between -150 and 150 HU; sharpness is the share of the fine detail
        that is added (or taken away).
    noise_hu, noise_shape_sd, native_noise_hu
        SD at 1 mm; how unevenly it lies over the field (log); what native pixels have on top of it.
    narrow_share
        A field of view that ends inside the field.
    faded_share, faded, removed_share
        Calcium of another strength; calcium gone, its labels with it.
    planted_share
        A plaque copied to a place where none is scored.

    """

    rotation_deg: float = 15.0
    scale: tuple[float, float] = (0.8, 1.2)
    stretch_sd: float = 0.03
    shift_sd_mm: float = 8.0
    elastic_mm: float = 1.5
    centre_sd_mm: float = 7.0
    no_position: float = 0.15
    contrast: float = 0.06
    solids: float = 0.10
    context_mm: tuple[float, float] = (2.5, 3.5)
    thick_share: float = 0.3
    moved_share: float = 0.2
    moved_sd_mm: float = 1.5
    repeated_share: float = 0.06
    gain_sd: float = 0.03
    offset_sd_hu: float = 8.0
    gamma: tuple[float, float] = (0.85, 1.18)
    sharpness: tuple[float, float] = (-0.8, 0.6)
    noise_hu: tuple[float, float] = (1.0, 24.0)
    noise_shape_sd: float = 0.2
    native_noise_hu: tuple[float, float] = (3.0, 30.0)
    narrow_share: float = 0.35
    faded_share: float = 0.35
    faded: tuple[float, float] = (0.2, 1.3)
    removed_share: float = 0.08
    planted_share: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What the labeller is given and asked for. Each part can be turned off, to see what it is worth.

    Attributes
    ----------
    position, context, candidate
        Whether these inputs are given; else they are 0, and neighbours the middle slice.
    anatomy, calcium, dense
        Weights of the auxiliary heads and of territories without calcium.
    hard_negative
        Weight of bright spots inside the heart against those elsewhere.
    soft_boundary
        How far LM, LAD and LCX share labels where they meet, 0 to 1.
    positive_hu
        From where on a pixel of calcium is learned; at 1 mm a small lesion keeps little of its native 130 HU.

    """

    position: bool = True
    context: bool = True
    candidate: bool = True
    anatomy: float = 0.6
    calcium: float = 0.5
    dense: float = 1.0
    hard_negative: float = 3.0
    soft_boundary: float = 0.3
    positive_hu: float = 70.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """Everything that decides what comes out of training.

    Attributes
    ----------
    start_from
        Folder of the bundle whose weights training starts from; empty for a random start.
    members
        Labellers of the ensemble; member k is trained with seed + k - 1.
    baseline, baseline_pixels
        Training of the plain 2D network and the side of its slices of 256 mm; 512 wants a GPU.

    """

    name: str = "first"
    version: str = "1"
    seed: int = 1
    start_from: str = ""
    members: int = 1
    cohort: CohortConfig = field(default_factory=CohortConfig)
    coarse_network: NetworkConfig = field(default_factory=coarse_network)
    fine_network: NetworkConfig = field(default_factory=fine_network)
    coarse: Optimisation = field(default_factory=lambda: Optimisation(steps=2500, batch=4))
    fine: Optimisation = field(default_factory=lambda: Optimisation(steps=12_000, batch=8))
    baseline: Optimisation = field(default_factory=lambda: Optimisation(steps=3000, batch=4))
    baseline_pixels: int = 256
    augmentation: Augmentation = field(default_factory=Augmentation)
    aims: Aims = field(default_factory=Aims)

    def __post_init__(self) -> None:
        if not 1 <= self.members <= MOST_MEMBERS:
            raise ConfigError(f"members are 1 to {MOST_MEMBERS}")
        if self.baseline_pixels < 16 or self.baseline_pixels % 16:
            raise ConfigError("baseline_pixels is a multiple of 16")

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
    if hint is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{path} is true or false, not {value!r}")
        return value
    if hint in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, _NUMBERS[hint]):
            raise ConfigError(f"{path} is {hint.__name__}, not {value!r}")
        return hint(value)
    if not isinstance(value, (list, tuple)) or len(value) != 2 or value[0] > value[1]:
        raise ConfigError(f"{path} is a range [low, high], not {value!r}")
    return (float(value[0]), float(value[1]))


def _heads(values: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    return tuple((str(name), int(count)) for name, count in values["heads"])
