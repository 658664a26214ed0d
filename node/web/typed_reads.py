"""A human read typed into the page: every fault at the field it is about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from pydantic import BaseModel, Field

from node.domain.errors import Malformed
from node.domain.human_read import READ_REGIONS, HumanRead, ReadSource
from node.domain.identity import short
from node.domain.studies import StudyFacts
from node.intake.drafts import Draft
from node.intake.figures import figure
from node.intake.parsed import Faults

_PLACE: Final = "form"


class ReadForm(BaseModel):
    """What the form sends, all of it text as it was typed. ``version`` makes sending it twice the same read."""

    study_uid: str = Field(default="", max_length=64)
    version: int = Field(default=1, ge=1, lt=1 << 31)
    reader: str = Field(default="", max_length=256)
    read_at: str = Field(default="", max_length=40)
    status: str = Field(default="final", max_length=20)
    kvp: str = Field(default="", max_length=20)
    LM: str = Field(default="", max_length=40)
    LAD: str = Field(default="", max_length=40)
    LCX: str = Field(default="", max_length=40)
    RCA: str = Field(default="", max_length=40)
    CAC: str = Field(default="", max_length=40)
    AV: str = Field(default="", max_length=40)
    TA: str = Field(default="", max_length=40)
    AC: str = Field(default="", max_length=40)

    def score(self, region: str) -> str:
        """What was typed for a region."""
        return str(getattr(self, region)).strip()

    @property
    def original(self) -> bytes:
        """What is kept as the original of the read."""
        return json.dumps(self.model_dump(), sort_keys=True).encode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """The read, or what is wrong: by field of the form, and "" for the whole of it."""

    read: HumanRead | None
    faults: dict[str, str]


def typed_read(form: ReadForm, study: StudyFacts, zone: tzinfo) -> Typed:
    """The read a form means. Corrections of a reader's read of a study are versions of one read."""
    faults = Faults()
    amounts: dict[tuple[str, str], float] = {}
    for region in READ_REGIONS:
        text = form.score(region)
        if not text:
            continue
        try:
            amounts[(region, "agatston")] = figure(text)
        except Malformed as error:
            faults.add(f"{_PLACE}, {region}", str(error))
    fields = {
        "study_uid": study.study_uid,
        "accession": study.accession,
        "patient_id": study.patient_id,
        "read_id": source_id(study.study_uid, form.reader),
        "version": str(form.version),
        "reader": form.reader.strip(),
        "read_at": form.read_at.strip(),
        "status": form.status,
        "kvp": form.kvp.strip(),
    }
    if not amounts and not faults.count:
        faults.add(_PLACE, "type at least one score; leave empty what was not reported")
    draft = Draft(place=_PLACE, fields=fields, amounts=amounts, flawed=faults.count > 0)
    read = draft.read(ReadSource.PAGE, zone, faults)
    return Typed(read=read, faults=_by_field(faults))


def source_id(study_uid: str, reader: str) -> str:
    """What names a reader's read of a study, over all its versions."""
    return f"page-{short(f'{study_uid}/{reader.strip()}')}"


def _by_field(faults: Faults) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in faults.kept:
        field = one.place.partition(", ")[2]
        found[field] = f"{found[field]}; {one.words}" if field in found else one.words
    return found
