import numpy as np
import pytest
import torch

from model.lesions import Vessel
from model.network import NetworkConfig, UNet
from tests.plain_case import plain_case
from train.baseline import CLASSES, BaselineReader, BaselineTask, baseline_network, save, weighted_dice
from train.cohort import Cohort, Prepared, volume_of

CPU = torch.device("cpu")
SMALL = NetworkConfig(dimensions=2, channels=1, filters=2, levels=2, heads=(("territory", CLASSES),))


@pytest.fixture(scope="module")
def cohort():
    return Cohort(cases=tuple(Prepared.of(plain_case(seed)) for seed in range(2)))


class Oracle(torch.nn.Module):
    """Calls everything bright in the left half LAD, and all else nothing."""

    def forward(self, images):
        logits = torch.zeros((len(images), CLASSES, *images.shape[2:]))
        half = images.shape[3] // 2
        logits[:, Vessel.LAD.label, :, half:] = (images[:, 0, :, half:] > 0.26).float() * 9 - 1
        return logits


def test_slices_and_labels_stay_together(cohort):
    batch = BaselineTask(cohort, 128, 1).batch(0, 12, CPU)
    assert batch.image.shape == (12, 1, 128, 128)
    calcium = batch.labels > 0
    assert calcium.any()
    assert int(batch.labels.max()) < CLASSES
    assert float(batch.image[:, 0][calcium].median()) * 500 > 130
    again = BaselineTask(cohort, 128, 1).batch(0, 12, CPU)
    assert torch.equal(batch.image, again.image)


def test_dice_is_nothing_for_the_truth_and_counts_small_vessels_as_much():
    labels = torch.zeros((1, 32, 32), dtype=torch.long)
    labels[0, :8, :8], labels[0, 20:22, 20:22] = 1, 2
    right = torch.nn.functional.one_hot(labels, CLASSES).movedim(-1, 1).float() * 40
    assert float(weighted_dice(right, labels)) == pytest.approx(0, abs=1e-3)
    losses = []
    for missed in (1, 2):
        guess = torch.where(labels == missed, 0, labels)
        losses.append(
            float(weighted_dice(torch.nn.functional.one_hot(guess, CLASSES).movedim(-1, 1).float() * 40, labels))
        )
    assert losses[0] == pytest.approx(losses[1], rel=0.25)
    assert min(losses) > 0.1


def test_reading_keeps_to_the_threshold_and_to_its_side():
    case = plain_case(0)
    volume = volume_of(case)
    reading = BaselineReader(network=Oracle(), pixels=256, device=CPU).read(volume)
    assert set(np.unique(reading.mask.labels)) == {0, Vessel.LAD.label}
    assert (case.hu[reading.mask.labels > 0] >= 130).all()
    left = case.calcium.copy()
    left[:, :, :48] = 0
    bright = (left > 0) & (case.hu >= 130)
    assert (reading.mask.labels[bright] > 0).mean() > 0.9
    assert reading.scores.regions["LAD"].agatston > 0
    assert {lesion.vessel for lesion in reading.lesions} == {Vessel.LAD}


def test_a_baseline_survives_the_disk(tmp_path):
    network = UNet(SMALL).eval()
    save(tmp_path / "baseline.safetensors", network, 64, {"name": "x"})
    reader = BaselineReader.load(tmp_path / "baseline.safetensors", CPU)
    image = torch.randn(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(reader.network(image), network(image), rtol=1e-3, atol=1e-4)


def test_the_papers_network_has_a_class_for_background_and_one_a_vessel():
    assert baseline_network().classes == 7
