"""Mutated input for everything that reads what others send: ``python -m tests.benchmarks.fuzz_benchmark``.

Counts crashes (any error that is not one of ours) and hangs (longer than a second of processor time, or on the network
thirty seconds of any). Each crash and hang is written to ``--keep`` with its seed; the status is 1 if there was one.
``--count`` inputs in all; ``--count 100000`` is the long run.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pydicom.uid import JPEG2000Lossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from node.dicom.headers import identity_of, read_instance
from node.dicom.human_sr import read_report
from node.dicom.limits import Limits
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.planes import planes_of
from node.domain.errors import NodeError
from node.intake.csv_reads import read_csv
from node.intake.fhir_reads import read_fhir
from node.intake.hl7_message import AckCode, ack
from node.intake.hl7_reads import read_hl7
from node.intake.json_reads import read_json
from node.settings import Settings, SettingsError
from tests.association_wire import VERIFICATION, a_command, a_fragment, a_pdu, a_request, connect, echoed
from tests.dicom_series import ct_series, enhanced_ct, file_bytes, thorax, wire_bytes, write_series
from tests.human_reports import a_report
from tests.mutations import edited, random_edits
from tests.node.dicom.test_volumes import compressed_by_gdcm
from tests.reading_doors import HEAD, Said, document_of, message_of, resource_of, table_of

_COUNT = 4_000
_PARSER_SECONDS = 1.0
_WIRE_SECONDS = 30.0
_WIRE_SHARE = 50  # one input of so many goes through a socket
_LITTLE = "1.2.840.10008.1.2.1"
_EXAMPLE = Path(__file__).parents[2] / "deploy" / "node.example.toml"


class Hang(BaseException):
    """An input took too long; no handler of errors may swallow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something that reads: valid inputs to begin with, and how it is called."""

    name: str
    valid: tuple[bytes, ...]
    read: Callable[[bytes], object]
    seconds: float = _PARSER_SECONDS
    waits: bool = False


@dataclass(slots=True)
class Score:
    """What came of a target's inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    faults: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def limited(seconds: float, timer: int, told: int) -> Iterator[None]:
    """Raise Hang in the main thread after so long by that timer, whose signal is ``told``."""

    def late(_: int, __: FrameType | None) -> None:
        raise Hang

    before = signal.signal(told, late)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(told, before)


def an_input(target: Target, seed: int) -> bytes:
    """The input of a seed, the same every time."""
    chance = random.Random(f"{target.name} {seed}")
    return edited(chance.choice(target.valid), random_edits(chance))


def tried(target: Target, data: bytes) -> str:
    """What came of one input: taken, refused, a crash's kind, or hang."""
    timer, told = (signal.ITIMER_REAL, signal.SIGALRM) if target.waits else (signal.ITIMER_PROF, signal.SIGPROF)
    try:
        with limited(target.seconds, timer, told):
            target.read(data)
    except (NodeError, SettingsError):
        return "refused"
    except Hang:
        return "hang"
    except Exception as error:  # noqa: BLE001 - what is looked for
        return f"crash {type(error).__name__}"
    return "taken"


def scored(target: Target, count: int, seed: int, keep: Path) -> Score:
    """``count`` inputs, whose faults are written to ``keep``."""
    score = Score()
    for number in range(seed, seed + count):
        data = an_input(target, number)
        begun = time.perf_counter()
        outcome = tried(target, data)
        score.slowest = max(score.slowest, time.perf_counter() - begun)
        score.outcomes[outcome] += 1
        if outcome not in ("taken", "refused"):
            score.faults.append((outcome, number))
            (keep / f"{target.name.replace(' ', '-')}-{number}").write_bytes(data)
    return score


def compressed(folder: Path) -> tuple[bytes, ...]:
    """CT images in every compressed form that is read; so small that a change hits the codestream."""
    files = []
    for number, syntax in enumerate((JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)):
        path = write_series(ct_series(thorax(3, 32, 32)), folder / str(number))[0]
        compressed_by_gdcm(path, syntax)
        files.append(path.read_bytes())
    for image, syntax, by in (
        (ct_series(thorax(3, 32, 32))[0], RLELossless, "pydicom"),
        (enhanced_ct(thorax(3, 32, 32)), JPEGLSLossless, "pyjpegls"),
    ):
        image.compress(syntax, encoding_plugin=by, generate_instance_uid=False)
        files.append(file_bytes(image))
    return tuple(files)


def frames_of(data: bytes) -> None:
    """Every frame of an image, decoded."""
    for plane in planes_of(data):
        plane.pixels.frame(plane.frame - 1)


