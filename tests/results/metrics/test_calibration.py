"""Tests of lingraft.results.metrics.calibration: against a loop over the bins, and at their edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.results.metrics.calibration import Bin, calibration_bins, expected_calibration_error


def error_of(confidence, right, bins=10):
    """The expected calibration error of predictions."""
    return expected_calibration_error(calibration_bins(confidence, right, bins))


def slow_error(pairs, bins):
    """Guo et al.'s definition: bin ``m`` holds confidences in ``((m - 1) / M, m / M]``; here the first holds 0 too."""
    total = 0.0
    for m in range(1, bins + 1):
        inside = [(p, c) for p, c in pairs if (m - 1) / bins < p <= m / bins or (p == 0 and m == 1)]
        if inside:
            total += len(inside) / len(pairs) * abs(np.mean([c for _, c in inside]) - np.mean([p for p, _ in inside]))
    return total


def test_calibration_error_by_hand():
    """Two bins: 0.2 and 0.4 with one of two right; 0.9 and 0.7 with both right."""
    found = calibration_bins([0.2, 0.4, 0.9, 0.7], [True, False, True, True], bins=2)

    assert found == [Bin(pytest.approx(0.3), 0.5, 2), Bin(pytest.approx(0.8), 1.0, 2)]
    assert expected_calibration_error(found) == pytest.approx(0.5 * abs(0.3 - 0.5) + 0.5 * abs(0.8 - 1.0))


def test_bins_are_weighted_by_what_they_hold():
    """Half the texts are 0.1 and half 0.3 off."""
    assert expected_calibration_error([Bin(0.6, 0.5, 10), Bin(0.5, 0.8, 10)]) == pytest.approx(0.2)
    assert expected_calibration_error([Bin(0.6, 0.5, 30), Bin(0.5, 0.8, 10)]) == pytest.approx(0.15)


def test_nothing_has_no_error():
    """No predictions are neither well nor badly calibrated."""
    assert calibration_bins([], []) == []
    assert expected_calibration_error([]) is None


def test_bins_are_closed_above():
    """0.5 belongs to the lower of two bins, 0 to the first, 1 to the last."""
    assert error_of([0.5, 0.4], [True, False], bins=2) == pytest.approx(0.05)
    assert error_of([0.5, 0.6], [True, False], bins=2) == pytest.approx(0.55)
    assert error_of([0.0, 1.0], [False, True]) == 0.0


@given(st.integers(1, 20), st.data())
def test_an_edge_belongs_to_the_bin_below_and_what_follows_to_the_next(bins, data):
    """Also where the edge is no binary fraction: 0.3 is in the third bin of ten, the next number in the fourth."""
    k = data.draw(st.integers(0, bins - 1))
    edge = k / bins
    after = math.nextafter(edge, 1)
    below, above = math.nextafter(edge, 0), (k + 1) / bins

    assert [part.count for part in calibration_bins([below, edge], [1, 1], bins)] == [2]
    assert [part.count for part in calibration_bins([after, above], [1, 1], bins)] == [2]
    assert len(calibration_bins([edge, after], [1, 1], bins)) == (2 if k else 1)


EDGES = st.builds(lambda k, bins: k / bins, st.integers(0, 10), st.just(10))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1) | EDGES, st.floats(0, 1) | st.booleans()), min_size=1, max_size=20),
    st.integers(1, 15),
)
def test_calibration_error_equals_a_plain_loop(pairs, bins):
    """The vectorised sum is the definition, written out, for confidences between and on the edges."""
    found = error_of([p for p, _ in pairs], [c for _, c in pairs], bins)

    assert found == pytest.approx(slow_error(pairs, bins), abs=1e-12)
    assert 0 <= found <= 1


@given(st.lists(st.floats(0, 1) | EDGES, min_size=1, max_size=30), st.integers(1, 15))
def test_each_prediction_is_in_one_bin_and_bins_ascend(confidence, bins):
    """Nothing is lost, and a diagram's line goes from left to right."""
    found = calibration_bins(confidence, [1.0] * len(confidence), bins)

    assert sum(part.count for part in found) == len(confidence)
    assert [part.confidence for part in found] == sorted(part.confidence for part in found)
    assert sum(part.confidence * part.count for part in found) == pytest.approx(sum(confidence))


def test_parts_of_an_answer_count():
    """A sentence of which half the words are right, 0.5 sure, is no surprise."""
    assert error_of([0.5, 0.75], [0.5, 0.75]) == 0.0
    assert error_of([0.9], [0.5]) == pytest.approx(0.4)


@pytest.mark.parametrize("confidence", [1.1, -0.1, math.nan])
def test_confidence_is_a_probability(confidence):
    """A logit in the place of a probability is refused."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration_bins([confidence], [True])


def test_calibration_needs_a_bin_and_a_confidence_for_each_answer():
    """Both numbers are named."""
    with pytest.raises(ValueError, match="at least one bin"):
        calibration_bins([0.5], [True], bins=0)
    with pytest.raises(ValueError, match="1 confidences for 2 examples"):
        calibration_bins([0.5], [True, False])
