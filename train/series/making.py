"""A folder of phantom series: made seed by seed, each whole or not at all, so that it can be gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from train.cases import Case, make_case
from train.series.identity import SeriesIdentity
from train.series.order import Format, Order
from train.series.scan import TrueScan
from train.series.truth import INDEX, TRUTH, index_table, read_truth, truth_document

CT: Final = "ct"
SEGMENTATION: Final = "truth-seg.dcm"
CASE: Final = "case.npz"


class OtherRecipeError(Exception):
    """The folder holds a case of another recipe; the message says which."""


def outstanding(folder: Path, seeds: Iterable[int], order: Order) -> list[int]:
    """The seeds that are not finished yet.

    Raises
    ------
    OtherRecipeError
        A case is there, but was ordered otherwise: one folder holds one kind of case.

    """
    left = []
    for seed in seeds:
        truth = read_truth(folder / str(seed))
        if truth is None:
            left.append(seed)
            continue
        made = truth["generator"]
        if (made["sha256"], made["written_as"]) != (order.digest(), order.written_as):
            raise OtherRecipeError(
                f"case {seed} in {folder} was made otherwise: cohort {made['cohort']}, "
                f"{truth['spacing_mm'][0]:g} mm slices, as {made['written_as']}, perhaps by an older generator; "
                "use another folder"
            )
    return left


def make_series(folder: Path, seed: int, order: Order, device: str) -> Path:
    """Make one case and write it as ``folder/<seed>``, whole or not at all; raises OSError if it cannot be written."""
    partial, final = folder / f".{seed}.part", folder / str(seed)
    for debris in (partial, final):
        if debris.exists():
            shutil.rmtree(debris)
    partial.mkdir(parents=True)
    try:
        _write(partial, make_case(seed, order.recipe, device), order)
        partial.rename(final)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return final


def write_index(folder: Path) -> None:
    """List every finished case of the folder in ``index.csv``."""
    found = (read_truth(case) for case in folder.iterdir() if case.name.isdigit())
    partial = folder / f".{INDEX}.part"
    partial.write_text(index_table(truth for truth in found if truth is not None), encoding="utf-8")
    partial.replace(folder / INDEX)


def _write(folder: Path, case: Case, order: Order) -> None:
    voxels = hashlib.sha256(np.ascontiguousarray(case.hu).data).hexdigest()
    identity = SeriesIdentity(seed=case.seed, content=f"{order.digest()}/{voxels}")
    scan = TrueScan.of(case)
    if order.written_as is Format.NPZ:
        arrays = {"hu": case.hu, "calcium": case.calcium, "territory": case.territory, "anatomy": case.anatomy}
        np.savez(folder / CASE, **arrays, spacing_mm=np.array(case.spacing_mm))  # type: ignore[arg-type]
    else:
        # where training runs there may be no pydicom; only who asks for DICOM needs it
        from train.series.dicom import write_ct, write_segmentation  # noqa: PLC0415

        write_ct(folder / CT, scan.volume, identity)
        write_segmentation(folder / SEGMENTATION, scan, identity)
    document = truth_document(order, identity, scan)
    (folder / TRUTH).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
