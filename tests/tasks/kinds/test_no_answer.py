"""Questions that a context does not answer: learnt, decided by a threshold, scored as SQuAD v2 does."""

import collections
import re
import string

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.examples import Answer, SpanExample
from lingraft.core.records import Features, States
from lingraft.model.heads.no_answer import NoAnswerClassifier
from lingraft.results.metrics.answers import answer_metrics
from lingraft.tasks.kinds.no_answer import best_threshold, null_scores
from lingraft.tasks.kinds.span_qa import span_qa_kind
from tiny import decoder_tokenizer

CONTEXT = "Ada met Eli"
SPANS = ((0, 3), (4, 7), (8, 11))


def question(name, answer=None):
    """A question, answered by a word or not at all."""
    answers = (Answer(answer, CONTEXT.index(answer)),) if answer else ()
    return SpanExample(name, name, "eng-Latn", question="?", context=CONTEXT, answers=answers,
                       unanswerable=answer is None)  # fmt: skip


def row(name, part=0):
    """A window: a first token that is no text, and three words."""
    return Features(name, (0, 1, 2, 3), part=part, offsets=(None, *SPANS))


def logits(null, *words):
    """Equal logits of first and last position at each token."""
    return torch.tensor([[value / 2, value / 2] for value in (null, *words)])


# ---- Scores ----------------------------------------------------------------------------------------


def official(answers, predicted):
    """Exact match and F1 of one question as the evaluation script of SQuAD v2.0 computes them."""

    def normal(text):
        kept = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())

    def f1(gold, guess):
        right, guessed = normal(gold).split(), normal(guess).split()
        if not right or not guessed:
            return int(right == guessed)
        same = sum((collections.Counter(right) & collections.Counter(guessed)).values())
        if same == 0:
            return 0
        precision, recall = same / len(guessed), same / len(right)
        return 2 * precision * recall / (precision + recall)

    golds = [answer for answer in answers if normal(answer)] or [""]
    return max(int(normal(a) == normal(predicted)) for a in golds), max(f1(a, predicted) for a in golds)


TEXT = st.text(alphabet="ab theABxé.,-' ", max_size=12)


@given(st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_scores_are_those_of_the_published_script(answers, predicted):
    """Whatever is right and whatever is said, nothing included."""
    metrics = answer_metrics("squad", unanswerable=True)
    exact, f1 = official(answers, predicted)
    assert metrics["exact_match"].counts(answers, predicted) == (exact, 1.0)
    assert metrics["f1"].counts(answers, predicted)[0] == pytest.approx(f1)


@pytest.mark.parametrize(
    ("answers", "predicted", "right"),
    [([""], "", 1), ([""], "Ada", 0), (["Ada"], "", 0), (["Ada"], "ada.", 1), ([""], "the", 1)],
)
def test_nothing_is_right_where_there_is_nothing(answers, predicted, right):
    """And wrong elsewhere; an article alone is nothing."""
    metrics = answer_metrics("squad", unanswerable=True)
    assert [metric([answers], [predicted]) for metric in metrics.values()] == [right, right]


# ---- Threshold -------------------------------------------------------------------------------------

MARGINS = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=7)


@given(MARGINS)
def test_no_threshold_scores_better(questions):
    """Against trying every place between two margins and beyond."""
    margins, nothing, piece = ([float(value) for value in values] for values in zip(*questions, strict=True))

    def total(threshold):
        return sum(n if m > threshold else p for m, n, p in zip(margins, nothing, piece, strict=True))

    found = best_threshold(margins, nothing, piece)
    assert total(found) == max(total(place + shift) for place in [*margins, -9.0] for shift in (-0.5, 0.0, 0.5))
    if total(0.0) == total(found):
        assert found == 0.0


def test_no_answer_scores_as_its_lowest_window():
    """A window without the answer points at nothing; the one that has it does not."""
    rows = [row("a"), row("a", 1), row("b")]
    assert null_scores(rows, [logits(5, 1, 1, 1), logits(2, 1, 1, 1), logits(7, 0, 0, 0)]) == [2.0, 7.0]


