"""A large site's day in minutes: what is lost, whether memory and handles grow, how long answers take.

    PYTHONPATH=. python tests/benchmarks/soak_benchmark.py [--studies 1500] [--real-every 15] [--out DIR]

Studies are sent to a node in a process of its own, from several senders at once, so many unanswered at a time. Most are
small scans (30 slices of 128 x 128) that a stand-in for the model reads; the first three, for warmth, and every
``--real-every``th are of full size (48 slices of 512 x 512) and read by the shipped model; 1 makes all of them so.
Everything else is the whole node: fsync, ledger, stages, segmentation, report and summary, delivery to a stand-in PACS.

After every study a line goes to ``studies.csv`` and every few seconds one to ``samples.csv`` in ``--out``: Ctrl-C ends
the sending, and what there is so far is counted and drawn. Status 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import csv
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node import log
from node.demo.stand_ins import push
from node.domain.errors import NodeError
from node.storage.ledger import Ledger
from tests.benchmarks.charts import draw_curves, summary
from tests.benchmarks.whole_node import AE_TITLE, ANSWERS, NodeProcess, Pacs, Template, full_size, node, small

_PATIENCE_SECONDS = 300.0
_WARM_STUDIES = 3
_WARM_SHARE = 0.25
_GOAL_MB = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One that was sent: when (seconds from the start), whether all of it was taken, and how long the answers took."""

    number: int
    at: float
    slices: int
    real: bool
    taken: bool
    seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The node's process at a moment: seconds from the start, resident memory in MB, open handles, threads."""

    at: float
    memory_mb: float
    handles: int
    threads: int


