"""Where training starts from: weights of an earlier bundle, as far as they fit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from model.bundle import Identity
from model.network import NetworkConfig, UNet

PARENT: Final = "parent.json"
_OUT: Final = "out."


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """What a network took over: names of tensors that are new, wholly or in some heads ("out.weight (organ)")."""

    taken: int
    anew: tuple[str, ...]


@torch.no_grad()
def warm_start(network: UNet, parent: UNet) -> Warmth:
    """Copy every tensor whose shape agrees, and of the last layer every head that has as many classes as before."""
    ours, theirs = network.state_dict(), parent.state_dict()
    anew: list[str] = []
    for name, value in ours.items():
        other = theirs.get(name)
        if name.startswith(_OUT) and network.config.heads != parent.config.heads:
            anew += [f"{name} ({head})" for head in _heads(value, network.config, other, parent.config)]
        elif other is not None and other.shape == value.shape:
            value.copy_(other)
        else:
            anew.append(name)
    return Warmth(taken=len(ours) - len(anew), anew=tuple(anew))


def _heads(value: Tensor, config: NetworkConfig, other: Tensor | None, before: NetworkConfig) -> list[str]:
    """Copy the rows of heads that both have; returns the heads that are new. Rows are class by class."""
    rows, previous = _rows(config), _rows(before)
    anew = []
    for head, mine in rows.items():
        theirs = previous.get(head)
        fits = other is not None and theirs is not None and value[mine].shape == other[theirs].shape
        if fits and other is not None and theirs is not None:
            value[mine].copy_(other[theirs])
        else:
            anew.append(head)
    return anew


def _rows(config: NetworkConfig) -> dict[str, slice]:
    cell, first, rows = config.stem**config.dimensions, 0, {}
    for head, classes in config.heads:
        rows[head] = slice(first, first + classes * cell)
        first += classes * cell
    return rows


def record_parent(folder: Path, identity: Identity) -> None:
    """Write down in a run's folder which bundle it started from."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {key: value for key, value in asdict(identity).items() if key in ("name", "version", "sha256")}
    (folder / PARENT).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def parent_of(folder: Path) -> dict[str, Any] | None:
    """Name, version and sha256 of the bundle a run started from; None if it started from nothing."""
    path = folder / PARENT
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    return {key: str(values[key]) for key in ("name", "version", "sha256")}


def member_folder(run: Path, member: int, members: int) -> Path:
    """Folder of a labeller, from 1: ``fine-1`` and so on; a lone one may lie in ``fine``, as it used to."""
    if members == 1 and (run / "fine").is_dir() and not (run / "fine-1").is_dir():
        return run / "fine"
    return run / f"fine-{member}"
