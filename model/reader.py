"""The door to this package: a scan in, a reading out."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from model import risk, scoring
from model.bundle import Identity, ModelBundle
from model.definition import DEFAULT_PROFILE, definition_for
from model.heart import HeartFinding
from model.interval import score_interval
from model.lesions import CalciumMask, Lesion
from model.quality import Quality, assess
from model.scoring import Definition, Scores
from model.segmenter import METAL_HU, Segmenter
from model.volume import CtVolume, VolumeGrid

_WARM_UP_SHAPE = (8, 512, 512)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """Everything found in one scan.

    Where ``heart.found`` is False nothing was looked for: the mask is empty, and its score of 0 means nothing.

    Attributes
    ----------
    mask
        The voxels that were scored, and no others.
    category
        One of :data:`model.risk.CATEGORIES`.
    cac_drs
        Such as ``A1/N2``.
    interval
        "CAC" -> the 5th and the 95th percentile of the coronary score if every doubtful lesion is there or not, with
        its probability; holds the score. Its coverage is as good as the bundle's calibration; a bundle without a judge
        was never calibrated.
    notes
        What a person must be told, in words.
    timings_ms
        "prepare", "localise", "label", "decide", "quality", "score", "total"; without a heart nothing is labelled.

    """

    mask: CalciumMask
    scores: Scores
    lesions: tuple[Lesion, ...]
    category: str
    cac_drs: str
    interval: Mapping[str, tuple[float, float]]
    quality: Quality
    heart: HeartFinding
    definition: Definition
    model: Identity
    timings_ms: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())


class Reader:
    """Reads scans by one bundle. Safe to share between threads; scans are read one at a time."""

    def __init__(self, bundle: ModelBundle, *, device: str = "auto", profile: str = DEFAULT_PROFILE) -> None:
        """Load the networks onto a device.

        Parameters
        ----------
        bundle
            From :func:`model.bundle.default_bundle` or :func:`model.bundle.load_bundle`.
        device
            "auto" (a GPU if there is one), "cpu" or "cuda".
        profile
            Scoring rules, one of :data:`model.definition.PROFILES`.

        Raises
        ------
        ValueError
            The device is unknown or absent, or the profile is unknown (:class:`UnknownProfileError`).

        """
        definition_for(profile)
        self._profile = profile
        self._identity = bundle.identity
        self._device = choose_device(device)
        self._segmenter = Segmenter(bundle, self._device)
        self._turn = threading.Lock()

    @property
    def identity(self) -> Identity:
        """Which model this reader reads by."""
        return self._identity

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return self._device.type

    def warm_up(self) -> None:
        """Run both networks once, so that the first scan does not pay for their start."""
        grid = VolumeGrid(shape=_WARM_UP_SHAPE, spacing_mm=(3.0, 0.4, 0.4), origin_lps_mm=(0.0, 0.0, 0.0))
        volume = CtVolume(hu=np.full(_WARM_UP_SHAPE, 40, dtype=np.int16), grid=grid)
        with self._turn:
            self._segmenter.warm_up()
            self._segmenter(volume, definition_for(self._profile))

    def read(self, volume: CtVolume) -> Reading:
        """Find, label and score the calcium of one scan.

        Raises
        ------
        model.preprocess.OrientationError
            The scan is not an axial stack.
        model.definition.UnsupportedKvpError
            There are no calcium limits for its tube voltage.

        """
        started = time.perf_counter()
        definition = definition_for(self._profile, volume.kvp)
        with self._turn:
            found = self._segmenter(volume, definition)
        judged = time.perf_counter()
        quality = assess(found.heart, found.surroundings)
        scored = time.perf_counter()
        mask = scoring.keep(volume, found.mask, definition)
        scores = scoring.score(volume, mask, definition)
        cac = scores.regions["CAC"].agatston
        lesions = scoring.lesions(volume, mask, definition)
        interval = {"CAC": score_interval(found.claims, cac)}
        ended = time.perf_counter()
        return Reading(
            mask=mask,
            scores=scores,
            lesions=lesions,
            category=risk.category(cac),
            cac_drs=risk.cac_drs(cac, scores.vessels),
            interval=interval,
            quality=quality,
            heart=found.heart,
            definition=definition,
            model=self._identity,
            notes=_notes(quality, found.metal, definition, volume.mass_factor),
            timings_ms=found.timings_ms
            | {
                "quality": (scored - judged) * 1000,
                "score": (ended - scored) * 1000,
                "total": (ended - started) * 1000,
            },
        )


def use_threads(count: int) -> None:
    """Let the networks of this process use so many CPU threads, instead of as many as there are cores."""
    torch.set_num_threads(count)


def choose_device(name: str) -> torch.device:
    """The device a setting names: "auto", "cpu" or "cuda". Raises ValueError if it is unknown or absent."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ValueError(f"the device is auto, cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("this machine has no GPU that torch can use")
    return torch.device(name)


def _notes(quality: Quality, metal: int, definition: Definition, mass_factor: float | None) -> tuple[str, ...]:
    notes = list(quality.doubts)
    if metal:
        notes.append(
            f"{metal} bright {'spots peak' if metal > 1 else 'spot peaks'} above {METAL_HU:.0f} HU at the heart: "
            "taken for metal, not scored"
        )
    if definition.kvp is None:
        notes.append("tube voltage not given: limits of 120 kVp used")
    elif definition.kvp_adapted:
        notes.append(f"kVp-adapted: limits for {definition.kvp:g} kVp used")
    if definition.volume_threshold_mg_ml is not None:
        notes.append(f"volume and mass counted from {definition.volume_rule_text(mass_factor)}")
    return tuple(notes)
