"""How much memory the process that reads needs. Prints; asserts nothing.

    python tests/benchmarks/memory_benchmark.py [--readings 5]

A scan of 48 slices of 512 x 512 is made in one process and read several times in another, which imports what a node's
reading process imports and nothing of training. What is printed is that process' peak resident memory as the system
counts it (``ru_maxrss``), after the imports, after loading the bundle and after every reading.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

TARGET_MB = 1500


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def make(file: Path) -> None:
    """Write a phantom's HU and spacing."""
    from tests.benchmarks.segmenter_benchmark import scan  # noqa: PLC0415  # training's imports stay in this process

    volume = scan()
    np.savez(file, hu=volume.hu, spacing=np.array(volume.grid.spacing_mm))


def read(file: Path, readings: int) -> None:
    """Read it again and again, printing."""
    from model.bundle import default_bundle  # noqa: PLC0415  # what it costs to import is measured
    from model.reader import Reader  # noqa: PLC0415
    from model.volume import CtVolume, VolumeGrid  # noqa: PLC0415

    print(f"  {'imports':<28}{peak_mb():9.0f} MB")
    reader = Reader(default_bundle(), device="cpu")
    reader.warm_up()
    print(f"  {'bundle loaded, warm':<28}{peak_mb():9.0f} MB")
    with np.load(file) as stored:
        hu, spacing = stored["hu"], tuple(stored["spacing"].tolist())
    volume = CtVolume(hu=hu, grid=VolumeGrid(shape=hu.shape, spacing_mm=spacing, origin_lps_mm=(0.0, 0.0, 0.0)))
    for number in range(1, readings + 1):
        score = reader.read(volume).scores.regions["CAC"].agatston
        print(f"  {f'reading {number}':<28}{peak_mb():9.0f} MB   (CAC {score:.0f})")
    print(f"  {'of the target':<28}{100 * peak_mb() / TARGET_MB:9.0f} %    ({TARGET_MB} MB)", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=5)
    readings = parser.parse_args().readings
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scan.npz"
        for work in (context.Process(target=make, args=(file,)), context.Process(target=read, args=(file, readings))):
            work.start()
            work.join()
            if work.exitcode:
                raise SystemExit(work.exitcode)


if __name__ == "__main__":
    main()
