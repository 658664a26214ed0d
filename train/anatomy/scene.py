"""Compose one patient from a seed: body, coronaries, calcium, and the order in which they are painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.anatomy.abdomen import Abdomen, abdominal_layers, draw_abdomen
from train.anatomy.atlas import HeartAtlas, load_atlas
from train.anatomy.burden import Burden, draw_burden
from train.anatomy.confusers import other_calcium
from train.anatomy.coronaries import Course, draw_coronaries
from train.anatomy.fluids import hernia_layers, lung_layers, pericardial_layers
from train.anatomy.frame import Frame, smooth_noise
from train.anatomy.heart import Heart, place_heart
from train.anatomy.implants import metal
from train.anatomy.labels import Anatomy
from train.anatomy.layers import Balls, Layer, Region, Scene, balls, joined
from train.anatomy.lungs import lung_vessels
from train.anatomy.mediastinum import Mediastinum, crural_layers, draw_mediastinum, mediastinal_layers
from train.anatomy.plaques import aortic_calcium, coronary_calcium, valve_calcium
from train.anatomy.pose import draw_pose
from train.anatomy.ranges import AnatomyRanges, BodyRanges
from train.anatomy.settling import settle, sheathe
from train.anatomy.spurs import wear
from train.anatomy.streams import Stream, stream
from train.anatomy.thorax import Chest, Skeleton, draw_chest, draw_skeleton, wall_layers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Body:
    """One drawn body; ``lung`` is the signed distance to the lungs."""

    heart: Heart
    courses: tuple[Course, ...]
    chest: Chest
    skeleton: Skeleton
    mediastinum: Mediastinum
    abdomen: Abdomen
    lung: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """What to render, and what tests and territories need to know of it."""

    body: Body
    burden: Burden
    scene: Scene


def draw_patient(seed: int, frame: Frame, ranges: AnatomyRanges) -> Patient:
    """Draw and compose a patient on a lattice; deterministic for a seed, frame and ranges.

    Raises
    ------
    ValueError
        If the ranges put the heart outside the lattice.

    """
    atlas = load_atlas()
    body = _draw_body(seed, frame, ranges, atlas)
    burden = draw_burden(stream(seed, Stream.BURDEN), ranges.cohort)
    findings = stream(seed, Stream.FLUIDS)
    layers, blood_hu = _layers(stream(seed, Stream.TISSUE), findings, body, ranges.body)
    vessels = lung_vessels(stream(seed, Stream.LUNGS), frame, body.lung, body.mediastinum.hila, blood_hu)
    lumens = [balls(course.points, course.radius_mm, blood_hu) for course in body.courses]
    scene = Scene(
        layers=layers,
        regions=_regions(body),
        tissue=joined([vessels, *lumens]),
        calcium=_calcium(seed, body, burden, ranges, atlas),
    )
    return Patient(body=body, burden=burden, scene=scene)


def _draw_body(seed: int, frame: Frame, ranges: AnatomyRanges, atlas: HeartAtlas) -> Body:
    pose = draw_pose(stream(seed, Stream.POSE), frame, atlas, ranges.heart)
    heart = place_heart(stream(seed, Stream.HEART), pose, atlas, ranges.heart)
    courses = settle(draw_coronaries(stream(seed, Stream.CORONARIES), pose, atlas, ranges.coronaries), heart)
    heart = sheathe(heart, courses)
    rng = stream(seed, Stream.THORAX)
    chest = draw_chest(rng, heart, ranges.body)
    skeleton = draw_skeleton(rng, chest, heart, ranges.body)
    middle = draw_mediastinum(stream(seed, Stream.MEDIASTINUM), heart, chest, skeleton)
    skeleton = wear(stream(seed, Stream.SPINE), skeleton, middle.descending, frame, ranges.body)
    abdomen = draw_abdomen(stream(seed, Stream.ABDOMEN), heart, chest, skeleton.back_muscle)
    lung = torch.stack([chest.cavity, -middle.outline, -abdomen.below, -skeleton.back_muscle]).amax(dim=0)
    return Body(
        heart=heart, courses=courses, chest=chest, skeleton=skeleton, mediastinum=middle, abdomen=abdomen, lung=lung
    )


def _layers(
    rng: np.random.Generator, findings: np.random.Generator, body: Body, ranges: BodyRanges
) -> tuple[list[Layer], float]:
    """All tissues in painting order, and the blood's HU."""
    frame = body.heart.frame
    fat = rng.uniform(*ranges.fat_hu)
    blood = rng.uniform(*ranges.blood_hu)
    fat_field = fat + smooth_noise(rng, frame, 6.0) * 9
    air_field = rng.uniform(*ranges.lung_hu) + smooth_noise(rng, frame, 16.0) * 22
    layers = [
        *wall_layers(rng, body.chest, ranges, fat),
        Layer(distance=body.chest.cavity, hu=fat_field),
        *abdominal_layers(rng, body.abdomen, body.chest, ranges, fat),
        *crural_layers(rng, body.mediastinum, body.abdomen.below, fat),
        Layer(distance=body.lung, hu=air_field),
        *lung_layers(findings, body.lung, body.chest, ranges),
        *mediastinal_layers(rng, body.mediastinum, body.heart, blood),
        *hernia_layers(findings, body.mediastinum, body.abdomen, body.heart, ranges),
        *body.skeleton.layers,
        *_heart_layers(rng, body.heart, blood, fat_field, pericardial_layers(findings, body.heart, ranges)),
    ]
    return layers, blood


