"""deploy/CONFORMANCE.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.uid import UID

from node.dicom import commitment
from node.dicom.acceptor import Limits
from node.dicom.contexts import ACCEPTED_CLASSES, ACCEPTED_SYNTAXES, SENT_CLASSES, SENT_SYNTAX
from node.dicom.pixels import decodable
from node.dicom.sender import Timeouts
from node.dicom.statuses import Status
from node.domain.commitment import Failure

STATEMENT = (Path(__file__).parents[3] / "deploy" / "CONFORMANCE.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    found = re.search(rf"^### {re.escape(number)} .*?(?=^##|\Z)", STATEMENT, re.DOTALL | re.MULTILINE)
    assert found, f"no section {number}"
    return found[0]


def table(number: str) -> list[tuple[str, str]]:
    return re.findall(r"^\| ([^|]+) \| ([0-9.]+) \|$", section(number), re.MULTILINE)


def test_accepted_classes():
    assert table("1.3") == [(sop_class.name, sop_class.uid) for sop_class in ACCEPTED_CLASSES]


def test_accepted_transfer_syntaxes():
    assert table("1.4") == [(UID(syntax).name, syntax) for syntax in ACCEPTED_SYNTAXES]


def test_sent_classes():
    assert table("1.6") == [(sop_class.name, sop_class.uid) for sop_class in SENT_CLASSES]
    assert SENT_SYNTAX in section("1.6")


def test_statuses():
    assert set(re.findall(r"^\| ([0-9A-F]{4}) \|", section("1.5"), re.MULTILINE)) == {
        f"{status:04X}" for status in Status
    }


def test_limits():
    limits, said = Limits(), section("1.2")
    for value in (
        f"{limits.pdu_bytes} bytes",
        f"| {limits.associations}, then",
        f"{limits.strangers}, closed after {limits.acse_seconds:.0f} s",
        f"{limits.idle_seconds:.0f} s, then A-ABORT",
        f"{limits.instance_bytes >> 30} GiB",
        f"{Timeouts().response:.0f} s without an answer",
    ):
        assert value in said


def test_storage_commitment():
    said = section("1.7")
    assert f"{commitment.MOST_REFERENCES:,} instances and {commitment.MOST_BYTES >> 20} MiB" in said
    assert set(re.findall(r"^\| ([0-9A-F]{4}) \|", said, re.MULTILINE)) == {
        f"{status:04X}"
        for status in (
            commitment.SUCCESS,
            commitment.PROCESSING_FAILURE,
            commitment.NO_SUCH_INSTANCE,
            commitment.INVALID_ARGUMENT,
            commitment.NO_SUCH_ACTION,
            commitment.NOT_AUTHORISED,
            commitment.RESOURCE_LIMITATION,
        )
    }
    for failure in Failure:
        assert f"{failure:04X}: " in said
    for syntax in commitment.COMMITMENT_SYNTAXES:
        assert UID(syntax).name.split()[0] in said


@pytest.mark.parametrize("syntax", ACCEPTED_SYNTAXES)
def test_whatever_is_accepted_can_be_decoded(syntax):
    assert decodable(syntax)


def test_no_class_is_named_twice_or_unknown():
    uids = [sop_class.uid for sop_class in ACCEPTED_CLASSES]
    assert len(set(uids)) == len(uids)
    assert not [sop_class for sop_class in (*ACCEPTED_CLASSES, *SENT_CLASSES) if sop_class.name == sop_class.uid]
