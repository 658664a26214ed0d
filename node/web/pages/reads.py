"""Human reads that need a person: in quarantine, to be typed in, to be uploaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Annotated, Final

from fastapi import APIRouter, File, Form, HTTPException, UploadFile
from fastapi import Path as PathPart
from starlette.requests import Request
from starlette.responses import Response

from node.domain.errors import Malformed, Refused
from node.domain.human_read import READ_REGIONS, ReadStatus
from node.domain.read_history import ReadState, Recorded, StoredRead
from node.domain.studies import StudyFacts
from node.intake.csv_reads import MOST_BYTES, read_csv
from node.intake.json_reads import read_json
from node.intake.parsed import Parsed
from node.stages.human_objects import not_taken
from node.web.accounts import Visitor
from node.web.auth import Reviewer
from node.web.case_files import person
from node.web.case_view import REGION_WORDS
from node.web.forms import go
from node.web.house import House, house_of
from node.web.rendering import render
from node.web.trail import Action, record
from node.web.typed_reads import ReadForm, source_id, typed_read
from node.web.veil import withheld

router = APIRouter(prefix="/reads")

_NOTICES: Final[Mapping[str, str]] = {
    "assigned": "The read was assigned; it is compared as soon as the node comes to it.",
    "discarded": "The read was discarded. It is kept, without effect.",
    "entered": "The read was recorded; it is compared as soon as the node comes to it.",
    "known": "This very read was here already. Nothing changed.",
}
_BLIND: Final = "scores not shown: you are still to read its study blind"
_MOST_OBJECTS: Final = 25
_Number = Annotated[int, PathPart(ge=1, lt=1 << 31)]
_Short = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A read in quarantine as the page shows it; its scores only where they give no case away."""

    stored: StoredRead
    reader: str
    scores: str
    studies: tuple[StudyFacts, ...]


@router.get("")
def waiting(request: Request, visitor: Reviewer, notice: str = "", accession: str = "", read: int = 0) -> Response:
    """What is in quarantine and why; for one of them the studies of an accession number to choose from."""
    return _page(request, visitor, notice=_NOTICES.get(notice, ""), search=(read, accession[:200]))


@router.post("/{number}/assign")
def assign(request: Request, visitor: Reviewer, number: _Number, study_uid: _Short) -> Response:
    """Give a read to a study."""
    house_of(request).ledger.assign_read(number, study_uid.strip(), visitor.name, house_of(request).clock())
    return go("/reads", notice="assigned")


@router.post("/{number}/discard")
def discard(request: Request, visitor: Reviewer, number: _Number, reason: _Short = "") -> Response:
    """Set a read aside, with the reason."""
    if not reason.strip():
        return _page(request, visitor, error="Say why the read is discarded: whoever looks for it will want to know.")
    house_of(request).ledger.discard_read(number, reason.strip(), visitor.name, house_of(request).clock())
    return go("/reads", notice="discarded")


@router.get("/new")
def new(request: Request, visitor: Reviewer, study: str = "", accession: str = "") -> Response:
    """The form to type a read into; without a study, the search for one."""
    house = house_of(request)
    known = house.ledger.study(study) if study else None
    if known is None:
        found = house.ledger.studies_by_accession(accession) if accession.strip() else ()
        words = "There is no such study here." if study or (accession.strip() and not found) else ""
        return render(request, "read_new.html", {"study": None, "found": found, "accession": accession, "error": words})
    version = _next_version(house, known.study_uid, visitor.name)
    return _form(request, known, ReadForm(study_uid=study, version=version, reader=visitor.name), {})


@router.post("/new")
def enter(request: Request, visitor: Reviewer, form: Annotated[ReadForm, Form()]) -> Response:
    """Take the typed read in, or show every fault at its field."""
    house = house_of(request)
    study = house.ledger.study(form.study_uid)
    if study is None:
        raise HTTPException(404, "There is no such study here.")
    typed = typed_read(form, study, house.services.zone)
    if typed.read is None:
        return _form(request, study, form, typed.faults, status=422)
    (recorded,) = house.services.take_reads(form.original, (typed.read,), visitor.name)
    record(request, visitor.name, Action.READ_ENTERED, f"read:{recorded.read_id}", arrival=str(recorded.arrival))
    case = house.ledger.case_of_study(study.study_uid)
    if recorded.arrival == "same":
        return go("/reads", notice="known")
    return go(f"/cases/{case.id}" if case is not None else "/reads", notice="entered")


