"""Cases are reproducible, and their truth is consistent with their image and anatomy."""

import dataclasses

import numpy as np
import pytest
import torch

from train.anatomy.labels import HEART, Anatomy
from train.anatomy.ranges import AnatomyRanges, Cohort, ConfuserRanges
from train.cases import Case, Recipe, draw_grid, full_resolution, make_case

SMALL = Recipe(matrix=160, pixel_mm=1.4, slices=(34, 36), lattice_mm=3.5, slice_mm=(4.0,))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small volumes gain nothing from threads, and a busy machine makes them wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cases(one_thread) -> list[Case]:
    recipe = dataclasses.replace(SMALL, anatomy=AnatomyRanges(cohort=Cohort.HIGH))
    return [make_case(seed, recipe) for seed in range(4)]


def test_same_seed_same_voxels() -> None:
    first, again, other = (make_case(seed, SMALL) for seed in (5, 5, 6))
    for name in ("hu", "calcium", "territory", "anatomy"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert first.hu.shape != other.hu.shape or not np.array_equal(first.hu, other.hu)


def test_arrays_agree_in_shape_and_kind(cases: list[Case]) -> None:
    for case in cases:
        assert case.hu.dtype == np.int16
        for labels in (case.calcium, case.territory, case.anatomy):
            assert labels.dtype == np.uint8
            assert labels.shape == case.hu.shape
        assert case.calcium.max() <= 7
        assert case.territory.max() <= 7
        assert case.anatomy.max() <= max(Anatomy)


def test_calcium_is_its_own_territory(cases: list[Case]) -> None:
    for case in cases:
        marked = case.calcium > 0
        assert np.array_equal(case.calcium[marked], case.territory[marked])


def test_calcium_is_denser_than_blood(cases: list[Case]) -> None:
    scored = np.concatenate([case.hu[(case.calcium > 0) & (case.calcium < 7)] for case in cases])
    blood = np.concatenate([case.hu[np.isin(case.anatomy, HEART) & (case.calcium == 0)] for case in cases])
    assert scored.mean() > blood.mean() + 60


def test_heart_centre_lies_in_the_heart(cases: list[Case]) -> None:
    for case in cases:
        index = np.argwhere(np.isin(case.anatomy, HEART)) * np.asarray(case.spacing_mm)
        assert np.linalg.norm(index.mean(axis=0) - case.heart_centre_mm) < 8.0


def test_hounsfield_units_by_tissue(cases: list[Case]) -> None:
    for case in cases:
        clean = case.calcium == 0
        blood = case.hu[(case.anatomy == Anatomy.LV) & clean].mean()
        lung = np.median(case.hu[case.anatomy == Anatomy.LUNG])
        bone = np.percentile(case.hu[case.anatomy == Anatomy.BONE], 90)
        assert 15 < blood < 75
        assert -960 < lung < -680
        assert bone > 200


def test_descending_aorta_and_spine_lie_behind_the_heart(cases: list[Case]) -> None:
    for case in cases:
        rows = np.argwhere(case.anatomy == Anatomy.DESCENDING)[:, 1] * case.spacing_mm[1]
        assert rows.mean() > case.heart_centre_mm[1] + 25


def test_territories_keep_left_and_right_apart(cases: list[Case]) -> None:
    for case in cases:
        columns = {label: np.argwhere(case.territory == label)[:, 2].mean() for label in (2, 3, 4)}
        assert columns[2] > columns[4]
        assert columns[3] > columns[4]
        rows = {label: np.argwhere(case.territory == label)[:, 1].mean() for label in (2, 3)}
        assert rows[2] < rows[3]


def test_case_without_calcium_has_none() -> None:
    anatomy = AnatomyRanges(cohort=Cohort.NONE, confusers=ConfuserRanges(**dict.fromkeys(_odds(), 0.0)))
    case = make_case(3, dataclasses.replace(SMALL, anatomy=anatomy))
    assert not case.calcium.any()


def test_confusers_alone_are_never_a_vessel() -> None:
    anatomy = AnatomyRanges(cohort=Cohort.NONE, confusers=ConfuserRanges(**dict.fromkeys(_odds(), 1.0)))
    case = make_case(4, dataclasses.replace(SMALL, anatomy=anatomy))
    assert set(np.unique(case.calcium)) == {0, 7}


def test_full_resolution_grid_is_what_scanners_send() -> None:
    for seed in range(20):
        grid = draw_grid(seed, full_resolution())
        assert grid.shape == (48, 512, 512)
        assert 0.35 <= grid.spacing_mm[1] <= 0.49


def _odds() -> list[str]:
    return [field.name for field in dataclasses.fields(ConfuserRanges)]
