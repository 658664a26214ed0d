"""What every answer has in common: patient, study, series, equipment, references, and the bytes of the file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Final

from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from node.dicom import codes
from node.dicom.files import file_head
from node.dicom.headers import SOFTWARE_NAME
from node.dicom.references import LOSSY, OPTIONAL, PATIENT, STUDY, Plane
from node.dicom.request import Request, Role, StoredObject

_SERIES: Final = {
    Role.SEG: (1, "SEG", "Calcium segmentation"),
    Role.SR: (2, "SR", "Calcium measurements"),
    Role.REPORT: (3, "SR", "Calcium report"),
    Role.SUMMARY: (4, "OT", "Calcium summary"),
}
_TEXT_VRS: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UT"))
_DELIMITERS: Final = {ord("\\"), ord("^"), ord("=")}
_LARGEST_IS: Final = 2**31 - 1


def new_object(request: Request, role: Role, sop_class_uid: str) -> Dataset:
    """A data set with the modules every answer shares (PS3.3 C.7.1.1, C.7.2, C.7.3.1, C.7.5, C.12.1)."""
    dataset = Dataset()
    charset, transcode = _character_set(request)
    if charset:
        _put(dataset, "SpecificCharacterSet", charset)
    carried = request.source.carried
    for keyword in (*PATIENT, *STUDY):
        _put(dataset, keyword, carried.get(keyword, b""), transcode)
    body_part = ("BodyPartExamined",) if role in (Role.SEG, Role.SUMMARY) else ()
    for keyword in (*OPTIONAL, *body_part):
        if keyword in carried:
            _put(dataset, keyword, carried[keyword], transcode)
    if body_part and not carried.get("BodyPartExamined"):
        dataset.BodyPartExamined = "HEART"  # no paired organ: without a word on that, Laterality would be missing
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = request.uid(role)
    dataset.InstanceNumber = 1
    dataset.ContentQualification = request.identity.qualification
    _add_series(dataset, request, role)
    _add_equipment(dataset, request, transcode)
    stamp(dataset, request.made_at, carried.get("TimezoneOffsetFromUTC", b""))
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    scheme.CodingSchemeName = "Calcium second reader private codes"
    scheme.CodingSchemeResponsibleOrganization = request.identity.manufacturer
    dataset.CodingSchemeIdentificationSequence = [scheme]
    return dataset


def finished(dataset: Dataset, role: Role) -> StoredObject:
    """The Part-10 file of a data set, Explicit VR Little Endian: equal data sets give equal bytes."""
    # Raw values of the source are written as they are only if the data set says it already has this encoding.
    dataset.set_original_encoding(False, True, dataset._character_set)  # noqa: FBT003, SLF001 - the only way pydicom has
    body = DicomBytesIO()
    body.is_implicit_VR, body.is_little_endian = False, True
    write_dataset(body, dataset)
    head = file_head(
        sop_class_uid=dataset.SOPClassUID,
        sop_uid=dataset.SOPInstanceUID,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    return StoredObject(
        role=role,
        sop_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        series_uid=str(dataset.SeriesInstanceUID),
        transfer_syntax_uid=str(ExplicitVRLittleEndian),
        data=head + body.getvalue(),
    )


def instance_reference(sop_class_uid: str, sop_uid: str) -> Dataset:
    """An item that refers to an instance (PS3.3 table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_uid
    return item


def plane_references(planes: Iterable[Plane]) -> Sequence:
    """References to the instances that hold the planes, each once."""
    unique = {plane.sop_uid: plane for plane in planes}
    return Sequence([instance_reference(plane.sop_class_uid, plane.sop_uid) for plane in unique.values()])


def source_image(plane: Plane) -> Dataset:
    """An item of a Source Image Sequence (PS3.3 C.7.6.16.2.6)."""
    item = instance_reference(plane.sop_class_uid, plane.sop_uid)
    if plane.frame is not None:
        item.ReferencedFrameNumber = plane.frame
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = codes.SOURCE_FOR_PROCESSING.sequence()
    return item


def add_lossy(dataset: Dataset, request: Request) -> None:
    """Say whether the source was ever lossy; what is derived from lossy pixels stays so (PS3.3 C.7.6.1.1.5)."""
    carried = request.source.carried
    if carried.get("LossyImageCompression", b"").strip() != b"01":
        dataset.LossyImageCompression = "00"
        return
    for keyword in LOSSY:
        if keyword in carried:
            _put(dataset, keyword, carried[keyword])


def order_item(request: Request) -> Dataset | None:
    """Which order the source belongs to; None if it carries no accession number."""
    source = request.source
    if "AccessionNumber" not in source.carried:
        return None
    _, transcode = _character_set(request)
    item = Dataset()
    item.StudyInstanceUID = source.study_uid
    _put(item, "AccessionNumber", source.carried["AccessionNumber"], transcode)
    for keyword in ("RequestedProcedureID", "RequestedProcedureDescription"):
        _put(item, keyword, source.order.get(keyword, b""), transcode)
    if source.issuer:
        issuer = Dataset()
        for keyword, value in source.issuer.items():
            _put(issuer, keyword, value, transcode)
        item.IssuerOfAccessionNumberSequence = [_raw(issuer)]
    return _raw(item)


def plain(text: str, longest: int | None = None) -> str:
    """Text in ASCII, which every character set of DICOM holds.

    Accents go, symbols become their nearest letters, and what has none becomes a question mark: nothing that could
    turn a number into another is dropped.
    """
    letters = unicodedata.normalize("NFKD", text.translate(_SYMBOLS))
    kept = "".join(
        letter if letter.isascii() else "?"
        for letter in letters
        if letter.isascii() or not unicodedata.combining(letter)
    )
    return kept.replace("\\", "/")[:longest]


_SYMBOLS: Final = str.maketrans(
    {
        "×": "x",
        "±": "+/-",
        "µ": "u",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "\u2212": "-",  # minus
        "\u2010": "-",  # hyphen
        "\u2011": "-",
        "\u2013": "-",  # dashes
        "\u2014": "-",
        "\u2018": "'",  # quotation marks
        "\u2019": "'",
        "\u201c": '"',
        "\u201d": '"',
        "°": " deg",
        "ß": "ss",
    }
)


def stamp(dataset: Dataset, made: datetime, zone: bytes) -> datetime:
    """Date the object: when it was made, in the zone its source names (Timezone Offset From UTC, as sent).

    Returns the same time in that zone.
    """
    offset = zone.decode("ascii", "replace").strip(" \0")
    if len(offset) == 5 and offset[0] in "+-" and offset[1:].isdigit():
        minutes = int(offset[1:3]) * 60 + int(offset[3:])
        made = made.astimezone(timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes)))
    day, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S.%f")
    for kind in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{kind}Date", day)
        setattr(dataset, f"{kind}Time", time)
    return made


