"""C-STOREs past the library: however they are cut into values and PDUs, and whatever comes between them."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from node.dicom.limits import Limits
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.store_wire import LONGEST_RESPONSE, StoreCommand, read_store, response_to, values_of
from node.domain.errors import StorageFull
from tests.association_wire import CT, VERIFICATION, a_command, a_fragment, a_pdu, ask, one_pdu
from tests.dicom_series import ct_series, thorax, wire_bytes

IMAGES = ct_series(thorax(3, 4, 5))
DATA = [wire_bytes(image) for image in IMAGES]
COMMANDS = [a_command(image.SOPInstanceUID)[12:] for image in IMAGES]  # without the heads of PDU and value
PATIENT = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass
class Keeper:
    kept: list[bytes] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)

    def store(self, data: bytes, _: StoreRequest) -> None:
        if self.trouble:
            raise self.trouble.pop()
        self.kept.append(data)


@pytest.fixture(scope="module")
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture(scope="module")
def listener(keeper: Keeper) -> Iterator[Listener]:
    limits = Limits(idle_seconds=5.0, instance_bytes=100_000)
    running = Listener(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0, limits=limits), keeper.store)
    running.start()
    yield running
    running.stop(0.2)


def a_value(data: bytes, *, last: bool, command: bool = False) -> bytes:
    return struct.pack(">IBB", len(data) + 2, 1, 2 * last + command) + data


def cut(data: bytes, places: list[float], *, command: bool) -> list[bytes]:
    ends = sorted({int(place * len(data)) for place in places} | {len(data)})
    starts = [0, *ends[:-1]]
    return [a_value(data[a:b], last=b == len(data), command=command) for a, b in zip(starts, ends, strict=True)]


def decoded(command: memoryview) -> Dataset:
    return decode(BytesIO(bytes(command)), is_implicit_vr=True, is_little_endian=True)


def status_of(answer: bytes) -> int:
    """Of a response; also checks that it is one PDU of one value that a library can read."""
    assert answer[:1] == b"\4"
    (value,) = values_of(memoryview(answer)[6:])
    assert value.control == 3
    found = decoded(value.data)
    assert found.CommandField == 0x8001
    return int(found.Status)


@PATIENT
@given(
    command_cuts=st.lists(st.floats(0, 1), max_size=2),
    data_cuts=st.lists(st.floats(0, 1), max_size=5),
    pdus=st.lists(st.booleans(), min_size=16, max_size=16),
)
def test_every_way_to_cut_a_message_brings_the_same_bytes(
    listener: Listener, keeper: Keeper, command_cuts: list[float], data_cuts: list[float], pdus: list[bool]
):
    values = cut(COMMANDS[0], command_cuts, command=True) + cut(DATA[0], data_cuts, command=False)
    said, body = b"", b""
    for value, ends in zip(values, pdus, strict=False):
        body += value
        if ends:
            said, body = said + a_pdu(4, body), b""
    said += a_pdu(4, body) if body else b""
    keeper.kept.clear()
    connection, _ = ask(listener.port)
    with connection:
        connection.sendall(said)
        assert status_of(one_pdu(connection)) == 0
        assert keeper.kept == [DATA[0]]


def test_stores_and_echoes_take_turns_on_one_association(listener: Listener, keeper: Keeper):
    keeper.kept.clear()
    connection, _ = ask(listener.port)
    echo = a_command("", VERIFICATION, 0x0030, data_set=False)
    with connection:
        for command, data in zip(COMMANDS, DATA, strict=True):
            connection.sendall(a_fragment(command, last=True, command=True) + a_fragment(data, last=True))
            assert status_of(one_pdu(connection)) == 0
            connection.sendall(echo)
            assert one_pdu(connection)[:1] == b"\4"
        connection.sendall(a_pdu(5, bytes(4)))
        assert one_pdu(connection)[:1] == b"\6"
    assert keeper.kept == DATA


def test_what_the_handler_raises_is_answered_and_the_next_image_is_kept(listener: Listener, keeper: Keeper):
    keeper.kept.clear()
    keeper.trouble.append(StorageFull("no room"))
    connection, _ = ask(listener.port)
    with connection:
        for expected in (0xA700, 0):
            connection.sendall(a_command(IMAGES[0].SOPInstanceUID) + a_fragment(DATA[0], last=True))
            assert status_of(one_pdu(connection)) == expected
    assert keeper.kept == [DATA[0]]


@pytest.mark.parametrize(
    "between",
    [
        a_command(IMAGES[1].SOPInstanceUID),
        a_command("", VERIFICATION, 0x0030, data_set=False),
        a_pdu(4, struct.pack(">IBB", 4, 3, 0) + b"\0\0"),
        a_pdu(4, b"\0\0\0\x09\1\0"),
        a_pdu(4, b"\0\0"),
    ],
    ids=["another store", "an echo", "another context", "a value too long", "a value cut off"],
)
def test_anything_else_in_the_middle_of_a_data_set_is_aborted(listener: Listener, keeper: Keeper, between: bytes):
    keeper.kept.clear()
    connection, _ = ask(listener.port)
    with connection:
        connection.sendall(a_command(IMAGES[0].SOPInstanceUID) + a_fragment(DATA[0][:100], last=False) + between)
        assert one_pdu(connection)[:1] == b"\7"
    assert keeper.kept == []


def test_idle_associations_cost_next_to_no_processor_time(listener: Listener):
    with ExitStack() as held:
        for _ in range(10):
            connection, _ = ask(listener.port)
            held.enter_context(connection)
        time.sleep(0.3)
        began, spent = time.monotonic(), time.process_time()
        time.sleep(1)
        share = (time.process_time() - spent) / (time.monotonic() - began)
        assert sum(one.name.startswith("AcceptorThread") for one in threading.enumerate()) >= 10
    assert share < 0.15  # the library's loops take three times that


@given(
    st.integers(0, 0xFFFF),
    st.integers(1, 255),
    st.text(max_size=64),
    st.from_regex(r"[1-9]\.[1-9]{1,62}", fullmatch=True),
)
def test_a_response_is_what_the_standard_says(message_id: int, context: int, comment: str, uid: str):
    request = StoreCommand(message_id=message_id, sop_class_uid=CT, sop_uid=uid)
    said = response_to(request, context, 0xC000, comment)
    assert len(said) <= LONGEST_RESPONSE
    assert status_of(said) == 0xC000
    (value,) = values_of(memoryview(said)[6:])
    assert value.context == context
    found = decoded(value.data)
    assert found.MessageIDBeingRespondedTo == message_id
    assert (found.AffectedSOPClassUID, found.AffectedSOPInstanceUID) == (CT, uid)
    assert found.CommandGroupLength == len(value.data) - 12
    assert all(" " <= one <= "~" and one != "\\" for one in str(found.get("ErrorComment", "")))
    assert [element.tag for element in found] == sorted(element.tag for element in found)


@given(st.integers(0, len(COMMANDS[0]) - 1))
def test_a_command_that_is_cut_off_is_left_to_the_library(place: int):
    assert read_store(COMMANDS[0]) == StoreCommand(message_id=1, sop_class_uid=CT, sop_uid=IMAGES[0].SOPInstanceUID)
    assert read_store(COMMANDS[0][:place]) is None


@pytest.mark.parametrize(
    "other",
    [
        a_command("1.2", CT, 0x0030)[12:],
        a_command("1.2", CT, data_set=False)[12:],
        a_command("one", CT)[12:],
        a_command("1.2", "CT")[12:],
        a_command("", CT)[12:],
        struct.pack("<HHI", 8, 0x16, 0) + COMMANDS[0],
    ],
    ids=["echo", "no data set", "no UID", "no class", "no instance", "another group"],
)
def test_other_commands_are_left_to_the_library(other: bytes):
    assert read_store(other) is None
