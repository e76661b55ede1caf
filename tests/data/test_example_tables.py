"""Choices among alternatives and questions about contexts, from tables."""

import json
import re

import pytest

from lingraft.core.errors import DataError
from lingraft.core.examples import Answer, ChoiceExample, SpanExample
from lingraft.data.example_tables import choice_examples, span_rows, tagged_rows

COPA = {
    "text": "premise", "question": "question", "alternatives": ["choice1", "choice2"], "label": "label", "id": "idx",
}  # fmt: skip
ITEM = {"premise": "Òjò rọ̀.", "choice1": "Ilẹ̀ tutù.", "choice2": "Ilẹ̀ gbẹ.", "question": "effect", "label": 0, "idx": 3}
SPAN = {"question": "question", "context": "context", "answers": "answers", "id": "id"}
QUESTION = {"id": "a", "question": "Níbo?", "context": "She lives in Lagos.",
            "answers": {"text": ["Lagos"], "answer_start": [13]}}  # fmt: skip


def write(folder, *rows, name="a.jsonl"):
    """Write rows as JSON Lines, and return the path."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# ---- Choice ----------------------------------------------------------------------------------------


def test_an_item_of_copa(tmp_path):
    """All fields arrive."""
    assert choice_examples(write(tmp_path, ITEM), fields=COPA, language="yo") == [
        ChoiceExample(
            id="3",
            group="3",
            language="yor-Latn",
            text="Òjò rọ̀.",
            question="effect",
            alternatives=("Ilẹ̀ tutù.", "Ilẹ̀ gbẹ."),
            label=0,
        )
    ]


def test_alternatives_in_one_list_and_ids_by_line(tmp_path):
    """A list serves as well as columns; question, id and group may be absent."""
    row = {"t": "x", "alt": ["a", "b"], "right": 0, "set": "s"}
    path = write(tmp_path, row | {"alt": ["a", "b", "c"], "right": 2}, row)
    fields = {"text": "t", "alternatives": "alt", "label": "right", "group": "set"}
    assert [(e.id, e.group, e.question, e.alternatives, e.label) for e in
            choice_examples(path, fields=fields, language="yo")] == [
        ("1", "s", None, ("a", "b", "c"), 2), ("2", "s", None, ("a", "b"), 0),
    ]  # fmt: skip


@pytest.mark.parametrize("label", [1, 1.0, "1", " 1 ", "Ilẹ̀ gbẹ.", " Ilẹ̀ gbẹ. "])
def test_labels_are_numbers_or_texts(tmp_path, label):
    """From 0, as a number or its digits, or the alternative itself."""
    (example,) = choice_examples(write(tmp_path, ITEM | {"label": label}), fields=COPA, language="yo")
    assert (example.label, example.gold) == (1, "1")


def test_a_table_with_commas(tmp_path):
    """CSV, where all cells are texts."""
    path = tmp_path / "a.csv"
    path.write_text("premise,choice1,choice2,question,label,idx\nx,a,b,cause,1,7\n", encoding="utf-8")
    (example,) = choice_examples(path, fields=COPA, language="yo")
    assert (example.id, example.alternatives, example.label) == ("7", ("a", "b"), 1)


@pytest.mark.parametrize("label", [None, "", " ", -1, float("nan")])
def test_labels_may_be_withheld(tmp_path, label):
    """If one says so; a column for labels need not be named."""
    path = write(tmp_path, ITEM | {"label": label})
    for fields in (COPA, {name: column for name, column in COPA.items() if name != "label"}):
        (example,) = choice_examples(path, fields=fields, language="yo", labelled=False)
        assert (example.label, example.gold) == (None, None)
    with pytest.raises(DataError, match=r"line 1: column 'label' (has no label; fill it in|holds -1)"):
        choice_examples(path, fields=COPA, language="yo")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": 2}, "line 2: column 'label' holds 2; expected the number .* 0 to 1, or its text.*subtract 1"),
        ({"label": "x"}, "line 2: column 'label' holds 'x'; expected the number of the right alternative"),
        ({"label": True}, "holds True"),
        ({"label": [0]}, r"holds \[0\]"),
        ({"label": "9" * 5000}, "expected the number"),
        ({"label": "1", "choice1": "1", "choice2": "0"}, "the number of one alternative and the text of another"),
        (
            {"label": "a", "choice1": "a", "choice2": "a"},
            "holds 'a', which 2 alternatives are; write the number of one",
        ),
        ({"choice2": ""}, "line 2: column 'choice2' has no text"),
        ({"premise": 5}, "line 2: column 'premise' holds the number 5; expected text"),
        ({"idx": 3}, r"line 2: the id '3' \(column 'idx'\) occurs on line 1 already; ids must be unique"),
        ({"idx": None}, "line 2: column 'idx' has no text"),
    ],
)
def test_an_item_that_does_not_fit(tmp_path, changes, message):
    """File, line and cure are told."""
    path = write(tmp_path, ITEM, ITEM | {"idx": 4} | changes)
    with pytest.raises(DataError, match=message) as error:
        choice_examples(path, fields=COPA, language="yo")
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alternatives": ["choice1", "chioce2"]}, "no column 'chioce2' .for `alternatives`.; did you mean 'choice2'"),
        ({"alternatives": ["choice1"]}, "there is a choice from two on"),
        ({"alternatives": "choice1"}, r"column 'choice1' holds the text .*expected a list .* \[choice1, choice2\]"),
        ({"lable": "label"}, "unknown field 'lable'; did you mean 'label'"),
        (
            {"alternatives": [1, 2]},
            r"`alternatives` is \[1, 2\]; expected the name of a column, or of several in a list",
        ),
        ({"alternatives": 3}, r"`alternatives` is 3; expected the name of a column"),
        ({"text": ["premise"]}, r"`text` is \['premise'\]; expected the name of one column"),
    ],
)
def test_a_field_map_that_does_not_fit(tmp_path, changes, message):
    """The nearest name is offered."""
    with pytest.raises(DataError, match=message):
        choice_examples(write(tmp_path, ITEM), fields=COPA | changes, language="yo")


@pytest.mark.parametrize("name", ["text", "alternatives", "label"])
def test_a_field_that_is_missing(tmp_path, name):
    """It is said how to write it."""
    fields = {key: value for key, value in COPA.items() if key != name}
    with pytest.raises(DataError, match=f"`{name}` is missing; say which column.*, as in"):
        choice_examples(write(tmp_path, ITEM), fields=fields, language="yo")


def test_tables_without_rows(tmp_path):
    """An empty table is no data."""
    path = tmp_path / "a.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="has no rows"):
        choice_examples(path, fields=COPA, language="yo")


# ---- Questions -------------------------------------------------------------------------------------


def test_a_question_about_a_context(tmp_path):
    """All fields arrive, and what is asked about one context is one group."""
    elsewhere = {"context": "I live in a Lagos.", "answers": {"text": ["Lagos"], "answer_start": [12]}}
    path = write(tmp_path, QUESTION, QUESTION | {"id": "b", "question": "Ta ni?"}, QUESTION | {"id": "c"} | elsewhere)
    first, second, third = span_rows(path, fields=SPAN, language="yo", context_language="eng")
    assert first == SpanExample(
        id="a",
        group=second.group,
        language="yor-Latn",
        question="Níbo?",
        context="She lives in Lagos.",
        context_language="eng-Latn",
        answers=(Answer("Lagos", 13),),
    )
    assert third.group != first.group


def test_an_answer_and_its_start_in_columns(tmp_path):
    """One answer may have two columns, in CSV too; groups may be named."""
    path = tmp_path / "a.csv"
    path.write_text("q,c,a,s,g\nNíbo?,She lives in Lagos.,Lagos,13,p1\n", encoding="utf-8")
    fields = {"question": "q", "context": "c", "answer": "a", "answer_start": "s", "group": "g"}
    (example,) = span_rows(path, fields=fields, language="yo")
    assert (example.id, example.group, example.answers) == ("2", "p1", (Answer("Lagos", 13),))
    assert example.context_language == "yor-Latn"


def test_answers_of_rows_may_be_withheld(tmp_path):
    """If one says so."""
    path = write(tmp_path, QUESTION | {"answers": {"text": [], "answer_start": []}})
    bare = {"question": "question", "context": "context"}
    for fields in (SPAN, bare):
        assert span_rows(path, fields=fields, language="yo", labelled=False)[0].answers == ()
    with pytest.raises(DataError, match="question 'a': has no answer"):
        span_rows(path, fields=SPAN, language="yo")
    with pytest.raises(DataError, match="`answer` is missing"):
        span_rows(path, fields=bare, language="yo")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": {"text": ["Lagos"], "answer_start": [12]}},
         r"line 1, question 'a': the answer 'Lagos' should start at character 12 .* it is found at 13"),
        ({"answers": {"text": ["Lagos"], "answer_start": []}}, "has 1 texts of answers and 0 starts"),
        ({"answers": {"text": ["Lagos"]}}, "has no `answer_start`"),
        ({"answers": "Lagos"}, "`answers` is str 'Lagos'"),
        ({"answers": None}, "has no answer"),
        ({"context": None}, "column 'context' has no text"),
        ({"id": {}}, "column 'id' holds the object"),
    ],
)  # fmt: skip
def test_a_question_that_does_not_fit(tmp_path, changes, message):
    """File, line and cure are told."""
    path = write(tmp_path, QUESTION | changes)
    with pytest.raises(DataError, match=message) as error:
        span_rows(path, fields=SPAN, language="yo")
    assert str(error.value).startswith(f"{path}, line 1")


def test_answers_are_named_once():
    """In one column or in two, not in both, and the two go together."""
    fields = {"question": "q", "context": "c", "answer": "a"}
    with pytest.raises(DataError, match="not both"):
        span_rows("a.jsonl", fields=fields | {"answers": "b"}, language="yo")
    with pytest.raises(DataError, match="`answer_start` is missing"):
        span_rows("a.jsonl", fields=fields, language="yo")


# ---- The public data -------------------------------------------------------------------------------


def counts(folder):
    """File -> rows, as the README of a data set says."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return {name: int(count) for name, count in re.findall(r"^\| (\S+) \| (\d+) \|", text, re.MULTILINE)}


