"""What generators give is learnt from only where it is an example of the task."""

from dataclasses import replace

import pytest

from lingraft.core.examples import Answer, PairExample, ParallelPair, SpanExample, TaggedExample
from lingraft.data.lexicon import lexicon_of
from lingraft.pseudo.from_files import from_file
from lingraft.pseudo.generators import Generator, generators
from lingraft.pseudo.kept import Lot, write_lots
from lingraft.pseudo.making import EMPTY, EMPTY_ANSWER, LEAKED, OTHER_SHAPE, STEERS, make
from lingraft.tasks.kinds import kind_of
from pseudo.sources import SOURCE, TARGET, classification_sources


def test_what_is_no_example_of_the_task_is_counted_and_left_out():
    """An empty text, two texts where the task has one, and what is evaluated on."""
    given = [("omi", None), (" ", None), ("omi", "yára"), ("ilé", None)]
    examples = [
        PairExample(str(i), "g", TARGET, "one", text_a=text, text_b=other, label="nature")
        for i, (text, other) in enumerate(given)
    ]
    tested = PairExample("test", "t", TARGET, text_a="ilé", label="nature")
    made = make([Generator(lambda sources: iter(examples))], [], classification_sources(), [tested], "here")
    assert [example.texts for example in made.examples] == [("omi",)]
    assert made.dropped == {EMPTY: 1, OTHER_SHAPE: 1, LEAKED: 1}


def test_a_generator_of_shots_that_names_none_is_taken_to_have_been_shown_all():
    """So a fold that holds out any of them takes what it made along; what names some is believed."""
    shots = [PairExample(str(i), str(i), TARGET, text_a=f"omi {i}", label="nature") for i in range(2)]
    one = PairExample("m", "g", TARGET, "one", text_a="omi tutu", label="nature")
    other = PairExample("n", "g", TARGET, "one", text_a="omi gbona", label="nature", shown=(shots[1].trace,))
    for needs, expected in (({"shots"}, (shots[0].trace, shots[1].trace)), (set(), ())):
        generator = Generator(lambda sources: iter([one, other]), needs=frozenset(needs))
        made = make([generator], [], classification_sources(shots=shots), [], "here").examples
        assert [example.shown for example in made] == [expected, (f"{TARGET}/1",)]


def learnt(example):
    """What of one example is learnt from, and why not."""
    sources = classification_sources(labelled=())
    made = make([Generator(lambda sources: iter([example]))], [], sources, [], "here")
    return len(made.examples), dict(made.dropped)


def test_what_has_no_words_or_an_empty_answer_is_no_example():
    """Nor has a question without a right answer one that is empty."""
    assert learnt(TaggedExample("1", "g", TARGET, "one")) == (0, {EMPTY: 1})
    assert learnt(TaggedExample("1", "g", TARGET, "one", words=(" ",), tags=("O",))) == (0, {EMPTY: 1})
    assert learnt(PairExample("1", "g", TARGET, "one", text_a="omi", text_b=" ", label="nature")) == (0, {EMPTY: 1})
    for text, wanted in (("", (0, {EMPTY_ANSWER: 1})), ("  ", (0, {EMPTY_ANSWER: 1})), ("omi", (1, {}))):
        answers = (Answer(text, 0),)
        assert learnt(SpanExample("1", "g", TARGET, "one", question="ki?", context="omi  a", answers=answers)) == wanted
    assert learnt(SpanExample("1", "g", TARGET, "one", question="ki?", context="omi", unanswerable=True)) == (1, {})


@pytest.mark.parametrize("text", ["omi\x00", "\x1b[31mpupa", "a\x7f", "a\x9bb"])
def test_control_characters_are_not_learnt(text):
    """A model that writes them has gone astray."""
    assert learnt(PairExample("1", "g", TARGET, "one", text_a=text, label="nature")) == (0, {STEERS: 1})


@pytest.mark.parametrize("text", ["omi\tt\u00fat\u00f9", "il\u00e9\nkan", "a\u200db", "a\x85b"])
def test_blanks_ends_of_lines_and_joiners_are(text):
    """They belong to texts."""
    assert learnt(PairExample("1", "g", TARGET, "one", text_a=text, label="nature")) == (1, {})


