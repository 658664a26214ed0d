"""From a run's checkpoints to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch

from model.bundle import CARD, Calibration, Identity, ModelBundle, write_bundle
from model.network import UNet
from train.config import ExperimentConfig
from train.loop import CHECKPOINT, averaged
from train.start import member_folder, parent_of

TRAINED_ON: Final = "{cases} synthetic phantoms (seeds {first} to {last}); no patient data."
RELEASED_FOR: Final = "Research use only; not a medical device, not for diagnosis."


def export_bundle(
    run: Path, folder: Path, experiment: ExperimentConfig, *, temperature: float = 1.0, background_prior: float = 1.0
) -> Identity:
    """Write the averaged weights of a run as a bundle; returns what it is called.

    A card that lies in ``folder`` already is kept; else one is made from what is known.

    Raises
    ------
    FileNotFoundError
        A network of the run has no checkpoint.
    RuntimeError
        The checkpoint is of another network than the experiment describes.

    """
    seeds = experiment.cohort.seeds()
    identity = Identity(
        name=experiment.name,
        version=experiment.version,
        sha256="0" * 64,
        trained_on=TRAINED_ON.format(cases=len(seeds), first=seeds[0], last=seeds[-1]),
    )
    members = experiment.members
    labellers = [member_folder(run, number, members) for number in range(1, members + 1)]
    bundle = ModelBundle(
        identity=identity,
        released_for=RELEASED_FOR,
        calibration=Calibration(temperature=temperature, background_prior=background_prior),
        experiment={
            "config": experiment.as_dict(),
            "parent": parent_of(run),
            "steps_done": {folder.name: steps_done(folder) for folder in (run / "coarse", *labellers)},
        },
        coarse=averaged(UNet(experiment.coarse_network), run / "coarse"),
        fine=averaged(UNet(experiment.fine_network), labellers[0]),
        more=tuple(averaged(UNet(experiment.fine_network), folder) for folder in labellers[1:]),
    )
    card = folder / CARD
    return write_bundle(folder, bundle, card.read_text(encoding="utf-8") if card.is_file() else card_of(bundle))


def steps_done(folder: Path) -> int:
    """Steps a checkpoint has behind it."""
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    return int(state["step"])


def card_of(bundle: ModelBundle) -> str:
    """The least a model card says; figures are added by hand, from an evaluation."""
    identity = bundle.identity
    return (
        f"# {identity.name} {identity.version}\n\n"
        f"- Use: {bundle.released_for}\n"
        f"- Trained on: {identity.trained_on}\n"
        "- Input: non-contrast, gated, axial calcium-score CT, 2.5-3 mm slices.\n"
        "- Output: calcium at or above the threshold, by vessel (LM, LAD, LCX, RCA, aortic valve, thoracic aorta).\n"
        "- Figures: none measured yet.\n"
    )
