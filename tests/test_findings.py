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
from lingraft.training_record import Conflict, LossWeight, Noticed, Stage, changed_weights, conflict, noticed, stages


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


# ---- The record of a training ----------------------------------------------------------------------


def epochs(**columns):
    """Rows of ``training.jsonl``, ten steps an epoch, with these columns."""
    count = len(next(iter(columns.values())))
    return [
        {"epoch": i + 1, "step": 10 * (i + 1), **{key: values[i] for key, values in columns.items()}}
        for i in range(count)
    ]


def test_equal_epochs_in_a_row_are_one_stage():
    """What was trained again later is a stage of its own, and nothing is told of rows that do not say it."""
    head, all_parts = ["head"], ["head", "prompt", "layers 9-12"]

    assert stages(epochs(trained=[head, head, all_parts, head])) == [
        Stage((1, 2), (1, 20), ("head",)),
        Stage((3, 3), (21, 30), tuple(all_parts)),
        Stage((4, 4), (31, 40), ("head",)),
    ]
    assert stages(epochs(loss=[1.0, 0.5])) == []
    assert stages([]) == []


def test_conflict_is_a_mean_over_epochs():
    """Epochs without a measurement do not count."""
    rows = epochs(gradient_cosine=[-0.5, None, 0.1, float("nan")], gradient_ratio=[3.0, None, 1.0, None])

    assert conflict(rows) == Conflict(pytest.approx(-0.2), pytest.approx(2.0))
    assert conflict(epochs(gradient_cosine=[0.3])) == Conflict(0.3, None)
    assert conflict(epochs(loss=[1.0])) is None


@pytest.mark.parametrize(
    ("cosine", "verdict"), [(-0.11, "fight"), (-0.1, "orthogonal"), (0.1, "orthogonal"), (0.2, "help")]
)
def test_gradients_fight_below_a_tenth(cosine, verdict):
    """Around zero neither helps nor hinders."""
    assert Conflict(cosine, None).verdict == verdict


def test_only_weights_that_moved_are_told():
    """They have the recipe's names where these are as many."""
    rows = epochs(weights=[[1.0, 0.5], [1.0, 0.25], [1.0, 0.4]])

    assert changed_weights(rows, ["mse", "cka"]) == [
        LossWeight("mse", 1.0, 1.0, 1.0, 1.0),
        LossWeight("cka", 0.5, 0.4, 0.25, 0.5),
    ]
    assert [weight.name for weight in changed_weights(rows, ["mse"])] == ["loss 1", "loss 2"]
    assert changed_weights(epochs(weights=[[1.0], [1.0]]), ["mse"]) == []
    assert changed_weights(epochs(loss=[1.0]), ["mse"]) == []


def test_a_warning_is_told_once():
    """With where it was seen first and in how many trainings, the saved unit before others."""
    trainings = {
        "k0": epochs(warnings=[["dead"], [], []]),
        "k5": epochs(warnings=[[], ["one class", "dead"], ["dead"]]),
        "k9": epochs(loss=[1.0]),
    }

    assert noticed(trainings, "k5") == [Noticed("one class", 1, "k5", (2, 2)), Noticed("dead", 2, "k5", (2, 3))]
    assert noticed({}, "k5") == []
