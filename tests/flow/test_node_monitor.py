"""A running node is measured over HTTP: what came, what was refused, what became of it; nothing of a patient."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from model.reader import Reader
from node.domain.errors import NodeError
from node.service import Node
from node.settings import Settings
from tests.flow.site import Archive, Site, a_study, scanner, wait_until, write_config


@pytest.fixture
def site(tmp_path: Path, archive: Archive, finds_lad: Reader) -> Iterator[Site]:
    config = write_config(tmp_path, [archive.destination()], web={"port": 0})
    with Node(Settings.load(config, {}), reader=finds_lad, page=True) as node:
        yield Site(node=node, archive=archive)


def ask(site: Site, path: str) -> httpx2.Response:
    assert site.node.page is not None
    return httpx2.get(f"{site.node.page.address}{path}", timeout=20)


def metric(site: Site, sample: str) -> float:
    """Value of a sample, by its name and labels as they stand in the text."""
    lines = ask(site, "metrics").text.splitlines()
    found = [line.rpartition(" ")[2] for line in lines if line.startswith(f"second_reader_{sample} ")]
    return float(found[0]) if found else -1.0


def test_a_study_leaves_its_traces_in_the_metrics_and_nothing_of_the_patient(site: Site):
    study = a_study("measured", PatientName="Doe^Jane", PatientID="PAT-77", AccessionNumber="ACC-99")
    site.send(study)
    site.answers(study)
    with pytest.raises(NodeError):
        scanner(site.node.port, called="NOBODY").echo()
    assert metric(site, 'instances_total{status="success"}') == len(study.images)
    assert metric(site, 'associations_total{outcome="called-ae-title"}') == 1
    assert metric(site, "readings_total") == 1
    assert metric(site, 'deliveries_total{destination="pacs",outcome="done"}') == 3
    assert metric(site, 'stage_seconds_count{stage="read"}') == 1
    assert metric(site, 'stage_seconds_count{stage="receive"}') == len(study.images)
    assert metric(site, 'ledger_seconds_count{kind="write"}') > len(study.images)
    wait_until(lambda: metric(site, "disk_free_bytes") > 0)
    text = ask(site, "metrics").text
    for secret in ("Doe", "PAT-77", "ACC-99", "CT01", study.study_uid, study.series_uid):
        assert secret not in text


def test_a_declined_series_is_counted_by_kind_and_never_by_its_text(site: Site):
    site.send(a_study("contrast", ContrastBolusAgent="Iomeron of Doe^Jane"))
    wait_until(lambda: metric(site, 'declined_total{reason="contrast",stage="qualify"}') == 1)
    assert "Iomeron" not in ask(site, "metrics").text


def test_it_is_ready_and_answers_at_once_while_another_process_locks_the_ledger(site: Site):
    wait_until(lambda: ask(site, "readyz").status_code == 200)
    assert set(ask(site, "readyz").json()["checks"]) == {"listener", "ledger", "disk", "model"}
    holder = sqlite3.connect(str(site.node.storage.ledger._database.url.database), isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        for path in ("healthz", "readyz", "metrics"):
            began = time.monotonic()
            assert ask(site, path).status_code in (200, 503)
            assert time.monotonic() - began < 5
    finally:
        holder.rollback()
        holder.close()
