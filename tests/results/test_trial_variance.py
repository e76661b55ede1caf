"""Variance components against textbook formulas and simulated studies; intervals against what they promise."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lingraft.results.trial_variance import mean_of_method, variance_components


def by_factors(grid, *names):
    """The components of a grid by their factors."""
    return {one.factors: one for one in variance_components(grid, names)}


def test_two_factors_are_those_of_the_textbook():
    """Mean squares by their sums, written out: rows, columns, and what is left."""
    grid = np.array([[71.0, 73.0, 70.0], [75.0, 78.0, 74.0], [69.0, 74.0, 70.0], [72.0, 72.0, 71.0]])
    rows, columns, mean = grid.mean(1), grid.mean(0), grid.mean()
    of_rows = 3 * ((rows - mean) ** 2).sum() / 3
    of_columns = 4 * ((columns - mean) ** 2).sum() / 2
    rest = ((grid - rows[:, None] - columns + mean) ** 2).sum() / 6
    found = by_factors(grid, "draw", "seed")
    assert found["draw",].mean_square == pytest.approx(of_rows)
    assert found["seed",].mean_square == pytest.approx(of_columns)
    assert found["draw", "seed"].mean_square == pytest.approx(rest)
    assert found["draw",].variance == pytest.approx((of_rows - rest) / 3)
    assert found["seed",].variance == pytest.approx((of_columns - rest) / 4)
    assert found["draw", "seed"].variance == pytest.approx(rest)
    assert [one.degrees for one in found.values()] == [3, 2, 6]
    assert sum(one.share for one in found.values()) == pytest.approx(1)
    assert found["draw",].deviation == pytest.approx(sqrt((of_rows - rest) / 3))


def test_one_factor_is_the_variance_of_its_levels():
    """And factors with one level have no part in it."""
    scores = np.array([70.0, 74.0, 69.0, 73.0])
    (found,) = variance_components(scores.reshape(1, 4, 1), ("draw", "seed", "order"))
    assert found.factors == ("seed",)
    assert found.variance == pytest.approx(scores.var(ddof=1))
    assert found.share == 1


@given(
    arrays(float, (3, 2, 4), elements=st.floats(0, 100)),
    st.floats(-50, 50),
    st.floats(0.1, 10),
    st.permutations([0, 1, 2]),
)
def test_shift_scale_and_order_of_factors(grid, shift, scale, order):
    """A constant changes nothing, a factor its square, and the axes may come in any order."""
    names = ("a", "b", "c")
    one = {frozenset(factors): found for factors, found in by_factors(grid, *names).items()}
    moved = by_factors(np.transpose(grid * scale + shift, order), *(names[axis] for axis in order))
    for factors, found in moved.items():
        assert found.mean_square == pytest.approx(one[frozenset(factors)].mean_square * scale**2, rel=1e-6, abs=1e-6)
        assert found.variance == pytest.approx(one[frozenset(factors)].variance * scale**2, rel=1e-6, abs=1e-6)


def simulated(generator, levels, deviations):
    """A grid of scores in which each set of factors has an effect of the given deviation."""
    grid = np.zeros(levels)
    for axes, deviation in deviations.items():
        grid = grid + generator.normal(0, deviation, [size if axis in axes else 1 for axis, size in enumerate(levels)])
    return grid


def test_three_factors_are_found_again_in_the_mean_of_many_studies():
    """Each within two hundredths of a variance of one to four, over 4,000 simulated studies."""
    generator = np.random.default_rng(1)
    truth = {(0,): 2.0, (1,): 1.0, (2,): 1.5, (0, 1): 1.0, (0, 1, 2): 1.0}
    found = np.mean(
        [
            [one.mean_square for one in variance_components(simulated(generator, (5, 4, 3), truth), "abc")]
            for _ in range(4_000)
        ],
        axis=0,
    )
    expected = [
        1 + 3 * 1 + 12 * 4, 1 + 3 * 1 + 15 * 1, 1 + 20 * 2.25, 1 + 3 * 1, 1, 1, 1,
    ]  # fmt: skip
    assert found == pytest.approx(expected, rel=0.05)


STUDIES = {
    "seeds matter as draws do": ((4, 5), 1.0, 1.0, 1.0),
    "draws alone": ((5, 4), 2.0, 0.0, 0.5),
    "seeds alone": ((5, 4), 0.0, 2.0, 0.5),
    "only the two together": ((4, 5), 0.0, 0.0, 1.0),
    "nothing but examples": ((4, 5), 0.0, 0.0, 0.0),
}


def intervals(name, count=2_000, examples=100):
    """Of simulated studies whose true mean is 0: lower and upper ends."""
    levels, draws, seeds, together = STUDIES[name]
    generator = np.random.default_rng(sum(map(ord, name)))
    ends = []
    for _ in range(count):
        grid = simulated(generator, levels, {(0,): draws, (1,): seeds, (0, 1): together})
        answers = generator.normal(0, 4, examples)  # how hard each example is, for all trials
        own = generator.normal(0, 4, (*levels, examples))
        scores = (grid[..., None] + answers + own).mean(-1)
        of_examples = (answers + own.mean((0, 1))).var(ddof=1) / examples
        found = mean_of_method(scores, ("draw", "seed"), of_examples=of_examples, groups=examples)
        ends.append((found.low, found.high))
    return np.array(ends).T


@pytest.mark.parametrize("name", STUDIES)
def test_intervals_cover_the_truth_as_often_as_they_say(name):
    """In 93 to 97 of 100 studies, so that at most 7 in 100 call a difference of nothing one; to the noise of 2,000."""
    low, high = intervals(name)
    covered = float(((low <= 0) & (high >= 0)).mean())
    assert 0.925 <= covered <= 0.98


def test_more_trials_narrow_the_interval_to_what_the_examples_leave():
    """Their part is the same for all trials."""
    generator = np.random.default_rng(3)
    errors = [
        mean_of_method(generator.normal(0, 1, (size, size)), ("draw", "seed"), of_examples=0.04, groups=500).error
        for size in (2, 8, 64)
    ]
    assert errors[0] > errors[1] > errors[2] > 0.2
    assert errors[2] == pytest.approx(0.2, abs=0.01)


def test_one_trial_has_the_interval_of_its_examples():
    """A number alone has none."""
    assert mean_of_method([[70.0]], ("draw", "seed")).low == 70.0
    found = mean_of_method([[70.0]], ("draw", "seed"), of_examples=4.0, groups=1_000)
    assert found.high - found.value == pytest.approx(1.962 * 2, abs=0.01)


@pytest.mark.parametrize(
    ("scores", "names", "why"),
    [
        ([[1.0, 2.0]], ("a",), "a name of its own"),
        ([[1.0, 2.0], [3.0, 4.0]], ("a", "a"), "a name of its own"),
        ([1.0, float("nan")], ("a",), "1 of 2 scores are not finite"),
        ([[1.0]], ("a", "b"), "two levels"),
    ],
)
def test_what_is_no_study_is_refused(scores, names, why):
    """With what was expected."""
    with pytest.raises(ValueError, match=why):
        variance_components(scores, names)


def test_few_levels_give_a_wide_interval_and_not_an_absurd_one():
    """Of two draws and two seeds, where what they do together is taken away: no fewer degrees than the least part."""
    generator = np.random.default_rng(5)
    found = [
        mean_of_method(simulated(generator, (2, 2), {(0,): 1, (1,): 1, (0, 1): 1}), ("draw", "seed"))
        for _ in range(500)
    ]
    assert min(one.degrees for one in found) >= 1
    assert max(one.high - one.low for one in found) < 200
