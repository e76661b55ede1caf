"""Charts of experiments show the numbers that they were given, at their places."""

import pytest

from drawn import lines, marks, parts_of, texts
from lingraft.results.drawing import ACCENT, AFTER, BEFORE
from lingraft.results.experiment_charts import (
    Bar,
    Placed,
    intervals,
    learning_curve,
    specification_curve,
    spread_bars,
)
from lingraft.results.findings import Estimate
from lingraft.results.trial_variance import Component


def test_whiskers_end_where_the_interval_ends():
    """On one scale for all: what is twice as far apart is drawn twice as far apart."""
    bars = [Bar("ours", Estimate(0.7, 0.6, 0.8)), Bar("other", Estimate(0.5, 0.45, 0.65), [0.4, 0.6])]
    svg = intervals(bars, "ours", "what it is", 0.3)
    (((ours_low, height), (ours_high, _)),) = lines(svg, AFTER, 2)
    (((low, _), (high, _)),) = lines(svg, BEFORE, 2)
    scale = (ours_high - ours_low) / 0.2
    assert (low - ours_low) / scale == pytest.approx(0.45 - 0.6)
    assert (high - low) / scale == pytest.approx(0.2)
    assert ((ours_low + ours_high) / 2, height) in [pytest.approx(place) for place in marks(svg, AFTER)]
    trials = sorted(across for across, _ in marks(svg, BEFORE))
    for score in (0.4, 0.6, 0.5):
        assert any(across == pytest.approx(ours_low + scale * (score - 0.6), abs=1e-3) for across in trials)
    assert {"ours", "70.0", "other", "50.0"} <= set(texts(svg))
    assert 'aria-label="what it is"' in svg


def test_a_name_is_text_and_a_long_one_is_cut():
    """Whatever is in it."""
    svg = intervals([Bar("a<b> & " + "c" * 80, Estimate(0.5))], "ours", "x")
    (name,) = [one for one in texts(svg) if one.startswith("a<b> & ")]
    assert name.endswith("…")
    assert "<b>" not in svg


def test_points_of_a_curve_are_on_a_scale_of_logarithms():
    """0, 1 and 3 labels are equally far apart; higher is better; the reference is drawn in every chart."""
    points = {0: Estimate(0.4, 0.3, 0.5), 1: Estimate(0.5, 0.4, 0.6), 3: Estimate(0.6, 0.5, 0.7)}
    beside = {k: Estimate(0.65, 0.6, 0.7) for k in points}
    svg = learning_curve("a", points, "ours", beside, [0.3, 0.7])
    (x0, y0), (x1, y1), (x2, y2) = marks(svg, BEFORE)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=1e-3)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=1e-3)
    assert y0 > y2
    assert {"0", "1", "3"} <= set(texts(svg))
    assert len(marks(svg, AFTER)) == 3
    assert len(marks(learning_curve("ours", beside, "ours", beside, [0.3, 0.7]), AFTER)) == 3


def test_a_bar_is_as_long_as_the_deviation_and_its_parts_as_the_shares():
    """Half as long for half the deviation."""

    def component(factors, share):
        return Component(factors, 0.0, share, 1, 0.0)

    rows = [
        ("a", 0.04, [component(("draw",), 0.25), component(("seed",), 0.75)]),
        ("b", 0.02, [component(("draw",), 1.0), component(("draw", "seed"), 0.0)]),
    ]
    svg = spread_bars(rows, "x")
    draws, (seed,) = parts_of(svg, AFTER), parts_of(svg, ACCENT)
    assert draws[0] == pytest.approx(seed / 3, abs=1e-3)
    assert draws[1] == pytest.approx((draws[0] + seed) / 2, abs=1e-3)
    assert {"■ draws", "■ seeds", "■ several together", "4.00", "2.00"} <= set(texts(svg))


def test_trials_rise_from_left_to_right_and_marks_say_what_they_are():
    """What all have in common is not said; a mark stands below its trial."""
    trials = [
        Placed(0.6, {"method": "ours", "draw": "1", "seed": "1"}),
        Placed(0.4, {"method": "ours", "draw": "2", "seed": "1"}),
        Placed(0.5, {"method": "other", "draw": "1", "seed": "1"}),
    ]
    svg = specification_curve(trials, "ours", "x")
    assert [one for one in texts(svg) if not one.replace(".", "").isdigit()] == ["ours", "other", "draw 1", "draw 2"]
    dots = [place for place in marks(svg, AFTER) if place[1] < 130]
    (left, lowest), (right, highest) = sorted(dots)
    assert (left < right, lowest > highest) == (True, True)
    other = [place for place in marks(svg, BEFORE) if place[1] < 130]
    assert left < other[0][0] < right
    assert sorted(across for across, down in marks(svg, AFTER) if down > 130) == pytest.approx([left, right], abs=1e-3)
