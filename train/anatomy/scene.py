"""Compose one patient from a seed: heart, thorax, abdomen, coronaries, calcium."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from train.anatomy.abdomen import Abdomen, abdominal_layers, draw_abdomen
from train.anatomy.atlas import HeartAtlas, load_atlas
from train.anatomy.burden import Burden, draw_burden
from train.anatomy.confusers import metal, other_calcium
from train.anatomy.coronaries import Course, draw_coronaries
from train.anatomy.frame import Frame, smooth_noise
from train.anatomy.heart import Heart, place_heart
from train.anatomy.labels import Anatomy
from train.anatomy.layers import Balls, Layer, Region, Scene, balls, joined
from train.anatomy.lungs import lung_vessels
from train.anatomy.mediastinum import Mediastinum, draw_mediastinum, mediastinal_layers
from train.anatomy.plaques import aortic_calcium, coronary_calcium, valve_calcium
from train.anatomy.pose import draw_pose
from train.anatomy.ranges import AnatomyRanges
from train.anatomy.thorax import Chest, Skeleton, draw_chest, draw_skeleton, wall_layers


class Stream(IntEnum):
    """Independent random streams of one case, so that a change in one part leaves the others as they were."""

    POSE = 0
    HEART = 1
    CORONARIES = 2
    THORAX = 3
    MEDIASTINUM = 4
    ABDOMEN = 5
    LUNGS = 6
    BURDEN = 7
    PLAQUES = 8
    CONFUSERS = 9
    METAL = 10
    TISSUE = 11
    IMAGING = 12
    GEOMETRY = 13


def stream(seed: int, which: Stream) -> np.random.Generator:
    """Random numbers of one part of one case."""
    return np.random.default_rng([seed, int(which)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """One drawn patient: what to render, and what tests and territories need."""

    scene: Scene
    heart: Heart
    mediastinum: Mediastinum
    courses: tuple[Course, ...]
    burden: Burden


def draw_patient(seed: int, frame: Frame, ranges: AnatomyRanges) -> Patient:
    """Draw and compose a patient on a lattice; deterministic for a seed, frame and ranges."""
    atlas = load_atlas()
    pose = draw_pose(stream(seed, Stream.POSE), frame, atlas, ranges.heart)
    heart = place_heart(stream(seed, Stream.HEART), pose, atlas, ranges.heart)
    courses = draw_coronaries(stream(seed, Stream.CORONARIES), pose, atlas, ranges.coronaries)
    rng = stream(seed, Stream.THORAX)
    chest = draw_chest(rng, heart, ranges.body)
    skeleton = draw_skeleton(rng, chest, heart, ranges.body)
    middle = draw_mediastinum(stream(seed, Stream.MEDIASTINUM), heart, chest, skeleton.vertebrae)
    abdomen = draw_abdomen(stream(seed, Stream.ABDOMEN), heart, chest)
    lung = torch.stack([chest.cavity, -middle.outline, -abdomen.below]).amax(dim=0)
    layers, tissue = _paint(seed, heart, chest, skeleton, middle, abdomen, lung, courses, ranges)
    burden = draw_burden(stream(seed, Stream.BURDEN), ranges.cohort)
    calcium = _calcium(seed, burden, heart, middle, skeleton, lung, courses, ranges, atlas)
    regions = _regions(heart, chest, skeleton, middle, abdomen, lung)
    scene = Scene(layers=layers, regions=regions, tissue=tissue, calcium=calcium)
    return Patient(scene=scene, heart=heart, mediastinum=middle, courses=courses, burden=burden)


def _paint(  # noqa: PLR0913 - the painter needs every part of the body, once
    seed: int, heart: Heart, chest: Chest, skeleton: Skeleton, middle: Mediastinum, abdomen: Abdomen, lung: Tensor,
    courses: tuple[Course, ...], ranges: AnatomyRanges,
) -> tuple[list[Layer], Balls]:  # fmt: skip
    rng = stream(seed, Stream.TISSUE)
    body = ranges.body
    frame = heart.frame
    fat = rng.uniform(*body.fat_hu)
    blood = rng.uniform(*body.blood_hu)
    fat_field = fat + smooth_noise(rng, frame, 6.0) * 9
    layers = wall_layers(rng, chest, body, fat)
    layers.append(Layer(distance=chest.cavity, hu=fat_field))
    layers += abdominal_layers(rng, abdomen, chest, body, fat)
    layers.append(Layer(distance=lung, hu=rng.uniform(*body.lung_hu) + smooth_noise(rng, frame, 16.0) * 22))
    layers += mediastinal_layers(rng, middle, heart, blood)
    layers += skeleton.layers
    layers += _heart_layers(rng, heart, blood, fat_field)
    vessels = lung_vessels(stream(seed, Stream.LUNGS), frame, lung, middle.hila, blood)
    lumens = [balls(course.points, course.radius_mm, blood + 4) for course in courses]
    return layers, joined([vessels, *lumens])


def _heart_layers(rng: np.random.Generator, heart: Heart, blood: float, fat_field: Tensor) -> list[Layer]:
    pools = blood + smooth_noise(rng, heart.frame, 8.0) * 2
    layers = [
        Layer(distance=heart.pericardium - 1.2, hu=20.0, opacity=rng.uniform(0, 0.8)),
        Layer(distance=heart.pericardium, hu=fat_field + rng.uniform(0, 20)),
    ]
    for wall in (heart.ra_wall, heart.rv_wall, heart.la_wall):
        layers.append(Layer(distance=wall, hu=pools + rng.uniform(-3, 4)))
    layers.append(Layer(distance=heart.lv_wall, hu=pools + rng.uniform(-3, 12)))
    layers.append(Layer(distance=heart.lv, hu=pools))
    layers.append(Layer(distance=heart.pulmonary_wall, hu=pools))
    layers.append(Layer(distance=heart.aorta_wall, hu=pools + rng.uniform(0, 10)))
    layers.append(Layer(distance=heart.aorta, hu=pools))
    return layers


def _calcium(  # noqa: PLR0913 - every part of the body can calcify
    seed: int, burden: Burden, heart: Heart, middle: Mediastinum, skeleton: Skeleton, lung: Tensor,
    courses: tuple[Course, ...], ranges: AnatomyRanges, atlas: HeartAtlas,
) -> Balls:  # fmt: skip
    rng = stream(seed, Stream.PLAQUES)
    return joined([
        coronary_calcium(rng, burden, courses),
        valve_calcium(rng, burden.valve, heart, atlas),
        aortic_calcium(rng, burden, heart, middle),
        other_calcium(stream(seed, Stream.CONFUSERS), heart, middle, lung, ranges.confusers),
        metal(stream(seed, Stream.METAL), heart, courses, skeleton, ranges.confusers, atlas),
    ])  # fmt: skip


def _regions(
    heart: Heart, chest: Chest, skeleton: Skeleton, middle: Mediastinum, abdomen: Abdomen, lung: Tensor
) -> list[Region]:
    under = torch.maximum(chest.cavity, abdomen.below)
    stomach = torch.maximum(chest.cavity, abdomen.stomach)
    return [
        Region(distance=lung, label=Anatomy.LUNG),
        Region(distance=under, label=Anatomy.ABDOMEN),
        Region(distance=stomach, label=Anatomy.STOMACH),
        Region(distance=middle.descending, label=Anatomy.DESCENDING),
        Region(distance=skeleton.bone, label=Anatomy.BONE),
        Region(distance=heart.pericardium, label=Anatomy.EPICARDIAL),
        Region(distance=heart.ra_wall, label=Anatomy.RA),
        Region(distance=heart.rv_wall, label=Anatomy.RV),
        Region(distance=heart.la_wall, label=Anatomy.LA),
        Region(distance=heart.lv_wall, label=Anatomy.LV),
        Region(distance=heart.pulmonary_wall, label=Anatomy.PULMONARY),
        Region(distance=heart.aorta_wall, label=Anatomy.AORTA),
    ]
