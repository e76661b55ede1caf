import numpy as np
import pytest
from scipy.stats import ttest_1samp

from lingraft.results.reach import reach

CROSSED = [f"k5-draw{draw}-seed{seed}" for draw in range(3) for seed in (1, 2)]
SURE = 0.0
"""The variance where nothing comes from the examples."""


def test_one_trial_says_of_other_languages_what_a_t_test_says():
    """Over the languages as a sample, as scipy has it; and nothing of other trials."""
    apart = np.array([0.03, 0.01, 0.05, -0.01, 0.02])
    found = reach(apart[:, None], ["k0-draw0-seed1"], SURE, 100)
    low, high = ttest_1samp(apart, 0).confidence_interval()
    assert (found.languages.low, found.languages.high) == pytest.approx((low, high))
    assert found.trials is None
    assert found.seen == 0.0


def test_one_language_says_of_other_trials_alone():
    """Whose draws matter: their means are what a t-test is of, where seeds change nothing."""
    draws = np.repeat([0.01, 0.04, 0.02], 2)
    found = reach(draws[None], CROSSED, SURE, 100)
    low, high = ttest_1samp([0.01, 0.04, 0.02], 0).confidence_interval()
    assert (found.trials.low, found.trials.high) == pytest.approx((low, high))
    assert found.languages is None


def test_two_languages_are_no_sample_of_languages():
    """Their interval would be twelve standard errors wide."""
    apart = np.array([[0.03], [0.01], [0.02]])
    assert reach(apart[:2], ["k0-draw0-seed1"], SURE, 100).languages is None
    assert reach(apart, ["k0-draw0-seed1"], SURE, 100).languages is not None


def test_the_order_in_which_trials_are_named_does_not_matter():
    """A name says which cell a score is of."""
    generator = np.random.default_rng(0)
    apart, turned = generator.normal(0, 1, (4, 6)), [4, 2, 0, 5, 3, 1]
    one = reach(apart, CROSSED, SURE, 100)
    other = reach(apart[:, turned], [CROSSED[place] for place in turned], SURE, 100)
    assert one.trials.error == pytest.approx(other.trials.error, rel=1e-12)
    assert one.languages.error == pytest.approx(other.languages.error, rel=1e-12)


def test_trials_that_are_not_crossed_say_nothing_of_others():
    """Draw 0 with seed 1 and draw 1 with seed 2: what either causes cannot be told."""
    found = reach(np.zeros((3, 2)), ["k5-draw0-seed1", "k5-draw1-seed2"], SURE, 100)
    assert found.trials is None
    assert found.languages is None


def test_examples_alone_say_what_could_be_seen():
    """2.8 of their standard errors, whatever the languages say."""
    assert reach(np.zeros((2, 1)), ["k0-draw0-seed1"], 0.01**2, 500).seen == pytest.approx(0.028, rel=0.01)


@pytest.mark.parametrize("languages", [4, 8])
def test_intervals_for_other_languages_and_draws_cover_the_truth(languages):
    """In at least 92.5 of 100 simulated comparisons whose true difference is none, to the noise of 2,000."""
    generator = np.random.default_rng(languages)
    trials = [f"k5-draw{draw}-seed1" for draw in range(4)]
    covered = []
    for _ in range(2_000):
        of_language = generator.normal(0, 1, (languages, 1))
        of_draw = generator.normal(0, 1, (1, 4))
        examples = generator.normal(0, 0.3)  # the same sentences in all languages
        apart = of_language + of_draw + generator.normal(0, 1, (languages, 4)) + examples
        found = reach(apart, trials, generator.normal(0, 0.3, 300).var(ddof=1), 300).languages
        covered.append(found.low <= 0 <= found.high)
    assert 0.925 <= np.mean(covered) <= 0.985
