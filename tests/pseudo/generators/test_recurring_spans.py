"""Questions on raw text."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.data.squad import read_squad
from lingraft.pseudo.generators import generators
from lingraft.pseudo.generators.recurring_spans import passages, questions_on, stop_words
from lingraft.tasks import Task
from lingraft.tasks.kinds import kind_of
from pseudo.sources import SOURCE, TARGET, classification_sources
from tiny import SHARED_DATA

PASSAGE = (
    "The Zambezi river begins in the hills of Zambia. Every year the Zambezi River floods the wide plain. "
    "Many people of the plain then move away."
)
STOP = frozenset({"the", "of", "in", "is", "then"})


def asked(passage=PASSAGE, stop=STOP, longest=10, draw=0):
    """The questions on a passage."""
    return questions_on(passage, stop, longest=longest, blank="___", draw=draw)


def test_the_sentence_of_one_occurrence_asks_for_the_span_and_the_rest_of_the_passage_has_it():
    """The longest span, whatever its capitals; not `the Zambezi River`, which begins with a stop word."""
    river, plain = sorted(asked(), key=lambda one: "plain" in one.answers[0].text)
    assert river.question in (
        "The ___ begins in the hills of Zambia.",
        "Every year the ___ floods the wide plain.",
    )
    assert [answer.text.casefold() for answer in river.answers] == ["zambezi river"]
    assert plain.answers[0].text == "plain"
    for one in (river, plain):
        answer = one.answers[0]
        assert one.context[answer.start :].startswith(answer.text)
        assert one.question.replace("___", answer.text).casefold() not in one.context.casefold()


def test_what_occurs_twice_in_one_sentence_or_says_too_little_asks_nothing():
    """The answer would stand in the question, or nothing would say what is asked."""
    assert asked("A plain is a plain, as everybody in Zambia knows well. Nothing else is said of it.") == []
    assert asked("Zambia floods. Zambia begins.", frozenset()) == []


def test_sentences_that_are_repeated_are_no_questions():
    """They would be found word by word."""
    assert asked("Every year Zambia floods the plain. Every year Zambia floods the plain.") == []


@given(st.lists(st.sampled_from(["ada", "beli", "Beli", "cora", "dune,", "the", "eli.", "fara!"]), max_size=40))
def test_whatever_the_passage_answers_stand_where_they_say_and_are_no_stop_words(words):
    """And the blank stands for them."""
    passage = " ".join(words)
    for one in asked(passage):
        assert "___" in one.question
        for answer in one.answers:
            assert one.context[answer.start : answer.start + len(answer.text)] == answer.text
            assert not {answer.text.split()[0].casefold(), answer.text.split()[-1].casefold()} & STOP
        filled = one.question.replace("___", one.answers[0].text)
        assert filled.casefold() in " ".join(passage.split()).casefold()


def test_stop_words_are_those_of_many_passages_and_few_passages_do_not_tell():
    """Whatever the language."""
    texts = [f"the word{i} of the text" for i in range(40)]
    assert stop_words(texts) == {"the", "of", "text"}
    assert stop_words(texts[:9]) >= {"the", "word3"}


def test_neighbouring_texts_become_passages():
    """A line may be a sentence or a paragraph; its end is one, as a headline has no full stop."""
    assert passages(["a b", "c\td", "e", "f g h i j", "k"], 4) == ["a b\nc d", "e\nf g h i j", "k"]


def sources(texts):
    """Raw text for questions."""
    task = Task("one", kind_of("span_qa", (), {}), SOURCE, (TARGET,), lambda language, split: [], "", "")
    dropped = Counter()
    return classification_sources(task=task, texts=texts, drop=lambda why: dropped.update([why])), dropped


def test_so_many_are_made_on_each_passage_and_in_all_and_other_passages_are_counted():
    """The same ones each time; another draw takes others."""
    told = "In {0}a people eat rice and much fish. At night {0}a people eat yams with fish. So it is."
    texts = [*(told.format(letter) for letter in "abcdefghijklmnopqrst"), "Nothing at all occurs twice."]
    having, dropped = sources(texts)
    block = {"passage_words": 5, "questions": 2, "weight": 0.3}
    found = list(generators.build("recurring-spans", block).generate(having))
    assert max(Counter(e.group for e in found).values()) <= 2
    assert {e.weight for e in found} == {0.3}
    assert dropped == {"no span but stop words occurs in two sentences of the passage": 1}
    assert found == list(generators.build("recurring-spans", block).generate(having))
    few = list(generators.build("recurring-spans", block | {"most": 3}).generate(having))
    assert few == found[:3]


@pytest.mark.shared
def test_the_contexts_of_spanish_questions_give_questions_whose_answers_are_no_function_words():
    """All 240 paragraphs of XQuAD."""
    examples = read_squad(SHARED_DATA / "xquad" / "xquad.es.json.gz", language="spa-Latn").examples
    having, _ = sources(list(dict.fromkeys(example.context for example in examples)))
    found = list(generators.build("recurring-spans").generate(having))
    assert len(found) > 150
    answers = Counter(e.answers[0].text.casefold() for e in found)
    assert not answers.keys() & {"el", "la", "los", "de", "en", "que", "y", "a", "un", "una", "con", "del", "al", "se"}
    assert all(e.context.startswith(a.text, a.start) for e in found for a in e.answers)
