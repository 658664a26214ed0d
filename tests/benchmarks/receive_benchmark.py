"""How many images a second are received, beside dcmtk, Orthanc and pynetdicom's own storescp.

    PYTHONPATH=. python tests/benchmarks/receive_benchmark.py [--images N] [--rounds N] [--root DIR]

The same storescu of dcmtk sends to all of them in turn, round by round, over one association and over four at once:
CT images of 512 x 512 (0.53 MB), PDUs of 128 KB, TCP_NODELAY at both ends. This node answers success after the file
and its directory are synced and the ledger row is committed; none of the others syncs anything. The
second half of the table therefore counts until everything is on the disk, by ``sync`` after the last answer. The last
line is what the disk alone takes of this node: the same files, written and synced one after the other (or by four
threads) without a network, a parser or a ledger. Nothing that syncs as this node does can be faster than that.

What the receiving path is made of, by what it cost (calls in the network thread, profiled: 9,100 an image before, 3,400
after; processor time of the process 7.7 ms an image before, 3 to 5 after, on a machine busy with other things):

- C-STOREs past the library's messages (``node/dicom/lane.py``): it makes data sets of command sets, and copies each PDU
  five times. Half of all that was done for an image. Taken.
- Waiting for the socket instead of sleeping a millisecond a turn, in both threads of an association
  (``node/dicom/reactor.py``). Taken: no sleep between two images, and idle associations cost next to nothing.
- The statements of receiving built once, and run past the library (``node/storage/prepared.py``): with caches full of
  pixels its way to the driver took 0.2 ms a statement. Taken: 0.5 ms an image less, a quarter to a third more images.
- Rows that come at once in one transaction (``Database.together``): one sync of the write-ahead log for all that wait.
  Taken; of no use to one association.
- Asking the ledger before a file is written whether it is known already: a read of 0.03 ms. Kept, so that a peer that
  repeats itself writes nothing.
- The file synced after it has its final name, so that the file system commits its journal once: not taken. On an idle
  disk it gains nothing (0.80 ms instead of 0.82), and a power cut could leave a torn file under a final name.
- A process for each listener: not taken. Two or four whole nodes, each with a ledger of its own so that nothing is
  shared at all, took what one node took from the same four senders (297 to 442 images a second against 289 to 367, in
  changing order): on two cores the processor is what is short.
- Fewer syncs (one for several images of an association, or none for the directory): not taken. 0x0000 means kept.

What is left: the disk alone, with 1.7 and 1.25 ms an image in two runs (the last line of the table), where half of
dcmtk's speed allows 1.85 and 1.80; then sender and wire with 0.5 ms, the row 0.3, SHA-256 0.3, the header 0.2, and
Python the rest.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node.storage.durable import DurableFiles
from tests.benchmarks.receivers import ENVIRONMENT, RECEIVERS, Running
from tests.dicom_series import Style, ct_series, thorax, write_series

_STORESCU = Path("/usr/bin/storescu")
_SENDERS = (1, 4)
_SLICES = 48
_BASELINE = "dcmtk storescp"
_TARGET = 0.5
_IMAGE_BYTES = 530_000

Results = dict[str, dict[int, list[tuple[float, float]]]]


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


def rates(one: Running, folders: list[Path], images: int) -> tuple[float, float]:
    """Images a second with a sender for each folder, all at once: until the last answer, until all is on the disk.

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
    answered = time.perf_counter() - began
    os.sync()
    synced = time.perf_counter() - began
    kept = one.kept() - before
    if any(codes) or kept != images * len(folders):
        raise RuntimeError(f"senders ended with {codes}; {kept} of {images * len(folders)} images were kept")
    return kept / answered, kept / synced


def disk_alone(images: int, writers: int, root: Path) -> float:
    """Files a second that are kept durably, by as many threads, with nothing else done for an image."""
    data = secrets.token_bytes(_IMAGE_BYTES)
    with tempfile.TemporaryDirectory(dir=root) as folder, ThreadPoolExecutor(writers) as threads:
        files = DurableFiles(Path(folder), "spool", faults="receive")
        os.sync()
        began = time.perf_counter()
        kept = list(threads.map(lambda n: files.write(f"spool/{n % writers}/{n}", (data,)), range(images * writers)))
        return len(kept) / (time.perf_counter() - began)


def measured(name: str, folders: list[Path], images: int, root: Path) -> dict[int, tuple[float, float]]:
    """By the number of senders: :func:`rates` of one receiver, started anew."""
    start, _ = RECEIVERS[name]
    found = {}
    for senders in _SENDERS:
        with tempfile.TemporaryDirectory(dir=root) as folder, start(Path(folder)) as one:
            found[senders] = rates(one, folders[:senders], images)
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
    results: Results = {name: {count: [] for count in _SENDERS} for name in wanted}
    floor: dict[int, list[float]] = {count: [] for count in _SENDERS}
    with tempfile.TemporaryDirectory(dir=given.root) as folder:
        folders = scans(Path(folder), given.images)
        for _ in range(given.rounds):
            for writers, speeds in floor.items():
                speeds.append(disk_alone(given.images, writers, given.root))
            for name in wanted:
                for senders, speed in measured(name, folders, given.images, given.root).items():
                    results[name][senders].append(speed)
    _print(results)
    alone = "".join(f"{statistics.median(speeds):11.0f}{'':9}" for speeds in floor.values())
    print(f"{'this disk alone, files synced as here':40}{alone}".rstrip())


def _print(results: Results) -> None:
    for which, words in enumerate(("images a second until the last answer", "until all is on the disk")):
        print(f"{words:40}" + "".join(f"{senders:>4} assoc.  / dcmtk" for senders in _SENDERS))
        medians = {
            name: {senders: statistics.median(pair[which] for pair in pairs) for senders, pairs in found.items()}
            for name, found in results.items()
        }
        baseline = medians.get(_BASELINE)
        for name, found in medians.items():
            cells = (
                f"{speed:11.0f}{speed / baseline[senders]:9.2f}" if baseline else f"{speed:11.0f}{'-':>9}"
                for senders, speed in found.items()
            )
            print(f"{name:40}" + "".join(cells))
    answered = [[pair[0] for pair in pairs] for found in results.values() for pairs in found.values()]
    spread = max(max(speeds) / min(speeds) for speeds in answered)
    print(f"medians; rounds differ by up to a factor of {spread:.2f}; target: {_TARGET} of {_BASELINE}")


if __name__ == "__main__":
    main()
