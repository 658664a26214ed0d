"""How fast volumes are read: ``python -m tests.benchmarks.dicom_benchmark``. Receiving: ``receive_benchmark.py``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from model.volume import CtVolume
from node.dicom.volumes import read_volume
from tests.dicom_series import ct_series, thorax, write_series


def scan(slices: int = 48) -> CtVolume:
    """48 slices of 512 x 512, half a megabyte each."""
    return thorax(slices, 512, 512)


def volume_seconds(folder: Path, repeats: int = 7) -> tuple[float, float]:
    """Best and median time of reading 48 slices that are in the page cache."""
    paths = write_series(ct_series(scan()), folder)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        read_volume(paths)
        times.append(time.perf_counter() - started)
    return min(times), sorted(times)[repeats // 2]


def main() -> None:
    """Print the line."""
    with tempfile.TemporaryDirectory() as name:
        best, median = volume_seconds(Path(name))
        print(f"read 48 x 512 x 512       best {best * 1000:6.1f} ms   median {median * 1000:6.1f} ms")


if __name__ == "__main__":
    main()
