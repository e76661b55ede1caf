"""Code-switched copies of labelled examples of every kind."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lingraft.core.examples import Answer, ChoiceExample, Example, PairExample, ParallelPair, SpanExample, TaggedExample
from lingraft.data.augmentation.switching import CODE_SWITCHING, switch, switch_example
from lingraft.data.lexicon import lexicon_of
from lingraft.results.metrics.spans import spans_of

ENTRIES = {
    "water": "agua",
    "new": "nuevo",
    "york": "Yorque",
    "new york": "Nueva York",
    "house": "casa grande",
    "the": "el",
    "river": "rio",
    "as well": "tambien",
    "capital": "ciudad capital del pais",
}
LEXICON = lexicon_of([ParallelPair(a, b, "eng-Latn", "spa-Latn") for a, b in ENTRIES.items()])
WORDS = ["water", "New", "York", "house", "the", "river", "as", "well", "capital", "zeno", "houses", "(water)"]
SAME = {"id": "train/1", "group": "g", "language": "eng-Latn"}


def switched(example, *, ratio=1.0, draw=0, copy=0, inflections=False):
    """A copy in Spanish."""
    return switch_example(example, LEXICON, "spa-Latn", ratio=ratio, draw=draw, copy=copy, inflections=inflections)


def question(context, *answers, asked="Where is it?", **more):
    """A question about a context, and the first place of each answer in it."""
    found = tuple(Answer(answer, context.index(answer)) for answer in answers)
    return SpanExample(**SAME, question=asked, context=context, context_language="eng-Latn", answers=found, **more)


def tagged(words, tags):
    """A sentence with its tags, both joined by blanks."""
    return TaggedExample(**SAME, words=tuple(words.split()), tags=None if tags is None else tuple(tags.split()))


EXAMPLES = [
    PairExample(**SAME, text_a="the water", text_b="New York", label="yes"),
    question("In New York the water flows.", "New York", "York"),
    tagged("the water in New York", "O O O B-LOC I-LOC"),
    ChoiceExample(**SAME, text="the house", question="cause", alternatives=("the water", "a river"), label=1),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_copy_is_the_same_example_in_another_language(example):
    """Class, group and labels stay; id, language and origin are its own; the same is made every time."""
    found = switched(example, ratio=0.5)
    assert type(found) is type(example)
    assert (found.id, found.group, found.language, found.origin) == (
        "switched/0/spa-Latn/0/train/1",
        "g",
        "spa-Latn",
        CODE_SWITCHING,
    )
    assert found.texts != example.texts
    assert found == switched(example, ratio=0.5)
    assert set(found.labels) == set(example.labels)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_nothing_is_made_of_nothing(example):
    """Neither with a ratio of none, nor where the lexicon knows no word."""
    assert switched(example, ratio=0.0) is None
    assert switch_example(example, lexicon_of([]), "spa-Latn", ratio=1.0, draw=0, copy=0) is None


def test_a_class_of_ones_own_is_refused():
    """What its texts are, nobody here knows."""
    with pytest.raises(TypeError, match="expected texts, a question, tagged words or a choice, got Example"):
        switched(Example(**SAME))


def test_a_choice_keeps_its_number():
    """Text and alternatives are switched alike."""
    found = switched(EXAMPLES[3])
    assert found.texts == ("el casa grande", "el agua", "a rio")
    assert (found.label, found.question) == (1, "cause")


def test_answers_follow_their_words():
    """What stands before an answer moves it, what stands in it changes it, and the question names it alike."""
    found = switched(question("The water of New York, the capital.", "New York", asked="Is New York a capital?"))
    assert found.context == "El agua of Nueva York, el ciudad capital del pais."
    assert found.question == "Is Nueva York a ciudad capital del pais?"
    assert found.answers == (Answer("Nueva York", 11),)
    assert found.context_language == "spa-Latn"


def test_an_entry_does_not_cross_the_end_of_an_answer():
    """A phrase that is partly in an answer is left to its words."""
    found = switched(question("In New York.", "York"))
    assert found.context == "In Nuevo Yorque."
    assert found.answers == (Answer("Yorque", 9),)
    half = switched(question("In New York.", "New Y"))
    assert half.context == "In Nuevo York."
    assert half.answers == (Answer("Nuevo Y", 3),)


def test_what_is_not_at_its_place_is_given_up():
    """An answer that the file misplaced would be another text in the copy."""
    right = question("In New York.", "York")
    assert switched(replace(right, answers=(Answer("York", 6),))) is None


def test_no_answer_stays_none():
    """A question that its context does not answer is one still."""
    found = switched(question("In New York.", unanswerable=True))
    assert (found.answers, found.unanswerable) == ((), True)


def test_a_context_in_another_language_is_left_alone():
    """The lexicon is of the question's language there."""
    example = replace(question("the water", asked="the river?"), context_language="fra-Latn")
    found = switched(example)
    assert (found.question, found.context, found.context_language) == ("el rio?", "the water", "fra-Latn")


