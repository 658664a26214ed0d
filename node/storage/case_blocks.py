"""Cases as packed columns, for the figures over many of them.

An exact copy of what the charts need of ``comparisons``, in blocks of cases that follow each other by number: a hundred
thousand cases are some hundred rows, and are counted as arrays. Whatever changes a case writes its block anew within
the same transaction, so that the copy is never behind and writing costs the same however many cases there are. Nothing
is summed up: every period, zone and filter stays exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, and_, delete, insert, select

from node.domain.review import ReviewOutcome
from node.domain.tiers import Tier
from node.storage.columns import alone
from node.storage.review_tables import case_blocks, comparisons

SIZE: Final = 256
TIERS: Final = (Tier.CONCORDANT, Tier.MINOR, Tier.REVIEW, Tier.PRIORITY, Tier.NOT_COMPARABLE)
OUTCOMES: Final = (
    None,
    ReviewOutcome.HUMAN_RIGHT,
    ReviewOutcome.NODE_RIGHT,
    ReviewOutcome.BOTH_WRONG,
    ReviewOutcome.EQUIVALENT,
)
"""Codes in the blocks: what is kept of them is never given another meaning, only added to."""
_TIER_CODES: Final = {str(tier): code for code, tier in enumerate(TIERS)}
_OUTCOME_CODES: Final = {str(outcome or ""): code for code, outcome in enumerate(OUTCOMES)}
_LAYOUT: Final = np.dtype(
    [
        ("id", "<i8"),
        ("made_at", "<i8"),
        ("tier", "u1"),
        ("outcome", "u1"),
        ("scanner", "<u2"),
        ("model", "<u2"),
        ("ours", "<f8"),
        ("human", "<f8"),
    ]
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_COPIED: Final = tuple(
    comparisons.c[name] for name in ("id", "made_at", "tier", "outcome", "scanner", "model_version", "ours", "human")
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseColumns:
    """Cases by column, oldest first.

    Attributes
    ----------
    made_at
        Microseconds since 1970 in UTC.
    tiers, outcomes
        Indices into :data:`TIERS` and :data:`OUTCOMES`.
    scanners, models
        Indices into ``scanner_names`` and ``model_names``.
    ours, human
        Scores of CAC, NaN where the human gave none.

    """

    ids: NDArray[np.int64]
    made_at: NDArray[np.int64]
    tiers: NDArray[np.uint8]
    outcomes: NDArray[np.uint8]
    scanners: NDArray[np.intp]
    models: NDArray[np.intp]
    ours: NDArray[np.float64]
    human: NDArray[np.float64]
    scanner_names: tuple[str, ...]
    model_names: tuple[str, ...]

    def __len__(self) -> int:
        """How many cases."""
        return int(self.ids.size)

    def at(self, place: NDArray[np.bool_] | NDArray[np.intp]) -> CaseColumns:
        """Those at some places."""
        return replace(
            self,
            ids=self.ids[place],
            made_at=self.made_at[place],
            tiers=self.tiers[place],
            outcomes=self.outcomes[place],
            scanners=self.scanners[place],
            models=self.models[place],
            ours=self.ours[place],
            human=self.human[place],
        )

    def moment(self, place: int) -> datetime:
        """When a case was compared."""
        return _EPOCH + int(self.made_at[place]) * _MICROSECOND


def microseconds(moment: datetime) -> int:
    """A moment as ``CaseColumns.made_at`` has it."""
    return (moment - _EPOCH) // _MICROSECOND


def refresh(connection: Connection, numbers: Iterable[int]) -> None:
    """Write the blocks of some comparisons anew, after they were changed in this transaction."""
    alone(connection)  # two who change cases of one block must each see what the other did
    for block in sorted({number // SIZE for number in numbers}):
        inside = and_(comparisons.c.id >= block * SIZE, comparisons.c.id < (block + 1) * SIZE)
        query = select(*_COPIED).where(inside, comparisons.c.latest.is_(True)).order_by(comparisons.c.id)
        rows = connection.execute(query).all()
        connection.execute(delete(case_blocks).where(case_blocks.c.block == block))
        if rows:
            connection.execute(insert(case_blocks).values(_packed(block, rows)))


def refresh_all(connection: Connection) -> None:
    """Write every block anew, for a ledger of which none are there."""
    refresh(connection, list(connection.scalars(select(comparisons.c.id)).all()))


def case_columns(connection: Connection, since: datetime | None, until: datetime | None) -> CaseColumns:
    """Cases compared within a period; its end is not included."""
    query = select(case_blocks.c.names, case_blocks.c.cases).order_by(case_blocks.c.block)
    if since is not None:
        query = query.where(case_blocks.c.newest >= since)
    if until is not None:
        query = query.where(case_blocks.c.oldest < until)
    found = _unpacked([(row.names, row.cases) for row in connection.execute(query).all()])
    inside = np.ones(len(found), np.bool_)
    if since is not None:
        inside &= found.made_at >= microseconds(since)
    if until is not None:
        inside &= found.made_at < microseconds(until)
    places = np.flatnonzero(inside)
    return found.at(places[np.lexsort((found.ids[places], found.made_at[places]))])


def names_of(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Scanners and model versions that cases have."""
    held = [json.loads(text) for text in connection.scalars(select(case_blocks.c.names)).all()]
    scanners, models = ({name for one in held for name in one[part]} for part in (0, 1))
    return tuple(sorted(scanners)), tuple(sorted(models))


