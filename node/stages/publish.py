"""Publish: a reading into DICOM objects, made once, kept in the outbox, and one delivery per object and destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import numpy as np
import structlog

from node.dicom.answers import build_answers
from node.dicom.references import read_source
from node.dicom.request import NodeIdentity, PredecessorRef, Request, Role, StoredObject
from node.domain.eligibility import judge
from node.domain.errors import Unreadable
from node.domain.faults import fault
from node.domain.findings import Findings
from node.domain.policy import Policy
from node.domain.reading_json import loads
from node.domain.records import NewWork, Outcome, StoredReading
from node.domain.release import Release
from node.domain.verdict import Verdict
from node.domain.work import Stage, Work
from node.stages.labels_file import unpack_labels
from node.stages.made_objects import keep
from node.stages.reading import paths_of, received_files, volume_of
from node.stages.release import Releaser
from node.storage.storage import Storage

Clock = Callable[[], datetime]

_log = structlog.get_logger(__name__)


class Publisher:
    """Makes the answers to one reading.

    Parameters
    ----------
    wanted
        For each destination, the roles it gets.
    releaser
        Which of them are kept waiting; None: nobody.

    """

    def __init__(
        self,
        *,
        storage: Storage,
        policy: Policy,
        identity: NodeIdentity,
        wanted: Mapping[str, frozenset[Role]],
        clock: Clock,
        releaser: Releaser | None = None,
    ) -> None:
        self._storage = storage
        self._policy = policy
        self._identity = identity
        self._wanted = wanted
        self._clock = clock
        self._releaser = releaser

    def __call__(self, work: Work) -> Outcome:
        """The stored objects, and DELIVER work for each destination that wants them."""
        fault("publish.before-effect")
        reading = self._storage.ledger.reading(work.series_uid, work.generation)
        if reading is None:
            raise Unreadable("there is no reading to publish")
        request = self._request(work, reading)
        roles = frozenset().union(*self._wanted.values()) or frozenset((Role.SEG, Role.SR, Role.SUMMARY))
        made = build_answers(request, roles)
        objects = tuple(keep(self._storage.outbox, work, one) for one in made)
        _log.info(
            "answers made", series=work.series_uid, generation=work.generation, roles=[str(one.role) for one in made]
        )
        fault("publish.after-effect")
        return Outcome(objects=objects, followers=(*self._deliveries(work, made), *self._comparison(work)))

    def _request(self, work: Work, reading: StoredReading) -> Request:
        members = self._storage.ledger.members(work.series_uid, work.generation)
        paths = {stored.instance.sop_uid: self._storage.spool.path(stored.path) for stored in members}
        verdict: Verdict = judge([stored.instance for stored in members], self._policy)
        if verdict.chosen is None:
            raise Unreadable("the stack that was read is no longer eligible under the present settings")
        findings = loads(self._storage.outbox.read(reading.findings))
        if not isinstance(findings, Findings):
            raise Unreadable("the stored reading is that of a declined series")
        loaded = volume_of(verdict.chosen, paths, self._policy)
        volume, planes = loaded.volume, tuple(zip(loaded.sop_uids, loaded.frames, strict=True))
        labels = (
            np.zeros(volume.grid.shape, dtype=np.uint8)
            if reading.mask is None
            else unpack_labels(self._storage.outbox.read(reading.mask))
        )
        with received_files():
            source = read_source(paths_of(verdict.chosen, paths), planes)
        return Request(
            findings=findings,
            labels=labels,
            hu=volume.hu,
            source=source,
            identity=self._identity,
            settings_sha256=reading.settings_sha256,
            made_at=self._clock(),
            generation=work.generation,
            predecessors=self._predecessors(work),
        )

    def _predecessors(self, work: Work) -> dict[Role, PredecessorRef]:
        """The newest earlier version of each object; a generation that was declined made none.

        What told of a decision is none of them: the decision was on the reads of that generation.
        """
        found: dict[Role, PredecessorRef] = {}
        for generation in range(1, work.generation):
            for answer in self._storage.ledger.objects(work.series_uid, generation):
                if answer.role != Role.OUTCOME:
                    found[Role(answer.role)] = PredecessorRef(
                        series_uid=answer.made_series_uid, sop_class_uid=answer.sop_class_uid, sop_uid=answer.sop_uid
                    )
        return found

    def _deliveries(self, work: Work, made: tuple[StoredObject, ...]) -> list[NewWork]:
        now = self._clock()
        decisions = {name: self._release(name, now) for name in self._wanted}
        return [
            NewWork(
                stage=Stage.DELIVER,
                series_uid=work.series_uid,
                generation=work.generation,
                object_uid=one.sop_uid,
                destination=destination,
                not_before=decisions[destination].until,
                held="" if decisions[destination].send else decisions[destination].reason,
            )
            for destination, roles in self._wanted.items()
            for one in made
            if one.role in roles
        ]

    def _release(self, destination: str, now: datetime) -> Release:
        return Release(send=True) if self._releaser is None else self._releaser.at_making(destination, now)

    def _comparison(self, work: Work) -> list[NewWork]:
        """Once more where something is held: what was compared in the meantime did not see it yet."""
        if self._releaser is None or not self._releaser.holds:
            return []
        return [NewWork(stage=Stage.COMPARE, series_uid=work.series_uid, generation=work.generation, repeat=True)]
