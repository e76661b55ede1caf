"""How scores and differences are written, in the unit of their metric."""

from lingraft.results.units import PERCENT, PLAIN, unit_of


def test_a_value_below_zero_has_no_sign_that_it_is_rounded_from():
    """An accuracy of -0.00 would be read as a mistake."""
    assert (PERCENT.number(-0.0004), PLAIN.write(-0.0004)) == ("0", "0.00")


def test_the_end_of_an_interval_of_differences_says_on_which_side_of_zero_it_is():
    """[-0.7, -0.0] leaves 0 out, and [-0.7, +0.0] does not."""
    assert [PERCENT.number(end, 1, plus=True) for end in (-0.007, -0.0003, 0.0003)] == ["-0.7", "-0.0", "+0.0"]


def test_correlations_are_numbers_and_shares_percents():
    """By the name of the metric."""
    assert [unit_of(metric).write(0.651) for metric in ("spearman", "accuracy")] == ["0.65", "65 %"]