@pytest.mark.parametrize(
    ("words", "tags", "expected"),
    [
        ("in New York", "O B-LOC I-LOC", "in/O Nueva/B-LOC York/I-LOC"),
        ("the house .", "DET NOUN PUNCT", "el/DET casa/NOUN grande/NOUN ./PUNCT"),
        ("the house .", "O B-LOC O", "el/O casa/B-LOC grande/I-LOC ./O"),
        ("White House now", "B-ORG I-ORG O", "White/B-ORG Casa/I-ORG grande/I-ORG now/O"),
        ("new York", "O B-LOC", "nuevo/O Yorque/B-LOC"),  # no entry crosses a span
        ("New York", "B-LOC B-LOC", "Nuevo/B-LOC Yorque/B-LOC"),
        ("as well .", "ADV ADJ PUNCT", None),  # one tag each: nobody knows which is whose
        ("as well .", "ADV ADV PUNCT", "tambien/ADV ./PUNCT"),
        ("(water) water", "O O", "(water)/O agua/O"),  # whole words only
        ("the house", "B O", "el/B casa/O grande/O"),
        ("house house", "B I", "casa/B grande/I casa/I grande/I"),
    ],
)
def test_words_keep_their_tags(words, tags, expected):
    """Several words in place of one go on with its tag."""
    found = switched(tagged(words, tags))
    assert (found and " ".join(map("/".join, zip(found.words, found.tags, strict=True)))) == expected


def test_words_without_tags_are_switched_too():
    """A phrase may be of any words then."""
    found = switched(tagged("as well the", None))
    assert (found.words, found.tags) == (("tambien", "el"), None)


def test_inflected_words_stand_for_their_entries_where_it_is_asked_for():
    """A word of its own comes first, and the last word of a phrase may be inflected."""
    example = PairExample(**SAME, text_a="Houses, rivers and New Yorks")
    assert switched(example).text_a == "Houses, rivers and Nuevo Yorks"
    assert switched(example, inflections=True).text_a == "Casa grande, rio and Nueva York"


SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14)


@st.composite
def questions(draw):
    """Questions with answers that may begin and end anywhere, also within a word."""
    context = draw(st.sampled_from([" ", ", ", "-"])).join(draw(SENTENCES))
    places = draw(st.lists(st.tuples(st.integers(0, len(context) - 1), st.integers(1, 12)), min_size=1, max_size=3))
    answers = tuple(Answer(context[start : start + length], start) for start, length in places)
    asked = " ".join(draw(SENTENCES))
    return SpanExample(**SAME, question=asked, context=context, context_language="eng-Latn", answers=answers)


@settings(deadline=None)
@given(questions(), st.floats(0.01, 1.0), st.integers(0, 2))
def test_answers_always_stand_at_their_starts(example, ratio, copy):
    """None is lost, and what of the copy is not in an answer is what was not in it before."""
    found = switched(example, ratio=ratio, copy=copy)
    assume(found is not None)
    assert len(found.answers) == len(example.answers)
    for before, after in zip(example.answers, found.answers, strict=True):
        assert found.context[after.start : after.start + len(after.text)] == after.text != ""
        assert switch_back(after.text) == switch_back(before.text)
        assert switch_back(found.context[: after.start]) == switch_back(example.context[: before.start])


def switch_back(text):
    """A text with the translations taken back, in small letters, phrases and single words alike."""
    for english, spanish in sorted(ENTRIES.items(), key=lambda entry: -len(entry[1])):
        text = text.lower().replace(spanish.lower(), english)
    return text


@st.composite
def tagged_sentences(draw):
    """Words in spans of two types, or in none."""
    runs = draw(st.lists(st.tuples(st.sampled_from(["O", "A", "B"]), SENTENCES), min_size=1, max_size=5))
    words = tuple(word for _, run in runs for word in run)
    tags = [("O" if kind == "O" else f"{'I' if i else 'B'}-{kind}") for kind, run in runs for i in range(len(run))]
    return TaggedExample(**SAME, words=words, tags=tuple(tags))


