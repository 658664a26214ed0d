"""What a calcium score says about a person: categories, CAC-DRS, arterial age, valve, 10-year risk.

Everything goes by the unrounded score: 0.4 is calcium, and 99.6 is not yet 100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

CATEGORIES: Final = ("0", "1-99", "100-399", ">=400")
_MESA_AGES: Final = (45.0, 84.0)
_MESA_BASELINE_SURVIVAL: Final = 0.99833


class Sex(StrEnum):
    """As the models and tables below were made; DICOM's 'O' and an empty value have no entry in them."""

    MALE = "M"
    FEMALE = "F"


class Ethnicity(StrEnum):
    """The groups of the MESA study."""

    WHITE = "white"
    CHINESE = "chinese"
    BLACK = "black"
    HISPANIC = "hispanic"


class ValveFinding(StrEnum):
    """What an aortic valve score says about stenosis."""

    SEVERE_LIKELY = "severe stenosis likely"
    BELOW_SEVERE = "below the threshold of severe stenosis"
    SEX_NEEDED = "between the thresholds for women and men; sex unknown"


def category(cac: float) -> str:
    """Category of a coronary Agatston score, one of :data:`CATEGORIES`.

    Any calcium at all is '1-99' even where the score would round to 0.
    """
    _require_score(cac)
    return CATEGORIES[(cac > 0) + (cac >= 100) + (cac >= 400)]


def cac_drs(cac: float, vessels: int) -> str:
    """CAC-DRS of a gated scan, such as ``A1/N2`` (Hecht et al., J Cardiovasc Comput Tomogr 2018;12:185-191).

    A0 is 0, A1 is 1-99, A2 is 100-299, A3 is 300 and more; N is the number of coronaries with calcium, 0 to 4.

    Raises
    ------
    ValueError
        The score is negative or not a number, the vessels are not 0 to 4, or one is 0 and the other is not.

    """
    _require_score(cac)
    if not 0 <= vessels <= 4:
        raise ValueError(f"0 to 4 coronaries hold calcium, not {vessels}")
    if (cac > 0) != (vessels > 0):
        raise ValueError(f"a score of {cac:g} does not go with {vessels} calcified vessels")
    return f"A{(cac > 0) + (cac >= 100) + (cac >= 300)}/N{vessels}"


def arterial_age(cac: float) -> float:
    """Age in years at which a person without other risk has the same risk (McClelland, Am J Cardiol 2009;103:59-63)."""
    _require_score(cac)
    return 39.1 + 7.25 * math.log(cac + 1)


def aortic_valve_severity(score: float, sex: Sex | None) -> ValveFinding:
    """Whether an aortic valve Agatston score makes severe stenosis likely: 2000 for men, 1200 for women.

    Thresholds of the ESC/EACTS guideline on valvular heart disease. Where sex is unknown and decides, that is said.
    """
    _require_score(score)
    limits = {Sex.MALE: (2000.0,), Sex.FEMALE: (1200.0,), None: (1200.0, 2000.0)}[sex]
    over = [score >= limit for limit in limits]
    if all(over):
        return ValveFinding.SEVERE_LIKELY
    return ValveFinding.SEX_NEEDED if any(over) else ValveFinding.BELOW_SEVERE


class OutsideModelError(ValueError):
    """The person is not of the kind a risk model was made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MesaCovariates:
    """What the MESA risk score needs besides calcium. None is 'not known', and then there is no risk.

    Attributes
    ----------
    total_cholesterol_mg_dl, hdl_cholesterol_mg_dl
        In mg/dL; multiply mmol/L by 38.67.
    family_history
        Heart attack of a parent, sibling or child at any age.

    """

    age: float | None = None
    sex: Sex | None = None
    ethnicity: Ethnicity | None = None
    diabetes: bool | None = None
    smoker: bool | None = None
    total_cholesterol_mg_dl: float | None = None
    hdl_cholesterol_mg_dl: float | None = None
    lipid_medication: bool | None = None
    systolic_mm_hg: float | None = None
    hypertension_medication: bool | None = None
    family_history: bool | None = None

    def missing(self) -> tuple[str, ...]:
        """Names of the covariates that are not known."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is None)


_MESA_SLOPES: Final = {
    "age": 0.0172,
    "diabetes": 0.3892,
    "smoker": 0.3717,
    "total_cholesterol_mg_dl": 0.0043,
    "hdl_cholesterol_mg_dl": -0.0114,
    "lipid_medication": 0.1206,
    "systolic_mm_hg": 0.0066,
    "hypertension_medication": 0.2278,
    "family_history": 0.3239,
}
_MESA_MALE: Final = 0.4079
_MESA_ETHNICITY: Final = {
    Ethnicity.WHITE: 0.0,
    Ethnicity.CHINESE: -0.3475,
    Ethnicity.BLACK: 0.0353,
    Ethnicity.HISPANIC: -0.0222,
}
_MESA_LOG_CALCIUM: Final = 0.2743


def mesa_risk(cac: float, covariates: MesaCovariates) -> float | None:
    """10-year risk (0 to 1) of coronary heart disease with calcium; None unless every covariate is known.

    McClelland et al., J Am Coll Cardiol 2015;66:1643-1653, the model with calcium. Made from people of 45 to 84 years
    without known heart disease; nothing is guessed for others.

    Raises
    ------
    OutsideModelError
        The age is not 45 to 84, or a measured value is not positive.
    ValueError
        The score is negative or not a number.

    """
    _require_score(cac)
    if covariates.missing():
        return None
    known = {name: float(getattr(covariates, name)) for name in _MESA_SLOPES}
    low, high = _MESA_AGES
    # completed years: the 84th year lasts until the 85th birthday
    if not low <= known["age"] < high + 1:
        raise OutsideModelError(f"the MESA score is for ages {low:g} to {high:g}, not {known['age']:g}")
    for name in ("total_cholesterol_mg_dl", "hdl_cholesterol_mg_dl", "systolic_mm_hg"):
        if not (math.isfinite(known[name]) and known[name] > 0):
            raise OutsideModelError(f"{name} of {known[name]:g} is no measurement")
    terms = sum(slope * known[name] for name, slope in _MESA_SLOPES.items())
    terms += _MESA_MALE * (covariates.sex is Sex.MALE) + _MESA_LOG_CALCIUM * math.log(cac + 1)
    terms += sum(value for group, value in _MESA_ETHNICITY.items() if group is covariates.ethnicity)
    return float(1.0 - _MESA_BASELINE_SURVIVAL ** math.exp(terms))


def _require_score(score: float) -> None:
    if not (math.isfinite(score) and score >= 0):
        raise ValueError(f"a calcium score is 0 or more, not {score:g}")
