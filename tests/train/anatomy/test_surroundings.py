"""Bones, implants and other look-alikes: where they lie and what they are called."""

from dataclasses import fields, replace

import numpy as np
import pytest

from train.anatomy.fluids import hernia_layers
from train.anatomy.implants import metal
from train.anatomy.labels import CONFUSER, Anatomy
from train.anatomy.ranges import AnatomyRanges, BodyRanges, ConfuserRanges
from train.anatomy.scene import Patient, draw_patient
from train.anatomy.spurs import wear
from train.cases import Case, Recipe, make_case
from train.imaging.raster import PixelGrid

FRAME = PixelGrid(shape=(40, 64, 64), spacing_mm=(3.0, 3.5, 3.5), per_slice=1).frame(3.5, "cpu")
ALWAYS = ConfuserRanges(**{part.name: 1.0 for part in fields(ConfuserRanges)})
SPURS = BodyRanges(spurs=1.0, calcified_ligament=1.0, spur_mm=(9.0, 10.0))


@pytest.fixture(scope="module")
def patient() -> Patient:
    return draw_patient(3, FRAME, AnatomyRanges(body=SPURS, confusers=ALWAYS))


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    recipe = Recipe(matrix=96, pixel_mm=2.0, slices=(40, 40), lattice_mm=4.0, anatomy=AnatomyRanges(body=SPURS))
    return [make_case(seed, recipe) for seed in range(3)]


def test_spurs_are_bone_that_was_not_there(patient) -> None:
    body = patient.body
    plain = replace(SPURS, spurs=0.0, calcified_ligament=0.0)
    counts = []
    for ranges in (plain, SPURS):
        skeleton = wear(np.random.default_rng(1), body.skeleton, body.mediastinum.descending + 99, FRAME, ranges)
        counts.append(int((skeleton.bone < 0).sum()))
    assert counts[1] > counts[0]


def test_wear_stays_out_of_the_aorta_and_near_it(patient) -> None:
    body = patient.body
    bare = body.skeleton.bone + 99  # so that all bone is what wear adds
    stripped = replace(body.skeleton, bone=bare)
    grown = wear(np.random.default_rng(2), stripped, body.mediastinum.descending, FRAME, SPURS).bone < 0
    assert grown.any()
    assert float(body.mediastinum.descending[grown].min()) >= 0


def test_implants_are_confusers(patient) -> None:
    body = patient.body
    found = metal(np.random.default_rng(4), body.heart, body.courses, (body.chest, body.skeleton), ALWAYS)
    assert len(found.label) > 200
    assert set(found.label.tolist()) == {CONFUSER}


def test_everything_planted_is_scored_calcium_or_a_confuser(patient) -> None:
    assert set(patient.scene.calcium.label.tolist()) <= set(range(1, CONFUSER + 1))
    assert (patient.scene.calcium.label == CONFUSER).any()


def test_calcium_that_is_scored_is_never_on_bone(cases) -> None:
    for case in cases:
        scored = (case.calcium > 0) & (case.calcium < CONFUSER) & (case.hu >= 130)
        assert np.count_nonzero(scored & (case.anatomy == Anatomy.BONE)) <= 0.02 * max(np.count_nonzero(scored), 50)


def test_unseen_ranges_are_harder() -> None:
    for part in fields(ConfuserRanges):
        assert getattr(ConfuserRanges.unseen(), part.name) > getattr(ConfuserRanges(), part.name)
    assert BodyRanges.unseen().spur_mm[1] > BodyRanges().spur_mm[1]
    assert BodyRanges.unseen().spurs > BodyRanges().spurs


def test_dense_gullet_stays_out_of_the_aorta(patient) -> None:
    body = patient.body
    ranges = BodyRanges(dense_gullet=1.0, hernia=0.0, dense_stomach=0.0)
    # an oesophagus that lies where the aorta is: what it holds may not be painted into the vessel
    parts = replace(body.mediastinum, oesophagus=body.mediastinum.descending)
    (core,) = hernia_layers(np.random.default_rng(5), parts, body.abdomen, body.heart, ranges)
    assert not ((core.distance < 0) & (body.mediastinum.descending < 0)).any()
