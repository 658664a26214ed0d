"""A node killed at random times under load, and what became of all it had acknowledged.

``python -m tests.faults.random_kills [--rounds 20] [--senders 3] [--studies 2] [--seed 1]``

Every round starts a node in a process of its own on the storage of the round before, has several scanners push whole
studies at once (and again what was not acknowledged), and ends it by SIGKILL: after a random number of instances and a
random moment more. The stand-in archive lives through all of it. The last life is undisturbed and ends by SIGTERM.
The seed fixes what is drawn, not what the scheduler makes of it. Exit 1 when anything is lost.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from model.bundle import write_bundle
from model.labels import Territory
from node.dicom.files import content_of
from node.settings import Settings
from node.storage.ledger import Ledger
from node.storage.spool import content_sha256
from tests.faults.serving import Served, assert_in_order
from tests.flow.site import Archive, Study, a_study, free_port, items_of, scanner, settled, wait_until, write_config
from tests.tiny_bundle import tiny_bundle

PATIENCE = 400.0
LONGEST_DELAY = 1.5  # seconds from the drawn instance to the kill: reading, making and sending lie in there


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much, and how often it is killed."""

    rounds: int = 3
    senders: int = 3
    studies: int = 1  # new ones for each sender in each round
    seed: int = 1


@dataclass(kw_only=True)
class Found:
    """What came of it; ``lost`` and ``wrong`` say what went wrong in words."""

    kills: int = 0
    acknowledged: int = 0
    studies: int = 0
    versions: int = 0
    sent_again: int = 0  # objects that came twice: a kill fell between their arrival and its record
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Pushed:
    """One study of one scanner, and what of it was acknowledged."""

    study: Study
    calling: str
    kept: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        return len(self.kept) == len(self.study.images)

    def send(self, port: int) -> None:
        """What is not acknowledged yet, over one association."""
        rest = [item for item in items_of(self.study.images) if item.sop_uid not in self.kept]
        with suppress(OSError):
            self.kept |= {one.sop_uid for one in scanner(port, self.calling).send(rest) if one.delivered}


