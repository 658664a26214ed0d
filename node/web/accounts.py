"""Log-in, sessions and passwords over the ledger's people.

A session is a random secret in a cookie; the ledger has its hash. The secret begins with the second it was made in, so
that its greatest age needs no other place: the hash covers it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node.domain.errors import Refused
from node.domain.people import Role, User
from node.storage.ledger import Ledger
from node.web import passwords
from node.web.attempts import lock_after
from node.web_settings import WebSettings

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_EXTEND_AFTER: Final = timedelta(seconds=60)
"""A session is written anew this often at most, not at every click."""
_MOST_REMEMBERED: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who asks. ``csrf`` goes into every form; empty for a token of the API, which needs none."""

    user: User
    role: Role
    csrf: str
    session: str = ""  # hash of the secret in the cookie

    @property
    def name(self) -> str:
        """The user's name."""
        return self.user.name

    @property
    def must_change_password(self) -> bool:
        """Whether somebody else has set the password."""
        return bool(self.session) and passwords.is_initial(self.user.password_hash)

    def may(self, role: Role) -> bool:
        """Whether what ``role`` may do is open to them."""
        return self.role.allows(role)


def user_name(typed: str) -> str:
    """A user's name as it is kept. Raises :class:`Refused` if it cannot be one."""
    name = typed.strip().lower()
    if not _NAME.fullmatch(name):
        raise Refused("a user name has 1 to 64 of the letters a to z, digits, and . _ @ - after the first")
    return name


def sha256_of(secret: str) -> str:
    """What the ledger keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


class Accounts:
    """Who is let in, and for how long. May be used by any number of threads."""

    def __init__(self, ledger: Ledger, settings: WebSettings, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._longest = timedelta(hours=settings.session_hours)
        self._idle = timedelta(minutes=settings.idle_minutes)
        self._extended: OrderedDict[str, datetime] = OrderedDict()
        self._turn = threading.Lock()

    def log_in(self, typed_name: str, password: str) -> User | None:
        """The user, if name and password are right and the account is open. Takes as long when they are not."""
        now = self._clock()
        user = self.known(typed_name)
        right = passwords.verify(password, user.password_hash if user else "")
        if user is None or not user.active or user.locked(now):
            return None
        if not right:
            delay = lock_after(user.failed_logins + 1)
            self._ledger.login_failed(user.name, None if delay is None else now + delay)
            return None
        if user.failed_logins:
            self._ledger.login_succeeded(user.name)
        return user

    def open(self, user: User) -> str:
        """Begin a session; returns the secret for the cookie."""
        now = self._clock()
        secret = f"{int(now.timestamp())}.{secrets.token_urlsafe(32)}"
        self._ledger.open_session(sha256_of(secret), user.id, now, now + min(self._idle, self._longest))
        return secret

    def visitor(self, secret: str) -> Visitor | None:
        """Whose session it is; None if it has ended, by age, idleness, log-out or a change of the user."""
        now = self._clock()
        ends = self._end_of(secret)
        if ends is None or now >= ends:
            return None
        session = sha256_of(secret)
        user = self._ledger.session_user(session, now)
        if user is None:
            return None
        self._extend(session, now, min(now + self._idle, ends))
        return Visitor(user=user, role=user.role, csrf=sha256_of(f"form:{secret}"), session=session)

    def bearer(self, token: str) -> Visitor | None:
        """Whose token of the API it is; with the lesser of its role and its user's."""
        found = self._ledger.use_token(sha256_of(token), self._clock())
        if found is None:
            return None
        known, user = found
        return Visitor(user=user, role=known.role if user.role.allows(known.role) else user.role, csrf="")

    def close(self, visitor: Visitor) -> None:
        """Log out."""
        self._ledger.close_session(visitor.session)

    def add(self, typed_name: str, role: Role, password: str, *, initial: bool) -> User:
        """A new user. Raises :class:`Refused` for a bad name or password, or a name that is taken."""
        name = user_name(typed_name)
        passwords.check_rules(password, name)
        return self._ledger.add_user(name, role, passwords.hashed(password, initial=initial), self._clock())

    def set_password(self, name: str, password: str, *, initial: bool) -> User:
        """Set a password and end the user's sessions. Raises :class:`Refused` for a bad one or an unknown user."""
        passwords.check_rules(password, name)
        kept = passwords.hashed(password, initial=initial)
        return self._ledger.change_user(name, self._clock(), password_hash=kept)

    def change(self, name: str, *, role: Role | None = None, active: bool | None = None) -> User:
        """Change role or state and end the user's sessions.

        Raises :class:`Refused` for an unknown user, or where no administrator would be left.
        """
        leaves = active is False or (role is not None and role is not Role.ADMIN)
        admins = {one.name for one in self._ledger.users() if one.active and one.role is Role.ADMIN}
        if leaves and admins == {name}:
            raise Refused(f"{name} is the only administrator: make another one first")
        return self._ledger.change_user(name, self._clock(), role=role, active=active)

    def known(self, typed_name: str) -> User | None:
        """The user of this name, if there is one."""
        try:
            return self._ledger.user(user_name(typed_name))
        except Refused:
            return None

    def _end_of(self, secret: str) -> datetime | None:
        made = secret.partition(".")[0]
        if not (made.isascii() and made.isdigit() and len(made) <= 11):
            return None
        return datetime.fromtimestamp(int(made), tz=self._clock().tzinfo) + self._longest

    def _extend(self, session: str, now: datetime, until: datetime) -> None:
        with self._turn:
            last = self._extended.get(session)
            if last is not None and now - last < min(_EXTEND_AFTER, self._idle / 4):
                return
            self._extended[session] = now
            self._extended.move_to_end(session)
            while len(self._extended) > _MOST_REMEMBERED:
                self._extended.popitem(last=False)
        self._ledger.extend_session(session, until)
