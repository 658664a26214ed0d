import numpy as np
import pytest
import torch

from model.definition import definition_for
from model.evidence import measured
from model.labels import Anatomy
from model.preprocess import FIELD, Millimetre, Upright
from model.spots import Spots
from model.surroundings import Surroundings
from model.volume import CtVolume, VolumeGrid

MIDDLE = FIELD // 2
PLACES = ("close", "near", "far")


def around_a_bead(anatomy_of):
    """One pixel of calcium and seven beside it at the middle of slice 2; anatomy by distance and column."""
    hu = np.full((5, FIELD, FIELD), 40, np.int16)
    hu[2, MIDDLE - 1 : MIDDLE + 2, MIDDLE - 1 : MIDDLE + 2] = 400
    grid = VolumeGrid(shape=hu.shape, spacing_mm=(3.0, 1.0, 1.0), origin_lps_mm=(0.0, 0.0, 0.0))
    upright = Upright.of(CtVolume(hu=hu, grid=grid))
    rows, columns = np.mgrid[:FIELD, :FIELD] - MIDDLE
    tissue = anatomy_of(np.hypot(rows, columns), columns).astype(np.uint8)
    around = Surroundings(
        upright=upright,
        scan=Millimetre.of(upright, torch.device("cpu")),
        anatomy=np.broadcast_to(tissue, hu.shape).copy(),
        corner=(0, 0),
    )
    spots = Spots.of(around, definition_for())
    assert spots.count == 1
    return {name: values[0] for name, values in measured(spots, around, 20.0, 130.0).items()}


def test_calcium_of_the_annulus_lies_between_atrium_and_ventricle():
    seen = around_a_bead(lambda _far, column: np.where(column < 0, Anatomy.LEFT_ATRIUM, Anatomy.LEFT_VENTRICLE))
    for place in PLACES:
        assert seen[f"left atrium {place}"] == pytest.approx(0.5, abs=0.06)
        assert seen[f"left ventricle {place}"] == pytest.approx(0.5, abs=0.06)
        assert seen[f"heart's fat {place}"] == 0


def test_calcium_of_a_vessel_lies_in_fat_and_what_is_beyond_is_told_apart_by_distance():
    seen = around_a_bead(lambda far, _column: np.where(far < 8, Anatomy.EPICARDIAL, Anatomy.LEFT_ATRIUM))
    assert [seen[f"heart's fat {place}"] for place in PLACES] == [1.0, pytest.approx(1.0, abs=0.1), 0.0]
    assert [seen[f"left atrium {place}"] for place in PLACES] == [0.0, pytest.approx(0.0, abs=0.1), 1.0]
    assert seen["in_heart"] == 1.0
