"""What the slice viewer in the browser is sent: one slice at a time, all marks at once, and how they are to be shown.

A slice goes out as Hounsfield units: every window, and the value under the pointer, is then the browser's own work, and
scrolling asks for nothing twice. Marks are runs, since calcium fills a few voxels of a thousand.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.lesions import Vessel
from model.volume import VolumeGrid
from node.dicom.scored_mask import WHOLE_LABELS
from node.domain.findings import LesionFinding
from node.stages.scans import HUMAN, NODE, Scan

VESSEL_COLOURS: Final[Mapping[str, tuple[int, int, int]]] = {
    "LM": (255, 128, 255),
    "LAD": (0, 255, 0),
    "LCX": (0, 0, 255),
    "RCA": (255, 255, 0),
    "AV": (255, 128, 0),
    "TA": (255, 0, 0),
}
"""As in the Segmentation and the summary image; a test compares them with node.dicom.codes.SITES."""

WHOLE_COLOURS: Final[Mapping[str, tuple[int, int, int]]] = {"CAC": (0, 255, 255), "AC": (255, 255, 255)}
"""Of a human's marks that tell no vessels apart."""

_GZIP_LEVEL: Final = 1  # a slice of noise gains a little more from 9, and costs ten times the time
_LEAST_RADIUS_MM: Final = 6.0
_RADIUS_MARGIN: Final = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Marks of one read under the name the page gives it: "Node" and "Human", or "A" and "B"."""

    key: str
    name: str
    whose: str  # scans.NODE or scans.HUMAN, never sent


def slice_bytes(scan: Scan, index: int) -> bytes:
    """One slice (rows, columns) as gzipped int16, little endian. Raises IndexError outside the stack."""
    if not 0 <= index < scan.hu.shape[0]:
        raise IndexError(index)
    return gzip.compress(scan.hu[index].astype("<i2", copy=False).tobytes(), _GZIP_LEVEL, mtime=0)


def runs(labels: NDArray[np.uint8]) -> dict[str, list[int]]:
    """By slice index: start, length and label of every run of one label, the plane counted row by row.

    A run ends with its row, so that it can be drawn as a line.
    """
    found: dict[str, list[int]] = {}
    width = labels.shape[2]
    for index in np.flatnonzero(labels.any(axis=(1, 2))):
        plane = labels[index].ravel()
        places = np.flatnonzero(plane)
        value, row = plane[places], places // width
        broken = (np.diff(places) != 1) | (np.diff(value) != 0) | (np.diff(row) != 0)
        firsts = np.concatenate([[0], np.flatnonzero(broken) + 1])
        lengths = np.diff(np.concatenate([firsts, [places.size]]))
        triples = np.stack([places[firsts], lengths, value[firsts]], axis=1)
        found[str(index)] = triples.ravel().tolist()
    return found


def layers_of(scan: Scan, *, blind: bool, node_is_a: bool) -> tuple[Layer, ...]:
    """Layers as they may be named. Blind, both are named A and B; marks of one read alone say whose they are: none."""
    whose = [one for one in (NODE, HUMAN) if one in scan.marks]
    if not blind:
        names = {NODE: "Node", HUMAN: "Human"}
        return tuple(Layer(key=one, name=names[one], whose=one) for one in whose)
    if len(whose) < 2:
        return ()
    order = (NODE, HUMAN) if node_is_a else (HUMAN, NODE)
    return tuple(Layer(key=letter.lower(), name=letter, whose=one) for letter, one in zip("AB", order, strict=True))


def viewer_document(
    scan: Scan, layers: Sequence[Layer], lesions: Sequence[LesionFinding], causes: Sequence[int]
) -> dict[str, object]:
    """All that the viewer needs beside the slices; ``causes`` are indices of lesions, the most important first."""
    causal = list(dict.fromkeys(at for at in causes if 0 <= at < len(lesions)))
    rest = sorted(set(range(len(lesions))) - set(causal), key=lambda at: -lesions[at].agatston)
    slices, rows, columns = scan.hu.shape
    return {
        "version": scan.version,
        "slices": slices,
        "rows": rows,
        "columns": columns,
        "spacing_mm": list(scan.grid.spacing_mm),
        "positions_mm": [round(float(scan.grid.to_lps(np.array([at, 0, 0]))[2]), 2) for at in range(slices)],
        "headwards": bool(scan.grid.directions[0][2] >= 0),
        "edges": edges(scan.grid),
        "vessels": [
            {"label": vessel.label, "key": str(vessel), "rgb": list(VESSEL_COLOURS[vessel])} for vessel in Vessel
        ]
        + [{"label": WHOLE_LABELS[key], "key": key, "rgb": list(rgb)} for key, rgb in WHOLE_COLOURS.items()],
        "layers": [{"key": layer.key, "name": layer.name, "runs": runs(scan.marks[layer.whose])} for layer in layers],
        "lesions": [_lesion(lesions[at], scan.grid, causal=at in causal) for at in (*causal, *rest)],
    }


def edges(grid: VolumeGrid) -> dict[str, str]:
    """Which side of the patient each edge of the picture shows: R, L, A, P, H or F."""
    _, down, right = grid.directions
    return {
        "right": _side(right),
        "left": _side((-right[0], -right[1], -right[2])),
        "bottom": _side(down),
        "top": _side((-down[0], -down[1], -down[2])),
    }


def _side(direction: tuple[float, float, float]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return (("R", "L"), ("A", "P"), ("F", "H"))[axis][direction[axis] > 0]


def _lesion(lesion: LesionFinding, grid: VolumeGrid, *, causal: bool) -> dict[str, object]:
    at, row, column = grid.to_index(np.array(lesion.centroid_lps_mm)).tolist()
    middle = min(max(round(at), lesion.slices[0], 0), lesion.slices[1], grid.shape[0] - 1)
    radius = (lesion.volume_mm3 * 3 / (4 * np.pi)) ** (1 / 3) * _RADIUS_MARGIN
    return {
        "vessel": lesion.vessel,
        "agatston": round(lesion.agatston, 1),
        "peak_hu": round(lesion.peak_hu),
        "first": lesion.slices[0],
        "last": lesion.slices[1],
        "slice": middle,
        "row": round(row, 2),
        "column": round(column, 2),
        "radius_mm": round(max(float(radius), _LEAST_RADIUS_MM), 1),
        "causal": causal,
    }
