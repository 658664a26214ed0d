from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.lesions import Vessel
from node.dicom.answers import Role, build_answers
from node.dicom.codes import SITES
from node.dicom.drawing import fitted, width_of, wrapped
from node.dicom.keyslices import choose_slices, tile, view_of
from node.dicom.references import read_source
from node.dicom.summary import HEIGHT, WIDTH, render_summary
from tests.answer_cases import SERIES_UID, Case

LETTERS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=200)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return read_source(Case().write(tmp_path_factory.mktemp("source")))


def test_the_summary_is_the_rendered_picture(source):
    request = Case().request_of(source)
    made = build_answers(request, [Role.SUMMARY])[0]
    dataset = pydicom.dcmread(BytesIO(made.data))
    assert (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel) == (HEIGHT, WIDTH, 3)
    assert dataset.PhotometricInterpretation == "RGB"
    np.testing.assert_array_equal(dataset.pixel_array, np.asarray(render_summary(request)))
    assert dataset.BurnedInAnnotation == "NO"
    shown = {item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence}
    assert shown == {f"{SERIES_UID}.{number}" for number in (2, 3, 4, 5)}


def test_what_is_seen_does_not_depend_on_the_patient(tmp_path):
    def rename(dataset):
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Other^Person", "9", "19700101"
        dataset.StudyDate, dataset.AccessionNumber = "20200101", "X"

    one = render_summary(Case().request(Case().write(tmp_path / "one")))
    two = render_summary(Case().request(Case(change=rename).write(tmp_path / "two")))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("lesions", [(), Case().lesions])
def test_lesions_are_outlined_in_the_colours_of_their_vessels(source, lesions):
    case = Case(lesions=lesions)
    picture = np.asarray(render_summary(case.request_of(source)))[392:830].reshape(-1, 3)
    found = {vessel for vessel in Vessel if (picture == SITES[vessel].rgb).all(axis=1).any()}
    assert found == {vessel for vessel, *_ in lesions}


def test_the_outline_leaves_the_lesion_visible(source):
    case = Case()
    view = view_of(case.labels(), (0.7, 0.5), (236, 190))
    pixels = np.asarray(tile(case.hu()[1], case.labels()[1], view)).astype(int)
    green = np.argwhere((pixels == (0, 255, 0)).all(axis=2))
    inside = pixels[green[:, 0].min() : green[:, 0].max(), green[:, 1].min() : green[:, 1].max()]
    assert (inside.min(axis=2) > 230).any()


def test_a_view_shows_pixels_that_are_not_square_as_they_are():
    labels = np.zeros((1, 200, 200), np.uint8)
    labels[0, 90:110, 90:110] = 1
    view = view_of(labels, (1.0, 0.5), (200, 200), least_mm=60.0)
    assert view.step_x == pytest.approx(2 * view.step_y)


def test_a_view_holds_all_calcium():
    labels = np.zeros((2, 400, 300), np.uint8)
    labels[0, 5, 8], labels[1, 390, 290] = 1, 2
    view = view_of(labels, (0.6, 0.6), (236, 190))
    right, bottom = view.left + view.step_x * 236, view.top + view.step_y * 190
    assert view.left < 8
    assert right > 290
    assert view.top < 5
    assert bottom > 390


def test_key_slices_show_every_vessel_and_then_the_fullest():
    labels = np.zeros((20, 10, 10), np.uint8)
    for at in range(12):
        labels[at, : at + 1 if at < 10 else 9, :5] = Vessel.LAD.label
    labels[17, 0, 0] = Vessel.RCA.label
    assert choose_slices(labels, 4) == (8, 9, 10, 17)


def test_key_slices_of_an_empty_reading_are_spread_over_the_stack():
    chosen = choose_slices(np.zeros((48, 4, 4), np.uint8), 8)
    assert len(chosen) == 8
    assert 5 <= chosen[0] < chosen[-1] <= 40
    assert choose_slices(np.zeros((2, 4, 4), np.uint8), 8) == (0, 1)


def test_without_images_the_numbers_are_still_shown(source):
    request = Case().request_of(source, hu=None)
    assert render_summary(request).size == (WIDTH, HEIGHT)


def test_long_notes_end_above_the_footer(source):
    notes = tuple(f"Note {number}: " + "a rather long remark on the scan " * 6 for number in range(9))
    short, long = (render_summary(Case(notes=said).request_of(source)) for said in ((), notes))
    assert np.array_equal(np.asarray(short)[935:], np.asarray(long)[935:])
    assert not np.array_equal(np.asarray(short)[838:935], np.asarray(long)[838:935])


@given(words=LETTERS, width=st.integers(20, 400))
def test_a_fitted_line_is_no_wider_than_asked(words, width):
    assert width_of(fitted(words, 15, width), 15) <= width


@given(paragraphs=st.lists(LETTERS, max_size=6), most=st.integers(1, 5))
def test_wrapped_lines_are_few_and_narrow_enough(paragraphs, most):
    lines = wrapped(paragraphs, 15, 500, most)
    assert len(lines) <= most
    assert all(width_of(line, 15) <= 500 for line in lines)
