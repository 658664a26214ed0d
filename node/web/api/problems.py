"""Faults in the words of RFC 9457: ``application/problem+json``, with every reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import HTTPException
from starlette.responses import JSONResponse

PROBLEM_TYPE: Final = "application/problem+json"
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reasons"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "minLength": 1},
        "status": {"type": "integer"},
        "detail": {"type": "string", "minLength": 1},
        "reasons": {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
    },
}


class Problem(HTTPException):
    """A refusal for several reasons."""

    def __init__(self, status: int, reasons: Sequence[str]) -> None:
        super().__init__(status, "; ".join(reasons))
        self.reasons = tuple(reasons)


def problem(status: int, title: str, reasons: Sequence[str]) -> JSONResponse:
    """The answer of the API to what did not work."""
    content = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": "; ".join(reasons),
        "reasons": list(reasons),
    }
    return JSONResponse(content, status, media_type=PROBLEM_TYPE)
