"""Compare: our reading of a study against the human's that counts. Whichever comes last starts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import structlog

from node.domain.cases import NewComparison
from node.domain.comparison_json import limits_sha256
from node.domain.discrepancy import OurRead, compare
from node.domain.eligibility import judge
from node.domain.errors import Unreadable
from node.domain.faults import fault
from node.domain.findings import Findings
from node.domain.notices import channels_for
from node.domain.policy import Policy
from node.domain.ranking import rank
from node.domain.read_history import StoredRead
from node.domain.reading_json import loads
from node.domain.records import Outcome, StoredReading
from node.domain.tiers import Limits, Tier
from node.domain.work import Work, WorkState
from node.stages.release import Releaser
from node.storage.storage import Storage

Clock = Callable[[], datetime]

_log = structlog.get_logger(__name__)
_WITHDRAWN = (
    "the human read was withdrawn or discarded: what was sent because of it stays sent; what has not left yet, "
    "and what is made from now on, waits for another"
)


class Comparer:
    """Compares one generation of a series, if it is the one of its study to be compared.

    Parameters
    ----------
    channels
        Who is told of cases, and of which tiers.

    """

    def __init__(
        self,
        *,
        storage: Storage,
        policy: Policy,
        limits: Limits,
        releaser: Releaser,
        clock: Clock,
        channels: Mapping[str, frozenset[Tier]] = MappingProxyType({}),
    ) -> None:
        self._storage = storage
        self._policy = policy
        self._limits = limits
        self._releaser = releaser
        self._clock = clock
        self._channels = channels

    def __call__(self, work: Work) -> Outcome:
        """The comparison, and what it releases; or why there is nothing to compare. Repeating it changes nothing."""
        fault("compare.before-effect")
        outcome = self._outcome(work)
        fault("compare.after-effect")
        return outcome

    def _outcome(self, work: Work) -> Outcome:
        ledger = self._storage.ledger
        series = ledger.find_series(work.series_uid)
        reading = ledger.reading(work.series_uid, work.generation)
        if series is None or reading is None:
            raise Unreadable("there is no reading to compare")
        if series.generation != work.generation:
            return Outcome(reasons=("more slices have come since: the newer reading is compared",))
        human = ledger.effective_read(series.study_uid)
        if human is None:
            return self._without_read(work, series.study_uid)
        if not self._is_meant(work.series_uid, series.study_uid, human):
            return Outcome(reasons=("another series of the study is compared",))
        return self._compare(work, series.study_uid, reading, human)

    def _without_read(self, work: Work, study_uid: str) -> Outcome:
        """Nothing to compare: no read has come, or the one that was compared was taken back."""
        before = self._storage.ledger.comparisons_of(study_uid)
        if not any((one.series_uid, one.generation) == (work.series_uid, work.generation) for one in before):
            return Outcome(reasons=("no human read has come",))
        return Outcome(
            state=WorkState.DECLINED,  # so that the page says why
            reasons=(_WITHDRAWN,),
            releases=self._releaser.after_withdrawal(self._clock()),
        )

    def _compare(self, work: Work, study_uid: str, reading: StoredReading, human: StoredRead) -> Outcome:
        findings = loads(self._storage.outbox.read(reading.findings))
        if not isinstance(findings, Findings):
            raise Unreadable("the stored reading is that of a declined series")
        comparison = compare(our_read(findings), human.read, self._limits)
        _log.info(
            "reads compared",
            series=work.series_uid,
            generation=work.generation,
            read=human.id,
            tier=str(comparison.tier),
        )
        new = NewComparison(
            study_uid=study_uid,
            series_uid=work.series_uid,
            generation=work.generation,
            read_id=human.id,
            limits_sha256=limits_sha256(self._limits),
            comparison=comparison,
            model_sha256=findings.model.sha256,
            model_version=findings.model.version,
            tell=channels_for(comparison.tier, self._channels),
        )
        return Outcome(comparison=new, releases=self._releaser.after_comparison(comparison.tier, self._clock()))

    def _is_meant(self, series_uid: str, study_uid: str, human: StoredRead) -> bool:
        """Whether this is the series that the human read names, or else the best that was read of the study."""
        read = self._read_series(study_uid)
        named = human.read.study.series_uid
        return series_uid == (named if named in read else min(read, key=lambda uid: self._place(uid, read[uid])))

    def _read_series(self, study_uid: str) -> dict[str, int]:
        """The series of a study whose present generation is read, and that generation."""
        ledger = self._storage.ledger
        present = {one.series_uid: one.generation for one in ledger.study_series(study_uid)}
        return {uid: number for uid, number in present.items() if ledger.reading(uid, number) is not None}

    def _place(self, series_uid: str, generation: int) -> tuple[bool, object, str]:
        members = self._storage.ledger.members(series_uid, generation)
        chosen = judge([stored.instance for stored in members], self._policy).chosen
        return chosen is None, () if chosen is None else rank(chosen, self._policy), series_uid


def our_read(findings: Findings) -> OurRead:
    """What of a reading is compared."""
    doubts = findings.quality.get("doubts")
    return OurRead(
        series_uid=findings.series_uid,
        agatston={region: score.agatston for region, score in findings.scores.items()},
        lesions=findings.lesions,
        profile=findings.definition.profile,
        kvp=findings.definition.kvp,
        interval=findings.interval.get("CAC"),
        doubts=tuple(str(one) for one in doubts) if isinstance(doubts, list | tuple) else (),
    )
