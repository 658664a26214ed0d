"""Cases are reproducible, and their truth is consistent with their image and anatomy."""

import dataclasses

import numpy as np
import pytest
import torch

from train.anatomy.labels import HEART, Anatomy
from train.anatomy.ranges import AnatomyRanges, Cohort, ConfuserRanges
from train.cases import (
    Case,
    Recipe,
    draw_grid,
    full_resolution,
    hold_out_resolution,
    make_case,
    training_resolution,
)
from train.imaging.ranges import ImagingRanges

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


def test_training_grids_have_the_fields_of_view_of_scanners() -> None:
    grids = [draw_grid(seed, training_resolution()) for seed in range(60)]
    assert {grid.spacing_mm[1:] for grid in grids} == {(1.0, 1.0)}
    assert {grid.spacing_mm[0] for grid in grids} == {1.5, 2.5, 3.0}
    assert min(grid.shape[1] for grid in grids) < 190
    assert max(grid.shape[1] for grid in grids) > 235
    assert all(grid.shape[0] * grid.spacing_mm[0] >= 119 for grid in grids)
    assert all(grid.fine().spacing_mm[0] <= 1.5 for grid in grids)


def test_hold_out_is_harder_and_anatomically_elsewhere() -> None:
    recipe = hold_out_resolution(Cohort.LOW)
    assert recipe.imaging == ImagingRanges.unseen() != ImagingRanges()
    assert recipe.anatomy.cohort is Cohort.LOW
    for name in ("heart", "coronaries", "body", "confusers"):
        drawn, usual = getattr(recipe.anatomy, name), getattr(AnatomyRanges(), name)
        assert not hasattr(usual, "unseen") or drawn == usual.unseen()


@pytest.mark.parametrize("circle", [0.0, 1.0])
def test_nothing_is_reconstructed_outside_the_circle(circle: float) -> None:
    case = make_case(7, dataclasses.replace(SMALL, imaging=dataclasses.replace(ImagingRanges(), circle=circle)))
    corner = case.hu[:, :20, :20]
    assert (len(np.unique(corner)) == 1) == (circle == 1.0)


def test_recipe_needs_a_size() -> None:
    with pytest.raises(ValueError, match="matrix or a pixel size"):
        Recipe(matrix=None, pixel_mm=None)


def _odds() -> list[str]:
    return [field.name for field in dataclasses.fields(ConfuserRanges)]
