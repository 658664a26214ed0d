"""Nothing is installed that is not pinned, nothing is shipped that may not be; and what would be found is found."""

from __future__ import annotations

import json
import socket
import tomllib
from email.message import Message

import pytest

from tests.dependency_audit import (
    MAY_HELP,
    MAY_SHIP,
    ROOT,
    Installed,
    allowed,
    faults,
    installed,
    licence_of,
    pins_of,
    reachable,
    told_vulnerabilities,
)


def one(name: str, version: str = "1.0", licence: str = "MIT", *, shipped: bool = True) -> Installed:
    return Installed(name=name, version=version, licence=licence, shipped=shipped)


def test_what_is_installed_here_is_pinned_and_may_be_used():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = list(installed(project))
    assert len(found) > 60
    assert not list(faults(found, pins_of((ROOT / "constraints.txt").read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("expression", "ships", "helps"),
    [
        ("MIT", True, True),
        ("Apache-2.0 OR BSD-2-Clause", True, True),
        ("GPL-3.0-only OR MIT", True, True),
        ("BSD-3-Clause AND (MIT OR GPL-2.0-only) AND Zlib", True, True),
        ("Apache-2.0 WITH LLVM-exception", True, True),
        ("MPL-2.0", False, True),
        ("GPL-3.0-or-later", False, False),
        ("BSD-3-Clause AND GPL-2.0-only", False, False),
        ("LGPL-3.0-only", False, False),
        ("AGPL-3.0-only OR LicenseRef-Proprietary", False, False),
        ("", False, False),
    ],
)
def test_what_a_licence_allows(expression: str, ships: bool, helps: bool):  # noqa: FBT001 - of a table
    assert allowed(expression, MAY_SHIP) == ships
    assert allowed(expression, MAY_HELP) == helps


def test_a_licence_is_read_from_wherever_it_is_told():
    told = Message()
    told["License"] = "MIT"
    assert licence_of(told, ()) == "MIT"
    assert licence_of(told, ["License :: OSI Approved :: BSD License"]) == "BSD-3-Clause"
    gpl = "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"
    assert not allowed(licence_of(told, [gpl]), MAY_HELP)
    told["License-Expression"] = "ISC"
    assert licence_of(told, [gpl]) == "ISC"
    assert licence_of(Message(), ()) == ""


@pytest.mark.parametrize(
    ("found", "pins", "words"),
    [
        ([one("a")], {}, "a 1.0 is needed and not pinned"),
        ([one("a")], {"a": "1.1"}, "a 1.0 is installed, 1.1 is pinned"),
        (["a"], {"a": "1.0"}, "a is needed and not installed"),
        ([one("a", licence="GPL-3.0-only")], {"a": "1.0"}, "a is shipped under GPL-3.0-only"),
        ([one("a", licence="MPL-2.0")], {"a": "1.0"}, "a is shipped under MPL-2.0"),
        ([one("a", licence="", shipped=False)], {"a": "1.0"}, "no licence that it names"),
        ([], {"a": "1.0"}, "a is pinned, and nothing needs it"),
    ],
)
def test_every_fault_is_told(found, pins, words: str):
    (said,) = faults(found, pins)
    assert words in said


def test_a_build_of_a_pinned_version_is_that_version():
    fine = [one("torch", "2.13.0+cpu"), one("certifi", licence="MPL-2.0"), one("t", licence="MPL-2.0", shipped=False)]
    assert not list(faults(fine, {"torch": "2.13.0", "certifi": "1.0", "t": "1.0"}))


@pytest.mark.parametrize("line", ["a", "a>=1", "a==1\nA==2", "==1"])
def test_a_line_that_pins_nothing_is_told(line: str):
    with pytest.raises(ValueError, match="no pin"):
        pins_of(line)


def test_vulnerabilities_are_told_with_what_mends_them():
    known = {"name": "a", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}, {"id": "CVE-2"}]}
    answer = json.dumps({"dependencies": [known, {"name": "b", "version": "2", "vulns": []}]})
    assert list(told_vulnerabilities(answer)) == ["a 1.0: CVE-1, mended in 1.1", "a 1.0: CVE-2, mended in no version"]
    with pytest.raises(ValueError, match="Expecting value"):
        list(told_vulnerabilities(""))


def test_a_service_that_is_not_there_is_no_fault():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert not reachable(("127.0.0.1", nobody.getsockname()[1]))
        nobody.listen()
        assert reachable(("127.0.0.1", nobody.getsockname()[1]))
