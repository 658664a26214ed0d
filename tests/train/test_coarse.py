import numpy as np
import pytest
import torch

from model.labels import Organ
from tests.plain_case import plain_case
from train.coarse import CoarseTask, coarse_losses
from train.cohort import Cohort, Prepared
from train.config import Augmentation
from train.solids import solids

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cohort():
    return Cohort(cases=tuple(Prepared.of(plain_case(seed)) for seed in range(2)))


def test_volumes_keep_organs_and_images_together(cohort):
    batch = CoarseTask(cohort, Augmentation(solids=0.0, contrast=0.0), 1).batch(0, 6, CPU)
    assert batch.image.shape == (6, 1, *CoarseTask.shape)
    hu = batch.image[:, 0] * 500
    assert float(hu[batch.organs == Organ.HEART].median()) == pytest.approx(40, abs=40)
    assert float(hu[batch.organs == Organ.LUNG].median()) < -700
    assert bool((batch.organs == Organ.HEART).flatten(1).any(1).all())


def test_solids_never_hold_a_heart():
    for seed in range(20):
        hu, organs = solids(np.random.default_rng(seed), (32, 48, 48))
        assert hu.shape == organs.shape
        assert set(np.unique(organs)) <= {Organ.OTHER, Organ.LUNG, Organ.BONE}
        assert np.isfinite(hu).all()


def test_the_localiser_is_judged_by_every_organ_and_the_hearts_overlap():
    organs = torch.zeros((1, 8, 8, 8), dtype=torch.long)
    organs[0, 2:6, 2:6, 2:6] = Organ.HEART
    right = torch.nn.functional.one_hot(organs, len(Organ)).movedim(-1, 1).float() * 20
    assert float(coarse_losses(right, organs)["loss"]) < 0.01
    missed = torch.zeros_like(right)
    missed[:, 0] = 20.0
    losses = coarse_losses(missed, organs)
    assert float(losses["entropy"]) > 2
    assert float(losses["dice"]) > 0.3
