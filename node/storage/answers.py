"""What the node has found and made: verdicts, readings, objects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from node.domain.records import Kept, Outcome, StoredAnswer, StoredReading, StoredVerdict
from node.storage.columns import alone, insert_once
from node.storage.comparisons_book import record_comparison
from node.storage.engine import Store
from node.storage.facts import decode_kept, decode_texts, encode_kept, encode_texts
from node.storage.matching import record_study
from node.storage.outcomes_book import record_written
from node.storage.tables import objects, readings, verdicts


class Answers(Store):
    """Recorded results."""

    def verdict(self, series_uid: str, generation: int) -> StoredVerdict | None:
        """Whether a generation is read, and why; None while that is not judged."""
        key = (verdicts.c.series_uid == series_uid, verdicts.c.generation == generation)
        with self._database.reading() as connection:
            row = connection.execute(select(verdicts).where(*key)).first()
        if row is None:
            return None
        return StoredVerdict(
            series_uid=row.series_uid,
            generation=row.generation,
            eligible=row.eligible,
            reasons=decode_texts(row.reasons),
        )

    def reading(self, series_uid: str, generation: int) -> StoredReading | None:
        """Where the reading of a generation lies; None while it is not read."""
        key = (readings.c.series_uid == series_uid, readings.c.generation == generation)
        with self._database.reading() as connection:
            row = connection.execute(select(readings).where(*key)).first()
        if row is None:
            return None
        return StoredReading(
            series_uid=row.series_uid,
            generation=row.generation,
            findings=decode_kept(row.findings),
            mask=None if row.mask is None else decode_kept(row.mask),
            model_sha256=row.model_sha256,
            settings_sha256=row.settings_sha256,
        )

    def objects(self, series_uid: str, generation: int) -> tuple[StoredAnswer, ...]:
        """The objects made for a generation, in the order of their roles."""
        key = (objects.c.series_uid == series_uid, objects.c.generation == generation)
        with self._database.reading() as connection:
            rows = connection.execute(select(objects).where(*key).order_by(objects.c.role, objects.c.sop_uid)).all()
        return tuple(_answer(row) for row in rows)

    def object(self, sop_uid: str) -> StoredAnswer | None:
        """One made object, None if it was not made here."""
        with self._database.reading() as connection:
            row = connection.execute(select(objects).where(objects.c.sop_uid == sop_uid)).first()
        return None if row is None else _answer(row)

    def is_own_object(self, sop_uid: str) -> bool:
        """The loop guard: whether a received UID is one of our own answers coming back."""
        with self._database.reading() as connection:
            query = select(objects.c.sop_uid).where(objects.c.sop_uid == sop_uid)
            return connection.execute(query).first() is not None


def record(connection: Connection, outcome: Outcome, now: datetime) -> None:
    """Record the results of an outcome. Readings and objects recorded already stay as they are."""
    if outcome.study is not None:
        record_study(connection, outcome.study, now)
    if outcome.comparison is not None:
        record_comparison(connection, outcome.comparison, now)
    if outcome.written is not None:
        record_written(connection, outcome.written, now)
    if outcome.verdict is not None:
        verdict = outcome.verdict
        values: dict[str, Any] = {
            "series_uid": verdict.series_uid,
            "generation": verdict.generation,
            "eligible": verdict.eligible,
            "reasons": encode_texts(verdict.reasons),
            "recorded_at": now,
        }
        if not insert_once(connection, verdicts, values):
            # The later word counts: the voxels may take back what the headers allowed.
            present = and_(verdicts.c.series_uid == verdict.series_uid, verdicts.c.generation == verdict.generation)
            connection.execute(update(verdicts).where(present).values(values))
    if outcome.reading is not None:
        alone(connection)  # with a human read that is just being matched: the second of the two starts the comparison
        reading = outcome.reading
        values = {
            "series_uid": reading.series_uid,
            "generation": reading.generation,
            "findings": encode_kept(reading.findings),
            "mask": encode_kept(reading.mask),
            "model_sha256": reading.model_sha256,
            "settings_sha256": reading.settings_sha256,
            "recorded_at": now,
        }
        insert_once(connection, readings, values)
    for made in outcome.objects:
        insert_once(connection, objects, _values(made, now))


def _values(made: StoredAnswer, now: datetime) -> dict[str, Any]:
    return {
        "sop_uid": made.sop_uid,
        "series_uid": made.series_uid,
        "generation": made.generation,
        "role": made.role,
        "sop_class_uid": made.sop_class_uid,
        "transfer_syntax_uid": made.transfer_syntax_uid,
        "made_series_uid": made.made_series_uid,
        "path": made.kept.path,
        "sha256": made.kept.sha256,
        "size": made.kept.size,
        "recorded_at": now,
    }


def _answer(row: Row[Any]) -> StoredAnswer:
    return StoredAnswer(
        sop_uid=row.sop_uid,
        series_uid=row.series_uid,
        generation=row.generation,
        role=row.role,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        made_series_uid=row.made_series_uid,
        kept=Kept(path=row.path, sha256=row.sha256, size=row.size),
    )
