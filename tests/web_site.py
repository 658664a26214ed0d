"""A site with fabricated cases to look at: ``python -m tests.web_site FOLDER [PORT]``, then log in as it says."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from node.domain.cases import NewComparison
from node.domain.discrepancy import Comparison, OurRead, compare
from node.domain.findings import LesionFinding
from node.domain.human_read import HumanRead, ReadScore, ReadSource, StudyKey
from node.domain.people import Role
from node.domain.records import Kept
from node.domain.review import Decision, Radpeer, ReviewOutcome
from node.domain.studies import StudyFacts
from node.domain.tiers import Limits
from node.storage.comparisons_book import record_comparison
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.originals import Originals
from node.storage.spool import Outbox, Spool
from node.storage.storage import Storage
from node.web import passwords
from node.web.services import Services
from node.web.site import make_site
from node.web_settings import WebSettings

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"  # noqa: S105 - of made-up users
SCANNERS = (("SIEMENS", "SOMATOM Force", "CT01"), ("GE MEDICAL SYSTEMS", "Revolution CT", "CT02"))


@dataclass
class Clock:
    """Time that passes only when told to."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class WebSite:
    """A site over a fresh ledger, and the ways tests put things into it."""

    root: Path
    settings: WebSettings = field(default_factory=WebSettings)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{self.root}/ledger.sqlite"
        if not (self.root / "ledger.sqlite").exists():
            upgrade(url)
        self.ledger = Ledger(url)
        self.storage = Storage(
            ledger=self.ledger,
            spool=Spool(self.root, 0),
            outbox=Outbox(self.root),
            originals=Originals(self.root),
        )
        self.app: FastAPI = make_site(Services(storage=self.storage, version="0.1.0"), self.settings, self.clock)

    def user(self, name: str, role: Role, password: str = PASSWORD, *, initial: bool = False) -> None:
        self.ledger.add_user(name, role, passwords.hashed(password, initial=initial), self.clock())

    def browser(self, *, url: str = "http://testserver") -> TestClient:
        """A browser that follows nothing by itself and gets error pages as people do."""
        return TestClient(self.app, base_url=url, follow_redirects=False, raise_server_exceptions=False)

    def logged_in(self, name: str, password: str = PASSWORD) -> TestClient:
        browser = self.browser()
        assert log_in(browser, name, password).status_code == 303
        return browser

    def case(self, number: int, ours: dict[str, float], human: dict[str, float], **facts: str) -> int:
        """A study whose reads were compared; scores by vessel."""
        study = f"1.2.{number}"
        known = StudyFacts(study_uid=study, accession=f"A{number:06d}", patient_id=f"P{number}", **facts)
        self.ledger.record_study(known, self.clock())
        read = HumanRead(
            source=ReadSource.FILE,
            source_id=f"line {number}",
            study=StudyKey(study_uid=study),
            reader="dr.smith",
            scores={region: ReadScore(agatston=value) for region, value in human.items()},
        )
        kept = Kept(path=f"reads/{number}", sha256=f"{number:064d}", size=1)
        recorded = self.ledger.record_read(read, kept, "test", self.clock())
        new = NewComparison(
            study_uid=study,
            series_uid=f"{study}.1",
            generation=1,
            read_id=recorded.read_id,
            limits_sha256="0" * 64,
            comparison=compared(f"{study}.1", ours, read),
            model_sha256="1" * 64,
            model_version="1.0",
        )
        with self.ledger._database.writing() as connection:
            return record_comparison(connection, new, self.clock())


def compared(series_uid: str, ours: dict[str, float], read: HumanRead) -> Comparison:
    vessels = {name: ours.get(name, 0.0) for name in ("LM", "LAD", "LCX", "RCA", "AV", "TA")}
    totals = {"CAC": sum(list(vessels.values())[:4]), "AC": vessels["AV"] + vessels["TA"]}
    lesions = [a_lesion(name, value) for name, value in vessels.items() if value]
    return compare(
        OurRead(series_uid=series_uid, agatston=vessels | totals, lesions=lesions, profile="agatston-1990", kvp=120.0),
        read,
        Limits(),
    )


def a_lesion(vessel: str, agatston: float) -> LesionFinding:
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


def log_in(browser: TestClient, name: str, password: str = PASSWORD, to: str = "/") -> httpx2.Response:
    """Fill in the form as a person does."""
    page = browser.get("/login")
    token = field_of(page.text, "token")
    return browser.post("/login", data={"name": name, "password": password, "token": token, "next": to})


def field_of(page: str, name: str) -> str:
    """Value of the first hidden field of this name."""
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


def send(browser: TestClient, path: str, form: str = "/password", **fields: str) -> httpx2.Response:
    """Send a form with the token that the page ``form`` carries."""
    token = field_of(browser.get(form).text, "csrf")
    return browser.post(path, data={"csrf": token, **fields})


def fabricate(site: WebSite, count: int = 70) -> None:
    """Users of every role, and cases of every tier over half a year."""
    for name, role in (("anna", Role.ADMIN), ("rene", Role.REVIEWER), ("vera", Role.VIEWER)):
        site.user(name, role)
    rng = random.Random(5)
    start = site.clock.now
    for number in range(1, count + 1):
        site.clock.now = start - timedelta(hours=(count - number) * 9.3)
        ours = {vessel: rng.choice([0.0, 0.0, rng.lognormvariate(3.5, 1.1)]) for vessel in ("LM", "LAD", "LCX", "RCA")}
        human = {vessel: round(value * rng.gauss(1, 0.02)) for vessel, value in ours.items()}
        if number % 3 == 0:
            human[rng.choice(["LAD", "LCX", "RCA"])] = 0
        if number % 11 == 0:
            human = {"LAD": human["LCX"], "LCX": human["LAD"], "LM": human["LM"], "RCA": human["RCA"]}
        made, model, station = SCANNERS[number % 2]
        day = f"{site.clock.now - timedelta(days=1):%Y%m%d}"
        case = site.case(number, ours, human, study_date=day, manufacturer=made, model=model, station=station)
        if number % 7 == 0:
            decide(site, case, rng.choice(list(ReviewOutcome)))
    site.clock.now = start


def decide(site: WebSite, case: int, outcome: ReviewOutcome) -> None:
    decision = Decision(
        version=1,
        outcome=outcome,
        radpeer=Radpeer.CONCUR,
        comment="",
        reviewer="rene",
        decided_at=site.clock(),
        blind=True,
    )
    site.ledger.add_decision(case, decision)


def main(folder: str, port: str = "8042") -> None:
    site = WebSite(Path(folder), clock=Clock(datetime.now(UTC)))
    fabricate(site)
    sys.stdout.write(f"http://127.0.0.1:{port}/ anna, rene or vera; password: {PASSWORD}\n")
    uvicorn.run(site.app, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
