"""What is sent to the API: of bounded size, of a known type, and not more often than is good for the node."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

from fastapi import HTTPException
from starlette.requests import Request

from node.web.accounts import sha256_of
from node.web.attempts import AddressBudget
from node.web.house import house_of

MOST_BYTES: Final = 10_000_000
BURST: Final = 600
"""Requests a token may send at once; one comes back every tenth of a second."""
_REFILL: Final = timedelta(milliseconds=100)


async def paced(request: Request) -> None:
    """Let a token ask ten times a second, after a burst. Raises HTTPException 429."""
    given = request.headers.get("Authorization", "")
    if not given:
        return  # a browser's session; people are slow
    budget: AddressBudget | None = getattr(request.app.state, "pace", None)
    if budget is None:
        budget = request.app.state.pace = AddressBudget(BURST, _REFILL)
    if not budget.spend(sha256_of(given), house_of(request).clock()):
        raise HTTPException(429, "This token asks more often than ten times a second.", {"Retry-After": "10"})


def body_of(*types: str) -> Callable[[Request], Coroutine[Any, Any, bytes]]:
    """A dependency: the body, if it is of one of these media types and not too large.

    Raises HTTPException 415 or 413. Stands after the visitor among a route's parameters: nobody's body is not read.
    """

    async def body(request: Request) -> bytes:
        given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if given not in types:
            raise HTTPException(415, f"Send {' or '.join(types)}, not {given[:60] or 'an unnamed type'}.")
        parts, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > MOST_BYTES:
                raise HTTPException(413, f"Up to {MOST_BYTES} bytes are taken.")
            parts.append(chunk)
        if not size:
            raise HTTPException(400, "The body is empty.")
        return b"".join(parts)

    return body


def as_body(schema: object, *types: str) -> dict[str, Any]:
    """What OpenAPI says of a body that is read here and not by the framework."""
    content = {name: {"schema": json.loads(json.dumps(schema))} for name in types}
    return {"requestBody": {"required": True, "content": content}}
