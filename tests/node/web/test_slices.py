import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.lesions import Vessel
from model.volume import VolumeGrid
from node.dicom.codes import SITES
from node.domain.findings import LesionFinding
from node.stages.scans import HUMAN, NODE, Scan
from node.web.slices import VESSEL_COLOURS, edges, layers_of, runs, slice_bytes, viewer_document

SHAPE = (5, 6, 8)
GRID = VolumeGrid(shape=SHAPE, spacing_mm=(3.0, 0.5, 0.5), origin_lps_mm=(-10.0, 20.0, 100.0))


def a_scan(marks=None):
    hu = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) - 100
    labels = marks or {NODE: np.zeros(SHAPE, np.uint8)}
    return Scan(hu=hu, marks=labels, grid=GRID, version="v1")


def a_lesion(index, vessel="RCA", agatston=10.0, slices=(1, 2)):
    return LesionFinding(
        vessel=vessel,
        agatston=agatston,
        volume_mm3=4.0,
        mass_mg=None,
        peak_hu=300.0,
        centroid_lps_mm=tuple(GRID.to_lps(np.array(index)).tolist()),
        slices=slices,
        probability=0.9,
    )


def test_colours_are_those_of_the_reports():
    assert {key: site.rgb for key, site in SITES.items() if key in set(Vessel)} == dict(VESSEL_COLOURS)


def test_a_slice_comes_back_as_it_is():
    scan = a_scan()
    back = np.frombuffer(gzip.decompress(slice_bytes(scan, 3)), "<i2").reshape(SHAPE[1:])
    assert np.array_equal(back, scan.hu[3])
    assert slice_bytes(scan, 3) == slice_bytes(scan, 3)


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_slice_outside_the_stack(index):
    with pytest.raises(IndexError):
        slice_bytes(a_scan(), index)


@given(arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 3)))
def test_runs_hold_every_mark_and_end_with_their_row(labels):
    back = np.zeros_like(labels)
    for index, triples in runs(labels).items():
        for start, length, label in zip(triples[::3], triples[1::3], triples[2::3], strict=True):
            assert start // 5 == (start + length - 1) // 5
            part = back[int(index)].ravel()[start : start + length]
            assert not part.any()
            part[:] = label
    assert np.array_equal(back, labels)


def test_causal_lesions_come_first_and_lie_where_they_are():
    lesions = [a_lesion((0, 1, 1), agatston=90, slices=(0, 0)), a_lesion((2, 4, 6), agatston=5, slices=(2, 3))]
    scan = a_scan()
    document = viewer_document(scan, layers_of(scan, blind=False, node_is_a=True), lesions, causes=[1])
    first, second = document["lesions"]
    assert (first["causal"], first["slice"], first["row"], first["column"]) == (True, 2, 4.0, 6.0)
    assert (second["causal"], second["agatston"]) == (False, 90)
    assert document["positions_mm"] == [100, 103, 106, 109, 112]
    assert document["headwards"]


def test_the_sides_of_the_patient_follow_the_grid():
    assert edges(GRID) == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    turned = VolumeGrid(
        shape=SHAPE,
        spacing_mm=GRID.spacing_mm,
        origin_lps_mm=GRID.origin_lps_mm,
        directions=((0, 0, -1), (0, 1, 0), (-1, 0, 0)),
    )
    assert edges(turned) == {"left": "L", "right": "R", "top": "A", "bottom": "P"}


@pytest.mark.parametrize("node_is_a", [True, False])
def test_blind_names_never_say_whose_marks_they_are(node_is_a):
    labels = np.zeros(SHAPE, np.uint8)
    both = layers_of(a_scan({NODE: labels, HUMAN: labels}), blind=True, node_is_a=node_is_a)
    assert [(one.key, one.name) for one in both] == [("a", "A"), ("b", "B")]
    assert both[0].whose == (NODE if node_is_a else HUMAN)
    assert layers_of(a_scan(), blind=True, node_is_a=node_is_a) == ()  # whose they are would be plain
