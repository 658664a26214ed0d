"""Requests and results of storage commitment as bytes."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pynetdicom.dsutils import encode

from node.dicom import commitment
from node.dicom.commitment import TooLong, report_of, request_in
from node.dicom.encoding import EXPLICIT, IMPLICIT
from node.domain.commitment import CommitmentResult, Failure, Reference
from node.domain.errors import Malformed
from tests.commitment_peer import CT, TRANSACTION, a_request


def encoded(dataset, *, implicit=True):
    return encode(dataset, is_implicit_vr=implicit, is_little_endian=True)


@pytest.mark.parametrize(("syntax", "implicit"), [(EXPLICIT, False), (IMPLICIT, True)])
def test_a_request_is_read_each_instance_once_in_order(syntax, implicit):
    data = encoded(a_request([(CT, "1.2"), (CT, "1.1"), (CT, "1.2"), ("1.9", "1.2")]), implicit=implicit)
    found = Reference(CT, "1.2"), Reference(CT, "1.1"), Reference("1.9", "1.2")
    assert request_in(data, syntax) == (TRANSACTION, found)


def test_what_is_too_long_is_refused_before_it_is_read(monkeypatch):
    data = encoded(a_request([(CT, f"1.{number}") for number in range(10)]))
    monkeypatch.setattr(commitment, "MOST_REFERENCES", 9)
    with pytest.raises(TooLong, match="10 instances"):
        request_in(data, IMPLICIT)
    monkeypatch.setattr(commitment, "MOST_BYTES", 100)
    with pytest.raises(TooLong, match="bytes"):
        request_in(data, IMPLICIT)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_malformed(data):
    for syntax in (EXPLICIT, IMPLICIT):
        try:
            request_in(data, syntax)
        except Malformed:
            continue


def test_results_name_what_failed_and_why():
    kept, failed = Reference(CT, "1.1"), Reference(CT, "1.2")
    result = CommitmentResult(transaction_uid="9", kept=(kept,), failed=((failed, Failure.NOT_HERE),))
    data = encoded(report_of(result))
    report = dcmread(BytesIO(data), force=True)
    assert report.TransactionUID == "9"
    assert report.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.1"
    (item,) = report.FailedSOPSequence
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID, item.FailureReason) == (CT, "1.2", 0x0112)
    assert "FailedSOPSequence" not in report_of(CommitmentResult(transaction_uid="9", kept=(kept,)))
    assert "ReferencedSOPSequence" not in report_of(CommitmentResult(transaction_uid="9", kept=()))
