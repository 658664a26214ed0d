from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.notices import (
    NoticeSubject,
    channels_for,
    check_link,
    link_to,
    notice_key,
    plain_accession,
    recipient_mark,
)
from node.domain.tiers import Tier

MADE = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


@given(st.integers(1, 10**9), st.sampled_from(["", recipient_mark("anna@hospital.example")]))
def test_a_subject_is_read_as_it_was_written(case: int, mark: str) -> None:
    subject = NoticeSubject(case, mark)
    assert NoticeSubject.of(str(subject)) == subject
    assert "anna" not in str(subject)


@pytest.mark.parametrize("text", ["", "x", "/a"])
def test_what_is_no_subject_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        NoticeSubject.of(text)


def test_the_key_is_the_same_every_time_and_never_that_of_another() -> None:
    def key(node: str = "n", channel: str = "c", case: int = 1, seconds: float = 0) -> str:
        return notice_key(node=node, channel=channel, case=case, made_at=MADE + timedelta(seconds=seconds))

    keys = [key(), key(node="m"), key(channel="d"), key(case=2), key(seconds=1)]
    assert key() == keys[0]
    assert len(set(keys)) == len(keys)
    assert all(len(one) == 32 and set(one) <= set("0123456789abcdef") for one in keys)


def test_a_channel_is_told_of_its_tiers_alone() -> None:
    wanted = {"mail": frozenset((Tier.PRIORITY,)), "desk": frozenset((Tier.REVIEW, Tier.PRIORITY))}
    assert channels_for(Tier.PRIORITY, wanted) == ("mail", "desk")
    assert channels_for(Tier.REVIEW, wanted) == ("desk",)
    assert channels_for(Tier.CONCORDANT, wanted) == ()


@pytest.mark.parametrize("template", ["", "https://reader.example/cases/{case}", "http://h:1/?c={case}&{{x}}"])
def test_a_link_names_its_case(template: str) -> None:
    check_link(template)
    assert link_to(template, 17) == template.replace("{case}", "17").replace("{{", "{").replace("}}", "}")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("reader.example/{case}", "http"),
        ("https://reader.example/", "names no case"),
        ("https://reader.example/{case}/{accession}", "only {case}"),
        ("https://reader.example/{case.real}", "only {case}"),
        ("https://reader.example/{case!r}", "only {case}"),
        ("https://reader.example/{case:>9}", "only {case}"),
        ("https://reader.example/{}", "only {case}"),
        ("https://reader.example/{case", "brace"),
        ("https://reader.example/{case}\r\nBcc: x", "no spaces"),
        ("https://reader.example/{case} x", "no spaces"),
        ("https://réader.example/{case}", "no spaces"),
    ],
)
def test_a_link_that_is_none_is_refused_with_the_reason(template: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_link(template)


@given(st.text(max_size=200))
def test_an_accession_number_is_one_short_line_whatever_came(text: str) -> None:
    plain = plain_accession(text)
    assert len(plain) <= 64
    assert len(plain.splitlines()) <= 1
    assert plain == "" or plain.isprintable()


def test_a_usual_accession_number_is_left_alone() -> None:
    assert plain_accession("A-2026/00017") == "A-2026/00017"
    assert plain_accession(" A1\r\nBcc:\u2028x\x00 ") == "A1 Bcc: x"
