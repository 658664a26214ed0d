"""The database connection: how it is opened, who may write when, and what its failures mean to the node."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from node.domain.errors import LedgerBusy, NodeError, Refused, StorageFull

_BUSY_MS = 10_000  # another process on the same file: a backup, the command line
_TURN_SECONDS = 15.0  # with the wait for other processes well below what peers wait for an answer
_FULL = frozenset({sqlite3.SQLITE_FULL})
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)

Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class _Job(Generic[Result]):
    """Something to be done in a transaction, and what came of it once that is committed."""

    work: Callable[[Connection], Result]
    results: tuple[Result, ...] = ()  # one, when it is done
    error: Exception | None = None

    @property
    def over(self) -> bool:
        return bool(self.results) or self.error is not None

    def outcome(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.results[0]


class Database:
    """One engine, and the turn to write.

    SQLite takes one writer at a time. Threads of this process queue for the turn in memory instead of polling the
    file; other processes are waited for by ``busy_timeout``. PostgreSQL needs no such turn.

    Parameters
    ----------
    url
        An SQLAlchemy URL: ``sqlite:////path/ledger.sqlite`` or ``postgresql+psycopg://...``.

    Raises
    ------
    Refused
        The URL names no database this installation can open.

    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
            self.is_sqlite = self.url.get_backend_name() == "sqlite"
            # Parameters stay out of error texts: they hold what peers have sent.
            engine = create_engine(self.url, hide_parameters=True, pool_size=8, max_overflow=32, pool_pre_ping=False)
        except (ArgumentError, ImportError) as error:  # their texts may hold the URL, and that a password
            raise Refused("the URL of the ledger's database cannot be used, or its driver is not installed") from error
        self.observe: Callable[[str, float], None] = _nobody  # how long a transaction took, its wait included
        self._turn: AbstractContextManager[object] = contextlib.nullcontext()
        self._jobs: deque[_Job[Any]] = deque()
        if self.is_sqlite:
            self._turn = _Turn()
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        self.engine: Engine = engine
        self._writer = engine.execution_options(writes=True)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view.

        Raises
        ------
        LedgerBusy
            The database is away.

        """
        with self._timed("read"), _translated(), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def glancing(self) -> Iterator[Connection]:
        """For one statement of :mod:`node.storage.prepared` that only reads: a view of its own, without a transaction.

        Raises
        ------
        LedgerBusy
            The database is away.

        """
        with self._timed("read"), _translated(), self.engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed and durable when the block has ended.

        Raises
        ------
        LedgerBusy
            The database is locked, read-only or away.
        StorageFull
            The disk of the database is full.

        """
        with self._timed("write"), self._turn, _translated(), self._writer.begin() as connection:
            yield connection

    def together(self, work: Callable[[Connection], Result]) -> Result:
        """Do ``work`` in a transaction, committed and durable when this returns; other threads may share it.

        Whoever gets the turn to write does what has gathered meanwhile, and all wait for one sync of the disk instead
        of one after the other for theirs. ``work`` must do nothing but talk to the database: it is done again, alone,
        if a transaction that it shared has failed.

        Raises
        ------
        LedgerBusy, StorageFull
            As for :meth:`writing`.

        """
        if not self.is_sqlite:  # writers do not wait for each other
            with self.writing() as connection:
                return work(connection)
        job = _Job(work)
        self._jobs.append(job)
        with self._timed("write"):
            try:
                with self._turn:
                    if not job.over:
                        self._do([self._jobs.popleft() for _ in range(len(self._jobs))])
            except LedgerBusy:
                self._withdraw(job)
            return job.outcome()

    def _withdraw(self, job: _Job[Result]) -> None:
        """Leave the queue for the turn; what somebody is doing already is waited for.

        Raises
        ------
        LedgerBusy
            It has left, and nobody will ever do it.

        """
        try:
            self._jobs.remove(job)
        except ValueError:
            while not job.over:
                with contextlib.suppress(LedgerBusy), self._turn:
                    pass
        else:
            raise LedgerBusy("too many wait to write to the ledger")

    def _do(self, jobs: Sequence[_Job[Any]]) -> None:
        try:
            with _translated(), self._writer.begin() as connection:
                results = [job.work(connection) for job in jobs]
        except Exception as error:  # noqa: BLE001 - raised where the job came from
            if len(jobs) == 1:
                jobs[0].error = error
                return
            for job in jobs:
                if isinstance(error, LedgerBusy):  # nobody can write now: each would wait as long again
                    job.error = LedgerBusy(str(error))
                else:
                    self._do([job])
        else:
            for job, result in zip(jobs, results, strict=True):
                job.results = (result,)

    @contextlib.contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.observe(kind, time.perf_counter() - began)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


class _Turn:
    """One thread at a time; one that waits too long is told that the ledger is busy.

    Where another process holds the database, every thread would else wait out the time-outs of all before it, and a
    peer would give up before it is told to come again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=_TURN_SECONDS):
            raise LedgerBusy("too many wait to write to the ledger")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _nobody(_kind: str, _seconds: float) -> None:
    return


class Store:
    """What every part of the ledger stands on."""

    def __init__(self, database: Database) -> None:
        self._database = database


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin on its own, too late and never immediately
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # in WAL mode NORMAL may lose the last commits in a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer asks for the lock first: upgrading a read lock later can fail at once, whatever the busy timeout.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise LedgerBusy("every connection to the ledger is in use") from error
    except DBAPIError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: DBAPIError) -> NodeError | None:
    """What a driver's error means, None for a bug of ours."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        primary = code & 0xFF  # extended result codes keep the primary one in the low byte
        if primary in _FULL:
            return StorageFull("no room left for the ledger")
        return LedgerBusy(f"the ledger cannot be used: {error.orig}") if primary in _AWAY else None
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state == "53100":  # PostgreSQL: disk_full
        return StorageFull("no room left for the ledger")
    # Classes 08, 53, 57, 40: connection, resources, operator intervention, serialisation; 25006: read-only.
    if error.connection_invalidated or state[:2] in {"08", "53", "57", "40"} or state == "25006":
        return LedgerBusy("the ledger's database is away or busy")
    return None
