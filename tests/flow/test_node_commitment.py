"""Storage commitment over real sockets: the truth, to whoever may ask, whatever happens in between."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from node.domain.commitment import CommitmentRequest, CommitmentState, Reference
from node.service import Node
from node.settings import Settings
from tests.commitment_peer import CT, Waiting, a_request, ask, ask_and_stay
from tests.flow.site import a_node, a_study, deliver, free_port, wait_until, write_config

NOBODY = "1.2.3.4.5.6.7.8.9"


def node_for(folder, reader, port, **more: object):
    """A node with one peer that may ask."""
    quick = {"first_retry_seconds": 0.1, "most_retry_seconds": 0.3, "timeout_seconds": 3.0}
    path = write_config(folder, commitment={**quick, **more})
    where = f'host = "127.0.0.1", port = {port}' if port is not None else "same_association = true"
    peers = f'peers = [{{ ae_title = "CT01", {where} }}]'
    path.write_text(path.read_text().replace("[commitment]\n", f"[commitment]\n{peers}\n"))
    return Node(Settings.load(path, {}), reader=reader)


def states(node):
    return [one.state for one in node.storage.ledger.commitments()]


def test_what_is_kept_is_committed_and_nothing_else(tmp_path, finds_lad):
    study = a_study("committed")
    uids = [str(image.SOPInstanceUID) for image in study.images]
    with Waiting() as scanner, node_for(tmp_path, finds_lad, scanner.port) as node:
        deliver(node.port, study.images)
        assert ask(node.port, a_request([(CT, uid) for uid in uids])) == 0
        assert scanner.next() == (1, uids, {})
        wait_until(lambda: states(node) == [CommitmentState.TOLD])

        gone, other = uids[0], uids[1]
        kept = node.storage.ledger.find_instance(gone)
        node.storage.spool.path(kept.path).unlink()
        wrong = [(CT, gone), ("1.2.840.10008.5.1.4.1.1.4", other), (CT, NOBODY), (CT, uids[2]), (CT, uids[2])]
        assert ask(node.port, a_request(wrong)) == 0x0115  # the transaction was another one's
        assert ask(node.port, a_request(wrong), calling="CT02") == 0x0124
        node.storage.ledger.settle_commitment(1, CommitmentState.GIVEN_UP, node._clock())
        assert ask(node.port, a_request([(CT, uid) for uid in uids])) == 0  # asked again: told again, as it is now
        assert scanner.next() == (2, uids[1:], {gone: 0x0112})


def test_every_reason_is_told(tmp_path, finds_lad):
    study = a_study("reasons")
    uids = [str(image.SOPInstanceUID) for image in study.images]
    with Waiting() as scanner, node_for(tmp_path, finds_lad, scanner.port) as node:
        deliver(node.port, study.images[:2])
        asked = [(CT, uids[0]), ("1.2.840.10008.5.1.4.1.1.4", uids[1]), (CT, NOBODY), (CT, uids[0])]
        assert ask(node.port, a_request(asked)) == 0
        assert scanner.next() == (2, [uids[0]], {uids[1]: 0x0119, NOBODY: 0x0112})


def test_a_request_outlives_the_node_and_a_peer_that_is_away(tmp_path, finds_lad):
    port = free_port()
    study = a_study("restart")
    uids = [str(image.SOPInstanceUID) for image in study.images]
    with node_for(tmp_path, finds_lad, port) as node:
        deliver(node.port, study.images)
        assert ask(node.port, a_request([(CT, uid) for uid in uids])) == 0
        assert ask(node.port, a_request([(CT, uid) for uid in uids])) == 0  # no answer came: asked again
        wait_until(lambda: [one.attempts > 0 for one in node.storage.ledger.commitments()] == [True])
    with Waiting(port) as scanner, node_for(tmp_path, finds_lad, port) as node:
        assert scanner.next() == (1, uids, {})
        wait_until(lambda: states(node) == [CommitmentState.TOLD])
        assert scanner.answers.empty()


@pytest.mark.parametrize("why", ["away", "refuses the role", "refuses the answer"])
def test_whoever_is_not_to_be_had_is_given_up_and_said(tmp_path, finds_lad, why):
    answer = 0x0110 if why == "refuses the answer" else 0
    with capture_logs() as said, Waiting(answer=answer, as_scp=why != "refuses the role") as scanner:
        port = free_port() if why == "away" else scanner.port
        with node_for(tmp_path, finds_lad, port, attempts=2) as node:
            assert ask(node.port, a_request([(CT, NOBODY)])) == 0
            wait_until(lambda: states(node) == [CommitmentState.GIVEN_UP])
            (one,) = node.storage.ledger.commitments()
            assert one.attempts == 2
            assert {"away": "reached", "refuses the role": "role", "refuses the answer": "0110"}[why] in one.error
    assert any("whoever asked is not to be had" in one["event"] for one in said)


def test_what_is_no_request_is_refused_and_the_node_goes_on(tmp_path, finds_lad):
    with Waiting() as scanner, node_for(tmp_path, finds_lad, scanner.port) as node:
        empty = a_request([])
        nameless = a_request([(CT, "1.2")])
        del nameless.TransactionUID
        no_uid = a_request([(CT, "1.2")])
        no_uid.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = ""
        assert [ask(node.port, one) for one in (empty, nameless, no_uid, None)] == [0x0115] * 4
        assert ask(node.port, a_request([(CT, "1.2")]), action=2) == 0x0123
        assert ask(node.port, a_request([(CT, "1.2")]), instance="1.2.3") == 0x0112
        assert states(node) == []
        assert ask(node.port, a_request([(CT, "1.2")])) == 0


def test_without_peers_it_is_not_offered(tmp_path, finds_lad):
    with a_node(tmp_path, finds_lad) as node:
        assert ask(node.port, a_request([(CT, "1.2")])) == -1


def test_who_likes_it_is_told_over_the_association_it_asked_on(tmp_path, finds_lad):
    study = a_study("same association")
    uids = [str(image.SOPInstanceUID) for image in study.images]
    with node_for(tmp_path, finds_lad, None, attempts=50) as node:
        deliver(node.port, study.images)
        came = ask_and_stay(node.port, a_request([(CT, uid) for uid in (*uids, NOBODY)]))
        assert came is not None
        kind, said = came
        assert kind == 2
        assert [item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence] == uids
        assert [item.FailureReason for item in said.FailedSOPSequence] == [0x0112]
        wait_until(lambda: states(node) == [CommitmentState.TOLD])
        other = a_request([(CT, uids[0])], "1.2.3.4.6")
        asked = CommitmentRequest(
            transaction_uid="1.2.3.4.6", ae_title="CT01", host="127.0.0.1", references=(Reference(CT, uids[0]),)
        )
        node.storage.ledger.add_commitment(asked, node._clock())  # as if by an association that is over
        wait_until(lambda: any(one.attempts > 0 and one.error for one in node.storage.ledger.commitments()))
        assert ask_and_stay(node.port, other) is not None  # asked again, told at once
        wait_until(lambda: states(node) == [CommitmentState.TOLD] * 2)
