from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from node.stages.labels_file import pack_labels, unpack_labels

LABELS = npst.arrays(np.uint8, npst.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 6))


@given(LABELS)
def test_labels_come_back_as_they_were(labels):
    back = unpack_labels(pack_labels(labels))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, labels)


@given(LABELS)
def test_equal_labels_give_equal_bytes_whatever_their_layout(labels):
    assert pack_labels(np.asfortranarray(labels)) == pack_labels(labels.copy())


def test_labels_that_are_no_plain_array_are_packed_by_place():
    labels = np.zeros((4, 6, 8), np.uint8)
    labels[1, 2, 3] = 5
    turned = labels.transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(unpack_labels(pack_labels(turned)), turned)


def test_a_mask_takes_little_room():
    labels = np.zeros((50, 512, 512), np.uint8)
    labels[20, 100:110, 100:110] = 2
    assert len(pack_labels(labels)) < 3000
