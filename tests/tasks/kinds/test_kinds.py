"""What every kind of task says of itself."""

from dataclasses import asdict, replace

import pytest
import torch

from lingraft.core.errors import CheckpointError, DataError
from lingraft.core.examples import ChoiceExample, PairExample, SpanExample, TaggedExample
from lingraft.results.words import Words, words_of
from lingraft.tasks.kinds import NO_LABEL, kind_of, kinds
from lingraft.tasks.kinds.generation import GenerationExample
from lingraft.tasks.kinds.items import Asked
from lingraft.tasks.kinds.multilabel import MultilabelExample
from lingraft.tasks.kinds.regression import NumberExample

LABELS = {
    "classification": ("no", "yes"),
    "multilabel": ("new", "old"),
    "tagging": ("B-PER", "O"),
    "span_qa": (),
    "choice": (),
    "generation": (),
    "generative_qa": (),
    "regression": (),
}
SAID = {
    "classification": "bako",
    "multilabel": "bako",
    "tagging": "bako cora",
    "span_qa": {"question": "bako", "context": "cora"},
    "choice": {"text": "bako", "alternatives": ["cora", "mira"]},
    "generation": "bako",
    "generative_qa": {"question": "bako", "context": "cora"},
    "regression": "bako",
}
READ = {
    "classification": PairExample("3", "3", "yor-Latn", text_a="bako"),
    "multilabel": MultilabelExample("3", "3", "yor-Latn", text="bako"),
    "tagging": TaggedExample("3", "3", "yor-Latn", words=("bako", "cora")),
    "span_qa": SpanExample("3", "3", "yor-Latn", question="bako", context="cora", context_language="yor-Latn"),
    "choice": ChoiceExample("3", "3", "yor-Latn", text="bako", alternatives=("cora", "mira")),
    "generation": GenerationExample("3", "3", "yor-Latn", text="bako"),
    "generative_qa": SpanExample("3", "3", "yor-Latn", question="bako", context="cora", context_language="yor-Latn"),
    "regression": NumberExample("3", "3", "yor-Latn", text_a="bako"),
}
ASKED = Asked("3", "yor-Latn", "text 4 of 9", "market-talk")


def built(name):
    """The kind, with labels where it has some."""
    return kind_of(name, LABELS[name], {})


@pytest.mark.parametrize("name", kinds.names())
def test_what_is_saved_builds_the_kind_again(name):
    """Name, labels and options are all that an adaptation keeps of its kind."""
    kind = built(name)
    again = kind_of(kind.name, kind.labels, kind.options)
    assert (again.name, again.labels, again.options, again.words) == (name, LABELS[name], kind.options, kind.words)


@pytest.mark.parametrize("name", kinds.names())
def test_an_item_becomes_an_example_of_the_kind(name):
    """What a user gives is read as the class that training reads, under the identity that it is asked with."""
    kind = built(name)
    found = kind.example_of(SAID[name], ASKED)
    assert found == READ[name]
    assert type(found) is kind.example
    assert all(column in SAID[name] for column in kind.item_columns)


TARGETS = {
    "classification": [1, 0, None],
    "multilabel": [(1, 0), (1, 1), None],
    "tagging": [(0, NO_LABEL, 1), (1, 1, 0), None],
    "span_qa": [(0, 2), (1, 1), None],
    "choice": [(0, 1), (1, 0), (0, 0), (1, 1), None],  # two items of two alternatives
    "generation": [2, 3, None],
    "generative_qa": [2, 3, None],
    "regression": [-1.5, 0.25, None],
}


@pytest.mark.parametrize("name", kinds.names())
def test_what_counts_twice_is_learnt_from_like_two(name):
    """The loss of rows with weights is that of as many copies; rows without a target take no part."""
    kind, targets = built(name), TARGETS[name]
    example = 2 if name == "choice" else 1
    rows, first = len(targets), list(range(example))
    outputs = kind.outputs if kind.head_learns else 1  # what is written has one number a row in training
    shape = (rows, 3, outputs) if kind.per_token else (rows, outputs)
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([3.0] * example + [1.0] * example + [9.0] * (rows - 2 * example))
    copies = [*first, *first, *range(rows)]

    def loss(chosen, counts):
        """Of some of the rows."""
        collated = kind.collate([targets[row] for row in chosen], 3)
        return kind.loss(logits[chosen], collated, torch.ones(len(chosen), 3), torch.ones(len(kind.labels)), counts)

    found = loss(list(range(rows)), counts)
    torch.testing.assert_close(found, loss(copies, torch.ones(len(copies))))
    assert not torch.isclose(found, loss(list(range(rows)), torch.ones(rows)))


@pytest.mark.parametrize("name", kinds.names())
def test_pages_get_their_words_back(name):
    """Through data.json: nothing is lost, and no word is left to be guessed."""
    words = built(name).words
    assert words_of({"words": asdict(words)}) == words
    assert words.example != Words().example
    assert words.pipeline_tag
    assert words.limit.endswith(".")


