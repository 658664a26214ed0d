import numpy as np

from model.touching import lesion_of


def test_what_touches_by_way_of_another_is_one_lesion():
    lesion = lesion_of(np.array([[0, 2, 4], [2, 3, 1]]), 6)
    assert lesion[0] == lesion[2] == lesion[3]
    assert lesion[1] == lesion[4]
    assert len({int(lesion[k]) for k in (0, 1, 5)}) == 3


def test_no_component_no_lesion():
    assert lesion_of(np.zeros((2, 0), np.int64), 0).shape == (0,)
