"""The ledger's users, their sessions and the tokens of the API. Secrets are never kept, only their hashes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, select, update

from node.domain.errors import Refused
from node.domain.people import Role, Token, User
from node.storage.columns import insert_once, insert_row
from node.storage.engine import Store
from node.storage.people_tables import pseudonyms, sessions, tokens, users


class People(Store):
    """Who may do what."""

    def add_user(self, name: str, role: Role, password_hash: str, now: datetime) -> User:
        """A new user. Raises :class:`Refused` if the name is taken."""
        values = {
            "name": name,
            "role": role,
            "password_hash": password_hash,
            "active": True,
            "failed_logins": 0,
            "created_at": now,
            "changed_at": now,
        }
        with self._database.writing() as connection:
            if not insert_once(connection, users, values):
                raise Refused(f"there is a user {name!r} already")
            _pseudonym(connection, name)
            return self._found(connection, users.c.name == name)

    def user(self, name: str) -> User | None:
        """A user by name."""
        with self._database.reading() as connection:
            return self._find(connection, users.c.name == name)

    def users(self) -> tuple[User, ...]:
        """Every user by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(users).order_by(users.c.name)).all()
            return tuple(_user(row, _known_pseudonym(connection, row.name)) for row in rows)

    def change_user(
        self,
        name: str,
        now: datetime,
        *,
        role: Role | None = None,
        password_hash: str | None = None,
        active: bool | None = None,
    ) -> User:
        """Change what is given; ends every session of the user. Raises :class:`Refused` if there is none."""
        given = {"role": role, "password_hash": password_hash, "active": active}
        values: dict[str, Any] = {column: value for column, value in given.items() if value is not None}
        values |= {"changed_at": now, "failed_logins": 0, "locked_until": None}
        with self._database.writing() as connection:
            connection.execute(update(users).where(users.c.name == name).values(values))
            found = self._found(connection, users.c.name == name)
            connection.execute(delete(sessions).where(sessions.c.user_id == found.id))
            return found

    def login_failed(self, name: str, locked_until: datetime | None) -> None:
        """Count a failed log-in; ``locked_until`` refuses the next ones for a while."""
        values = {"failed_logins": users.c.failed_logins + 1, "locked_until": locked_until}
        with self._database.writing() as connection:
            connection.execute(update(users).where(users.c.name == name).values(values))

    def login_succeeded(self, name: str) -> None:
        """Forget the failed ones."""
        with self._database.writing() as connection:
            fresh = {"failed_logins": 0, "locked_until": None}
            connection.execute(update(users).where(users.c.name == name).values(fresh))

    def open_session(self, sha256: str, user_id: int, now: datetime, expires_at: datetime) -> None:
        """A session under the hash of the secret that the cookie holds; sessions that have ended are forgotten."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
            values = {"sha256": sha256, "user_id": user_id, "created_at": now, "expires_at": expires_at}
            insert_once(connection, sessions, values)

    def session_user(self, sha256: str, now: datetime) -> User | None:
        """Whose session it is; None if it has ended or the user is not active."""
        query = select(users).join(sessions, sessions.c.user_id == users.c.id)
        held = (sessions.c.sha256 == sha256, sessions.c.expires_at > now, users.c.active)
        with self._database.reading() as connection:
            row = connection.execute(query.where(*held)).first()
            return None if row is None else _user(row, _known_pseudonym(connection, row.name))

    def extend_session(self, sha256: str, expires_at: datetime) -> None:
        """The user was active: the session goes on."""
        with self._database.writing() as connection:
            connection.execute(update(sessions).where(sessions.c.sha256 == sha256).values(expires_at=expires_at))

    def close_session(self, sha256: str) -> None:
        """Log-out."""
        with self._database.writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.sha256 == sha256))

    def add_token(
        self, user: User, name: str, sha256: str, role: Role, *, now: datetime, expires_at: datetime | None = None
    ) -> Token:
        """A token of the API, by its hash. Raises :class:`Refused` for a role above its user's."""
        if not user.role.allows(role):
            raise Refused(f"a {user.role} cannot give out a token of {role}")
        values = {
            "name": name,
            "user_id": user.id,
            "role": role,
            "sha256": sha256,
            "created_at": now,
            "expires_at": expires_at,
        }
        with self._database.writing() as connection:
            number = insert_row(connection, tokens, values)
            return _token(connection.execute(select(tokens).where(tokens.c.id == number)).one())

    def use_token(self, sha256: str, now: datetime) -> tuple[Token, User] | None:
        """The token of this hash and its user, None if it opens nothing; its use is noted."""
        with self._database.writing() as connection:
            row = connection.execute(select(tokens).where(tokens.c.sha256 == sha256)).first()
            user = None if row is None else self._find(connection, users.c.id == row.user_id)
            if row is None or user is None or not user.active or not _token(row).valid(now):
                return None
            connection.execute(update(tokens).where(tokens.c.id == row.id).values(last_used_at=now))
            return _token(row), user

    def tokens(self) -> tuple[Token, ...]:
        """Every token, newest first."""
        with self._database.reading() as connection:
            return tuple(_token(row) for row in connection.execute(select(tokens).order_by(tokens.c.id.desc())).all())

    def revoke_token(self, token_id: int, now: datetime) -> None:
        """It opens nothing any more."""
        unrevoked = (tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
        with self._database.writing() as connection:
            connection.execute(update(tokens).where(*unrevoked).values(revoked_at=now))

    def pseudonym(self, name: str) -> str:
        """What a reader or user is called by all but administrators; the same every time."""
        with self._database.writing() as connection:
            return _pseudonym(connection, name)

    def _find(self, connection: Connection, which: ColumnElement[bool]) -> User | None:
        row = connection.execute(select(users).where(which)).first()
        return None if row is None else _user(row, _known_pseudonym(connection, row.name))

    def _found(self, connection: Connection, which: ColumnElement[bool]) -> User:
        found = self._find(connection, which)
        if found is None:
            raise Refused("there is no such user")
        return found


def _pseudonym(connection: Connection, name: str) -> str:
    insert_once(connection, pseudonyms, {"name": name})
    return _known_pseudonym(connection, name)


def _known_pseudonym(connection: Connection, name: str) -> str:
    return f"Reader {connection.execute(select(pseudonyms.c.id).where(pseudonyms.c.name == name)).scalar_one()}"


def _user(row: Row[Any], pseudonym: str) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        password_hash=row.password_hash,
        pseudonym=pseudonym,
        active=row.active,
        failed_logins=row.failed_logins,
        locked_until=row.locked_until,
    )


def _token(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
