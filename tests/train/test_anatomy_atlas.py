"""The stored heart and its coronary courses are where anatomy puts them."""

import numpy as np
import pytest
from scipy import ndimage

from train.anatomy.atlas import ATTRIBUTION, FIELDS, load_atlas, write_atlas

Z, Y, X = 0, 1, 2


def distance(name: str, points: np.ndarray) -> np.ndarray:
    atlas = load_atlas()
    return ndimage.map_coordinates(atlas.fields[FIELDS.index(name)], atlas.lattice.index(points).T, order=1)


def test_file_names_its_source_and_licence() -> None:
    assert "CC BY 4.0" in ATTRIBUTION
    assert "tgh-apil/TorontoHeartAtlas" in ATTRIBUTION


@pytest.mark.parametrize(
    ("left", "right"), [("LV", "RV"), ("LA", "RA")], ids=["left ventricle lies left", "left atrium lies left"]
)
def test_left_chambers_have_larger_x(left: str, right: str) -> None:
    atlas = load_atlas()
    middle = {
        name: atlas.lattice.position(np.argwhere(atlas.fields[FIELDS.index(name)] < 0)).mean(axis=0)
        for name in (left, right)
    }
    assert middle[left][X] > middle[right][X] + 10


@pytest.mark.parametrize(
    ("course", "walls"),
    [("LAD", ("LV", "RV")), ("LCX", ("LA", "LV")), ("RCA", ("RA", "RV")), ("PDA", ("LV", "RV"))],
)
def test_course_runs_in_its_groove(course: str, walls: tuple[str, str]) -> None:
    points = load_atlas().courses[course]
    # the first 25 mm lead from the ostium to the groove; cavity distances include 2 to 11 mm of wall
    tail = points[25:] if course != "PDA" else points
    for wall in walls:
        assert np.percentile(distance(wall, tail), 80) < 22.0


def test_courses_stay_outside_the_chambers() -> None:
    for name, points in load_atlas().courses.items():
        for chamber in ("LV", "RV", "LA", "RA"):
            assert distance(chamber, points).min() > -2.0, (name, chamber)


def test_ostia_lie_on_the_aortic_root() -> None:
    courses = load_atlas().courses
    for name in ("LM", "RCA"):
        assert abs(distance("AO", courses[name][:1])[0]) < 5.0


def test_left_and_right_are_not_mirrored() -> None:
    courses = load_atlas().courses
    assert courses["RCA"][:, X].min() < courses["LM"][:, X].min() - 20
    assert courses["LAD"][:, X].max() > 40
    assert courses["LAD"][-1, Y] < courses["LAD"][0, Y] - 30  # runs to the front
    assert courses["LCX"][-1, Y] > courses["LCX"][0, Y]  # and the circumflex to the back
    assert np.allclose(courses["LM"][-1], courses["LAD"][0], atol=1.0)
    assert np.allclose(courses["LM"][-1], courses["LCX"][0], atol=1.0)


def test_written_atlas_reads_back(tmp_path, monkeypatch) -> None:
    atlas = load_atlas()
    target = tmp_path / "heart.npz"
    write_atlas(atlas, target)
    with np.load(target, allow_pickle=False) as stored:
        assert str(stored["attribution"]) == ATTRIBUTION
        assert np.abs(stored["fields"] * stored["field_step_mm"] - atlas.fields).max() < 0.2
