"""The program's command line, called as a shell would, without settings from the environment."""

from __future__ import annotations

import os

from typer.testing import CliRunner

from node.cli import app


def run(*arguments: object, answer: str | None = None):
    """``answer`` is what is typed when it asks."""
    clean = {name: None for name in os.environ if name.startswith("SECOND_READER_")}
    return CliRunner(env=clean).invoke(app, [str(one) for one in arguments], input=answer)
