"""The classes the networks tell apart, numbered once for training and reading."""

from __future__ import annotations

from enum import IntEnum


class Territory(IntEnum):
    """What calcium at a voxel would belong to. 1..6 are the labels of :class:`model.lesions.Vessel`."""

    BACKGROUND = 0
    LM = 1
    LAD = 2
    LCX = 3
    RCA = 4
    AV = 5
    TA = 6
    CONFUSER = 7
    """Calcium or metal that is never scored: mitral annulus, papillary muscle, pericardium, nodes, stents, leads."""


class Anatomy(IntEnum):
    """Tissue classes of the fine network."""

    OTHER = 0
    LEFT_VENTRICLE = 1
    RIGHT_VENTRICLE = 2
    LEFT_ATRIUM = 3
    RIGHT_ATRIUM = 4
    ASCENDING_AORTA = 5
    PULMONARY_ARTERY = 6
    DESCENDING_AORTA = 7
    BONE = 8
    LUNG = 9
    ABDOMEN = 10
    EPICARDIAL = 11
    """Everything else inside the pericardium: fat, walls, coronaries."""


class Organ(IntEnum):
    """Classes of the coarse localiser."""

    OTHER = 0
    HEART = 1
    AORTA = 2
    LIVER = 3
    STOMACH = 4
    LUNG = 5
    BONE = 6
    ABDOMEN = 7
