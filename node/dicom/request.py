"""What an answer is made from, and what comes out: the values shared by every object builder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from node.dicom.references import Source
from node.domain.findings import Findings
from node.domain.identity import derived_uid

Labels = NDArray[np.uint8]
Hounsfield = NDArray[np.int16] | NDArray[np.float32]


class Role(StrEnum):
    """The kinds of object a reading is answered with."""

    SEG = "seg"  # Segmentation
    SR = "sr"  # TID 1500, for machines
    REPORT = "report"  # TID 3900, for people
    SUMMARY = "summary"  # a picture for any viewer
    OUTCOME = "outcome"  # the TID 1500 report anew, once a person has settled the case; not made of a reading


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """How this installation signs what it makes (PS3.3 C.7.5.1, C.7.5.2).

    ``qualification`` is the value of Content Qualification (0018,9004): PRODUCT only where the site has approved it.
    """

    device_serial: str
    software_version: str
    station_name: str = ""
    institution: str = ""
    manufacturer: str = "calcium-second-reader"
    qualification: str = "RESEARCH"

    def __post_init__(self) -> None:
        if not (self.device_serial and self.software_version and self.manufacturer):
            raise ValueError("manufacturer, serial number and software version may not be empty")
        if self.qualification not in ("RESEARCH", "PRODUCT"):
            raise ValueError(f"content is RESEARCH or PRODUCT, not {self.qualification!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredecessorRef:
    """The object of the same role in the version before this one."""

    series_uid: str
    sop_class_uid: str
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """A reading to be answered.

    Attributes
    ----------
    labels
        uint8 (slices, rows, columns): 0 or a vessel's label, on the grid of the source and in its slice order.
    hu
        Hounsfield units of the same shape, for the summary image only.
    settings_sha256
        Hash of the settings that shape the answer.
    made_at
        When the reading was made, aware. The objects carry this time, so equal requests give equal bytes.
    generation
        Version of the result, from 1.
    predecessors
        What this version replaces, by role.

    """

    findings: Findings
    labels: Labels
    source: Source
    identity: NodeIdentity
    settings_sha256: str
    made_at: datetime
    hu: Hounsfield | None = None
    generation: int = 1
    predecessors: Mapping[Role, PredecessorRef] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.made_at.tzinfo is None:
            raise ValueError("the time of a reading must be aware")
        if self.labels.shape != self.source.shape:
            raise ValueError(f"labels of {self.labels.shape} do not fit a source of {self.source.shape}")
        if self.hu is not None and self.hu.shape != self.labels.shape:
            raise ValueError(f"Hounsfield units of {self.hu.shape} do not fit labels of {self.labels.shape}")

    def uid(self, name: str) -> str:
        """The UID of ``name`` ("sr", "series:sr", "tracking:LAD", ...) in this version of the answer."""
        return derived_uid(
            sources=self.source.sop_uids,
            model_sha256=self.findings.model.sha256,
            settings_sha256=self.settings_sha256,
            role=f"{name}:{self.generation}",
        )

    @property
    def frame_of_reference_uid(self) -> str:
        """That of the source; a source without one gets one of its own, so that the answers agree among themselves."""
        sent = self.source.carried.get("FrameOfReferenceUID", b"").strip(b" \0").decode("ascii", "replace")
        return sent or self.uid("frame")

    @property
    def device_uid(self) -> str:
        """Device UID (0018,1002): changes with every retrain, whatever was read."""
        return derived_uid(
            sources=(self.identity.device_serial,),
            model_sha256=self.findings.model.sha256,
            settings_sha256="",
            role="device",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A finished object: the whole Part-10 file and what a sender must know of it."""

    role: Role
    sop_uid: str
    sop_class_uid: str
    series_uid: str
    transfer_syntax_uid: str
    data: bytes
