from __future__ import annotations

import json
import logging

import pytest
import structlog

from node import log
from node.domain.identity import short

UID = "1.2.826.0.1.3680043.8.498.1"
PATIENT = "Doe^Jane"


def faulty() -> None:
    try:
        {}[PATIENT]
    except KeyError as error:
        raise ValueError(PATIENT) from error


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line_says_what_when_where(capsys):
    log.configure("INFO", "json")
    structlog.get_logger("node.x").info("series read", slices=3)
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"], line["slices"]) == ("series read", "info", "node.x", 3)
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("key", ["series", "study", "instance", "object"])
def test_uids_are_hashed_above_debug(capsys, key):
    log.configure("INFO", "json")
    structlog.get_logger("node.x").warning("x", **{key: UID})
    said = capsys.readouterr().err
    assert UID not in said
    assert json.loads(said)[key] == short(UID)


def test_debug_shows_uids_in_the_clear(capsys):
    log.configure("DEBUG", "json")
    structlog.get_logger("node.x").debug("x", series=UID)
    assert lines(capsys)[0]["series"] == UID


def test_less_than_the_level_is_not_said(capsys):
    log.configure("WARNING", "json")
    structlog.get_logger("node.x").info("x")
    logging.getLogger("elsewhere").info("x")
    assert capsys.readouterr().err == ""


def test_the_console_style_is_for_people(capsys):
    log.configure("INFO", "console")
    structlog.get_logger("node.x").info("series read", series=UID)
    said = capsys.readouterr().err
    assert "series read" in said
    assert short(UID) in said
    assert UID not in said
    with pytest.raises(json.JSONDecodeError):
        json.loads(said)


@pytest.mark.parametrize("name", ["pydicom", "pydicom.dataset"])
def test_a_library_that_quotes_data_sets_is_silent(capsys, name):
    log.configure("DEBUG", "json")
    logging.getLogger(name).error(PATIENT)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["pynetdicom", "pynetdicom.assoc"])
def test_the_network_library_speaks_without_uids_and_texts_of_exceptions(capsys, name):
    log.configure("INFO", "json")
    logging.getLogger(name).error("no context for %s", UID)
    try:
        faulty()
    except ValueError:
        logging.getLogger(name).exception("handler failed")
    said = capsys.readouterr().err
    assert short(UID) in said
    assert UID not in said
    assert "ValueError" in said
    assert PATIENT not in said


@pytest.mark.parametrize("name", ["sqlalchemy.engine", "alembic"])
def test_other_libraries_only_complain(capsys, name):
    log.configure("DEBUG", "json")
    logging.getLogger(name).info("chatter")
    logging.getLogger(name).warning("complaint")
    assert [line["event"] for line in lines(capsys)] == ["complaint"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_fault_says_where_and_not_with_whose_data(capsys, style):
    log.configure("INFO", style)
    try:
        faulty()
    except ValueError:
        structlog.get_logger("node.x").exception("a fault of this program")
        logging.getLogger("elsewhere").exception("a fault of this program")
    said = capsys.readouterr().err
    assert PATIENT not in said
    assert said.count("KeyError\\n" if style == "json" else "KeyError\n") >= 2
    assert said.count("ValueError") >= 2
    assert "faulty" in said


def test_debug_shows_the_whole_fault(capsys):
    log.configure("DEBUG", "json")
    try:
        faulty()
    except ValueError:
        structlog.get_logger("node.x").exception("x")
    assert PATIENT in capsys.readouterr().err


def test_configuring_twice_says_everything_once(capsys):
    log.configure("INFO", "json")
    log.configure("INFO", "json")
    structlog.get_logger("node.x").info("x")
    assert len(lines(capsys)) == 1
