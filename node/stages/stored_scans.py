"""Series out of the spool, decoded once and kept for as long as somebody scrolls through them."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.volume import CtVolume
from node.dicom.scored_mask import CtContext
from node.domain.eligibility import judge
from node.domain.errors import Malformed, Permanent, Unreadable
from node.domain.policy import Policy
from node.domain.records import Kept, StoredInstance, StoredReading
from node.stages.labels_file import unpack_labels
from node.stages.reading import context_of, volume_of
from node.stages.scans import HUMAN, NODE, Scan, ScanKey
from node.storage.storage import Storage

HumanMarks = Callable[[int, CtContext], NDArray[np.uint8] | None]
"""Marks of a human read (by its id) on the grid of a scan; None where it has none. Raises Permanent where they cannot
be had."""

MOST_BYTES: Final = 512 << 20
_MOST_SERIES: Final = 2
_GONE: Final = "the images of this study are no longer kept here: open it in the viewer of the archive"
_OTHER: Final = "the images kept here are no longer the ones that were read"


def no_human_marks(read_id: int, ct: CtContext) -> None:
    """Human reads without voxels."""


@dataclass(slots=True)
class _Turn:
    """One decoding at a time for each scan; others who want the same wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0


class StoredScans:
    """The last few series that were asked for, in memory.

    Parameters
    ----------
    most_bytes
        What the kept series may take together; the one asked for last is kept even if it alone takes more.

    """

    def __init__(
        self,
        storage: Storage,
        policy: Policy,
        *,
        human_marks: HumanMarks = no_human_marks,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._storage = storage
        self._policy = policy
        self._human_marks = human_marks
        self._most_bytes = most_bytes
        self._guard = threading.Lock()
        self._kept: OrderedDict[ScanKey, Scan] = OrderedDict()
        self._turns: dict[ScanKey, _Turn] = {}

    def get(self, key: ScanKey) -> Scan:
        """The scan, decoded if it is not kept. Raises as :class:`node.stages.scans.Scans` says."""
        with self._guard:
            kept = self._found(key)
            if kept is not None:
                return kept
            turn = self._turns.setdefault(key, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                with self._guard:
                    kept = self._found(key)
                return kept if kept is not None else self._keep(key, self._decoded(key))
        finally:
            with self._guard:
                turn.waiting -= 1
                if not turn.waiting:
                    self._turns.pop(key, None)

    def _found(self, key: ScanKey) -> Scan | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _keep(self, key: ScanKey, scan: Scan) -> Scan:
        with self._guard:
            self._kept[key] = scan
            while len(self._kept) > 1 and (
                len(self._kept) > _MOST_SERIES or sum(one.size for one in self._kept.values()) > self._most_bytes
            ):
                self._kept.popitem(last=False)
        return scan

    def _decoded(self, key: ScanKey) -> Scan:
        reading = self._storage.ledger.reading(key.series_uid, key.generation)
        members = self._storage.ledger.members(key.series_uid, key.generation)
        if reading is None or not members:
            raise Permanent(_GONE)
        ct = self._context(members)
        marks, remarks = {NODE: self._own_marks(reading, ct.volume)}, []
        if key.read_id is not None:
            try:
                human = self._human_marks(key.read_id, ct)
            except Permanent as error:
                human = None
                remarks.append(f"the marks of the human cannot be shown: {error}")
            if human is not None:
                marks[HUMAN] = human
        hu = _whole(ct.volume.hu)
        hu.setflags(write=False)
        version = _version(members, reading, marks)
        return Scan(hu=hu, marks=marks, grid=ct.volume.grid, version=version, remarks=tuple(remarks))

    def _context(self, members: Sequence[StoredInstance]) -> CtContext:
        verdict = judge([stored.instance for stored in members], self._policy)
        if verdict.chosen is None:
            raise Permanent("the series that was read is no longer eligible under the present settings")
        kept = [stored for stored in members if stored.path]
        paths = {stored.instance.sop_uid: self._storage.spool.path(stored.path) for stored in kept}
        if not any(path.exists() for path in paths.values()):
            raise Permanent(_GONE)
        try:
            loaded = volume_of(verdict.chosen, paths, self._policy)
        except (Unreadable, Malformed) as error:
            raise Permanent(f"the images cannot be shown: {error}") from error
        return context_of(verdict.chosen, loaded)

    def _own_marks(self, reading: StoredReading, volume: CtVolume) -> NDArray[np.uint8]:
        if reading.mask is None:
            return np.zeros(volume.grid.shape, dtype=np.uint8)
        labels = unpack_labels(self._mask(reading.mask))
        if labels.shape != volume.grid.shape:
            raise Permanent(_OTHER)
        return labels

    def _mask(self, mask: Kept) -> bytes:
        try:
            return self._storage.outbox.read(mask)
        except (OSError, Permanent) as error:
            raise Permanent("the marks of the reading are missing or damaged") from error


def _whole(hu: NDArray[np.int16] | NDArray[np.float32]) -> NDArray[np.int16]:
    limits = np.iinfo(np.int16)
    rounded: NDArray[np.int16] = (hu if hu.dtype == np.int16 else np.clip(np.rint(hu), limits.min, limits.max)).astype(
        np.int16, copy=False
    )
    return rounded


def _version(members: Sequence[StoredInstance], reading: StoredReading, marks: Mapping[str, NDArray[np.uint8]]) -> str:
    digest = hashlib.sha256()
    for stored in sorted(members, key=lambda one: one.instance.sop_uid):
        digest.update(stored.sha256.encode("ascii"))
    digest.update(reading.findings.sha256.encode("ascii"))
    if HUMAN in marks:
        digest.update(marks[HUMAN].tobytes())
    return digest.hexdigest()[:32]
