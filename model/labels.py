"""The classes the networks tell apart, numbered once for training and reading."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Territory(IntEnum):
    """What calcium at a voxel would belong to. 1..6 are the labels of :class:`model.lesions.Vessel`.

    CONFUSER is calcium or metal that is never scored: mitral annulus, papillary muscle, pericardium, nodes, stents,
    leads.
    """

    BACKGROUND = 0
    LM = 1
    LAD = 2
    LCX = 3
    RCA = 4
    AV = 5
    TA = 6
    CONFUSER = 7


class Anatomy(IntEnum):
    """Tissue classes of the fine network. EPICARDIAL is what else lies inside the pericardium."""

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
    STOMACH = 11
    EPICARDIAL = 12


class Organ(IntEnum):
    """Classes of the coarse localiser; older bundles know only the first eight, so new ones go to the end.

    HEART is chambers, walls and epicardial fat, ROOT the lowest 35 mm of the ascending aorta, AORTA the rest of it with
    the descending aorta. ABDOMEN is mostly liver. DIAPHRAGM is the rim of the abdomen towards lungs and heart.
    """

    OTHER = 0
    HEART = 1
    AORTA = 2
    PULMONARY_ARTERY = 3
    ABDOMEN = 4
    STOMACH = 5
    LUNG = 6
    BONE = 7
    ROOT = 8
    DIAPHRAGM = 9


ORGAN_OF: Final = {
    Anatomy.OTHER: Organ.OTHER,
    Anatomy.LEFT_VENTRICLE: Organ.HEART,
    Anatomy.RIGHT_VENTRICLE: Organ.HEART,
    Anatomy.LEFT_ATRIUM: Organ.HEART,
    Anatomy.RIGHT_ATRIUM: Organ.HEART,
    Anatomy.EPICARDIAL: Organ.HEART,
    Anatomy.ASCENDING_AORTA: Organ.AORTA,
    Anatomy.DESCENDING_AORTA: Organ.AORTA,
    Anatomy.PULMONARY_ARTERY: Organ.PULMONARY_ARTERY,
    Anatomy.BONE: Organ.BONE,
    Anatomy.LUNG: Organ.LUNG,
    Anatomy.ABDOMEN: Organ.ABDOMEN,
    Anatomy.STOMACH: Organ.STOMACH,
}
