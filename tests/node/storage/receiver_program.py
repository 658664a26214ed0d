"""A receiver that a fault may kill: ``receiver_program.py ROOT``; prints each UID once success would be answered."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from node.domain.records import NewWork, Outcome
from node.domain.work import Stage
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Outbox, Spool, StorageLock
from tests.node.storage.builders import LEASE, NOW, a_peer, an_answer, an_instance, dataset_of, receive

COUNT = 6


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(root: Path) -> None:
    with StorageLock(root):
        url = f"sqlite:///{root}/ledger.sqlite"
        upgrade(url)
        spool, outbox, ledger = Spool(root, 0), Outbox(root), Ledger(url)
        for number in range(COUNT):
            sop = f"1.2.{number}"
            receive(spool, ledger, an_instance(sop, number=number), dataset_of(sop), a_peer())
            say(sop)
        if ledger.open_series():
            ledger.close_series("1.2", NOW, "geometry")
        say("closed")
        ledger.release_claims(NOW)
        while (work := ledger.claim(NOW, LEASE, [Stage.QUALIFY])) is not None:
            kept = outbox.keep(b"an answer", series_uid="1.2", name="seg", suffix=".dcm")
            follower = NewWork(stage=Stage.READ, series_uid="1.2", generation=1)
            made = replace(an_answer(f"8.{work.claim}"), kept=kept)
            ledger.finish(work, Outcome(objects=(made,), followers=(follower,)), NOW)
        say("finished")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
