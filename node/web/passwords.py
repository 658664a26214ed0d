"""Passwords: hashed with Argon2id, checked in equal time for known and unknown users, and the rules for new ones.

An initial password, set by somebody else, is marked in the stored text: its owner has to change it before anything
else. The ledger keeps the text and knows nothing of either.
"""

from __future__ import annotations

import secrets
import threading
from functools import cache
from typing import Final

from pwdlib import PasswordHash

from node.domain.errors import Refused

SHORTEST: Final = 12
LONGEST: Final = 200
"""Longer ones only cost time to hash."""
_INITIAL: Final = "initial:"
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB: a burst of log-ins must not take the memory that reading needs."""
_DULL: Final = frozenset(
    {"passwordpassword", "123456789012", "1234567890123", "qwertyuiopasdf", "calciumsecondreader", "secondreader"}
)


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobody() -> str:
    """What the password of a user who does not exist is held against."""
    return _hasher().hash(secrets.token_urlsafe(16))


def check_rules(password: str, user_name: str) -> None:
    """Raises :class:`Refused` with what a password lacks. Length is what counts: a sentence of words is welcome."""
    plain = password.strip().casefold()
    if len(password) < SHORTEST or len(plain) < SHORTEST:
        raise Refused(f"a password has at least {SHORTEST} characters; a few words in a row do well")
    if len(password) > LONGEST:
        raise Refused(f"a password has at most {LONGEST} characters")
    if user_name.casefold() in plain and len(plain) - len(user_name) < SHORTEST:
        raise Refused("the password is little more than the user name")
    if len(set(plain)) < 5 or plain.replace(" ", "") in _DULL:
        raise Refused("this password would be guessed at once")


def hashed(password: str, *, initial: bool = False) -> str:
    """The text to keep. ``initial``: somebody else has set it, and its owner is to change it."""
    with _AT_ONCE:
        text = _hasher().hash(password)
    return f"{_INITIAL}{text}" if initial else text


def verify(password: str, kept: str) -> bool:
    """Whether it is the password. An empty ``kept``, that of nobody, takes as long and is never right."""
    wanted = kept.removeprefix(_INITIAL)
    if len(password) > LONGEST:
        password, wanted = "", ""
    with _AT_ONCE:
        right = _hasher().verify(password, wanted or _nobody())
    return right and bool(wanted)


def is_initial(kept: str) -> bool:
    """Whether its owner has to change it first."""
    return kept.startswith(_INITIAL)


def random_password() -> str:
    """20 characters in groups of five that are hard to misread: nearly 100 bits."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))
