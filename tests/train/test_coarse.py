import numpy as np
import pytest
import torch

from model.labels import Organ
from tests.plain_case import plain_case
from train.coarse import CoarseTask, coarse_losses, grained, tinted
from train.cohort import Prepared, case_path
from train.config import Augmentation
from train.solids import solids
from train.views import UNKNOWN, Views, Volume

CPU = torch.device("cpu")
NO_SOLIDS = Augmentation(solids=0.0)


@pytest.fixture(scope="module")
def volumes():
    return tuple(Volume.prepared(Prepared.of(plain_case(seed))) for seed in range(2))


def test_volumes_keep_organs_and_images_together(volumes):
    batch = CoarseTask(volumes, NO_SOLIDS, 1, Views(none=0.0, late=0.0, high=0.0, short=0.0)).batch(0, 6, CPU)
    assert batch.image.shape == (6, 1, *CoarseTask.shape)
    hu = batch.image[:, 0] * 500
    assert float(hu[batch.organs == Organ.HEART].median()) == pytest.approx(40, abs=45)
    assert float(hu[batch.organs == Organ.LUNG].median()) < -700
    assert bool((batch.organs == Organ.HEART).flatten(1).any(1).all())
    assert float(hu[batch.organs == UNKNOWN].max()) == -1000.0


def test_a_step_always_sees_the_same_scans(volumes):
    first, again = (CoarseTask(volumes, Augmentation(), 5).batch(2, 3, CPU) for _ in range(2))
    torch.testing.assert_close(first.image, again.image, rtol=0, atol=0)
    torch.testing.assert_close(first.organs, again.organs, rtol=0, atol=0)
    assert not torch.equal(first.image, CoarseTask(volumes, Augmentation(), 5).batch(1, 3, CPU).image)


def test_every_fourth_step_sees_larger_scans(volumes):
    assert CoarseTask(volumes, Augmentation(), 5).batch(3, 4, CPU).image.shape == (2, 1, *CoarseTask.wide_shape)


def test_some_scans_hold_no_heart(volumes):
    batch = CoarseTask(volumes, NO_SOLIDS, 1, Views(none=1.0, high=0.0, late=0.0, scale_sd=0.0)).batch(0, 8, CPU)
    assert not (batch.organs == Organ.HEART).any()


def test_a_run_is_read_with_its_whole_chests(tmp_path):
    case = Prepared.of(plain_case(1))
    (tmp_path / "cases").mkdir()
    (tmp_path / "wide").mkdir()
    case.write(case_path(tmp_path / "cases", 4))
    flat = case.organs.shape
    anatomy = np.where(case.organs == Organ.HEART, 1, 9).astype(np.uint8)
    np.savez(tmp_path / "wide" / "wide-00000.npz", hu=case.coarse_hu, anatomy=anatomy, spacing_mm=np.full(3, 4.0))
    from_case, whole = CoarseTask.of_run(tmp_path, Augmentation(), 1)._volumes
    np.testing.assert_array_equal(from_case.organs, case.organs)
    assert whole.hu.shape == flat
    np.testing.assert_allclose(whole.centre, from_case.centre, atol=0.3)
    with pytest.raises(FileNotFoundError, match="no prepared cases"):
        CoarseTask.of_run(tmp_path / "cases", Augmentation(), 1)


def test_agent_brightens_blood_alone_and_noise_keeps_the_mean():
    organs = torch.zeros((12, 16, 16), dtype=torch.long)
    organs[:, :8] = Organ.HEART
    organs[:, 8:12] = Organ.LUNG
    hu = torch.where(organs == Organ.LUNG, -850.0, 40.0)
    seen = [tinted(hu, organs, np.random.default_rng(seed)) - hu for seed in range(60)]
    assert all(float(change[organs == Organ.LUNG].abs().max()) == 0 for change in seen)
    assert all(float(change[organs == Organ.OTHER].abs().max()) == 0 for change in seen)
    bright = [float(change[organs == Organ.HEART].mean()) > 10 for change in seen]
    assert 3 <= sum(bright) <= 22
    for seed in range(5):
        noisy = grained(hu, np.random.default_rng(seed))
        assert noisy.shape == hu.shape
        assert float(noisy.mean()) == pytest.approx(float(hu.mean()), abs=8)


def test_solids_never_hold_a_heart():
    for seed in range(20):
        hu, organs = solids(np.random.default_rng(seed), (32, 48, 48))
        assert hu.shape == organs.shape
        assert set(np.unique(organs)) <= {Organ.OTHER, Organ.LUNG, Organ.BONE}
        assert np.isfinite(hu).all()


def _some_organs():
    organs = torch.zeros((1, 8, 8, 8), dtype=torch.long)
    organs[0, 2:6, 2:6, 2:6] = Organ.HEART
    organs[0, 7, :4] = Organ.AORTA
    return organs


def test_the_localiser_is_judged_by_every_organ():
    organs = _some_organs()
    right = torch.nn.functional.one_hot(organs, len(Organ)).movedim(-1, 1).float() * 20
    assert float(coarse_losses(right, organs)["loss"]) < 0.01
    missed = torch.zeros_like(right)
    missed[:, 0] = 20.0
    losses = coarse_losses(missed, organs)
    assert float(losses["entropy"]) > 2
    assert float(losses["dice"]) > 0.3
    no_aorta = right.clone()
    no_aorta[:, Organ.AORTA] = -20.0
    losses = coarse_losses(no_aorta, organs)
    assert float(losses["dice"]) < 0.03
    assert float(losses["others"]) > 0.02


def test_nothing_is_asked_outside_the_scan():
    organs = _some_organs()
    right = torch.nn.functional.one_hot(organs, len(Organ)).movedim(-1, 1).float() * 20
    organs[:, :, :, 4:] = UNKNOWN
    right[:, :, :, :, 4:] = torch.randn(1, len(Organ), 8, 8, 4, generator=torch.Generator().manual_seed(0)) * 20
    assert float(coarse_losses(right, organs)["loss"]) < 0.01


def test_solids_are_seen_through_boxes_too():
    batch = CoarseTask((), Augmentation(solids=1.0), 1, Views(round=1.0)).batch(0, 8, CPU)
    assert set(np.unique(batch.organs)) <= {UNKNOWN, Organ.OTHER, Organ.LUNG, Organ.BONE}
    assert bool((batch.organs == UNKNOWN).flatten(1).any(1).all())
    assert bool((batch.image[:, 0, 1, 0, 0] < -1.8).all())
