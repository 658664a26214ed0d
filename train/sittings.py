"""What must not go unsaid between two sittings of one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

COHORT: Final = "cohort.json"


def grown(folder: Path, cases: int, steps_done: int) -> str | None:
    """Note how many cases a sitting has; a sentence if a run that has begun goes on with another number."""
    path = folder / COHORT
    before = json.loads(path.read_text(encoding="utf-8"))["cases"] if path.is_file() else None
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cases": cases}) + "\n", encoding="utf-8")
    if before is None or before == cases or steps_done == 0:
        return None
    return (
        f"{folder.name}: {before} cases before step {steps_done}, {cases} from there on; "
        "the run goes on, but is not the one that a single sitting would have been"
    )
