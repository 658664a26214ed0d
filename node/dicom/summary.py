"""The summary image: an RGB Secondary Capture any viewer shows (PS3.3 A.8.1), and the same picture for a file.

It holds no name, number or date of the patient or the acquisition, so Burned In Annotation is NO (PS3.3 C.7.6.1: the
flag is about text that identifies the patient and the date).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from model.lesions import Vessel
from node.dicom.codes import SITES
from node.dicom.drawing import BACKGROUND, LINE, PANEL, QUIET, TEXT, WARNING, Canvas, fitted, width_of, wrapped
from node.dicom.envelope import add_lossy, finished, new_object, order_item, plain, plane_references
from node.dicom.impression import borderline_sentence, category_word, kvp_sentence, shown
from node.dicom.keyslices import CLOSE_MM, choose_slices, tile, view_of
from node.dicom.request import Request, Role, StoredObject
from node.domain.findings import Findings, RegionScore

WIDTH: Final = 1024
HEIGHT: Final = 1024
_EDGE: Final = 28
_TILE: Final = (236, 190)
_TILES_ACROSS: Final = 4
_MOST_TILES: Final = 8
_TABLE: Final = ("LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA", "AC")
_TABLE_RIGHT: Final = 636
_COLUMNS: Final = (("Agatston", 362), ("Volume mm3", 466), ("Mass mg", 552), ("Lesions", 622))
_TABLE_TOP, _TILES_TOP, _NOTES_TOP, _FOOTER_TOP = 84, 392, 838, 942


def build_summary(request: Request) -> StoredObject:
    """The summary as a Secondary Capture image."""
    dataset = new_object(request, Role.SUMMARY, SecondaryCaptureImageStorage)
    chosen = choose_slices(request.labels, _MOST_TILES)
    pixels = np.asarray(_render(request, chosen))
    order = order_item(request)
    if order is not None and "RequestedProcedureID" in request.source.order:
        dataset.RequestAttributesSequence = [order]
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY", "CALCIUM SUMMARY"]
    dataset.DerivationDescription = "Calcium scores and key slices; not for primary diagnosis"
    dataset.PatientOrientation = None
    dataset.BurnedInAnnotation = "NO"
    dataset.SourceImageSequence = plane_references([request.source.planes[at] for at in chosen])
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    add_lossy(dataset, request)
    dataset.add_new(0x7FE00010, "OB", pixels.tobytes())
    return finished(dataset, Role.SUMMARY)


def render_summary(request: Request) -> Image.Image:
    """The summary as an RGB picture of 1024 x 1024 pixels."""
    return _render(request, choose_slices(request.labels, _MOST_TILES))


def _render(request: Request, chosen: tuple[int, ...]) -> Image.Image:
    canvas = Canvas(WIDTH, HEIGHT)
    findings = request.findings
    _header(canvas, request)
    _table(canvas, findings)
    _category(canvas, findings)
    _tiles(canvas, request, chosen)
    _notes(canvas, findings)
    _footer(canvas, findings)
    return canvas.image


def _header(canvas: Canvas, request: Request) -> None:
    canvas.box(-8, -8, WIDTH + 8, 64, PANEL)
    canvas.write(_EDGE, 18, "Coronary calcium score", 26)
    flag = "RESEARCH USE ONLY" if request.identity.qualification == "RESEARCH" else "SECOND READER"
    left = WIDTH - _EDGE - round(width_of(flag, 15)) - 24
    canvas.box(left, 17, WIDTH - _EDGE, 47, BACKGROUND, WARNING)
    canvas.write(left + 12, 24, flag, 15, WARNING)


def _table(canvas: Canvas, findings: Findings) -> None:
    canvas.box(_EDGE, _TABLE_TOP, _TABLE_RIGHT, _TILES_TOP - 16, PANEL)
    top = _TABLE_TOP + 12
    for title, right in _COLUMNS:
        canvas.write_right(right, top, title, 14, QUIET)
    top += 26
    for region in _TABLE:
        total = region in ("CAC", "AC")
        if total:
            canvas.rule(_EDGE + 14, _TABLE_RIGHT - 14, top - 3)
        else:
            canvas.box(_EDGE + 14, top + 4, _EDGE + 30, top + 18, SITES[region].rgb)
        name = {"CAC": "Coronary total", "AC": "Aortic total"}.get(region, SITES[region].name)
        canvas.write(_EDGE + (14 if total else 40), top, name, 18)
        _row(canvas, top, findings.scores[region])
        top += 34 if total else 29


def _row(canvas: Canvas, top: int, score: RegionScore) -> None:
    mass = "-" if score.mass_mg is None else shown(score.mass_mg)
    values = (shown(score.agatston), shown(score.volume_mm3), mass, str(score.lesions))
    for value, (_, right) in zip(values, _COLUMNS, strict=True):
        canvas.write_right(right, top, value, 18, QUIET if value == "0" else TEXT)


def _category(canvas: Canvas, findings: Findings) -> None:
    left, right = _TABLE_RIGHT + 16, WIDTH - _EDGE
    inside = right - left - 36
    canvas.box(left, _TABLE_TOP, right, _TILES_TOP - 16, PANEL)
    left += 18
    canvas.write(left, _TABLE_TOP + 14, "Agatston score, coronary arteries", 14, QUIET)
    canvas.write(left, _TABLE_TOP + 34, shown(findings.scores["CAC"].agatston), 64)
    top = _TABLE_TOP + 114
    low, high = findings.interval.get("CAC", (0.0, 0.0))
    if high > 0:
        canvas.write(left, top, f"5-95 % interval {shown(low)} to {shown(high)}", 16, QUIET)
    canvas.write(left, top + 28, fitted(category_word(findings), 22, inside), 22)
    canvas.write(left, top + 58, f"Category {findings.category}    CAC-DRS {findings.cac_drs}", 16)
    definition = findings.definition
    voltage = f"{definition.kvp:g} kVp" if definition.kvp is not None else "tube voltage unknown"
    canvas.write(left, top + 98, fitted(f"{definition.profile}, {voltage}", 14, inside), 14, QUIET)
    rules = f"{definition.threshold_hu:g} HU, {definition.connectivity}-connected, min. {definition.minimum_area}"
    canvas.write(left, top + 118, fitted(rules, 14, inside), 14, QUIET)
    marks = {"borderline": borderline_sentence(findings), "kVp-adapted": kvp_sentence(findings)}
    canvas.write(left, top + 140, ", ".join(mark for mark, said in marks.items() if said), 15, WARNING)


def _tiles(canvas: Canvas, request: Request, chosen: tuple[int, ...]) -> None:
    """Up to eight key slices; where four or fewer show everything, the calcium of each is shown again from close by."""
    if request.hu is None:
        canvas.write(_EDGE, _TILES_TOP + 8, "The images were not available for this summary.", 16, QUIET)
        return
    row_mm, column_mm = (float(value) for value in request.source.pixel_spacing)
    whole = view_of(request.labels, (row_mm, column_mm), _TILE)
    for number, at in enumerate(chosen):
        found = np.unique(request.labels[at])
        names = ", ".join(vessel for vessel in Vessel if vessel.label in found) or "no calcium"
        picture = tile(request.hu[at], request.labels[at], whole)
        _tile(canvas, number, picture, f"Slice {at + 1} of {request.labels.shape[0]}: {names}")
        if len(chosen) <= _TILES_ACROSS and request.labels[at].any():
            close = view_of(request.labels[at][None], (row_mm, column_mm), _TILE, CLOSE_MM)
            picture = tile(request.hu[at], request.labels[at], close)
            _tile(canvas, number + _TILES_ACROSS, picture, f"Slice {at + 1}, close: {names}")


def _tile(canvas: Canvas, number: int, picture: Image.Image, caption: str) -> None:
    step = (WIDTH - 2 * _EDGE - _TILE[0]) // (_TILES_ACROSS - 1)
    left = _EDGE + number % _TILES_ACROSS * step
    top = _TILES_TOP + number // _TILES_ACROSS * (_TILE[1] + 32)
    canvas.paste(picture, left, top)
    canvas.write(left, top + _TILE[1] + 5, fitted(caption, 14, _TILE[0]), 14, QUIET)


def _notes(canvas: Canvas, findings: Findings) -> None:
    said = [*filter(None, (borderline_sentence(findings), kvp_sentence(findings))), *findings.notes]
    if not said:
        said = ["No remarks on this scan."]
    for number, line in enumerate(wrapped([plain(line) for line in said], 15, WIDTH - 2 * _EDGE, most=4)):
        canvas.write(_EDGE, _NOTES_TOP + number * 23, line, 15, TEXT)


def _footer(canvas: Canvas, findings: Findings) -> None:
    canvas.box(-8, _FOOTER_TOP, WIDTH + 8, HEIGHT + 8, PANEL, LINE)
    model, inside = findings.model, WIDTH - 2 * _EDGE
    signed = f"Read by {model.name} {model.version} ({model.sha256[:12]}). Training data: {model.trained_on}"
    for number, line in enumerate(wrapped([plain(signed)], 14, inside, most=2)):
        canvas.write(_EDGE, _FOOTER_TOP + 10 + number * 19, line, 14, QUIET)
    canvas.write(_EDGE, _FOOTER_TOP + 54, "Research use only - not for primary diagnosis", 16, WARNING)
