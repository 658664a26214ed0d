"""`demo`: everything at once, on synthetic patients, for whoever sees this for the first time."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.status import Status
from rich.table import Table

from node import log, parts
from node.commands.options import FAILED, err, explained, out
from node.demo import patients
from node.demo.humans import ReadResult
from node.demo.run import CaseResult, Stage, play, play_humans, running
from node.domain.findings import REGIONS
from node.domain.people import Role
from node.web.accounts import Accounts
from node.web.passwords import random_password


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop when all went through instead of serving on.")] = False,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for all files and pictures. Default: demo-output.", file_okay=False)
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the node; 0 takes a free one.")] = 0,
) -> None:
    """A stand-in scanner sends three synthetic patients to a node, which answers to a stand-in PACS.

    Then a human read of each comes in, two of them with a slip. Prints what is known against what was read, and the
    human's read against the node's. Exits with 0 if everything went through. On a terminal, and without --once, the
    node then serves on, with its page, until Ctrl-C.
    """
    log.configure("ERROR", "console")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    with explained(), _folder(keep) as folder:
        status = Status("Starting the node", console=err)
        with status, running(folder, port) as stage:
            results = []
            status.update(f"Patient 1 of {len(patients.NAMES)}")
            for result in play(stage, parts.utc_now()):
                results.append(result)
                status.update(f"Patient {len(results) + 1} of {len(patients.NAMES)}")
                if ending.is_set():
                    raise typer.Exit(FAILED)
            status.update("Human reads")
            humans = list(play_humans(stage, [result for result in results if result.complete]))
            status.stop()
            _print(results, folder)
            _print_humans(humans)
            if not once and sys.stdout.isatty():
                _serve(stage, ending)
    if not all(result.complete for result in results) or any(human.fault for human in humans):
        raise typer.Exit(FAILED)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """A fresh folder for this run: an earlier run's ledger must not answer for this one."""
    base = keep or Path("demo-output")
    base.mkdir(parents=True, exist_ok=True)
    yield Path(tempfile.mkdtemp(prefix="run-", dir=base))


def _print(results: Sequence[CaseResult], folder: Path) -> None:
    table = Table(title="Agatston score, known / read, of three synthetic patients", title_justify="left")
    table.add_column("")
    for result in results:
        table.add_column(result.title, justify="right")
    for region in REGIONS:
        cells = (f"{result.known[region]:.0f} / {_shown(result, region)}" for result in results)
        table.add_row(region, *cells, end_section=region in ("CAC", "AC"))
    table.add_row("Category read", *(result.category for result in results))
    table.add_row("Delivered", *(_delivered(result) for result in results))
    seconds = ("-" if result.seconds is None else f"{result.seconds:.2f} s" for result in results)
    table.add_row("Last slice to last object", *seconds)
    out.print(table)
    for result in results:
        if result.fault:
            out.print(f"{result.title}: {result.fault}", style="red", markup=False)
        if result.picture is not None:
            out.print(f"picture: {result.picture}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"received objects: {folder / 'pacs'}", markup=False, highlight=False, soft_wrap=True)


def _print_humans(humans: Sequence[ReadResult]) -> None:
    table = Table(title="Human reads, and what the node makes of them", title_justify="left")
    for heading in ("The human", "CAC human / node", "Tier", "Deserved", "Why"):
        table.add_column(heading, justify="right" if heading.startswith("CAC") else "left")
    for human in humans:
        ours = "-" if human.ours is None else f"{human.ours:.0f}"
        tier = human.fault or str(human.tier)
        why = "\n".join(human.reasons) or "-"
        table.add_row(human.words, f"{human.human:.0f} / {ours}", tier, str(human.deserved), why)
    out.print(table)
    flagged = sum(human.tier is not None and human.tier.flagged for human in humans)
    out.print(f"{flagged} of {len(humans)} flagged.", highlight=False)
    for human in humans:
        if not human.fault and not human.as_deserved:
            out.print(
                f"The read that {human.words} deserves {human.deserved} and got {human.tier}: the node's own reading "
                "of this phantom is off.",
                style="yellow",
                highlight=False,
            )
    out.print("Research use only: trained on synthetic phantoms, validated on no patients.", style="dim")


def _shown(result: CaseResult, region: str) -> str:
    return f"{result.read[region]:.0f}" if region in result.read else "-"


def _delivered(result: CaseResult) -> str:
    """The kinds of object that arrived, a line each."""
    return "\n".join(one.description.partition(" (")[0].removeprefix("Calcium ") for one in result.delivered) or "-"


def _serve(stage: Stage, ending: threading.Event) -> None:
    out.print(
        f"Serving as {stage.settings.scp.ae_title} on 127.0.0.1:{stage.node.port}. Send it a study: "
        f"second-reader send PATH --port {stage.node.port}. Ctrl-C ends.",
        soft_wrap=True,
        highlight=False,
    )
    if stage.node.page is not None:
        people = Accounts(stage.node.storage.ledger, stage.settings.web, parts.utc_now)
        out.print(f"Page: {stage.node.page.address}", soft_wrap=True, highlight=False)
        for name, role in (("reviewer", Role.REVIEWER), ("demo", Role.ADMIN)):
            password = random_password()
            people.add(name, role, password, initial=False)
            out.print(f"  user {name} ({role}), password {password}", markup=False, soft_wrap=True, highlight=False)
    ending.wait()
