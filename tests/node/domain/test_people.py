"""Users, tokens and the chain of the audit trail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from node.domain.people import GENESIS, Role, Token, User, chained, detail_text
from tests.node.domain.reads import NOW

ANNA = User(id=1, name="anna", role=Role.REVIEWER, password_hash="", pseudonym="Reader 1")
TOKEN = Token(id=1, name="ris", user_id=1, role=Role.VIEWER, created_at=NOW)
DEED = ("anna", "case.decide", "case:1")


def test_a_role_may_do_what_those_before_it_may() -> None:
    allowed = {(have, need) for have in Role for need in Role if have.allows(need)}
    assert allowed == {
        (Role.VIEWER, Role.VIEWER),
        (Role.REVIEWER, Role.VIEWER),
        (Role.REVIEWER, Role.REVIEWER),
        *((Role.ADMIN, role) for role in Role),
    }


def test_a_lock_ends_by_itself() -> None:
    assert not ANNA.locked(NOW)
    locked = replace(ANNA, locked_until=NOW + timedelta(minutes=1))
    assert locked.locked(NOW)
    assert not locked.locked(NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("given", "valid"),
    [
        ({}, True),
        ({"expires_at": NOW + timedelta(seconds=1)}, True),
        ({"expires_at": NOW}, False),
        ({"revoked_at": NOW - timedelta(days=1)}, False),
    ],
)
def test_a_token_opens_until_it_expires_or_is_revoked(given, valid) -> None:
    assert replace(TOKEN, **given).valid(NOW) is valid


def test_the_chain_covers_everything() -> None:
    detail = detail_text({"b": 1, "a": "ä"})
    whole = chained(GENESIS, number=1, at=NOW, deed=DEED, detail=detail)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert whole == chained(GENESIS, number=1, at=elsewhere, deed=DEED, detail=detail_text({"a": "ä", "b": 1}))
    others = [
        chained("1" * 64, number=1, at=NOW, deed=DEED, detail=detail),
        chained(GENESIS, number=2, at=NOW, deed=DEED, detail=detail),
        chained(GENESIS, number=1, at=NOW + timedelta(microseconds=1), deed=DEED, detail=detail),
        chained(GENESIS, number=1, at=NOW, deed=("annac", "ase.decide", "case:1"), detail=detail),
        chained(GENESIS, number=1, at=NOW, deed=DEED, detail="{}"),
    ]
    assert len({whole, *others}) == 6
