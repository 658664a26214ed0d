"""Human reads that came as DICOM objects: reports, masks, coloured pictures. Their files are in the spool already.

A mask or a picture is scored on the scan it belongs to, so it waits for that scan: QUALIFY of the scan has it looked at
once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Final

from node.dicom import colour_capture, human_seg, human_sr
from node.dicom.scored_mask import CtContext
from node.dicom.study_facts import study_facts
from node.domain.eligibility import judge
from node.domain.errors import Permanent, Refused
from node.domain.human_read import HumanRead
from node.domain.policy import Policy
from node.domain.read_history import Recorded
from node.domain.records import StoredInstance
from node.domain.series import SeriesRecord
from node.domain.verdict import Verdict
from node.domain.work import Stage
from node.stages.human_marks import together
from node.stages.intake import Intake
from node.stages.reading import context_of, received_files, volume_of
from node.storage.ledger import Ledger
from node.storage.storage import Storage

Colours = Mapping[str, tuple[int, int, int]]
TAKEN: Final = "taken as a human read"
NOT_TAKEN: Final = "no human read: "
_MOST_VERSIONS: Final = 100
_NO_SCAN: Final = "the scan it was drawn on is not here yet, or is none that is read"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRules:
    """What a site says of such objects: its rules of scoring, its time zone, the colours of its captures (RGB)."""

    profile: str
    zone: tzinfo
    colours: Colours


@dataclass(frozen=True, slots=True)
class Offered:
    """What became of the objects of a series, in words: what was taken, and why others were not."""

    taken: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A series that a person may have meant as a read, and why it could not be taken; for people, never for a log."""

    series_uid: str
    study_uid: str
    reasons: tuple[str, ...]


def not_taken(ledger: Ledger, among: int = 200) -> tuple[NotTaken, ...]:
    """Those among the series that came last, newest first."""
    found = []
    for one in ledger.recent_series(among, 0):
        declined = (reason for work in one.work for reason in work.reasons if work.work.stage is Stage.QUALIFY)
        reasons = tuple(text.removeprefix(NOT_TAKEN) for text in declined if text.startswith(NOT_TAKEN))
        if reasons:
            found.append(NotTaken(one.series.series_uid, one.series.study_uid, reasons))
    return tuple(found)


