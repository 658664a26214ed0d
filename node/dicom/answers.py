"""From a reading to the DICOM objects that answer it."""

from __future__ import annotations

from collections.abc import Collection

from node.dicom.measurements import build_measurements
from node.dicom.narrative import build_narrative
from node.dicom.request import NodeIdentity, PredecessorRef, Request, Role, StoredObject
from node.dicom.segmentation import build_segmentation, segments_of
from node.dicom.summary import build_summary

__all__ = ["NodeIdentity", "PredecessorRef", "Request", "Role", "StoredObject", "build_answers"]


def build_answers(request: Request, roles: Collection[Role]) -> tuple[StoredObject, ...]:
    """The objects of the wanted roles, the Segmentation first.

    A report refers to the Segmentation only if that is made too, so that nothing refers to what nobody was sent.
    Where nothing is labelled there is no Segmentation, whatever the roles say.
    """
    segments = segments_of(request)
    segmentation = build_segmentation(request, segments) if Role.SEG in roles and segments else None
    made = [segmentation] if segmentation is not None else []
    if Role.SR in roles:
        made.append(build_measurements(request, segments, segmentation))
    if Role.REPORT in roles:
        made.append(build_narrative(request, segmentation))
    if Role.SUMMARY in roles:
        made.append(build_summary(request))
    return tuple(made)