@router.post("/upload")
def take_file(request: Request, visitor: Reviewer, file: Annotated[UploadFile, File()]) -> Response:
    """Take in the reads of a table or a JSON document; what is wrong with the others is shown line by line."""
    house = house_of(request)
    data = file.file.read(MOST_BYTES + 1)
    try:
        parsed = _parsed(data, file.filename or "", house.services.zone)
    except (Malformed, Refused) as error:
        return _page(request, visitor, error=f"Nothing was taken: {error}.")
    taken = house.services.take_reads(data, parsed.reads, visitor.name)
    if taken:
        record(request, visitor.name, Action.READ_IMPORTED, "", reads=len(taken), faults=len(parsed.faults))
    return _page(request, visitor, upload=(parsed, taken))


def _parsed(data: bytes, name: str, zone: tzinfo) -> Parsed:
    first = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    as_json = name.lower().endswith(".json") or first in (b"{", b"[")
    return read_json(data, zone=zone) if as_json else read_csv(data, zone=zone)


def _page(
    request: Request,
    visitor: Visitor,
    *,
    notice: str = "",
    error: str = "",
    search: tuple[int, str] = (0, ""),
    upload: tuple[Parsed, tuple[Recorded, ...]] | None = None,
) -> Response:
    """The list; ``search`` is the read that a study is looked for, and by which accession number."""
    house = house_of(request)
    chosen, accession = search
    parsed, taken = upload or (None, ())
    reads = house.ledger.quarantined_reads()
    rows = tuple(_waiting(house, visitor, one, accession if one.id == chosen else "") for one in reads)
    content = {
        "rows": rows,
        "counts": house.ledger.read_counts(),
        "not_taken": [(one, house.ledger.study(one.study_uid)) for one in not_taken(house.ledger)][:_MOST_OBJECTS],
        "notice": notice,
        "error": error,
        "chosen": chosen,
        "accession": accession,
        "parsed": parsed,
        "taken": taken,
        "matched": sum(one.state is not ReadState.QUARANTINED for one in taken),
    }
    return render(request, "reads.html", content, 422 if error or (parsed is not None and not taken) else 200)


def _waiting(house: House, visitor: Visitor, one: StoredRead, accession: str) -> Waiting:
    scores = ((region, one.read.scores[region].agatston) for region in READ_REGIONS if region in one.read.scores)
    words = ", ".join(f"{region} {value:g}" for region, value in scores if value is not None) or "no Agatston scores"
    studies = house.ledger.studies_by_accession(accession or one.read.study.accession)
    return Waiting(
        stored=one,
        reader=person(house, visitor, one.read.reader),
        scores=_BLIND if _gives_away(house, visitor, one, studies) else words,
        studies=studies,
    )


def _gives_away(house: House, visitor: Visitor, one: StoredRead, studies: Sequence[StudyFacts]) -> bool:
    """Whether a read may be another version of one that the visitor is still to review blind."""
    own = house.ledger.studies_by_accession(one.read.study.accession)
    uids = {one.read.study.study_uid, one.study_uid, *(study.study_uid for study in (*studies, *own))} - {""}
    cases = [case for uid in uids if (case := house.ledger.case_of_study(uid)) is not None]
    return bool(withheld(house.ledger, visitor, cases))


def _form(
    request: Request, study: StudyFacts, form: ReadForm, faults: Mapping[str, str], *, status: int = 200
) -> Response:
    content = {
        "study": study,
        "form": form,
        "faults": faults,
        "regions": tuple((region, REGION_WORDS[region]) for region in READ_REGIONS),
        "statuses": tuple(str(one) for one in (ReadStatus.FINAL, ReadStatus.CORRECTED, ReadStatus.PRELIMINARY)),
    }
    return render(request, "read_new.html", content, status)


def _next_version(house: House, study_uid: str, reader: str) -> int:
    name = source_id(study_uid, reader)
    versions = [one.read.version for one in house.ledger.reads_of(study_uid) if one.read.source_id == name]
    return max(versions, default=0) + 1
