"""What a run found out is computed as its docstrings promise."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from lingraft.core.errors import RunError
from lingraft.core.records import Score
from lingraft.results.findings import (
    Estimate,
    Result,
    confusion,
    formula_of,
    labels_of,
    mistakes,
    most_confused,
    pair_distance,
    reliability,
    results,
    score_of_majority,
)
from lingraft.results.metrics import formulas
from lingraft.results.metrics.calibration import Bin
from lingraft.results.resampling import resample
from lingraft.results.run_files import RunFiles, is_right, read_predictions, share_right
from lingraft.results.statistics import interval
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


def test_one_answer_for_all_has_its_share_of_accuracy_and_no_correlation():
    """So that a rank correlation is not compared with the share of a label."""
    assert score_of_majority(["a", "b", "b", "b"], "accuracy") == 0.75
    assert score_of_majority(["a", "b", "b", "b"], "spearman") == 0.0


def test_the_classes_most_often_in_mistakes_are_those_of_the_largest_rows_and_columns():
    """Right answers do not count; of equals the first; they stay in order."""
    counts = [[90, 1, 0, 0], [0, 0, 2, 0], [0, 0, 50, 3], [0, 0, 0, 9]]
    assert most_confused(counts, 2) == [1, 2]
    assert most_confused(counts, 3) == [1, 2, 3]
    assert most_confused(counts, 9) == [0, 1, 2, 3]
    assert most_confused([], 9) == []


def test_confusion_counts_gold_by_predicted():
    """Rows are gold, columns predicted, and a label that nobody declared comes last."""
    rows = [{"gold": "b", "value": "a"}, {"gold": "a", "value": "a"}, {"gold": "b", "value": "stray"}]

    assert labels_of(rows, ["b", "a"]) == ["b", "a", "stray"]
    assert confusion(rows, ["b", "a", "stray"]) == [[0, 1, 1], [0, 1, 0], [0, 0, 0]]


def test_mistakes_are_the_surest_wrong_ones():
    """Right predictions are left out, and the surest wrong one comes first."""
    rows = [{"id": str(i), "gold": "a", "right": 1 - i % 2, "confidence": i / 10} for i in range(6)]

    assert [row["id"] for row in mistakes(rows, limit=2)] == ["5", "3"]


def test_reliability_reads_the_columns_of_its_moment():
    """Before and after each have a confidence and an answer that is right or wrong."""
    row = {"right": 1.0, "confidence": 1.0, "before_right": 0.0, "before_confidence": 0.55}
    assert (reliability([row], "after"), reliability([row], "before")) == ([Bin(1.0, 1.0, 1)], [Bin(0.55, 0.0, 1)])


def test_translations_on_one_spot_have_no_distance():
    """Identical clouds are perfectly aligned."""
    cloud = [[0.0, 0.0], [3.0, 4.0]]

    assert pair_distance(cloud, cloud) == 0.0
    assert pair_distance(cloud, cloud[::-1]) == pytest.approx(2.0)
    assert pair_distance([], []) is None


# ---- Answers that are not labels -------------------------------------------------------------------


def answer(number, counts, before_counts, *, gold=("x", "y"), **columns):
    """A line of predictions on a question; right if the first count reaches the second."""
    right, before_right = (float(one[0] == one[1]) for one in (counts, before_counts))
    return {
        "id": f"q{number}", "group": f"p{number // 2}", "gold": list(gold), "value": "x", "confidence": 0.95,
        "before": "z", "before_confidence": 0.25, "counts": list(counts), "before_counts": list(before_counts),
        "right": right, "before_right": before_right,
    } | columns  # fmt: skip


def run_of(rows, scores, metrics, **data):
    """A run of one training in memory; ``rows`` are its predictions by language."""

    class Run(RunFiles):
        def predictions(self, trial, language):
            return rows[trial].get(language, [])

    made = metrics if isinstance(metrics, dict) else dict.fromkeys(metrics, "mean")
    about = {"source_language": "eng-Latn", "target_languages": ["yor-Latn"], "metrics": made, **data}
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
    drawn = resample(groups)
    assert (found.after.low, found.after.high) == pytest.approx(interval(drawn.means(new[:, order])))
    assert found.gain.value == pytest.approx((new - old).mean())
    assert (found.gain.low, found.gain.high) == pytest.approx(interval(drawn.means((new - old)[:, order])))


def test_questions_about_contexts_in_other_languages_are_told_apart():
    """Each pair of languages has its own score, its own interval and its own name, whichever file it is in."""
    mixed = [
        answer(i, (float(i < 2), 1), (0, 1), language=one, context_language="yor-Latn", id=f"{one}{i}")
        for one in ("yor-Latn", "hau-Latn")
        for i in range(4)
    ]
    mixed = [row | {"counts": [1.0, 1.0], "right": 1.0} if row["language"] == "hau-Latn" else row for row in mixed]
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
    lowest = binomtest(2, 2).proportion_ci(method="exact").low
    assert (other.after.low, other.after.high) == pytest.approx((lowest, 1.0))
    assert (other.gain.low, other.gain.high) == pytest.approx((1 - 2 * (1 - lowest), 1.0))


def test_a_run_without_a_frozen_head_has_no_gain():
    """The adapted model's interval is there all the same."""
    rows = [{k: v for k, v in answer(i, (float(i < 3), 1), (0, 1)).items() if "before" not in k} for i in range(6)]
    files = {f"k0-draw0-seed{seed}": {"yor-Latn": rows} for seed in (1, 2)}
    (found,) = results(run_of(files, [scored("lingraft", 0.5, seed=seed) for seed in (1, 2)], ["f1"]))
    assert (found.before, found.gain, found.verdict) == (None, None, "unknown")
    assert found.after.low < 0.5 < found.after.high
    assert reliability(rows, "before") == []


