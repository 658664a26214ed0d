import numpy as np
import pytest

from model.components import Voxels
from model.labels import Anatomy
from model.preprocess import FIELD
from model.spots import BONE_MM2, LARGEST_MM2, Spots


def two(area_mm2):
    """Two components of four voxels each, side by side in slice 1."""
    index = np.array([[1] * 8, [20, 20, 21, 21] * 2, [30, 31, 30, 31, 60, 61, 60, 61]])
    return Spots(
        voxels=Voxels(label=np.ones(8, np.uint8), index=index, hu=np.full(8, 400, np.int16), shape=(3, FIELD, FIELD)),
        pixel=index,
        component=np.repeat([0, 1], 4),
        starts=np.array([0, 4]),
        area_mm2=np.array([area_mm2, area_mm2]),
        peak_hu=np.array([400.0, 400.0]),
        touching=np.zeros((2, 0), np.int64),
        middle=np.array([[1, 20.5, 30.5], [1, 20.5, 60.5]]),
    )


@pytest.mark.parametrize(
    ("area", "pixels_of_bone", "bones"),
    [
        (BONE_MM2, 2, [True, False]),
        (BONE_MM2, 1, [False, False]),  # less than half of it
        (BONE_MM2 - 1, 4, [False, False]),  # small: where aorta and spine touch a judge decides
        (LARGEST_MM2, 0, [False, False]),
        (LARGEST_MM2 + 1, 0, [True, True]),
    ],
)
def test_bone_is_what_is_large_and_lies_in_bone_or_larger_than_any_calcium(area, pixels_of_bone, bones):
    spots = two(area)
    anatomy = np.zeros((3, FIELD, FIELD), np.uint8)
    anatomy[tuple(spots.pixel[:, :pixels_of_bone])] = Anatomy.BONE
    assert spots.bones(anatomy).tolist() == bones


def test_components_that_touch_are_one_thing():
    spots = two(5.0)
    assert spots.things == 2
    joined = Spots(**{name: getattr(spots, name) for name in Spots.__slots__} | {"touching": np.array([[0], [1]])})
    assert joined.things == 1
    assert spots.where(np.array([False, False])).things == 0
