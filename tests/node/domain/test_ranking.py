import random

import pytest

from node.domain.eligibility import Reason, judge
from node.domain.ranking import Candidate, choose_reconstruction
from tests.node.domain.scans import moved, stack


def candidate(uid, slices=48, spacing=3.0, **acquisition: object):
    return Candidate(series_uid=uid, verdict=judge(stack(slices, spacing, series=uid, **acquisition)))


def chosen(*candidates: Candidate):
    return {uid for uid, verdict in choose_reconstruction(candidates).items() if verdict.eligible}


def test_of_two_reconstructions_of_one_acquisition_the_usual_spacing_is_read():
    verdicts = choose_reconstruction([candidate("1.1", 90, 1.5), candidate("1.2")])
    assert verdicts["1.2"].eligible
    assert verdicts["1.2"].notes[-1].reason is Reason.CHOICE
    assert "90 axial slices, 1.50 mm" in verdicts["1.2"].note_texts[-1]
    assert not verdicts["1.1"].eligible
    assert verdicts["1.1"].chosen is None
    assert [finding.reason for finding in verdicts["1.1"].reasons] == [Reason.RECONSTRUCTION]
    assert verdicts["1.1"].reason_texts[0] == (
        "another reconstruction of this acquisition was chosen: 48 axial slices, 3.00 mm, kernel QR36 before "
        "90 axial slices, 1.50 mm, kernel QR36, by slice spacing"
    )


@pytest.mark.parametrize(
    ("loser", "why"),
    [
        ({"kernel": "B30f"}, "by kernel"),
        ({"cardiac_phase_percent": 40.0}, "by cardiac phase"),
        ({"slices": 40}, "by number of slices"),
        ({}, "by identifier"),
        ({"slices": 58, "spacing": 2.5}, "by slice spacing"),
    ],
)
def test_what_decided_is_named(loser, why):
    verdicts = choose_reconstruction([candidate("1.1", cardiac_phase_percent=75.0), candidate("1.2", **loser)])
    assert verdicts["1.1"].eligible
    assert why in verdicts["1.2"].reason_texts[0]


def test_between_two_unusual_spacings_the_nearer_to_the_usual_is_read():
    assert chosen(candidate("1.1", 90, 1.5), candidate("1.2", 70, 2.0)) == {"1.2"}


@pytest.mark.parametrize(
    "other",
    [
        {"acquisition_number": 3, "acquisition_time": "20260102101630"},
        {"acquisition_number": 2, "acquisition_time": "20260102101630"},  # scanners that call every acquisition 2
        {"acquisition_number": 3, "acquisition_time": ""},
        {"acquisition_number": None, "acquisition_time": ""},
        {"frame_of_reference_uid": "1.2.10"},
        {"frame_of_reference_uid": ""},
    ],
)
def test_different_acquisitions_are_all_read(other):
    assert chosen(candidate("1.1"), candidate("1.2", kernel="B30f", **other)) == {"1.1", "1.2"}


@pytest.mark.parametrize(("lower_mm", "read"), [(0, 1), (60, 1), (60.5, 2), (200, 2)])
def test_two_parts_of_the_body_are_not_two_reconstructions(lower_mm, read):
    upper = stack(41, series="1.1")
    lower = [moved(one, one.slices[0].position_lps_mm[2] - lower_mm) for one in stack(41, series="1.2", kernel="B30f")]
    both = [Candidate(series_uid=one[0].series_uid, verdict=judge(one)) for one in (upper, lower)]
    assert len(chosen(*both)) == read


@pytest.mark.parametrize(
    "other",
    [
        {"acquisition_number": 3},  # the same time
        {"acquisition_time": "20260102101534.5"},  # phases of one beat
        {"acquisition_time": "20260102101528.25+0100"},
        {"acquisition_time": ""},
        {"acquisition_time": "a quarter past ten"},
    ],
)
def test_one_acquisition_is_known_by_time_or_number(other):
    assert chosen(candidate("1.1"), candidate("1.2", kernel="B30f", **other)) == {"1.1"}


def test_a_declined_series_takes_no_part():
    thick = candidate("1.1", 48, 5.0)
    verdicts = choose_reconstruction([thick, candidate("1.2")])
    assert verdicts["1.1"] is thick.verdict
    assert verdicts["1.2"].eligible


def test_of_three_one_is_read_whatever_their_order():
    three = [candidate("1.1", 90, 1.5), candidate("1.2", kernel="B30f"), candidate("1.3")]
    for seed in range(6):
        shuffled = random.Random(seed).sample(three, 3)
        assert chosen(*shuffled) == {"1.3"}
    verdicts = choose_reconstruction(three)
    assert sum(note.reason is Reason.CHOICE for note in verdicts["1.3"].notes) == 2


def test_nothing_to_choose_from():
    assert choose_reconstruction([]) == {}