def _heart_layers(
    rng: np.random.Generator, heart: Heart, blood: float, fat_field: Tensor, fluid: list[Layer]
) -> list[Layer]:
    pools = blood + smooth_noise(rng, heart.frame, 8.0) * 2
    walls = (heart.cavae, heart.ra_wall, heart.rv_wall, heart.la_wall)
    return [
        Layer(distance=heart.pericardium - 1.2, hu=20.0, opacity=rng.uniform(0, 0.8)),
        Layer(distance=heart.pericardium, hu=fat_field + rng.uniform(0, 20)),
        *fluid,
        *(Layer(distance=wall, hu=pools + rng.uniform(-3, 4)) for wall in walls),
        Layer(distance=heart.lv_wall, hu=pools + rng.uniform(-3, 12)),
        Layer(distance=heart.lv, hu=pools),
        Layer(distance=heart.pulmonary_wall, hu=pools),
        Layer(distance=heart.aorta_wall, hu=pools + rng.uniform(0, 10)),
        Layer(distance=heart.aorta, hu=pools),
    ]


def _calcium(seed: int, body: Body, burden: Burden, ranges: AnatomyRanges, atlas: HeartAtlas) -> Balls:
    rng = stream(seed, Stream.PLAQUES)
    odds = ranges.confusers
    scored = [
        coronary_calcium(rng, burden, body.courses),
        valve_calcium(rng, burden.valve, body.heart, atlas),
        aortic_calcium(rng, burden, body.heart, _free_aorta(body)),
    ]
    other = other_calcium(stream(seed, Stream.CONFUSERS), body.heart, body.mediastinum, body.lung, odds)
    implants = metal(stream(seed, Stream.METAL), body.heart, body.courses, (body.chest, body.skeleton), odds)
    return joined([*scored, other, implants])


def _free_aorta(body: Body) -> Tensor:
    """Distance to the descending aorta's lumen where neither bone nor heart covers it."""
    covered = (body.skeleton.bone < 1.0) | (body.heart.muscle() < 1.0)
    return body.mediastinum.descending_lumen + covered * 50.0


def _regions(body: Body) -> list[Region]:
    heart, cavity = body.heart, body.chest.cavity
    return [
        Region(distance=body.lung, label=Anatomy.LUNG),
        Region(distance=torch.maximum(cavity, body.abdomen.below), label=Anatomy.ABDOMEN),
        Region(distance=torch.maximum(cavity, body.abdomen.stomach), label=Anatomy.STOMACH),
        Region(distance=body.mediastinum.descending, label=Anatomy.DESCENDING),
        Region(distance=body.skeleton.bone, label=Anatomy.BONE),
        Region(distance=heart.pericardium, label=Anatomy.EPICARDIAL),
        Region(distance=heart.ra_wall, label=Anatomy.RA),
        Region(distance=heart.rv_wall, label=Anatomy.RV),
        Region(distance=heart.la_wall, label=Anatomy.LA),
        Region(distance=heart.lv_wall, label=Anatomy.LV),
        Region(distance=heart.pulmonary_wall, label=Anatomy.PULMONARY),
        Region(distance=heart.aorta_wall, label=Anatomy.AORTA),
    ]
