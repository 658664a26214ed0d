import numpy as np
import pytest
import torch

from model.labels import Organ
from train.neck import necked


@pytest.mark.parametrize("seed", range(6))
def test_lungs_end_in_flesh_and_what_lies_below_stays(seed):
    organs = torch.full((50, 60, 60), int(Organ.LUNG))
    organs[:10] = Organ.ABDOMEN
    organs[10:20, 20:40, 20:40] = Organ.HEART
    organs[20:, 26:34, 26:34] = Organ.AORTA
    organs[:, 50:54, 28:32] = Organ.BONE
    organs[:, :, :3] = -1
    hu = torch.where(organs == Organ.LUNG, -850.0, 40.0)
    before = organs.clone()
    seen, named = necked(hu, organs, 30.0, np.random.default_rng(seed))
    torch.testing.assert_close(organs, before)
    assert bool((named[40:] != Organ.LUNG).all())
    assert bool((named[40:] != Organ.AORTA).all())
    assert float((seen[42:] > -200).float().mean()) > 0.9
    torch.testing.assert_close(seen[:18], hu[:18])
    torch.testing.assert_close(named[:18], before[:18])
    assert bool((named[before == Organ.BONE] == Organ.BONE).all())
    assert bool(((named == -1) == (before == -1)).all() | (named[before == -1] == Organ.BONE).any())
