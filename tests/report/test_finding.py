"""The finding in numbers, on invented searches whose right answers are clear by hand."""

import math

import pytest

from flatmin.report.finding import Evidence, Tally, evidence, partitions
from flatmin.report.published import LARGE, SMALL
from flatmin.report.subjects import PUBLISHED, STRONG, subjects
from flatmin.results.at_loss import value_at


def searched(regime, seed, published, strong, **more):
    """Both searches at one point."""
    return [
        {"regime": regime, "seed": seed, "method": method, "sharpness": value} | more
        for method, value in ((PUBLISHED, published), (STRONG, strong))
    ]


def trained(*runs, **more):
    """Minima of so many (regime, seed), each at a distance of its own."""
    return [
        {"regime": regime, "seed": seed, "distance_from_start": 10.0 * seed + len(regime)} | more
        for regime, seed in runs
    ]


@pytest.fixture
def found(study):
    """The evidence of one study with the given searches; every network has a minimum."""

    def build(rows, **names) -> Evidence:
        runs = dict.fromkeys((row["regime"], row["seed"]) for row in rows)
        (one,) = evidence(subjects([study(minima=trained(*runs), sharpness=rows, **names)]))
        return one

    return build


def along(power=1.0, seeds=2, strong=10.0):
    """Trainings whose share is a power of the gradient, which falls to a tenth from one network to the next."""
    return [
        row
        for regime, size in ((SMALL, 1.0), (LARGE, 5.0))
        for seed in range(seeds)
        for step, epoch in enumerate((0, 1, 2, math.nan))
        for gradient in [10.0**-step * (1 + seed)]
        for row in searched(
            *(regime, seed, size * strong * 0.1 ** (power * step), size * strong),
            **{"epoch": epoch, "gradient_norm": gradient, "base_loss": 2.0 * 0.5**step},
        )
    ]


def test_share_is_paired_by_network_and_geometric_over_seeds(found):
    rows = searched(SMALL, 0, 1.0, 2.0) + searched(SMALL, 1, 1.0, 8.0) + searched(LARGE, 0, 3.0, 3.0)
    share = found([*rows, searched(SMALL, 2, 5.0, 0.0)[0]]).share
    assert share[SMALL].values == (0.5, 0.125)
    assert share[SMALL].center == pytest.approx(0.25)
    assert share[LARGE].values == (1.0,)


def test_searches_of_other_boxes_spaces_and_readings_have_no_part_in_the_share(found):
    other = [
        row
        for more in ({"epsilon": 5e-4}, {"batch_norm": "running"}, {"space": "random", "subspace_dim": 100.0})
        for row in searched(SMALL, 0, 7.0, 70.0, **more)
    ]
    assert found([*searched(SMALL, 0, 1.0, 2.0), *other]).share[SMALL].values == (0.5,)


def test_points_without_a_strong_or_with_an_infinite_sharpness_have_no_share(found):
    rows = searched(SMALL, 0, 1.0, 2.0) + searched(SMALL, 1, 1.0, 0.0) + searched(SMALL, 2, math.inf, 4.0)
    assert found([*rows, *searched(LARGE, 0, 0.0, 4.0)]).share[SMALL].values == (0.5,)


def test_impossible_searches_are_counted_of_those_that_have_a_smaller_box(found):
    boxes = ((1e-4, 1.0, 2.0), (5e-4, 49.5, 60.0), (1e-3, 10.2, 627.0))
    rows = [row for size, *values in boxes for row in searched(LARGE, 1, *values, epsilon=size)]
    one = found(rows)
    assert one.impossible == {PUBLISHED: Tally(1, 2), STRONG: Tally(0, 2)}
    assert one.impossible[PUBLISHED].text == "1 of 2"


def test_order_is_turned_round_where_the_strong_search_alone_has_the_large_batch_sharper(found):
    pairs = (((1.0, 2.0), (0.5, 8.0)), ((1.0, 2.0), (3.0, 8.0)), ((1.0, 9.0), (0.5, 8.0)), ((1.0, 2.0), (0.0, 8.0)))
    rows = [
        row
        for seed, pair in enumerate(pairs)
        for regime, values in zip((SMALL, LARGE), pair, strict=True)
        for row in searched(regime, seed, *values)
    ]
    one = found(rows)
    assert one.turned == Tally(2, 4)
    assert one.sharper == Tally(3, 4)
    assert one.order[STRONG].values == (4.0, 4.0, 8 / 9, 4.0)
    assert one.turned_along == Tally(0, 0)


def test_order_on_the_way_is_counted_apart_from_that_at_the_minima(found):
    rows = [
        row
        for epoch, large in ((0, 3.0), (1, 0.5), (2, 0.5), (math.nan, 0.5))
        for row in searched(SMALL, 0, 1.0, 2.0, epoch=epoch) + searched(LARGE, 0, large, 8.0, epoch=epoch)
    ]
    one = found(rows)
    assert (one.turned, one.turned_along) == (Tally(1, 1), Tally(2, 2))  # not the start, where both are one network


