"""A reviewer settles a case in a real browser: scrolls to the missed lesion, hides a vessel, decides."""

import os
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image

from model.lesions import Vessel
from node.demo import patients
from node.domain.human_read import ReadSource
from node.domain.people import Role
from tests.case_site import CaseSite
from tests.peers.programs import program
from tests.web_site import PASSWORD

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

YELLOW, GREEN = (255, 255, 0), (0, 255, 0)  # RCA, LAD
SHOWN = "canvas[data-shown=yes]"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The demo's patient with moderate calcium, whose RCA the human overlooked."""
    made = CaseSite(tmp_path_factory.mktemp("site"))
    for name, role in (("rene", Role.REVIEWER), ("vera", Role.VIEWER)):
        made.known_user(name, role)
    patient = patients.load("moderate")
    human = {"LM": 0, "LAD": 60, "LCX": 10, "RCA": 0}
    made.number = made.scanned("moderate", patient.volume, patient.truth.labels, human)
    made.drawn = made.scanned("drawn", patient.volume, patient.truth.labels, human, source=ReadSource.SEG)
    read = made.ledger.case(made.drawn).row.read_id
    of_human = np.where(patient.truth.labels == Vessel.LAD.label, patient.truth.labels, 0).astype(np.uint8)
    made.human_marks = lambda read_id, _ct: of_human if read_id == read else None
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def address(site):
    server = uvicorn.Server(uvicorn.Config(site.app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(timeout=0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address, tmp_path):
    """A page of somebody who is logged in; nothing may be said on the console."""
    said, contexts = [], []

    def run(name, **context: object):
        opened = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
        contexts.append(opened)
        page = opened.new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}/login")
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click("main button")
        page.wait_for_url(f"{address}/")
        return page

    yield run
    for one in contexts:
        one.close()
    assert not said


def pixels(page, colour):
    """How many pixels of the scan have a colour."""
    picture = Image.open(BytesIO(page.locator(".viewer-stage canvas").screenshot())).convert("RGB")
    return int((np.abs(np.asarray(picture).astype(int) - colour).max(axis=2) < 60).sum())


def keep(page, name):
    """A picture to be looked at, where somebody wants one."""
    folder = os.environ.get("SECOND_READER_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def settled(page):
    page.wait_for_selector(f"[data-viewer][data-ready=yes] {SHOWN}")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_the_missed_lesion_is_shown_and_its_vessel_can_be_hidden(visit, address, site):
    page = visit("vera")
    page.goto(f"{address}/cases/{site.number}")
    settled(page)
    assert pixels(page, YELLOW) > 20
    keep(page, "case_open")
    page.locator("label", has=page.locator("[data-vessel][value='4']")).click()
    settled(page)
    assert pixels(page, YELLOW) == 0
    page.keyboard.press("o")
    page.locator("label", has=page.locator("[data-vessel][value='4']")).click()
    page.locator("[data-style][value=fill] + span").click()
    settled(page)
    assert pixels(page, YELLOW) > 20


def shot(page):
    settled(page)
    return page.locator(".viewer-stage canvas").screenshot()


def test_marks_of_both_reads_are_told_apart_by_form(visit, address, site):
    """The human has drawn the LAD and overlooked the RCA: ours is filled, the human's outlined."""
    page = visit("vera")
    page.goto(f"{address}/cases/{site.drawn}")
    settled(page)
    slider, marks = page.locator("[data-slider]"), site.human_marks(site.ledger.case(site.drawn).row.read_id, None)
    assert "marked: Node" in slider.get_attribute("aria-valuetext")  # the missed lesion
    index = int(np.flatnonzero(marks.any(axis=(1, 2)))[0])
    slider.fill(str(marks.shape[0] - 1 - index))
    page.locator("[data-reset]").click()
    assert slider.get_attribute("aria-valuetext").endswith("marked: Node and Human")
    seen = {"both": shot(page)}
    keep(page, "case_drawn")
    for name, told in (("0", "marked: Node"), ("1", "marked: Human")):
        page.locator(f"[data-layer][value='{name}'] + span").click()
        assert slider.get_attribute("aria-valuetext").endswith(told)
        seen[name] = shot(page)
    page.keyboard.press("m")
    assert page.locator("[data-layer][value=both]").is_checked()
    assert slider.get_attribute("aria-valuetext").endswith("marked: Node and Human")
    page.keyboard.press("o")
    assert "marked" not in slider.get_attribute("aria-valuetext")
    seen["off"] = shot(page)
    assert len(set(seen.values())) == 4
    assert page.get_by_label("Human, outlined").count() == page.get_by_label("Node, filled").count() == 1


def test_a_blind_reviewer_sees_the_marks_of_both_or_of_none(visit, address, site):
    page = visit("rene")
    page.goto(f"{address}/cases/{site.drawn}")
    settled(page)
    assert page.get_by_label("A, filled").count() == page.get_by_label("B, outlined").count() == 1
    assert page.locator("[data-lesion]").count() == 0
    keep(page, "case_drawn_blind")


def test_scrolling_goes_down_the_body_and_stays_in_the_stack(visit, address, site):
    page = visit("vera")
    page.goto(f"{address}/cases/{site.number}")
    settled(page)
    canvas, position = page.locator(".viewer-stage canvas"), page.locator("[data-say=position]")
    before = int(canvas.get_attribute("data-slice"))
    canvas.focus()
    page.keyboard.press("ArrowDown")
    settled(page)
    assert int(canvas.get_attribute("data-slice")) == before - 1
    canvas.hover()
    page.mouse.wheel(0, -120)
    page.wait_for_function(
        "before => +document.querySelector('.viewer-stage canvas').dataset.slice > before", arg=before
    )
    page.keyboard.press("End")
    assert position.inner_text().startswith("Slice 48 of 48")
    page.keyboard.press("ArrowDown")
    assert position.inner_text().startswith("Slice 48 of 48")
    page.keyboard.press("Home")
    assert position.inner_text().startswith("Slice 1 of 48")
    page.locator("[data-preset=bone]").click()  # the keys still belong to the scan
    page.keyboard.press("PageDown")
    assert position.inner_text().startswith("Slice 6 of 48")
    page.locator("[data-slider]").fill("10")
    assert position.inner_text().startswith("Slice 11 of 48")


def test_nothing_moves_while_the_slices_come(visit, address, site):
    page = visit("vera")
    page.add_init_script(
        "window.shifts = []; new PerformanceObserver((list) => window.shifts.push(...list.getEntries()"
        ".map((one) => one.value))).observe({ type: 'layout-shift', buffered: true })"
    )
    page.goto(f"{address}/cases/{site.drawn}")
    settled(page)
    page.keyboard.press("PageDown")
    settled(page)
    assert sum(page.evaluate("window.shifts")) < 0.01


def test_windows_change_at_once_and_the_value_under_the_pointer_is_right(visit, address, site):
    page = visit("vera")
    page.goto(f"{address}/cases/{site.number}")
    settled(page)
    page.keyboard.press("3")
    assert page.locator("[data-say=window]").inner_text() == "W 1500 L -500"
    settled(page)
    keep(page, "case_lung")
    page.locator("[data-reset]").click()
    box = page.locator(".viewer-stage canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    index = int(page.locator(".viewer-stage canvas").get_attribute("data-slice"))
    told = int(page.locator("[data-say=value]").inner_text().removesuffix(" HU"))
    rows, columns = (size // 2 for size in patients.load("moderate").volume.grid.shape[1:])
    hu = patients.load("moderate").volume.hu[index, rows - 2 : rows + 3, columns - 2 : columns + 3]
    assert told in hu


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("tablet", {"viewport": {"width": 820, "height": 1180}, "has_touch": True}),
        ("dark", {"color_scheme": "dark"}),
        ("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True}),
    ],
)
def test_nothing_sticks_out_on_any_screen(visit, address, site, name, context):
    page = visit("vera", **context)
    page.goto(f"{address}/cases/{site.number}")
    settled(page)
    keep(page, f"case_{name}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_reviewer_decides_blind_and_the_worklist_and_the_trail_know(visit, address, site):
    page = visit("rene")
    page.goto(f"{address}/cases/{site.number}")
    settled(page)
    keep(page, "case_blind")
    assert pixels(page, YELLOW) == 0  # marks of one read alone come with the names
    assert page.locator(".viewer-marks").is_hidden()
    assert page.locator("[data-lesion]").count() == 0
    row = page.locator(".pair tr", has=page.locator("abbr[title='Right coronary artery']"))
    node = "first" if row.locator("td").nth(0).inner_text() == "40" else "second"
    page.locator(f"[name=outcome][value={node}]").check()
    page.fill("[name=comment]", "RCA in slice 15")
    page.locator("button", has_text="Decide").click()
    page.get_by_text("Decided: The node is right").wait_for()
    page.get_by_text("Change the decision").click()
    page.get_by_text("Proposed:").wait_for()
    page.locator("[data-proposal] button").click()
    assert page.locator("[data-radpeer]").input_value() == "2b"
    page.locator("button", has_text="Record the new version").click()
    page.get_by_text("RADPEER 2b").first.wait_for()
    settled(page)
    keep(page, "case_decided")
    page.goto(f"{address}/?state=decided&show=all")
    page.get_by_text("ACC-moderate").wait_for()
    decisions = site.ledger.decisions(site.number)
    assert [(one.blind, one.comment) for one in decisions] == [(True, "RCA in slice 15")] * 2
    actions = {one.action for one in site.ledger.audit_entries(subject=f"case:{site.number}", actor="rene")}
    assert actions == {"case.view", "scan.view", "case.decide"}
