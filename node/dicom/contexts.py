"""What the listener accepts and the sender proposes: SOP classes and transfer syntaxes (PS3.4 B.5, PS3.5 A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID
from pynetdicom.pdu_primitives import A_ASSOCIATE


@dataclass(frozen=True, slots=True, kw_only=True)
class SopClass:
    """A storage SOP class by name."""

    uid: str
    name: str


_NEWER_NAMES = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}  # than pydicom's dictionary


def name_of_class(sop_class_uid: str) -> str:
    """The standard's name of a SOP class or transfer syntax, or the UID itself if it has none."""
    return _NEWER_NAMES.get(sop_class_uid) or UID(sop_class_uid).name


def _named(*uids: str) -> tuple[SopClass, ...]:
    return tuple(SopClass(uid=uid, name=name_of_class(uid)) for uid in uids)


_ROOT = "1.2.840.10008.5.1.4.1.1"
VERIFICATION: Final = "1.2.840.10008.1.1"

CT_CLASSES: Final = _named(f"{_ROOT}.2", f"{_ROOT}.2.1", f"{_ROOT}.2.2")
SEGMENTATION_CLASSES: Final = _named(f"{_ROOT}.66.4", f"{_ROOT}.66.7")
SECONDARY_CAPTURE_CLASSES: Final = _named(*(f"{_ROOT}.7{part}" for part in ("", ".1", ".2", ".3", ".4")))
REPORT_CLASSES: Final = _named(
    *(f"{_ROOT}.88.{part}" for part in (11, 22, 33, 34, 35, 40, 50, 59, 65, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76))
)

ACCEPTED_CLASSES: Final = (*CT_CLASSES, *REPORT_CLASSES, *SEGMENTATION_CLASSES, *SECONDARY_CAPTURE_CLASSES)

# Where a peer offers several in one context, the first of this list that it offers is taken.
ACCEPTED_SYNTAXES: Final = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1.99",  # Deflated
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)

# What this node makes and sends, and in what form; anything else is proposed in the form its file has.
SENT_CLASSES: Final = _named(f"{_ROOT}.66.4", f"{_ROOT}.88.34", f"{_ROOT}.88.33", f"{_ROOT}.7")
SENT_SYNTAX: Final = "1.2.840.10008.1.2.1"


def asks_to_store(request: A_ASSOCIATE) -> bool:
    """Whether an association is asked for more than verification."""
    return any(str(one.abstract_syntax) != VERIFICATION for one in request.presentation_context_definition_list)
