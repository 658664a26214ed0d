"""Tokens of the API: made here, shown once, kept as a hash."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Final

from node.domain.errors import Refused
from node.domain.people import Role, Token, User
from node.storage.ledger import Ledger
from node.web.accounts import sha256_of

LONGEST_NAME: Final = 60
LONGEST_DAYS: Final = 3650
_PREFIX: Final = "c2r_"
"""So that a token that leaked is recognised for what it is."""


def give_out(
    ledger: Ledger, user: User, name: str, role: Role, *, now: datetime, days: int | None = 365
) -> tuple[Token, str]:
    """A new token of a user, and the token itself: it cannot be shown again.

    Raises
    ------
    Refused
        The name is empty or long, the time is no time, or the role is above the user's.

    """
    called = name.strip()
    if not called or len(called) > LONGEST_NAME or not called.isprintable():
        raise Refused(f"a token needs a name of up to {LONGEST_NAME} characters that says which machine uses it")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise Refused(f"a token is good for 1 to {LONGEST_DAYS} days")
    if not user.active:
        raise Refused(f"{user.name} is disabled")
    secret = _PREFIX + secrets.token_urlsafe(32)
    ends = None if days is None else now + timedelta(days=days)
    return ledger.add_token(user, called, sha256_of(secret), role, now=now, expires_at=ends), secret
