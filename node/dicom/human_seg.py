"""Human reads as corrected Segmentations: masks on the grid of the CT, scored by the same rules as ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from node.dicom.elements import Elements
from node.dicom.encoding import DEFLATED, EXPLICIT, IMPLICIT, inflated
from node.dicom.files import content_of
from node.dicom.headers import frame_geometries, groups_of, instance_of, macro
from node.dicom.read_regions import moment_of, region_of_codes
from node.dicom.scored_mask import CtContext, as_read, labels_of_masks, scores_of_masks
from node.domain.errors import Malformed, Refused
from node.domain.human_read import HumanRead, ReadSource, ReadStatus
from node.domain.region_names import region_named
from node.domain.series import Instance, SliceGeometry
from node.domain.versions import version_at

SEGMENTATION_CLASSES: Final = frozenset(("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"))
MOST_BYTES: Final = 256_000_000
_MOST_FRAMES: Final = 4096
_MOST_SEGMENTS: Final = 64


def read_segmentation(data: bytes, ct: CtContext, *, zone: tzinfo = UTC) -> HumanRead:
    """The read in the bytes of a Segmentation (a DICOM file), by the scores of its masks on the scan.

    Raises
    ------
    Malformed
        If it is no Segmentation, or its pixels are not what its header says.
    Refused
        If this software made it, it lies on another grid, is packed in a way that is not read, or marks no known
        vessel.

    """
    mask = _opened(data, ct)
    elements, instance = mask.elements, mask.instance
    scores, more = scores_of_masks(mask.masks, ct)
    at = moment_of(
        elements.text("ContentDate") + elements.text("ContentTime"), elements.text("TimezoneOffsetFromUTC"), zone
    )
    read = HumanRead(
        source=ReadSource.SEG,
        source_id=instance.sop_uid,
        version=1 if at is None else version_at(at),
        status=ReadStatus.FINAL,
        study=ct.study,
        reader=elements.text("ContentCreatorName"),
        scores=scores,
        remarks=(*mask.remarks, *more),
    )
    return as_read(read, ct, at)


def labels_of_segmentation(data: bytes, ct: CtContext) -> NDArray[np.uint8]:
    """What is marked, as labels on the grid of the scan (``node.dicom.scored_mask.labels_of_masks``).

    Raises as :func:`read_segmentation`.
    """
    return labels_of_masks(_opened(data, ct).masks, ct)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Mask:
    """A segmentation that a human has drawn on the scan."""

    elements: Elements
    instance: Instance
    masks: dict[str, NDArray[np.bool_]]
    remarks: tuple[str, ...]


def _opened(data: bytes, ct: CtContext) -> _Mask:
    if len(data) > MOST_BYTES:
        raise Refused(f"the segmentation has {len(data)} bytes; up to {MOST_BYTES} are read")
    content = content_of(data)
    plain = inflated(content.dataset, content.transfer_syntax_uid, MOST_BYTES)
    elements = Elements.of(plain, content.transfer_syntax_uid)
    instance = instance_of(elements, content.transfer_syntax_uid)
    if instance.sop_class_uid not in SEGMENTATION_CLASSES:
        raise Refused("not a segmentation")
    if instance.made_by_this_software and not _corrected(elements):
        raise Refused("this software made the segmentation: it is no human read")
    if instance.study_uid != ct.study.study_uid:
        raise Refused("the segmentation belongs to another study")
    ct.check_frame_of_reference(elements.uid("FrameOfReferenceUID"))
    segments, remarks = _segments(elements)
    masks = _masks(elements, content.transfer_syntax_uid, segments, ct)
    return _Mask(elements=elements, instance=instance, masks=masks, remarks=remarks)


def _corrected(elements: Elements) -> bool:
    """Whether a person has worked on it: no segment is purely automatic any more."""
    kinds = {item.text("SegmentAlgorithmType") for item in elements.items("SegmentSequence", _MOST_SEGMENTS)}
    return bool(kinds) and "AUTOMATIC" not in kinds


def _segments(elements: Elements) -> tuple[dict[int, str], tuple[str, ...]]:
    """Regions by segment number, and what of the others must be said."""
    found: dict[int, str] = {}
    unknown = []
    for item in elements.items("SegmentSequence", _MOST_SEGMENTS):
        number = item.integer("SegmentNumber")
        label = item.text("SegmentLabel")
        region = region_of_codes(item.items("AnatomicRegionSequence")) or region_named(
            label.lower().removeprefix("calcium").strip()
        )
        if number is not None and region is not None:
            found[number] = region
        else:
            unknown.append(f"segment {number} ('{label[:24]}') is of no known vessel: not scored")
    if not found:
        raise Refused("no segment is of a known vessel" + "".join(f"; {one}" for one in unknown[:5]))
    return found, tuple(unknown)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame: its segment (0 where its values are segment numbers) and where it lies."""

    number: int
    segment: int
    geometry: SliceGeometry