def _add_series(dataset: Dataset, request: Request, role: Role) -> None:
    offset, modality, purpose = _SERIES[role]
    dataset.Modality = modality
    dataset.SeriesInstanceUID = request.uid(f"series:{role}")
    dataset.SeriesDescription = f"{purpose} ({SOFTWARE_NAME})"
    number = request.source.carried.get("SeriesNumber", b"").strip(b" \0")
    base = int(number) if number.isdigit() else 99
    dataset.SeriesNumber = min(base * 100 + offset, _LARGEST_IS - 4 + offset)


def _add_equipment(dataset: Dataset, request: Request, transcode: str | None) -> None:
    identity = request.identity
    _name_node(dataset, request)
    carried = request.source.carried
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = codes.ACQUISITION_EQUIPMENT.sequence()
    _put(scanner, "Manufacturer", carried.get("Manufacturer", b"unknown "), transcode)
    for keyword in (
        "InstitutionName",
        "StationName",
        "ManufacturerModelName",
        "DeviceSerialNumber",
        "SoftwareVersions",
    ):
        if keyword in carried:
            _put(scanner, keyword, carried[keyword], transcode)
    node = Dataset()
    node.PurposeOfReferenceCodeSequence = codes.PROCESSING_EQUIPMENT.sequence()
    _name_node(node, request)
    node.DeviceUID = request.device_uid
    model = request.findings.model
    node.ContributionDateTime = request.made_at.strftime("%Y%m%d%H%M%S.%f%z")
    node.ContributionDescription = plain(
        f"Calcium scoring with {model.name} {model.version}, sha256 {model.sha256}", 1024
    )
    dataset.ContributingEquipmentSequence = [_raw(scanner), node]
    if identity.institution:
        dataset.InstitutionName = identity.institution[:64]


def _name_node(dataset: Dataset, request: Request) -> None:
    identity, model = request.identity, request.findings.model
    dataset.Manufacturer = identity.manufacturer[:64]
    dataset.ManufacturerModelName = SOFTWARE_NAME
    dataset.DeviceSerialNumber = identity.device_serial[:64]
    dataset.SoftwareVersions = [plain(identity.software_version, 64), plain(f"{model.name} {model.version}", 64)]
    if identity.station_name:
        dataset.StationName = identity.station_name[:16]


def _character_set(request: Request) -> tuple[bytes, str | None]:
    """The Specific Character Set to write, and what to decode the carried text from if it must be recoded.

    The source's own set is kept, so that its bytes can be: what this node writes of itself is ASCII, which every set
    holds. Only a site whose own name is not ASCII makes the whole object UTF-8.
    """
    carried = request.source.carried
    declared = carried.get("SpecificCharacterSet", b"")
    terms = [term.strip(" \0") for term in declared.decode("latin-1").split("\\")]
    own = request.identity
    if not (own.manufacturer + own.station_name + own.institution + own.device_serial).isascii():
        known = [python_encoding[term] for term in terms if term in python_encoding]
        return b"ISO_IR 192", "\\".join(known) or "iso8859"
    if declared and all(term in python_encoding for term in terms):
        return declared, None
    if all(value.isascii() for value in carried.values()):
        return b"", None
    text = b"".join(value for keyword, value in carried.items() if keyword != "SpecificCharacterSet")
    return (b"ISO_IR 192" if _is_utf8(text) else b"ISO_IR 100"), None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _put(dataset: Dataset, keyword: str, value: bytes, transcode: str | None = None) -> None:
    """Set a value as its bytes stand; pydicom would decode, check and encode it again."""
    vr = dictionary_VR(keyword)
    if transcode is not None and vr in _TEXT_VRS:
        value = decode_bytes(value, transcode.split("\\"), _DELIMITERS).encode("utf-8")
    if len(value) % 2:
        value += b"\0" if vr == "UI" else b" "
    tag = Tag(tag_for_keyword(keyword) or 0)
    dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)


def _raw(item: Dataset) -> Dataset:
    item.set_original_encoding(False, True, item._character_set)  # noqa: FBT003, SLF001 - see finished()
    return item
