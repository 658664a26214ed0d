import re

import pytest

from node.domain.eligibility import Reason, judge
from node.domain.kernels import KernelGrade, kernel_grade
from node.domain.policy import KernelPolicy, Policy, TextPolicy, Weights
from tests.node.domain.scans import stack


@pytest.mark.parametrize(
    "name",
    ["CaSc 3.0 B35f", "DS_CaSc 3.0 Qr36 75%", "CaScore", "SMART SCORE 2.5mm", "Calcium Score", "CACS", "Ca-Scoring",
     "Cardiac 3.0", "CALCIUMSCORE", "Agatston", "Kalkscore nativ"],
)  # fmt: skip
def test_names_of_calcium_scans_speak_for_the_series(name):
    verdict = judge(stack(48, series_description=name))
    assert verdict.eligible
    assert [note.reason for note in verdict.notes] == [Reason.CALCIUM_TEXT]
    assert verdict.notes[0].weight < 0


@pytest.mark.parametrize(
    "name",
    ["CTA 3.0", "Coronary CTA", "CCTA_0.6", "ANGIO HEART", "CHEST WITH CONTRAST", "CHEST W WO CONTRAST", "Thorax C+",
     "ARTERIAL", "Venous 3.0", "TEST BOLUS", "THORAX MIT KM", "POST CONTRAST", "delayed enhancement",
     "WITHOUT AND WITH CONTRAST", "CHEST W/WO CONTRAST"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["series_description", "protocol", "study_description"])
def test_a_contrast_phase_in_any_description_declines_what_nothing_else_names(name, where):
    verdict = judge(stack(48, **{where: name}))
    assert [finding.reason for finding in verdict.reasons] == [Reason.CONTRAST]


@pytest.mark.parametrize(
    "name",
    ["CT CHEST W/O CONTRAST", "CT CHEST WO IV CONTRAST", "CHEST WITHOUT CONTRAST", "HEART NON-CONTRAST", "NONCON HEART",
     "THORAX OHNE KONTRASTMITTEL", "unenhanced", "Nativ", "PRE CONTRAST", "THORAX OHNE KM", "ECG non contrast",
     "CHEST NO CONTRAST", "pre-CTA scan"],
)  # fmt: skip
def test_words_that_deny_contrast_are_no_contrast(name):
    assert judge(stack(48, series_description=name)).note_texts == ()


def test_the_nearest_description_decides():
    within_angiography = {"protocol": "CorCTA with contrast", "study_description": "CT CORONARY ANGIO W CONTRAST"}
    named = judge(stack(48, series_description="CaSc 3.0", **within_angiography))
    assert named.eligible
    assert sorted(note.weight for note in named.notes) == [-0.5, 0.0, 0.0]
    phase = judge(stack(48, series_description="CTA 75 %", protocol="CaSc", study_description="Calcium score"))
    assert not phase.eligible
    assert any("protocol name says" in text for text in phase.note_texts)


def test_one_description_that_names_both_is_a_doubt():
    verdict = judge(stack(48, protocol="CaSc + CTA"))
    assert verdict.eligible
    assert sum(note.weight for note in verdict.notes) == 0.0


@pytest.mark.parametrize("silent", ["", " ", "NONE", "no"])
def test_a_contrast_field_that_says_none_is_none(silent):
    assert judge(stack(48, contrast=silent)).eligible


@pytest.mark.parametrize(
    ("gating", "options", "phase", "said"),
    [
        ("ECG", (), None, ""),
        ("", ("HELICAL", "ECG"), None, ""),
        ("", ("CARDIAC",), None, ""),
        ("", ("TP",), None, ""),
        ("", (), 75.0, ""),
        ("", ("TPS",), None, "gating: unknown"),
        ("", ("AXIAL MODE",), None, "gating: unknown"),
        ("NONE", (), None, "not ECG-gated"),
        ("NONE", (), 75.0, ""),
    ],
)
def test_gating_is_known_unknown_or_denied(gating, options, phase, said):
    texts = judge(stack(48, gating=gating, scan_options=options, cardiac_phase_percent=phase)).note_texts
    assert len(texts) == bool(said)
    assert said in "".join(texts)


@pytest.mark.parametrize("where", ["body_part", "series_description"])
def test_another_part_of_the_body_is_a_doubt_and_two_are_enough(where):
    verdict = judge(stack(48, **{where: "ABDOMEN"}))
    assert verdict.eligible
    assert [note.reason for note in verdict.notes] == [Reason.BODY_PART]
    assert not judge(stack(48, body_part="HEAD", series_description="Head 3.0")).eligible


@pytest.mark.parametrize(
    ("kernel", "grade"),
    [
        *((name, KernelGrade.PREFERRED) for name in ("B35F", "I30F 3", "QR36D 3", "SA36F", "STANDARD", "FC12", "B")),
        *((name, KernelGrade.SOFT) for name in ("B30F", "B40F", "BR36", "BV40D 3")),
        *((name, KernelGrade.FIRM) for name in ("B43F", "BR44", "DETAIL")),
        *((name, KernelGrade.SHARP) for name in ("B50F", "B70F", "BL57D", "LUNG", "BONEPLUS", "FC51", "FC30", "YA")),
        *((name, KernelGrade.UNKNOWN) for name in ("", "FC03", "SOFT", "C", "IMR1")),
    ],
)
def test_kernels(kernel, grade):
    assert kernel_grade(kernel, KernelPolicy()) is grade


def test_a_kernel_that_is_not_known_or_not_given_is_only_noted():
    assert judge(stack(48, kernel="IMR1")).note_texts == ("reconstruction kernel IMR1 is not known here",)
    assert judge(stack(48, kernel="")).note_texts == ("reconstruction kernel is not given",)


def test_a_site_may_add_its_own_kernels_and_names():
    policy = Policy(kernel=KernelPolicy(sharp=(r"B3.*",), preferred=()), text=TextPolicy(calcium=(r"verkalkung",)))
    assert not judge(stack(48, kernel="B35f"), policy).eligible
    noted = judge(stack(48, series_description="Verkalkung"), policy)
    assert [note.reason for note in noted.notes] == [Reason.CALCIUM_TEXT]


@pytest.mark.parametrize(
    "policy",
    [
        lambda: Policy(threshold=0.0),
        lambda: Policy(spacing_mm=(3.0, 1.0)),
        lambda: Policy(assume_kvp=110.0),
        lambda: Policy(weights=Weights(order=float("nan"))),
        lambda: Policy(text=TextPolicy(calcium=("(",))),
        lambda: Policy(kernel=KernelPolicy(numbered="[")),
    ],
)
def test_impossible_policies_are_refused(policy):
    with pytest.raises(ValueError, match=re.compile("threshold|spacing|assumed|weights|regular expression")):
        policy()


def test_what_every_slice_says_is_said_once():
    each = [stack(48, gating="", acquisition_time=f"2026010210153{n % 10}")[n] for n in range(48)]
    assert [note.reason for note in judge(each).notes] == [Reason.GATING]
