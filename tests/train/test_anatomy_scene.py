"""Drawn patients keep the topology of the atlas, however much they are warped."""

import numpy as np
import pytest
import torch

from model.lesions import Vessel
from train.anatomy.frame import Frame, arc_length, smooth_noise
from train.anatomy.ranges import AnatomyRanges, CoronaryRanges
from train.anatomy.scene import Patient, draw_patient

FRAME = Frame(shape=(50, 70, 70), spacing_mm=(3.0, 3.5, 3.5))
Z, Y, X = 0, 1, 2


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [draw_patient(seed, FRAME, AnatomyRanges()) for seed in range(8)]


def course(patient: Patient, name: str):
    return next(course for course in patient.body.courses if course.name == name)


def in_view(points: np.ndarray) -> np.ndarray:
    return points[np.all(np.abs(points) < FRAME.half_extent_mm(), axis=1)]


def test_left_main_starts_at_the_aortic_root(patients) -> None:
    for patient in patients:
        start = course(patient, "LM").points[:1]
        if len(in_view(start)):
            assert abs(FRAME.sample(patient.body.heart.aorta_wall, start)[0]) < 5.0


def test_left_main_passes_between_pulmonary_trunk_and_left_atrium(patients) -> None:
    for patient in patients:
        points = in_view(course(patient, "LM").points)
        if len(points):
            assert FRAME.sample(patient.body.heart.pulmonary_wall, points).min() < 12.0
            assert FRAME.sample(patient.body.heart.la_wall, points).min() < 16.0


@pytest.mark.parametrize(
    ("name", "walls"),
    [("LAD", ("lv_wall", "rv_wall")), ("LCX", ("la_wall", "lv_wall")), ("RCA", ("ra_wall", "rv_wall"))],
)
def test_trunks_stay_in_their_grooves(patients, name, walls) -> None:
    for patient in patients:
        points = in_view(course(patient, name).points[30:])
        if len(points) < 10:
            continue
        for wall in walls:
            assert np.median(FRAME.sample(getattr(patient.body.heart, wall), points)) < 13.0


def test_coronaries_are_on_the_muscle_and_inside_the_pericardium(patients) -> None:
    for patient in patients:
        points = in_view(np.concatenate([course.points for course in patient.body.courses]))
        assert np.mean(FRAME.sample(patient.body.heart.muscle(), points) < -1.5) < 0.02
        assert np.mean(FRAME.sample(patient.body.heart.pericardium, points) > 0.5) < 0.02


def test_vessels_lie_on_their_side(patients) -> None:
    for patient in patients:
        middle = {name: course(patient, name).points.mean(axis=0) for name in ("LAD", "LCX", "RCA")}
        assert middle["RCA"][X] < middle["LAD"][X] - 15
        assert middle["RCA"][X] < middle["LCX"][X] - 15
        assert middle["LAD"][Y] < middle["LCX"][Y] - 15


def test_dominance_decides_who_feeds_the_posterior_wall() -> None:
    left = AnatomyRanges(coronaries=CoronaryRanges(right_dominant=0.0, codominant=0.0))
    right = AnatomyRanges(coronaries=CoronaryRanges(right_dominant=1.0))
    assert course(draw_patient(1, FRAME, left), "PDA").vessel is Vessel.LCX
    assert course(draw_patient(1, FRAME, right), "PDA").vessel is Vessel.RCA


def test_left_main_follows_the_drawn_length() -> None:
    stems = []
    for length in (4.0, 10.0, 15.0):
        ranges = AnatomyRanges(coronaries=CoronaryRanges(main_stem_mm=(length, length), wiggle_mm=(0.0, 0.0)))
        patient = draw_patient(2, FRAME, ranges)
        stems.append(arc_length(course(patient, "LM").points)[-1] / patient.body.heart.pose.scale)
    assert np.allclose(stems, (4.0, 10.0, 15.0), atol=6.0)  # the ostium moves with the aorta's wall
    assert stems[0] < stems[1] < stems[2]


def test_coronary_plaques_lie_on_their_vessel(patients) -> None:
    for patient in patients:
        calcium = patient.scene.calcium
        for vessel in (Vessel.LM, Vessel.LAD, Vessel.LCX, Vessel.RCA):
            mine = calcium.centres[calcium.label == vessel.label]
            points = np.concatenate([c.points for c in patient.body.courses if c.vessel is vessel])
            for centre in mine:
                assert np.linalg.norm(points - centre, axis=1).min() < 3.5


def test_descending_aorta_stays_off_the_spine(patients) -> None:
    for patient in patients:
        inside = patient.body.mediastinum.descending_lumen < -2
        assert float(((patient.body.skeleton.vertebrae < -2) & inside).float().sum()) < 0.03 * float(inside.sum())


def test_heart_lies_above_the_diaphragm_and_before_the_spine(patients) -> None:
    for patient in patients:
        heart = patient.body.heart
        z, y, _ = FRAME.coordinates()
        abdomen = (patient.body.abdomen.below < 0) & (patient.body.chest.cavity < 0)
        assert float((abdomen * z).sum() / abdomen.sum()) < heart.centre_mm[Z] - 25
        spine = patient.body.skeleton.vertebrae < 0
        assert float((spine * y).sum() / spine.sum()) > heart.centre_mm[Y] + 40


def test_noise_field_is_standardised() -> None:
    values = torch.stack([smooth_noise(np.random.default_rng(k), FRAME, 20.0) for k in range(6)])
    assert 0.7 < float(values.std()) < 1.4
    assert abs(float(values.mean())) < 0.1
