"""How long a site waits: from the last C-STORE response to the last object stored at a stand-in PACS, warm.

    PYTHONPATH=. python tests/benchmarks/latency_benchmark.py [--studies N] [--picture FILE]

Scans of 48 slices of 512 x 512 are sent one after the other to a node in a process of its own, with the settings that
it has by default: a series is taken for complete by its geometry. The shipped model reads. The first scans are not
counted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from node import log
from node.demo.stand_ins import push
from tests.benchmarks.charts import draw_histogram, summary, text_histogram
from tests.benchmarks.whole_node import AE_TITLE, Pacs, full_size, node

GOAL_SECONDS = 1.5
_WARM = 2
_PATIENCE_SECONDS = 120.0


def waits(studies: int, folder: Path) -> list[float]:
    """Seconds for each study.

    Raises
    ------
    RuntimeError
        A study was not answered in time.

    """
    template, found = full_size(), []
    with Pacs().listening() as pacs, node(folder / "node", pacs.port) as running:
        for number in range(studies + _WARM):
            scan = template.study(number)
            sent = push(scan, running.port, AE_TITLE)
            came = pacs.wait_for(scan.study_uid, _PATIENCE_SECONDS)
            if came is None:
                raise RuntimeError(f"study {number} was not answered within {_PATIENCE_SECONDS:.0f} s")
            found.append(came - sent)
    return found[_WARM:]


def main() -> None:
    """Print the histogram; draw it where asked to."""
    log.configure("ERROR", "console")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=12)
    parser.add_argument("--picture", type=Path, default=None, help="where to draw the histogram (PNG)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = waits(given.studies, Path(folder))
        except RuntimeError as error:
            sys.exit(str(error))
    print(f"last C-STORE response to last object at the PACS, {len(found)} studies of 48 slices, warm")
    print(text_histogram(found))
    print(f"{summary(found)}   goal for the median {GOAL_SECONDS * 1000:.0f} ms")
    if given.picture is not None:
        draw_histogram(given.picture, found, f"Latency of {len(found)} studies, shipped model", GOAL_SECONDS)
        print(f"drawn: {given.picture}")


if __name__ == "__main__":
    main()
