import threading

import numpy as np
import pytest
import torch

from model.definition import UnknownProfileError, UnsupportedKvpError
from model.labels import Territory
from model.preprocess import OrientationError
from model.reader import Reader, choose_device
from model.volume import CtVolume, VolumeGrid
from tests.tiny_bundle import tiny_bundle

SHAPE, SPACING = (32, 160, 160), (3.0, 1.2, 1.2)
UP = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def scan(*, beads=((16, 70, 90),), blood=40, noise=0.0, directions=UP, kvp=120.0):
    """A ball of tissue in lung, with beads of 4 x 4 voxels at 450 HU in two slices."""
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING, strict=True)), indexing="ij"
    )
    hu = np.where(np.sqrt(x**2 + y**2 + z**2) < 40, blood, -850).astype(np.float64)
    hu += np.random.default_rng(1).normal(0, noise, SHAPE) if noise else 0
    for k, row, column in beads:
        hu[k : k + 2, row : row + 4, column : column + 4] = 450
    grid = VolumeGrid(shape=SHAPE, spacing_mm=SPACING, origin_lps_mm=(-90.0, -80.0, 100.0), directions=directions)
    return CtVolume(hu=hu.round().astype(np.int16), grid=grid, kvp=kvp)


@pytest.fixture(scope="module")
def lad_reader():
    return Reader(tiny_bundle(finds=Territory.LAD), device="cpu")


def test_a_bead_in_the_heart_is_scored_by_hand(lad_reader):
    reading = lad_reader.read(scan())
    # 16 pixels of 1.44 mm² x weight 4, two slices at 3 mm
    by_hand = 16 * 1.44 * 4 * 2
    assert reading.scores.regions["LAD"].agatston == pytest.approx(by_hand)
    assert reading.scores.regions["CAC"].agatston == pytest.approx(by_hand)
    assert (reading.category, reading.cac_drs) == ("100-399", "A2/N1")
    assert reading.interval["CAC"] == pytest.approx((by_hand, by_hand))
    (lesion,) = reading.lesions
    assert lesion.slices == (16, 17)
    assert lesion.probability == pytest.approx(0.955, abs=0.01)
    assert int((reading.mask.labels > 0).sum()) == 32
    assert reading.model.name == "tiny"
    assert set(reading.timings_ms) == {"prepare", "localise", "label", "decide", "quality", "score", "total"}


def test_the_heart_is_found_where_it_is(lad_reader):
    heart = lad_reader.read(scan()).heart
    middle = np.array([-90, -80, 100]) + (np.array(SHAPE[::-1]) - 1) / 2 * np.array(SPACING[::-1])
    assert heart.found
    np.testing.assert_allclose(heart.centre_lps_mm, middle, atol=3.0)
    assert heart.volume_ml == pytest.approx(268, rel=0.2)
    assert heart.truncated == ()


@pytest.mark.parametrize("sides", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, 1)])
@pytest.mark.parametrize("swap", [False, True])
def test_every_way_a_stack_can_run_gives_the_same_score_in_the_same_voxels(lad_reader, sides, swap):
    order = (0, 2, 1) if swap else (0, 1, 2)
    directions = tuple(tuple(s * c for c in UP[axis]) for s, axis in zip(sides, order, strict=True))
    turned = lad_reader.read(scan(beads=((16, 70, 90), (12, 85, 70)), directions=directions))
    assert turned.scores.regions["CAC"].agatston == pytest.approx(2 * 16 * 1.44 * 4 * 2)
    assert {lesion.slices for lesion in turned.lesions} == {(16, 17), (12, 13)}


def test_calcium_outside_the_heart_is_not_coronary(lad_reader):
    reading = lad_reader.read(scan(beads=((16, 70, 90), (16, 15, 15), (16, 140, 20))))
    assert [lesion.slices for lesion in reading.lesions] == [(16, 17)]


