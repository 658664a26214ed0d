"""Outside programs for the tests of this folder: found beside the interpreter or on the path, else the test skips."""

import shutil
import sys
from pathlib import Path

import pytest


def program(name: str) -> str:
    """The path of a program."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
