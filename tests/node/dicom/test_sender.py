"""The sender over real sockets: the bytes unchanged, and every answer with its meaning."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import Event

from node.dicom.files import content_of
from node.dicom.sender import PeerAddress, Sender, SendItem, Timeouts
from node.domain.errors import Malformed, PeerDown, Refused
from tests.dicom_series import Style, ct_series, enhanced_ct, file_bytes, thorax

SMALL = thorax(3, 4, 5)
CT, ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
QUICK = Timeouts(connect=2, association=2, response=1.5)
Pacs = Callable[..., int]


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """Start a stand-in archive: ``on_store`` answers; returns the port."""
    running = []

    def go(
        on_store: Callable[[Event], object] = lambda _: 0, *, handlers=(), classes=(CT, ENHANCED), called=None
    ) -> int:
        entity = AE(ae_title="PACS")
        entity.require_called_aet = called is not None
        for sop_class in classes:
            entity.add_supported_context(
                sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
            )
        entity.add_supported_context("1.2.840.10008.1.1")
        server = entity.start_server(
            ("127.0.0.1", 0),
            block=False,
            ae_title=called or "PACS",
            evt_handlers=[(evt.EVT_C_STORE, on_store), *handlers],
        )
        running.append(server)
        return server.server_address[1]

    yield go
    for server in running:
        server.ae.shutdown()


def to(port: int, timeouts: Timeouts = QUICK) -> Sender:
    return Sender("CALCIUM2R", PeerAddress(ae_title="PACS", host="127.0.0.1", port=port), timeouts)


def items(count: int = 3, **style: object) -> list[SendItem]:
    return [SendItem.of_file(file_bytes(image)) for image in ct_series(SMALL, Style(**style))[:count]]


def test_echo(pacs):
    to(pacs()).echo()


def test_echo_to_nobody():
    with pytest.raises(PeerDown):
        to(free_port()).echo()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("source", ["bytes", "path"])
def test_the_stored_bytes_go_out_unchanged(syntax, source, pacs, tmp_path: Path):
    got = []

    def keep(event: Event) -> int:
        got.append(
            (event.request.DataSet.getvalue(), str(event.context.transfer_syntax), event.request.AffectedSOPInstanceUID)
        )
        return 0

    # PatientName after a non-canonical, over-long padding: decoding and encoding again would change it
    images = ct_series(SMALL, Style(syntax=syntax))
    files = [file_bytes(image).replace(b"Phantom^Synthetic ", b"Phantom^Synthet   ") for image in images]
    if source == "path":
        paths = [tmp_path / f"{number}.dcm" for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        sent = [SendItem.of_file(path) for path in paths]
    else:
        sent = [SendItem.of_file(data) for data in files]
    assert [outcome.require() for outcome in to(pacs(keep)).send(sent)] == ["", "", ""]
    assert got == [
        (bytes(content_of(data).dataset), syntax, image.SOPInstanceUID)
        for data, image in zip(files, images, strict=True)
    ]


def test_nothing_to_send_opens_no_connection():
    assert to(free_port()).send([]) == []


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0111])
def test_delivered_statuses(status, pacs):
    (outcome,) = to(pacs(lambda _: status)).send(items(1))
    assert outcome.delivered
    assert (f"{status:04X}" in outcome.note) == (status != 0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (0xA700, PeerDown),
        (0xA701, PeerDown),
        (0xA7FF, PeerDown),
        (0xA900, Refused),
        (0xC000, Refused),
        (0xC211, Refused),
        (0x0122, Refused),
        (0x0124, Refused),
        (0x0110, Refused),
        (0xB001, Refused),
        (0xFF00, Refused),
    ],
)
def test_other_statuses(status, error, pacs):
    (outcome,) = to(pacs(lambda _: status)).send(items(1))
    assert not outcome.delivered
    with pytest.raises(error, match=f"{status:04X}"):
        outcome.require()


def test_every_object_has_its_own_outcome(pacs):
    answers = iter([0, 0xA700, 0xC000, 0xB000, 0])
    outcomes = to(pacs(lambda _: next(answers))).send([*items(3), *items(2, name="b")])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), PeerDown, Refused, type(None), type(None)]
    assert [outcome.sop_uid for outcome in outcomes] == [item.sop_uid for item in [*items(3), *items(2, name="b")]]


def test_a_class_the_peer_does_not_take_is_named(pacs):
    mixed = [SendItem.of_file(file_bytes(enhanced_ct(SMALL))), *items(1)]
    outcomes = to(pacs(classes=(CT,))).send(mixed)
    assert outcomes[1].delivered
    with pytest.raises(Refused, match="Enhanced CT Image Storage"):
        outcomes[0].require()


def test_no_class_at_all_is_taken(pacs):
    (outcome,) = to(pacs(classes=("1.2.840.10008.5.1.4.1.1.4",))).send(items(1))
    with pytest.raises(Refused, match="CT Image Storage"):
        outcome.require()


def test_wrong_called_ae_title_needs_a_person(pacs):
    outcomes = to(pacs(called="OTHER")).send(items(2))
    for outcome in outcomes:
        with pytest.raises(Refused, match="Called AE title not recognised"):
            outcome.require()


@pytest.mark.parametrize(
    ("answer", "error"),
    [((1, 1, 1), PeerDown), ((1, 1, 3), Refused), ((2, 1, 1), PeerDown), ((2, 3, 1), PeerDown), ((2, 3, 2), PeerDown)],
)
def test_rejections(answer, error, pacs):
    def reject(event: Event) -> None:
        event.assoc.acse.send_reject(*answer)
        event.assoc.is_rejected = True
        event.assoc.kill()

    (outcome,) = to(pacs(handlers=[(evt.EVT_REQUESTED, reject)])).send(items(1))
    with pytest.raises(error, match="rejected"):
        outcome.require()


def test_nobody_listens():
    outcomes = to(free_port()).send(items(2))
    assert [type(outcome.error) for outcome in outcomes] == [PeerDown, PeerDown]


def test_a_name_that_does_not_resolve():
    sender = Sender("CALCIUM2R", PeerAddress(ae_title="PACS", host="pacs.invalid", port=104), QUICK)
    assert isinstance(sender.send(items(1))[0].error, PeerDown)


def test_a_peer_that_accepts_and_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        (outcome,) = to(silent.getsockname()[1], replace(QUICK, association=0.5)).send(items(1))
        assert time.monotonic() - started < 5
    assert isinstance(outcome.error, PeerDown)


def test_a_peer_that_aborts_in_the_middle(pacs):
    def abort_second(event: Event) -> int:
        if event.request.MessageID == 2:
            event.assoc.abort()
        return 0

    started = time.monotonic()
    outcomes = to(pacs(abort_second), Timeouts()).send(items(3))
    assert [type(outcome.error) for outcome in outcomes] == [type(None), PeerDown, PeerDown]
    assert time.monotonic() - started < 10  # told by the abort, not by the 60 s time-out


def test_a_peer_that_never_answers_the_store(pacs):
    wake = threading.Event()

    def sleep(_: Event) -> int:
        wake.wait(10)
        return 0

    started = time.monotonic()
    outcomes = to(pacs(sleep), replace(QUICK, response=0.5)).send(items(2))
    wake.set()
    assert [type(outcome.error) for outcome in outcomes] == [PeerDown, PeerDown]
    assert time.monotonic() - started < 5


def test_a_stored_file_that_is_gone_or_broken(pacs, tmp_path: Path):
    gone, broken, fine = tmp_path / "gone", tmp_path / "broken", tmp_path / "fine"
    found = items(3)
    broken.write_bytes(b"nothing")
    fine.write_bytes(found[2].file_bytes())
    sent = [replace(item, content=path) for item, path in zip(found, (gone, broken, fine), strict=True)]
    outcomes = to(pacs()).send(sent)
    assert [type(outcome.error) for outcome in outcomes] == [Malformed, Malformed, type(None)]


def test_an_item_needs_a_name_of_its_own(tmp_path: Path):
    with pytest.raises(Malformed):
        SendItem.of_file(b"\0" * 300)
    image = ct_series(SMALL)[0]
    bare = tmp_path / "bare"
    bare.write_bytes(bytes(content_of(file_bytes(image)).dataset))
    with pytest.raises(Malformed, match="does not name the object"):
        SendItem.of_file(bare)


def test_more_kinds_than_an_association_has_contexts(pacs):
    syntaxes = [f"1.2.3.{number}" for number in range(150)]
    (template,) = items(1)
    outcomes = to(pacs()).send([*(replace(template, transfer_syntax_uid=syntax) for syntax in syntaxes), template])
    assert [outcome.delivered for outcome in outcomes] == [False] * 150 + [True]
    assert all(isinstance(outcome.error, Refused) for outcome in outcomes[:150])


def test_the_answer_of_a_peer_with_a_comment_is_understood(pacs):
    def answer(_: Event) -> Dataset:
        said = Dataset()
        said.Status, said.ErrorComment = 0xA701, "disk full"
        return said

    (outcome,) = to(pacs(answer)).send(items(1))
    assert isinstance(outcome.error, PeerDown)
