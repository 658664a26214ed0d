"""Passwords: hashed with Argon2id, checked in equal time for known and unknown users, and the rules for new ones.

An initial password, set by somebody else, is marked in the stored text: its owner has to change it before anything
else. The ledger keeps the text and knows nothing of either.
"""

from __future__ import annotations

import re
import secrets
import threading
from functools import cache
from typing import Final

from pwdlib import PasswordHash

from node.domain.errors import Refused

SHORTEST: Final = 12
LONGEST: Final = 200
"""Longer ones only cost time to hash."""
_OF_ONES_OWN: Final = 4
"""Letters that have to be left when everything dull is taken away."""
_INITIAL: Final = "initial:"
_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Each hash takes 64 MiB: a burst of log-ins must not take the memory that reading needs."""
_DULL: Final = re.compile(
    "administrator|superuser|willkommen|cardiology|passphrase|radiology|agatston|changeme|hospital|iloveyou|kennwort|"
    "password|passwort|calcium|default|letmein|support|welcome|access|autumn|master|monkey|qwertz|qwerty|reader|second|"
    "secret|spring|summer|winter|admin|dicom|guest|heart|hello|login|passw|pacs|root|test|user|abc"
)
"""What people reach for when they must think of something, the longer words first."""
_LOOKALIKES: Final = str.maketrans("013457@$!", "oieastasi")
_ROWS: Final = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "0123456789")


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
    if len(set(plain)) < 5 or _is_dull(plain):
        raise Refused("this password would be guessed at once")


def _is_dull(plain: str) -> bool:
    """Whether little but dull words or a row of keys stands there, whatever digits and signs adorn it."""
    for text in (plain, plain.translate(_LOOKALIKES)):
        letters = re.sub(r"[\W\d_]+", "", text)
        left = _DULL.sub("", letters)
        taken = len(letters) - len(left)
        if taken and len(left) < _OF_ONES_OWN and len(plain) - taken < SHORTEST:
            return True
    typed = re.sub(r"[\W_]+", "", plain)
    return any(typed in run * 3 for row in _ROWS for run in (row, row[::-1]))


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
