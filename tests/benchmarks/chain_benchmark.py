"""The whole chain on one 48-slice series, warm: bytes on disk to objects on disk, part by part against the budget.

    PYTHONPATH=. python tests/benchmarks/chain_benchmark.py [RUNS]

Over sockets, from the last C-STORE response to the last object at a PACS: ``latency_benchmark.py``.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from node import log, offline, parts
from node.demo import patients
from node.demo.stand_ins import scan_of
from node.domain.findings import Findings
from node.settings import Settings

# What one step may take on 2 cores, in ms; parts that share a budget are summed under one name.
BUDGET_MS = {
    "decode": (("decode",), 42),
    "prepare": (("prepare", "localise"), 82),
    "segment": (("label", "decide"), 235),
    "score": (("quality", "score"), 36),
    "SEG + SR": (("answers",), 255),
    "summary": (("summary",), 150),
    "write": (("write",), 50),
    "total": (("total",), 1000),
}
_NAME = "heavy"


def main() -> None:
    """Print the table."""
    log.configure("ERROR", "console")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    patient = patients.load(_NAME)
    with tempfile.TemporaryDirectory() as name:
        _print_parts(_offline(patient, Path(name), runs))


def _offline(patient: patients.DemoPatient, folder: Path, runs: int) -> list[Findings]:
    settings = Settings()
    reader = parts.offline_reader(settings)
    scan = scan_of(patient, datetime.now(UTC))
    source = folder / "scan"
    source.mkdir()
    for number, item in enumerate(scan.items):
        (source / f"{number:03d}.dcm").write_bytes(item.file_bytes())
    (found,), _ = offline.search(offline.files_under(source), settings.eligibility)
    results = [reader.answer(found, folder / "out", parts.utc_now()) for _ in range(runs + 1)]
    return [one for one in results[1:] if isinstance(one, Findings)]


def _print_parts(findings: list[Findings]) -> None:
    if not findings:
        sys.exit("the scan was declined: there is nothing to measure")
    print(f"{'part':10} {'median ms':>10} {'budget ms':>10} {'ratio':>6}   of {len(findings)} warm runs")
    for part, (names, budget) in BUDGET_MS.items():
        median = statistics.median(sum(one.timings_ms.get(name, 0.0) for name in names) for one in findings)
        print(f"{part:10} {median:10.0f} {budget:10d} {median / budget:6.2f}")


if __name__ == "__main__":
    main()
