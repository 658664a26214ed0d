"""What flags are worth on a simulated year, and how fast worklist and statistics are at 100,000 studies.

Run: ``python tests/benchmarks/review_benchmark.py [--year N] [--studies N] [--repeats N]``.

The year: scores drawn from a population in which 45 % have no calcium; both reads are of the same images. *Same scan*
lets them differ as two readers do (coefficient of variation 2 %); *rescan* as two scans do, 61, 23, 16 and 8 % by score
band, which is the outer bound. Planted among the calcified: the human misses the LCx, gives one vessel's score to
another, or reports 0. A planted fault is found if its case is flagged, and a flag is right if a fault was planted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.testclient import TestClient

from node.domain.agreement import agreement
from node.domain.comparison_json import dumps
from node.domain.discrepancy import Comparison, OurRead, compare
from node.domain.findings import LesionFinding
from node.domain.human_read import CORONARIES, HumanRead, ReadScore, ReadSource, StudyKey
from node.domain.people import Role
from node.domain.tiers import Limits, Tier
from node.storage.case_blocks import refresh_all
from node.storage.comparisons_book import WEIGHT
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.originals import Originals
from node.storage.review_tables import comparison_contents, comparisons, human_reads, studies
from node.storage.spool import Outbox, Spool
from node.storage.storage import Storage
from node.web.accounts import Accounts
from node.web.services import Services
from node.web.site import make_site
from node.web_settings import WebSettings

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
Vessels = dict[str, float]
PLANTED = {"LCx missed": 0.03, "wrong vessel": 0.01, "0 for calcified": 0.01}
"""Share of calcified studies with each fault."""
SHARES = {"LM": 0.06, "LAD": 0.47, "LCX": 0.17, "RCA": 0.30}


def same_scan(rng: random.Random, value: float) -> float:
    return max(0.0, value * rng.gauss(1, 0.02))


def rescan(rng: random.Random, value: float) -> float:
    variation = next(cv for limit, cv in ((30, 0.61), (100, 0.23), (400, 0.16), (math.inf, 0.08)) if value <= limit)
    return max(0.0, value * rng.gauss(1, variation))


def a_heart(rng: random.Random) -> Vessels:
    """Scores by vessel: total log-normal about 90, most of it in the LAD, often not all vessels."""
    if rng.random() < 0.45:
        return dict.fromkeys(CORONARIES, 0.0)
    total = min(rng.lognormvariate(4.5, 1.6), 5000)
    weights = {name: share * rng.expovariate(1) * (rng.random() < 0.35 + share) for name, share in SHARES.items()}
    whole = sum(weights.values())
    if not whole:
        weights, whole = {**dict.fromkeys(CORONARIES, 0.0), "LAD": 1.0}, 1.0
    return {name: total * weight / whole for name, weight in weights.items()}


def _ends() -> list[tuple[str, float]]:
    """Where each fault's part of the interval from 0 to 1 ends."""
    return list(zip(PLANTED, itertools.accumulate(PLANTED.values()), strict=True))


def plant(rng: random.Random, human: Vessels) -> str:
    """Put a fault into the human's read, if it draws one that is possible; returns its name."""
    if not any(human.values()):
        return ""
    drawn = rng.random()
    fault = next((name for name, end in _ends() if drawn < end), "")
    if fault == "LCx missed":
        if not human["LCX"]:
            return ""
        human["LCX"] = 0.0
    elif fault == "wrong vessel":
        human["LAD"], human["LCX"] = human["LCX"], human["LAD"]
        if human["LAD"] == human["LCX"]:
            return ""
    elif fault:
        human.update(dict.fromkeys(human, 0.0))
    return fault


def compared(ours: Vessels, human: Vessels) -> Comparison:
    scores = {**ours, "CAC": sum(ours.values()), "AV": 0.0, "TA": 0.0, "AC": 0.0}
    lesions = [_lesion(name, value) for name, value in ours.items() if value]
    read = HumanRead(
        source=ReadSource.FILE,
        source_id="1",
        study=StudyKey(study_uid="1.2"),
        scores={name: ReadScore(agatston=round(value)) for name, value in human.items()},
    )
    mine = OurRead(series_uid="1", agatston=scores, lesions=lesions, profile="agatston-1990", kvp=120.0)
    return compare(mine, read, Limits())


