import pytest
import torch
from typer.testing import CliRunner

from model.bundle import load_bundle, write_bundle
from model.labels import Territory
from model.network import NetworkConfig, UNet
from tests.plain_case import plain_case
from tests.tiny_bundle import tiny_bundle
from train.blending import blended, renormalised
from train.cli import app
from train.cohort import Prepared, case_path
from train.config import ExperimentConfig

CONFIG = NetworkConfig(dimensions=2, channels=2, filters=2, levels=2, heads=(("t", 3),))


def networks():
    torch.manual_seed(1)
    return UNet(CONFIG).eval(), UNet(CONFIG).eval()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_weights_lie_between_those_of_both(share):
    one, other = networks()
    between = blended(one, other, share)
    for mine, first, second in zip(between.parameters(), one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, first * (1 - share) + second * share)
    assert not any(mine is first for mine, first in zip(between.parameters(), one.parameters(), strict=True))


def test_only_networks_of_one_kind_and_true_shares():
    one, other = networks()
    with pytest.raises(ValueError, match="one configuration"):
        blended(one, UNet(NetworkConfig(dimensions=2, channels=1, filters=2, levels=2, heads=(("t", 3),))), 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        blended(one, other, 1.5)


def test_norms_are_those_of_the_batches():
    network, _ = networks()
    batches = [torch.randn(4, 2, 8, 8) * 3 + 5 for _ in range(3)]
    first = network.down[0]
    before = first[1].momentum
    renormalised(network, batches)
    with torch.no_grad():
        expected = torch.stack([first[0](batch).mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    torch.testing.assert_close(first[1].running_mean, expected)
    assert first[1].momentum == before
    assert not network.training


def test_bundles_are_blended_by_command(tmp_path):
    folder = tmp_path / "run" / "cases"
    folder.mkdir(parents=True)
    Prepared.of(plain_case(3)).write(case_path(folder, 3))
    experiment = {"config": ExperimentConfig().as_dict()}
    for name, seed in (("old", 1), ("new", 2)):
        bundle = tiny_bundle(seed, finds=Territory.LAD)
        object.__setattr__(bundle, "experiment", experiment)
        write_bundle(tmp_path / name, bundle, "# card\n")
    command = ["blend", str(tmp_path / "old"), str(tmp_path / "new"), "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out"), "--share", "0.25"])
    assert result.exit_code == 0, result.output
    made, old, new = (load_bundle(tmp_path / name) for name in ("out", "old", "new"))
    assert made.experiment["blend"]["share"] == 0.25
    torch.testing.assert_close(
        made.fine.out.weight, old.fine.out.weight * 0.75 + new.fine.out.weight * 0.25, atol=1e-3, rtol=1e-2
    )
    missing = CliRunner().invoke(app, [*command[:3], "--run", str(tmp_path), "--out", str(tmp_path / "none")])
    assert missing.exit_code == 1
    assert not (tmp_path / "none").exists()
