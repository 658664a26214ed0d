"""Marks that a human drew, brought back from the original of the read for whoever looks at the scan."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.dicom import colour_capture, human_seg
from node.dicom.scored_mask import CtContext
from node.domain.errors import Malformed
from node.domain.human_read import ReadSource
from node.storage.storage import Storage

DRAWN: Final = frozenset((ReadSource.SEG, ReadSource.CAPTURE))
"""How reads come in that mark voxels."""
_BROKEN: Final = "the pictures of the read cannot be taken apart"
_ZIP: Final = b"PK\x03\x04"  # a DICOM file begins with 128 bytes of preamble, which ours leaves empty


class StoredMarks:
    """Marks of the reads in the ledger.

    Parameters
    ----------
    colours
        RGB by vessel of the site's coloured pictures.

    """

    def __init__(self, storage: Storage, colours: Mapping[str, tuple[int, int, int]]) -> None:
        self._storage = storage
        self._colours = colours

    def __call__(self, read_id: int, ct: CtContext) -> NDArray[np.uint8] | None:
        """Labels on the grid of the scan; None where the read has no voxels.

        Raises
        ------
        Permanent
            The original is gone, or its marks do not lie on this scan; the message is for people.

        """
        stored = self._storage.ledger.find_read(read_id)
        if stored is None or stored.read.source not in DRAWN:
            return None
        data = self._storage.originals.read(stored.original)
        if stored.read.source is ReadSource.SEG:
            return human_seg.labels_of_segmentation(data, ct)
        return colour_capture.labels_of_captures(apart(data), ct, colours=self._colours)


def together(files: Sequence[bytes]) -> bytes:
    """Several files as one original: a ZIP archive that is the same every time."""
    if len(files) == 1:
        return files[0]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number, data in enumerate(files):
            archive.writestr(zipfile.ZipInfo(f"{number:04d}.dcm"), data)
    return out.getvalue()


def apart(original: bytes) -> list[bytes]:
    """The files that :func:`together` made one. Raises :class:`Malformed` for a broken archive."""
    if not original.startswith(_ZIP):
        return [original]
    try:
        with zipfile.ZipFile(io.BytesIO(original)) as archive:
            held = archive.infolist()
            # what is packed was not made here, and what it unpacks to is bounded by nothing
            files = [archive.read(one) for one in held if one.compress_type == zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise Malformed(_BROKEN) from error
    if len(files) != len(held):
        raise Malformed(_BROKEN)
    return files
