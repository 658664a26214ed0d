"""How long the answers take, 48 slices of 512 x 512 with 20 lesions: python -m tests.benchmarks.answers_benchmark."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model.lesions import Vessel
from node.dicom.answers import Role, build_answers
from node.dicom.references import read_source
from node.dicom.segmentation import segments_of
from tests.answer_cases import Case


def main(rounds: int) -> None:
    """Print the median of each part."""
    rng = np.random.default_rng(7)
    vessels = list(Vessel)
    case = Case(
        shape=(48, 512, 512),
        spacing_mm=("0.4", "0.4"),
        lesions=[
            (vessels[number % 6], int(rng.integers(4, 44)), int(rng.integers(180, 330)), int(rng.integers(170, 330)), 4)
            for number in range(20)
        ],
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = case.write(Path(folder))
        request = case.request(paths)
        parts: dict[str, Callable[[], object]] = {
            "read source headers": lambda: read_source(paths),
            "find segments": lambda: segments_of(request),
            "SEG": lambda: build_answers(request, [Role.SEG]),
            "SEG + TID 1500": lambda: build_answers(request, [Role.SEG, Role.SR]),
            "TID 3900": lambda: build_answers(request, [Role.REPORT]),
            "summary": lambda: build_answers(request, [Role.SUMMARY]),
            "all four": lambda: build_answers(request, list(Role)),
        }
        for name, part in parts.items():
            print(f"{name:22} {_median_ms(part, rounds):7.1f} ms")
        for made in build_answers(request, list(Role)):
            print(f"{made.role:22} {len(made.data) / 1000:7.0f} kB")


def _median_ms(part: Callable[[], object], rounds: int) -> float:
    part()
    times = []
    for _ in range(rounds):
        start = time.process_time()  # of the processor: what else runs on the machine does not count
        part()
        times.append(time.process_time() - start)
    return float(np.median(times)) * 1000


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
