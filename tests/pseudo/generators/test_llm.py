"""Texts that a language model writes; the model is a few lines of Python behind a local address."""

from collections import Counter
from contextlib import suppress
from hashlib import sha256

import pytest

from lingraft.core.errors import ConfigError, ServiceError
from lingraft.core.examples import PairExample
from lingraft.pseudo.generators import generators
from pseudo.fake_model import lines, numbered, serving
from pseudo.sources import LABELLED, LABELS, SOURCE, TARGET, classification_sources

PAIRS = tuple(
    (
        PairExample(f"p{i}", f"p{i}", SOURCE, text_a=f"The house number {i} has a door"),
        PairExample(f"p{i}", f"p{i}", TARGET, text_a=f"Ilé nọ́mbà {i} ní ilẹ̀kùn"),
    )
    for i in range(30)
)
KNOWN = {source.text_a: target.text_a for source, target in PAIRS}


@pytest.fixture(autouse=True)
def _no_earlier_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))


def speaker(messages):
    """Translates what it knows; writes a text for each line that is asked for, and corrects by a full stop."""
    request = messages[-1]["content"]
    if request.startswith("Translate"):
        return lines({number: KNOWN[text] for number, text in numbered(messages).items()})
    if request.startswith("Write"):
        label = next(label for label in LABELS if f'"{label}"' in request)
        return lines(
            {number: f"ọ̀rọ̀ {label} {sha256(request.encode()).hexdigest()[:8]} {number}" for number in range(1, 6)}
        )
    return lines({number: f"{text}." for number, text in numbered(messages).items() if number != 2})


def written(model, *, sources=None, **options):
    """What is made of the model's texts, what was dropped, and what was recorded."""
    dropped, records, said = Counter(), [], []
    values = {"pairs": PAIRS, "drop": lambda why: dropped.update([why]), "record": records.append, "say": said.append}
    block = {"url": model.url, "model": "small", "per_class": 10, "per_call": 5, **options}
    found = list(generators.build("llm", block).generate(classification_sources(**values | (sources or {}))))
    return found, dropped, records, said


def test_each_class_gets_texts_that_were_written_corrected_and_counted():
    """Two calls of five for each class, of which the correction leaves one out; a check before them."""
    with serving(speaker) as model:
        found, dropped, (record,), said = written(model)
    assert Counter(e.label for e in found) == {"nature": 8, "sport": 8}
    assert all(e.text_a.startswith(f"ọ̀rọ̀ {e.label}") and e.text_a.endswith(".") for e in found)
    assert {(e.language, e.origin, e.weight) for e in found} == {(TARGET, "llm", 0.3)}
    assert dropped == {"the model's correction left it out": 4}
    assert (record["asked"], record["models"], record["calls"], record["chrf"]) == ("small", ["small-0701"], 9, 100.0)
    assert record["prompt_tokens"] > 0 < record["completion_tokens"]
    assert "small translates into Yoruba with a chrF of 100.0" in said


def test_the_model_is_shown_texts_of_the_class_and_how_the_language_is_written():
    """English texts with the label, and translations with their originals; never another class."""
    with serving(speaker) as model:
        written(model, per_class=5, demonstrations=2, revise=False, about="a headline about")
        (request,) = [m["messages"][-1]["content"] for m in model.asked if '"nature"' in m["messages"][-1]["content"]]
    assert 'Each of them is a headline about "nature".' in request
    assert "- The fast water in New York" in request
    assert not any(example.text_a in request for example in LABELLED[1:])
    assert sum(f"- {other.text_a} (English: {one.text_a})" in request for one, other in PAIRS) == 2


def test_shots_of_the_class_may_show_it_instead():
    """Then they are needed, and translations are not."""
    generator = generators.build("llm", {"url": "http://127.0.0.1:9/v1", "model": "small", "shown_by": "shots"})
    assert generator.needs == {"labelled", "shots"}
    with serving(speaker) as model:
        shots = (PairExample("s1", "s1", TARGET, text_a="omi tutu", label="nature"),)
        _, _, (record,), said = written(model, shown_by="shots", sources={"pairs": (), "shots": shots})
        requests = [m["messages"][-1]["content"] for m in model.asked if "Write" in m["messages"][-1]["content"]]
    assert {"- omi tutu" in request for request in requests if '"nature"' in request} == {True}
    assert {"- omi tutu" in request for request in requests if '"sport"' in request} == {False}
    assert record["chrf"] is None
    assert any("no translations that could show whether small writes Yoruba" in sentence for sentence in said)


@pytest.mark.parametrize("shown_by", ["pairs", "shots"])
def test_each_text_says_which_examples_the_model_was_shown_for_it(shown_by):
    """Those of its own call and no others, by language and id."""
    shots = [PairExample(f"s{i}", f"s{i}", TARGET, text_a=f"omi {i}", label="nature") for i in range(9)]
    options = {"shown_by": shown_by, "demonstrations": 2, "per_call": 3, "revise": False}
    with serving(speaker) as model:
        found, *_ = written(model, sources={"shots": shots}, **options)
        asked = [m["messages"][-1]["content"] for m in model.asked if "Write" in m["messages"][-1]["content"]]
    demonstrations = shots if shown_by == "shots" else [other for _, other in PAIRS]
    texts = {e.trace: f"- {e.text_a}" for e in [*LABELLED, *demonstrations]}
    prompts = {
        frozenset(trace for trace, text in texts.items() if f"{text}\n" in f"{one}\n" or f"{text} (" in one)
        for one in asked
        if '"nature"' in one
    }
    shown = {frozenset(e.shown) for e in found if e.label == "nature"}
    assert shown == prompts
    assert len(shown) > 1


