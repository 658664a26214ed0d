"""What is known of a received instance and of the series it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Vector = tuple[float, float, float]


class SeriesState(StrEnum):
    """Where a series stands between arrival and work."""

    OPEN = "open"  # slices are still expected
    CLOSED = "closed"  # its present generation was handed on


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceGeometry:
    """One image plane (PS3.3 C.7.6.2). Values are as sent: they may be absurd, which eligibility says.

    ``orientation`` holds the direction cosines of a row then of a column; ``pixel_spacing_mm`` is (between rows,
    between columns).
    """

    position_lps_mm: Vector | None
    orientation: tuple[float, float, float, float, float, float] | None
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How an image was made, as far as its header says. None means: not said."""

    modality: str = ""
    image_type: tuple[str, ...] = ()
    series_description: str = ""
    protocol: str = ""
    study_description: str = ""
    kernel: str = ""
    kvp: float | None = None
    slice_thickness_mm: float | None = None
    contrast: str = ""  # (0018,0010) or (0018,0012), whatever is there
    scan_options: tuple[str, ...] = ()
    gating: str = ""  # cardiac synchronisation, trigger or ECG attributes, whatever is there
    cardiac_phase_percent: float | None = None
    gantry_tilt_deg: float | None = None
    acquisition_number: int | None = None
    acquisition_time: str = ""  # DA + TM as sent; only compared for equality
    frame_of_reference_uid: str = ""
    manufacturer: str = ""
    model: str = ""
    software: str = ""
    station: str = ""
    body_part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One DICOM instance as it was received, without its pixels.

    ``slices`` holds one geometry per image plane: one for a CT image, one per frame for Enhanced CT, none for objects
    that are no cross-sectional images.
    """

    sop_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    acquisition: Acquisition
    slices: tuple[SliceGeometry, ...]
    made_by_this_software: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who sent something."""

    ae_title: str
    host: str
    association: str  # one id per association, unique over restarts


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRecord:
    """A series as the ledger knows it."""

    series_uid: str
    study_uid: str
    state: SeriesState
    generation: int  # 0 until first closed
    first_received: datetime
    last_received: datetime
    open_associations: int  # associations that delivered to it and are not yet released
    interrupted: bool = False  # the last association that delivered to it and ended was cut off
