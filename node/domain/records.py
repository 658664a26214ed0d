"""What the ledger and the file stores hand out and take in: plain values, no rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from node.domain.cases import NewComparison
from node.domain.series import Instance, Peer, SeriesRecord
from node.domain.studies import StudyFacts
from node.domain.work import Stage, Work, WorkState


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A durable file: synced, under its final name, in a synced directory.

    ``path`` is relative to the storage root. ``sha256`` is what the store that kept it says it is: of transfer syntax
    and data set for a received instance, of the whole file for a made one. ``size`` is in bytes.
    """

    path: str
    sha256: str
    size: int


class Arrival(StrEnum):
    """What an arriving instance was to the ledger."""

    NEW = "new"
    SAME = "same"  # known with the same content: success, no second effect
    CONFLICT = "conflict"  # known with other content: the first stays, the second belongs in quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """An instance, and where it is kept; ``path`` is empty once retention has let the file go.

    ``conflicted``: the same UID has also arrived with other content.
    """

    instance: Instance
    path: str
    sha256: str
    size: int
    received_at: datetime
    peer: Peer
    conflicted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWork:
    """Work to be added; it may start at ``not_before``, or at once.

    ``repeat``: if it is there already, it is done once more. ``held`` says why a delivery is kept back; then
    ``not_before`` ends that, and None never does.
    """

    stage: Stage
    series_uid: str
    generation: int
    object_uid: str = ""
    destination: str = ""
    not_before: datetime | None = None
    repeat: bool = False
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVerdict:
    """Whether a generation of a series is read, and every reason for or against."""

    series_uid: str
    generation: int
    eligible: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReading:
    """Where a reading lies in the outbox; ``mask`` is None when there is no calcium to keep a mask of."""

    series_uid: str
    generation: int
    findings: Kept
    mask: Kept | None
    model_sha256: str
    settings_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An object made for ``generation`` of the source series ``series_uid``, and where it lies in the outbox.

    ``made_series_uid`` is the series the object itself belongs to.
    """

    sop_uid: str
    series_uid: str
    generation: int
    role: str
    sop_class_uid: str
    transfer_syntax_uid: str
    made_series_uid: str
    kept: Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBack:
    """The object that tells of a decision: a version of the report on ``generation`` of a series."""

    decision_id: int
    series_uid: str
    generation: int
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """What becomes of the deliveries of a generation to one destination that were held, or ended without need.

    Sent now; or ended; or held ``until`` then, None for ever. ``again`` takes back what a human read let go and what
    has not left yet, and nothing else.
    """

    destination: str
    send: bool
    ended: bool = False
    again: bool = False
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a piece of work ended, what it found or made, and what follows; recorded all together or not at all.

    ``kinds`` are the kinds of the reasons, for those who count; they are not recorded.
    """

    state: WorkState = WorkState.DONE
    reasons: tuple[str, ...] = ()
    verdict: StoredVerdict | None = None
    reading: StoredReading | None = None
    objects: tuple[StoredAnswer, ...] = ()
    followers: tuple[NewWork, ...] = ()
    study: StudyFacts | None = None
    comparison: NewComparison | None = None
    written: WrittenBack | None = None
    releases: tuple[Released, ...] = ()
    kinds: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.state not in {WorkState.DONE, WorkState.DECLINED}:
            raise ValueError(f"work ends done or declined, not {self.state}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRecord:
    """A piece of work as the ledger knows it; ``error`` is the last one, ``changed_at`` the time of the last step."""

    work: Work
    state: WorkState
    not_before: datetime
    changed_at: datetime
    error: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesOverview:
    """A series and the work of its present generation, in the order it was added."""

    series: SeriesRecord
    evidence: str
    conflicts: int
    instances: int
    work: tuple[WorkRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep at start removed, and what it found missing (paths the ledger names that hold no file)."""

    temporary: int
    orphans: int
    missing: tuple[str, ...]