class HumanObjects:
    """Looks at a series that is no CT for reads by people."""

    def __init__(self, storage: Storage, policy: Policy, intake: Intake, rules: ObjectRules) -> None:
        self._storage = storage
        self._policy = policy
        self._intake = intake
        self._rules = rules

    def offer(self, members: Sequence[StoredInstance]) -> Offered:
        """Take every read in. Offering the same again changes nothing.

        Raises
        ------
        StorageFull, LedgerBusy, Retryable
            Not now.

        """
        taken, faults = [], []
        for found in self._jobs(members):
            try:
                data, read = found()
            except Permanent as error:
                faults += [f"{NOT_TAKEN}{line}" for line in str(error).split("\n")]
                continue
            recorded = self._intake.take(data, read, members[0].peer.ae_title)
            # the study of an object that comes first is known in a moment, and the read matched with it
            known = self._storage.ledger.study(read.study.study_uid) is not None
            taken.append(_said(recorded, read, why=recorded.reason if known else ""))
        return Offered(tuple(taken), tuple(dict.fromkeys(faults)))

    def waiting(self, study_uid: str) -> Iterator[SeriesRecord]:
        """Series of a study that hold masks or pictures and were not taken: a scan has come that may be theirs."""
        ledger = self._storage.ledger
        for one in ledger.study_series(study_uid):
            verdict = ledger.verdict(one.series_uid, one.generation)
            if verdict is None or verdict.eligible or any(text.startswith(TAKEN) for text in verdict.reasons):
                continue
            if self._drawn(ledger.members(one.series_uid, one.generation)):
                yield one

    def _drawn(self, members: Sequence[StoredInstance]) -> list[StoredInstance]:
        classes = human_seg.SEGMENTATION_CLASSES | (colour_capture.CAPTURE_CLASSES if self._rules.colours else set())
        return [one for one in self._foreign(members) if one.instance.sop_class_uid in classes]

    def _foreign(self, members: Sequence[StoredInstance]) -> Iterator[StoredInstance]:
        """Without what this node made; a mask of ours that a person has changed has a UID of its own."""
        for one in members:
            mask = one.instance.sop_class_uid in human_seg.SEGMENTATION_CLASSES
            ours = one.instance.made_by_this_software and not mask
            if not ours and not self._storage.ledger.is_own_object(one.instance.sop_uid):
                yield one

    def _jobs(self, members: Sequence[StoredInstance]) -> Iterator[Callable[[], tuple[bytes, HumanRead]]]:
        foreign = list(self._foreign(members))
        for one in foreign:
            if one.instance.sop_class_uid in human_sr.REPORT_CLASSES:
                yield lambda one=one: self._report(one)  # type: ignore[misc]  # a default that binds
        drawn = self._drawn(foreign)
        for one in drawn:
            if one.instance.sop_class_uid in human_seg.SEGMENTATION_CLASSES:
                yield lambda one=one: self._mask(one)  # type: ignore[misc]  # a default that binds
        pictures = [one for one in drawn if one.instance.sop_class_uid in colour_capture.CAPTURE_CLASSES]
        if pictures:
            yield lambda: self._pictures(pictures)

    def _report(self, stored: StoredInstance) -> tuple[bytes, HumanRead]:
        data = self._bytes(stored, human_sr.MOST_BYTES)
        read = human_sr.read_report(data, zone=self._rules.zone)
        name = self._first_version(read, data)
        if name != read.source_id:  # versions of it that came before it could be named by it at best
            self._intake.rename(read.source, read.source_id, name)
        return data, replace(read, source_id=name)

    def _mask(self, stored: StoredInstance) -> tuple[bytes, HumanRead]:
        data = self._bytes(stored, human_seg.MOST_BYTES)
        zone = self._rules.zone
        read = self._on_scan(stored, lambda ct: human_seg.read_segmentation(data, ct, zone=zone))
        return data, self._with_patient((stored,), read)

    def _pictures(self, stored: Sequence[StoredInstance]) -> tuple[bytes, HumanRead]:
        files = [self._bytes(one, colour_capture.MOST_BYTES) for one in stored]
        rules = self._rules
        read = self._on_scan(
            stored[0], lambda ct: colour_capture.read_captures(files, ct, colours=rules.colours, zone=rules.zone)
        )
        return together(files), self._with_patient(stored, read)

    def _with_patient(self, stored: Sequence[StoredInstance], read: HumanRead) -> HumanRead:
        """The read with the patient its objects name: one patient's mask must not become another's score."""
        with received_files():
            facts = [study_facts(self._storage.spool.path(one.path), "") for one in stored]
        patients = {one.patient_id for one in facts if one.patient_id}
        if len(patients) > 1:
            raise Refused(f"the pictures name {len(patients)} patients")
        return replace(read, study=replace(read.study, patient_id="".join(patients), issuer=facts[0].issuer))

    def _first_version(self, read: HumanRead, data: bytes) -> str:
        """UID of the first of the documents that this one goes back to: it names the read over all its versions."""
        ledger = self._storage.ledger
        sha256 = hashlib.sha256(data).hexdigest()
        known = (one for one in ledger.reads_of(read.study.study_uid) if one.original.sha256 == sha256)
        before = next(known, None)
        if before is not None:
            return before.read.source_id
        name = read.source_id
        for _ in range(_MOST_VERSIONS):
            others = [uid for uid in human_sr.predecessors_of(data) if not ledger.is_own_object(uid)]
            if not others or others[0] == name:
                break
            name = others[0]
            stored = ledger.find_instance(name)
            if stored is None:
                break
            data = self._bytes(stored, human_sr.MOST_BYTES)
        return name

    def _on_scan(self, stored: StoredInstance, read: Callable[[CtContext], HumanRead]) -> HumanRead:
        faults = []
        for verdict, members in self._scans(stored.instance.study_uid):
            try:
                return read(self._context(verdict, members))
            except Permanent as error:
                faults.append(str(error))
        raise Refused("\n".join(dict.fromkeys(faults)) or _NO_SCAN)

    def _scans(self, study_uid: str) -> list[tuple[Verdict, Sequence[StoredInstance]]]:
        """Calcium scans of the study, those that are read before other reconstructions."""
        ledger, found = self._storage.ledger, []
        for one in ledger.study_series(study_uid):
            members = ledger.members(one.series_uid, one.generation)
            verdict = judge([stored.instance for stored in members], self._policy) if members else None
            if verdict is not None and verdict.chosen is not None:
                kept = ledger.verdict(one.series_uid, one.generation)
                found.append((kept is None or not kept.eligible, one.series_uid, verdict, members))
        return [(verdict, members) for _, _, verdict, members in sorted(found, key=lambda one: one[:2])]

    def _context(self, verdict: Verdict, members: Sequence[StoredInstance]) -> CtContext:
        group = verdict.chosen
        if group is None:
            raise Refused(_NO_SCAN)
        paths = {one.instance.sop_uid: self._storage.spool.path(one.path) for one in members}
        return context_of(group, volume_of(group, paths, self._policy), self._rules.profile)

    def _bytes(self, stored: StoredInstance, most: int) -> bytes:
        if stored.size > most:
            raise Refused(f"the object has {stored.size} bytes; up to {most} are read")
        with received_files():
            return self._storage.spool.path(stored.path).read_bytes()


def _said(recorded: Recorded, read: HumanRead, why: str) -> str:
    said = [f"it is in quarantine: {why}"] if why else []
    return "; ".join((f"{TAKEN} (number {recorded.read_id})", *said, *read.inconsistencies))
