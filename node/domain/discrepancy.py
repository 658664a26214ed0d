"""Where a human read and ours disagree, how much that matters, and which lesions cause it.

Both are reads of the same images, so the published limits of rescanning (Sevrukov et al., AJR 2005;185:1546-1553: 95 %
within 4.930 times the root of the score, 11.6 from 0) are the outer bound of what is normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.domain.findings import LesionFinding
from node.domain.human_read import CORONARIES, HumanRead
from node.domain.tiers import RANK, Limits, Tier

COMPARED: Final = (*CORONARIES, "LM+LAD", "CAC", "AV", "TA", "AC")
_LESIONS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "CAC": CORONARIES,
    "LM+LAD": ("LM", "LAD"),
    "AC": ("AV", "TA"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRead:
    """What of our reading is compared."""

    series_uid: str
    agatston: Mapping[str, float]  # by region of findings.REGIONS
    lesions: Sequence[LesionFinding]
    profile: str
    kvp: float | None
    interval: tuple[float, float] | None = None  # of CAC
    doubts: tuple[str, ...] = ()

    def score(self, region: str) -> float:
        """Score of a region of :data:`COMPARED`."""
        if region == "LM+LAD":
            return self.agatston["LM"] + self.agatston["LAD"]
        return self.agatston[region]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One region in both reads; ``human`` is None where it was not reported."""

    region: str
    ours: float
    human: float | None
    beyond: bool = False

    @property
    def signed(self) -> float | None:
        """Ours less the human's."""
        return None if self.human is None else self.ours - self.human


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The result for one pair of reads.

    Attributes
    ----------
    reasons
        Why it has this tier, in words; never empty unless concordant.
    lesions
        Indices of our lesions that cause a flag, largest first.
    absent
        Regions in which the human reports calcium and we found none to point at.
    borderline
        Our interval straddles a category limit; in words.

    """

    tier: Tier
    reasons: tuple[str, ...]
    differences: tuple[Difference, ...]
    lesions: tuple[int, ...] = ()
    absent: tuple[str, ...] = ()
    borderline: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())


def compare(ours: OurRead, human: HumanRead, limits: Limits) -> Comparison:
    """Hold our reading against a human's.

    Which of the two is larger never decides the tier, a larger difference never lowers it, and every tier but
    ``concordant`` comes with its reasons.
    """
    differences = tuple(_difference(region, ours, human, limits) for region in COMPARED)
    borderline = _borderline(ours, limits)
    remarks = (*human.inconsistencies, *human.remarks, *ours.doubts)
    obstacles = _obstacles(ours, human)
    if obstacles:
        return Comparison(
            tier=Tier.NOT_COMPARABLE,
            reasons=obstacles,
            differences=differences,
            borderline=borderline,
            remarks=remarks,
        )
    judged = [*_judge_total(differences, limits), *_judge_parts(differences, limits)]
    tier = max((one.tier for one in judged), key=RANK.index, default=Tier.CONCORDANT)
    causes = sorted({region for one in judged if one.tier is not Tier.CONCORDANT for region in one.regions})
    lesions, absent = _causes(causes, differences, ours) if tier.flagged else ((), ())
    return Comparison(
        tier=tier,
        reasons=tuple(one.reason for one in judged if one.tier is not Tier.CONCORDANT),
        differences=differences,
        lesions=lesions,
        absent=absent,
        borderline=borderline,
        remarks=remarks,
    )


@dataclass(frozen=True, slots=True)
class _Judgement:
    tier: Tier
    reason: str
    regions: tuple[str, ...]


def _difference(region: str, ours: OurRead, human: HumanRead, limits: Limits) -> Difference:
    theirs, mine = human.agatston(region), ours.score(region)
    beyond = theirs is not None and limits.beyond(mine, theirs) and not limits.same(mine, theirs)
    return Difference(region=region, ours=mine, human=theirs, beyond=beyond)


def _obstacles(ours: OurRead, human: HumanRead) -> tuple[str, ...]:
    found = []
    if human.study.series_uid and human.study.series_uid != ours.series_uid:
        found.append("the human scored another series or reconstruction of this study")
    if human.kvp is not None and ours.kvp is not None and abs(human.kvp - ours.kvp) > 0.5:
        found.append(f"scored at {human.kvp:g} kVp by the human and at {ours.kvp:g} kVp here")
    if human.profile and human.profile != ours.profile:
        found.append(f"scored by the rules '{human.profile}' by the human and '{ours.profile}' here")
    if all(human.agatston(region) is None for region in COMPARED):
        found.append("the human reports no Agatston score of any region")
    return tuple(found)


def _judge_total(differences: Sequence[Difference], limits: Limits) -> list[_Judgement]:
    """The coronary total; where the human gave none, the vessels that were reported, without categories."""
    total = next(one for one in differences if one.region == "CAC")
    if total.human is not None:
        return [_judge_pair(total.ours, total.human, limits)]
    reported = [one for one in differences if one.region in CORONARIES and one.human is not None]
    if not reported:
        return []
    ours, theirs = sum(one.ours for one in reported), sum(one.human or 0.0 for one in reported)
    names = tuple(one.region for one in reported)
    words = f"{' + '.join(names)} (no total was given): {ours:.4g} here, {theirs:.4g} by the human"
    if limits.missed(ours, theirs):
        return [_Judgement(Tier.PRIORITY, words, names)]
    if limits.same(ours, theirs):
        return [_Judgement(Tier.CONCORDANT, words, names)]
    return [_Judgement(Tier.REVIEW if limits.beyond(ours, theirs) else Tier.MINOR, words, names)]


def _judge_pair(ours: float, theirs: float, limits: Limits) -> _Judgement:
    words = f"CAC {ours:.4g} here, {theirs:.4g} by the human"
    tier, why = _tier_of_totals(ours, theirs, limits)
    return _Judgement(tier, f"{words}: {why}", ("CAC",))


def _tier_of_totals(ours: float, theirs: float, limits: Limits) -> tuple[Tier, str]:
    apart = abs(limits.category(ours) - limits.category(theirs))
    beyond = limits.beyond(ours, theirs)
    crossed = limits.crossed(ours, theirs)
    rules = (
        (limits.missed(ours, theirs), Tier.PRIORITY, "calcium in one read only"),
        (apart >= 2, Tier.PRIORITY, f"{apart} categories apart"),
        (bool(crossed) and beyond, Tier.PRIORITY, f"crosses {_over(crossed)}, beyond normal variation"),
        (apart == 1, Tier.REVIEW, "another category"),
        (limits.same(ours, theirs), Tier.CONCORDANT, "the same"),
        (beyond, Tier.REVIEW, "beyond normal variation"),
    )
    met = ((tier, why) for holds, tier, why in rules if holds)
    return next(met, (Tier.MINOR, "within normal variation"))


def _over(limits: Sequence[float]) -> str:
    return " and ".join(f"{limit:g}" for limit in limits)


def _judge_parts(differences: Sequence[Difference], limits: Limits) -> list[_Judgement]:
    """Vessels and aorta: a score that moved to another vessel, and differences the total does not show."""
    known = {one.region: one for one in differences if one.human is not None}
    missed = [
        region
        for region in ("LM+LAD", "LCX", "RCA")
        if limits.missed_vessel and region in known and limits.missed(known[region].ours, known[region].human or 0.0)
    ]
    found = [
        _Judgement(Tier.MINOR, _words(known[region]), (region,))
        for region in (*CORONARIES, "AV", "TA", "AC")
        if region in known and known[region].beyond and region not in missed
    ]
    found += [
        _Judgement(Tier.REVIEW, f"{_words(known[region])}: calcium in one read only", (region,)) for region in missed
    ]
    # a shift between LM and LAD is a matter of taste: the two are told apart by millimetres
    moved = [
        known[region]
        for region in ("LM+LAD", "LCX", "RCA")
        if region in known and known[region].beyond and abs(known[region].signed or 0.0) > limits.shift_points
    ]
    gained = [one for one in moved if (one.signed or 0.0) > 0]
    lost = [one for one in moved if (one.signed or 0.0) < 0]
    if gained and lost:
        words = f"calcium of {_names(lost)} by the human is in {_names(gained)} here"
        found.append(_Judgement(Tier.REVIEW, words, tuple(one.region for one in moved)))
    return found


def _words(one: Difference) -> str:
    return f"{one.region} {one.ours:.4g} here, {one.human:.4g} by the human"


def _names(ones: Sequence[Difference]) -> str:
    return " and ".join(one.region for one in ones)


def _causes(
    regions: Sequence[str], differences: Sequence[Difference], ours: OurRead
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Our lesions where we say more, and the regions where the human says more.

    Where only a total is known, all its lesions are named: any of them may be the cause.
    """
    by_region = {one.region: one for one in differences}
    narrowed = {region for region in regions if region not in _LESIONS_OF} or set(regions)
    vessels = {
        vessel
        for region in narrowed
        for vessel in _LESIONS_OF.get(region, (region,))
        if (by_region[vessel].signed is None or (by_region[vessel].signed or 0.0) > 0)
    }
    chosen = [number for number, lesion in enumerate(ours.lesions) if lesion.vessel in vessels]
    chosen.sort(key=lambda number: -ours.lesions[number].agatston)
    absent = [region for region in sorted(narrowed | set(regions)) if (by_region[region].signed or 0.0) < 0]
    if not chosen and not absent:
        # nothing narrower can be said: everything that was found in those regions
        wide = {vessel for region in regions for vessel in _LESIONS_OF.get(region, (region,))}
        chosen = [number for number, lesion in enumerate(ours.lesions) if lesion.vessel in wide]
    return tuple(chosen), tuple(absent)


def _borderline(ours: OurRead, limits: Limits) -> tuple[str, ...]:
    if ours.interval is None:
        return ()
    low, high = ours.interval
    edges = [limit for limit in limits.category_limits if low < limit <= high]
    if low == 0 < high:
        edges.insert(0, 0.0)
    return tuple(f"our score may lie on either side of {edge:g} ({low:.4g} to {high:.4g})" for edge in edges)
