"""A model small and quick enough for tests: random weights, the same for the same seed.

With ``sees_heart`` the localiser's output layer is set so that soft tissue is 'heart': then the whole path runs, and
finds random vessels. Without it no heart is ever found.
"""

from __future__ import annotations

import torch

from model.bundle import Calibration, Identity, ModelBundle
from model.labels import Anatomy, Organ, Territory
from model.network import FINE_CHANNELS, NetworkConfig, UNet

_FINE = NetworkConfig(
    dimensions=2,
    channels=FINE_CHANNELS,
    filters=2,
    levels=2,
    stem=2,
    heads=(("territory", len(Territory)), ("anatomy", len(Anatomy)), ("calcium", 1)),
)
_COARSE = NetworkConfig(dimensions=3, channels=1, filters=2, levels=1, heads=(("organ", len(Organ)),))


def tiny_bundle(seed: int = 0, *, sees_heart: bool = True, finds: Territory | None = None) -> ModelBundle:
    """Random networks; with ``finds`` every candidate near the heart is called that, and all anatomy epicardial."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        coarse, fine = UNet(_COARSE).eval(), UNet(_FINE).eval()
    with torch.no_grad():
        _rig_localiser(coarse, sees_heart=sees_heart)
        if finds is not None:
            fine.out.bias.view(-1, 4)[: len(Territory)] = 0.0
            fine.out.weight[: 4 * len(Territory)] = 0.0
            fine.out.bias[4 * finds : 4 * finds + 4] = 5.0
            tissue = 4 * len(Territory)
            fine.out.weight[tissue : tissue + 4 * len(Anatomy)] = 0.0
            fine.out.bias[tissue : tissue + 4 * len(Anatomy)] = 0.0
            fine.out.bias[tissue + 4 * Anatomy.EPICARDIAL : tissue + 4 * Anatomy.EPICARDIAL + 4] = 5.0
    return ModelBundle(
        identity=Identity(name="tiny", version="0", sha256="0" * 64, trained_on="Nothing: random weights for tests."),
        released_for="Tests.",
        calibration=Calibration(heart_volume_ml=20.0),
        experiment={"seed": seed},
        coarse=coarse,
        fine=fine,
    )


def _rig_localiser(coarse: UNet, *, sees_heart: bool) -> None:
    """Two ramps of HU make a window: tissue from about -300 to 700 HU is heart, all else is other."""
    first, second = coarse.down[0][0], coarse.down[0][3]
    for layer in (first, second):
        layer.weight.zero_()
    # filter 0 rises with HU above -300 HU, filter 1 above 700 HU; input is in units of 500 HU
    first.weight[:, 0, 1, 1, 1] = 1.0
    coarse.down[0][1].bias.copy_(torch.tensor([0.6, -1.4]))
    for channel in (0, 1):
        second.weight[channel, channel, 1, 1, 1] = 1.0
    coarse.out.weight.zero_()
    coarse.out.bias.fill_(-10.0)
    coarse.out.bias[Organ.OTHER] = 0.0
    if sees_heart:
        coarse.out.weight[Organ.HEART, 0] = 10.0
        coarse.out.weight[Organ.HEART, 1] = -200.0
        coarse.out.bias[Organ.HEART] = 0.0
