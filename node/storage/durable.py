"""Files that are kept or not there at all: temporary file, sync, rename, sync of the directory."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import threading
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from node.domain.errors import Refused, StorageAway, StorageFull
from node.domain.faults import fault
from node.domain.records import Swept

Chunk = bytes | bytearray | memoryview

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ATTEMPTS = 5
_REMEMBERED = 4096  # directories known to be durable; forgetting one costs a sync, never a file


def sync_directory(directory: Path) -> None:
    """Make the names in ``directory`` durable (a rename alone is not, fsync(2))."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class DurableFiles:
    """One folder of durable files under a storage root.

    Temporary files live in ``<folder>.incoming`` beside it, on the same file system, so that all of them can be
    removed at start without looking at names.

    Parameters
    ----------
    root
        The storage root; created if missing.
    folder
        The folder below it, also the first part of every path handed out.
    reserve_bytes
        A file is refused if it would leave less than this free.
    faults
        First part of the names of the fault points passed on the way.

    """

    def __init__(self, root: Path, folder: str, *, reserve_bytes: int = 0, faults: str) -> None:
        self._root = root
        self._folder = folder
        self._reserve = reserve_bytes
        self._faults = faults
        self._incoming = root / f"{folder}.incoming"
        self._serial = itertools.count()
        self._making = threading.Lock()
        self._durable: set[Path] = set()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in (self._incoming, root / folder):
            self._make(directory)

    def write(self, relative: str, chunks: Iterable[Chunk]) -> int:
        """Write ``chunks`` to ``relative`` and return the size in bytes; when this returns, the file is durable.

        Raises
        ------
        StorageFull
            The disk or the quota is full, or the reserve is reached. Nothing is left behind.
        StorageAway
            The disk is read-only, failing or away. Nothing is left behind that could be removed now.

        """
        temporary, target = self._incoming / f"{os.getpid()}-{next(self._serial)}", self.locate(relative)
        try:
            self._check_room()
            size = self._fill(temporary, chunks)
            self._settle(temporary, target)
        except BaseException as error:
            for path in (temporary, target):  # no name is used twice: what has this one is ours
                with contextlib.suppress(OSError):  # a disk that is read-only removes nothing either
                    path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise self._meaning(error) from error
            raise
        return size

    def _meaning(self, error: OSError) -> StorageFull | StorageAway:
        if error.errno in _NO_ROOM:
            return StorageFull(f"no room left in {self._folder}")
        return StorageAway(f"{self._folder} cannot be written ({error.strerror or type(error).__name__})")

    def locate(self, relative: str) -> Path:
        """The absolute path of one of this folder's files; Refused if ``relative`` leads anywhere else."""
        parts = relative.split("/")
        if parts[0] != self._folder or len(parts) < 2 or not all(part.strip(".") for part in parts):
            raise Refused(f"not a path in {self._folder}")
        return self._root / relative

    def take(self, source: Path, relative: str) -> None:
        """Move a file of the same storage root in here, durably."""
        self._settle(source, self.locate(relative), passing=False)
        sync_directory(source.parent)

    def remove(self, relative: str) -> None:
        """Remove a file, and its directory if that leaves it empty. Removing what is not there is no error."""
        path = self.locate(relative)
        path.unlink(missing_ok=True)
        directory, top = path.parent, self._root / self._folder
        while directory != top:
            with self._making:
                try:
                    directory.rmdir()
                except OSError:  # not empty, or a writer has just used it
                    break
                self._durable.discard(directory)
            directory = directory.parent

    def sweep(self, known: Collection[str]) -> Swept:
        """Remove temporary files and files that are not ``known``; say which known ones are missing.

        Only for the start, while nobody writes.
        """
        temporary = [path for path in self._incoming.iterdir() if path.is_file()]
        for path in temporary:
            path.unlink()
        present = set(self._paths())
        orphans = present.difference(known)
        for relative in orphans:
            self.remove(relative)
        named = {path for path in known if path.startswith(f"{self._folder}/")}
        return Swept(temporary=len(temporary), orphans=len(orphans), missing=tuple(sorted(named - present)))

    def _paths(self) -> Iterator[str]:
        for directory, _, names in os.walk(self._root / self._folder):
            for name in names:
                yield (Path(directory) / name).relative_to(self._root).as_posix()

    def has_room(self) -> bool:
        """Whether the reserve is free still."""
        state = os.statvfs(self._root)
        return state.f_bavail * state.f_frsize >= self._reserve

    def _check_room(self) -> None:
        if not self.has_room():
            raise StorageFull(f"{self._folder}: less than the reserve of {self._reserve} bytes is free")

    def _fill(self, path: Path, chunks: Iterable[Chunk]) -> int:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        size = 0
        try:
            for chunk in chunks:
                rest = memoryview(chunk).cast("B")
                size += len(rest)
                while rest:
                    rest = rest[os.write(handle, rest) :]
            fault(f"{self._faults}.temp-written")
            os.fsync(handle)
        finally:
            os.close(handle)
        fault(f"{self._faults}.temp-synced")
        return size

    def _settle(self, source: Path, target: Path, *, passing: bool = True) -> None:
        self._rename(source, target)
        if passing:
            fault(f"{self._faults}.renamed")
        sync_directory(target.parent)
        if passing:
            fault(f"{self._faults}.directory-synced")

    def _rename(self, source: Path, target: Path) -> None:
        for _ in range(_ATTEMPTS):
            try:
                self._make(target.parent)
                source.rename(target)
            except FileNotFoundError:  # retention has just removed the directory, perhaps in another process
                self._durable.clear()
            else:
                return
        raise FileNotFoundError(errno.ENOENT, "the file, or again and again its directory, has vanished")

    def _make(self, directory: Path) -> None:
        """Make a directory whose own name is durable too, also when another thread has made it a moment ago."""
        if directory in self._durable:
            return
        with self._making:
            if len(self._durable) > _REMEMBERED:
                self._durable.clear()
            missing = [path for path in (directory, *directory.parents) if path.is_relative_to(self._root)]
            for path in reversed(missing):
                if path not in self._durable:
                    path.mkdir(mode=0o700, exist_ok=True)
                    sync_directory(path.parent)
                    self._durable.add(path)
