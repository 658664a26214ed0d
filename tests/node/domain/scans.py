"""Instances of synthetic series: only headers, no pixels."""

# ruff: noqa: ANN401 - any field of a header may be given, with any fault

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from node.domain.series import Acquisition, Instance, SliceGeometry

CALCIUM = Acquisition(
    modality="CT",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    kernel="Qr36",
    kvp=120.0,
    slice_thickness_mm=3.0,
    gating="ECG",
    acquisition_number=2,
    acquisition_time="20260102101530",
    frame_of_reference_uid="1.2.9",
)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def plane(z: float, **geometry: Any) -> SliceGeometry:
    values: dict[str, Any] = {
        "position_lps_mm": (-100.0, -100.0, z),
        "orientation": AXIAL,
        "rows": 512,
        "columns": 512,
        "pixel_spacing_mm": (0.4, 0.4),
    }
    return SliceGeometry(**(values | geometry))


def instance(
    number: int | None, *planes: SliceGeometry, series: str = "1.2.3", own: bool = False, **acquisition: Any
) -> Instance:
    return Instance(
        sop_uid=f"{series}.{number}.{acquisition.get('acquisition_number', 0)}.{acquisition.get('kernel', '')}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_uid=series,
        study_uid="1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        instance_number=number,
        acquisition=replace(CALCIUM, **acquisition),
        slices=planes,
        made_by_this_software=own,
    )


def stack(
    slices: int = 48,
    spacing: float = 3.0,
    *,
    first: int = 1,
    series: str = "1.2.3",
    geometry: dict[str, Any] | None = None,
    **acquisition: Any,
) -> list[Instance]:
    """A series as a scanner sends it: from the top down, numbered from ``first``."""
    return [
        instance(first + n, plane(200.0 - n * spacing, **(geometry or {})), series=series, **acquisition)
        for n in range(slices)
    ]


def moved(one: Instance, z: float) -> Instance:
    return replace(one, slices=(replace(one.slices[0], position_lps_mm=(-100.0, -100.0, z)),))


def without(instances: Sequence[Instance], *indices: int) -> list[Instance]:
    return [one for n, one in enumerate(instances) if n not in {index % len(instances) for index in indices}]
