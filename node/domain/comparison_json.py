"""A comparison as JSON and back, without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

from node.domain import json_values as values
from node.domain.discrepancy import Comparison, Difference
from node.domain.errors import Malformed
from node.domain.tiers import Limits, Tier


def to_document(comparison: Comparison) -> dict[str, object]:
    """The comparison as plain JSON values."""
    return {
        "tier": str(comparison.tier),
        "reasons": list(comparison.reasons),
        "differences": [asdict(one) for one in comparison.differences],
        "lesions": list(comparison.lesions),
        "absent": list(comparison.absent),
        "borderline": list(comparison.borderline),
        "remarks": list(comparison.remarks),
    }


def dumps(comparison: Comparison) -> str:
    """The comparison as ASCII JSON."""
    return json.dumps(to_document(comparison), allow_nan=False, separators=(",", ":"))


def loads(text: str) -> Comparison:
    """The comparison that was written; :class:`Malformed` says what is wrong and where."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the comparison is not JSON: {error}") from error
    return from_document(values.mapping(document, "comparison"))


def from_document(document: Mapping[str, object]) -> Comparison:
    """The comparison in a parsed document; :class:`Malformed` says what is wrong and where."""
    root = values.Place(document)
    tier = root.string("tier")
    if tier not in {str(one) for one in Tier}:
        raise Malformed(f"tier: one of {', '.join(Tier)} is needed")
    return Comparison(
        tier=Tier(tier),
        reasons=root.strings("reasons"),
        differences=tuple(_difference(place) for place in root.places("differences")),
        lesions=root.integers("lesions", len(_list(root, "lesions"))),
        absent=root.strings("absent"),
        borderline=root.strings("borderline"),
        remarks=root.strings("remarks"),
    )


def limits_sha256(limits: Limits) -> str:
    """What names a set of limits: under other limits the same pair of reads is compared anew."""
    return hashlib.sha256(json.dumps(asdict(limits), sort_keys=True).encode("ascii")).hexdigest()


def _difference(place: values.Place) -> Difference:
    return Difference(
        region=place.string("region"),
        ours=place.number("ours"),
        human=place.number_or_null("human"),
        beyond=place.boolean("beyond"),
    )


def _list(root: values.Place, name: str) -> list[object]:
    found = root.content.get(name)
    return found if isinstance(found, list) else []
