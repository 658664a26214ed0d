"""Three human reads of the demo's patients, made from what is known to be in the phantoms, never from our reading.

One agrees; one gives a vessel's calcium to another vessel; one misses the calcium of the circumflex, as the reader of
the paper's Figure 6 did. They come in as HL7 results over a socket, as a reporting system would send them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from model.definition import DEFAULT_PROFILE
from node.domain.discrepancy import OurRead, compare
from node.domain.errors import PeerDown
from node.domain.human_read import CORONARIES, HumanRead, ReadScore, ReadSource, StudyKey
from node.domain.tiers import Limits, Tier
from node.service import Node

Scores = Mapping[str, float]
_PATIENCE_SECONDS: Final = 30.0
_ANSWER_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Slip:
    """What a human made of a scan, in words, and how it changes the true score of each vessel."""

    words: str
    scores: Callable[[Scores], Scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """One human read against ours.

    ``tier`` and ``reasons`` are those of the node's comparison, None and empty if none was made; ``deserved`` is the
    tier that the human's read has against what is known to be in the phantom.
    """

    words: str
    human: float
    ours: float | None
    tier: Tier | None
    deserved: Tier
    reasons: tuple[str, ...] = ()
    fault: str = ""

    @property
    def as_deserved(self) -> bool:
        """Whether it is flagged where it should be, and only there."""
        return self.tier is not None and self.tier.flagged == self.deserved.flagged


def _agreeing(known: Scores) -> Scores:
    return {vessel: round(known[vessel], 1) for vessel in CORONARIES}


def _without_lcx(known: Scores) -> Scores:
    return {**_agreeing(known), "LCX": 0.0}


def _rca_to_lcx(known: Scores) -> Scores:
    true = _agreeing(known)
    return {**true, "LCX": true["LCX"] + true["RCA"], "RCA": 0.0}


SLIPS: Final[Mapping[str, Slip]] = MappingProxyType(
    {
        "zero": Slip("agrees", _agreeing),
        "moderate": Slip("gives the RCA's calcium to the LCx", _rca_to_lcx),
        "heavy": Slip("misses the LCx", _without_lcx),
    }
)


def read_by_human(node: Node, name: str, study_uid: str, known: Scores) -> ReadResult:
    """Send the human's read of a patient to a running node, and wait for what it makes of it."""
    slip = SLIPS[name]
    scores = slip.scores(known)
    result = ReadResult(
        words=slip.words, human=sum(scores.values()), ours=None, tier=None, deserved=_deserved(known, scores)
    )
    try:
        _tell(node, _message(name, study_uid, scores))
    except (OSError, PeerDown) as error:
        return replace(result, fault=f"the read was not taken: {error}")
    waited = threading.Event()
    for _ in range(int(_PATIENCE_SECONDS / 0.05)):
        row = node.storage.ledger.case_of_study(study_uid)
        case = None if row is None else node.storage.ledger.case(row.id)
        if row is not None and case is not None:
            return replace(result, ours=row.ours, tier=row.tier, reasons=case.comparison.reasons)
        waited.wait(0.05)
    return replace(result, fault="the reads were not compared in time")


def _deserved(known: Scores, scores: Scores) -> Tier:
    """The tier of the human's read beside a reading without any error."""
    truth = OurRead(series_uid="", agatston=known, lesions=(), profile=DEFAULT_PROFILE, kvp=None)
    human = HumanRead(
        source=ReadSource.HL7,
        source_id="demo",
        study=StudyKey(study_uid="1.2"),
        scores={vessel: ReadScore(agatston=score) for vessel, score in scores.items()},
    )
    return compare(truth, human, Limits()).tier


def _message(name: str, study_uid: str, scores: Scores) -> bytes:
    """An HL7 v2.5.1 result (ORU^R01) with one coded observation for every vessel."""
    lines = [
        f"MSH|^~\\&|RIS|DEMO|NODE|DEMO|20260101120000+0000||ORU^R01^ORU_R01|{name}|P|2.5.1|||||DE|UNICODE UTF-8",
        f"PID|1||DEMO-{name.upper()}",
        f"OBR|1|{name}|{study_uid}|CTCAC^CT calcium score^L" + "|" * 18 + "20260101120000+0000|||F",
        f"OBX|1|ST|113014^DICOM Study^DCM||{study_uid}||||||F",
    ]
    lines += [
        f"OBX|{number}|NM|{vessel}-AGATSTON||{score:.1f}||||||F"
        for number, (vessel, score) in enumerate(scores.items(), start=2)
    ]
    return "\r".join(lines).encode("utf-8")


def _tell(node: Node, message: bytes) -> None:
    """Send a message by MLLP; raises PeerDown unless it is accepted, OSError if nobody answers."""
    if node.hl7 is None:
        raise PeerDown("the node does not listen for HL7")
    with socket.create_connection(("127.0.0.1", node.hl7.port), timeout=_PATIENCE_SECONDS) as link:
        link.sendall(b"\x0b" + message + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r") and len(answer) < _ANSWER_BYTES:
            part = link.recv(4096)
            if not part:
                break
            answer += part
    if b"MSA|AA" not in answer:
        raise PeerDown("the node answered that it did not take it")
