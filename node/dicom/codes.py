"""Coded concepts used in the answers (PS3.16, SNOMED CT, LOINC, UCUM), and the private ones of scheme 99CAC2R."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node.domain.identity import hashed

PRIVATE_SCHEME: Final = "99CAC2R"
_LONGEST_CODE = 16


class Code(NamedTuple):
    """A coded concept: value, coding scheme designator, meaning (PS3.3 section 8)."""

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """The concept as an item of a code sequence."""
        item = Dataset()
        item.CodeValue = self.value
        item.CodingSchemeDesignator = self.scheme
        item.CodeMeaning = self.meaning[:64]
        return item

    def sequence(self) -> Sequence:
        """The concept as a code sequence of one item."""
        return Sequence([self.item()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A territory as the answers show it. ``cielab`` is the DICOM encoding (PS3.3 C.10.7.1.1) of ``rgb``."""

    key: str
    name: str
    site: Code
    rgb: tuple[int, int, int] = (255, 255, 255)
    cielab: tuple[int, int, int] = (65535, 32896, 32896)


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def private(value: str, meaning: str) -> Code:
    """A concept of this software's own scheme, for what DICOM has no code for.

    A value longer than a Code Value may be is cut and made unique again by its hash: few readers know Long Code Value.
    """
    if len(value) > _LONGEST_CODE:
        value = f"{value[:9]}-{hashed(value)[:6]}"
    return Code(value, PRIVATE_SCHEME, meaning)


SITES: Final[Mapping[str, Site]] = {
    site.key: site
    for site in (
        Site(
            key="LM",
            name="Left main",
            site=_sct("3227004", "Left Main Coronary Artery"),
            rgb=(255, 128, 255),
            cielab=(47299, 49588, 22078),
        ),
        Site(
            key="LAD",
            name="Left anterior descending",
            site=_sct("59438005", "Left Anterior Descending Coronary Artery"),
            rgb=(0, 255, 0),
            cielab=(57498, 10747, 54274),
        ),
        Site(
            key="LCX",
            name="Left circumflex",
            site=_sct("57396003", "Circumflex Coronary Artery"),
            rgb=(0, 0, 255),
            cielab=(21170, 53250, 5175),
        ),
        Site(
            key="RCA",
            name="Right coronary artery",
            site=_sct("13647002", "Right Coronary Artery"),
            rgb=(255, 255, 0),
            cielab=(63660, 27356, 57178),
        ),
        Site(
            key="AV",
            name="Aortic valve",
            site=_sct("34202007", "Aortic Valve"),
            rgb=(255, 128, 0),
            cielab=(43941, 43904, 51921),
        ),
        Site(
            key="TA",
            name="Thoracic aorta",
            site=_sct("113262008", "Thoracic aorta"),
            rgb=(255, 0, 0),
            cielab=(34886, 53484, 50172),
        ),
        Site(key="CAC", name="Coronary arteries", site=_sct("41801008", "Coronary artery")),
        Site(key="AC", name="Aortic valve and thoracic aorta", site=_sct("15825003", "Aorta")),
    )
}

# Units (CID 82)
NO_UNITS: Final = Code("1", "UCUM", "no units")
MM3: Final = Code("mm3", "UCUM", "cubic millimeter")
MG: Final = Code("mg", "UCUM", "milligram")
LESIONS: Final = Code("{lesions}", "UCUM", "lesions")
HU: Final = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
MG_PER_CM3: Final = Code("mg/cm3", "UCUM", "mg/cm3")
MG_PER_HU_CM3: Final = Code("mg/[hnsf'U].cm3", "UCUM", "mg/HU.cm3")
KV: Final = Code("kV", "UCUM", "kilovolt")
UNITS_BY_SUFFIX: Final = {
    "_hu": HU,
    "_mm3": MM3,
    "_mm": Code("mm", "UCUM", "millimeter"),
    "_percent": Code("%", "UCUM", "percent"),
}

# Measurements and methods (TID 3905, TID 1419)
CORONARY_SCORE: Final = _sct("450360000", "Coronary artery calcium score")
CALCIUM_SCORE: Final = _dcm("112058", "Calcium score")
CALCIUM_VOLUME: Final = _dcm("122660", "Calcium Volume")
CALCIUM_MASS: Final = _dcm("122661", "Calcium Mass")
NUMBER_OF_LESIONS: Final = _sct("246206008", "Number of lesions")
MEASUREMENT_METHOD: Final = _sct("370129005", "Measurement Method")
AGATSTON_METHOD: Final = _dcm("112055", "Agatston scoring method")
VOLUME_METHOD: Final = _dcm("112056", "Volume scoring method")
MASS_METHOD: Final = _dcm("112057", "Mass scoring method")
ABOVE: Final = _sct("371886008", "+, range of upper measurement uncertainty")
BELOW: Final = _sct("371885007", "-, range of lower measurement uncertainty")
SELECTION_STATUS: Final = _dcm("121404", "Selection Status")
USER_CHOSEN: Final = _dcm("121410", "User chosen value")
SCORE_THRESHOLD: Final = _dcm("122657", "Agatston Score Threshold")
MASS_THRESHOLD: Final = _dcm("122658", "Calcium Mass Threshold")
CALIBRATION: Final = _dcm("122659", "Calcium Scoring Calibration")
TUBE_VOLTAGE: Final = _dcm("113733", "KVP")

