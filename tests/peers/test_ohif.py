"""The OHIF viewer in a real browser shows the Segmentation in the colours and at the places it was sent with."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.lesions import Vessel
from node.dicom.answers import Role, build_answers
from node.dicom.codes import SITES
from tests.answer_cases import STUDY_UID, Case
from tests.peers.orthanc import running
from tests.peers.programs import program
from tests.peers.viewer import pages, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SIZE = 128
COLUMNS = {Vessel.LAD: 32, Vessel.LCX: 64, Vessel.RCA: 96}  # a bar of calcium through all slices, at these columns
ROW, HALF = 64, 8
FLAGS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """(screenshot of the viewport as an array, text of the page) with the Segmentation open."""
    if not DICOMWEB.exists():
        pytest.skip("orthanc-dicomweb is not installed")
    folder = tmp_path_factory.mktemp("viewer")
    lesions = [(vessel, at, ROW, column, HALF) for vessel, column in COLUMNS.items() for at in range(20)]
    case = Case(shape=(20, SIZE, SIZE), spacing_mm=("0.7", "0.7"), step_mm=3.0, lesions=lesions)
    paths = case.write(folder / "source")
    answers = build_answers(case.request(paths), [Role.SEG, Role.SR, Role.SUMMARY])
    with running(folder, [str(DICOMWEB)]) as orthanc:
        for data in (*(path.read_bytes() for path in paths), *(made.data for made in answers)):
            orthanc.post("/instances", data)
        with serving(pages(folder), orthanc) as url, playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=program("chromium"), args=list(FLAGS))
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(90_000)
            page.goto(f"{url}/viewer?StudyInstanceUIDs={STUDY_UID}")
            page.get_by_text("Skip all").click()
            page.get_by_text("Calcium segmentation").first.dblclick()
            page.get_by_text("Yes", exact=True).click()
            page.locator('[data-cy^="panelSegmentation"]').first.click()
            page.get_by_text("Calcium RCA").first.wait_for()
            page.wait_for_timeout(3000)
            picture = page.locator('[data-cy="viewport-pane"], .viewport-element').first.screenshot()
            text = page.inner_text("body")
            page.screenshot(path=str(folder / "page.png"))
            browser.close()
    return np.asarray(Image.open(BytesIO(picture)).convert("RGB")).astype(int), text


def test_segments_are_listed_by_vessel(shown):
    _, text = shown
    for vessel in COLUMNS:
        assert f"Calcium {vessel}" in text


@pytest.mark.parametrize("vessel", COLUMNS)
def test_a_lesion_has_the_colour_of_its_vessel_where_it_lies(shown, vessel):
    picture, _ = shown
    own = np.argwhere(np.abs(picture - np.array(SITES[vessel].rgb)).max(axis=2) <= 12)
    assert len(own) > 100
    middle = own.mean(axis=0)
    height, width = picture.shape[:2]
    scale = min(height, width) / SIZE  # the image is square and fitted into the viewport
    expected = (height / 2 + (ROW + 0.5 - SIZE / 2) * scale, width / 2 + (COLUMNS[vessel] + 0.5 - SIZE / 2) * scale)
    assert middle == pytest.approx(expected, abs=2 * scale)
    spread = own.max(axis=0) - own.min(axis=0)
    assert spread == pytest.approx((2 * HALF + 1) * scale, abs=2 * scale)
