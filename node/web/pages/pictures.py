"""Slices and marks of a case for the viewer in the browser, which writes faults (JSON) where the scan would be."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from node.domain.errors import NodeError, Permanent
from node.web.auth import Viewer
from node.web.case_files import case_numbered, open_case, scan_of, subject_of
from node.web.house import house_of
from node.web.slices import layers_of, slice_bytes, viewer_document
from node.web.trail import Action, record

router = APIRouter(prefix="/cases")

_KEEP: Final = "private, max-age=3600, immutable"


@router.get("/{number}/viewer.json")
def facts(request: Request, visitor: Viewer, number: int) -> Response:
    """What there is to see: slices, marks by read and vessel, lesions."""
    file = open_case(request, visitor, number)
    try:
        scan = house_of(request).services.scans.get(scan_of(file.case))
    except NodeError as error:
        return _gone(error)
    record(request, visitor.name, Action.SCAN_VIEWED, subject_of(number))
    layers = layers_of(scan, blind=file.names.blind, node_is_a=file.names.node_first)
    lesions = file.findings.lesions if file.findings is not None and not file.names.blind else ()
    document = viewer_document(scan, layers, lesions, file.case.comparison.lesions)
    remarks = () if file.names.blind else scan.remarks  # which read has marks says whose it is
    return JSONResponse({**document, "remarks": [f"{one[:1].upper()}{one[1:]}." for one in remarks]})


@router.get("/{number}/slices/{index}.bin")
def one_slice(request: Request, visitor: Viewer, number: int, index: int) -> Response:  # noqa: ARG001 - asks for the role
    """One slice as int16, little endian. Under the scan's version it never changes, so the browser may keep it."""
    house = house_of(request)
    case = case_numbered(house, number)
    try:
        scan = house.services.scans.get(scan_of(case))
        data = slice_bytes(scan, index)
    except IndexError:
        return JSONResponse({"detail": "There is no such slice."}, 404)
    except NodeError as error:
        return _gone(error)
    headers = {"Content-Encoding": "gzip", "Cache-Control": _KEEP}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _gone(error: NodeError) -> Response:
    """409 for what will not come back by itself, 503 for what may."""
    words = f"{str(error)[:1].upper()}{str(error)[1:]}."
    return JSONResponse({"detail": words}, 409 if isinstance(error, Permanent) else 503)