def _packed(block: int, rows: Sequence[Row[Any]]) -> dict[str, Any]:
    scanners, models = sorted({row.scanner for row in rows}), sorted({row.model_version for row in rows})
    cases = np.zeros(len(rows), _LAYOUT)
    cases["id"] = [row.id for row in rows]
    cases["made_at"] = [microseconds(row.made_at) for row in rows]
    cases["tier"] = [_TIER_CODES[row.tier] for row in rows]
    cases["outcome"] = [_OUTCOME_CODES[row.outcome] for row in rows]
    cases["scanner"] = [scanners.index(row.scanner) for row in rows]
    cases["model"] = [models.index(row.model_version) for row in rows]
    cases["ours"] = [np.nan if row.ours is None else row.ours for row in rows]
    cases["human"] = [np.nan if row.human is None else row.human for row in rows]
    return {
        "block": block,
        "oldest": min(row.made_at for row in rows),
        "newest": max(row.made_at for row in rows),
        "names": json.dumps([scanners, models]),
        "cases": cases.tobytes(),
    }


def _unpacked(rows: Sequence[tuple[str, bytes]]) -> CaseColumns:
    """The cases of blocks, each its names and its packed cases."""
    names = [json.loads(text) for text, _ in rows]
    blocks = [np.frombuffer(packed, _LAYOUT) for _, packed in rows]
    cases = np.concatenate(blocks) if blocks else np.zeros(0, _LAYOUT)
    scanners, scanner_names = _renumbered([block["scanner"] for block in blocks], [one[0] for one in names])
    models, model_names = _renumbered([block["model"] for block in blocks], [one[1] for one in names])
    return CaseColumns(
        ids=cases["id"],
        made_at=cases["made_at"],
        tiers=cases["tier"],
        outcomes=cases["outcome"],
        scanners=scanners,
        models=models,
        ours=cases["ours"],
        human=cases["human"],
        scanner_names=scanner_names,
        model_names=model_names,
    )


def _renumbered(
    codes: Sequence[NDArray[np.uint16]], names: Sequence[Sequence[str]]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """From a block's own numbers of names to those of all blocks together."""
    known: dict[str, int] = {}
    parts = [
        np.array([known.setdefault(name, len(known)) for name in own], np.intp)[held]
        for held, own in zip(codes, names, strict=True)
    ]
    return (np.concatenate(parts) if parts else np.zeros(0, np.intp)), tuple(known)
