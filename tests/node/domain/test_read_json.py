"""A human read as JSON: nothing is lost, and what is no read is refused with its place."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given

from node.domain.errors import Malformed
from node.domain.human_read import HumanRead
from node.domain.read_json import content_sha256, dumps, loads, to_document
from tests.node.domain.reads import NOW, READS, a_read


@given(read=READS)
def test_nothing_is_lost(read: HumanRead) -> None:
    assert loads(dumps(read)) == read


def test_the_zone_of_its_time_is_kept() -> None:
    there = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    again = loads(dumps(a_read(read_at=there)))
    assert again.read_at is not None
    assert again.read_at.utcoffset() == timedelta(hours=5, minutes=30)


def test_another_content_has_another_hash() -> None:
    assert content_sha256(a_read(3.0)) == content_sha256(a_read(3.0)) != content_sha256(a_read(3.5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "crystal ball"}, "source: one of page, api"),
        ({"status": None}, "status: a text is needed"),
        ({"read_at": "yesterday"}, "read_at"),
        ({"scores": {"LAD": {"agatston": "3"}}}, "scores.LAD.agatston"),
        ({"scores": {"Heart": {"agatston": 3}}}, "no region is called Heart"),
        ({"version": 1.5}, "version: a whole number"),
    ],
)
def test_what_is_no_read_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        loads(json.dumps(to_document(a_read(read_at=NOW)) | change))


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        loads(text)