def test_an_answer_is_wrong_if_any_of_it_is():
    """Half the words of a sentence right is a mistake."""
    rows = [answer(0, (0.5, 1), (1, 1)), answer(1, (1, 1), (0, 1)), answer(2, (2, 3, 3), (2, 2, 2), right=0.75)]
    assert [row["id"] for row in mistakes(rows)] == ["q0", "q2"]
    assert [(is_right(row), share_right(row)) for row in rows] == [(False, 0.0), (True, 1.0), (False, 0.75)]
    assert is_right(rows[2], "before")
    assert (reliability(rows[:2], "after"), reliability(rows[:2], "before")) == (
        [Bin(0.95, 0.5, 2)], [Bin(0.25, 0.5, 2)],
    )  # fmt: skip


@formulas.register("spread_of_tests")
def spread_of_tests():
    """A formula of an outside package: the standard deviation of a score from its sum, square and count."""
    return lambda sums: np.sqrt(sums[..., 1] / sums[..., 2] - (sums[..., 0] / sums[..., 2]) ** 2)


def test_a_metric_of_ones_own_has_its_own_interval():
    """The report finds what makes it of counts by the name in data.json, and resamples that."""
    scores = np.random.default_rng(1).random((2, 2, 12))  # moment, seed, question
    rows = {
        f"k0-draw0-seed{seed}": {
            "yor-Latn": [
                answer(i, (new[i], new[i] ** 2, 1), (old[i], old[i] ** 2, 1), group=f"{i:02}", id=f"{i:02}")
                for i in range(12)
            ]
        }
        for seed, (old, new) in enumerate(zip(*scores, strict=True))
    }
    made = [
        scored(method, float(scores[moment, seed].std()), metric="spread", seed=seed, n=12)
        for seed in range(2)
        for moment, method in enumerate(("frozen-head", "lingraft"))
    ]
    (found,) = results(run_of(rows, made, {"spread": "spread_of_tests"}, kind="an outsider's"))

    drawn = np.random.default_rng(0).integers(12, size=(2000, 12))
    before, after = (np.mean([seed[drawn].std(axis=1) for seed in moment], axis=0) for moment in scores)
    assert (found.metric, found.after.value) == ("spread", pytest.approx(scores[1].std(axis=1).mean()))
    assert (found.before.low, found.before.high) == pytest.approx(tuple(np.percentile(before, [2.5, 97.5])))
    assert (found.gain.low, found.gain.high) == pytest.approx(tuple(np.percentile(after - before, [2.5, 97.5])))


def test_a_formula_that_is_not_installed_is_named():
    """With what is known and where it should be registered; lists of older versions are told apart from it."""
    with pytest.raises(RunError, match=r"spread is made by the formula 'elsewhere'.*f1.*lingraft\.formulas"):
        formula_of({"metrics": {"spread": "elsewhere"}})
    with pytest.raises(RunError, match=r"expected \{name: formula\}, found \['f1'\]"):
        formula_of({"metrics": ["f1"]})


def test_predictions_without_counts_are_refused_with_their_line(tmp_path):
    """They would be scored as something they are not."""
    path = tmp_path / "yor-Latn.jsonl"
    first = '{"id": "1", "text": "ada", "gold": "a", "value": "a", "counts": [1, 1], "right": 1}'
    path.write_text(first + '\n{"id": "2", "value": "a"}\n', encoding="utf-8")
    with pytest.raises(RunError, match=r"yor-Latn\.jsonl:2: expected the columns `counts` and .*found id, value"):
        read_predictions(path)


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


def test_only_weights_that_moved_are_reported():
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
    """With where it was seen first and in how many trials, the saved trial before others."""
    trials = {
        "k0": epochs(warnings=[["dead"], [], []]),
        "k5": epochs(warnings=[[], ["one class", "dead"], ["dead"]]),
        "k9": epochs(loss=[1.0]),
    }

    assert noticed(trials, "k5") == [Noticed("one class", 1, "k5", (2, 2)), Noticed("dead", 2, "k5", (2, 3))]
    assert noticed({}, "k5") == []
