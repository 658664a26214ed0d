import csv

import pytest
import torch
import torch.nn.functional as F

from model.network import NetworkConfig, UNet
from train.config import Optimisation
from train.loop import CHECKPOINT, Sitting, averaged, fit, half_precision, rate_at, steps_behind
from train.metrics import METRICS, PICTURE, WATCHED

CONFIG = NetworkConfig(dimensions=2, channels=1, filters=2, levels=2, heads=(("t", 2),))
PLAN = Optimisation(steps=8, batch=2, checkpoint_steps=3, warm_up=2)
CPU = torch.device("cpu")


class BrightOrDark:
    def batch(self, step, size, device):  # noqa: ARG002 - the protocol's
        generator = torch.Generator().manual_seed(step)
        images = torch.randn((size, 1, 8, 8), generator=generator)
        return images, (images[:, 0] > 0).long()

    def losses(self, network, batch):
        images, truth = batch
        return {"loss": F.cross_entropy(network(images), truth)}


class StopsAt(BrightOrDark):
    def __init__(self, last) -> None:
        self._last = last

    def batch(self, step, size, device):
        if step == self._last:
            raise KeyboardInterrupt
        return super().batch(step, size, device)


def network(seed=1):
    torch.manual_seed(seed)
    return UNet(CONFIG)


def rows(folder):
    with (folder / METRICS).open() as file:
        return list(csv.DictReader(file))


def test_same_seed_same_loss(tmp_path):
    runs = []
    for name in ("a", "b"):
        fit(network(), BrightOrDark(), PLAN, tmp_path / name, CPU)
        runs.append(rows(tmp_path / name))
    assert runs[0] == runs[1]
    assert len(runs[0]) == PLAN.steps


@pytest.mark.parametrize("cut_at", [1, 3, 5, 7])
def test_resume_equals_uninterrupted(tmp_path, cut_at):
    whole = fit(network(), BrightOrDark(), PLAN, tmp_path / "whole", CPU)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), StopsAt(cut_at), PLAN, tmp_path / "cut", CPU)
    resumed = fit(network(1 if cut_at < 3 else 9), BrightOrDark(), PLAN, tmp_path / "cut", CPU)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


def test_a_finished_run_does_no_more(tmp_path):
    first = fit(network(), BrightOrDark(), PLAN, tmp_path, CPU)
    again = fit(network(7), StopsAt(0), PLAN, tmp_path, CPU)
    for name, value in first.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)


def test_it_learns(tmp_path):
    plan = Optimisation(steps=150, batch=8, rate=5e-2, average=0.9)
    fit(network(), BrightOrDark(), plan, tmp_path, CPU)
    losses = [float(row["loss"]) for row in rows(tmp_path)]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_average_can_be_had_before_the_end(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(network(), StopsAt(5), PLAN, tmp_path, CPU)
    assert not averaged(UNet(CONFIG), tmp_path).training
    with pytest.raises(FileNotFoundError):
        averaged(UNet(CONFIG), tmp_path / "nowhere")


def test_progress_is_reported_every_step(tmp_path):
    seen = []
    fit(network(), BrightOrDark(), PLAN, tmp_path, CPU, Sitting(report=seen.append))
    assert [step.step for step in seen] == list(range(1, 9))
    assert {step.steps for step in seen} == {8}


def test_no_half_written_checkpoint_is_left(tmp_path):
    fit(network(), BrightOrDark(), PLAN, tmp_path, CPU)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([CHECKPOINT, METRICS, PICTURE])


def test_the_rate_rises_then_falls():
    plan = Optimisation(steps=100, batch=1, rate=1.0, warm_up=10)
    rates = [rate_at(step, plan) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.02


def test_batches_made_ahead_change_nothing(tmp_path):
    fit(network(), BrightOrDark(), PLAN, tmp_path / "a", CPU)
    fit(network(), BrightOrDark(), PLAN, tmp_path / "b", CPU, Sitting(ahead=3))
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    fit(network(), BrightOrDark(), PLAN, tmp_path / "whole", CPU)
    asked = iter([False, False, False, True])
    fit(network(), BrightOrDark(), PLAN, tmp_path / "cut", CPU, Sitting(stop=lambda: next(asked)))
    assert steps_behind(tmp_path / "cut") == 4
    fit(network(9), BrightOrDark(), PLAN, tmp_path / "cut", CPU)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")


def test_watching_is_written_beside_the_losses(tmp_path):
    plan = Optimisation(steps=8, batch=2, watch_steps=4)
    fit(network(), BrightOrDark(), plan, tmp_path, CPU, Sitting(watch=lambda _: {"found": 0.5}))
    assert (tmp_path / WATCHED).read_text().split() == ["step,found", "4,0.5", "8,0.5"]
    assert (tmp_path / PICTURE).stat().st_size > 1000


@pytest.mark.parametrize(
    ("kind", "capable", "half"), [("cpu", False, False), ("cpu", True, True), ("cuda", False, True)]
)
def test_half_precision_is_for_hardware_that_computes_in_it(monkeypatch, kind, capable, half):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    assert half_precision(torch.device(kind)) is half
