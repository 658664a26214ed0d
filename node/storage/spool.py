"""Where received instances and made objects lie on disk. Paths are made of hashes, never of what a peer has sent.

Layout under the storage root::

    spool/<2>/<series>/<instance>.<content>.<once>.dcm    received, named by a ledger row
    quarantine/...                                        the same UID with other content, for a person to look at
    outbox/<2>/<series>/<name>.<content>.<once><suffix>   made here
    *.incoming/                                           temporary, removed at start
    node.lock                                             held while a node runs

No name is ever used twice: whatever arrives at the same instant, and whatever retention is just removing, a file
belongs to the one who wrote it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from node.domain.errors import Refused, StorageAway, Unreadable
from node.domain.identity import hashed
from node.domain.records import Kept, Swept
from node.storage.durable import Chunk, DurableFiles

_DIGITS = 32  # 128 bits of a SHA-256 in a name: short enough for every file system, no collision to fear


def content_sha256(transfer_syntax_uid: str, dataset: Chunk) -> str:
    """What makes two instances the same: the encoded data set and how it is encoded.

    The file meta information (PS3.10 7.1) is left out: it names the sender's software and may differ between two
    deliveries of one instance.
    """
    digest = hashlib.sha256(transfer_syntax_uid.encode("utf-8") + b"\n")
    digest.update(dataset)
    return digest.hexdigest()


def _name(series_uid: str, name: str, sha256: str, suffix: str) -> str:
    series, once = hashed(series_uid), secrets.token_hex(8)
    return f"{series[:2]}/{series[:_DIGITS]}/{hashed(name)[:_DIGITS]}.{sha256[:_DIGITS]}.{once}{suffix}"


class Spool:
    """Received instances, as Part 10 files, and the quarantine.

    Parameters
    ----------
    root
        The storage root; created if missing.
    reserve_bytes
        An instance is refused (StorageFull) when less than this is free, so that the ledger and the outbox can
        finish what was accepted.

    """

    def __init__(self, root: Path, reserve_bytes: int) -> None:
        self._kept = DurableFiles(root, "spool", reserve_bytes=reserve_bytes, faults="receive")
        self._quarantine = DurableFiles(root, "quarantine", faults="receive")

    def keep(self, chunks: Iterable[Chunk], *, series_uid: str, sop_uid: str, sha256: str) -> Kept:
        """Keep one instance; when this returns, the file survives a power cut.

        Parameters
        ----------
        chunks
            The whole Part 10 file in order: preamble and file meta information, then the data set.
        series_uid, sop_uid
            Only their hashes are used.
        sha256
            From :func:`content_sha256`.

        Returns
        -------
        Kept
            A new file every time, also for the same content.

        Raises
        ------
        StorageFull, StorageAway
            There is no room, or less than the reserve, or the disk cannot be written. Nothing is left behind.

        """
        path = f"spool/{_name(series_uid, sop_uid, sha256, '.dcm')}"
        return Kept(path=path, sha256=sha256, size=self._kept.write(path, chunks))

    def quarantine(self, kept: Kept) -> Kept:
        """Move an instance that contradicts a kept one out of the spool, durably."""
        target = "quarantine/" + kept.path.removeprefix("spool/")
        self._quarantine.take(self._kept.locate(kept.path), target)
        return Kept(path=target, sha256=kept.sha256, size=kept.size)

    def has_room(self) -> bool:
        """Whether the reserve is free still."""
        return self._kept.has_room()

    def path(self, relative: str) -> Path:
        """Where a kept or quarantined instance can be read.

        Raises
        ------
        Unreadable
            Retention has let it go.

        """
        if not relative:
            raise Unreadable("the received images are no longer kept here")
        return self._folder(relative).locate(relative)

    def holds(self, relative: str) -> bool:
        """Whether the file is there; a ledger row alone does not bring back what somebody deleted by hand."""
        return bool(relative) and self.path(relative).is_file()

    def remove(self, relative: str) -> None:
        """Remove a file the ledger has let go."""
        self._folder(relative).remove(relative)

    def sweep(self, known: Collection[str]) -> Swept:
        """At start, before anybody writes: remove temporary files and files without a ledger row.

        Such a file was never acknowledged: the row is committed before the answer.
        """
        spool, quarantine = self._kept.sweep(known), self._quarantine.sweep(known)
        return Swept(
            temporary=spool.temporary + quarantine.temporary,
            orphans=spool.orphans + quarantine.orphans,
            missing=spool.missing + quarantine.missing,
        )

    def _folder(self, relative: str) -> DurableFiles:
        return self._quarantine if relative.startswith("quarantine/") else self._kept


class Outbox:
    """What was made here: objects to send, and the findings and mask of a reading."""

    def __init__(self, root: Path) -> None:
        self._files = DurableFiles(root, "outbox", faults="outbox")

    def keep(self, data: bytes, *, series_uid: str, name: str, suffix: str) -> Kept:
        """Keep one made file; ``name`` tells files of one series apart and is only used hashed.

        Raises
        ------
        StorageFull, StorageAway
            There is no room, or the disk cannot be written. Nothing is left behind.

        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = f"outbox/{_name(series_uid, name, sha256, suffix)}"
        return Kept(path=path, sha256=sha256, size=self._files.write(path, (data,)))

    def read(self, kept: Kept) -> bytes:
        """The bytes, which are those that were kept.

        Raises
        ------
        Unreadable
            The file is missing or is not what was kept.
        StorageAway
            The disk does not give it now.

        """
        try:
            data = self._files.locate(kept.path).read_bytes()
        except FileNotFoundError as error:
            raise Unreadable("a made file is missing from the outbox") from error
        except IsADirectoryError as error:
            raise Unreadable("a made file in the outbox cannot be read: it is a directory") from error
        except OSError as error:
            raise StorageAway(f"a made file in the outbox cannot be read now ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != kept.sha256:
            raise Unreadable("a made file in the outbox is not what was kept")
        return data

    def remove(self, relative: str) -> None:
        """Remove a file the ledger has let go."""
        self._files.remove(relative)

    def sweep(self, known: Collection[str]) -> Swept:
        """At start: remove temporary files and files without a ledger row; making them again is always possible."""
        return self._files.sweep(known)


class StorageLock:
    """Held while a node runs on a storage root, so that a second one is refused (flock(2): ends with the process)."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = root / "node.lock"
        self._handle: int | None = None

    @staticmethod
    def holder(root: Path) -> int | None:
        """Process id of the node that runs on a storage root, as it knows itself; None if none runs."""
        try:
            handle = os.open(root / "node.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            return int(said) if said.isdecimal() else None
        finally:
            os.close(handle)
        return None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises
        ------
        Refused
            Another node runs on this storage root.

        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise Refused(f"another node (process {owner}) already runs on {self._path.parent}") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode("ascii"), 0)
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