def test_aortic_calcium_is_no_coronary_calcium():
    reading = Reader(tiny_bundle(finds=Territory.TA), device="cpu").read(scan(beads=((16, 70, 90), (16, 15, 15))))
    assert [lesion.vessel for lesion in reading.lesions] == ["TA"]
    assert reading.scores.regions["CAC"].agatston == 0
    assert reading.category == "0"


@pytest.mark.parametrize("called", [Territory.CONFUSER, Territory.BACKGROUND])
def test_what_is_not_of_a_vessel_is_not_scored(called):
    reading = Reader(tiny_bundle(finds=called), device="cpu").read(scan())
    assert reading.lesions == ()
    assert not reading.mask.labels.any()


def test_without_a_heart_nothing_is_looked_for_and_that_is_said():
    reading = Reader(tiny_bundle(sees_heart=False), device="cpu").read(scan())
    assert not reading.heart.found
    assert reading.notes == ("no heart found",)
    assert reading.lesions == ()
    assert reading.interval["CAC"] == (0.0, 0.0)


def test_the_interval_holds_the_score():
    for seed in range(4):
        reading = Reader(tiny_bundle(seed), device="cpu").read(scan(beads=((16, 70, 90), (14, 90, 70))))
        low, high = reading.interval["CAC"]
        assert low <= reading.scores.regions["CAC"].agatston <= high


def test_contrast_agent_is_noticed(lad_reader):
    assert lad_reader.read(scan(blood=40)).notes == ()
    reading = lad_reader.read(scan(blood=180))
    assert reading.quality.contrast
    assert reading.quality.blood_pool_hu == pytest.approx(180, abs=5)
    assert "contrast agent" in reading.notes[0]


def test_other_tube_voltages_use_their_own_limits(lad_reader):
    reading = lad_reader.read(scan(kvp=100.0))
    assert reading.definition.threshold_hu == 145
    assert reading.notes == ("kVp-adapted: limits for 100 kVp used",)
    assert lad_reader.read(scan(kvp=None)).notes == ("tube voltage not given: limits of 120 kVp used",)
    with pytest.raises(UnsupportedKvpError):
        lad_reader.read(scan(kvp=110.0))


def test_a_profile_with_its_own_volume_limit_says_where_it_lies():
    reading = Reader(tiny_bundle(finds=Territory.LAD), device="cpu", profile="philips").read(scan())
    assert reading.notes == ("volume and mass counted from 130 HU (uncalibrated: 100 mgHA/mL cannot be found)",)


def test_a_stack_that_is_not_axial_is_refused(lad_reader):
    with pytest.raises(OrientationError):
        lad_reader.read(scan(directions=(UP[1], UP[0], UP[2])))


def test_many_threads_read_as_one_does(lad_reader):
    scans = [scan(beads=((10 + k, 70, 90),)) for k in range(4)]
    found = [None] * 4

    def read(k):
        found[k] = lad_reader.read(scans[k]).lesions[0].slices

    threads = [threading.Thread(target=read, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(10 + k, 11 + k) for k in range(4)]


def test_the_same_scan_reads_the_same_twice(lad_reader):
    first, second = (lad_reader.read(scan(noise=20.0)) for _ in range(2))
    np.testing.assert_array_equal(first.mask.labels, second.mask.labels)
    np.testing.assert_array_equal(first.mask.probability, second.mask.probability)


def test_reading_changes_nothing_in_the_scan(lad_reader):
    volume = scan()
    before = volume.hu.copy()
    volume.hu.flags.writeable = False
    lad_reader.read(volume)
    np.testing.assert_array_equal(volume.hu, before)


def test_warm_up_runs(lad_reader):
    lad_reader.warm_up()


def test_an_unknown_profile_is_refused_at_once():
    with pytest.raises(UnknownProfileError):
        Reader(tiny_bundle(), profile="guess")


def test_devices():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        choose_device("tpu")
    if torch.cuda.is_available():
        assert choose_device("auto").type == "cuda"
    else:
        assert choose_device("auto").type == "cpu"
        with pytest.raises(ValueError, match="no GPU"):
            choose_device("cuda")
