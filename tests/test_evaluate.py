"""Model, texts, language: logits, predictions, scores."""

import pytest
import torch
from torch import nn

from lingraft.config import Block
from lingraft.encode import encode, states_at
from lingraft.evaluate import predict_rows, score
from lingraft.metrics import accuracy, macro_f1
from lingraft.model import GraftedModel, build_adaptation
from lingraft.records import Features, Score
from lingraft.run_folder import Unit
from lingraft.statistics import bootstrap_metric_interval
from lingraft.tasks import tasks

CPU = torch.device("cpu")
IDS = [[1, 5, 6, 7, 8, 2], [1, 9, 2], [1, 10, 11, 12, 2], [1, 2], [1, *range(5, 30), 2]]


@pytest.fixture(scope="module")
def model(tiny_backbone):
    """An adapted model with dropout, left in train mode."""
    torch.manual_seed(0)
    stack = tiny_backbone.stack
    adaptation = build_adaptation(
        prompt=Block.model_validate({"name": "deep", "length": 2}),
        adapter=Block.model_validate({"name": "bottleneck", "dropout": 0.5}),
        stack=stack,
        cut=1,
        languages=["yor-Latn"],
        head=nn.Linear(stack.width, 3),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
    )
    with torch.no_grad():
        for parameter in adaptation.parameters():
            parameter.add_(torch.randn_like(parameter))
    return GraftedModel(stack, adaptation)


@pytest.fixture
def encoded(tiny_backbone):
    """Cached states of five texts."""
    features = [Features(f"id{i}", tuple(ids)) for i, ids in enumerate(IDS)]
    return encode(
        features, tiny_backbone, cut=1, max_length=32, dtype="float32", max_bytes=10**9, device=CPU
    )  # fmt: skip


@pytest.mark.parametrize("language", ["yor-Latn", "eng-Latn"])
def test_predictions_equal_one_text_at_a_time(model, encoded, language):
    """Logits and pooled states come in the order asked, without dropout, whatever mode the model was in."""
    model.train()
    order = [3, 0, 4, 1, 2, 0]
    logits, pooled = predict_rows(model, encoded, [f"id{i}" for i in order], language)
    assert not model.adaptation.training
    for i, row, pool in zip(order, logits, pooled, strict=True):
        with torch.no_grad():
            final, alone = model(states_at([IDS[i]], model.stack, 1, CPU), language)
        torch.testing.assert_close(row, alone[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(pool, final.tokens[0].mean(0), rtol=1e-4, atol=1e-4)


def test_batches_do_not_matter(model, encoded, monkeypatch):
    """One text a batch gives what large batches give."""
    ids = [f"id{i}" for i in range(5)]
    together = predict_rows(model, encoded, ids, "yor-Latn")[0]
    monkeypatch.setattr("lingraft.evaluate.TOKENS_PER_BATCH", 1)
    torch.testing.assert_close(predict_rows(model, encoded, ids, "yor-Latn")[0], together, rtol=1e-4, atol=1e-4)


def test_prediction_records_no_gradient(model, encoded):
    """Scoring costs no memory for a backward pass."""
    logits, pooled = predict_rows(model, encoded, ["id0"], "yor-Latn")
    assert not logits[0].requires_grad
    assert not pooled.requires_grad


def test_scores_carry_all_that_tells_them_apart(tmp_path):
    """One score per metric: value, size, interval over groups, and which training it is of."""
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n", encoding="utf-8")
    task = tasks.build(
        "classification",
        {
            "source_language": "en",
            "target_languages": ["yo"],
            "files": {"train": str(tmp_path / "train.csv")},
            "title": "demo",
        },
    )
    gold, predicted = list("xyxyxyxy"), list("xxxyxyyy")
    groups = [f"g{i // 2}" for i in range(8)]
    found = score(gold, predicted, task, groups, method="lingraft", language="yor-Latn", unit=Unit(5, 1, 3), run="runs")
    expected = {"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(gold, predicted, labels=["x", "y"])}
    assert {s.metric: s.value for s in found} == pytest.approx(expected)
    for s in found:
        low, high = bootstrap_metric_interval(gold, [predicted], s.metric, groups, labels=task.labels)
        assert s == Score(
            task="demo", method="lingraft", language="yor-Latn", metric=s.metric, value=s.value, n=8,
            shots=5, draw=1, seed=3, run="runs", low=low, high=high,
        )  # fmt: skip
        assert s.low <= s.value <= s.high
