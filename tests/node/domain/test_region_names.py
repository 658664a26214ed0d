import pytest

from node.domain.human_read import READ_REGIONS
from node.domain.region_names import REGION_NAMES, region_named


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("LCx", "LCX"),
        ("Cx", "LCX"),
        ("LCX", "LCX"),
        (" AoV", "AV"),
        ("left_main", "LM"),
        ("Hauptstamm", "LM"),
        ("RIVA", "LAD"),
        ("Total", "CAC"),
        ("Gesamt", "CAC"),
        ("RCX", "LCX"),
        ("thoracic-aorta", "TA"),
    ],
)
def test_names_of_people_and_machines(name, region):
    assert region_named(name) == region


@pytest.mark.parametrize("name", ["", "LAD1", "U1", "U2", "D1", "mitral annulus", "LAD" * 40, "L AD"])
def test_what_is_not_known_is_not_guessed(name):
    assert region_named(name) is None


def test_every_region_goes_by_its_own_name():
    assert set(REGION_NAMES) == set(READ_REGIONS)
    assert [region_named(region) for region in READ_REGIONS] == list(READ_REGIONS)
    names = [name for names in REGION_NAMES.values() for name in names]
    assert len(names) == len(set(names))
