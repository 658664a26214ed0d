from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model.heart import GATE_MARGIN_MM, Gate, locate
from model.labels import Organ
from model.network import NetworkConfig, UNet, folded
from model.preprocess import Millimetre, Upright
from model.volume import CtVolume, VolumeGrid
from tests.tiny_bundle import tiny_bundle

SHAPE, SPACING = (40, 80, 80), (3.0, 2.0, 2.0)


def located(*balls: tuple, smallest_ml=20.0, shape=SHAPE):
    """Balls of tissue (z, y, x, radius in mm) in lung."""
    z, y, x = np.meshgrid(*(np.arange(n) * mm for n, mm in zip(shape, SPACING, strict=True)), indexing="ij")
    hu = np.full(shape, -850, dtype=np.int16)
    for cz, cy, cx, radius in balls:
        hu[(z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < radius**2] = 50
    grid = VolumeGrid(shape=shape, spacing_mm=SPACING, origin_lps_mm=(5.0, 6.0, 7.0))
    upright = Upright.of(CtVolume(hu=hu, grid=grid))
    scan = Millimetre.of(upright, torch.device("cpu"))
    with torch.inference_mode():
        return locate(folded(tiny_bundle().coarse), scan, upright, smallest_ml)


def test_the_largest_piece_is_the_heart():
    found = located((60, 80, 90, 38), (20, 20, 20, 15))
    np.testing.assert_allclose(found.finding.centre_lps_mm, (95, 86, 67), atol=1.5)
    assert found.finding.volume_ml == pytest.approx(4 / 3 * np.pi * 3.8**3, rel=0.1)
    assert found.finding.truncated == ()
    assert found.finding.blood_pool_hu == pytest.approx(50, abs=1)


def test_a_piece_too_small_is_no_heart():
    assert located((60, 80, 90, 14)) is None
    assert located((60, 80, 90, 14), smallest_ml=5.0) is not None


@pytest.mark.parametrize(
    ("middle", "side"),
    [
        ((10, 80, 80), "feet"),
        ((112, 80, 80), "head"),
        ((60, 10, 80), "front"),
        ((60, 150, 80), "back"),
        ((60, 80, 10), "right"),
        ((60, 80, 150), "left"),
    ],
)
def test_a_heart_cut_off_is_noticed_on_its_side(middle, side):
    assert located((*middle, 38)).finding.truncated == (side,)


def test_a_heart_that_only_touches_the_end_is_not_cut_off():
    assert located((38, 80, 80, 38)).finding.truncated == ()


def test_the_gate_is_the_heart_and_a_margin():
    found = located((60, 80, 90, 38))
    reach = 38 + GATE_MARGIN_MM
    # the millimetre grid: slices of 3 mm, pixels of 1 mm, the first half a native pixel before the native one
    places = np.array([[20, 80, 90], [20, 80, 90 + reach - 6], [20, 80, 90 + reach + 6], [20, 0, 0]], dtype=float)
    assert found.gate.holds(places).tolist() == [True, True, False, False]


def test_a_scan_padded_for_the_network_stays_in_its_place():
    torch.manual_seed(0)
    config = NetworkConfig(dimensions=3, channels=1, filters=2, levels=3, stem=2, heads=(("organ", len(Organ)),))
    network = folded(UNet(config).eval())
    network.out.bias.view(len(Organ), 8)[Organ.HEART] = 100.0
    grid = VolumeGrid(shape=(13, 50, 70), spacing_mm=(3.0, 2.0, 2.0), origin_lps_mm=(0.0, 0.0, 0.0))
    upright = Upright.of(CtVolume(hu=np.zeros(grid.shape, np.int16), grid=grid))
    scan = Millimetre.of(upright, torch.device("cpu"))
    with torch.inference_mode():
        found = locate(network, scan, upright, 1.0)
    np.testing.assert_allclose(found.finding.centre_lps_mm, (69, 49, 18), atol=0.5)
    assert found.finding.volume_ml == pytest.approx(13 * 3 * 100 * 140 / 1000, rel=0.01)
    assert set(found.finding.truncated) == {"feet", "head", "front", "back", "right", "left"}


class SeesLabels:
    """Stands in for the localiser: gives back a label map."""

    config = SimpleNamespace(multiple=1)

    def __init__(self, organs) -> None:
        self._organs = torch.from_numpy(organs)

    def __call__(self, image) -> torch.Tensor:
        assert image.shape[2:] == self._organs.shape
        return torch.nn.functional.one_hot(self._organs, len(Organ)).movedim(-1, 0)[None].float() * 20


def test_the_blood_is_measured_in_the_aorta_first():
    organs = np.zeros((30, 40, 40), dtype=np.int64)
    organs[8:20, 10:25, 10:25] = Organ.HEART
    organs[0:30, 30:36, 18:24] = Organ.AORTA
    hu = np.full(SHAPE, 40, dtype=np.int16)
    hu[:, 58:74, 34:50] = 210
    upright = Upright.of(
        CtVolume(hu=hu, grid=VolumeGrid(shape=SHAPE, spacing_mm=SPACING, origin_lps_mm=(0.0, 0.0, 0.0)))
    )
    scan = Millimetre.of(upright, torch.device("cpu"))
    found = locate(SeesLabels(organs), scan, upright, 20.0)
    assert found.finding.blood_pool_hu == pytest.approx(210, abs=1)


def test_a_gate_is_a_structure_and_a_margin():
    chosen = np.zeros((10, 12, 12), dtype=bool)
    chosen[5, 6, 6] = True
    gate = Gate.around(chosen, (1.0, 4.0, 4.0), np.array([3.0, 4.0, 4.0]))
    places = np.array([[5, 25, 25], [9, 25, 25], [5, 37, 25], [5, 41, 25], [5, 37, 37], [5, -50, 900]], dtype=float)
    assert gate.holds(places).tolist() == [True, True, True, False, False, False]
    assert not Gate.around(chosen & False, (1.0, 4.0, 4.0), np.ones(3)).holds(places).any()


def seen(organs, *, hu=None, classes=10, sure=20.0):
    """What is located where the localiser sees these organs, on a 4 mm scan."""
    spacing = (4.0, 4.0, 4.0)
    hu = np.full(organs.shape, 40, dtype=np.int16) if hu is None else hu
    upright = Upright.of(
        CtVolume(hu=hu, grid=VolumeGrid(shape=organs.shape, spacing_mm=spacing, origin_lps_mm=(0.0, 0.0, 0.0)))
    )

    def network(_):
        return torch.nn.functional.one_hot(torch.from_numpy(organs), classes).movedim(-1, 0)[None].float() * sure

    network.config = SimpleNamespace(multiple=1)
    return locate(network, Millimetre.of(upright, torch.device("cpu")), upright, 20.0)


def heart_and_aorta():
    organs = np.zeros((30, 50, 50), dtype=np.int64)
    organs[5:20, 10:30, 15:35] = Organ.HEART
    organs[20:26, 16:24, 20:28] = Organ.ROOT
    organs[26:30, 16:24, 20:28] = Organ.AORTA
    organs[:, 36:42, 28:34] = Organ.AORTA
    return organs


def test_the_root_belongs_to_the_hearts_gate_and_the_descending_aorta_does_not():
    found = seen(heart_and_aorta())
    # places in the millimetre grid: slices of 4 mm, pixels of 1 mm; 2.5 slices are 10 mm
    spine, leaf, descending, arch = [20, 198, 60], [22, 80, 96], [12, 156, 124], [28.4, 80, 96]
    places = np.array([spine, leaf, descending, arch], dtype=float)
    assert found.gate.holds(places).tolist() == [False, True, False, True]
    assert found.gate.distance_mm(np.array([[12.0, 185.0, 96.0]])) == pytest.approx(185 - 120, abs=3)


def test_a_localiser_that_knows_fewer_organs_is_still_read():
    organs = heart_and_aorta()
    organs[organs == Organ.ROOT] = Organ.AORTA
    found = seen(organs, classes=8)
    assert found.finding.volume_ml == pytest.approx(15 * 20 * 20 * 0.064, rel=1e-3)


@pytest.mark.parametrize(("root_to", "cut"), [(28, ()), (30, ("head",)), (None, ("head",))])
def test_only_the_roof_of_the_atria_outside_cuts_no_coronary_off(root_to, cut):
    organs = heart_and_aorta()
    organs[organs == Organ.ROOT] = Organ.AORTA
    organs[5:, 10:30, 15:20] = Organ.HEART
    if root_to is not None:
        organs[20:root_to, 16:24, 20:28] = Organ.ROOT
    assert seen(organs).finding.truncated == cut


def test_a_guess_is_no_heart():
    assert seen(heart_and_aorta(), sure=20.0) is not None
    assert seen(heart_and_aorta(), sure=1.0) is None


def test_holes_belong_to_the_heart():
    organs = heart_and_aorta()
    organs[10:14, 18:22, 22:26] = Organ.PULMONARY_ARTERY
    assert seen(organs).finding.volume_ml == pytest.approx(15 * 20 * 20 * 0.064, rel=1e-3)


@pytest.mark.parametrize(("offset", "sides"), [(0, ()), (9, ("left",)), (-9, ("right",))])
def test_a_round_field_that_cuts_the_heart_is_noticed(offset, sides):
    organs = heart_and_aorta()
    y, x = np.meshgrid(np.arange(50) - 20.0, np.arange(50) - 25.0 + offset, indexing="ij")
    inside = y**2 + x**2 < 15.0**2
    hu = np.where(inside, 40, -1024).astype(np.int16)[None].repeat(30, axis=0)
    organs[:, ~inside] = Organ.OTHER
    assert seen(organs, hu=hu).finding.truncated == sides


def test_lung_beside_the_heart_cuts_nothing_off():
    organs = heart_and_aorta()
    hu = np.where(organs == 0, -880, 40).astype(np.int16)
    assert seen(organs, hu=hu).finding.truncated == ()


def test_shoulders_larger_than_the_heart_are_not_taken_for_it():
    organs = np.pad(heart_and_aorta(), ((0, 30), (0, 0), (0, 0)))
    organs[40:58, 5:40, 5:45] = Organ.HEART
    found = seen(organs)
    assert found.finding.volume_ml == pytest.approx(15 * 20 * 20 * 0.064, rel=1e-3)
    organs[organs == Organ.ROOT] = Organ.OTHER
    assert seen(organs).finding.volume_ml == pytest.approx(18 * 35 * 40 * 0.064, rel=1e-3)
