"""How many labels a curve needs for a score."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.results.shot_curve import labels_for

SHOTS = [0, 1, 3, 7]
"""At which log2(1 + k) is 0, 1, 2 and 3."""


@pytest.mark.parametrize(
    ("aim", "labels"),
    [(0.4, 0), (0.5, 0), (0.55, 2**0.5 - 1), (0.6, 1), (0.7, 3), (0.75, 2**2.5 - 1), (0.8, 7), (0.81, inf)],
)
def test_between_two_points_labels_are_on_a_scale_of_logarithms(aim, labels):
    """At a point they are its own; below the first there is none to pay, above the last none that is enough."""
    assert labels_for(SHOTS, [0.5, 0.6, 0.7, 0.8], aim) == pytest.approx(labels)


def test_what_falls_again_counts_where_it_was_first_reached():
    """A curve of few draws is not monotone."""
    assert labels_for(SHOTS, [0.5, 0.7, 0.6, 0.8], 0.7) == pytest.approx(1)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_more_is_never_reached_with_less(scores, one, other):
    """For any curve."""
    low, high = sorted((one, other))
    assert labels_for(SHOTS, scores, low) <= labels_for(SHOTS, scores, high)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(0, 1))
def test_the_curve_has_the_score_there(scores, aim):
    """Read off again on the same scale."""
    labels = labels_for(SHOTS, scores, aim)
    reached = np.interp(np.log1p(min(labels, 7)), np.log1p(SHOTS), scores)
    assert labels == inf or labels == 0 or reached == pytest.approx(aim, abs=1e-9)
