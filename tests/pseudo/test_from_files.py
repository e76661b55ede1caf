"""Rows of kinds of task whose fields must agree with each other."""

import json

import pytest

from lingraft.core.errors import DataError
from lingraft.core.examples import Answer, SpanExample
from lingraft.pseudo.from_files import from_file
from lingraft.tasks import Task
from lingraft.tasks.kinds import kind_of
from pseudo.sources import SOURCE, TARGET, classification_sources

QUESTION = {"language": "yo", "question": "ta ni?", "context": "omi náà", "answers": [{"text": "omi", "start": 0}]}
WORDS = {"language": "yo", "words": ["omi", "náà"], "tags": ["O", "O"]}
TEXT = {"language": "yo", "text_a": "omi", "label": "nature"}
CHOICE = {"language": "yo", "text": "omi", "alternatives": ["yára", "pọ̀"], "label": 1}


def read(folder, kind, row, labels=()):
    """The examples of a file with one row."""
    (folder / "own.jsonl").write_text(json.dumps(row), encoding="utf-8")
    task = Task("one", kind_of(kind, labels, {}), SOURCE, (TARGET,), lambda language, split: [], "", "")
    return list(from_file(folder / "own.jsonl").generate(classification_sources(task=task, labelled=())))


def test_the_context_of_a_question_is_in_its_language_unless_another_is_said(tmp_path):
    """As in a file that `augment` wrote, which always says."""
    (made,) = read(tmp_path, "span_qa", QUESTION)
    assert isinstance(made, SpanExample)
    assert (made.context_language, made.answers) == (TARGET, (Answer("omi", 0),))
    (other,) = read(tmp_path, "span_qa", QUESTION | {"context_language": SOURCE})
    assert other.context_language == SOURCE


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("span_qa", QUESTION | {"answers": [{"text": "", "start": 2}]}, "an answer is empty"),
        ("span_qa", QUESTION | {"answers": [{"text": "omi", "start": 1}]}, "does not stand in the context"),
        ("tagging", WORDS | {"tags": ["O"]}, "has 2 words and 1 tags"),
        ("choice", CHOICE | {"label": 2}, "its label is 2, and there are 2 alternatives, numbered from 0"),
    ],
)
def test_fields_that_disagree_are_refused(tmp_path, kind, row, said):
    """Each of them would be learnt from as something else than was meant."""
    with pytest.raises(DataError, match=said):
        read(tmp_path, kind, row, labels=("O",) if kind == "tagging" else ())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"draw": "x"}, r"line 1: draw: expected a whole number from 0, got 'x'"),
        ({"draw": -1}, r"line 1: draw: expected a whole number from 0, got -1"),
        ({"draw": [0]}, r"line 1: draw: expected a whole number from 0, got \[0\]"),
        ({"draw": None}, r"line 1: draw: expected a whole number from 0, got None"),
        ({"draw": True}, r"line 1: draw: expected a whole number from 0, got True"),
        ({"k": "some"}, r"line 1: k: expected a whole number from 0, or \"all\", got 'some'"),
        ({"weight": True}, r"line 1: weight: expected a number or a text, got True"),
        ({"language": 5}, r"line 1: expected the language of the example in `language`"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_line(tmp_path, changed, said):
    """A draw that is none was said to be that of another draw, and true to be a weight of 1."""
    with pytest.raises(DataError, match=said):
        read(tmp_path, "classification", TEXT | changed, labels=("nature", "sport"))