class Rounds:
    """The lives of one storage root."""

    def __init__(self, folder: Path, bundle: Path, archive: Archive, load: Load) -> None:
        self._folder, self._archive, self._load = folder, archive, load
        self._random = random.Random(load.seed)
        self._port = free_port()
        self._pushed: list[Pushed] = []
        self._config = write_config(
            folder,
            [archive.destination()],
            scp={"port": self._port},
            series={"quiet_seconds": 3.0},
            reader={"bundle": str(bundle)},
            log={"level": "INFO"},
        )
        self._settings = Settings.load(self._config, {})
        self.found = Found()

    def run(self) -> Found:
        for number in range(self._load.rounds):
            self._add_studies(number)
            self._round(number)
        self._last_life()
        self._judge()
        return self.found

    def _ledger(self) -> Ledger:
        return Ledger(self._settings.storage.database_url)

    def _add_studies(self, number: int) -> None:
        for sender in range(self._load.senders):
            for turn in range(self._load.studies):
                study = a_study(f"{self._load.seed}-{number}-{sender}-{turn}", calcium=self._random.random() < 0.8)
                self._pushed.append(Pushed(study=study, calling=f"CT{sender:02d}"))

    def _push(self) -> list[threading.Thread]:
        """Every scanner sends what is not acknowledged, its studies one after the other."""

        def push(mine: Sequence[Pushed]) -> None:
            for one in mine:
                if not one.whole:
                    one.send(self._port)

        names = sorted({one.calling for one in self._pushed})
        threads = [
            threading.Thread(target=push, args=([one for one in self._pushed if one.calling == name],))
            for name in names
        ]
        for thread in threads:
            thread.start()
        return threads

    def _round(self, number: int) -> None:
        served = Served(self._config, self._folder / f"life-{number}.log", forked=True)
        missing = sum(len(one.study.images) - len(one.kept) for one in self._pushed)
        at, delay = self._random.randint(1, missing), self._random.uniform(0.0, LONGEST_DELAY)
        try:
            served.wait_ready(PATIENCE)
            with self._ledger() as ledger:
                before = _kept(ledger)
                threads = self._push()
                wait_until(lambda: _kept(ledger) >= before + at or not _running(threads), PATIENCE)
            time.sleep(delay)
            assert served.process.poll() is None, served.said()
            served.process.send_signal(signal.SIGKILL)
            assert served.wait_end() == -signal.SIGKILL
            self.found.kills += 1
        finally:
            served.kill()
        for thread in threads:
            thread.join()
        self._look_for_losses(f"after kill {number + 1}")

    def _look_for_losses(self, when: str) -> None:
        """Everything that was acknowledged has its row, and the row its file with just those bytes."""
        root = self._settings.storage.root
        with self._ledger() as ledger:
            for one in self._pushed:
                for uid in one.kept:
                    stored = ledger.find_instance(uid)
                    path = None if stored is None else root / stored.path
                    if stored is None or path is None or not path.is_file():
                        self.found.lost.append(f"{when}: {uid}")
                        continue
                    held = content_of(path.read_bytes()).dataset
                    if content_sha256(stored.instance.transfer_syntax_uid, held) != stored.sha256:
                        self.found.lost.append(f"{when}: {uid} is not what was sent")

    def _last_life(self) -> None:
        served = Served(self._config, self._folder / "last-life.log", forked=True)
        try:
            served.wait_ready(PATIENCE)
            for thread in self._push():
                thread.join()
            with self._ledger() as ledger:
                wait_until(lambda: settled(ledger), PATIENCE)
            assert served.stop(PATIENCE) == 0, served.said()
        finally:
            served.kill()

    def _judge(self) -> None:
        found = self.found
        found.studies = len(self._pushed)
        found.acknowledged = sum(len(one.kept) for one in self._pushed)
        found.lost += [f"not taken at all: {one.calling}" for one in self._pushed if not one.whole]
        self._look_for_losses("at the end")
        try:
            assert_in_order(self._config, declined=True)
        except AssertionError as error:
            found.wrong.append(f"debris, or work undone: {error}")
        with self._ledger() as ledger:
            for one in self._pushed:
                self._judge_study(ledger, one.study)

    def _judge_study(self, ledger: Ledger, study: Study) -> None:
        """Each version that was read came to the archive, each of its objects with one content; nothing else came."""
        record = ledger.find_series(study.series_uid)
        generations = 0 if record is None else record.generation
        self.found.versions += generations
        made = {one.sop_uid for n in range(generations) for one in ledger.objects(study.series_uid, n + 1)}
        arrived = self._archive.of(study)
        contents = {(one.sop_uid, one.file.read_bytes()) for one in arrived}
        self.found.sent_again += len(arrived) - len(contents)
        whole = ledger.verdict(study.series_uid, generations)
        if whole is None or not whole.eligible or not ledger.objects(study.series_uid, generations):
            self.found.lost.append("a whole study was not answered")
        if {uid for uid, _ in contents} != made or len(contents) != len(made):
            self.found.wrong.append(f"{len(made)} objects made, {len(contents)} different ones at the archive")


def _kept(ledger: Ledger) -> int:
    count = ledger.status()["instances"]
    assert isinstance(count, int)
    return count


def _running(threads: Sequence[threading.Thread]) -> bool:
    return any(thread.is_alive() for thread in threads)


def random_kills(folder: Path, bundle: Path, load: Load) -> Found:
    """Run the rounds below ``folder``."""
    with Archive(folder / "archive") as archive:
        return Rounds(folder, bundle, archive, load).run()


def in_rounds(folder: Path, load: Load) -> Found:
    """As :func:`random_kills`, with a bundle of its own."""
    write_bundle(folder / "bundle", tiny_bundle(finds=Territory.LAD), "A card.")
    return random_kills(folder, folder / "bundle", load)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="random_kills", description=(__doc__ or "").partition("\n")[0])
    for name, default in (("rounds", 20), ("senders", 3), ("studies", 2), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    load = Load(**vars(parser.parse_args(arguments)))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = in_rounds(Path(folder), load)
    sys.stdout.write(
        f"kills {found.kills}, acknowledged {found.acknowledged}, studies {found.studies}, versions {found.versions}, "
        f"sent again {found.sent_again}, lost {len(found.lost)}, wrong {len(found.wrong)}, "
        f"{time.monotonic() - began:.0f} s\n"
    )
    for line in (*found.lost, *found.wrong):
        sys.stdout.write(f"  {line}\n")
    return 1 if found.lost or found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
