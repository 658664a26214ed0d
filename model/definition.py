"""By which rules calcium is scored: vendor profiles and the tables of limits by tube voltage.

Agatston et al., J Am Coll Cardiol 1990;15:827-832, for 120 kVp. The limits at other voltages keep the same calcium
concentration above the same line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

AGATSTON_SLICE_MM: Final = 3.0
REFERENCE_KVP: Final = 120.0
KVP_TOLERANCE: Final = 0.5
DEFAULT_PROFILE: Final = "agatston-1990"

# threshold, and from where on a component weighs 2, 3 and 4 (HU)
_LIMITS: Final[Mapping[float, tuple[float, float, float, float]]] = MappingProxyType(
    {
        70.0: (207.0, 318.0, 477.0, 636.0),
        80.0: (177.0, 271.0, 408.0, 544.0),
        100.0: (145.0, 222.0, 334.0, 446.0),
        120.0: (130.0, 200.0, 300.0, 400.0),
        135.0: (119.0, 183.0, 274.0, 364.0),
    }
)
SUPPORTED_KVP: Final = tuple(_LIMITS)


class UnknownProfileError(ValueError):
    """No scoring profile has this name."""


class UnsupportedKvpError(ValueError):
    """There is no table of limits for this tube voltage; the scan cannot be scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one software package does differently.

    Attributes
    ----------
    connectivity
        4 or 8 neighbours in the slice.
    minimum_area_mm2
        Smaller 2D components are dropped; 0 for no such rule.
    minimum_pixels
        2D components of fewer pixels are dropped; 1 for no such rule.
    volume_threshold_mg_ml
        Hydroxyapatite concentration from which volume and mass are counted; None where they share the Agatston mask.

    """

    connectivity: int
    minimum_area_mm2: float = 0.0
    minimum_pixels: int = 1
    volume_threshold_mg_ml: float | None = None


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        DEFAULT_PROFILE: Profile(connectivity=8, minimum_area_mm2=1.0),
        "ge": Profile(connectivity=4, minimum_area_mm2=1.0),
        "siemens": Profile(connectivity=4),
        "philips": Profile(connectivity=4, minimum_area_mm2=0.5, volume_threshold_mg_ml=100.0),
        "canon": Profile(connectivity=4, minimum_pixels=3),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The rules in force for one scan; written into every report.

    Attributes
    ----------
    profile
        Name in :data:`PROFILES`.
    threshold_hu
        A voxel of at least this value is calcium.
    weight_limits_hu
        Peaks from which a 2D component weighs 2, 3 and 4.
    kvp
        Tube voltage of the scan; None if the scan does not say, and then the limits are those of 120 kVp.
    kvp_adapted
        True if the limits differ from those of 120 kVp; the score is then marked 'kVp-adapted'.

    The other fields are those of :class:`Profile`.

    """

    profile: str
    connectivity: int
    minimum_area_mm2: float
    minimum_pixels: int
    threshold_hu: float
    weight_limits_hu: tuple[float, float, float]
    kvp: float | None
    kvp_adapted: bool
    volume_threshold_mg_ml: float | None = None

    def __post_init__(self) -> None:
        if self.connectivity not in (4, 8):
            raise ValueError(f"pixels of a slice are 4- or 8-connected, not {self.connectivity}")
        rising = (self.threshold_hu, *self.weight_limits_hu)
        if list(rising) != sorted(set(rising)):
            raise ValueError(f"threshold and weight limits must rise, not {rising}")

    @property
    def minimum_area_text(self) -> str:
        """The area rule in words: ``1 mm2``, ``3 pixels`` or ``none``."""
        rules = [f"{self.minimum_area_mm2:g} mm2"] if self.minimum_area_mm2 > 0 else []
        rules += [f"{self.minimum_pixels} pixels"] if self.minimum_pixels > 1 else []
        return " and ".join(rules) or "none"

    def volume_threshold_hu(self, mass_factor: float | None) -> float:
        """From which value on a voxel counts for volume and mass.

        A concentration becomes HU through the scan's mass calibration (mg/cm³ per HU, water at 0 HU). Without one the
        Agatston threshold stands in; :meth:`volume_rule_text` says so.
        """
        if self.volume_threshold_mg_ml is None or mass_factor is None:
            return self.threshold_hu
        return self.volume_threshold_mg_ml / mass_factor

    def volume_rule_text(self, mass_factor: float | None) -> str:
        """From where on volume and mass are counted, in words."""
        at = f"{self.volume_threshold_hu(mass_factor):.4g} HU"
        if self.volume_threshold_mg_ml is None:
            return at
        wanted = f"{self.volume_threshold_mg_ml:g} mgHA/mL"
        return f"{at} (uncalibrated: {wanted} cannot be found)" if mass_factor is None else f"{wanted} = {at}"


def definition_for(profile: str = DEFAULT_PROFILE, kvp: float | None = REFERENCE_KVP) -> Definition:
    """The rules of a profile at a tube voltage (kV).

    A scan that does not give its voltage (None) is scored by the 120 kVp table: ``kvp`` stays None, so that the caller
    can tell the reader. A voltage matches a table within 0.5 kV.

    Raises
    ------
    UnknownProfileError
        No profile has that name.
    UnsupportedKvpError
        No table covers that voltage.

    """
    if profile not in PROFILES:
        raise UnknownProfileError(f"no scoring profile {profile!r}; there are {', '.join(PROFILES)}")
    rules = PROFILES[profile]
    table = _table_for(kvp)
    threshold, *limits = _LIMITS[table]
    return Definition(
        profile=profile,
        connectivity=rules.connectivity,
        minimum_area_mm2=rules.minimum_area_mm2,
        minimum_pixels=rules.minimum_pixels,
        threshold_hu=threshold,
        weight_limits_hu=(limits[0], limits[1], limits[2]),
        kvp=kvp,
        kvp_adapted=table != REFERENCE_KVP,
        volume_threshold_mg_ml=rules.volume_threshold_mg_ml,
    )


def _table_for(kvp: float | None) -> float:
    if kvp is None:
        return REFERENCE_KVP
    for table in SUPPORTED_KVP:
        if abs(kvp - table) <= KVP_TOLERANCE:
            return table
    known = ", ".join(f"{table:g}" for table in SUPPORTED_KVP)
    raise UnsupportedKvpError(f"no calcium thresholds are known for {kvp:g} kVp; there are tables for {known} kVp")
