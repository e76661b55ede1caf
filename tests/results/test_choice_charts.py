"""Charts of choices show the numbers that they were given, at their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import lines, marks, parts_of, texts
from lingraft.results.drawing import ACCENT, AFTER, BEFORE
from lingraft.results.findings import Estimate
from lingraft.results.source_choice_charts import Place, Point, predicted_and_true, rank_dots
from lingraft.results.tuning_charts import best_so_far, round_numbers, score_by_value, share_bars, sorted_trials


def test_a_rank_is_a_place_on_one_scale():
    """The mean stands where the mean of the ranks does, and the line reaches from the first to the last of them."""
    places = [Place("ours", 1.5, {"a": 1.0, "b": 2.0}), Place("other", 3.0, {"a": 4.0, "b": 2.0})]
    svg = rank_dots(places, "ours", "x")
    (((first, _), (second, _)),) = lines(svg, AFTER, 1.4)
    assert sorted(across for across, _ in marks(svg, AFTER)) == pytest.approx([first, (first + second) / 2, second])
    (((_, _), (fourth, _)),) = lines(svg, BEFORE, 1.4)
    assert fourth - first == pytest.approx(3 * (second - first), abs=1e-3)
    assert {"ours", "1.5", "other", "3.0", "1", "2", "3", "4"} <= set(texts(svg))


POINTS = [
    Point("best", 0.8, Estimate(0.7, 0.6, 0.8)),
    Point("ours", 0.6, Estimate(0.5, 0.45, 0.6)),
    Point("last", 0.5, Estimate(0.4)),
]


@pytest.mark.parametrize("turned", [False, True])
def test_what_was_predicted_is_across_and_what_is_true_is_up(turned):
    """On one scale each; where less is better the least stands at the right; whiskers end where intervals do."""
    svg = predicted_and_true(POINTS, "ours", "x", less_is_better=turned)
    ((ours, middle),) = marks(svg, AFTER)
    (best, high), (last, low) = sorted(marks(svg, BEFORE), reverse=not turned)
    assert (best - ours) / (ours - last) == pytest.approx(2, abs=1e-3)
    assert (middle - high) / (low - middle) == pytest.approx(2, abs=1e-3)
    (((_, bottom), (_, top)),) = lines(svg, AFTER, 1.4)
    assert (bottom - top) / (middle - high) == pytest.approx(0.15 / 0.2, abs=1e-3)
    assert {"best", "ours", "last"} <= set(texts(svg))


def test_a_name_is_left_out_where_it_would_lie_on_another():
    """The reference, the first and the best keep theirs before others."""
    crowd = [Point(f"a long name no. {i}", 0.5 + i / 1e4, Estimate(0.5 + i / 1e4)) for i in range(40)]
    svg = predicted_and_true([*crowd, Point("far", 0.9, Estimate(0.9))], "a long name no. 7", "x")
    written = [one for one in texts(svg) if "name" in one]
    assert "a long name no. 7" in written and "far" in texts(svg)
    assert len(written) < 12


def test_trials_stand_in_the_order_that_they_are_given_in():
    """With their intervals, and a line at the recipe's own."""
    svg = sorted_trials([Estimate(0.8, 0.7, 0.9), Estimate(0.6, 0.5, 0.65), Estimate(0.5)], 1, "x")
    ((own, height),) = marks(svg, AFTER)
    (first, top), (last, bottom) = sorted(marks(svg, BEFORE))
    assert first < own < last and top < height < bottom
    assert (height - top) / (bottom - height) == pytest.approx(2, abs=1e-3)
    assert [(height, height)] == [tuple(y for _, y in line) for line in lines(svg, AFTER, 1.2)]


def test_the_best_so_far_rises_at_each_better_trial_and_never_falls():
    """A failed one is a cross, and changes nothing."""
    svg = best_so_far([0.5, 0.7, None, 0.6, 0.8], 0, "x")
    ((_, own),) = marks(svg, AFTER)
    heights = [down for _, down in sorted(marks(svg, BEFORE))]
    (steps,) = lines(svg, ACCENT, 2)
    best = list(dict.fromkeys(round(down, 3) for _, down in steps))
    assert best == pytest.approx([own, heights[0], heights[2]], abs=1e-3)
    assert own > heights[0] > heights[2]


def test_a_bar_is_as_long_as_its_share():
    """Of the whole width."""
    svg = share_bars([("a", 0.6), ("b", 0.3), ("c", 0.1)], "x")
    first, second, third = parts_of(svg, AFTER)
    assert (first / second, first / third) == pytest.approx((2, 6), abs=1e-3)
    assert {"a", "60%", "b", "30%", "c", "10%"} <= set(texts(svg))


@pytest.mark.parametrize(("logarithmic", "ratio"), [(False, 9), (True, 1)])
def test_a_value_is_across_on_the_scale_that_was_searched(logarithmic, ratio):
    """On a logarithmic one 0.001, 0.01 and 0.1 are equally far apart."""
    svg = score_by_value([0.1, 0.001, 0.01], [0.7, 0.5, 0.6], 1, "x", logarithmic=logarithmic)
    ((low, bottom),) = marks(svg, AFTER)
    (middle, _), (high, top) = sorted(marks(svg, BEFORE))
    assert (high - middle) / (middle - low) == pytest.approx(ratio * (1 if logarithmic else 0.09 / 0.081), rel=1e-3)
    assert bottom > top


@given(st.floats(1e-8, 1e8), st.floats(1.0001, 1e9))
def test_round_numbers_lie_between_and_are_few(low, factor):
    """Two at least, so that a scale can be read."""
    high = low * factor
    found = round_numbers(low, high)
    assert 2 <= len(found) <= 5 and found == sorted(found)
    assert all(low <= one <= high for one in found)
