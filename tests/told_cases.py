"""A ledger with a case that somebody is to be told of, recorded as the stage records it."""

from __future__ import annotations

from datetime import datetime, timedelta

from node.domain.cases import CaseRow, NewComparison
from node.domain.human_read import StudyKey
from node.domain.records import Kept, NewWork, Outcome
from node.domain.studies import StudyFacts
from node.domain.work import Stage
from node.storage.ledger import Ledger
from tests.node.domain.reads import a_comparison, a_read
from tests.node.storage.builders import a_file, a_peer, an_instance

LEASE = timedelta(minutes=1)


def told_case(
    ledger: Ledger, now: datetime, tell: tuple[str, ...], *, study: str = "1.5", version: int = 1, ours: float = 50.0
) -> CaseRow:
    """A study of which the human saw nothing; priority, unless ``ours`` is near 0 as well."""
    series = f"{study}.1"
    if ledger.find_series(series) is None:
        ledger.record_study(StudyFacts(study_uid=study, accession="ACC 1\r\nBcc: x", patient_id="PAT-1"), now)
        ledger.add_instance(an_instance(f"{series}.1", series, study), a_file(series), a_peer(), now)
    read = a_read(0.0, source_id=study, version=version, study=StudyKey(study_uid=study))
    kept = Kept(path=f"reads/{study}{version}", sha256="", size=1)
    new = NewComparison(
        study_uid=study,
        series_uid=series,
        generation=1,
        read_id=ledger.record_read(read, kept, "desk", now).read_id,
        limits_sha256="limits",
        comparison=a_comparison(ours, 0.0),
        model_sha256="5e" * 32,
        model_version="1.0",
        tell=tell,
    )
    ledger.add_work([NewWork(stage=Stage.COMPARE, series_uid=series, generation=1, repeat=True)], now)
    work = ledger.claim(now, LEASE, (Stage.COMPARE,))
    assert work is not None
    ledger.finish(work, Outcome(comparison=new), now)
    row = ledger.case_of_study(study)
    assert row is not None
    return row
