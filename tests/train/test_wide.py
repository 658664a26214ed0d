import numpy as np

from model.labels import Anatomy, Organ
from train.commands.prepare import store_wide
from train.views import Volume
from train.wide import wide_case, wide_paths


def test_whole_chests_are_made_once_and_reach_above_and_below_the_heart(tmp_path):
    store_wide(tmp_path, 2)
    first, second = wide_paths(tmp_path)
    before = first.stat().st_mtime_ns
    store_wide(tmp_path, 2)
    assert first.stat().st_mtime_ns == before
    volumes = [Volume.read(path) for path in (first, second)]
    case = wide_case(1)
    np.testing.assert_array_equal(volumes[1].hu, case.hu)
    for volume in volumes:
        assert volume.hu.shape[1:] == (96, 96)
        assert 240 <= len(volume.hu) * 4 <= 340
        heart = np.flatnonzero((volume.organs == Organ.HEART).any(axis=(1, 2)))
        assert heart[0] > 10
        assert set(np.unique(volume.organs)) == set(Organ)
    assert (case.anatomy == Anatomy.LEFT_VENTRICLE).any()
