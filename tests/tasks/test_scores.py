"""Tests of lingraft.tasks.scores: each metric of a kind has its value and its own interval."""

from dataclasses import replace

import numpy as np
import pytest

from lingraft.core.records import Trial
from lingraft.results.metrics import Metric, formulas
from lingraft.tasks import Task
from lingraft.tasks.kinds.classification import classification_kind
from lingraft.tasks.scores import score


@formulas.register("product_of_tests")
def product_of_tests():
    """Share right of one class times share right of the other."""
    return lambda sums: sums[..., 0] * sums[..., 2] / np.maximum(sums[..., 1] * sums[..., 3], 1)


def both_sides(gold, predicted):
    """Right and all, of each of two classes."""
    return tuple(float(x) for label in "ab" for x in (gold == predicted == label, gold == label))


def test_a_metric_of_a_kind_of_ones_own_has_its_own_interval():
    """Value and interval are those of its formula, drawn together with the metrics beside it."""
    kind = classification_kind(("a", "b"))
    own = Metric(both_sides, "product_of_tests", lambda gold, predicted: float(gold == predicted))
    kind = replace(kind, name="an outsider's", metrics={"both": own, **kind.metrics})
    task = Task("demo", kind, "eng-Latn", ("yor-Latn",), lambda language, split: [], "", "")
    rng = np.random.default_rng(3)
    gold = rng.choice(["a", "b"], 40)
    predicted = np.where(rng.random(40) < 0.7, gold, "b")
    names = [f"{i:02}" for i in range(40)]
    scores = score(
        gold.tolist(), predicted.tolist(), task, names, method="m", language="yor-Latn", trial=Trial(0, 0, 1), run="r"
    )

    def slow(chosen):
        return np.prod([np.mean(predicted[chosen][gold[chosen] == label] == label) for label in "ab"])

    drawn = np.random.default_rng(0).integers(40, size=(2000, 40))
    first, second, third = scores
    assert (first.metric, second.metric, third.metric) == ("both", "accuracy", "macro_f1")
    assert first.value == pytest.approx(slow(np.arange(40)))
    assert (first.low, first.high) == pytest.approx(tuple(np.percentile([slow(c) for c in drawn], [2.5, 97.5])))
    hits = (gold == predicted)[drawn].mean(axis=1)
    assert (second.low, second.high) == pytest.approx(tuple(np.percentile(hits, [2.5, 97.5])))
