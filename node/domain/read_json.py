"""A human read as JSON and back, without loss: what the ledger keeps and the API shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from node.domain import json_values as values
from node.domain.errors import Malformed
from node.domain.human_read import Confidence, HumanRead, ReadScore, ReadSource, ReadStatus, StudyKey

Word = TypeVar("Word", bound=StrEnum)


def to_document(read: HumanRead) -> dict[str, object]:
    """The read as plain JSON values."""
    return {
        "source": str(read.source),
        "source_id": read.source_id,
        "version": read.version,
        "status": str(read.status),
        "study": asdict(read.study),
        "reader": read.reader,
        "read_at": None if read.read_at is None else read.read_at.isoformat(),
        "scores": {region: asdict(score) for region, score in read.scores.items()},
        "profile": read.profile,
        "kvp": read.kvp,
        "remarks": list(read.remarks),
        "confidence": str(read.confidence),
    }


def dumps(read: HumanRead) -> str:
    """The read as ASCII JSON; equal reads give equal text."""
    return json.dumps(to_document(read), allow_nan=False, sort_keys=True, separators=(",", ":"))


def content_sha256(read: HumanRead) -> str:
    """What makes two deliveries of a read the same."""
    return hashlib.sha256(dumps(read).encode("ascii")).hexdigest()


def loads(text: str) -> HumanRead:
    """The read that was written; :class:`Malformed` says what is wrong and where."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the read is not JSON: {error}") from error
    return from_document(values.mapping(document, "read"))


def from_document(document: Mapping[str, object]) -> HumanRead:
    """The read in a parsed document; :class:`Malformed` says what is wrong and where."""
    root = values.Place(document)
    return HumanRead(
        source=_word(ReadSource, root, "source"),
        source_id=root.string("source_id"),
        version=root.integer("version"),
        status=_word(ReadStatus, root, "status"),
        study=_study(root.at("study")),
        reader=root.string("reader", missing=""),
        read_at=_moment(root),
        scores={name: _score(root.at("scores").at(name)) for name in root.at("scores").names},
        profile=root.string("profile", missing=""),
        kvp=root.number_or_null("kvp"),
        remarks=root.strings("remarks", missing=()),
        confidence=_word(Confidence, root, "confidence"),
    )


def _study(place: values.Place) -> StudyKey:
    return StudyKey(
        study_uid=place.string("study_uid", missing=""),
        series_uid=place.string("series_uid", missing=""),
        accession=place.string("accession", missing=""),
        issuer=place.string("issuer", missing=""),
        patient_id=place.string("patient_id", missing=""),
    )


def _score(place: values.Place) -> ReadScore:
    return ReadScore(
        agatston=place.number_or_null("agatston"),
        volume_mm3=place.number_or_null("volume_mm3"),
        mass_mg=place.number_or_null("mass_mg"),
    )


def _moment(root: values.Place) -> datetime | None:
    text = root.string("read_at") if root.content.get("read_at") is not None else None
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed("read_at: a time as in 2026-03-01T08:00:00+00:00 is needed") from error


def _word(kind: type[Word], root: values.Place, name: str) -> Word:
    text = root.string(name)
    try:
        return kind(text)
    except ValueError as error:
        raise Malformed(f"{name}: one of {', '.join(kind)} is needed") from error
