"""What became of reading the settings again while the node runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRead:
    """One reading of the settings by a running node.

    Attributes
    ----------
    changed
        What holds from now on, in words.
    waiting
        Names of settings that differ from those the node runs by, and wait for its next start.
    faults
        Why nothing was changed; empty where the settings could be used.

    """

    at: datetime
    changed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
