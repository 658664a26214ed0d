"""The DICOM file format (PS3.10 section 7): the bytes around a data set."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from node.dicom.elements import Elements
from node.dicom.encoding import EXPLICIT, IMPLICIT, elements_of, is_uid
from node.domain.errors import Malformed

_PREAMBLE = 128
IMPLEMENTATION_VERSION = "CALCIUM2R"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """What a file holds: the data set as encoded, and how."""

    transfer_syntax_uid: str
    sop_class_uid: str  # of the file meta information; empty if it has none
    sop_uid: str
    dataset: memoryview


def content_of(data: bytes | memoryview) -> FileContent:
    """The data set in the bytes of a file; a missing preamble, or even a missing meta group, is put up with.

    Raises
    ------
    Malformed
        If the bytes are no DICOM file.

    """
    whole = memoryview(data)
    start = _PREAMBLE + 4 if bytes(whole[_PREAMBLE : _PREAMBLE + 4]) == b"DICM" else 0
    if not start and bytes(whole[:4]) == b"DICM":
        start = 4
    if len(whole) - start < 16:
        raise Malformed("not a DICOM file: too short")
    if bytes(whole[start : start + 2]) != b"\x02\x00":
        return _bare(whole[start:])
    meta, end = _meta(whole, start)
    syntax = meta.uid("TransferSyntaxUID")
    if not is_uid(syntax):
        raise Malformed("the file meta information names no transfer syntax")
    return FileContent(
        transfer_syntax_uid=syntax,
        sop_class_uid=meta.uid("MediaStorageSOPClassUID"),
        sop_uid=meta.uid("MediaStorageSOPInstanceUID"),
        dataset=whole[end:],
    )


def read_content(path: Path) -> FileContent:
    """:func:`content_of` a file on disk."""
    return content_of(path.read_bytes())


def file_head(*, sop_class_uid: str, sop_uid: str, transfer_syntax_uid: str, source_ae: str = "") -> bytes:
    """Preamble, prefix and file meta information (PS3.10 7.1); with the data set's bytes behind it, a DICOM file."""
    meta = b"".join(
        (
            struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\x00\x01",
            _short(0x0002, b"UI", sop_class_uid),
            _short(0x0003, b"UI", sop_uid),
            _short(0x0010, b"UI", transfer_syntax_uid),
            _short(0x0012, b"UI", PYDICOM_IMPLEMENTATION_UID),
            _short(0x0013, b"SH", IMPLEMENTATION_VERSION),
            _short(0x0016, b"AE", source_ae) if source_ae else b"",
        )
    )
    return b"\x00" * _PREAMBLE + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta


def _short(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _meta(whole: memoryview, start: int) -> tuple[Elements, int]:
    """The elements of group 0002 and the offset behind them: by their tags, since the group length is often wrong."""
    end = start
    while bytes(whole[end : end + 2]) == b"\x02\x00":
        _, _, end = next(elements_of(whole, end, len(whole), explicit=True))
    return Elements.of(whole[start:end], EXPLICIT), end


def _bare(dataset: memoryview) -> FileContent:
    group = struct.unpack_from("<H", dataset)[0]
    if group != 0x0008:
        raise Malformed("not a DICOM file")
    explicit = bytes(dataset[4:6]).isalpha() and bytes(dataset[4:6]).isupper()
    return FileContent(
        transfer_syntax_uid=EXPLICIT if explicit else IMPLICIT, sop_class_uid="", sop_uid="", dataset=dataset
    )
