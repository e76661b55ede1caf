"""Source examples, translated with what is right about them."""

import shutil
import sys
from collections import Counter
from dataclasses import replace

import pytest

from lingraft.core.errors import ConfigError
from lingraft.core.examples import Answer, ChoiceExample, PairExample, SpanExample
from lingraft.data.squad import read_squad
from lingraft.pseudo.generators import generators
from lingraft.pseudo.translators.apertium import installed_modes
from lingraft.tasks import Task
from lingraft.tasks.kinds import kind_of
from pseudo.sources import SOURCE, TARGET, classification_sources
from tiny import SHARED_DATA

UPPER = "import sys; sys.stdout.write(sys.stdin.read().upper())"
FORGETFUL = "import sys; sys.stdout.write(sys.stdin.read().replace('[river', 'river').replace('sea', '').upper())"


@pytest.fixture(autouse=True)
def _no_earlier_translations(tmp_path, monkeypatch):
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))


def translated(labelled, kind="classification", code=UPPER, **changed):
    """The translations of examples by a few lines of Python, and what was dropped."""
    dropped = Counter()
    task = Task("one", kind_of(kind, ("a", "b") if kind == "classification" else (), {}), SOURCE, (TARGET,),
                lambda language, split: [], "CC0", "nobody")  # fmt: skip
    values = {"task": task, "labelled": labelled, "drop": lambda why: dropped.update([why])}
    block = {"translator": {"name": "command", "command": [sys.executable, "-c", code]}}
    sources = classification_sources(**values | changed)
    return list(generators.build("translation", block).generate(sources)), dropped


def test_texts_are_translated_and_keep_label_and_group():
    """Both of a pair; an empty translation is counted."""
    labelled = [
        PairExample("1", "g1", SOURCE, text_a="One text. Another.", label="a"),
        PairExample("2", "g2", SOURCE, text_a="ada", text_b="beli", label="b"),
        PairExample("3", "g3", SOURCE, text_a="sea", label="b"),
    ]
    found, dropped = translated(labelled, code=FORGETFUL)
    assert [(e.text_a, e.text_b, e.label, e.group) for e in found] == [
        ("ONE TEXT. ANOTHER.", None, "a", "g1"),
        ("ADA", "BELI", "b", "g2"),
    ]
    assert dropped == {"its translation is empty": 1}


def test_an_answer_is_where_its_marks_were_and_lost_marks_are_counted():
    """Of several answers the first one; a question without an answer stays one."""
    context = "The big river flows. It reaches the sea."
    labelled = [
        SpanExample("1", "g", SOURCE, question="How big?", context=context, context_language=SOURCE,
                    answers=(Answer("big", 4), Answer("river", 8))),
        SpanExample("2", "g", SOURCE, question="What flows?", context=context, context_language=SOURCE,
                    answers=(Answer("river", 8),)),
        SpanExample("3", "g", SOURCE, question="Reaches what?", context=context, context_language=SOURCE,
                    answers=(Answer("sea", 36),)),
        SpanExample("4", "g", SOURCE, question="Why?", context=context, context_language=SOURCE, unanswerable=True),
        SpanExample("5", "g", SOURCE, question="Note?", context="A note [1] says so.", context_language=SOURCE,
                    answers=(Answer("so", 16),)),
        SpanExample("6", "g", SOURCE, question="Note?", context="A [note] {says} <so>.", context_language=SOURCE,
                    answers=(Answer("so", 17),)),
    ]  # fmt: skip
    found, dropped = translated(labelled, "span_qa", FORGETFUL)
    assert [(e.question, e.answers, e.context_language) for e in found] == [
        ("HOW BIG?", (Answer("BIG", 4),), TARGET),
        ("WHY?", (), TARGET),
        ("NOTE?", (Answer("SO", 16),), TARGET),
    ]
    assert found[0].context == "THE BIG RIVER FLOWS. IT REACHES THE ."
    assert found[1].unanswerable
    assert dropped == {
        "the marks around the answer got lost in translation": 1,
        "nothing is left between the marks after translation": 1,
        "its context has all marks in it already": 1,
    }


