"""Settings of storage commitment: what they mean, and what is said of those that cannot be."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from node.committing import committing
from node.domain.commitment import CommitmentRequest, Reference
from node.domain.errors import Refused
from node.parts import utc_now
from node.settings import Settings, SettingsError
from tests.commitment_peer import CT, TRANSACTION

PEER = {"ae_title": "CT01", "host": "10.1.0.5", "port": 104}


def settings_of(*peers: dict[str, object], **more: str) -> Settings:
    environ = {f"SECOND_READER_{name}": value for name, value in more.items()}
    return Settings.load(None, {"SECOND_READER_COMMITMENT__PEERS": json.dumps(peers), **environ})


@pytest.mark.parametrize(
    ("peers", "said"),
    [
        ([{"ae_title": "CT01"}], "same_association"),
        ([{"ae_title": "CT01", "host": "h", "same_association": True}], "belong together"),
        ([PEER, PEER], "two peers have the AE title CT01"),
        ([{**PEER, "port": 0}], "commitment.peers.0.port"),
    ],
)
def test_what_cannot_be_is_said(peers, said):
    with pytest.raises(SettingsError, match=said):
        settings_of(*peers)


def test_without_peers_nothing_is_offered(rig):
    assert committing(Settings(), rig.storage, utc_now) is None


def test_only_peers_of_the_settings_may_ask(rig):
    made = committing(settings_of(PEER), rig.storage, rig.clock)
    asked = CommitmentRequest(
        transaction_uid=TRANSACTION, ae_title="CT02", host="10.1.0.5", references=(Reference(CT, "1.2"),)
    )
    with pytest.raises(Refused, match=r"commitment\.peers"):
        made.stage.take(asked)
    assert rig.ledger.commitments() == ()


def test_it_is_said_that_the_node_is_no_archive(rig):
    with capture_logs() as said:
        committing(settings_of(PEER), rig.storage, utc_now)
    assert said == []
    with capture_logs() as said:
        committing(settings_of(PEER, RETENTION__IMAGES_DAYS="30"), rig.storage, utc_now)
    assert ["no archive" in one["event"] for one in said] == [True]
