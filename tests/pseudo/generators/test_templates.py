"""A user's own sentences, filled with a user's own words."""

import pytest

from lingraft.core.errors import ConfigError
from lingraft.core.examples import Answer
from lingraft.pseudo.generators import generators
from lingraft.tasks import Task
from lingraft.tasks.kinds import kind_of
from pseudo.sources import SOURCE, TARGET, classification_sources

TAGS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")


def made(options, kind="classification", labels=("nature", "sport"), targets=(TARGET,), **kind_options):
    """What templates give for a kind of task."""
    task = Task("one", kind_of(kind, labels, kind_options), SOURCE, targets, lambda language, split: [], "", "")
    return list(generators.build("templates", options).generate(classification_sources(task=task)))


def test_every_filling_of_a_text_or_pair_has_the_template_s_label():
    """The same word stands in both texts; fillings of one template are a group."""
    options = {
        "templates": [
            {"text": "Ina son {thing}", "label": "nature"},
            {"text": "{thing}", "text_b": "babu {thing}", "label": "sport"},
        ],
        "words": {"thing": ["kifi", "ruwa", "kifi"]},
    }
    found = made(options)
    assert {(e.text_a, e.text_b, e.label, e.group) for e in found} == {
        ("Ina son kifi", None, "nature", "templates/yor-Latn/0"),
        ("Ina son ruwa", None, "nature", "templates/yor-Latn/0"),
        ("kifi", "babu kifi", "sport", "templates/yor-Latn/1"),
        ("ruwa", "babu ruwa", "sport", "templates/yor-Latn/1"),
    }
    assert len(made(options | {"most": 1})) == 2


def test_words_of_a_slot_get_its_tag_and_all_others_are_outside():
    """A name of two words begins once."""
    options = {
        "templates": [{"text": "{who} ya tafi {place}."}],
        "words": {"who": ["Musa Ali"], "place": ["Kano"]},
        "slot_tags": {"who": "PER", "place": "LOC"},
    }
    (one,) = made(options, "tagging", TAGS)
    assert one.words == ("Musa", "Ali", "ya", "tafi", "Kano", ".")
    assert one.tags == ("B-PER", "I-PER", "O", "O", "B-LOC", "O")


def test_a_slot_without_words_gives_a_sentence_without_them():
    """Which is left out, and counted, as every example without a text is."""
    nothing = {"templates": [{"text": ""}, {"text": "{who}"}], "words": {"who": ["", " ", "Musa"]}}
    found = made(nothing, "tagging", TAGS)
    assert sorted((e.words, e.tags) for e in found) == [((), ()), ((), ()), ((), ()), (("Musa",), ("O",))]


def test_blanks_around_a_word_are_no_part_of_the_answer():
    """The piece of the context is the word alone."""
    question = {"question": "{who}?", "context": "ga {who} .", "answer": "who"}
    (one,) = made({"templates": [question], "words": {"who": ["  Musa "]}}, "span_qa", ())
    assert one.answers == (Answer("Musa", 5),)
    assert one.context[5:9] == "Musa"


def test_parts_of_speech_are_written_for_each_word():
    """A slot of several words gives its tag to all of them."""
    options = {
        "templates": [{"text": "Ina son {thing} .", "tags": "AUX VERB NOUN PUNCT"}],
        "words": {"thing": ["ruwan sama"]},
    }
    (one,) = made(options, "tagging", ("AUX", "NOUN", "PUNCT", "VERB"), scheme="plain")
    assert one.tags == ("AUX", "VERB", "NOUN", "NOUN", "PUNCT")


def test_the_answer_to_a_question_is_a_slot_of_its_context():
    """With its place."""
    options = {
        "templates": [
            {"question": "Ina {who} yake?", "context": "Yau {who} yana {place}. A {place} yake.", "answer": "place"}
        ],
        "words": {"who": ["Ali"], "place": ["Kano"]},
    }
    (one,) = made(options, "span_qa", ())
    assert (one.question, one.context) == ("Ina Ali yake?", "Yau Ali yana Kano. A Kano yake.")
    assert (one.answers, one.context_language) == ((Answer("Kano", 13),), TARGET)


@pytest.mark.parametrize(
    ("template", "kind", "why"),
    [
        ({"text": "a {thin}", "label": "sport"}, "classification",
         r"templates.0: unknown slot 'thin'; did you mean 'thing'"),
        ({"text": "a {thing}", "label": "sports"}, "classification",
         r"templates.0.label: unknown label 'sports'; did you mean 'sport'"),
        ({"text": "{thing}"}, "classification", r"templates.0.label: is missing"),
        ({"text": "a", "label": "sport"}, "classification", r"words.thing: no template has such a slot"),
        ({"text": "a {thing} {", "label": "sport"}, "classification", r"'a {thing} {' has a brace that belongs to no"),
        ({"text": "a {} {thing}", "label": "sport"}, "classification", r"slots are written {thing}"),
        ({"text": "a {thing}", "tags": "O"}, "tagging", r"templates.0.tags: expected 2 tags, one for each of"),
        ({"text": "a {thing}", "tags": "O PLACE"}, "tagging", r"templates.0.tags: unknown label 'B-PLACE'"),
        ({"question": "a", "context": "b {thing}", "answer": "b"}, "span_qa",
         r"templates.0.answer: expected a slot of the context \(thing\), got 'b'"),
        ({"txt": "a"}, "classification", "templates: "),
        ({"text": "{thing}", "label": "PER"}, "tagging", "templates.0.label: one is tagging, which has text, tags"),
        ({"text": "{thing}", "label": "sport", "tags": "O"}, "classification",
         "templates.0.tags: one is classification"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(template, kind, why):
    """One line each."""
    labels = {"classification": ("nature", "sport"), "tagging": TAGS, "span_qa": ()}[kind]
    with pytest.raises(ConfigError, match=why):
        made({"templates": [template], "words": {"thing": ["x"]}}, kind, labels)


def test_templates_are_in_one_language_which_must_be_said_where_there_are_several():
    """Others get nothing of them."""
    options = {"templates": [{"text": "a", "label": "sport"}]}
    targets = (TARGET, "hau-Latn")
    with pytest.raises(ConfigError, match="language: is missing; they are in one language of yor-Latn, hau-Latn"):
        made(options, targets=targets)
    with pytest.raises(ConfigError, match="language: got 'ibo'"):
        made(options | {"language": "ibo"}, targets=targets)
    assert len(made(options | {"language": "yo"}, targets=targets)) == 1
    assert made(options | {"language": "hau"}, targets=targets) == []


def test_a_tag_for_a_slot_that_there_is_not_is_refused():
    """The slot that was meant would be outside of every span."""
    options = {"templates": [{"text": "{who} ya tafi"}], "words": {"who": ["Musa"]}, "slot_tags": {"whom": "PER"}}
    with pytest.raises(ConfigError, match="slot_tags: unknown slot 'whom'; did you mean 'who'"):
        made(options, "tagging", TAGS)
