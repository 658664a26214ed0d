"""API and pages, asked at length by schemathesis: ``python -m tests.benchmarks.site_fuzz_benchmark``.

The API is asked by every kind of caller, the pages by an administrator who has logged in. Prints by caller and
operation how many requests were done (2xx), refused (4xx) and how many checks failed, how long the slowest took, and
every fault with a request that shows it; the status is 1 if there was one. ``--examples`` requests by chance for each
operation and caller, and as many sequences, beside every boundary of every value; ``--examples 2000`` is the long run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzzed_site import API, CALLERS, PAGES, Told, a_site, asked

_EXAMPLES = 30


def in_hundreds(counts: Counter[int], first: int) -> int:
    """How many statuses begin with this digit."""
    return sum(count for status, count in counts.items() if status // 100 == first)


def told_of(caller: str, told: Told, seconds: float) -> None:
    """Print a caller's rows."""
    for name, counts in sorted(told.answers.items()):
        found = len({check for operation, check, _ in told.faults if operation == name})
        print(
            f"{caller:<15}{name:<42}{counts.total():>9}{in_hundreds(counts, 2):>8}{in_hundreds(counts, 4):>9}"
            f"{found:>8}{told.slowest[name] * 1000:>8.0f} ms"
        )
    requests = sum(counts.total() for counts in told.answers.values())
    print(f"{caller:<15}{'in all':<42}{requests:>9}{'':>17}{len(told.faults):>8}{seconds:>9.0f} s", flush=True)


def main() -> None:
    """Print the table; status 1 if the node and its document disagree anywhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--examples", type=int, default=_EXAMPLES, help=f"by operation and caller (default {_EXAMPLES})"
    )
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn by chance (default 1)")
    wanted = parser.parse_args()
    faults = {}
    print(f"{'caller':<15}{'operation':<42}{'requests':>9}{'done':>8}{'refused':>9}{'faults':>8}{'slowest':>11}")
    for caller, document in (*((one, API) for one in CALLERS), ("administrator", PAGES)):
        with tempfile.TemporaryDirectory() as folder:
            site = a_site(Path(folder))
            begun = time.perf_counter()
            told = asked(site, caller, wanted.examples, seed=wanted.seed, document=document)
            told_of(caller, told, time.perf_counter() - begun)
            site.ledger.close()
        faults |= {(caller, *place): words for place, words in told.faults.items()}
    for (caller, operation, check, title), words in faults.items():
        print(f"\n{caller}, {operation}: {check}, {title}\n{words}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
