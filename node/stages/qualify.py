"""Qualify: whether a series is a calcium scan, and the right one of its acquisition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import structlog

from node.dicom.study_facts import study_facts
from node.domain.eligibility import judge
from node.domain.errors import Malformed, NotYet
from node.domain.faults import fault
from node.domain.policy import Policy
from node.domain.ranking import Candidate, choose_reconstruction
from node.domain.records import NewWork, Outcome, StoredVerdict
from node.domain.series import SeriesRecord, SeriesState
from node.domain.studies import StudyFacts
from node.domain.verdict import Verdict
from node.domain.work import Stage, Work, WorkState
from node.stages.human_objects import HumanObjects, Offered
from node.storage.ledger import Ledger
from node.storage.spool import Spool

_log = structlog.get_logger(__name__)


class Qualifier:
    """Judges a generation of a series by its headers, beside the other series of its study."""

    def __init__(
        self, ledger: Ledger, policy: Policy, spool: Spool | None = None, humans: HumanObjects | None = None
    ) -> None:
        self._ledger = ledger
        self._humans = humans
        self._spool = spool
        self._policy = policy

    def __call__(self, work: Work) -> Outcome:
        """The verdict, and READ work if it is favourable. NotYet while another reconstruction is still arriving."""
        fault("qualify.before-effect")
        verdict = self._judge(work.series_uid, work.generation)
        if verdict.eligible:
            verdict = self._beside_siblings(work, verdict)
        texts = verdict.note_texts if verdict.eligible else verdict.reason_texts
        _log.info(
            "series qualifies" if verdict.eligible else "series declined",
            series=work.series_uid,
            generation=work.generation,
            reasons=texts,
        )
        if not verdict.eligible:
            texts = self._offered(work, texts)  # not logged: what is wrong with a report may quote it
        fault("qualify.after-effect")
        return Outcome(
            state=WorkState.DONE if verdict.eligible else WorkState.DECLINED,
            reasons=() if verdict.eligible else texts,
            verdict=StoredVerdict(
                series_uid=work.series_uid, generation=work.generation, eligible=verdict.eligible, reasons=texts
            ),
            study=self._study(work),
            followers=tuple(self._followers(work)) if verdict.eligible else (),
            kinds=tuple(dict.fromkeys(str(one.reason) for one in verdict.reasons)),
        )

    def _offered(self, work: Work, texts: tuple[str, ...]) -> tuple[str, ...]:
        """What is said of a series that is not read: that people's reads in it were taken, or every reason."""
        members = self._ledger.members(work.series_uid, work.generation)
        offered = Offered() if self._humans is None else self._humans.offer(members)
        if offered.taken and not offered.faults:
            return offered.taken
        return (*offered.taken, *texts, *offered.faults)

    def _followers(self, work: Work) -> Iterator[NewWork]:
        """Reading the scan; and another look at masks that people drew on it and that came before it."""
        yield NewWork(stage=Stage.READ, series_uid=work.series_uid, generation=work.generation)
        own = self._ledger.find_series(work.series_uid)
        if own is not None and self._humans is not None:
            for one in self._humans.waiting(own.study_uid):
                yield NewWork(stage=Stage.QUALIFY, series_uid=one.series_uid, generation=one.generation, repeat=True)

    def _study(self, work: Work) -> StudyFacts | None:
        """What the headers say of the study, also of a series that is not read: a human read may be of another one.

        An answer of ours that came back repeats what we were told. A file that cannot be read now is told by READ.
        """
        if self._spool is None:
            return None
        members = self._ledger.members(work.series_uid, work.generation)
        foreign = next((one for one in members if not one.instance.made_by_this_software), None)
        if foreign is None:
            return None
        try:
            facts = study_facts(self._spool.path(foreign.path), foreign.peer.ae_title)
        except (OSError, Malformed):
            _log.warning("what the study is called could not be read", series=work.series_uid)
            return StudyFacts(study_uid=foreign.instance.study_uid)
        return replace(facts, study_uid=foreign.instance.study_uid)

    def _judge(self, series_uid: str, generation: int) -> Verdict:
        members = self._ledger.members(series_uid, generation)
        return judge([stored.instance for stored in members], self._policy)

    def _beside_siblings(self, work: Work, verdict: Verdict) -> Verdict:
        siblings = self._siblings(work)
        if any(self._may_compete(sibling) for sibling in siblings if sibling.state is SeriesState.OPEN):
            raise NotYet("another CT series of the study is still arriving")
        rivals = (
            Candidate(series_uid=one.series_uid, verdict=self._judge(one.series_uid, one.generation))
            for one in siblings
            if one.generation > 0
        )
        candidates = [Candidate(series_uid=work.series_uid, verdict=verdict), *rivals]
        return choose_reconstruction(candidates, self._policy)[work.series_uid]

    def _siblings(self, work: Work) -> Iterable[SeriesRecord]:
        own = self._ledger.find_series(work.series_uid)
        study = self._ledger.study_series(own.study_uid) if own is not None else ()
        return [record for record in study if record.series_uid != work.series_uid]

    def _may_compete(self, sibling: SeriesRecord) -> bool:
        """Whether an open series holds CT slices; answers of ours coming back, or reports, are not waited for."""
        return any(
            stored.instance.slices and stored.instance.acquisition.modality.strip().upper() == "CT"
            for stored in self._ledger.instances(sibling.series_uid)
        )
