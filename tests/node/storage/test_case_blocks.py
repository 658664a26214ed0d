"""The columns are an exact copy of the cases, whatever happens to them."""

from __future__ import annotations

import numpy as np
import pytest

from node.domain.cases import CaseFilter, CaseOrder, PageOf
from node.storage import case_blocks
from node.storage.case_blocks import OUTCOMES, TIERS, refresh_all
from node.storage.ledger import Ledger
from tests.node.storage.builders import NOW, after
from tests.node.storage.test_ledger_cases import cases, compared, decision, read_id  # noqa: F401 - a fixture


def told(ledger: Ledger) -> list[tuple[object, ...]]:
    """Every case as its row says."""
    order = PageOf(order=CaseOrder.MADE, descending=False, limit=1000)
    return [
        (row.id, row.made_at, row.tier, row.outcome, row.scanner, row.model_version, row.ours, row.human)
        for row in ledger.cases(CaseFilter(), order).rows
    ]


def copied(ledger: Ledger, **asked: object) -> list[tuple[object, ...]]:
    """The same from the columns."""
    held = ledger.case_columns(**asked)
    return [
        (
            int(held.ids[at]),
            held.moment(at),
            TIERS[held.tiers[at]],
            OUTCOMES[held.outcomes[at]],
            held.scanner_names[held.scanners[at]],
            held.model_names[held.models[at]],
            None if np.isnan(held.ours[at]) else float(held.ours[at]),
            None if np.isnan(held.human[at]) else float(held.human[at]),
        )
        for at in range(len(held))
    ]


@pytest.mark.parametrize("size", [1, 2, 256])
def test_comparing_deciding_replacing_and_discarding_are_seen_at_once(
    cases: Ledger,  # noqa: F811
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(case_blocks, "SIZE", size)
    with cases._database.writing() as connection:
        connection.execute(case_blocks.case_blocks.delete())
        refresh_all(connection)
    assert copied(cases) == told(cases) != []
    number = cases.case_of_study("b").id
    cases.add_decision(number, decision(1))
    assert copied(cases) == told(cases)
    cases.add_decision(number, decision(2, None))
    assert copied(cases) == told(cases)
    compared(cases, "a", 100.0, read_id(cases, "a", 100.0, version=2), seconds=9)
    assert copied(cases) == told(cases)
    cases.discard_read(cases.case_of_study("c").read_id, "wrong patient", "anna", NOW)
    assert copied(cases) == told(cases)
    assert len(copied(cases)) == 3


def test_filters_and_periods_are_exact(cases: Ledger) -> None:  # noqa: F811
    whole = copied(cases)
    assert copied(cases, since=after(1), until=after(3)) == whole[1:3]
    assert copied(cases, since=after(9)) == []
    assert copied(cases, scanner="ACME") == [one for one in whole if one[4] == "ACME"]
    assert copied(cases, model_version="2.0") == [one for one in whole if one[5] == "2.0"]
    assert copied(cases, scanner="nobody") == []


def test_a_ledger_without_cases_has_empty_columns(ledger: Ledger) -> None:
    assert copied(ledger) == []
    assert ledger.choices() == ((), ())
