from __future__ import annotations

import signal
from dataclasses import replace
from datetime import timedelta

import pytest

from node.domain.commitment import CommitmentState
from node.domain.errors import Malformed, Retryable
from node.storage import commitments_book
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from tests.forked import Forked, environment
from tests.node.storage.builders import NOW, after
from tests.node.storage.commitment_program import ASKED


def test_a_request_waits_until_it_is_settled(ledger):
    assert ledger.add_commitment(ASKED, NOW)
    (one,) = ledger.due_commitments(NOW)
    assert (one.request, one.state, one.attempts, one.requested_at) == (ASKED, CommitmentState.PENDING, 0, NOW)
    ledger.put_off_commitment(one.id, after(60), after(1), "away")
    assert ledger.due_commitments(after(59)) == ()
    assert not ledger.add_commitment(ASKED, after(30))  # asked again while it waits: due at once, not twice
    (one,) = ledger.due_commitments(after(30))
    assert (one.attempts, one.error) == (1, "away")
    ledger.settle_commitment(one.id, CommitmentState.TOLD, after(61))
    assert ledger.due_commitments(after(3600)) == ()
    assert [(one.state, one.attempts) for one in ledger.commitments()] == [(CommitmentState.TOLD, 2)]
    assert ledger.add_commitment(ASKED, after(70))  # asked again, told again
    assert [one.attempts for one in ledger.due_commitments(after(70))] == [0]


def test_a_transaction_is_of_one_peer_and_one_request(ledger):
    ledger.add_commitment(ASKED, NOW)
    assert ledger.add_commitment(replace(ASKED, ae_title="CT02"), NOW)
    with pytest.raises(Malformed, match="another request"):
        ledger.add_commitment(replace(ASKED, references=ASKED.references[:1]), NOW)
    assert len(ledger.commitments()) == 2


def test_one_peer_cannot_fill_the_ledger_and_the_past_is_forgotten(ledger, monkeypatch):
    monkeypatch.setattr(commitments_book, "_MOST_WAITING", 2)
    for number in range(2):
        ledger.add_commitment(replace(ASKED, transaction_uid=f"9.{number}"), NOW)
    with pytest.raises(Retryable, match="too many"):
        ledger.add_commitment(replace(ASKED, transaction_uid="9.2"), NOW)
    assert ledger.add_commitment(replace(ASKED, ae_title="CT02"), NOW)
    for one in ledger.commitments():
        ledger.settle_commitment(one.id, CommitmentState.GIVEN_UP, NOW, "away")
    ledger.add_commitment(ASKED, NOW + timedelta(days=31))
    assert [one.state for one in ledger.commitments()] == [CommitmentState.PENDING]


@pytest.mark.parametrize(("fault", "kept"), [("row-uncommitted", 0), ("row-committed", 1)])
def test_killed_while_it_is_asked_nothing_is_answered_that_is_not_kept(tmp_path, fault, kept):
    url, said = f"sqlite:///{tmp_path}/ledger.sqlite", tmp_path / "said"
    upgrade(url)
    what = "tests.node.storage.commitment_program:main"
    died = Forked(what, (tmp_path,), environ=environment(f"commitment.{fault}"), said=said).wait(60)
    assert (died, said.read_text()) == (-signal.SIGKILL, "")
    with Ledger(url) as ledger:
        assert len(ledger.commitments()) == kept
    assert Forked(what, (tmp_path,), environ=environment(None), said=said).wait(60) == 0
    with Ledger(url) as ledger:
        assert [one.request for one in ledger.commitments()] == [ASKED]