def test_a_job_that_is_run_again_asks_nothing_and_makes_the_same():
    """Also side by side; another draw shows other examples and asks anew."""
    with serving(speaker) as model:
        first = written(model, at_once=4)
        count = len(model.asked)
        assert written(model, at_once=1)[:3] == first[:3]
        assert len(model.asked) == count
        written(model, sources={"draw": 1})
        assert len(model.asked) > count


def test_a_language_that_the_model_cannot_write_is_refused_by_its_translations_of_twenty_pairs():
    """It answers, in another language."""
    with serving(lambda messages: lines(dict.fromkeys(numbered(messages), "qqq"))) as model:
        with pytest.raises(ServiceError, match=r"small does not write Yoruba: its .* 20 sentences .* of 0\.0"):
            written(model)
        assert len(model.asked) == 1


def test_texts_that_repeat_an_example_or_each_other_are_left_out():
    """And so are lines that are none."""

    def parrot(messages):
        if messages[-1]["content"].startswith("Translate"):
            return speaker(messages)
        return f"{lines({1: 'the FAST water in New  York', 2: PAIRS[3][1].text_a, 3: 'tuntun'})}\nSorry, no more."

    with serving(parrot) as model:
        found, dropped, _, _ = written(model, per_class=5, revise=False)
    assert [(e.text_a, e.label) for e in found] == [("tuntun", "nature")]
    assert dropped == {"it repeats a text": 5, "the model did not write it": 4}


def test_a_model_that_writes_no_json_lines_ends_in_one_line():
    """With what it said."""

    def chatty(messages):
        return speaker(messages) if messages[-1]["content"].startswith("Translate") else "As a model I\ncannot."

    with (
        serving(chatty) as model,
        pytest.raises(ServiceError, match=r"answered 'As a model I\\ncannot\.'; name"),
    ):
        written(model)


@pytest.mark.parametrize("useless", ["", "As a model I cannot.", "Translate", "Write", "Correct"])
def test_an_answer_of_which_nothing_can_be_made_is_asked_for_again(useless):
    """A job that failed for it would fail for ever; what could be used is not asked for twice."""
    faulty = [True]

    def recovering(messages):
        request = messages[-1]["content"]
        stumbles = {"Translate": "Translate", "Write": "Write", "Correct": "These are texts"}.get(useless, "Write")
        return useless if faulty and request.startswith(stumbles) else speaker(messages)

    with serving(recovering) as model:
        with suppress(ServiceError):
            written(model)
        faulty.clear()
        found, *_ = written(model)
        count = len(model.asked)
        assert Counter(e.label for e in found) == {"nature": 8, "sport": 8}
        assert written(model)[0] == found
        assert len(model.asked) == count


@pytest.mark.parametrize("number", ["9" * 5000, '"' + "9" * 5000 + '"', "-1", "true", "1.0", "null", '"²"', "1e400"])
def test_an_id_that_is_no_number_of_a_text_is_passed_over(number):
    """Python itself refuses to read thousands of digits."""

    def strange(messages):
        said = speaker(messages)
        return said if messages[-1]["content"].startswith("Write") else f'{{"id": {number}, "text": "àjèjì"}}\n{said}'

    with serving(strange) as model:
        found, dropped, _, _ = written(model)
    assert Counter(e.label for e in found) == {"nature": 8, "sport": 8}
    assert not any("àjèjì" in e.text_a for e in found)
    assert dropped == {"the model's correction left it out": 4}


def test_texts_of_several_source_languages_are_shown_under_the_name_of_each():
    """A model that takes French for English learns nothing of what is meant."""
    french = PairExample("f", "f", "fra-Latn", text_a="La rivière est large", label="nature")
    with serving(speaker) as model:
        written(model, per_class=5, revise=False, sources={"labelled": (*LABELLED, french)})
        (request,) = [m["messages"][-1]["content"] for m in model.asked if '"nature"' in m["messages"][-1]["content"]]
    assert "Such texts in English, which show what is meant:\n- The fast water in New York\n\n" in request
    assert "Such texts in French, which show what is meant:\n- La rivière est large\n\n" in request


def test_a_failing_call_ends_the_job_and_what_was_answered_is_kept():
    """A later job goes on with it."""
    failing = []

    def sometimes(messages):
        if failing and '"sport"' in messages[-1]["content"]:
            return 400, {}, '{"error": {"message": "no credit"}}'
        return speaker(messages)

    with serving(sometimes) as model:
        failing.append(True)
        with pytest.raises(ServiceError, match="no credit"):
            written(model, at_once=1)
        before = len(model.asked)
        failing.clear()
        written(model, at_once=1)
        again = [m for m in model.asked[before:] if '"nature"' in m["messages"][-1]["content"]]
    assert again == []


@pytest.mark.parametrize("key", ["sk-abc123", "abc", "THE KEY"])
def test_a_key_in_the_recipe_is_refused_without_repeating_it(key):
    """It would be written into the run's folder."""
    with pytest.raises(ConfigError, match="NAME of an environment variable") as caught:
        generators.build("llm", {"url": "http://127.0.0.1:9/v1", "model": "small", "key": key})
    assert key not in str(caught.value)


def test_a_task_on_pairs_of_texts_is_refused():
    """The model writes single texts."""
    pair = PairExample("1", "1", SOURCE, text_a="a", text_b="b", label="nature")
    with serving(speaker) as model, pytest.raises(ConfigError, match="llm writes single texts"):
        written(model, sources={"labelled": (pair,)})