def _lesion(vessel: str, agatston: float) -> LesionFinding:
    return LesionFinding(
        vessel=vessel,
        agatston=agatston,
        volume_mm3=agatston,
        mass_mg=None,
        peak_hu=400.0,
        centroid_lps_mm=(0.0, 0.0, 0.0),
        slices=(3, 4),
        probability=0.9,
    )


def a_year(count: int, noise: Callable[[random.Random, float], float], name: str) -> None:
    rng = random.Random(2026)
    by_tier: Counter[tuple[Tier, str]] = Counter()
    material: Counter[tuple[str, bool]] = Counter()
    pairs = []
    for _ in range(count):
        true = a_heart(rng)
        ours = {vessel: noise(rng, value) for vessel, value in true.items()}
        human = dict(true)
        fault = plant(rng, human)
        moved = max(abs(human[vessel] - true[vessel]) for vessel in true)
        found = compared(ours, human)
        by_tier[found.tier, fault] += 1
        if fault and moved >= 11.6:
            material[fault, found.tier.flagged] += 1
        pairs.append((sum(ours.values()), sum(human.values())))
    _print_year(name, count, by_tier, material)
    agreed = agreement(pairs, Limits())
    print(f"  kappa {agreed.confusion.linear:.3f}, ICC {agreed.icc:.4f}, within 4.93 sqrt {agreed.within:.1%}")


def _print_year(name: str, count: int, by_tier: Counter[tuple[Tier, str]], material: Counter[tuple[str, bool]]) -> None:
    flagged = {key: n for key, n in by_tier.items() if key[0].flagged}
    right = sum(n for (_, fault), n in flagged.items() if fault)
    planted = sum(n for (_, fault), n in by_tier.items() if fault)
    print(f"simulated year, {count} studies, noise of {name}:")
    print(
        f"  flagged {sum(flagged.values())} ({sum(flagged.values()) / count:.1%}), precision "
        f"{right / max(1, sum(flagged.values())):.1%}, recall {right / max(1, planted):.1%} of {planted} planted"
    )
    for tier in (Tier.PRIORITY, Tier.REVIEW, Tier.MINOR, Tier.CONCORDANT):
        whole = sum(n for (one, _), n in by_tier.items() if one is tier)
        faults = sum(n for (one, fault), n in by_tier.items() if one is tier and fault)
        share = f"{faults / whole:.1%}" if whole else "-"
        print(
            f"  {tier:<11} {whole:>5} cases, planted faults {faults:>4} (precision {share}, "
            f"recall {faults / max(1, planted):.1%})"
        )
    for fault in PLANTED:
        here = sum(n for (_, one), n in by_tier.items() if one == fault)
        seen = sum(n for (tier, one), n in by_tier.items() if one == fault and tier.flagged)
        large = material[fault, True] + material[fault, False]
        print(
            f"  {fault:<16} flagged {seen} of {here}; of those that move 11.6 or more: "
            f"{material[fault, True]} of {large}"
        )


def fill(ledger: Ledger, count: int, years: float = 10) -> None:
    """Cases in bulk, through the tables, spread over some years."""
    rng = random.Random(1)
    rows: dict[str, list[dict[str, object]]] = {"studies": [], "reads": [], "cases": [], "contents": []}
    samples = [_sample(rng) for _ in range(500)]
    for number in range(1, count + 1):
        made = NOW - timedelta(days=365 * years * (count - number) / count)
        _add(rows, number, made, samples[number % len(samples)], rng)
    with ledger._database.writing() as connection:
        for table, name in ((studies, "studies"), (human_reads, "reads"), (comparisons, "cases")):
            connection.execute(table.insert(), rows[name])
        connection.execute(comparison_contents.insert(), rows["contents"])
        refresh_all(connection)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")