@pytest.mark.parametrize(
    ("example", "strange"),
    [
        (TaggedExample("1", "g", TARGET, "one", words=("New", "York"), tags=("B-LOC", "I-LOC")), "I-LOC"),
        (TaggedExample("1", "g", TARGET, "one", words=("Kano", "ni"), tags=("B-LOC", "V")), "V"),
        (TaggedExample("1", "g", TARGET, "one", words=("Kano", "ni"), tags=("B-LOC", "_")), ""),
        (TaggedExample("1", "g", TARGET, "one", words=("Kano", "ni"), tags=("B-LOC", "O")), ""),
    ],
)
def test_a_tag_that_the_task_has_not_is_counted_and_a_tag_that_nobody_knows_is_learnt_around(
    tmp_path, example, strange
):
    """What is kept is what a file of it gives back."""
    task = replace(classification_sources().task, kind=kind_of("tagging", ("B-LOC", "O"), {"scheme": "bio"}))
    sources = classification_sources(labelled=(), task=task)
    plain = TaggedExample("2", "g", TARGET, "one", words=("omi",), tags=("O",))
    made = make([Generator(lambda sources: iter([example, plain]))], [], sources, [], "here")
    assert made.dropped == ({f"{strange} is no label of the task": 1} if strange else {})
    write_lots(tmp_path / "made.jsonl", {Lot(TARGET, 0): made})
    read = [(one.words, one.tags) for one in from_file(tmp_path / "made.jsonl").generate(sources)]
    assert read == [*([] if strange else [(example.words, example.tags)]), (("omi",), ("O",))]


@pytest.mark.parametrize("name", ["word-translation", "code-switching", "templates", "label-projection"])
def test_a_name_that_becomes_several_words_is_left_out_where_the_task_has_names_of_one_word_alone(name):
    """Whatever makes it; it would be learnt as a name of its first word."""
    kano = TaggedExample("1", "g1", SOURCE, words=("Ada", "saw", "water"), tags=("B-PER", "O", "B-LOC"))
    lexicon = lexicon_of([ParallelPair("Ada", "Ada Obi", SOURCE, TARGET), ParallelPair("water", "omi", SOURCE, TARGET)])
    pairs = tuple(
        (
            PairExample(f"p{i}", f"p{i}", SOURCE, text_a="Ada saw water"),
            PairExample(f"p{i}", f"p{i}", TARGET, text_a=text),
        )
        for i, text in enumerate(("Ada ri omi", "Ada Obi ri omi"))
    )
    links = {"Ada ri omi": [(0, 0), (1, 1), (2, 2)], "Ada Obi ri omi": [(0, 0), (0, 1), (1, 2), (2, 3)]}
    options = {
        "word-translation": {},
        "code-switching": {"ratio": 0.5, "copies": 8},
        "templates": {
            "templates": [{"text": "{who} ri omi"}], "words": {"who": ["Ada", "Ada Obi"]}, "slot_tags": {"who": "PER"},
        },
        "label-projection": {"top_share": 1.0},
    }  # fmt: skip
    made = {}
    for labels in (("B-LOC", "B-PER", "O"), ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")):
        task = replace(classification_sources().task, kind=kind_of("tagging", labels, {"scheme": "bio"}))
        sources = classification_sources(
            task=task, labelled=(kano,), lexicon=lexicon, pairs=pairs,
            align=lambda texts: [links[" ".join(target)] for _, target in texts],
        )  # fmt: skip
        made[len(labels)] = make([generators.build(name, options[name])], [], sources, [], "here")
    bare, whole = made[3], made[5]
    assert set(whole.dropped) <= {"the lexicon knows no word of it"}
    several = [one for one in whole.examples if "I-PER" in one.tags]
    assert several
    assert bare.examples == tuple(one for one in whole.examples if one not in several)
    assert bare.dropped["I-PER is no label of the task"] == len(several)
