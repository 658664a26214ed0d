"""How many images a second are received, beside dcmtk, Orthanc and pynetdicom's own storescp.

    PYTHONPATH=. python tests/benchmarks/receive_benchmark.py [--images N] [--rounds N] [--root DIR]

The same storescu of dcmtk sends to all of them in turn, round by round, over one association and over four at once:
CT images of 512 x 512 (0.53 MB), PDUs of 128 KB, TCP_NODELAY at both ends. This node answers success after the file
and its directory are synced and the ledger row is committed; none of the others syncs anything.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.receivers import ENVIRONMENT, RECEIVERS, Running
from tests.dicom_series import Style, ct_series, thorax, write_series

_STORESCU = Path("/usr/bin/storescu")
_SENDERS = (1, 4)
_SLICES = 48
_BASELINE = "dcmtk storescp"
_TARGET = 0.5


def scans(folder: Path, images: int) -> list[Path]:
    """A folder of ``images`` different images for each sender, in scans of at most 48 slices."""
    volume = thorax(_SLICES, 512, 512)
    folders = []
    for sender in range(max(_SENDERS)):
        made, part = 0, 0
        while made < images:
            series = ct_series(volume, Style(name=f"sent {sender} {part}"))[: images - made]
            write_series(series, folder / str(sender) / str(part))
            made, part = made + len(series), part + 1
        folders.append(folder / str(sender))
    return folders


def rate(one: Running, folders: list[Path], images: int) -> float:
    """Images a second with a sender for each folder, all at once.

    Raises
    ------
    RuntimeError
        A sender failed, or not every image was kept.

    """
    before = one.kept()
    command = [str(_STORESCU), "-pdu", "131072", "-aec", one.called, "+sd", "+r", "127.0.0.1", str(one.port)]
    os.sync()  # what an earlier one left to the system is not this one's to wait for
    began = time.perf_counter()
    running = [subprocess.Popen([*command, str(folder)], env=ENVIRONMENT) for folder in folders]
    codes = [process.wait() for process in running]
    took = time.perf_counter() - began
    kept = one.kept() - before
    if any(codes) or kept != images * len(folders):
        raise RuntimeError(f"senders ended with {codes}; {kept} of {images * len(folders)} images were kept")
    return kept / took


def measured(name: str, folders: list[Path], images: int, root: Path) -> dict[int, float]:
    """By the number of senders: images a second of one receiver, started anew and warmed up."""
    start, _ = RECEIVERS[name]
    found = {}
    for senders in _SENDERS:
        with tempfile.TemporaryDirectory(dir=root) as folder, start(Path(folder)) as one:
            found[senders] = rate(one, folders[:senders], images)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=192, help="that each sender sends")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--root", type=Path, default=None, help="where all of them write; default: temporary files")
    parser.add_argument("--only", action="append", choices=list(RECEIVERS), help="some of them; may be repeated")
    given = parser.parse_args()
    if not _STORESCU.exists():
        sys.exit("receiving not measured: there is no dcmtk in /usr/bin")
    wanted = [name for name, (_, program) in RECEIVERS.items() if program is None or program.exists()]
    wanted = [name for name in wanted if name in (given.only or wanted)]
    results: dict[str, dict[int, list[float]]] = {name: {count: [] for count in _SENDERS} for name in wanted}
    with tempfile.TemporaryDirectory(dir=given.root) as folder:
        folders = scans(Path(folder), given.images)
        for _ in range(given.rounds):
            for name in wanted:
                for senders, speed in measured(name, folders, given.images, given.root).items():
                    results[name][senders].append(speed)
    _print(results)


def _print(results: dict[str, dict[int, list[float]]]) -> None:
    print(f"{'images a second':22}" + "".join(f"{senders:>8} assoc.   / dcmtk" for senders in _SENDERS))
    medians = {name: {n: statistics.median(speeds) for n, speeds in found.items()} for name, found in results.items()}
    baseline = medians.get(_BASELINE)
    for name, found in medians.items():
        cells = (
            f"{speed:15.0f}{speed / baseline[senders]:10.2f}" if baseline else f"{speed:15.0f}{'-':>10}"
            for senders, speed in found.items()
        )
        print(f"{name:22}" + "".join(cells))
    spread = [max(speeds) / min(speeds) for found in results.values() for speeds in found.values()]
    print(
        f"medians; between rounds they differ by up to a factor of {max(spread):.2f}; target {_TARGET} of {_BASELINE}"
    )


if __name__ == "__main__":
    main()
