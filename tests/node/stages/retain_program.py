"""Run by test_retain.py: one run of retention over a storage root, which a fault may end."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

from node.domain.retention import RetentionRule
from node.stages.retain import Retainer
from tests.node.rig import Rig

DAYS = RetentionRule(images=timedelta(days=30), answers=timedelta(days=60), reads=timedelta(days=60))

if __name__ == "__main__":
    rig = Rig(Path(sys.argv[1]), None)
    Retainer(rig.storage, DAYS, free=lambda: 0).run(datetime.fromisoformat(sys.argv[2]))
