import pytest

from train.anatomy.ranges import Cohort
from train.cases import draw_grid
from train.series.identity import SeriesIdentity
from train.series.order import Format, Order, parse_seeds


@pytest.mark.parametrize(("text", "seeds"), [("3:6", range(3, 6)), ("7", range(7, 8)), (" 0:1 ", range(1))])
def test_seeds_as_people_write_them(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "5:5", "6:2", "-1:4", "1-5", "a:b", "1:2:3", "1.5", "12345678", "0:10000001"])
def test_seeds_that_are_none_are_named(text):
    with pytest.raises(ValueError, match="seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(("spacing", "slices"), [(3.0, 48), (2.5, 58), (1.5, 96)])
def test_thinner_slices_cover_as_much(spacing, slices):
    order = Order.of(Cohort.HIGH, spacing)
    for seed in range(3):
        assert draw_grid(seed, order.recipe).shape == (slices, 512, 512)


@pytest.mark.parametrize("spacing", [0.5, 5.0, -3.0, float("nan")])
def test_a_spacing_no_scanner_has_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing"):
        Order.of(Cohort.LOW, spacing)


def test_the_digest_tells_recipes_apart():
    orders = [Order.of(cohort, spacing) for cohort in Cohort for spacing in (2.5, 3.0)]
    assert len({order.digest() for order in orders}) == len(orders)
    assert Order.of(Cohort.LOW, 3.0, Format.NPZ).digest() == Order.of(Cohort.LOW, 3.0).digest()


def test_uids_are_valid_the_same_again_and_other_for_other_content():
    one = SeriesIdentity(seed=5, content="a")
    uids = [SeriesIdentity(seed=seed, content=c).uid(r) for seed in (5, 6) for c in "ab" for r in ("study", "series")]
    assert len(set(uids)) == len(uids)
    assert one.uid("study") == uids[0]
    for uid in uids:
        assert uid.startswith("2.25.")
        assert uid[5] != "0"
        assert len(uid) <= 64


def test_texts_fit_their_elements():
    for seed in (0, 9_999_999):
        one = SeriesIdentity(seed=seed, content="")
        assert len(one.accession_number) <= 16
        assert "PHANTOM" in one.patient_name
        assert 8 <= one.made_at.hour < 18