def test_alternatives_that_become_the_same_are_no_choice():
    """The right one could not be told."""
    labelled = [
        ChoiceExample("1", "g1", SOURCE, text="ada", question="cause", alternatives=("beli", "cora"), label=1),
        ChoiceExample("2", "g2", SOURCE, text="ada", alternatives=("beli", "Beli"), label=0),
    ]
    found, dropped = translated(labelled, "choice")
    assert [(e.text, e.question, e.alternatives, e.label) for e in found] == [("ADA", "cause", ("BELI", "CORA"), 1)]
    assert dropped == {"two texts that its label tells apart become the same": 1}


def test_sentences_of_a_script_without_blanks_stand_together():
    """As Chinese is written."""
    labelled = [PairExample("1", "g", SOURCE, text_a="One text. Another.", label="a")]
    (made,), _ = translated(labelled, language="zho-Hans")
    assert made.text_a == "ONE TEXT.ANOTHER."


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"translator": {"name": "apertum"}}, "translator.name: unknown translator 'apertum'; did you mean 'apertium'"),
        ({"translator": {"name": "apertium", "mod": "x"}}, "translator.mod: unknown option"),
        ({"translator": {"name": "apertium"}, "marks": ["| |"]}, "expected two different marks"),
    ],
)
def test_mistakes_in_the_block_are_named_with_their_place(options, why):
    """Before anything is translated."""
    with pytest.raises(ConfigError, match=why.replace("|", r"\|")):
        generators.build("translation", options)


@pytest.mark.shared
@pytest.mark.skipif(
    shutil.which("apertium") is None or "eng-spa" not in installed_modes(), reason="apertium-eng-spa is not installed"
)
def test_apertium_carries_the_answers_of_xquad_into_spanish():
    """Of numbers, written alike in both languages, nine in ten are those of its Spanish translation."""
    files = {code: SHARED_DATA / "xquad" / f"xquad.{code}.json.gz" for code in ("en", "es")}
    english, spanish = (
        {e.id: e for e in read_squad(file, language=language).examples}
        for file, language in zip(files.values(), (SOURCE, "spa-Latn"), strict=True)
    )
    numbers = [example for example in english.values() if example.answers[0].text.isdigit()][:30]
    kind = kind_of("span_qa", (), {})
    task = Task("xquad", kind, SOURCE, ("spa-Latn",), lambda language, split: [], "CC BY-SA", "")
    sources = classification_sources(labelled=numbers, language="spa-Latn", task=task)
    made = list(generators.build("translation", {"translator": {"name": "apertium"}}).generate(sources))
    right = [spanish[example.id.rpartition("/")[2]].answers[0].text for example in made]
    assert len(made) >= 24
    assert all(e.context[e.answers[0].start :].startswith(e.answers[0].text) for e in made)
    assert sum(e.answers[0].text == text for e, text in zip(made, right, strict=True)) >= 0.9 * len(made)


def test_what_is_in_another_language_than_the_translator_reads_is_not_given_to_it():
    """Of several source languages it knows one; the context of a question counts, too."""
    english = PairExample("1", "g1", SOURCE, text_a="The river", label="a")
    french = PairExample("2", "g2", "fra-Latn", text_a="La rivière", label="a")
    found, dropped = translated([french, english])
    assert [e.text_a for e in found] == ["THE RIVER"]
    assert dropped == {"it is not in the language that is translated from": 1}
    asked = SpanExample("q", "q", SOURCE, question="Who?", context="Ada did", context_language=SOURCE,
                        answers=(Answer("Ada", 0),))  # fmt: skip
    found, dropped = translated([replace(asked, context_language="fra-Latn"), asked], "span_qa")
    assert [e.question for e in found] == ["WHO?"]
    assert dropped == {"it is not in the language that is translated from": 1}
