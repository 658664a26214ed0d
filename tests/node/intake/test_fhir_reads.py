import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import Malformed, Refused
from node.domain.human_read import ReadSource, ReadStatus
from node.intake.fhir_reads import FhirSite, read_fhir

SCT = "http://snomed.info/sct"


def observation(value, site="", name="o", **changes: object):
    made = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": SCT, "code": "450734004"}]},
        "valueQuantity": value if isinstance(value, dict) else {"value": value},
    }
    if site:
        made["bodySite"] = {"coding": [{"system": SCT, "code": site}]}
    return made | changes


def report(*observations, **changes: object):
    return {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "meta": {"versionId": "3"},
        "identifier": [
            {"system": "urn:ris", "value": "F1"},
            {"type": {"coding": [{"code": "ACSN"}]}, "value": "ACC1"},
        ],
        "status": "final",
        "subject": {"identifier": {"system": "urn:hosp", "value": "P1"}},
        "imagingStudy": [{"identifier": {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}}],
        "effectiveDateTime": "2026-03-04T10:15:00+01:00",
        "resultsInterpreter": [{"display": "Dr Roe"}],
        "contained": list(observations),
        "result": [{"reference": f"#{one['id']}"} for one in observations],
    } | changes


def parsed(document, **site: str):
    return read_fhir(json.dumps(document).encode(), FhirSite(**site))


def test_a_report_with_contained_observations():
    result = parsed(report(observation(130), observation(100, "59438005", "lad"), observation(30, "57396003", "cx")))
    (read,) = result.reads
    assert (read.agatston("CAC"), read.agatston("LAD"), read.agatston("LCX")) == (130, 100, 30)
    assert (read.source, read.source_id, read.version) == (ReadSource.FHIR, "urn:ris|F1", 3)
    key = read.study
    assert (key.study_uid, key.accession, key.patient_id, key.issuer) == ("1.2.3", "ACC1", "P1", "urn:hosp")
    assert read.read_at == datetime(2026, 3, 4, 9, 15, tzinfo=UTC)
    assert read.reader == "Dr Roe"


def test_a_bundle_with_its_patient():
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [
            {"system": "urn:other", "value": "X"},
            {"system": "urn:hosp", "value": "P1", "type": {"coding": [{"code": "MR"}]}},
        ],
    }
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": observation(7)},
            {"resource": patient},
            {"resource": report(result=[{"reference": "urn:uuid:1"}], subject={"reference": "Patient/p"})},
        ],
    }
    (read,) = parsed(bundle).reads
    assert (read.agatston("CAC"), read.study.patient_id) == (7, "P1")
    assert parsed(bundle, issuer="urn:other").reads[0].study.patient_id == "X"


def test_contained_ids_are_those_of_their_own_report():
    one, other = report(observation(1)), report(observation(2), id="r2", identifier=[])
    reads = parsed({"resourceType": "Bundle", "entry": [{"resource": one}, {"resource": other}]}).reads
    assert [read.agatston("CAC") for read in reads] == [1, 2]


def test_an_observation_alone_with_components():
    one = observation(
        None,
        identifier=[{"system": "urn:dicom:uid", "value": "1.2.3"}],
        component=[
            {"code": {"coding": [{"code": "LAD-AGATSTON"}]}, "valueInteger": 5},
            {"code": {"coding": [{"code": "RCA-VOLUME"}]}, "valueQuantity": {"value": 0.5, "unit": "mL"}},
            {"code": {"coding": [{"code": "other"}]}, "valueString": "x"},
        ],
    )
    (read,) = parsed(one).reads
    assert read.agatston("LAD") == 5
    assert read.scores["RCA"].volume_mm3 == 500
    assert read.source_id == "Observation/o"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("final", "final"), ("preliminary", "preliminary"), ("amended", "corrected"), ("entered-in-error", "withdrawn")],
)
def test_status(status, expected):
    assert parsed(report(observation(1), status=status)).reads[0].status == ReadStatus(expected)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (report(observation({"value": 1, "comparator": "<"})), "contained[0]: '<' is a limit"),
        (report(observation(-1)), "not a number of 0 or more"),
        (report(observation("12O")), "value: a number is needed"),
        (report(observation({"value": 1, "code": "mm3"})), "no unit of agatston"),
        (report(observation(1, "65197004")), "bodySite: no region"),
        (report(observation(1), observation(2, name="p")), "stands twice"),
        (report(observation(1), identifier=[], imagingStudy=[]), "study UID, or an accession"),
        (report(observation(1), imagingStudy=[{"identifier": {"system": "urn:dicom:uid", "value": "x"}}]), "no UID"),
        (report(observation(1), subject="P1"), "subject: an object is needed"),
        (report(observation(1), effectiveDateTime="soon", meta={}), "no time"),
        (report(observation(1), identifier={}), "identifier: a list"),
        (report(observation(1, code={"coding": 1})), "no calcium"),
        (report(observation(None, valueString="7")), "valueQuantity or a valueInteger"),
    ],
)
def test_faults_are_told(document, words):
    result = parsed(document)
    assert not result.reads
    assert words in result.refusal or words == "no calcium"


def test_a_report_of_something_else_is_no_fault():
    assert parsed(report(observation(1, code={"coding": [{"code": "x"}]}))).notes == (
        "no calcium score in the resource",
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"[]", Malformed),
        (b"{", Malformed),
        (b'{"resourceType": "Patient"}', Refused),
        (b'{"resourceType": "Bundle", "entry": 5}', Malformed),
        (b" " * 5_000_000, Refused),
    ],
)
def test_what_is_no_resource_for_us(data, kind):
    with pytest.raises(kind):
        read_fhir(data)


VALUES = st.none() | st.booleans() | st.floats() | st.text(max_size=4) | st.just([]) | st.just({}) | st.just([{}])


@given(
    st.sampled_from([*report(), "partOf", "basedOn", "performer"]),
    VALUES,
    st.sampled_from([*observation(1), "component"]),
)
def test_elements_of_any_shape_are_faults_at_most(name, value, inner):
    for document in (report(observation(1), **{name: value}), report(observation(1, **{inner: value}), observation(2))):
        try:
            read_fhir(json.dumps(document).encode())
        except (Malformed, Refused) as error:
            assert str(error)  # noqa: PT017 - either is an answer


@given(st.binary(max_size=8), st.integers(0, 900), st.integers(0, 8))
def test_mutated_documents_raise_nothing_else(junk, at, cut):
    good = json.dumps(report(observation(130))).encode()
    try:
        read_fhir(good[:at] + junk + good[at + cut :])
    except (Malformed, Refused) as error:
        assert str(error)  # noqa: PT017 - either is an answer
