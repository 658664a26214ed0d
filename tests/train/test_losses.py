import pytest
import torch

from model.labels import Anatomy, Territory
from train.config import Aims
from train.losses import FineBatch
from train.losses import fine_losses as losses_of

SIZE = (1, 8, 8)


def heads(territory, anatomy=None):
    def confident(labels, classes):
        return torch.nn.functional.one_hot(labels, classes).movedim(-1, 1).float() * 20

    anatomy = torch.zeros(SIZE, dtype=torch.long) if anatomy is None else anatomy
    return {
        "territory": confident(territory, len(Territory)),
        "anatomy": confident(anatomy, len(Anatomy)),
        "calcium": (territory > 0).float()[:, None] * 40 - 20,
    }


def fine_losses(heads, hu, calcium, territory, anatomy, scored):
    batch = FineBatch(image=hu, hu=hu, bright=hu, calcium=calcium, territory=territory, anatomy=anatomy, scored=scored)
    return losses_of(heads, batch, Aims())


def scene():
    calcium = torch.zeros(SIZE, dtype=torch.long)
    calcium[0, 2:4, 2:4] = Territory.LAD
    hu = torch.full(SIZE, 40.0)
    hu[calcium > 0] = 400.0
    hu[0, 6, 6] = 150.0  # noise
    return hu, calcium


YES = torch.tensor([True])


def test_the_right_answer_costs_nothing():
    hu, calcium = scene()
    losses = fine_losses(heads(calcium), hu, calcium, calcium, torch.zeros_like(calcium), YES)
    assert float(losses["loss"]) == pytest.approx(0, abs=1e-3)


def test_each_mistake_is_charged_where_it_belongs():
    hu, calcium = scene()
    wrong = calcium.clone()
    wrong[calcium > 0] = Territory.RCA
    assert float(fine_losses(heads(wrong), hu, calcium, calcium, torch.zeros_like(calcium), YES)["found"]) > 10
    noisy = calcium.clone()
    noisy[0, 6, 6] = Territory.LAD
    losses = fine_losses(heads(noisy), hu, calcium, calcium, torch.zeros_like(calcium), YES)
    assert float(losses["missed"]) > 10
    assert float(losses["found"]) == pytest.approx(0, abs=1e-3)


def test_noise_in_a_territory_is_still_no_calcium():
    hu, calcium = scene()
    territory = calcium.clone()
    territory[0, 5:8, 5:8] = Territory.LAD
    answer = territory.clone()
    answer[0, 6, 6] = 0
    assert float(fine_losses(heads(answer), hu, calcium, territory, torch.zeros_like(calcium), YES)["loss"]) < 1e-3


def test_every_vessel_weighs_the_same_however_large():
    hu, calcium = scene()
    hu[0, 0, 7], calcium[0, 0, 7] = 300.0, Territory.RCA
    small_missed, large_missed = calcium.clone(), calcium.clone()
    small_missed[calcium == Territory.RCA] = 0
    large_missed[calcium == Territory.LAD] = 0
    small, large = (
        float(fine_losses(heads(a), hu, calcium, calcium, torch.zeros_like(calcium), YES)["found"])
        for a in (small_missed, large_missed)
    )
    assert small == pytest.approx(large, rel=0.01)


def test_with_contrast_agent_only_anatomy_is_learned():
    hu, calcium = scene()
    anatomy = torch.full(SIZE, int(Anatomy.LUNG))
    losses = fine_losses(heads(calcium * 0), hu, calcium, calcium, anatomy, torch.tensor([False]))
    assert float(losses["found"]) == float(losses["missed"]) == float(losses["dense"]) == float(losses["calcium"]) == 0
    assert float(losses["anatomy"]) > 1


def test_nothing_to_find_is_no_error():
    calcium = torch.zeros(SIZE, dtype=torch.long)
    losses = fine_losses(heads(calcium), torch.zeros(SIZE), calcium, calcium, calcium, YES)
    assert torch.isfinite(losses["loss"])
