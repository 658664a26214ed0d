import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Malformed
from node.domain.findings import REGIONS, Findings, LesionFinding, RegionScore
from node.domain.reading_json import Declined, dumps, from_document, loads, to_document
from tests.plain_model import DEFINITION, MODEL

LESION = LesionFinding(
    vessel="LAD",
    agatston=12.5,
    volume_mm3=10.0,
    mass_mg=None,
    peak_hu=412.0,
    centroid_lps_mm=(1.0, -2.0, 3.5),
    slices=(12, 13),
    probability=0.93,
)
READING = Findings(
    study_uid="1.2",
    series_uid="1.2.3",
    scores={region: RegionScore(agatston=0.0, volume_mm3=0.0, mass_mg=None, lesions=0) for region in REGIONS}
    | {name: RegionScore(agatston=12.5, volume_mm3=10.0, mass_mg=2.0, lesions=1) for name in ("LAD", "CAC")},
    category="1-99",
    cac_drs="A1/N1",
    interval={"CAC": (10.0, 15.5)},
    lesions=(LESION,),
    quality={"noise_hu": 18.0, "truncated": False, "blood": {"hu": [40, 41.5]}},
    definition=DEFINITION,
    model=MODEL,
    notes=("slices overlap",),
    timings_ms={"read": 1200.0},
)
DECLINED = Declined(study_uid="1.2", series_uid="1.2.3", reasons=("slice spacing 5.0 mm",), notes=("a note",))


def test_the_document_is_the_contract():
    document = to_document(READING)
    assert list(document)[:6] == ["schema", "study_uid", "series_uid", "eligible", "reasons", "scores"]
    assert document["schema"] == 1
    assert document["eligible"] is True
    assert document["reasons"] == []
    assert list(document["scores"]) == ["LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA", "AC"]
    assert document["scores"]["LAD"] == {"agatston": 12.5, "volume_mm3": 10.0, "mass_mg": 2.0, "lesions": 1}
    assert document["scores"]["LM"]["mass_mg"] is None
    assert document["interval"] == {"CAC": [10.0, 15.5]}
    assert document["lesions"][0] == {
        "vessel": "LAD",
        "agatston": 12.5,
        "volume_mm3": 10.0,
        "mass_mg": None,
        "peak_hu": 412.0,
        "centroid_lps_mm": [1.0, -2.0, 3.5],
        "slices": [12, 13],
        "probability": 0.93,
    }
    assert document["definition"]["profile"] == "agatston-1990"
    assert {"name", "version", "sha256"} <= set(document["model"])
    assert document["timings_ms"] == {"read": 1200.0}


def test_a_declined_series_says_why_and_nothing_else():
    document = to_document(DECLINED)
    assert set(document) == set(to_document(READING))
    assert document["eligible"] is False
    assert document["reasons"] == ["slice spacing 5.0 mm"]
    assert document["scores"] == document["interval"] == document["quality"] == document["timings_ms"] == {}
    assert document["lesions"] == []
    assert document["category"] is document["cac_drs"] is document["definition"] is document["model"] is None


@pytest.mark.parametrize("reading", [READING, DECLINED])
def test_there_and_back(reading):
    assert loads(dumps(reading)) == reading
    assert loads(dumps(reading).encode()) == reading


finite = st.floats(allow_nan=False, allow_infinity=False)
lesions = st.builds(
    LesionFinding,
    vessel=st.sampled_from(["LM", "TA"]),
    agatston=finite,
    volume_mm3=finite,
    mass_mg=st.none() | finite,
    peak_hu=finite,
    centroid_lps_mm=st.tuples(finite, finite, finite),
    slices=st.tuples(st.integers(), st.integers()),
    probability=st.none() | finite,
)
quality = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | finite | st.lists(st.text()))


@given(st.lists(lesions, max_size=3).map(tuple), quality, st.tuples(finite, finite), st.lists(st.text()).map(tuple))
def test_any_finite_reading_comes_back_equal(found, seen, ends, notes):
    reading = replace(READING, lesions=found, quality=seen, interval={"CAC": (min(ends), max(ends))}, notes=notes)
    assert loads(dumps(reading)) == reading


