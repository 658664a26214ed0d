"""For every test: torch's threads must not spin against those of the test process beside this one."""

from __future__ import annotations

import model  # noqa: F401 - before anybody imports torch; see there
