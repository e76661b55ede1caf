"""A run that is called like a pipeline of transformers."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from answering import LABELS, adapted_of
from lingraft.core.errors import CheckpointError, DataError
from lingraft.integrations.pipeline import Pipeline

CODE = "yor-Latn"
TEXTS = ["ada beli", "cora dune eli"]


@pytest.fixture
def theirs(tiny_checkpoint):
    """A pipeline of transformers with the same number of classes."""
    torch.manual_seed(0)
    names = dict(enumerate(LABELS["classification"]))
    model = AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint, id2label=names)
    return pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(tiny_checkpoint))


def form(given):
    """What an answer is made of, without its values."""
    if isinstance(given, list):
        return [form(one) for one in given]
    return {key: form(value) for key, value in given.items()} if isinstance(given, dict) else type(given).__name__


@pytest.mark.parametrize("options", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}])
@pytest.mark.parametrize(
    "inputs", [TEXTS[0], TEXTS, TEXTS[:1], {"text": "ada", "text_pair": "beli"}, [{"text": "ada", "text_pair": "beli"}]]
)
def test_classes_come_in_the_form_that_transformers_gives(tiny_backbone, theirs, inputs, options):
    """Of one text, of several, of pairs, with as many classes as are asked for."""
    pair = isinstance(inputs, dict) or isinstance(inputs[0], dict)
    ours = Pipeline(adapted_of(tiny_backbone, paired=pair), CODE)
    assert form(ours(inputs, **options)) == form(theirs(inputs, **options))
    assert ours.task == theirs.task


def test_classes_are_those_of_the_run_with_the_likeliest_first(tiny_backbone):
    """Their probabilities are the run's."""
    adapted = adapted_of(tiny_backbone)
    whole, found = adapted.predict_proba(TEXTS, language=CODE), Pipeline(adapted, CODE)(TEXTS, top_k=None)
    for row, answers in zip(whole.values, found, strict=True):
        assert {one["label"]: one["score"] for one in answers} == pytest.approx(
            dict(zip(whole.classes, row, strict=True))
        )
        assert [one["score"] for one in answers] == sorted(row, reverse=True)


@pytest.mark.parametrize("kind", ["classification", "multilabel"])
def test_an_item_without_text_has_no_class(tiny_backbone, kind):
    """Neither the first one of the run nor a score that is no number, as `predict` has none."""
    ours = Pipeline(adapted_of(tiny_backbone, kind), CODE)
    nothing = {"label": "", "score": 0.0}
    assert ours(["ada beli", "", " "])[1:] == [nothing, nothing]
    assert ours("", top_k=None) == [nothing]
    assert [len(one) for one in ours(["ada beli", ""], top_k=None)] == [3, 1]


def test_tags_come_as_entities(tiny_backbone):
    """As transformers groups them: label, score, text and place of each."""
    adapted = adapted_of(tiny_backbone, "tagging")
    found, answers = Pipeline(adapted, CODE)(TEXTS), adapted.predict(TEXTS, language=CODE)
    assert [
        [(one["entity_group"], one["score"], one["word"], one["start"], one["end"]) for one in row] for row in found
    ] == [[(one.label, one.score, one.text, one.start, one.end) for one in answer.entities] for answer in answers]
    assert any(found)
    assert Pipeline(adapted, CODE)(TEXTS[0]) == found[0]


def test_questions_come_with_their_context(tiny_backbone):
    """As an object, several, or two arguments."""
    adapted, asked = adapted_of(tiny_backbone, "span_qa"), {"question": "ada", "context": "cora dune eli"}
    ours, (answer,) = Pipeline(adapted, CODE), adapted.predict([asked], language=CODE)
    expected = {"score": answer.confidence, "start": answer.start, "end": answer.end, "answer": answer.value}
    assert ours(asked) == ours(**asked) == expected
    assert ours([asked, asked]) == [expected, expected]


def test_what_it_does_not_know_is_one_clear_error_each(tiny_backbone):
    """A kind that transformers has no pipeline for, an option, a number of classes, an item."""
    ours = Pipeline(adapted_of(tiny_backbone), CODE)
    with pytest.raises(CheckpointError, match="transformers has no pipeline for choice; use lingraft"):
        Pipeline(adapted_of(tiny_backbone, "choice"))
    with pytest.raises(DataError, match="padding: no option that this answers; known is top_k"):
        ours("ada", padding=True)
    with pytest.raises(DataError, match="top_k: expected a number of classes, or None for all, got 0"):
        ours("ada", top_k=0)
    with pytest.raises(DataError, match="expected a text or a list of texts, got 5"):
        ours(5)
    with pytest.raises(DataError, match="expected the texts of a Frame: one column"):
        ours(Frame())


class Frame:
    """A table as pandas has them: who goes through it gets the names of its columns."""

    columns = ("text",)

    def __iter__(self):
        return iter(self.columns)
