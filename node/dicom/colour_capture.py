"""Human reads as colour-annotated Secondary Captures: the colours are clustered, mapped to vessels, and scored.

As in the paper: the coloured pixels are clustered by K-means, and a 4-connected component of the CT at or above the
threshold that they touch belongs to the vessel whole. Masks only: no figure in the picture is read. A picture whose
place in the scan is not said beyond doubt is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.lesions import Vessel
from node.dicom.codes import SITES
from node.dicom.elements import Elements
from node.dicom.encoding import DEFLATED, EXPLICIT, IMPLICIT, inflated
from node.dicom.files import content_of
from node.dicom.headers import frame_geometries, geometry_of, groups_of, instance_of, macro
from node.dicom.hues import vessels_by_hue
from node.dicom.read_regions import moment_of
from node.dicom.scored_mask import CtContext, as_read, labels_of_masks, scores_of_masks
from node.domain.errors import Malformed, Refused
from node.domain.human_read import Confidence, HumanRead, ReadSource
from node.domain.identity import hashed
from node.domain.versions import version_at

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
TRUE_COLOR_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7.4"
CAPTURE_CLASSES: Final = frozenset((SECONDARY_CAPTURE, TRUE_COLOR_CAPTURE))
DEFAULT_COLOURS: Final[Mapping[str, tuple[int, int, int]]] = MappingProxyType(
    {str(vessel): SITES[vessel].rgb for vessel in Vessel}
)
MOST_BYTES: Final = 512_000_000
_MOST_FRAMES: Final = 1024
_LEAST_SHARE: Final = 0.1  # of a component that must be coloured: colour that spills on a rib does not take the rib
_FOUR: Final = ndimage.generate_binary_structure(2, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Picture:
    """One annotated slice: uint8 (rows, columns, 3), and its place in the scan."""

    rgb: NDArray[np.uint8]
    place: int


def read_captures(
    files: Sequence[bytes],
    ct: CtContext,
    *,
    colours: Mapping[str, tuple[int, int, int]] = DEFAULT_COLOURS,
    zone: tzinfo = UTC,
) -> HumanRead:
    """The read in the pictures of one series (DICOM files), by the scores of what is coloured in them.

    Parameters
    ----------
    colours
        RGB by vessel.

    Raises
    ------
    Malformed
        If a file is no picture, or its pixels are not what its header says.
    Refused
        If this software made one, the place of one is not said or is not in the scan, or nothing is marked.

    """
    whole, masks, remarks = _opened(files, ct, colours)
    scores, more = scores_of_masks(masks, ct)
    first = whole[0][0]
    times = [
        moment_of(one.text(f"{kind}Date") + one.text(f"{kind}Time"), one.text("TimezoneOffsetFromUTC"), zone)
        for one, _ in whole
        for kind in ("Content", "Series")
    ]
    at = max((time for time in times if time is not None), default=None)
    read = HumanRead(
        source=ReadSource.CAPTURE,
        source_id=first.uid("SeriesInstanceUID") or hashed("".join(one.uid("SOPInstanceUID") for one, _ in whole)),
        version=1 if at is None else version_at(at),
        study=ct.study,
        reader=first.text("OperatorsName"),
        scores=scores,
        remarks=("scored from the colours of an annotated picture", *remarks, *more),
        confidence=Confidence.GUESSED,
    )
    return as_read(read, ct, at)


def labels_of_captures(
    files: Sequence[bytes], ct: CtContext, *, colours: Mapping[str, tuple[int, int, int]] = DEFAULT_COLOURS
) -> NDArray[np.uint8]:
    """What is marked, as it was scored: whole components, as labels on the grid of the scan.

    Raises as :func:`read_captures`.
    """
    return labels_of_masks(_opened(files, ct, colours)[1], ct)


def _opened(
    files: Sequence[bytes], ct: CtContext, colours: Mapping[str, tuple[int, int, int]]
) -> tuple[list[tuple[Elements, str]], dict[str, NDArray[np.bool_]], list[str]]:
    """The files with their transfer syntaxes, masks by vessel, and what was left aside."""
    if sum(len(data) for data in files) > MOST_BYTES:
        raise Refused(f"the pictures are larger than {MOST_BYTES} bytes together")
    whole = [_elements(data) for data in files]
    if not whole:
        raise Malformed("no picture")
    pictures = [picture for elements, syntax in whole for picture in _pictures(elements, syntax, ct)]
    masks, remarks = _masks(pictures, colours, ct)
    if not masks:
        raise Refused("nothing in the pictures is marked in a vessel's colour on calcium")
    return whole, masks, remarks


def _elements(data: bytes) -> tuple[Elements, str]:
    content = content_of(data)
    plain = inflated(content.dataset, content.transfer_syntax_uid, MOST_BYTES)
    return Elements.of(plain, content.transfer_syntax_uid), content.transfer_syntax_uid


def _pictures(elements: Elements, syntax: str, ct: CtContext) -> list[_Picture]:
    instance = instance_of(elements, syntax)
    if instance.sop_class_uid not in CAPTURE_CLASSES:
        raise Refused("not a colour secondary capture")
    if instance.made_by_this_software:
        raise Refused("this software made the picture: it is no human read")
    if instance.study_uid != ct.study.study_uid:
        raise Refused("the picture belongs to another study")
    ct.check_frame_of_reference(elements.uid("FrameOfReferenceUID"))
    frames = elements.integer("NumberOfFrames") or 1
    if not 1 <= frames <= _MOST_FRAMES:
        raise Refused(f"{frames} frames; up to {_MOST_FRAMES} are read")
    places = _places(elements, frames, ct)
    rgb = _rgb(elements, syntax, frames)
    return [_Picture(rgb=rgb[number], place=place) for number, place in enumerate(places)]


def _places(elements: Elements, frames: int, ct: CtContext) -> list[int]:
    """The slice each frame shows: by its own geometry, else by the one source image it names."""
    own = elements.items("PerFrameFunctionalGroupsSequence")
    shared = groups_of(elements, None)
    groups = [[one, *shared] for one in own] if len(own) == frames else [[] for _ in range(frames)]
    placed = frame_geometries(elements) if len(own) == frames else ()
    alone = geometry_of(elements, elements, elements, elements)
    shape, places = (alone.rows, alone.columns), []
    for number, held in enumerate(groups):
        geometry = placed[number] if macro(held, "PlanePositionSequence") else alone if frames == 1 else None
        derivation = macro(held, "DerivationImageSequence") or (elements if frames == 1 else None)
        try:
            if geometry is not None and geometry.position_lps_mm is not None:
                places.append(ct.slice_at(geometry))
            else:
                sources = [] if derivation is None else derivation.items("SourceImageSequence")
                places.append(_source_slice(sources, shape, ct))
        except Refused as error:
            raise Refused(f"picture {number + 1}: its place in the scan is not resolved: {error}") from error
    return places


def _source_slice(sources: list[Elements], shape: tuple[int, int], ct: CtContext) -> int:
    if len(sources) != 1:
        raise Refused(f"it has no position, and names {len(sources)} source images")
    source = sources[0]
    plane = (source.uid("ReferencedSOPInstanceUID"), source.integer("ReferencedFrameNumber") or 1)
    if plane not in ct.planes:
        raise Refused("its source image is not a slice of the scan")
    if shape != ct.volume.grid.shape[1:]:
        raise Refused(
            f"{shape[0]} x {shape[1]} pixels, but {ct.volume.grid.shape[1]} x {ct.volume.grid.shape[2]} in the scan"
        )
    return ct.planes.index(plane)


def _rgb(elements: Elements, syntax: str, frames: int) -> NDArray[np.uint8]:
    """uint8 (frames, rows, columns, 3)."""
    if syntax not in (IMPLICIT, EXPLICIT, DEFLATED):
        raise Refused("a compressed picture is not read, since its colours may have changed: send it uncompressed")
    rows, columns = elements.integer("Rows") or 0, elements.integer("Columns") or 0
    form = (
        elements.text("PhotometricInterpretation"),
        elements.integer("SamplesPerPixel"),
        elements.integer("BitsAllocated"),
    )
    if form != ("RGB", 3, 8):
        raise Refused("only RGB pictures of 8 bits are read")
    needed = frames * rows * columns * 3
    data = elements.raw("PixelData")
    if len(data) < needed:
        raise Malformed(f"the pixel data have {len(data)} bytes, but {needed} are declared")
    values = np.frombuffer(data, np.uint8, needed)
    if elements.integer("PlanarConfiguration") == 1:
        return np.moveaxis(values.reshape(frames, 3, rows, columns), 1, -1)
    return values.reshape(frames, rows, columns, 3)


def _masks(
    pictures: Sequence[_Picture], colours: Mapping[str, tuple[int, int, int]], ct: CtContext
) -> tuple[dict[str, NDArray[np.bool_]], list[str]]:
    """Masks by vessel, grown to whole components of the CT, and what was left aside."""
    numbers, strange = vessels_by_hue(np.stack([one.rgb for one in pictures]), colours)
    masks: dict[str, NDArray[np.bool_]] = {}
    spilled = 0
    for picture, marked in zip(pictures, numbers, strict=True):
        calcium = ct.volume.hu[picture.place] >= ct.definition.threshold_hu
        pieces, count = ndimage.label(calcium, _FOUR)
        pairs = marked.astype(np.int64) * (count + 1) + pieces
        votes = np.bincount(pairs.ravel(), minlength=(len(colours) + 1) * (count + 1)).reshape(-1, count + 1)
        sizes, votes[0] = votes.sum(axis=0), 0
        share = votes.sum(axis=0) / np.maximum(sizes, 1)
        owner = np.where(share >= _LEAST_SHARE, votes.argmax(axis=0), 0)
        owner[0] = 0
        spilled += int(((share > 0) & (share < _LEAST_SHARE))[1:].sum())
        for number, vessel in enumerate(colours, start=1):
            if (owner == number).any():
                mask = masks.setdefault(vessel, np.zeros(ct.volume.grid.shape, np.bool_))
                mask[picture.place] |= (owner == number)[pieces]
    remarks = [f"{strange} coloured pixels are of no vessel's colour"] if strange else []
    if spilled:
        remarks.append(f"{spilled} bright components are hardly coloured and were left out")
    return masks, remarks