def _sample(rng: random.Random) -> tuple[Comparison, str]:
    true = a_heart(rng)
    human = dict(true)
    plant(rng, human)
    found = compared({vessel: same_scan(rng, value) for vessel, value in true.items()}, human)
    return found, dumps(found)


def _add(
    rows: dict[str, list[dict[str, object]]],
    number: int,
    made: datetime,
    sample: tuple[Comparison, str],
    rng: random.Random,
) -> None:
    study, accession, patient = f"1.2.{number}", f"A{number:07d}", f"P{number}"
    found, content = sample
    pairs = {one.region: (one.ours, one.human) for one in found.differences if one.human is not None}
    ours, human = pairs["CAC"]
    decided = found.tier.flagged and rng.random() < 0.95
    facts = json.dumps({"study_uid": study, "accession": accession, "patient_id": patient})
    rows["studies"].append(
        {"study_uid": study, "accession": accession, "patient_id": patient, "facts": facts, "recorded_at": made}
    )
    rows["reads"].append(
        {"id": number, "source": "file", "source_id": str(number), "version": 1, "variant": 0, "status": "final",
         "content": "{}", "content_sha256": f"{number:064d}", "path": f"reads/{number}", "sha256": "", "size": 1,
         "received_at": made, "from_whom": "benchmark", "state": "matched", "study_uid": study,
         "named_study_uid": study, "accession": accession, "patient_id": patient, "cause": "", "reason": ""}
    )  # fmt: skip
    rows["cases"].append(
        {"id": number, "study_uid": study, "series_uid": f"{study}.1", "generation": 1, "read_id": number,
         "limits_sha256": "0" * 64, "latest": True, "tier": found.tier, "weight": WEIGHT[found.tier],
         "state": "decided" if decided else "open", "outcome": rng.choice(["node-right", "human-right", "equivalent"])
         if decided else "", "accession": accession, "patient_id": patient, "study_date": f"{made:%Y%m%d}",
         "scanner": f"Scanner {number % 4}", "model_sha256": "1" * 64, "model_version": f"1.{number * 5 // 100_000}",
         "made_at": made, "ours": ours, "human": human, "difference": math.sqrt(ours) - math.sqrt(human),
         "pairs": json.dumps(pairs)}
    )  # fmt: skip
    rows["contents"].append({"comparison_id": number, "content": content})


def pages(count: int, repeats: int, root: Path) -> None:
    url = f"sqlite:///{root}/ledger.sqlite"
    upgrade(url)
    ledger = Ledger(url)
    storage = Storage(ledger=ledger, spool=Spool(root, 0), outbox=Outbox(root), originals=Originals(root))
    started = time.perf_counter()
    fill(ledger, count)
    print(f"{count} studies over ten years written in {time.perf_counter() - started:.1f} s (SQLite)")
    settings = WebSettings()
    user = ledger.add_user("vera", Role.VIEWER, "", NOW)
    secret = Accounts(ledger, settings, lambda: NOW).open(user)
    site = make_site(Services(storage=storage), settings, lambda: NOW)
    browser = TestClient(site, cookies={"session": secret})
    for path in (
        "/",
        "/?show=all&state=any",
        "/?show=all&state=any&sort=difference",
        "/?show=all&state=any&page=1000",
        "/?q=A0050",
        "/statistics",
        "/statistics?span=month",
        "/statistics?span=all",
    ):
        times = []
        for _ in range(repeats):
            begun = time.perf_counter()
            answer = browser.get(path)
            times.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code}")
        rest = times[1:] or times
        print(f"  {path:<40} first {times[0]:7.0f} ms, then median {statistics.median(rest):6.0f} ms")
    ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--year", type=int, default=5000)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=11)
    given = parser.parse_args()
    for noise, name in ((same_scan, "two readers of one scan"), (rescan, "two scans")):
        a_year(given.year, noise, name)
    with tempfile.TemporaryDirectory() as folder:
        pages(given.studies, given.repeats, Path(folder))


if __name__ == "__main__":
    main()
