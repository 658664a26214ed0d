"""The worklist, the case and the charts: what the page asks of the ledger."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, union

from node.domain.cases import (
    Case,
    CaseFilter,
    CaseOrder,
    CasePage,
    CaseRow,
    CaseState,
    PageOf,
    StatisticsRow,
)
from node.domain.comparison_json import loads
from node.domain.review import ReviewOutcome
from node.domain.tiers import Tier
from node.storage.case_blocks import names_of
from node.storage.comparisons_book import WEIGHT, counts_by_tier, read_pairs
from node.storage.decisions_book import decisions_of
from node.storage.engine import Store
from node.storage.people_tables import audit
from node.storage.review_tables import comparison_contents, comparisons, decisions

_LATEST = comparisons.c.latest.is_(True)
_VIEWED: Final = "case.view"  # as the pages record it
_SORTED_BY: Mapping[CaseOrder, tuple[ColumnElement[Any], ...]] = {
    CaseOrder.TIER: (comparisons.c.weight, comparisons.c.made_at),
    CaseOrder.MADE: (comparisons.c.made_at,),
    CaseOrder.STUDY_DATE: (comparisons.c.study_date,),
    CaseOrder.ACCESSION: (comparisons.c.accession,),
    CaseOrder.SCANNER: (comparisons.c.scanner,),
    CaseOrder.DIFFERENCE: (comparisons.c.difference,),
}


class CasesBook(Store):
    """Cases: the latest comparison of each study."""

    def cases(self, wanted: CaseFilter, page: PageOf) -> CasePage:
        """One page of the worklist, and how many cases meet the filter."""
        conditions = _conditions(wanted)
        columns = (*_SORTED_BY[page.order], comparisons.c.id)
        order = [column.desc() if page.descending else column.asc() for column in columns]
        # numbers first: a page far down the list is then a walk over an index alone
        numbers = select(comparisons.c.id).where(*conditions).order_by(*order).limit(page.limit).offset(page.offset)
        query = select(comparisons).where(comparisons.c.id.in_(numbers)).order_by(*order)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
            total = connection.execute(select(func.count()).select_from(comparisons).where(*conditions)).scalar_one()
        return CasePage(rows=tuple(case_row(row) for row in rows), total=total)

    def case(self, comparison_id: int) -> Case | None:
        """One comparison with its history, None if there is none of this number."""
        joined = comparisons.join(comparison_contents, comparison_contents.c.comparison_id == comparisons.c.id)
        query = select(comparisons, comparison_contents.c.content).select_from(joined)
        with self._database.reading() as connection:
            row = connection.execute(query.where(comparisons.c.id == comparison_id)).first()
            history = decisions_of(connection, comparison_id)
        if row is None:
            return None
        return Case(
            row=case_row(row),
            comparison=loads(row.content),
            model_sha256=row.model_sha256,
            limits_sha256=row.limits_sha256,
            latest=row.latest,
            decisions=history,
        )

    def reasons_of(self, comparison_ids: Sequence[int]) -> Mapping[int, tuple[str, ...]]:
        """The reasons of each of some comparisons, for a page of the worklist."""
        columns = comparison_contents.c
        query = select(columns.comparison_id, columns.content).where(columns.comparison_id.in_(comparison_ids))
        with self._database.reading() as connection:
            return {row.comparison_id: loads(row.content).reasons for row in connection.execute(query).all()}

    def case_of_study(self, study_uid: str) -> CaseRow | None:
        """The case of a study, None while nothing was compared."""
        query = select(comparisons).where(comparisons.c.study_uid == study_uid, _LATEST)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else case_row(row)

    def names_known(self, actor: str, numbers: Collection[int]) -> frozenset[int]:
        """Those of some cases of which ``actor`` has been shown whose read is whose.

        By a view of any comparison of the study that the audit trail has as not blind, or by a decision on the case,
        whose history names the reads, even if it was withdrawn.
        """
        mine, same = comparisons.alias(), comparisons.alias()
        studies = select(mine.c.id, same.c.id).where(mine.c.id.in_(numbers), same.c.study_uid == mine.c.study_uid)
        decided = select(decisions.c.comparison_id).where(
            decisions.c.comparison_id.in_(numbers), decisions.c.outcome != ""
        )
        with self._database.reading() as connection:
            pairs = [(number, f"case:{other}") for number, other in connection.execute(studies).all()]
            known = set(connection.scalars(decided).all())
            shown = _shown_openly(connection, actor, {subject for _, subject in pairs})
        return frozenset(known | {number for number, subject in pairs if subject in shown})

    def comparisons_of(self, study_uid: str) -> tuple[CaseRow, ...]:
        """Every comparison of a study, oldest first: the earlier ones stay."""
        query = select(comparisons).where(comparisons.c.study_uid == study_uid).order_by(comparisons.c.id)
        with self._database.reading() as connection:
            return tuple(case_row(row) for row in connection.execute(query).all())

    def counts_by_tier(self) -> Mapping[str, int]:
        """How many cases there are of each tier."""
        with self._database.reading() as connection:
            return counts_by_tier(connection)

    def open_by_tier(self) -> Mapping[str, int]:
        """How many cases of each tier nobody has decided."""
        with self._database.reading() as connection:
            return counts_by_tier(connection, comparisons.c.state == CaseState.OPEN)

    def choices(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Scanners and model versions that cases have, to choose from."""
        with self._database.reading() as connection:
            return names_of(connection)

    def statistics(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        scanner: str = "",
        model_version: str = "",
    ) -> tuple[StatisticsRow, ...]:
        """Cases compared within a period (its end not included), oldest first; of one scanner or model if given."""
        conditions: list[ColumnElement[bool]] = [_LATEST]
        if since is not None:
            conditions.append(comparisons.c.made_at >= since)
        if until is not None:
            conditions.append(comparisons.c.made_at < until)
        if scanner:
            conditions.append(comparisons.c.scanner == scanner)
        if model_version:
            conditions.append(comparisons.c.model_version == model_version)
        query = select(comparisons).where(*conditions).order_by(comparisons.c.made_at, comparisons.c.id)
        with self._database.reading() as connection:
            return tuple(_statistics(row) for row in connection.execute(query).all())


