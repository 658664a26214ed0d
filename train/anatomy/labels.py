"""What a voxel of a phantom can belong to."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Anatomy(IntEnum):
    """Values of ``Case.anatomy``."""

    BACKGROUND = 0
    LV = 1
    RV = 2
    LA = 3
    RA = 4
    AORTA = 5  # root and ascending
    PULMONARY = 6
    DESCENDING = 7
    BONE = 8
    LUNG = 9
    ABDOMEN = 10  # liver, spleen, bowel, fat under the diaphragm
    STOMACH = 11
    EPICARDIAL = 12  # fat inside the pericardium


HEART: Final = (Anatomy.LV, Anatomy.RV, Anatomy.LA, Anatomy.RA)
CONFUSER: Final = 7
"""Value of ``Case.calcium`` and ``Case.territory`` for what is dense near the heart and never scored."""
