"""One id shows a study's whole way: in the log of a running node, and by `second-reader trace`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from typer.testing import CliRunner

from model.reader import Reader
from node.cli import app
from node.domain.identity import short
from node.service import Node
from node.settings import Settings
from tests.flow.site import Archive, Site, a_study, write_config


@pytest.mark.parametrize("by", ["trace", "study", "series"])
def test_a_study_can_be_followed_by_its_id(tmp_path: Path, archive: Archive, finds_lad: Reader, by: str):
    config = write_config(tmp_path, [archive.destination()])
    one, other = (
        a_study(name, PatientName="Doe^Jane", PatientID="PAT-77", AccessionNumber="ACC-99") for name in ("one", "other")
    )
    with Node(Settings.load(config, {}), reader=finds_lad) as node, capture_logs([merge_contextvars]) as lines:
        site = Site(node=node, archive=archive)
        for study in (one, other):
            site.send(study)
            site.answers(study)
    wanted = short(one.study_uid)
    said = [line["event"] for line in lines if line.get("trace") == wanted]
    assert said == ["series complete", "series qualifies", "series read", "answers made", *["delivered"] * 3]
    name = {"trace": wanted, "study": one.study_uid, "series": one.series_uid}[by]
    result = CliRunner().invoke(app, ["trace", name, "--json", "--config", str(config)])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown["trace"] == wanted
    steps = [step["what"] for step in shown["steps"]]
    assert steps[0] == "first image"
    assert steps.count("object made") == steps.count("deliver to pacs") == 3
    assert {"last image", "verdict", "qualify", "reading", "read", "publish", "compare"} <= set(steps)
    assert [step["at"] for step in shown["steps"]] == sorted(step["at"] for step in shown["steps"])
    for secret in ("Doe", "PAT-77", "ACC-99", one.study_uid, one.series_uid):
        assert secret not in result.stdout


def test_a_study_that_is_not_there_is_said_so(tmp_path: Path, archive: Archive, finds_lad: Reader):
    config = write_config(tmp_path, [archive.destination()])
    with Node(Settings.load(config, {}), reader=finds_lad):
        pass
    result = CliRunner().invoke(app, ["trace", "0123456789ab", "--config", str(config)])
    assert result.exit_code == 1
    assert "no such study" in result.stderr