def test_what_was_not_measurable_is_null_never_nan():
    reading = replace(READING, quality={"noise_hu": math.nan, "parts": (1.0, math.inf), "more": {"x": -math.inf}})
    text = dumps(reading)
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["quality"] == {"noise_hu": None, "parts": [1.0, None], "more": {"x": None}}


@pytest.mark.parametrize(
    ("reading", "place"),
    [
        (replace(READING, lesions=(replace(LESION, peak_hu=math.nan),)), r"lesions\[0\].peak_hu"),
        (replace(READING, interval={"CAC": (0.0, math.inf)}), r"interval.CAC\[1\]"),
        (replace(READING, timings_ms={"read": math.nan}), "timings_ms.read"),
        (replace(READING, scores={}), "scores: LM, LAD"),
        (replace(READING, quality={"mask": object()}), "JSON cannot hold a object"),
        (replace(DECLINED, reasons=()), "reasons"),
    ],
)
def test_a_reading_that_is_none_is_not_written(reading, place):
    with pytest.raises(ValueError, match=place):
        dumps(reading)


def spoilt(path, value):
    """The document with one value put in another's place; a value of ... takes it out."""
    document = json.loads(dumps(READING))
    *way, last = path
    inner = document
    for step in way:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema"], 2, "schema: 2 is not known here, only 1"),
        (["schema"], ..., "schema: missing"),
        (["schema"], True, "schema: a whole number is needed, not true or false"),
        (["eligible"], 1, "eligible: true or false is needed, not a number"),
        (["study_uid"], None, "study_uid: a text is needed, not null"),
        (["scores"], [], "scores: an object is needed, not a list"),
        (["scores", "LM"], ..., "scores.LM: missing"),
        (["scores", "LM", "agatston"], "12", "scores.LM.agatston: a number is needed, not a text"),
        (["scores", "LM", "agatston"], True, "scores.LM.agatston: a number is needed, not true or false"),
        (["scores", "LM", "agatston"], 10**400, "scores.LM.agatston: the number is too large"),
        (["scores", "LM", "agatston"], math.inf, "scores.LM.agatston: the number is too large"),
        (["scores", "LM", "lesions"], 1.5, "scores.LM.lesions: a whole number is needed, not a number"),
        (["interval", "CAC"], [1.0], "interval.CAC: 2 values are needed, not 1"),
        (["interval", "CAC"], [2.0, 1.0], "interval.CAC: the lower end 2 is above the upper end 1"),
        (["lesions"], {}, "lesions: a list is needed, not an object"),
        (["lesions", 0], 3, "lesions[0]: an object is needed, not a number"),
        (["lesions", 0, "vessel"], 3, "lesions[0].vessel: a text is needed, not a number"),
        (["notes"], ["x", 1], "notes[1]: a text is needed, not a number"),
        (["reasons"], ..., "reasons: missing"),
        (["eligible"], False, "reasons: a declined series needs at least one"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path, value, message):
    with pytest.raises(Malformed) as caught:
        from_document(spoilt(path, value))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not strict JSON"),
        ('{"schema": NaN}', "NaN is no JSON number"),
        (b"\xff\xfe\x00", "not strict JSON"),
        ("[" * 100_000, "not strict JSON"),
        ("[1]", "an object is needed, not a list"),
    ],
)
def test_text_that_is_no_reading(text, message):
    with pytest.raises(Malformed, match=message):
        loads(text)


def test_later_keys_do_not_disturb_and_optional_ones_may_be_absent():
    document = json.loads(dumps(READING)) | {"new": 1}
    del document["notes"]
    del document["model"]["trained_on"]
    del document["lesions"][0]["mass_mg"]
    document["scores"]["LM"]["new"] = 1
    model = replace(READING.model, trained_on="")
    assert from_document(document) == replace(READING, notes=(), model=model)
