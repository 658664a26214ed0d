"""Notify: a case to one channel. Nothing that was read, compared or is to be delivered waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from node.domain.cases import Case, CaseState
from node.domain.errors import NodeError, Unreadable
from node.domain.faults import fault
from node.domain.notices import Notice, NoticeSubject, Told, link_to, notice_key, plain_accession
from node.domain.records import NewWork, Outcome
from node.domain.work import Stage, Work, WorkState
from node.stages.tracing import tracing
from node.storage.ledger import Ledger

_log = structlog.get_logger(__name__)


class Channel(Protocol):
    """A way to somebody: e-mail or webhook."""

    def send(self, notice: Notice, only: str = "") -> Told:
        """Send a notice to everybody of the channel, or to the one with the mark ``only``. Raises NodeError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRules:
    """What all notices of a node share.

    Attributes
    ----------
    node
        Stands for this installation in the keys of its notices.
    link
        Address of a case with ``{case}`` in it, or "".
    accession
        Whether a notice holds the accession number.

    """

    node: str
    link: str = ""
    accession: bool = False


class Notifier:
    """Tells one channel.

    A notice whose end was not recorded is sent again under the same key: an e-mail has it as its Message-ID, a POST as
    its idempotency key. A case that was decided or compared anew in the meantime is told to nobody any more.
    """

    def __init__(self, *, name: str, ledger: Ledger, channel: Channel, rules: NoticeRules) -> None:
        self._name = name
        self._ledger = ledger
        self._channel = channel
        self._rules = rules

    def __call__(self, works: Sequence[Work]) -> list[Outcome | Exception]:
        """The end of each notice: done, or the error that says whether to try again."""
        return [self._end(work) for work in works]

    def _end(self, work: Work) -> Outcome | Exception:
        fault("notify.before-effect")
        try:
            subject = NoticeSubject.of(work.object_uid)
            case = self._ledger.case(subject.case)
            if case is None:
                raise Unreadable("there is no such case to tell of")
            settled = _settled(case)
            if settled:
                return Outcome(state=WorkState.DECLINED, reasons=(settled,))
            told = self._channel.send(self._notice(case), subject.recipient)
        except NodeError as error:
            return error
        fault("notify.after-effect")
        with tracing(case.row.study_uid):
            _log.info("notice sent", channel=self._name, case=case.row.id, note=told.note or None)
        return Outcome(
            reasons=(told.note,) if told.note else (),
            followers=tuple(_alone(work, subject, mark) for mark in told.failed),
        )

    def _notice(self, case: Case) -> Notice:
        row, rules = case.row, self._rules
        return Notice(
            key=notice_key(node=rules.node, channel=self._name, case=row.id, made_at=row.made_at),
            made_at=row.made_at,
            tier=row.tier,
            case=row.id,
            link=link_to(rules.link, row.id),
            accession=plain_accession(row.accession) if rules.accession else "",
        )


def _settled(case: Case) -> str:
    """Why nobody needs to be told any more, or ""."""
    if not case.latest:
        return "the reads were compared anew, or the human read was withdrawn, before the notice went out"
    if case.row.state is not CaseState.OPEN:
        return "the case was decided before the notice went out"
    return ""


def _alone(work: Work, subject: NoticeSubject, mark: str) -> NewWork:
    """The same notice to a recipient who was refused while others were not."""
    return NewWork(
        stage=Stage.NOTIFY,
        series_uid=work.series_uid,
        generation=work.generation,
        object_uid=str(NoticeSubject(subject.case, mark)),
        destination=work.destination,
    )