def parsers(folder: Path) -> list[Target]:
    """Everything that reads bytes without a network."""
    scan = ct_series(thorax(3, 8, 8))
    said = Said(study_uid="1.2.840.1.7", name="r1", patient_id="P1")
    reports = tuple(file_bytes(a_report(scan[0], lad)) for lad in (0.0, 100.0))
    toml = folder / "node.toml"

    def configured(data: bytes) -> None:
        toml.write_bytes(data)
        Settings.load(toml, {})

    def messaged(data: bytes) -> None:
        ack(data, AckCode.REJECT, "no")
        read_hl7(data)

    return [
        Target(
            name="data sets",
            valid=(wire_bytes(scan[0]), wire_bytes(enhanced_ct(thorax(3, 8, 8)))),
            read=lambda data: (identity_of(data, _LITTLE), read_instance(data, _LITTLE)),
        ),
        Target(name="pixels", valid=compressed(folder), read=frames_of),
        Target(name="reports", valid=reports, read=read_report),
        Target(name="HL7", valid=(message_of(said, HEAD).encode(),), read=messaged),
        Target(name="FHIR", valid=(resource_of(said),), read=read_fhir),
        Target(name="JSON", valid=(document_of(said),), read=read_json),
        Target(name="tables", valid=(table_of(said).encode(), table_of(said, ";").encode()), read=read_csv),
        Target(name="settings", valid=(_EXAMPLE.read_bytes(),), read=configured),
    ]


@contextmanager
def wire() -> Iterator[Target]:
    """PDU streams, each over a connection of its own to a listener that runs; then a C-ECHO."""
    image = ct_series(thorax(3, 4, 5))[0]
    release = a_pdu(5, bytes(4))
    store = a_command(image.SOPInstanceUID) + a_fragment(wire_bytes(image), last=True)
    echo = a_command("", VERIFICATION, 0x0030, data_set=False)
    died: list[str] = []

    def keep(data: bytes, request: StoreRequest) -> None:
        read_instance(data, request.transfer_syntax_uid)

    def told(data: bytes) -> None:
        with connect(listener.port) as peer, suppress(OSError):  # it may have hung up already
            peer.sendall(data)
            peer.shutdown(1)
            while peer.recv(1 << 12):
                continue
        echoed(listener.port, limits.acse_seconds)
        if died:
            raise RuntimeError(died.pop())

    limits = Limits(acse_seconds=2.0, idle_seconds=2.0)
    listener = Listener(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0, limits=limits), keep)
    before, threading.excepthook = threading.excepthook, lambda gone: died.append(gone.exc_type.__name__)
    listener.start()
    try:
        yield Target(
            name="PDU streams",
            valid=(a_request() + store + release, a_request(sop_class=VERIFICATION) + echo + release),
            read=told,
            seconds=_WIRE_SECONDS,
            waits=True,
        )
    finally:
        listener.stop(0.5)
        threading.excepthook = before


def main() -> None:
    """Print the table; status 1 if anything crashed or hung."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=_COUNT, help=f"inputs in all (default {_COUNT})")
    parser.add_argument("--seed", type=int, default=1, help="of the first input (default 1)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-faults"), help="folder for inputs that did harm")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as kept, wire() as streams:
        targets = parsers(Path(name))
        on_wire = max(asked.count // _WIRE_SHARE, 1)
        each = -(-(asked.count - on_wire) // len(targets))
        print(f"{'target':<14}{'inputs':>8}{'taken':>8}{'refused':>9}{'crashes':>9}{'hangs':>7}{'slowest':>11}")
        faults = [
            fault
            for target, count in (*((one, each) for one in targets), (streams, on_wire))
            for fault in told_of(target, count, scored(target, count, asked.seed, Path(kept)))
        ]
        if faults:
            asked.keep.mkdir(parents=True, exist_ok=True)
            for path in Path(kept).iterdir():
                (asked.keep / path.name).write_bytes(path.read_bytes())
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


def told_of(target: Target, count: int, score: Score) -> list[str]:
    """Print a target's row; its first faults in words."""
    outcomes = score.outcomes
    crashes = count - outcomes["taken"] - outcomes["refused"] - outcomes["hang"]
    print(
        f"{target.name:<14}{count:>8}{outcomes['taken']:>8}{outcomes['refused']:>9}{crashes:>9}{outcomes['hang']:>7}"
        f"{score.slowest * 1000:>8.0f} ms",
        flush=True,
    )
    return [f"{target.name}: {outcome} at seed {number}" for outcome, number in score.faults[:20]]


if __name__ == "__main__":
    main()