@pytest.mark.parametrize(("power", "sign"), [(1.0, 1.0), (-0.1, -1.0)])
def test_share_that_goes_with_the_gradient_has_the_rank_correlation_one(found, power, sign):
    one = found(along(power))
    for regime in (SMALL, LARGE):
        interval = one.correlation[regime]
        assert interval.values == (sign, sign)
        assert (interval.low, interval.high) == (sign, sign)


def test_interval_of_a_correlation_ends_where_correlations_do(found):
    rows = along(seeds=3)
    for row in rows:
        if row["seed"] == 2 and row["method"] == PUBLISHED and row["epoch"] in (0, 1):
            row["gradient_norm"] = 1.0 / row["gradient_norm"]
    interval = found(rows).correlation[LARGE]
    assert interval.values[2] < 1
    assert interval.low > -1.0000001
    assert interval.high == 1.0


def test_rank_correlation_wants_three_networks_of_a_training_and_a_gradient_that_changes(found):
    two = [row for row in along() if row["epoch"] in (0, 1)]
    assert found(two).correlation[LARGE].values == ()
    assert found([row | {"gradient_norm": 0.01} for row in along()]).correlation[LARGE].values == ()


def test_without_networks_on_the_way_nothing_is_said_of_them(found):
    one = found(searched(SMALL, 0, 1.0, 2.0) + searched(LARGE, 0, 1.0, 2.0))
    assert one.along.empty
    assert one.correlation[LARGE].values == ()
    assert one.swing[LARGE]["share"].values == ()
    assert one.equal_loss.order[STRONG].values == ()


def test_swing_is_the_greatest_over_the_least_within_a_seed(found):
    one = found(along())
    assert one.swing[LARGE]["share"].values == pytest.approx((1000.0, 1000.0))
    assert one.swing[LARGE]["strong"].values == pytest.approx((1.0, 1.0))


def test_order_at_equal_loss_follows_a_power_law_between_the_networks_that_were_measured(found):
    """With sharpness c loss^p for either regime the ratio at a loss L is (c_large / c_small) L^(p_large - p_small)."""
    ways = {
        SMALL: (2.0, -0.5, (3.0, 0.7, 0.11, 0.013)),
        LARGE: (6.0, -1.5, (2.9, 0.9, 0.2)),
    }
    rows = [
        row
        for seed in (0, 1)
        for regime, (factor, power, losses) in ways.items()
        for place, loss in enumerate(losses)
        for value in [factor * loss**power]
        for epoch in [math.nan if place == len(losses) - 1 else place]
        for row in searched(regime, seed, value / 4 * loss, value, epoch=epoch, base_loss=loss)
    ]
    result = found(rows).equal_loss
    assert result.loss.to_dict() == {0: 0.2, 1: 0.2}
    assert result.order[STRONG].values == pytest.approx([3 * 0.2**-1.0] * 2)
    assert result.order[PUBLISHED].values == pytest.approx([3 * 0.2**-1.0] * 2)


def test_networks_whose_loss_had_been_reached_before_have_no_part_in_the_comparison(found):
    losses = {SMALL: (2.0, 0.5, 1.0, 0.1), LARGE: (2.0, 1.0, 0.5, 0.4)}
    rows = [
        row
        for regime, values in losses.items()
        for epoch, loss in enumerate(values)
        for row in searched(regime, 0, 1.0, 99.0 if (regime, epoch) == (SMALL, 2) else 5.0, epoch=epoch, base_loss=loss)
    ]
    assert found(rows).equal_loss.order[STRONG].values == pytest.approx((1.0,))


def test_losses_that_one_network_never_had_are_not_guessed(found):
    rows = [
        row
        for regime, losses in ((SMALL, (0.5, 0.3)), (LARGE, (3.0, 2.0)))
        for epoch, loss in enumerate(losses)
        for row in searched(regime, 0, 1.0, 2.0, epoch=epoch, base_loss=loss)
    ]
    assert found(rows).equal_loss.order[STRONG].values == ()


def test_interpolation_is_straight_between_logarithms(found):
    way = found(along()).along.query("regime == 'large_batch' and seed == 0")
    assert value_at(way, "base_loss", "published", 2.0 * math.sqrt(0.5)) == pytest.approx(50 * math.sqrt(0.1))
    assert math.isnan(value_at(way, "base_loss", "published", 2.1))


def test_partitions_compare_the_same_minima_over_the_seeds_that_have_all(found):
    rows = [
        row
        for regime, values in ((SMALL, {899.0: 1.0, 144.0: 1.1}), (LARGE, {899.0: 25.7, 144.0: 10.6}))
        for size, value in values.items()
        for seed in (0, 1)
        if (seed, size) != (1, 144.0)
        for row in searched(regime, seed, value / 2, value, partition=size)
    ]
    table = partitions(found(rows).subject).query("method == 'strong'")
    assert table[["partition", SMALL, LARGE, "seeds"]].to_numpy().tolist() == [[144, 1.1, 10.6, 1], [899, 1.0, 25.7, 1]]
    assert partitions(found(searched(SMALL, 0, 1.0, 2.0)).subject).empty


def test_counts_add_up():
    assert Tally.total([Tally(1, 3), Tally(0, 2)]) == Tally(1, 5)
    assert Tally.total([]).text == "–"