def _shown_openly(connection: Connection, actor: str, subjects: Collection[str]) -> set[str]:
    """Those of some subjects that ``actor`` has viewed with the names."""
    columns = audit.c
    views = select(columns.subject, columns.detail).where(
        columns.subject.in_(subjects), columns.actor == actor, columns.action == _VIEWED
    )
    rows = connection.execute(views).all()
    return {row.subject for row in rows if json.loads(row.detail).get("blind") is False}


def case_row(row: Row[Any]) -> CaseRow:
    """A row of ``comparisons`` as a plain value."""
    return CaseRow(
        id=row.id,
        study_uid=row.study_uid,
        series_uid=row.series_uid,
        generation=row.generation,
        read_id=row.read_id,
        tier=Tier(row.tier),
        state=CaseState(row.state),
        outcome=ReviewOutcome(row.outcome) if row.outcome else None,
        accession=row.accession,
        study_date=row.study_date,
        scanner=row.scanner,
        model_version=row.model_version,
        made_at=row.made_at,
        ours=row.ours,
        human=row.human,
        difference=row.difference,
    )


def _statistics(row: Row[Any]) -> StatisticsRow:
    return StatisticsRow(
        id=row.id,
        tier=Tier(row.tier),
        outcome=ReviewOutcome(row.outcome) if row.outcome else None,
        made_at=row.made_at,
        scanner=row.scanner,
        model_version=row.model_version,
        state=CaseState(row.state),
        pairs=read_pairs(row),
    )


def _conditions(wanted: CaseFilter) -> list[ColumnElement[bool]]:
    columns = comparisons.c
    found: list[ColumnElement[bool]] = [_LATEST]
    if wanted.tiers:
        found.append(columns.weight.in_(sorted(WEIGHT[tier] for tier in wanted.tiers)))  # as the indices have it
    if wanted.state is not None:
        found.append(columns.state == wanted.state)
    if wanted.words.strip():
        found.append(_named(wanted.words.strip()))
    if wanted.study_from:
        found.append(columns.study_date >= wanted.study_from)
    if wanted.study_to:
        found.append(and_(columns.study_date <= wanted.study_to, columns.study_date != ""))
    if wanted.scanner:
        found.append(columns.scanner == wanted.scanner)
    if wanted.model_version:
        found.append(columns.model_version == wanted.model_version)
    return found


def _named(words: str) -> ColumnElement[bool]:
    """By number, each found by its own index: with OR in one condition, SQLite walks the whole table in order."""
    columns = comparisons.c
    begins = and_(columns.accession >= words, columns.accession < words + "\U0010ffff")
    found = union(
        *(select(columns.id).where(one) for one in (begins, columns.study_uid == words, columns.patient_id == words))
    )
    return columns.id.in_(found)
