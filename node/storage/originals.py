"""Human reads as they were received, byte for byte."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from pathlib import Path

from node.domain.errors import Unreadable
from node.domain.records import Kept, Swept
from node.storage.durable import DurableFiles

_DIGITS = 32


class Originals:
    """The folder ``reads`` under the storage root. Paths are made of hashes; no name is ever used twice."""

    def __init__(self, root: Path, reserve_bytes: int = 0) -> None:
        self._files = DurableFiles(root, "reads", reserve_bytes=reserve_bytes, faults="intake")

    def keep(self, data: bytes) -> Kept:
        """Keep what came in; when this returns, the file survives a power cut.

        Raises
        ------
        StorageFull
            There is no room, or less than the reserve. Nothing is left behind.

        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = f"reads/{sha256[:2]}/{sha256[:_DIGITS]}.{secrets.token_hex(8)}"
        return Kept(path=path, sha256=sha256, size=self._files.write(path, (data,)))

    def read(self, kept: Kept) -> bytes:
        """The bytes, which are those that were kept.

        Raises
        ------
        Unreadable
            The file is missing, cannot be read, or is not what was kept.

        """
        if not kept.path:
            raise Unreadable("the original of this human read is no longer kept here")
        try:
            data = self._files.locate(kept.path).read_bytes()
        except OSError as error:
            raise Unreadable(f"the original of a human read cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != kept.sha256:
            raise Unreadable("the original of a human read is not what was kept")
        return data

    def holds(self, kept: Kept) -> bool:
        """Whether the file is there."""
        return bool(kept.path) and self._files.locate(kept.path).is_file()

    def remove(self, relative: str) -> None:
        """Remove a file the ledger has let go."""
        self._files.remove(relative)

    def sweep(self, known: Collection[str]) -> Swept:
        """At start, before anybody writes: remove temporary files and files that no row names (not acknowledged)."""
        return self._files.sweep(known)
