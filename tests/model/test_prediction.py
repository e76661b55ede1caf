"""Model, texts, language: logits, predictions, scores."""

import pytest
import torch

from lingraft.backbones.encoding import encode
from lingraft.backbones.walk import states_at
from lingraft.core.examples import Answer, ChoiceExample, PairExample, SpanExample, TaggedExample
from lingraft.core.records import Features, Score, Trial
from lingraft.model.adaptation import Adaptation, build_adaptation
from lingraft.model.heads import build_head
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.model.prediction import predict_rows, predictions_of
from lingraft.recipe.blocks import Block
from lingraft.results.metrics import accuracy, macro_f1
from lingraft.results.resampling import resample
from lingraft.results.statistics import interval
from lingraft.tasks import Task, tasks
from lingraft.tasks.kinds.choice import choice_kind
from lingraft.tasks.kinds.span_qa import span_qa_kind
from lingraft.tasks.kinds.tagging import tagging_kind
from lingraft.tasks.scores import by_languages, score, score_by_language

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
        head=LinearClassifier(stack.width, 3),
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
        features, tiny_backbone, cut=1, dtype="float32", max_bytes=10**9, device=CPU
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


def test_a_head_alone_reads_the_cached_pooled_states(encoded, tiny_backbone, monkeypatch):
    """What a forward pass would give, without one."""
    model = GraftedModel(tiny_backbone.stack, Adaptation(None, None, LinearClassifier(tiny_backbone.stack.width, 3)))
    with torch.no_grad():
        alone = [model(states_at([IDS[i]], model.stack, 1, CPU), "yor-Latn") for i in (4, 0)]
    monkeypatch.setattr(model, "forward", None)

    logits, pooled = predict_rows(model, encoded, ["id4", "id0"], "yor-Latn")

    for row, pool, (final, expected) in zip(logits, pooled, alone, strict=True):
        torch.testing.assert_close(row, expected[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(pool, final.tokens[0].mean(0), rtol=1e-4, atol=1e-4)


def test_batches_do_not_matter(model, encoded, monkeypatch):
    """One text a batch gives what large batches give."""
    ids = [f"id{i}" for i in range(5)]
    together = predict_rows(model, encoded, ids, "yor-Latn")[0]
    monkeypatch.setattr("lingraft.model.prediction.TOKENS_PER_BATCH", 1)
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
    found = score(
        gold, predicted, task, groups, method="lingraft", language="yor-Latn", trial=Trial(5, 1, 3), run="runs"
    )
    expected = {"accuracy": accuracy(gold, predicted), "macro_f1": macro_f1(["x", "y"])(gold, predicted)}
    assert {s.metric: s.value for s in found} == pytest.approx(expected)
    for s in found:
        metric = task.kind.metrics[s.metric]
        low, high = interval(resample(groups).metric(metric.made, metric.table(gold, predicted)[None]))
        assert s == Score(
            task="demo", method="lingraft", language="yor-Latn", metric=s.metric, value=s.value, n=8,
            shots=5, draw=1, seed=3, run="runs", low=low, high=high,
        )  # fmt: skip
        assert s.low <= s.value <= s.high


# ---- Other kinds -----------------------------------------------------------------------------------


def task_of_kind(kind):
    """A task that nothing is read from."""
    return Task("demo", kind, "eng-Latn", ("yor-Latn",), lambda language, split: [], "", "")


def question(name, language, context_language, answer, group="p"):
    """Its answer is the whole context."""
    return SpanExample(
        name, group, language, question="ada", context=answer, context_language=context_language,
        answers=(Answer(answer, 0),),
    )  # fmt: skip


def test_questions_are_sorted_by_both_languages():
    """Places by question's and context's language, in their order; other texts go by the language asked for."""
    pairs = [("hau-Latn", "yor-Latn"), ("yor-Latn", "yor-Latn"), ("hau-Latn", "eng-Latn"), ("hau-Latn", "yor-Latn")]
    asked = [question(str(i), one, other, "beli") for i, (one, other) in enumerate(pairs)]
    assert list(by_languages(asked, "yor-Latn")) == [
        (("hau-Latn", "eng-Latn"), [2]),
        (("hau-Latn", "yor-Latn"), [0, 3]),
        (("yor-Latn", "yor-Latn"), [1]),
    ]
    texts = [PairExample(str(i), str(i), "eng-Latn", text_a="ada") for i in range(3)]
    assert list(by_languages(texts, "yor-Latn")) == [(("yor-Latn", None), [0, 1, 2])]
    assert list(by_languages([], "yor-Latn")) == []


def test_each_pair_of_languages_has_its_scores():
    """By the rules of the context's language, with intervals over the groups of these questions alone."""
    asked = [
        question("0", "deu-Latn", "eng-Latn", "the ada", "p"),
        question("1", "deu-Latn", "eng-Latn", "beli cora", "q"),
        question("2", "eng-Latn", "deu-Latn", "the ada", "p"),
        question("3", "eng-Latn", "deu-Latn", "der ada", "p"),
    ]
    where = {"language": "x", "method": "m", "trial": Trial(0, 0, 1), "run": "r"}
    found = score_by_language(
        asked, ["ada", "beli", "ada", "ada"], task_of_kind(span_qa_kind(normaliser="mlqa")), **where
    )
    by = {(s.language, s.context_language, s.metric): s for s in found}
    assert len(found) == len(by) == 4
    english, german = by["deu-Latn", "eng-Latn", "f1"], by["eng-Latn", "deu-Latn", "f1"]
    assert (english.value, english.n) == (pytest.approx((1 + 2 / 3) / 2), 2)  # "the" is an article there
    assert (english.low, english.high) == pytest.approx(interval(resample(["p", "q"]).means([[1, 2 / 3]])))
    assert german.value == pytest.approx((2 / 3 + 1) / 2)
    assert (german.low, german.high) == (None, None)  # one paragraph: nothing to draw
    assert by["eng-Latn", "deu-Latn", "exact_match"].value == 0.5


def test_spans_are_scored_over_sentences():
    """F1 and accuracy of tags are no means over sentences; groups are drawn together all the same."""
    task = task_of_kind(tagging_kind(("B-PER", "I-PER", "O")))
    golds = ["B-PER O O", "O B-PER I-PER", "O O O"]
    examples = [
        TaggedExample(str(i), f"g{i}", "yor-Latn", words=("a", "b", "c"), tags=tuple(gold.split()))
        for i, gold in enumerate(golds)
    ]
    found = score_by_language(
        examples, ["B-PER O O", "O B-PER O", "B-PER O O"], task,
        language="yor-Latn", method="m", trial=Trial(0, 0, 1), run="r",
    )  # fmt: skip
    assert [(s.metric, s.value, s.n, s.context_language) for s in found] == [
        ("span_f1", pytest.approx(2 * 1 / (3 + 2)), 3, None),
        ("tag_accuracy", pytest.approx(7 / 9), 3, None),
    ]
    assert all(s.low <= s.value <= s.high for s in found)


def test_predictions_come_from_all_rows_of_an_example(tiny_backbone, model):
    """Alternatives and windows are found again whatever the order asked for, each token's logits its own."""
    stack = tiny_backbone.stack
    words = ["ada", "beli", "cora", "dune", "eli", "fara", "goma", "hilu", "iva", "jora"]
    context = " ".join(words * 4)
    items = [
        ChoiceExample(f"c{i}", "g", "yor-Latn", text=words[i], alternatives=tuple(words[: 2 + i])) for i in range(4)
    ]
    asked = [question(f"q{i}", "yor-Latn", "yor-Latn", text) for i, text in enumerate([context, "ada beli", context])]
    tagged = [TaggedExample(f"t{count}", "g", "yor-Latn", words=tuple((words * 6)[:count])) for count in (3, 50, 1)]
    tags = tagging_kind(("A", "B", "O"), scheme="plain")
    for kind, examples in ((choice_kind(), items), (span_qa_kind(stride=4), asked), (tags, tagged)):
        torch.manual_seed(1)
        network = GraftedModel(
            stack,
            build_adaptation(
                prompt=Block.model_validate({"name": "deep", "length": 2}), adapter=None, stack=stack, cut=1,
                languages=["yor-Latn"], head=build_head(kind, stack),
                initial=lambda how, layer, count: torch.randn(count, stack.width),
            ),
        ).eval()  # fmt: skip
        features = kind.encode(examples, tiny_backbone.tokenizer, 24, "")
        encoded = encode(features, tiny_backbone, cut=1, dtype="float32", max_bytes=10**9, device=CPU)
        assert len(features) > len(examples)
        order = [2, 0, 1]
        wanted = [examples[i] for i in order]
        logits, pooled = predict_rows(network, encoded, [example.id for example in wanted], "yor-Latn")
        together = predictions_of(logits, wanted, encoded, task_of_kind(kind))
        assert len(logits) == len(pooled) == sum(len(encoded.rows[example.id]) for example in wanted)
        for example, prediction in zip(wanted, together, strict=True):
            own = [feature for feature in features if feature.example_id == example.id]
            read = []
            for feature in own:
                with torch.no_grad():
                    read.append(network(states_at([feature.input_ids], stack, 1, CPU), "yor-Latn")[1][0])
            (alone,) = kind.decode([example], own, read)
            assert (prediction.example_id, prediction.value) == (alone.example_id, alone.value)
            assert prediction.confidence == pytest.approx(alone.confidence, abs=1e-4)
