from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from node.domain.identity import derived_uid, hashed, short

UIDS = st.lists(st.text("0123456789.", min_size=1, max_size=64), min_size=1, max_size=5, unique=True)


def derived(sources: list[str], **changed: str) -> str:
    parts = {"model_sha256": "m" * 64, "settings_sha256": "s" * 64, "role": "seg"} | changed
    return derived_uid(sources=sources, **parts)


@given(UIDS, st.randoms(use_true_random=False))
def test_the_order_of_the_sources_does_not_matter(sources: list[str], rng: object) -> None:
    assert derived(sources) == derived(sorted(sources)) == derived(sources[::-1])


@given(UIDS)
def test_a_derived_uid_is_a_legal_uuid_derived_one(sources: list[str]) -> None:
    uid = derived(sources)
    root, number = uid.rsplit(".", 1)
    assert root == "2.25"
    assert number == str(int(number))  # no leading zero (PS3.5 9.1)
    assert int(number) < 2**128
    assert len(uid) <= 64


def test_anything_different_gives_another_uid() -> None:
    uids = {
        derived(["1.2"]),
        derived(["1.3"]),
        derived(["1.2", "1.3"]),
        derived(["1.2"], model_sha256="x"),
        derived(["1.2"], settings_sha256="x"),
        derived(["1.2"], role="sr"),
    }
    assert len(uids) == 6


def test_a_known_value_which_must_never_change() -> None:
    text = "\n".join(["1.2", "1.3", "m" * 64, "s" * 64, "seg"])
    number = int(hashlib.sha256(text.encode()).hexdigest()[:32], 16)
    assert derived(["1.3", "1.2"]) == f"2.25.{number}"


def test_hashes_stand_for_identifiers() -> None:
    assert hashed("1.2") == hashlib.sha256(b"1.2").hexdigest()
    assert short("1.2") == hashed("1.2")[:12]
    assert short("1.2") != short("1.3")
