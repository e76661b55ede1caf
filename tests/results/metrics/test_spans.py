"""Tests of lingraft.results.metrics.spans: by hand, against a slow reference, and against seqeval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.results.metrics.spans import repair_tags, span_f1, spans_of, tag_accuracy

TAGS = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-a-b", "I-a-b", "B", "I"])
SENTENCE = st.lists(TAGS, min_size=1, max_size=8)
PAIR = st.integers(1, 8).flatmap(lambda n: st.tuples(*[st.lists(TAGS, min_size=n, max_size=n)] * 2))
PAIRS = st.lists(PAIR, min_size=1, max_size=5)


def joined(pairs):
    """Sentences as the metrics take them."""
    return [" ".join(gold) for gold, _ in pairs], [" ".join(predicted) for _, predicted in pairs]


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("B-PER I-PER O B-LOC", {("PER", 0, 2), ("LOC", 3, 4)}),
        ("B-PER B-PER", {("PER", 0, 1), ("PER", 1, 2)}),
        ("O I-PER I-PER", {("PER", 1, 3)}),  # an I after O begins a span
        ("I-PER O I-PER", {("PER", 0, 1), ("PER", 2, 3)}),
        ("B-PER I-LOC I-LOC", {("PER", 0, 1), ("LOC", 1, 3)}),  # and one of another type
        ("B-PER I-LOC I-PER", {("PER", 0, 1), ("LOC", 1, 2), ("PER", 2, 3)}),
        ("B-a-b I-a-b I-b", {("a-b", 0, 2), ("b", 2, 3)}),
        ("B I O I", {("_", 0, 2), ("_", 3, 4)}),
        ("O O", set()),
        ("", set()),
    ],
)
def test_spans_by_hand(tags, spans):
    """With what each I continues."""
    assert spans_of(tags.split()) == spans


def test_repaired_by_hand():
    """Only an I that continues nothing becomes a B."""
    tags = ["O", "I-PER", "I-PER", "I-LOC", "B-LOC", "I-LOC", "O", "I"]

    assert repair_tags(tags) == ["O", "B-PER", "I-PER", "B-LOC", "B-LOC", "I-LOC", "O", "B"]


@settings(deadline=None)
@given(SENTENCE)
def test_repair_keeps_the_spans_and_leaves_nothing_to_repair(tags):
    """Mending twice is mending once, and every I continues its type."""
    mended = repair_tags(tags)

    assert spans_of(mended) == spans_of(tags)
    assert repair_tags(mended) == mended
    for before, tag in zip(["O", *mended], mended, strict=False):
        assert tag[0] != "I" or before[1:] == tag[1:]


@settings(deadline=None)
@given(SENTENCE)
def test_spans_equal_a_slow_reference(tags):
    """All stretches of words, of which those are kept that begin and go on as a span and end before another."""
    kinds = [tag[2:] or "_" for tag in tags]

    def begins(i):
        return tags[i] != "O" and (tags[i][0] == "B" or i == 0 or tags[i - 1] == "O" or kinds[i - 1] != kinds[i])

    found = set()
    for start in range(len(tags)):
        for end in range(start + 1, len(tags) + 1):
            whole = begins(start) and all(tags[i] != "O" and not begins(i) for i in range(start + 1, end))
            if whole and (end == len(tags) or tags[end] == "O" or begins(end)):
                found.add((kinds[start], start, end))

    assert spans_of(tags) == found


@pytest.mark.parametrize("tag", ["NOUN", "X-PER", "BPER", "o", "O-PER", ""])
def test_other_tags_are_refused(tag):
    """Parts of speech, and letters of no scheme, are no spans."""
    for function in (spans_of, repair_tags):
        with pytest.raises(DataError, match="not a BIO tag; expected O, B-TYPE or I-TYPE"):
            function(["O", tag])


def test_span_f1_by_hand():
    """Gold: 3 spans; predicted: 3, of which one is too long, one right; over two sentences together."""
    gold = ["B-PER I-PER O B-LOC", "O B-ORG"]
    predicted = ["B-PER I-PER O B-PER", "I-ORG I-ORG"]

    assert span_f1(gold, predicted) == pytest.approx(2 * 1 / (3 + 3))
    assert span_f1.table(gold, predicted).tolist() == [[1, 2, 2], [0, 1, 1]]


def test_span_f1_counts_spans_not_sentences():
    """A sentence without spans changes nothing."""
    assert span_f1(["B-PER", "O"], ["B-PER", "O"]) == 1.0
    assert span_f1(["B-PER O", "O"], ["O B-PER", "O"]) == 0.0


def test_span_f1_of_no_spans_is_zero():
    """As conlleval and seqeval have it."""
    assert span_f1(["O O"], ["O O"]) == 0.0


def test_tag_accuracy_counts_words():
    """Two of four, over both sentences."""
    assert tag_accuracy(["NOUN VERB DET", "NOUN"], ["NOUN VERB NOUN", "VERB"]) == 0.5


def test_metrics_of_many_sums_at_once():
    """As the bootstrap calls them."""
    sums = np.array([[[2.0, 2.0, 2.0], [0.0, 0.0, 3.0]]])

    assert span_f1.made(sums).tolist() == [[1.0, 0.0]]
    assert tag_accuracy.made(np.array([[1.0, 4.0], [3.0, 3.0]])).tolist() == [0.25, 1.0]


def test_how_much_of_a_sentence_is_right():
    """The share of its words; a span that begins with I is the same as one that begins with B, where spans count."""
    assert span_f1.right("B-PER O B-LOC O", "B-PER O B-PER O") == 0.75
    assert (span_f1.right("I-PER I-PER", "B-PER I-PER"), tag_accuracy.right("I-PER I-PER", "B-PER I-PER")) == (1.0, 0.5)
    assert span_f1.right("O O", "O O") == 1.0  # although F1 is 0


@pytest.mark.parametrize("metric", [span_f1, tag_accuracy])
@pytest.mark.parametrize("predicted", ["O", "O O O", ""])
def test_predictions_of_another_length_are_an_error(metric, predicted):
    """A tag too few would shift all that follow."""
    with pytest.raises(ValueError, match=r"\d tags predicted for 2 words"):
        metric(["O O"], [predicted])


@settings(deadline=None, max_examples=200)
@given(PAIRS)
def test_metrics_equal_seqeval(pairs):
    """Spans, their F1 and the accuracy of tags, in the default mode."""
    metrics = pytest.importorskip("seqeval.metrics")
    labelling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    gold, predicted = joined(pairs)
    whole = [list(one) for one, _ in pairs], [list(other) for _, other in pairs]
    with np.errstate(all="ignore"):
        expected = metrics.f1_score(*whole, zero_division=0)

    assert span_f1(gold, predicted) == pytest.approx(expected)
    assert tag_accuracy(gold, predicted) == pytest.approx(metrics.accuracy_score(*whole))
    for tags in (*whole[0], *whole[1]):
        assert spans_of(tags) == {(kind, start, end + 1) for kind, start, end in labelling.get_entities(tags)}
