"""Scans keep their place when cropped and averaged; the open reference scans are read upright."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.realism.sources import NoReferenceError, Scan, read_nrrd, real_scans

HOME = Path(__file__).parents[3]
REFERENCE = Path(os.environ.get("SECOND_READER_REFERENCE_DATA", HOME / "../shared/data"))


@settings(deadline=None)
@given(
    place=st.tuples(st.integers(6, 24), st.integers(10, 80), st.integers(10, 80)),
    step=st.sampled_from([0.4, 0.5, 0.9]),
    reach=st.floats(12, 40),
)
def test_the_middle_stays_where_it_is(place: tuple[int, int, int], step: float, reach: float) -> None:
    hu = np.full((30, 96, 96), -900, dtype=np.float32)
    z, y, x = place
    hu[z, y - 3 : y + 4, x - 3 : x + 4] = 500
    scan = Scan(name="made", hu=hu, spacing_mm=(3.0, step, step), centre=(float(z), float(y), float(x)))
    small = scan.about_heart((reach, reach, reach)).at(1.0)
    weight = np.clip(small.hu + 900, 0, None)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in small.hu.shape), indexing="ij"))
    found = (index * weight).sum(axis=(1, 2, 3)) / weight.sum()
    assert found == pytest.approx(small.centre, abs=0.6)


def test_nrrd_along_other_axes_is_refused(tmp_path: Path) -> None:
    head = (
        "NRRD0004\ntype: short\nsizes: 4 3 2\nencoding: gzip\nspace: {space}\n"
        "space directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (-5,6,7)\n\n"
    )
    values = np.arange(24, dtype="<i2")
    good, other = tmp_path / "good.nrrd", tmp_path / "other.nrrd"
    good.write_bytes(head.format(space="left-posterior-superior").encode() + gzip.compress(values.tobytes()))
    other.write_bytes(head.format(space="right-anterior-superior").encode() + gzip.compress(values.tobytes()))
    voxels, spacing, origin = read_nrrd(good)
    assert voxels.shape == (2, 3, 4)
    assert (spacing, origin) == ((3.0, 2.0, 1.0), (7.0, 6.0, -5.0))
    with pytest.raises(ValueError, match="LPS"):
        read_nrrd(other)


def test_no_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoReferenceError):
        real_scans(tmp_path)


@pytest.mark.reference
def test_reference_scans_have_heart_before_spine_and_liver_below() -> None:
    """LIDC-IDRI with masks by DeepCAC, CPTAC-PDA; see shared data's manifest for the sources."""
    if not (REFERENCE / "lidc-chest").is_dir():
        pytest.skip("no reference data lidc-chest: set SECOND_READER_REFERENCE_DATA")
    chests = [scan for scan in real_scans(REFERENCE) if scan.name != "QRM"]
    assert len(chests) >= 2
    for scan in chests:
        small = scan.about_heart().at(3.0)
        z, y, x = (round(middle) for middle in small.centre)
        assert -20 < small.hu[z - 2 : z + 3, y - 3 : y + 4, x - 3 : x + 4].mean() < 140
        behind = small.hu[z, y + 12 :, x - 15 : x + 10]
        before = small.hu[z, : y - 12, x - 15 : x + 10]
        assert (behind > 150).sum() > (before > 150).sum()
