"""Dates out of certificate files: those that openssl wrote, and whatever else may be in a file."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.certificates import _dates, state, until, validity
from tests.authority import Authority, needs_openssl

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@needs_openssl
@pytest.mark.parametrize("days", [1, 29, 400, 365 * 40])  # beyond 2050 the dates are written in another way
def test_the_dates_are_those_that_the_certificate_was_made_with(tmp_path: Path, days: int):
    made = Authority(tmp_path).issue("ct01", days=days).certificate
    first, last = validity(made)
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=2)
    assert last - first == timedelta(days=days)


@needs_openssl
def test_a_chain_is_good_as_long_as_the_least_of_it(tmp_path: Path):
    authority = Authority(tmp_path)
    leaf = authority.issue("ct01", days=3).certificate
    both = tmp_path / "chain.pem"
    both.write_bytes(authority.certificate.read_bytes() + leaf.read_bytes())
    assert validity(both)[1] == validity(leaf)[1] < validity(authority.certificate)[1]


@needs_openssl
def test_what_is_said_of_a_file(tmp_path: Path):
    authority = Authority(tmp_path)
    now = datetime.now(UTC) + timedelta(minutes=2)  # what is issued below is good from its own second on
    said, good = state(authority.issue("old", days=-1).certificate, now)
    assert (said.startswith("expired on "), good) == (True, False)
    said, good = state(authority.issue("soon", days=29).certificate, now)
    assert (said.startswith("WARNING: expires on "), good) == (True, True)
    said, good = state(authority.issue("fine", days=40).certificate, now)
    assert (said.startswith("good until "), good) == (True, True)
    said, good = state(authority.certificate, now - timedelta(days=1))
    assert (said.startswith("not valid before "), good) == (True, False)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=30), "good until 2026-04-01"),
        (timedelta(days=29, hours=23), "WARNING: expires on 2026-03-31, in 29 days"),
        (timedelta(hours=1), "WARNING: expires on 2026-03-02, in 0 days"),
        (timedelta(), "expired on 2026-03-02"),
        (timedelta(days=-9), "expired on 2026-02-21"),
    ],
)
def test_thirty_days_before_the_end_it_is_warned(left: timedelta, said: str):
    assert until(NOW + left, NOW) == said


@pytest.mark.parametrize(
    "content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff" * 99]
)
def test_a_file_without_a_certificate_is_named(tmp_path: Path, content: bytes):
    file = tmp_path / "a.pem"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pem"):
        validity(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"cannot read .*gone\.pem: No such file"):
        validity(tmp_path / "gone.pem")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_certificate_or_are_not(data: bytes):
    try:
        first, last = _dates(data)
    except (ValueError, IndexError):
        return
    assert first.tzinfo is last.tzinfo is UTC


@needs_openssl
def test_a_certificate_cut_short_is_none(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("cut")
    der = ssl.PEM_cert_to_DER_cert(Authority(folder).certificate.read_text(encoding="ascii"))
    for end in range(0, len(der), 7):
        with pytest.raises((ValueError, IndexError)):
            _dates(der[:end])