@pytest.mark.shared
def test_afriqa_is_read(shared_data):
    """The counts of the README; every answer is where it says."""
    folder = shared_data / "afriqa"
    expected = counts(folder)
    assert len(expected) == 15
    found = {name: span_rows(folder / name, fields=SPAN, language=name[:3], context_language="en") for name in expected}
    assert {name: len(examples) for name, examples in found.items()} == expected
    assert len({e.group for e in found["ibo.en.test.jsonl.gz"]}) == 374


@pytest.mark.shared
def test_xcopa_is_parallel(shared_data):
    """The counts of the README; items and labels are the same in all languages."""
    folder = shared_data / "xcopa"
    expected = counts(folder)
    assert len(expected) == 20
    found = {
        name: choice_examples(folder / name, fields=COPA, language=name.split(".")[-3 if name.endswith(".gz") else -2])
        for name in expected
    }
    assert {name: len(examples) for name, examples in found.items()} == expected
    for split in ("test", "val"):
        sets = {tuple((e.group, e.label) for e in found[name]) for name in expected if name.startswith(split)}
        assert len(sets) == 1


@pytest.mark.parametrize(
    ("words", "tags", "told"), [(["a\ud83d"], ["O"], "column 'words' holds"), (["a"], ["B-\ud83d"], "the tag holds")]
)
def test_half_a_character_in_a_sentence_is_told(tmp_path, words, tags, told):
    """In a word or a tag: neither could be written again."""
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"words": words, "tags": tags}) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"line 1.*{told} half a surrogate pair"):
        tagged_rows(path, fields={"words": "words", "tags": "tags"}, language="yo")
