"""Human reads in JSON: the schema of :mod:`node.intake.drafts`, one read, a list of them, or ``{"reads": [...]}``.

``scores`` holds a number by region (its Agatston score) or an object of ``agatston``, ``volume_mm3``, ``mass_mg``; null
is missing. :data:`SCHEMA` says the same in the words of JSON Schema (2020-12).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final, NoReturn

from node.domain.errors import Malformed, Refused
from node.domain.human_read import HIGHEST_SCORE, READ_REGIONS, ReadSource, ReadStatus
from node.domain.region_names import region_named
from node.intake.csv_reads import MOST_BYTES, MOST_LINES
from node.intake.drafts import FIELDS, HIGHEST_VERSION, LONGEST_FIELD, LONGEST_UID, QUANTITIES, Draft, Taken
from node.intake.parsed import Faults, Parsed, quoted

_AMOUNT: Final = {"type": ["number", "null"], "minimum": 0, "maximum": HIGHEST_SCORE}
_SCORE: Final[dict[str, Any]] = {
    "oneOf": [
        _AMOUNT,
        {"type": "object", "properties": dict.fromkeys(QUANTITIES, _AMOUNT), "additionalProperties": False},
    ]
}
_TEXT: Final = {"type": ["string", "null"], "maxLength": LONGEST_FIELD}
_UID: Final = {"type": ["string", "null"], "maxLength": LONGEST_UID, "pattern": r"^([0-9]+(\.[0-9]+)+)?$"}
_SAID: Final = {"type": "string", "minLength": 1}
SCHEMA: Final[Mapping[str, Any]] = {
    "title": "A human read of a calcium scan",
    "description": "Null and empty texts are missing. A study is named by study_uid, or by accession and patient_id.",
    "type": "object",
    "required": ["scores"],
    "anyOf": [
        {"required": ["study_uid"], "properties": {"study_uid": _SAID}},
        {"required": ["accession", "patient_id"], "properties": {"accession": _SAID, "patient_id": _SAID}},
    ],
    "properties": {
        **dict.fromkeys(FIELDS, _TEXT),
        "study_uid": _UID,
        "series_uid": _UID,
        "version": {"type": ["integer", "null"], "minimum": 1, "maximum": HIGHEST_VERSION},
        "status": {"enum": [*(str(status) for status in ReadStatus), "", None]},
        "read_at": _TEXT | {"description": "ISO 8601, as 2026-03-04T10:15:00+01:00; without a zone it is the site's"},
        "kvp": {"type": ["number", "null"], "minimum": 40, "maximum": 200},
        "scores": {
            "description": "Agatston scores by region, or objects; at least one that is not null",
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"enum": list(READ_REGIONS)},
            "additionalProperties": _SCORE,
        },
    },
    "additionalProperties": False,
}
_NUMBERS: Final = ("version", "kvp")


def read_json(data: bytes, *, source: ReadSource = ReadSource.FILE, zone: tzinfo = UTC, reader: str = "") -> Parsed:
    """All reads of a document; ``zone`` and ``reader`` stand in where a read names none.

    Raises
    ------
    Refused
        If it is larger than :data:`MOST_BYTES` or holds more than :data:`MOST_LINES` reads.
    Malformed
        If it is not JSON, or neither a read nor a list of reads.

    """
    document = json_document(data, MOST_BYTES)
    if isinstance(document, dict) and "reads" in document:
        beside = sorted(set(document) - {"reads"})
        if beside:
            raise Malformed(f"beside 'reads' nothing is known: {', '.join(quoted(name) for name in beside[:10])}")
        document, base = document["reads"], "reads"
    else:
        base = ""
    held = [document] if isinstance(document, dict) else document
    if not isinstance(held, list):
        raise Malformed("a read is an object; several are a list, or {'reads': [...]}")
    if len(held) > MOST_LINES:
        raise Refused(f"{len(held)} reads; up to {MOST_LINES} are taken at once")
    faults, taken = Faults(), Taken()
    for index, one in enumerate(held):
        place = "read" if document is not held else f"{base}[{index}]"
        draft = _draft(one, place, faults)
        read = None if draft is None else draft.by(reader).read(source, zone, faults)
        if read is not None:
            taken.add(read, place, faults)
    return faults.parsed(taken.reads, [])


def json_document(data: bytes, most_bytes: int) -> object:
    """A JSON document of bounded size, in which every name of an object stands once and every number is finite.

    Raises
    ------
    Refused
        If it is too large.
    Malformed
        If it is no such JSON.

    """
    if len(data) > most_bytes:
        raise Refused(f"the document has {len(data)} bytes; up to {most_bytes} are read")
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_no_number, object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise Malformed(f"the document is not in UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise Malformed("no document of ours: it is nested too deep") from error
    except ValueError as error:
        raise Malformed("no document of ours: a number has too many digits") from error


def _no_number(word: str) -> NoReturn:
    raise Malformed(f"{word} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise Malformed(f"{quoted(twice)} stands twice in one object")
    return held


def _draft(one: object, place: str, faults: Faults) -> Draft | None:
    if not isinstance(one, dict):
        faults.add(place, "a read is an object")
        return None
    before = faults.count
    fields = {
        name: _field(name, value, f"{place}.{name}", faults)
        for name, value in one.items()
        if name in FIELDS and value is not None
    }
    for name in sorted(set(one) - {*FIELDS, "scores"})[:10]:
        faults.add(place, f"{quoted(name)} is no field of a read")
    amounts = _amounts(one.get("scores"), f"{place}.scores", faults)
    return Draft(place=place, fields=fields, amounts=amounts, flawed=faults.count > before)


def _field(name: str, value: object, place: str, faults: Faults) -> str:
    if name in _NUMBERS:
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 53:
            return str(int(value) if value == int(value) else value)  # to JSON, 2.0 is a whole number
        faults.add(place, "a number is needed")
        return ""
    if not isinstance(value, str):
        faults.add(place, "a text is needed")
        return ""
    return value.strip()


def _amounts(scores: object, place: str, faults: Faults) -> dict[tuple[str, str], float]:
    if scores is None:
        return {}
    if not isinstance(scores, dict):
        faults.add(place, "an object of scores by region is needed")
        return {}
    found: dict[tuple[str, str], float] = {}
    for name, value in scores.items():
        region = region_named(name)
        here = f"{place}.{name[:24]}"
        if region is None:
            faults.add(here, f"no region is called so; there are {', '.join(READ_REGIONS)}")
            continue
        held = value if isinstance(value, dict) else {"agatston": value}
        for quantity, amount in held.items():
            if quantity not in QUANTITIES:
                faults.add(here, f"{quoted(quantity)} is none of {', '.join(QUANTITIES)}")
            elif (region, quantity) in found:
                faults.add(here, f"{region} stands twice")
            elif isinstance(amount, bool) or not isinstance(amount, int | float | None):
                faults.add(here, "a number is needed")
            elif amount is not None:
                found[region, quantity] = float(max(min(amount, 1e300), -1e300))
    return found
