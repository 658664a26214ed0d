"""Long training commands: told to stop, they write down where they are; told twice, they break off."""

from __future__ import annotations

import os
import signal

import pytest

from tests.train.test_train_cli import run  # noqa: F401  # a fixture
from train.commands import fit as fit_command
from train.commands.stopping import running
from train.loop import Progress as Step
from train.loop import steps_behind


def test_without_a_time_or_a_signal_it_is_never_time():
    with running(None) as clock:
        assert not clock.stop()
    assert clock.exit_status == 0


def test_after_some_minutes_it_is_time():
    with running(0.0) as clock:
        assert clock.stop()
    assert clock.exit_status == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_asks_to_stop_and_the_second_breaks_off(number: signal.Signals, status: int):
    before = signal.getsignal(number)
    with running(None) as clock:
        os.kill(os.getpid(), number)
        assert clock.stop()
        assert clock.exit_status == status
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_training_that_is_told_to_stop_leaves_a_checkpoint_and_goes_on_later(
    run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    status: int,
):
    class Telling(fit_command._Reporter):
        def __call__(self, step: Step) -> None:
            super().__call__(step)
            if step.step == 1:
                os.kill(os.getpid(), number)

    options = ("--run", run.folder, "--config", run.config, "--device", "cpu", "--threads", 1)
    run("prepare", *options[:4])
    with monkeypatch.context() as patch:
        patch.setattr(fit_command, "_Reporter", Telling)
        said = run("fit", "fine", *options, code=status)
    assert "the same command goes on" in said
    assert steps_behind(run.folder / "fine-1") == 1
    run("fit", "fine", *options)
    assert steps_behind(run.folder / "fine-1") == 2
