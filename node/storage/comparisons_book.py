"""The ledger's comparisons: each pair of reads compared once, the latest of a study being its case."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update

from node.domain.cases import CaseState, NewComparison
from node.domain.comparison_json import dumps
from node.domain.discrepancy import Comparison
from node.domain.notices import NoticeSubject
from node.domain.records import NewWork
from node.domain.studies import StudyFacts
from node.domain.tiers import RANK, Tier
from node.domain.work import Stage
from node.storage.case_blocks import refresh
from node.storage.columns import insert_once, insert_row
from node.storage.engine import Store
from node.storage.matching import study_facts
from node.storage.queueing import add_work
from node.storage.review_tables import comparison_contents, comparisons, studies

WEIGHT: Final = {tier: number for number, tier in enumerate((Tier.NOT_COMPARABLE, *RANK))}
_OF_WEIGHT: Final = {number: tier for tier, number in WEIGHT.items()}


class ComparisonsBook(Store):
    """What was compared."""

    def tier_of(self, series_uid: str, generation: int) -> Tier | None:
        """Result of the present comparison of a generation, None while there is none."""
        same = (comparisons.c.series_uid == series_uid, comparisons.c.generation == generation)
        query = select(comparisons.c.tier).where(*same, comparisons.c.latest.is_(True))
        with self._database.reading() as connection:
            tier = connection.execute(query).scalar()
        return None if tier is None else Tier(tier)


def record_comparison(connection: Connection, new: NewComparison, now: datetime) -> int:
    """Record a comparison as the case of its study, and return its number.

    The same pair under the same limits is recorded once. One that was recorded before becomes the case of its study
    again, as when a read that had replaced another is discarded.
    """
    subject = and_(
        comparisons.c.series_uid == new.series_uid,
        comparisons.c.generation == new.generation,
        comparisons.c.read_id == new.read_id,
        comparisons.c.limits_sha256 == new.limits_sha256,
    )
    known = connection.execute(select(comparisons.c.id).where(subject)).scalar()
    number = _insert(connection, new, now) if known is None else int(known)
    others = and_(comparisons.c.study_uid == new.study_uid, comparisons.c.id != number, comparisons.c.latest)
    replaced = connection.scalars(select(comparisons.c.id).where(others)).all()
    connection.execute(update(comparisons).where(comparisons.c.id.in_(replaced)).values(latest=False))
    connection.execute(update(comparisons).where(comparisons.c.id == number).values(latest=True))
    refresh(connection, (number, *replaced))
    return number


def counts_by_tier(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, int]:
    """How many cases there are of each tier; counted by weight, which an index has."""
    columns = comparisons.c
    query = select(columns.weight, func.count()).where(columns.latest.is_(True), *conditions).group_by(columns.weight)
    return {str(_OF_WEIGHT[weight]): count for weight, count in connection.execute(query).all()}


def _insert(connection: Connection, new: NewComparison, now: datetime) -> int:
    row = connection.execute(select(studies).where(studies.c.study_uid == new.study_uid)).first()
    facts = StudyFacts(study_uid=new.study_uid) if row is None else study_facts(row)
    number = insert_row(connection, comparisons, _values(new, facts, now))
    content = {"comparison_id": number, "content": dumps(new.comparison)}
    insert_once(connection, comparison_contents, content)
    add_work(connection, [_notice(new, number, channel) for channel in new.tell], now)
    return number


def _notice(new: NewComparison, number: int, channel: str) -> NewWork:
    """Each channel is told by itself: one that is down holds up no other."""
    return NewWork(
        stage=Stage.NOTIFY,
        series_uid=new.series_uid,
        generation=new.generation,
        object_uid=str(NoticeSubject(number)),
        destination=channel,
    )


def _values(new: NewComparison, facts: StudyFacts, now: datetime) -> dict[str, Any]:
    pairs = _pairs(new.comparison)
    total = next((one for one in new.comparison.differences if one.region == "CAC"), None)
    ours, human = (None, None) if total is None else (total.ours, total.human)
    return {
        "study_uid": new.study_uid,
        "series_uid": new.series_uid,
        "generation": new.generation,
        "read_id": new.read_id,
        "limits_sha256": new.limits_sha256,
        "latest": True,
        "tier": new.comparison.tier,
        "weight": WEIGHT[new.comparison.tier],
        "state": CaseState.OPEN,
        "outcome": "",
        "accession": facts.accession.strip(),
        "patient_id": facts.patient_id.strip(),
        "study_date": facts.study_date,
        "scanner": facts.scanner,
        "model_sha256": new.model_sha256,
        "model_version": new.model_version,
        "made_at": now,
        "ours": ours,
        "human": human,
        "difference": None if ours is None or human is None else math.sqrt(ours) - math.sqrt(human),
        "pairs": json.dumps(pairs),
    }


def _pairs(comparison: Comparison) -> dict[str, tuple[float, float]]:
    return {one.region: (one.ours, one.human) for one in comparison.differences if one.human is not None}


def read_pairs(row: Row[Any]) -> dict[str, tuple[float, float]]:
    """The pairs of a row of ``comparisons``."""
    return {region: (ours, human) for region, (ours, human) in json.loads(row.pairs).items()}
