"""One image plane of a CT image, single or multi-frame: where it lies and how its pixels become Hounsfield units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.dicom.elements import Elements
from node.dicom.encoding import inflated
from node.dicom.files import content_of
from node.dicom.headers import (
    CT_IMAGE,
    ENHANCED_CT,
    LEGACY_ENHANCED_CT,
    frame_geometries,
    geometry_of,
    groups_of,
    macro,
)
from node.dicom.pixels import PixelFormat, StoredPixels, pixel_format
from node.domain.errors import Unreadable
from node.domain.series import SliceGeometry

_UNIT = 1e-2
_LEAST_SPACING_MM, _MOST_SPACING_MM = 0.01, 50.0
_MASS_FACTORS = (0.4, 1.6)  # mg/cm³ per HU over all tube voltages and patient sizes; 0.74 to 0.83 at 120 kV
_FARTHEST_MM, _MOST_RESCALE = 1e5, 1e6
_INT16 = np.iinfo(np.int16)
UNSPECIFIED = "US"  # PS3.3 C.11.1.1.2; widespread tools write it over a CT's implied HU


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """One slice: its geometry, the rescale of its values and the pixels themselves, decoded when asked for.

    ``frame`` counts from 1 within its instance. ``padding`` is the range of stored values that are no image.
    """

    sop_uid: str
    frame: int
    geometry: SliceGeometry
    frame_of_reference_uid: str
    form: PixelFormat
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: tuple[float, float] | None
    kvp: float | None
    slice_thickness_mm: float | None
    mass_factors: tuple[tuple[float, ...], tuple[float, ...]]  # of the patient, of the device (small, medium, large)
    pixels: StoredPixels

    @property
    def position(self) -> NDArray[np.float64]:
        """Centre of the first pixel (3,) in mm, LPS."""
        return np.asarray(self.geometry.position_lps_mm, dtype=np.float64)

    @property
    def integer_rescale(self) -> bool:
        """Whether whole stored values give whole Hounsfield units."""
        return float(self.slope or 0).is_integer() and float(self.intercept or 0).is_integer()

    def faults(self) -> Iterator[str]:
        """Why this slice cannot be part of a volume; nothing if it can."""
        yield from self.form.faults()
        geometry = self.geometry
        if geometry.position_lps_mm is None or not _within(geometry.position_lps_mm, _FARTHEST_MM):
            yield "no usable image position"
        if geometry.orientation is None or not _perpendicular_units(geometry.orientation):
            yield "no usable image orientation"
        spacing = geometry.pixel_spacing_mm
        if spacing is None or not all(_LEAST_SPACING_MM <= side <= _MOST_SPACING_MM for side in spacing):
            yield f"no usable pixel spacing{'' if spacing is None else f' ({spacing[0]:g} x {spacing[1]:g} mm)'}"
        if not self.slope or self.intercept is None or not _within((self.slope, self.intercept), _MOST_RESCALE):
            yield "no usable rescale slope and intercept"
        if self.rescale_type not in ("", "HU", UNSPECIFIED):
            yield f"the values are {self.rescale_type}, not Hounsfield units"

    def same_image(self, other: Plane) -> bool:
        """Whether another plane holds the same picture with the same rescale."""
        return (
            self.slope == other.slope
            and self.intercept == other.intercept
            and np.array_equal(self.pixels.frame(self.frame - 1), other.pixels.frame(other.frame - 1))
        )

    def write_hounsfield(self, target: NDArray[np.int16] | NDArray[np.float32], *, air: int) -> bool:
        """Fill ``target`` (rows, columns); padding becomes ``air``. Says whether values were cut to fit int16."""
        stored = self.pixels.frame(self.frame - 1)
        slope, intercept = self.slope or 1.0, self.intercept or 0.0
        cut = False
        if target.dtype == np.int16:
            least, most = self._stored_range(stored)
            ends = sorted((slope * least + intercept, slope * most + intercept))
            cut = ends[0] < _INT16.min or ends[1] > _INT16.max
            if slope == 1 and not cut:
                # modulo 2**16 the sum is right because the result fits
                np.add(stored.view(np.int16), np.int32(intercept).astype(np.int16), out=target)
            else:
                exact = stored.astype(np.float64) * slope + intercept
                target[...] = np.clip(exact, _INT16.min, _INT16.max)
        else:
            target[...] = stored.astype(np.float64) * slope + intercept
        if self.padding is not None:
            target[(stored >= self.padding[0]) & (stored <= self.padding[1])] = air
        return cut

    def _stored_range(self, stored: NDArray[np.int16] | NDArray[np.uint16]) -> tuple[int, int]:
        """Bounds of the stored values: from the number of bits where that is enough, else from the values."""
        bits, slope, intercept = self.form.bits_stored, self.slope or 1.0, self.intercept or 0.0
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if self.form.signed else (0, (1 << bits) - 1)
        ends = (slope * low + intercept, slope * high + intercept)
        if min(ends) >= _INT16.min and max(ends) <= _INT16.max:
            return low, high
        return int(stored.min()), int(stored.max())

    def mass_factor(self) -> tuple[float | None, list[str]]:
        """Calcium mass calibration in mg/cm³ per HU, and what was thought of it.

        Calcium Scoring Mass Factor Patient (0018,9351) and Device (0018,9352), PS3.3 C.8.2.1.1.7, turn mm³ times HU
        into mg, so they are a thousandth of ours; a value already in our unit is recognised by its size.
        """
        patient, device = self.mass_factors
        if not patient and not device:
            return None, []
        said = patient[0] if patient else device[len(device) // 2]
        factor = said * 1000 if abs(said) < 0.01 else said
        if not math.isfinite(factor) or not _MASS_FACTORS[0] <= factor <= _MASS_FACTORS[1]:
            return None, [f"the calcium mass factor {said:g} makes no sense and is not used"]
        if not patient and len(set(device)) > 1:
            return factor, ["the calcium mass factor is the device's for a patient of medium size"]
        return factor, []


def planes_of(data: bytes) -> list[Plane]:
    """The planes in one DICOM file.

    Raises
    ------
    Malformed
        If the bytes are not a DICOM file.
    Unreadable
        If the object is no CT image, or its pixel data are not what the header says.

    """
    content = content_of(data)
    elements = Elements.of(inflated(content.dataset, content.transfer_syntax_uid), content.transfer_syntax_uid)
    sop_class = elements.uid("SOPClassUID")
    if sop_class not in (CT_IMAGE, ENHANCED_CT, LEGACY_ENHANCED_CT):
        raise Unreadable("not a CT image")
    form = pixel_format(elements, content.transfer_syntax_uid)
    faults = list(form.faults())
    if faults:
        raise Unreadable("; ".join(faults))
    pixels = StoredPixels(elements, form)
    if sop_class == CT_IMAGE:
        return [_plane(elements, [], 0, geometry_of(elements, elements, elements, elements), pixels)]
    geometries = frame_geometries(elements)
    if len(geometries) != form.frames:
        raise Unreadable(f"{form.frames} frames, but functional groups for {len(geometries)}")
    shared = groups_of(elements, None)
    owns = elements.items("PerFrameFunctionalGroupsSequence")
    return [
        _plane(elements, [own, *shared], index, geometry, pixels)
        for index, (own, geometry) in enumerate(zip(owns, geometries, strict=True))
    ]


def _plane(image: Elements, groups: list[Elements], index: int, geometry: SliceGeometry, pixels: StoredPixels) -> Plane:
    rescale = macro(groups, "PixelValueTransformationSequence") or image
    exposure = macro(groups, "CTXRayDetailsSequence") or image
    measures = macro(groups, "PixelMeasuresSequence") or image
    return Plane(
        sop_uid=image.uid("SOPInstanceUID"),
        frame=index + 1,
        geometry=geometry,
        frame_of_reference_uid=image.uid("FrameOfReferenceUID"),
        form=pixels.form,
        slope=rescale.number("RescaleSlope"),
        intercept=rescale.number("RescaleIntercept"),
        rescale_type=rescale.text("RescaleType"),
        padding=_padding(image, signed=pixels.form.signed),
        kvp=exposure.number("KVP"),
        slice_thickness_mm=measures.number("SliceThickness"),
        mass_factors=(
            exposure.numbers("CalciumScoringMassFactorPatient") or (),
            exposure.numbers("CalciumScoringMassFactorDevice") or (),
        ),
        pixels=pixels,
    )


def _padding(image: Elements, *, signed: bool) -> tuple[float, float] | None:
    """Range of stored values that are padding (PS3.3 C.7.5.1.1.2), ends included."""
    value, limit = image.number("PixelPaddingValue"), image.number("PixelPaddingRangeLimit")
    if value is None:
        return None
    ends = [_as_stored(end, signed=signed) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _as_stored(value: float, *, signed: bool) -> float:
    # Writers confuse US and SS, and implicit encodings do not say which: the pixel representation decides.
    if signed and value >= 1 << 15:
        return value - (1 << 16)
    return value + (1 << 16) if not signed and value < 0 else value


def _within(values: tuple[float, ...], most: float) -> bool:
    """Whether all values are finite and none is farther from zero than ``most``."""
    return all(abs(value) <= most for value in values)  # false for NaN


def _perpendicular_units(cosines: tuple[float, ...]) -> bool:
    if not _within(cosines, 1 + _UNIT):
        return False
    row, column = np.asarray(cosines[:3]), np.asarray(cosines[3:])
    lengths = (float(np.linalg.norm(row)), float(np.linalg.norm(column)))
    return all(abs(length - 1) <= _UNIT for length in lengths) and abs(float(row @ column)) <= _UNIT