def test_without_words_pages_stay_neutral():
    """A folder without them, and one with a word that nobody knows."""
    assert words_of({}) == words_of({"words": None}) == Words()
    assert words_of({"words": {"example": "rating", "colour": "red"}}) == Words(example="rating")
    assert (Words().labelled, Words().shots_title) == ("labelled example", "Labelled examples")


@pytest.mark.parametrize("name", ["span_qa", "choice", "tagging", "multilabel", "regression"])
def test_examples_without_one_class_count_as_they_are(name):
    """There is nothing to draw shots by, to weigh, or to compare the predictions of sentences in."""
    kind = built(name)
    assert (kind.classes, kind.one_class_each, kind.class_logits) == ((), False, False)


def test_classification_has_classes():
    """Shots are drawn by its labels, and its outputs are theirs."""
    kind = built("classification")
    assert (kind.classes, kind.class_logits, kind.outputs) == (("no", "yes"), True, 2)


def test_outputs_that_are_no_classes_are_not_taken_for_them():
    """A logistic regression would be fitted to a head of another size."""
    kind = built("classification")
    for change in ({"outputs": 1}, {"one_class_each": False}, {"per_token": True}, {"head": "gated"}):
        with pytest.raises(ValueError, match="classification: class_logits needs one_class_each"):
            replace(kind, **change)


def test_a_kind_must_read_items():
    """Whoever trains it wants to ask it."""
    with pytest.raises(ValueError, match="choice: name the item_columns"):
        replace(built("choice"), item_columns=(), read_item=None)


def test_columns_alone_read_an_item():
    """Where the columns are the example's fields, a kind needs no function; what is missing or empty is told."""
    kind = replace(built("classification"), item_columns=("text_a", "text_b"), read_item=None)
    assert kind.example_of({"text_a": "bako", "text_b": "cora"}, ASKED) == PairExample(
        "3", "3", "yor-Latn", text_a="bako", text_b="cora"
    )
    told = "text 4 of 9: market-talk takes objects with text_a and text_b"
    for item, problem in (("bako", ", got 'bako'"), ({"text_a": "bako"}, "; text_b is 'None', expected a text")):
        with pytest.raises(DataError) as caught:
            kind.example_of(item, ASKED)
        assert str(caught.value) == told + problem


@pytest.mark.parametrize(
    ("name", "found", "fits"),
    [
        ("classification", {"yes"}, True),
        ("classification", {"yes", "maybe"}, False),
        ("tagging", {"B-PER", "B-LOC"}, True),
        ("tagging", {"O", "B-LOC"}, False),
        ("tagging", {"O"}, True),
    ],
)
def test_other_data_are_scored_where_labels_are_shared(name, found, fits):
    """All classes must be known; of tags some, and not only that for nothing."""
    assert built(name).can_score(found) is fits


def test_the_words_of_a_sentence_answer_one_by_one():
    """A tagger that says O everywhere has collapsed, however long its sentences are."""
    assert list(built("tagging").answers("O B-PER O")) == ["O", "B-PER", "O"]
    assert list(built("classification").answers("not sure")) == ["not sure"]


def test_an_unknown_kind_is_refused():
    """With those there are, and what may be missing."""
    with pytest.raises(
        CheckpointError, match=r"unknown kind of task 'rating'; known are choice, .*multilabel.*install"
    ):
        kind_of("rating", (), {})


def test_a_kind_of_numbers_has_one_output_and_no_labels():
    """A ridge regression would be fitted to a head of another size."""
    kind = built("regression")
    assert (kind.fitted, kind.class_logits, built("tagging").fitted) == (True, False, False)
    for change in ({"outputs": 2}, {"labels": ("a", "b")}, {"per_token": True}, {"head": "gated"}):
        with pytest.raises(ValueError, match="regression: numeric needs a linear head with one output"):
            replace(kind, **change)


def test_a_kind_of_several_labels_has_an_output_for_each_and_the_threshold():
    """Heads are fitted to as many."""
    kind = built("multilabel")
    assert (kind.fitted, kind.label_logits, kind.class_logits) == (True, True, False)
    for change in ({"outputs": len(kind.labels)}, {"one_class_each": True}, {"per_token": True}, {"labels": ()}):
        with pytest.raises(ValueError, match="multilabel: label_logits needs an output for each"):
            replace(kind, **change)


def test_no_kind_is_judged_by_an_error():
    """Of what counts more is better: that is how trials are chosen and methods compared."""
    kind = built("regression")
    errors = {"mean_absolute_error": kind.metrics["mean_absolute_error"]}
    with pytest.raises(ValueError, match="the first metric is what counts, of which more must be better"):
        replace(kind, metrics=errors)
    assert next(iter(kind.metrics)) == "spearman"
