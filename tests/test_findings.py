"""What a run found out is computed as its docstrings promise."""

import pytest

from lingraft.findings import (
    Bin,
    Estimate,
    Result,
    confusion,
    expected_calibration_error,
    labels_of,
    mistakes,
    pair_distance,
    reliability,
)


def verdict(before, after, gain):
    """The verdict on three estimates."""
    return Result("x", "X", 1, before, after, gain, None, None, (), 1, 10, None).verdict


def test_only_an_interval_above_zero_is_a_gain():
    """The paired interval decides; without it, the two intervals must lie apart."""
    old, new = Estimate(0.2, 0.1, 0.3), Estimate(0.5, 0.4, 0.6)

    assert verdict(old, new, Estimate(0.3, 0.2, 0.4)) == "better"
    assert verdict(old, new, Estimate(0.3, -0.1, 0.4)) == "unclear"
    assert verdict(new, old, Estimate(-0.3, -0.4, -0.2)) == "worse"
    assert verdict(old, new, Estimate(0.3)) == "better"
    assert verdict(new, old, Estimate(-0.3)) == "worse"
    assert verdict(Estimate(0.2), Estimate(0.5), Estimate(0.3)) == "unclear"
    assert verdict(None, new, None) == "unknown"


def test_confusion_counts_gold_by_predicted():
    """Rows are gold, columns predicted, and a label that nobody declared comes last."""
    rows = [{"gold": "b", "value": "a"}, {"gold": "a", "value": "a"}, {"gold": "b", "value": "stray"}]

    assert labels_of(rows, ["b", "a"]) == ["b", "a", "stray"]
    assert confusion(rows, ["b", "a", "stray"]) == [[0, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_mistakes_are_the_surest_wrong_ones():
    """Right predictions are left out, and the surest wrong one comes first."""
    rows = [{"id": str(i), "gold": "a", "value": "ab"[i % 2], "confidence": i / 10} for i in range(6)]

    assert [row["id"] for row in mistakes(rows, limit=2)] == ["5", "3"]


def test_calibration_error_by_hand():
    """Half the texts are 0.1 and half 0.3 off, so the error is 0.2; a confidence of 1 has a bin."""
    assert expected_calibration_error([Bin(0.6, 0.5, 10), Bin(0.5, 0.8, 10)]) == pytest.approx(0.2)
    assert expected_calibration_error([]) is None
    assert reliability([{"v": "a", "gold": "a", "c": 1.0}], "v", "c") == [Bin(1.0, 1.0, 1)]


def test_translations_on_one_spot_have_no_distance():
    """Identical clouds are perfectly aligned."""
    cloud = [[0.0, 0.0], [3.0, 4.0]]

    assert pair_distance(cloud, cloud) == 0.0
    assert pair_distance(cloud, cloud[::-1]) == pytest.approx(2.0)
    assert pair_distance([], []) is None
