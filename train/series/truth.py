"""``truth.json``: what one phantom series holds; ``index.csv``: all of a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from model import risk
from model.definition import definition_for
from model.lesions import Lesion
from model.scoring import REGIONS, RegionScore
from train.series.identity import SeriesIdentity
from train.series.order import Order
from train.series.scan import TrueScan

TRUTH: Final = "truth.json"
INDEX: Final = "index.csv"
FORMAT: Final = 1

_ROUND: Final = 4


def truth_document(order: Order, identity: SeriesIdentity, scan: TrueScan) -> dict[str, Any]:
    """Everything known of one series, as plain values. Mass is None: phantoms carry no calibration."""
    regions, grid = scan.scores.regions, scan.volume.grid
    cac = regions["CAC"].agatston
    definition = definition_for()
    return {
        "format": FORMAT,
        "synthetic": "A computer phantom. No patient.",
        "seed": identity.seed,
        "generator": {
            "version": version("calcium-second-reader"),
            "sha256": order.digest(),
            "cohort": str(order.recipe.anatomy.cohort),
            "written_as": str(order.written_as),
        },
        "patient_id": identity.patient_id,
        "study_uid": identity.uid("study"),
        "series_uid": identity.uid("series"),
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "definition": {"threshold_hu": definition.threshold_hu, "kvp": scan.volume.kvp},
        "category": risk.category(cac),
        "cac_drs": risk.cac_drs(cac, scan.scores.vessels),
        "scores": {name: _score(regions[name]) for name in REGIONS},
        "lesions": [_lesion(lesion) for lesion in scan.lesions],
        "heart_centre_lps_mm": [round(place, 2) for place in scan.heart_centre_lps_mm],
    }


def _score(region: RegionScore) -> dict[str, Any]:
    return {
        "agatston": round(region.agatston, _ROUND),
        "volume_mm3": round(region.volume_mm3, _ROUND),
        "mass_mg": None,
        "lesions": region.lesions,
    }


def _lesion(lesion: Lesion) -> dict[str, Any]:
    return {
        "vessel": str(lesion.vessel),
        "agatston": round(lesion.agatston, _ROUND),
        "volume_mm3": round(lesion.volume_mm3, _ROUND),
        "mass_mg": None,
        "peak_hu": lesion.peak_hu,
        "centroid_lps_mm": [round(place, 2) for place in lesion.centroid_lps_mm],
        "slices": list(lesion.slices),
    }


def read_truth(folder: Path) -> dict[str, Any] | None:
    """The truth of a finished case; None where there is none that can be read."""
    try:
        found = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT else None


def index_table(truths: Iterable[Mapping[str, Any]]) -> str:
    """One line a case, in order of seed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["seed", "cohort", "series_uid", "slices", "slice_mm", "pixel_mm", "category", "lesions", *REGIONS]
    )  # fmt: skip
    for truth in sorted(truths, key=lambda one: int(one["seed"])):
        scores = [truth["scores"][name]["agatston"] for name in REGIONS]
        plain = [truth["seed"], truth["generator"]["cohort"], truth["series_uid"], truth["shape"][0]]
        steps = truth["spacing_mm"]
        writer.writerow([*plain, steps[0], steps[1], truth["category"], len(truth["lesions"]), *scores])
    return text.getvalue()