# Reports (TID 1500, TID 3900)
MEASUREMENT_REPORT: Final = _dcm("126000", "Imaging Measurement Report")
IMAGING_MEASUREMENTS: Final = _dcm("126010", "Imaging Measurements")
MEASUREMENT_GROUP: Final = _dcm("125007", "Measurement Group")
TRACKING_IDENTIFIER: Final = _dcm("112039", "Tracking Identifier")
TRACKING_UID: Final = _dcm("112040", "Tracking Unique Identifier")
FINDING: Final = _dcm("121071", "Finding")
FINDING_CATEGORY: Final = _sct("276214006", "Finding category")
FINDING_SITE: Final = _sct("363698007", "Finding Site")
REFERENCED_SEGMENT: Final = _dcm("121191", "Referenced Segment")
SOURCE_SERIES: Final = _dcm("121232", "Source series for segmentation")
ANALYSIS_PERFORMED: Final = _dcm("111004", "Analysis Performed")
CALCIUM_SCORING: Final = _dcm("122603", "Calcium Scoring Analysis")
COMMENT: Final = _dcm("121106", "Comment")
CARDIOVASCULAR_REPORT: Final = _dcm("122600", "Cardiovascular Analysis Report")
FINDINGS: Final = _dcm("121070", "Findings")
IMPRESSIONS: Final = Code("19005-8", "LN", "Impressions")
IMPRESSION: Final = _dcm("121073", "Impression")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
PERSON_NAME: Final = _dcm("121008", "Person Observer Name")
LANGUAGE: Final = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en-US", "RFC5646", "English (United States)")
PROCEDURE_REPORTED: Final = _dcm("121058", "Procedure reported")
SCORING_CT: Final = _sct("426005005", "Cardiac CT for calcium scoring")
CARDIOVASCULAR_CT: Final = _sct("303680000", "cardiovascular CT")
YES: Final = _sct("373066001", "Yes")
NO: Final = _sct("373067005", "No")

# Who observed (TID 1001, TID 1004) and by what (TID 4019)
OBSERVER_TYPE: Final = _dcm("121005", "Observer Type")
DEVICE: Final = _dcm("121007", "Device")
OBSERVER_UID: Final = _dcm("121012", "Device Observer UID")
OBSERVER_NAME: Final = _dcm("121013", "Device Observer Name")
OBSERVER_MANUFACTURER: Final = _dcm("121014", "Device Observer Manufacturer")
OBSERVER_MODEL: Final = _dcm("121015", "Device Observer Model Name")
OBSERVER_SERIAL: Final = _dcm("121016", "Device Observer Serial Number")
ALGORITHM_NAME: Final = _dcm("111001", "Algorithm Name")
ALGORITHM_VERSION: Final = _dcm("111003", "Algorithm Version")
ALGORITHM_PARAMETERS: Final = _dcm("111002", "Algorithm Parameters")
ALGORITHM_FAMILY: Final = _dcm("111000", "Algorithm Family")
ARTIFICIAL_INTELLIGENCE: Final = _dcm("123110", "Artificial Intelligence")

# Segments and references
ABNORMAL_STRUCTURE: Final = _sct("49755003", "Morphologically Abnormal Structure")
CALCIFICATION: Final = _sct("18115005", "Pathologic calcification")
SEGMENTATION: Final = _dcm("113076", "Segmentation")
SOURCE_FOR_PROCESSING: Final = _dcm("121322", "Source image for image processing operation")
ACQUISITION_EQUIPMENT: Final = _dcm("109101", "Acquisition Equipment")
PROCESSING_EQUIPMENT: Final = _dcm("109102", "Processing Equipment")

# Private concepts: DICOM has no codes for risk categories, CAC-DRS, and how a disagreement was settled
RISK_CATEGORY: Final = private("CAC-CATEGORY", "Coronary artery calcium category")
CAC_DRS: Final = private("CAC-DRS", "CAC-DRS category")
SCORING_PROFILE: Final = private("PROFILE", "Scoring profile")
KVP_ADAPTED: Final = private("KVP-ADAPTED", "Thresholds adapted to the tube voltage")
OUTCOME: Final = private("OUTCOME", "Outcome of the review")
ASSESSMENT: Final = private("ASSESSMENT", "Assessment of this result")
RADPEER: Final = private("RADPEER", "RADPEER score of the human read")
SETTLED_BY: Final = private("SETTLED-BY", "Role of the person who settled it")
SETTLED_AT: Final = private("SETTLED-AT", "When it was settled")
DECISION_VERSION: Final = private("DECISION-VERSION", "Version of the decision")
SCORE_OF: Final = private("SCORE-OF", "Read that the settled score is of")
