"""The command writes tables, plots and pictures; without reference data it says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import train.realism.__main__ as door
from tests.plain_case import plain_case
from train.realism.sources import of_case


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(door.realism)
    return app


def test_without_reference_data_it_stops(command: typer.Typer, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--reference", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "no reference data" in result.output
    assert not (tmp_path / "out").exists()


def test_report_holds_a_column_a_scan(command: typer.Typer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "make_case", lambda seed, _: plain_case(seed))
    monkeypatch.setattr(door, "real_scans", lambda _: [of_case(plain_case(99), "real")])
    out = tmp_path / "out"
    arguments = ["--reference", str(tmp_path), "--out", str(out), "--cases", "2"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    text = (out / "REALISM.md").read_text(encoding="utf-8")
    assert "| real | 2 phantoms |" in text
    assert "nan" not in text
    for name in ("tissues", "noise", "edges", "components"):
        assert f"]({name}.png)" in text
        assert (out / f"{name}.png").stat().st_size > 1000
    assert len(list((out / "pictures").glob("*.png"))) == 6


def test_a_phantom_keeps_its_heart_and_place() -> None:
    scan = of_case(plain_case(3), "made")
    assert scan.heart is not None
    assert scan.centre == pytest.approx([(n - 1) / 2 for n in scan.hu.shape], abs=0.5)
    assert -40 < scan.hu[scan.heart].mean() < 60