def test_the_threshold_is_chosen_by_the_best_f1_of_known_answers():
    """Three questions: the first token outweighs all words of each, by less where there is an answer."""
    kind = span_qa_kind(unanswerable=True)
    asked = [question("a", "Ada"), question("b", "Eli"), question("c")]
    rows = [row("a"), row("b"), row("c")]
    given_logits = [logits(6, 5, 0, 0), logits(7, 0, 0, 5), logits(9, 5, 0, 0)]
    threshold = kind.choose_threshold(asked, rows, given_logits)
    assert threshold == 3.0  # between margins of 2 and 4
    lowered = [one - torch.tensor([[threshold / 2] * 2, *[[0.0, 0.0]] * 3]) for one in given_logits]
    assert [one.value for one in kind.decode(asked, rows, lowered)] == ["Ada", "Eli", ""]


# ---- Learning and deciding -------------------------------------------------------------------------


def test_what_is_said_is_the_likelier_of_piece_and_nothing():
    """The confidence is the share among all pieces and "no answer"."""
    kind = span_qa_kind(unanswerable=True, max_answer_length=1)
    asked, rows = [question("a", "Ada"), question("b")], [row("a"), row("b")]
    piece, nothing = kind.decode(asked, rows, [logits(1, 3, 0, 0), logits(4, 3, 0, 0)])
    weights = torch.tensor([[1.0, 3, 0, 0], [4, 3, 0, 0]]).softmax(-1)
    assert (piece.value, nothing.value) == ("Ada", "")
    assert (piece.confidence, nothing.confidence) == pytest.approx((weights[0, 1].item(), weights[1, 0].item()))


def test_the_usual_kind_always_gives_a_piece():
    """Nothing changes for those who leave such questions out."""
    kind = span_qa_kind()
    (found,) = kind.decode([question("a")], [row("a")], [logits(9, 1, 0, 0)])
    assert (found.value, kind.head, kind.choose_threshold) == ("Ada", "linear", None)


def test_the_threshold_is_taken_off_the_first_token_out_of_training():
    """In training the head is linear; the threshold is saved with it."""
    torch.manual_seed(0)
    head = NoAnswerClassifier(4, 2)
    states = States(torch.randn(2, 3, 4), torch.ones(2, 3), layer=1)
    plain = head.train().read(states)
    head.threshold.fill_(3.0)
    assert torch.equal(head.train().read(states), plain)
    shifted = head.eval().read(states)
    assert torch.allclose(plain - shifted, torch.tensor([1.5, 0.0, 0.0])[None, :, None].expand(2, 3, 2))
    other = NoAnswerClassifier(4, 2)
    other.load_state_dict(head.state_dict())
    assert other.threshold.item() == 3.0


def test_behind_the_text_the_threshold_is_taken_off_its_last_token():
    """In a decoder, where padding follows."""
    head = NoAnswerClassifier(4, 2, behind=True).eval()
    states = States(torch.randn(2, 3, 4), torch.tensor([[1, 1, 1], [1, 1, 0]]), layer=1)
    plain = head.read(states)
    head.threshold.fill_(3.0)

    taken = torch.tensor([[0.0, 0.0, 1.5], [0.0, 1.5, 0.0]]).unsqueeze(-1).expand(2, 3, 2)
    assert torch.allclose(plain - head.read(states), taken)


def test_a_decoder_says_no_answer_behind_the_context():
    """A line break follows, which has seen all of it: windows without the answer point there; there it is scored."""
    tokenizer = decoder_tokenizer()
    questions = [
        SpanExample("0", "0", "eng-Latn", question="ada beli", context="cora dune eli", answers=(Answer("dune", 5),)),
        SpanExample("1", "1", "eng-Latn", question="ada", context="cora dune", unanswerable=True),
    ]

    first, second = span_qa_kind(unanswerable=True).encode(questions, tokenizer, 64, "")

    assert tokenizer.convert_ids_to_tokens(first.input_ids) == ["<s>", "ada", "beli", "\n", "cora", "dune", "eli", "\n"]
    assert (first.target, first.nothing) == ((5, 5), 7)
    assert tokenizer.convert_ids_to_tokens(second.input_ids) == ["<s>", "ada", "\n", "cora", "dune", "\n"]
    assert (second.target, second.nothing) == ((5, 5), 5)
    assert second.offsets[5] is None
    assert null_scores([second], [torch.arange(12.0).view(6, 2)]) == [10 + 11]


def test_a_kind_is_built_again_from_what_is_saved():
    """With its head and its metrics; a kind without the option says nothing of it."""
    kind = span_qa_kind(unanswerable=True)
    again = span_qa_kind(**kind.options)
    assert (again.head, again.options) == ("no_answer", kind.options)
    assert "unanswerable" not in span_qa_kind().options