def _frames(elements: Elements) -> Iterator[_Frame]:
    shared = groups_of(elements, None)
    owns = elements.items("PerFrameFunctionalGroupsSequence", _MOST_FRAMES)
    if len(owns) != (elements.integer("NumberOfFrames") or 0):
        raise Malformed(f"{elements.integer('NumberOfFrames')} frames, but functional groups for {len(owns)}")
    for number, (own, geometry) in enumerate(zip(owns, frame_geometries(elements), strict=True)):
        item = macro([own, *shared], "SegmentIdentificationSequence")
        segment = None if item is None else item.integer("ReferencedSegmentNumber")
        yield _Frame(number, segment or 0, geometry)


def _masks(elements: Elements, syntax: str, segments: dict[int, str], ct: CtContext) -> dict[str, NDArray[np.bool_]]:
    """Masks by region on the grid of the scan; frames go where their geometry says."""
    frames = list(_frames(elements))
    faults: dict[str, int] = {}
    places: list[tuple[_Frame, int]] = []
    for frame in frames:
        try:
            places.append((frame, ct.slice_at(frame.geometry)))
        except Refused as error:
            faults[str(error)] = faults.get(str(error), 0) + 1
    if faults:
        said = "; ".join(f"{fault} ({count} of {len(frames)} frames)" for fault, count in faults.items())
        raise Refused(f"the mask does not lie on the grid of the scan: {said}")
    pixels = _Pixels(elements, syntax, len(frames))
    masks = {region: np.zeros(ct.volume.grid.shape, np.bool_) for region in segments.values()}
    for frame, place in places:
        values = pixels.frame(frame.number)
        if pixels.numbered:
            for segment, region in segments.items():
                masks[region][place] |= values == segment
        elif frame.segment in segments:
            masks[segments[frame.segment]][place] |= values > 0
    return masks


class _Pixels:
    """The stored frames of a Segmentation: single bits (PS3.5 8.1.1), or segment numbers."""

    def __init__(self, elements: Elements, syntax: str, frames: int) -> None:
        kind, bits = elements.text("SegmentationType"), elements.integer("BitsAllocated") or 0
        if syntax not in (IMPLICIT, EXPLICIT, DEFLATED):
            raise Refused("a compressed segmentation is not read: send it uncompressed")
        if (kind, bits) not in (("BINARY", 1), ("LABELMAP", 8), ("LABELMAP", 16)):
            raise Refused(f"a {kind or 'nameless'} segmentation of {bits} bits is not read, only BINARY and LABELMAP")
        self.numbered = kind == "LABELMAP"
        self._shape = (elements.integer("Rows") or 0, elements.integer("Columns") or 0)
        self._bits, self._data = bits, elements.raw("PixelData")
        needed = (self._shape[0] * self._shape[1] * frames * bits + 7) // 8
        if len(self._data) < needed:
            raise Malformed(f"the pixel data have {len(self._data)} bytes, but {needed} are declared")

    def frame(self, number: int) -> NDArray[Any]:
        """(rows, columns) of one frame, from 0."""
        count = self._shape[0] * self._shape[1]
        if self._bits > 1:
            kind = np.dtype(f"<u{self._bits // 8}")
            return np.frombuffer(self._data, kind, count, number * count * kind.itemsize).reshape(self._shape)
        first = number * count
        held = np.frombuffer(self._data[first // 8 : (first + count + 7) // 8], np.uint8)
        bits = np.unpackbits(held, bitorder="little")
        return bits[first % 8 : first % 8 + count].reshape(self._shape)
