"""Just enough NRRD to read the reference data: gzip, little endian, axes along LPS."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.volume import VolumeGrid

_TYPES = {"short": "<i2", "int16": "<i2", "unsigned char": "u1", "uint8": "u1", "uchar": "u1", "float": "<f4"}


def reference_data(name: str) -> Path:
    """A folder of the open reference data; skips the test if it is not there."""
    root = Path(os.environ.get("SECOND_READER_REFERENCE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / name).is_dir():
        pytest.skip(f"no reference data {name}: set SECOND_READER_REFERENCE_DATA")
    return root / name


def read_nrrd(path: Path) -> tuple[NDArray[np.generic], VolumeGrid]:
    header, _, packed = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in header.decode("latin1").splitlines() if ": " in line)
    assert fields["space"] == "left-posterior-superior"
    sizes = tuple(int(n) for n in fields["sizes"].split())
    vectors = np.array(
        [[float(c) for c in v.split(",")] for v in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    )
    assert np.allclose(vectors, np.diag(np.diag(vectors)))
    assert (np.diag(vectors) > 0).all()
    data = gzip.decompress(packed) if fields["encoding"] in ("gzip", "gz") else packed
    values = np.frombuffer(data, _TYPES[fields["type"]]).reshape(sizes[::-1])
    origin = _numbers(fields["space origin"])
    spacing = np.diag(vectors)[::-1].tolist()
    grid = VolumeGrid(shape=values.shape, spacing_mm=tuple(spacing), origin_lps_mm=tuple(origin))
    return values, grid


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.strip("()").split(",")]
