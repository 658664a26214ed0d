from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.records import Kept
from node.domain.series import Acquisition, Instance, SliceGeometry
from node.storage.facts import (
    decode_instance,
    decode_kept,
    decode_texts,
    encode_instance,
    encode_kept,
    encode_texts,
)
from tests.node.storage.builders import an_instance

GEOMETRY = st.builds(
    SliceGeometry, **{f.name: st.from_type(get_type_hints(SliceGeometry)[f.name]) for f in fields(SliceGeometry)}
)
ACQUISITION = st.builds(
    Acquisition, **{f.name: st.from_type(get_type_hints(Acquisition)[f.name]) for f in fields(Acquisition)}
)
INSTANCE = st.builds(
    Instance,
    **{
        f.name: st.from_type(get_type_hints(Instance)[f.name])
        for f in fields(Instance)
        if f.name not in {"acquisition", "slices"}
    },
    acquisition=ACQUISITION,
    slices=st.lists(GEOMETRY, max_size=3).map(tuple),
)


@given(INSTANCE)
def test_nothing_is_lost(instance: Instance) -> None:
    text = encode_instance(instance)
    assert text.isascii()
    assert repr(decode_instance(text)) == repr(instance)  # by repr, because NaN is not equal to itself


@given(INSTANCE)
def test_the_text_is_json_for_every_reader(instance: Instance) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(encode_instance(instance), parse_constant=refuse)


def test_rows_of_another_version_are_read() -> None:
    facts = json.loads(encode_instance(an_instance()))
    facts["colour"] = "of a later version"
    facts["acquisition"]["filter"] = "of a later version"
    del facts["acquisition"]["station"]
    del facts["made_by_this_software"]
    assert decode_instance(json.dumps(facts)) == an_instance()


def test_absurd_geometry_survives() -> None:
    absurd = replace(an_instance().slices[0], position_lps_mm=(float("nan"), float("-inf"), 1e308))
    (found,) = decode_instance(encode_instance(replace(an_instance(), slices=(absurd,)))).slices
    assert repr(found) == repr(absurd)


@pytest.mark.parametrize("texts", [(), ("contrast", "Ä\0\ud800")])
def test_texts(texts: tuple[str, ...]) -> None:
    assert decode_texts(encode_texts(texts)) == texts


def test_kept() -> None:
    kept = Kept(path="outbox/x", sha256="0" * 64, size=7)
    text = encode_kept(kept)
    assert text is not None
    assert decode_kept(text) == kept
    assert encode_kept(None) is None