@settings(deadline=None)
@given(tagged_sentences(), st.floats(0.01, 1.0), st.integers(0, 2))
def test_every_word_has_a_tag_and_every_span_its_type(example, ratio, copy):
    """As many spans as before, of the same types in the same order, over the same words once taken back."""
    found = switched(example, ratio=ratio, copy=copy)
    assume(found is not None)
    assert len(found.tags) == len(found.words)
    spans = [sorted(spans_of(one.tags), key=lambda span: span[1]) for one in (example, found)]
    assert [span[0] for span in spans[0]] == [span[0] for span in spans[1]]
    before, after = (
        [switch_back(" ".join(one.words[start:end])) for _, start, end in own]
        for one, own in zip((example, found), spans, strict=True)
    )
    assert before == after


def places(example, **options):
    """What corresponds in a question's context or a tagged sentence and in its copy; nothing where there is none."""
    found = switch(example, LEXICON, "spa-Latn", **({"ratio": 1.0, "draw": 0, "copy": 0} | options))
    return [] if found is None else found.places


def test_pieces_of_a_context_correspond():
    """Pieces between blanks, cut where a phrase is replaced, which is one with what replaces it."""
    example = question("(The water) of New York!", "New York")
    context = switched(example).context
    assert context == "(El agua) of Nueva York!"
    assert [(example.context[slice(*a)], context[slice(*b)]) for a, b in places(example)] == [
        ("(", "("), ("The", "El"), ("water", "agua"), (")", ")"), ("of", "of"), ("New York", "Nueva York"), ("!", "!"),
    ]  # fmt: skip
    assert places(PairExample(**SAME, text_a="the water")) == []


def test_pieces_correspond_where_the_question_alone_is_switched():
    """All of the context is in both, as it is."""
    example = question("one two", asked="the river?")
    assert places(example) == [((0, 3), (0, 3)), ((4, 7), (4, 7))]
    assert places(replace(example, context_language="fra-Latn")) == places(example)


@settings(deadline=None)
@given(questions(), st.floats(0.01, 1.0), st.integers(0, 2))
def test_every_character_that_is_no_blank_has_one_counterpart(example, ratio, copy):
    """Places are in order on both sides, and say the same; nothing is left out."""
    found = switched(example, ratio=ratio, copy=copy)
    assume(found is not None)
    pairs = places(example, ratio=ratio, copy=copy)
    for side, text in ((0, example.context), (1, found.context)):
        own = [pair[side] for pair in pairs]
        assert own == sorted(own)
        assert "".join(text[slice(*place)] for place in own).replace(" ", "") == "".join(text.split())
    for ours, theirs in pairs:
        assert switch_back(example.context[slice(*ours)]) == switch_back(found.context[slice(*theirs)])


@settings(deadline=None)
@given(tagged_sentences(), st.floats(0.01, 1.0), st.integers(0, 2))
def test_words_that_correspond_have_one_tag(example, ratio, copy):
    """First words of what was replaced, and all others, in order, each once."""
    found = switched(example, ratio=ratio, copy=copy)
    assume(found is not None)
    pairs = places(example, ratio=ratio, copy=copy)
    assert [pair[0] for pair in pairs] == sorted({pair[0] for pair in pairs})
    assert [pair[1] for pair in pairs] == sorted({pair[1] for pair in pairs})
    for (ours, end), (theirs, _) in pairs:
        assert end == ours + 1
        assert example.tags[ours] == found.tags[theirs]
    same = set(example.words) & set(found.words) & {"zeno", "houses", "(water)"}
    counted = [example.words[ours] for (ours, _), _ in pairs if example.words[ours] in same]
    assert counted == [word for word in example.words if word in same]


@settings(deadline=None)
@given(SENTENCES, SENTENCES, st.floats(0.0, 1.0))
def test_both_texts_say_the_same_words(left, right, ratio):
    """Which of two texts is the first makes no difference to what is replaced by what."""
    found = switched(PairExample(**SAME, text_a=" ".join(left), text_b=" ".join(left + right)), ratio=ratio)
    assume(found is not None)
    other = switched(PairExample(**SAME, text_a=" ".join(left + right), text_b=" ".join(left)), ratio=ratio)
    assert (other.text_a, other.text_b) == (found.text_b, found.text_a)