@dataclass
class Soak:
    """What runs, and what came of it so far."""

    given: argparse.Namespace
    running: NodeProcess
    pacs: Pacs
    began: float = field(default_factory=time.monotonic)
    studies: list[Study] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, numbers: Iterator[int], templates: tuple[Template, Template]) -> None:
        """A sender: one study after the other, each answered before the next."""
        while not self.over.is_set():
            with self.lock:
                number = next(numbers, None)
            if number is None:
                return
            real = number < _WARM_STUDIES or number % self.given.real_every == 0
            scan = templates[real].study(number)
            at = time.monotonic()
            try:
                last = push(scan, self.running.port, AE_TITLE)
            except NodeError:
                self._add(Study(number=number, at=at - self.began, slices=0, real=real, taken=False, seconds=None))
                continue
            came = self.pacs.wait_for(scan.study_uid, _PATIENCE_SECONDS)
            seconds = None if came is None else came - last
            self._add(
                Study(number=number, at=at - self.began, slices=len(scan.items), real=real, taken=True, seconds=seconds)
            )

    def watch(self) -> None:
        """Look at the node's process until the end."""
        path = self.given.out / "samples.csv"
        while not self.over.wait(self.given.sample_seconds):
            try:
                one = sample(self.running.pid, time.monotonic() - self.began)
            except OSError:  # it has ended
                return
            self.samples.append(one)
            append(path, ["at", "memory_mb", "handles", "threads"], [one.at, one.memory_mb, one.handles, one.threads])

    def _add(self, one: Study) -> None:
        with self.lock:
            self.studies.append(one)
            values = [one.number, f"{one.at:.3f}", one.slices, int(one.real), int(one.taken), one.seconds]
            append(self.given.out / "studies.csv", ["number", "at", "slices", "real", "taken", "seconds"], values)
            if len(self.studies) % max(self.given.studies // 10, 1) == 0:
                print(f"{len(self.studies)} of {self.given.studies} studies", flush=True)


def append(path: Path, names: Sequence[str], values: Sequence[Any]) -> None:
    """Add a line to a table."""
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(names)
        writer.writerow(values)


def sample(pid: int, at: float) -> Sample:
    """The process as the system sees it. Raises OSError if it is gone."""
    process = Path(f"/proc/{pid}")
    told = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Sample(
        at=at,
        memory_mb=int(told["VmRSS"].split()[0]) * 1024 / 1e6,
        handles=sum(1 for _ in (process / "fd").iterdir()),
        threads=int(told["Threads"]),
    )


def run(soak: Soak, templates: tuple[Template, Template]) -> None:
    """Send everything, or until Ctrl-C."""
    numbers = iter(range(soak.given.studies))
    senders = [
        threading.Thread(target=soak.send, args=(numbers, templates), daemon=True) for _ in range(soak.given.senders)
    ]
    watcher = threading.Thread(target=soak.watch, daemon=True)
    for thread in (watcher, *senders):
        thread.start()
    try:
        for thread in senders:
            while thread.is_alive():
                thread.join(0.5)
    except KeyboardInterrupt:
        print("stopped; this is what there is so far", flush=True)
        soak.over.set()
        for thread in senders:
            thread.join(_PATIENCE_SECONDS)
    soak.over.set()
    watcher.join(10)


def lost(soak: Soak, root: Path) -> list[str]:
    """What was acknowledged and is not there, answered more or less than once, or parked; in words."""
    sent = sum(one.slices for one in soak.studies if one.taken)
    unanswered = [one.number for one in soak.studies if one.taken and one.seconds is None]
    objects, repeated = soak.pacs.totals()
    expected = ANSWERS * sum(one.taken for one in soak.studies)
    with Ledger(f"sqlite:///{root}/ledger.sqlite") as ledger:
        kept, parked = int(ledger.status()["instances"]), len(ledger.dead_letters())
        missing = sum(not (root / path).is_file() for path in ledger.known_paths())
    checks = {
        f"{sent - kept} of {sent} acknowledged images have no row": kept != sent,
        f"{missing} files that the ledger names are missing": missing,
        f"{len(unanswered)} studies were not answered: {unanswered[:20]}": unanswered,
        f"{objects} objects at the PACS instead of {expected}": objects != expected,
        f"{repeated} objects came more than once": repeated,
        f"{parked} pieces of work are parked": parked,
    }
    return [words for words, wrong in checks.items() if wrong]


def growth(samples: Sequence[Sample], name: str) -> float:
    """How much a value has grown after warm-up, the first quarter: the last fifth against the first, by medians."""
    values = [float(getattr(one, name)) for one in samples]
    warm = values[int(len(values) * _WARM_SHARE) :]
    fifth = max(len(warm) // 5, 1)
    return statistics.median(warm[-fifth:]) - statistics.median(warm[:fifth])


def report(soak: Soak, faults: Sequence[str]) -> None:
    """Print the table and draw the curves."""
    took = time.monotonic() - soak.began
    real = sum(one.real for one in soak.studies)
    print(
        f"{len(soak.studies)} studies in {took / 60:.1f} min ({len(soak.studies) / took * 3600:.0f} an hour), "
        f"{soak.given.senders} at a time; {real} of them of full size and read by the shipped model, the others by a "
        "stand-in"
    )
    refused = sum(not one.taken for one in soak.studies)
    print(f"images acknowledged {sum(one.slices for one in soak.studies)}   studies not taken {refused}")
    print("lost: 0" if not faults else "LOST: " + "; ".join(faults))
    for kind, chosen in (("all", (True, False)), ("shipped model", (True,)), ("stand-in", (False,))):
        seconds = [one.seconds for one in soak.studies if one.seconds is not None and one.real in chosen]
        if seconds:
            print(f"last image to last answer, {kind:14} {summary(seconds)}")
    if len(soak.samples) < 10:
        print("too few samples to tell whether anything grows")
        return
    for name in ("memory_mb", "handles", "threads"):
        last, goal = getattr(soak.samples[-1], name), f"   goal < {_GOAL_MB:.0f}" if name == "memory_mb" else ""
        print(f"{name:10} grown by {growth(soak.samples, name):+.1f} after warm-up, {last:.0f} at the end{goal}")
    draw(soak)


def draw(soak: Soak) -> None:
    """Write the curves as PNG."""
    minutes = [one.at / 60 for one in soak.samples]
    answered = [(one.at / 60, one.seconds) for one in soak.studies if one.seconds is not None]
    path = soak.given.out / "soak.png"
    draw_curves(
        path,
        f"{len(soak.studies)} studies, 1 in {soak.given.real_every} of full size and read by the shipped model",
        (0, max(minutes)),
        {
            "resident memory, MB": (minutes, [one.memory_mb for one in soak.samples]),
            "open handles": (minutes, [one.handles for one in soak.samples]),
            "seconds to the last answer": ([at for at, _ in answered], [seconds for _, seconds in answered]),
        },
    )
    print(f"drawn: {path}")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=40, help="how many in all; 1,500 are a day")
    parser.add_argument("--real-every", type=int, default=20, help="every so manyth is read by the shipped model")
    parser.add_argument("--senders", type=int, default=2, help="studies at a time")
    parser.add_argument("--sample-seconds", type=float, default=1.0, help="between two looks at the process")
    parser.add_argument("--out", type=Path, default=None, help="folder of the tables and the picture")
    return parser.parse_args()


def main() -> None:
    """Soak, print, draw."""
    log.configure("ERROR", "console")
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has it ignored
        signal.signal(number, signal.default_int_handler)
    given = options()
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        given.out = given.out or folder
        given.out.mkdir(parents=True, exist_ok=True)
        for name in ("studies.csv", "samples.csv"):  # of an earlier time
            (given.out / name).unlink(missing_ok=True)
        templates = (small(), full_size())
        pacs = held.enter_context(Pacs().listening())
        with node(folder / "node", pacs.port) as running:
            soak = Soak(given, running, pacs)
            run(soak, templates)
        faults = lost(soak, folder / "node")
        report(soak, faults)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped before anything was sent")
