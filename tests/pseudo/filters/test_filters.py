"""What each filter takes, and what it leaves."""

import sys
from dataclasses import replace

import pytest

from lingraft.core.errors import ConfigError
from lingraft.core.examples import PairExample
from lingraft.core.records import Prediction
from lingraft.pseudo.filters import Filter, Setting, filters
from pseudo.sources import SOURCE, TARGET, classification_sources

ECHO = {"name": "command", "command": [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read())"]}
OPTIONS = {"round-trip": {"translator": ECHO}}


def texts(*said, label="nature", group=None, origin="maker"):
    """Made examples that say this."""
    return [
        PairExample(f"m{i}", group or f"m{i}", TARGET, origin, 0.5, text_a=text, label=label)
        for i, text in enumerate(said)
    ]


def reasons(name, examples, *, evaluation=(), mixed=(), options=None, **changed):
    """Why a filter takes each example away."""
    setting = Setting(classification_sources(**changed), tuple(evaluation), frozenset(mixed))
    return list(filters.build(name, OPTIONS.get(name, {}) | (options or {})).judge(examples, setting))


@pytest.mark.parametrize("name", filters.names())
def test_a_filter_gives_each_example_a_reason_or_none_the_same_every_time(name):
    """Also where there is nothing to judge, or nothing to compare with."""
    built = filters.build(name, OPTIONS.get(name))
    assert isinstance(built, Filter)
    made = texts("omi náà yára", "the fast water in New York", "")
    found = reasons(name, made)
    assert len(found) == 3
    assert found == reasons(name, made)
    assert reasons(name, []) == []
    bare = Setting(replace(classification_sources(), labelled=(), pairs=(), shots=(), texts=(), predict=None))
    assert len(built.judge(made, bare)) == 3


def test_length_is_compared_with_the_median_of_labelled_texts():
    """26, 24, 13 and 3 characters: the median is 18.5, so 5 are too few and 56 too many."""
    made = texts("x" * 5, "x" * 6, "x" * 55, "x" * 56)
    assert reasons("length", made) == ["too short", "", "", "too long"]
    assert reasons("length", made, options={"least": 0.0, "most": 10.0}) == ["", "", "", ""]


def test_duplicates_are_told_from_what_people_labelled():
    """Case and blanks do not make another text."""
    made = texts("ilé kan", "Ilé  kan", "a fast horse, a fast win", "omi")
    assert reasons("duplicates", made) == [
        "", "made twice", "people labelled the same text", "people labelled the same text",
    ]  # fmt: skip


def test_overlap_is_a_run_of_words_in_any_evaluation_text():
    """Eight in a row, punctuation apart; seven are no proof."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    test = PairExample("t", "t", SOURCE, text_a=" ".join(words), label="nature")
    made = texts(f"So: {', '.join(words[1:])}!", " ".join(words[:7]), " ".join(words[:4] + words[5:]))
    assert reasons("overlap", made, evaluation=[test]) == ["shares 8 words in a row with an evaluation text", "", ""]
    assert [bool(reason) for reason in reasons("overlap", made, evaluation=[test], options={"words": 4})] == [True] * 3


def test_copies_of_the_original_are_taken_by_its_group():
    """Two of four words are the original's; and the whole of it, which is another example's, too."""
    made = [*texts("the fast omi yára", "The fast water", group="g1"), *texts("the fast water")]
    assert reasons("source-copies", made) == ["", "its words are those of its original", ""]
    assert [bool(one) for one in reasons("source-copies", made, options={"most": 0.4})] == [True, True, False]


ENGLISH = [f"the {a} of the {b} is near the {c}" for a in ("house", "river") for b in ("king", "child") for c in
           ("water", "market", "road", "field", "church")]  # fmt: skip
YORUBA = [f"{a} ti {b} wà nítòsí {c} náà" for a in ("ilé", "odò") for b in ("ọba", "ọmọ") for c in
          ("omi", "ọjà", "ọ̀nà", "oko", "ìjọ")]  # fmt: skip


def test_the_language_is_that_of_the_likelier_characters():
    """Sentences that neither side has; mixed ones only where they are not meant to be mixed."""
    labelled = [PairExample(f"{i}", f"{i}", SOURCE, text_a=text, label="nature") for i, text in enumerate(ENGLISH)]
    made = texts("the market of the child", "ọjà ti ọmọ náà", "the church near ọba")
    given = {"labelled": labelled, "texts": YORUBA, "pairs": ()}
    assert reasons("language", made, **given) == [
        "reads like the source language", "", "reads like the source language",
    ]  # fmt: skip
    assert reasons("language", made, mixed=["maker"], **given) == ["", "", ""]
    assert reasons("language", made, **(given | {"texts": YORUBA[:5]})) == ["", "", ""]  # too few to tell


def test_confidence_keeps_the_surest_of_each_class():
    """Three of five that are "nature", one of one that is "sport", though the model doubts it most."""
    chances = [0.9, 0.2, 0.8, 0.7, 0.1, 0.4]
    made = [*texts(*"abcde"), replace(texts("f", label="sport")[0], id="f")]

    def predict(examples, language):
        assert language == TARGET
        return [
            Prediction(e.id, TARGET, "nature", c, probabilities=(c, 1 - c))
            for e, c in zip(examples, chances, strict=False)
        ]

    found = [bool(reason) for reason in reasons("confidence", made, predict=predict)]
    assert found == [False, True, False, False, True, False]


def test_a_round_trip_must_come_back_to_the_original():
    """A translator that changes nothing: what is the original comes back as it, anything else does not."""
    made = [*texts("The fast water in New York", "ohun mìíràn", group="g1"), *texts("ohun mìíràn")]
    assert reasons("round-trip", made) == ["", "translated back it says something else", ""]


def test_lengths_between_which_nothing_is_are_refused():
    """Every example would be taken."""
    with pytest.raises(ConfigError, match="expected least < most, got 3 and 1"):
        filters.build("length", {"least": 3, "most": 1})
