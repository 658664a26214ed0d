"""What is installed for this project: pinned, under licences that may be shipped, without known vulnerabilities.

``python -m tests.dependency_audit`` tells every fault, and ends with 1 if there is one. Pins and licences are read from
what is installed and need no network. Known vulnerabilities are asked of OSV by pip-audit; where that cannot be reached
it is said, and is no fault.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).parents[1]
EXTRAS: Final = ("train", "dev")
"""Those that are installed here. ``postgresql`` is left to whoever asks for it: psycopg is under the LGPL."""
ADVISORIES: Final = ("api.osv.dev", 443)
_REACH_SECONDS: Final = 3.0
_ASK_SECONDS: Final = 180.0

MAY_SHIP: Final = frozenset(
    (
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "HPND", "ISC", "LLVM-exception"),
        *("MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
    )
)
MAY_HELP: Final = MAY_SHIP | {"MPL-2.0"}
"""Of data, and of tools that only test and build: MPL asks only for changes of its own files to be given back."""
MPL_AS_IT_IS: Final = frozenset({"certifi"})
"""Shipped under the MPL, untouched, as data."""
_NOT_OURS: Final = ("nvidia-", "cuda-", "triton")
"""What torch's own wheels for NVIDIA bring: neither chosen nor passed on by us."""
_INSTALLER: Final = "pip"
"""Comes with the virtual environment, and is upgraded with it."""
_BY_CLASSIFIER: Final = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A distribution that the project needs; ``shipped`` where the node itself needs it."""

    name: str
    version: str
    licence: str
    shipped: bool


def licence_of(metadata: Mapping[str, str], classifiers: Iterable[str]) -> str:
    """The SPDX expression of a distribution: as it says, else by its classifiers; "" where it says nothing."""
    said = metadata.get("License-Expression")
    if said:
        return said
    named = [one.rpartition("::")[2].strip() for one in classifiers if one.startswith("License ::")]
    known = [_BY_CLASSIFIER.get(one, one) for one in named if one not in {"OSI Approved", "DFSG approved"}]
    if known:
        return " OR ".join(known)
    words = metadata.get("License") or ""
    return words if "\n" not in words else ""


def allowed(expression: str, licences: frozenset[str]) -> bool:
    """Whether one may do what the expression asks with these licences alone: all of AND and WITH, one of OR."""
    parts = re.split(r" (?:AND|WITH) ", re.sub(r"[()]", "", expression))
    return all(any(one.strip() in licences for one in part.split(" OR ")) for part in parts)


def pins_of(text: str) -> dict[str, str]:
    """Version by canonical name, of a file of constraints. Raises ValueError for a line that pins nothing."""
    pins = {}
    for line in text.splitlines():
        plain = line.partition("#")[0].strip()
        if plain:
            name, equals, version = plain.partition("==")
            if not (equals and name and version) or canonicalize_name(name) in pins:
                raise ValueError(f"constraints.txt: {line!r} is no pin, or a second one")
            pins[canonicalize_name(name)] = version
    return pins


def closure(requirements: Iterable[str]) -> dict[str, importlib.metadata.Distribution | None]:
    """Everything that the requirements need here, directly or not, by canonical name; None if it is not installed."""
    found: dict[str, importlib.metadata.Distribution | None] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(Requirement(one), "") for one in requirements]
    while waiting:
        wanted, extra = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen or name == _INSTALLER or name.startswith(_NOT_OURS):
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            found[name] = importlib.metadata.distribution(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
            continue
        needs = [Requirement(one) for one in found[name].requires or ()]
        waiting += [(one, asked) for one in needs for asked in ("", *wanted.extras)]
    return found


def installed(project: Mapping[str, object]) -> Iterator[Installed | str]:
    """Every distribution that the project needs; one that is missing by its bare name."""
    table = project["project"]
    ships = closure(table["dependencies"])
    others = [one for extra in EXTRAS for one in table["optional-dependencies"][extra]]
    for name, one in sorted((closure([*others, *project["build-system"]["requires"]]) | ships).items()):
        if one is None:
            yield name
            continue
        licence = licence_of(one.metadata, one.metadata.get_all("Classifier") or ())
        yield Installed(name=name, version=one.version, licence=licence, shipped=name in ships)


def faults(found: Iterable[Installed | str], pins: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with pins and licences."""
    needed = set()
    for one in found:
        if isinstance(one, str):
            yield f"{one} is needed and not installed"
            needed.add(one)
            continue
        needed.add(one.name)
        pin = pins.get(one.name)
        if pin is None:
            yield f"{one.name} {one.version} is needed and not pinned in constraints.txt"
        elif Version(Version(one.version).public) != Version(pin):
            yield f"{one.name} {one.version} is installed, {pin} is pinned"
        fine = MAY_SHIP if one.shipped and one.name not in MPL_AS_IT_IS else MAY_HELP
        if not allowed(one.licence, fine):
            where = "shipped" if one.shipped else "needed to build or test"
            yield f"{one.name} is {where} under {one.licence or 'no licence that it names'}"
    yield from (f"{name} is pinned, and nothing needs it" for name in sorted(set(pins) - needed))


def reachable(service: tuple[str, int] = ADVISORIES) -> bool:
    """Whether the service of advisories can be asked at all."""
    try:
        with socket.create_connection(service, timeout=_REACH_SECONDS):
            return True
    except OSError:
        return False


def told_vulnerabilities(answer: str) -> Iterator[str]:
    """What pip-audit's JSON says. Raises ValueError if it is none."""
    for one in json.loads(answer)["dependencies"]:
        for known in one.get("vulns", ()):
            mended = ", ".join(known.get("fix_versions", ())) or "no version"
            yield f"{one['name']} {one['version']}: {known['id']}, mended in {mended}"


def vulnerabilities(constraints: Path) -> Iterator[str]:
    """Known vulnerabilities of what is pinned. Raises RuntimeError if they could not be asked for."""
    asked = (
        "-r",
        str(constraints),
        "--no-deps",
        "--disable-pip",
        "-s",
        "osv",
        "-f",
        "json",
        "--progress-spinner",
        "off",
    )
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *asked],
        capture_output=True,
        text=True,
        timeout=_ASK_SECONDS,
        check=False,
    )
    try:
        yield from told_vulnerabilities(done.stdout)
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise RuntimeError(f"pip-audit ended with {done.returncode}: {said[-1][:200]}") from None


def main() -> None:
    """Tell it all."""
    constraints = ROOT / "constraints.txt"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = list(installed(project))
    wrong = list(faults(found, pins_of(constraints.read_text(encoding="utf-8"))))
    sys.stdout.write(f"{len(found)} distributions: pins and licences, {len(wrong)} fault(s)\n")
    if reachable():
        known = list(vulnerabilities(constraints))
        sys.stdout.write(f"known vulnerabilities: {len(known)}\n")
        wrong += known
    else:
        sys.stdout.write(f"known vulnerabilities: not checked, {ADVISORIES[0]} cannot be reached\n")
    for line in wrong:
        sys.stdout.write(f"{line}\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
