"""Write back: a person's decision on a flagged case as the next version of the report, to whoever asks for it."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from node.dicom.outcome_report import build_outcome
from node.dicom.request import PredecessorRef, Role, StoredObject
from node.domain.cases import Case
from node.domain.errors import NotYet, Retryable, Unreadable
from node.domain.faults import fault
from node.domain.records import NewWork, Outcome, StoredAnswer, WorkRecord, WrittenBack
from node.domain.review import Decision
from node.domain.settlement import Disclosure, settlement_of
from node.domain.work import Stage, Work, WorkState
from node.stages.made_objects import keep
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)
_UNFINISHED = frozenset((WorkState.PENDING, WorkState.CLAIMED))
_NO_REPORT = "no measurement report was made of this reading: there is nothing to write a new version of"


class WriteBack:
    """Makes one version of the report for every version of a decision, each naming the one before.

    Release policies have no say here: the case is settled, nobody is biased any more.

    Parameters
    ----------
    destinations
        Names of those that are told.
    disclosure
        What they are told beside the outcome itself.

    """

    def __init__(
        self, *, storage: Storage, destinations: Collection[str], disclosure: Disclosure, software_version: str
    ) -> None:
        self._storage = storage
        self._destinations = tuple(sorted(destinations))
        self._disclosure = disclosure
        self._software_version = software_version

    def __call__(self, work: Work) -> Outcome:
        """The new version, and its deliveries. The same decision gives the same object again.

        Raises
        ------
        NotYet, Retryable
            An earlier decision, or the report itself, is still being made.
        Unreadable
            The decision or the report is not to be had.

        """
        fault("write-back.before-effect")
        outcome = self._outcome(work) if self._destinations else Outcome(reasons=("no destination asks for outcomes",))
        fault("write-back.after-effect")
        return outcome

    def _outcome(self, work: Work) -> Outcome:
        number = int(work.object_uid)
        case, decision = self._decided(number)
        beside = self._storage.ledger.series_work(work.series_uid, work.generation)
        self._wait_for_earlier(number, beside)
        written = self._storage.ledger.written_back(work.series_uid, work.generation)
        if any(one.decision_id > number for one in written):
            return _declined("a later version of the decision was written back before this one could be")
        report = self._report(work, beside)
        if report is None:
            return _declined(_NO_REPORT)
        made = self._make(case, decision, report, written)
        _log.info("outcome written", series=work.series_uid, generation=work.generation, decision=decision.version)
        return Outcome(
            objects=(keep(self._storage.outbox, work, made),),
            written=WrittenBack(
                decision_id=number, series_uid=work.series_uid, generation=work.generation, sop_uid=made.sop_uid
            ),
            followers=tuple(self._delivery(work, made, name) for name in self._destinations),
        )

    def _decided(self, number: int) -> tuple[Case, Decision]:
        place = self._storage.ledger.decided(number)
        case = None if place is None else self._storage.ledger.case(place[0])
        if place is None or case is None:
            raise Unreadable("there is no such decision to write back")
        return case, case.decisions[place[1] - 1]

    @staticmethod
    def _wait_for_earlier(number: int, beside: tuple[WorkRecord, ...]) -> None:
        for one in beside:
            same = one.work.stage is Stage.WRITE_BACK and int(one.work.object_uid) < number
            if same and one.state in _UNFINISHED:
                raise NotYet("an earlier version of the decision is still to be written back")

    def _report(self, work: Work, beside: tuple[WorkRecord, ...]) -> StoredAnswer | None:
        """The report that was made of the reading, None if none was."""
        made = self._storage.ledger.objects(work.series_uid, work.generation)
        report = next((one for one in made if one.role == Role.SR), None)
        publishing = {one.state for one in beside if one.work.stage is Stage.PUBLISH}
        if report is None and publishing & _UNFINISHED:
            raise Retryable("the report on the reading is still being made")
        if report is None and WorkState.PARKED in publishing:
            raise Unreadable("the report on the reading could not be made: have that retried first")
        return report

    def _make(
        self, case: Case, decision: Decision, report: StoredAnswer, written: tuple[WrittenBack, ...]
    ) -> StoredObject:
        ledger = self._storage.ledger
        reviewer = ledger.user(decision.reviewer)
        role = "" if reviewer is None else str(reviewer.role)
        before = (ledger.object(written[-1].sop_uid) if written else None) or report
        return build_outcome(
            self._storage.outbox.read(report.kept),
            settlement_of(case.comparison, decision, role, self._disclosure),
            PredecessorRef(
                series_uid=before.made_series_uid, sop_class_uid=before.sop_class_uid, sop_uid=before.sop_uid
            ),
            model_sha256=case.model_sha256,
            software_version=self._software_version,
        )

    @staticmethod
    def _delivery(work: Work, made: StoredObject, destination: str) -> NewWork:
        return NewWork(
            stage=Stage.DELIVER,
            series_uid=work.series_uid,
            generation=work.generation,
            object_uid=made.sop_uid,
            destination=destination,
        )


def _declined(reason: str) -> Outcome:
    return Outcome(state=WorkState.DECLINED, reasons=(reason,))
