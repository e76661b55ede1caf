"""What a run found out is computed as its docstrings promise."""

from pathlib import Path

import numpy as np
import pytest

from lingraft.core.records import Score
from lingraft.results.findings import (
    Bin,
    Estimate,
    Result,
    confusion,
    expected_calibration_error,
    labels_of,
    mistakes,
    pair_distance,
    reliability,
    results,
)
from lingraft.results.run_files import RunFiles, is_right, share_right
from lingraft.results.statistics import bootstrap_interval
from lingraft.results.training_history import (
    Conflict,
    LossWeight,
    Noticed,
    Stage,
    changed_weights,
    conflict,
    noticed,
    stages,
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
    row = {"gold": "a", "value": "a", "confidence": 1.0, "before": "b", "before_confidence": 0.55}
    assert (reliability([row], "after"), reliability([row], "before")) == ([Bin(1.0, 1.0, 1)], [Bin(0.55, 0.0, 1)])


def test_translations_on_one_spot_have_no_distance():
    """Identical clouds are perfectly aligned."""
    cloud = [[0.0, 0.0], [3.0, 4.0]]

    assert pair_distance(cloud, cloud) == 0.0
    assert pair_distance(cloud, cloud[::-1]) == pytest.approx(2.0)
    assert pair_distance([], []) is None


# ---- Answers that are not labels -------------------------------------------------------------------


def answer(number, counts, before_counts, *, gold=("x", "y"), **columns):
    """A line of predictions on a question."""
    return {
        "id": f"q{number}", "group": f"p{number // 2}", "gold": list(gold), "value": "x", "confidence": 0.95,
        "before": "z", "before_confidence": 0.25, "counts": list(counts), "before_counts": list(before_counts),
    } | columns  # fmt: skip


def run_of(rows, scores, metrics, **data):
    """A run of one training in memory; ``rows`` are its predictions by language."""

    class Run(RunFiles):
        def predictions(self, unit, language):
            return rows[unit].get(language, [])

    about = {"source_language": "eng-Latn", "target_languages": ["yor-Latn"], "metrics": metrics, **data}
    return Run(Path(), "", about, tuple(scores), (), {}, {})


def scored(method, value, metric="f1", language="yor-Latn", **changes):
    """A score without an interval."""
    given = {"task": "t", "n": 4, "shots": 0, "draw": 0, "seed": 1, "run": "r"} | changes
    return Score(method=method, language=language, metric=metric, value=value, **given)


def test_counts_make_means_gains_and_intervals():
    """F1 of questions over paragraphs, two seeds: the interval is that of their counts, paired by question."""
    rng = np.random.default_rng(0)
    tables = {seed: rng.random((2, 12)) for seed in (1, 2)}
    rows = {
        f"k0-draw0-seed{seed}": {
            "yor-Latn": [answer(i, (new[i], 1), (old[i], 1)) for i in range(12)]
        }
        for seed, (old, new) in tables.items()
    }  # fmt: skip
    scores = [
        scored(method, float(table.mean()), seed=seed, n=12)
        for seed, (old, new) in tables.items()
        for method, table in (("frozen-head", old), ("lingraft", new))
    ]
    (found,) = results(run_of(rows, scores, ["f1", "exact_match"], words={"example": "question"}))

    old, new = (np.array([table[side] for table in tables.values()]) for side in (0, 1))
    order = sorted(range(12), key=lambda i: f"q{i}")  # as the rows are sorted
    groups = [f"p{i // 2}" for i in order]
    assert (found.metric, found.words.example, found.n, found.seeds, found.majority) == ("f1", "question", 12, 2, None)
    assert (found.second_before, found.second_after) == (None, None)
    assert found.after.value == pytest.approx(new.mean())
    assert (found.after.low, found.after.high) == pytest.approx(bootstrap_interval(new[:, order], groups))
    assert found.gain.value == pytest.approx((new - old).mean())
    assert (found.gain.low, found.gain.high) == pytest.approx(bootstrap_interval((new - old)[:, order], groups))


def test_questions_about_contexts_in_other_languages_are_told_apart():
    """Each pair of languages has its own score, its own interval and its own name, whichever file it is in."""
    mixed = [
        answer(i, (float(i < 2), 1), (0, 1), language=one, context_language="yor-Latn", id=f"{one}{i}")
        for one in ("yor-Latn", "hau-Latn")
        for i in range(4)
    ]
    mixed = [row | {"counts": [1.0, 1.0]} if row["language"] == "hau-Latn" else row for row in mixed]
    rows = {f"k0-draw0-seed{seed}": {"yor-Latn": mixed} for seed in (1, 2)}
    scores = [
        scored(method, value, language=one, context_language="yor-Latn", seed=seed)
        for seed in (1, 2)
        for one, last in (("yor-Latn", 0.5), ("hau-Latn", 1.0))
        for method, value in (("frozen-head", 0.0), ("lingraft", last))
    ]
    named = {"yor-Latn": {"name": "Yoruba"}, "hau-Latn": {"name": "Hausa"}}
    own, other = results(run_of(rows, scores, ["f1"], languages=named))

    assert [(r.name, r.language, r.context_language, r.n) for r in (own, other)] == [
        ("Yoruba", "yor-Latn", "yor-Latn", 4),
        ("Hausa about Yoruba", "hau-Latn", "yor-Latn", 4),
    ]
    assert (own.after.value, other.after.value) == (0.5, 1.0)
    assert own.after.low < 0.5 < own.after.high
    assert (other.after.low, other.after.high, other.gain.low) == (1.0, 1.0, 1.0)


def test_a_run_without_a_frozen_head_has_no_gain():
    """The adapted model's interval is there all the same."""
    rows = [{k: v for k, v in answer(i, (float(i < 3), 1), (0, 1)).items() if "before" not in k} for i in range(6)]
    files = {f"k0-draw0-seed{seed}": {"yor-Latn": rows} for seed in (1, 2)}
    (found,) = results(run_of(files, [scored("lingraft", 0.5, seed=seed) for seed in (1, 2)], ["f1"]))
    assert (found.before, found.gain, found.verdict) == (None, None, "unknown")
    assert found.after.low < 0.5 < found.after.high
    assert reliability(rows, "before") == []


def test_an_answer_is_wrong_if_any_of_it_is():
    """Half an F1 is a mistake; all of it is none; a tagged sentence needs all its spans and no others."""
    rows = [answer(0, (0.5, 1), (1, 1)), answer(1, (1, 1), (0, 1)), answer(2, (2, 3, 2), (2, 2, 2))]
    assert [row["id"] for row in mistakes(rows)] == ["q0", "q2"]
    assert (reliability(rows[:2], "after"), reliability(rows[:2], "before")) == (
        [Bin(0.95, 0.5, 2)], [Bin(0.25, 0.5, 2)],
    )  # fmt: skip


def test_the_confidence_of_a_sentence_is_that_of_its_words():
    """The mean of the words' probabilities is held against the share of right words, not of right sentences."""
    tagged = answer(0, (1, 2, 2), (0, 0, 2), gold="") | {
        "gold": "B-PER O B-LOC O", "value": "B-PER O B-PER O", "confidence": 0.75,
        "before": "O O O O", "before_confidence": 0.5,
    }  # fmt: skip
    assert (share_right(tagged), share_right(tagged, "before"), is_right(tagged)) == (0.75, 0.5, False)
    assert expected_calibration_error(reliability([tagged], "after")) == 0.0
    labelled = {"gold": "a b", "value": "a c"}  # a label with a blank in it is one answer
    assert share_right(labelled) == 0.0


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
