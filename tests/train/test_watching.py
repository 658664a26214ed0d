import numpy as np
import pytest
import torch

from model.network import UNet, fine_network
from tests.plain_case import plain_case
from train.cohort import Prepared
from train.config import Aims
from train.watching import Watch, fields, shares


def test_shares_count_components():
    calls = np.array([[1, 1], [1, 2], [2, 2], [4, 0], [0, 3], [0, 0], [6, 6]])
    figures = shares(calls, 2)
    assert figures["found"] == pytest.approx(3 / 4)
    assert figures["right"] == pytest.approx(2 / 3)
    assert figures["false"] == 0.5
    assert figures["LM"] == 0.5
    assert figures["TA"] == 1.0
    assert "AV" not in figures


def test_watching_does_not_change_the_network():
    network = UNet(fine_network(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    watch = Watch([Prepared.of(plain_case(1))], Aims())
    assert watch(network) == watch(network)
    assert network.training
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())


def test_what_is_turned_off_is_not_seen():
    case = Prepared.of(plain_case(1))
    batch = fields(case, range(10, 12), Aims(position=False, candidate=False, context=False), torch.device("cpu"))
    assert not batch.image[:, 5:].any()
    assert torch.equal(batch.image[:, 0], batch.image[:, 2])
    assert batch.calcium.any()
