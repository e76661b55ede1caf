"""What `predict` reads: of which shape it is, row by row, and what is said of what is wrong."""

import gzip
import io
import json
import sys
from datetime import datetime

import pytest

from lingraft.core.errors import DataError
from lingraft.serving.answer_file import Request, open_file
from lingraft.serving.inputs import SEEN, column_names, read_given, shape_of
from lingraft.serving.items import plain_item
from lingraft.serving.own_names import OwnNames, own_names
from lingraft.tasks.kinds import kind_of

KINDS = {
    "classification": kind_of("classification", ("bird", "river"), {}),
    "tagging": kind_of("tagging", ("B-PER", "O"), {}),
    "span_qa": kind_of("span_qa", (), {}),
    "choice": kind_of("choice", (), {}),
}
NONE = OwnNames()


@pytest.fixture
def standard_input(monkeypatch):
    """Let standard input hold a text."""

    def put(text):
        raw = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return put


def read(path, kind="classification", shape=None, names=NONE, **options):
    """All that is given, with its shape found where it is not said."""
    found = shape or shape_of(path, KINDS[kind], names)
    guessed = shape is None and path is None
    return found, list(
        read_given(path, found, KINDS[kind], names=names, language="swh-Latn", guessed=guessed, **options)
    )


# ---- Standard input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "shape"),
    [
        ("classification", "{name}, karibu\nada\n", "text"),
        ("classification", '{"text": "ada"\n', "text"),
        ("classification", "{}\n", "text"),
        ("classification", "[ada] beli\n", "text"),
        ("classification", '\n \n{"text": "ada"}\n', "jsonl"),
        ("classification", '\ufeff{"text": "ada"}\r\n', "jsonl"),
        ("classification", "ada\nbeli\n", "text"),
        ("tagging", "Ada lives\nBeli\n", "text"),
        ("tagging", "Ada\nlives\n\nBeli\n", "conll"),
        ("tagging", "Ada B-PER\nlives O\n", "conll"),
        ("tagging", "New York\tO\n", "conll"),
        ("tagging", '{"words": ["Ada"]}\n', "jsonl"),
        ("tagging", "Ada\n", "text"),
        ("choice", "ada\n", "jsonl"),
        ("span_qa", "ada\n", "jsonl"),
    ],
)
def test_the_first_line_says_what_standard_input_is(standard_input, kind, text, shape):
    """Only what is an object is JSON; looking takes nothing away."""
    standard_input(text)
    assert shape_of(None, KINDS[kind], NONE) == shape
    assert sys.stdin.buffer.read().decode().lstrip("\ufeff") in text


def test_rows_are_named_by_the_lines_of_standard_input(standard_input):
    """Blank lines have a place, the lines that were looked at are read."""
    standard_input("\n{name}, ada\n\nbeli")
    shape, given = read(None)
    assert shape == "text"
    assert [(one.where, one.item) for one in given] == [
        ("standard input, line 1", ""),
        ("standard input, line 2", "{name}, ada"),
        ("standard input, line 3", ""),
        ("standard input, line 4", "beli"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_any_system_ends_them(standard_input, end):
    """Also the last, whether or not it has an end; an empty one in between has its place."""
    for text in (f"ada{end}{end}beli", f"ada{end}{end}beli{end}"):
        standard_input(text)
        assert [one.item for one in read(None)[1]] == ["ada", "", "beli"]
    standard_input(f"id,text{end}1,ada{end}2,beli{end}")
    assert [one.item["text"] for one in read(None, shape="csv")[1]] == ["ada", "beli"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"ada\r" + b"a" * 1_000_002, "standard input, line 2: is longer than 1,000,000 bytes"),
        ("", "standard input is empty; give one text a line, or JSON lines"),
        (" \n\n", "standard input is empty"),
        ('[{"text": "ada"}]\n', "standard input, line 1: is a JSON array; give its objects one a line"),
        ('ada\n{"text": "beli"}\n', "standard input, line 2: is a JSON object, but what came before is plain text"),
        ('{"text": "ada"}\nbeli\n', r"standard input, line 2: is not JSON .*; if every line is a text, .*format text"),
        ('{"text": "ada"}\n[1]\n', "standard input, line 2: is a JSON list"),
        (b"ada\n\xe9\n", "standard input, line 2: is not UTF-8 .*convert it with `iconv -f LATIN1 -t UTF-8` before"),
        (b"ada\n" + b"a" * 1_000_002, "standard input, line 2: is longer than 1,000,000 bytes"),
        (b"a" * 1_000_005 + b"\n", "standard input, line 1: is longer than 1,000,000 bytes"),
    ],
)
def test_what_is_wrong_names_standard_input_and_the_line(standard_input, text, told):
    """Never a file that nobody gave."""
    standard_input(text)
    with pytest.raises(DataError, match=told):
        read(None)


@pytest.mark.parametrize(
    ("shape", "text", "items"),
    [
        ("text", '{"text": "ada"}\n', ['{"text": "ada"}']),
        ("jsonl", '{"text": "ada"}\n', [{"text": "ada"}]),
        ("csv", 'n,text\n1,"ada, beli"\n2,\n', [{"n": "1", "text": "ada, beli"}, {"n": "2", "text": ""}]),
        ("tsv", "n\ttext\n1\tada\n", [{"n": "1", "text": "ada"}]),
    ],
)
def test_somebody_may_say_what_standard_input_is(standard_input, shape, text, items):
    """Then nothing is guessed."""
    standard_input(text)
    assert [one.item for one in read(None, shape=shape)[1]] == items


def test_words_in_columns_are_for_tagging_alone(standard_input):
    """Whatever the first line looks like."""
    standard_input("ada X\nbeli Y\n\ncora X\n")
    assert [one.item for one in read(None, "tagging", "conll")[1]] == [["ada", "beli"], ["cora"]]
    with pytest.raises(DataError, match="a run for classification reads no words in columns"):
        read(None, shape="conll")


def test_a_closed_standard_input_is_told(monkeypatch):
    """As a service has it."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input: is closed"):
        shape_of(None, KINDS["classification"], NONE)


def test_a_line_is_there_before_the_next_is_written(monkeypatch):
    """Of a pipe that stays open no more is read than is needed for what is shown."""
    lines = iter(["ada\n", "beli\n", "cora\n"])
    read_so_far = []

    class Pipe(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            line = next(lines, "").encode()
            read_so_far.append(line)
            buffer[: len(line)] = line
            return len(line)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe())))
    shape = shape_of(None, KINDS["classification"], NONE)
    given = read_given(None, shape, KINDS["classification"], names=NONE, language="swh-Latn", guessed=True)
    assert next(given).item == "ada"
    assert read_so_far == [b"ada\n"]


# ---- Files -----------------------------------------------------------------------------------------

LINES = "Ada B-PER\nlives O\n\nBeli O\n"


@pytest.mark.parametrize(
    ("kind", "name", "content", "shape"),
    [
        ("classification", "a.txt", '{"text": "ada"}\n', "text"),
        ("classification", "a.CSV", "text\nada\n", "table"),
        ("classification", "a.jsonl.gz", '{"text": "ada"}\n', "table"),
        ("classification", "a.conll", "ada\n", "text"),
        ("tagging", "a.conll", LINES, "conll"),
        ("tagging", "a.txt", LINES, "conll"),
        ("tagging", "a.txt", "Ada\nlives\n\nBeli\n", "conll"),
        ("tagging", "a.txt", "Ada\nlives\nin Beli\n", "text"),
        ("tagging", "a.tsv", "Ada\tO\n", "conll"),
        ("tagging", "a.tsv", "id\ttext\n1\tAda\n", "table"),
        ("tagging", "a.csv", '"id","words"\n1,Ada\n', "table"),
        ("tagging", "a.csv", "id;text\n1;Ada\n", "table"),
        ("tagging", "a.jsonl", '{"words": ["Ada"]}\n', "table"),
        ("span_qa", "a.json", '{"data": []}', "squad"),
        ("span_qa", "a.csv", "question,context\na,b\n", "table"),
        ("choice", "a.txt", "ada\n", "table"),
    ],
)
def test_the_name_and_the_kind_of_task_say_what_a_file_is(tmp_path, kind, name, content, shape):
    """What a run is trained on can be given to it again."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if name.endswith(".gz") else content.encode())
    assert shape_of(path, KINDS[kind], NONE) == shape


def test_no_more_of_a_file_is_read_than_tells_what_it_is(tmp_path):
    """However long it is: a blank after so many lone words changes nothing."""
    path = tmp_path / "a.txt"
    path.write_text("ada\n" * SEEN + "ada beli\n", encoding="utf-8")
    assert shape_of(path, KINDS["tagging"], NONE) == "conll"


def test_words_in_columns_keep_their_columns(tmp_path):
    """And the column of words is that of the run's own files."""
    path = tmp_path / "a.conll"
    path.write_text("1\tNew York\tNNP\tB-LOC\n2\t.\t.\tO\n\n1\tAda\tNNP\tB-PER\n", encoding="utf-8")
    given = read(path, "tagging", names=OwnNames(word_column=1))[1]
    assert [one.item for one in given] == [["New York", "."], ["Ada"]]
    assert given[0].cells == (("1", "New York", "NNP", "B-LOC"), ("2", ".", ".", "O"))
    assert given[1].where.endswith("a.conll, line 4")


def test_conllu_keeps_its_names(tmp_path):
    """Ranges and comments are no words."""
    path = tmp_path / "a.conllu"
    row = "{}\t{}\t_\t_\t_\t_\t_\t_\t_\t_"
    lines = ["# sent_id = s1", row.format("1-2", "AdaBeli"), row.format(1, "Ada"), row.format(2, "Beli")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (given,) = read(path, "tagging")[1]
    assert (given.item, given.columns["id"]) == (["Ada", "Beli"], "s1")


def test_wikiann_prefixes_are_taken_off_as_in_training(tmp_path):
    """They are no part of the word."""
    path = tmp_path / "a.conll"
    path.write_text("sw:Ada\tB-PER\nsw:Beli\tO\n\nsw:Cora\tO\n", encoding="utf-8")
    assert [one.item for one in read(path, "tagging")[1]] == [["Ada", "Beli"], ["Cora"]]


def test_questions_of_squad_are_all_asked(tmp_path):
    """Also those that have no answer."""
    questions = [
        {"id": "q1", "question": "ada?", "answers": [{"text": "be", "answer_start": 0}]},
        {"id": "q2", "question": "cora?", "is_impossible": True, "answers": []},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "be", "qas": questions}]}]}), encoding="utf-8")
    given = read(path, "span_qa")[1]
    assert [one.item for one in given] == [
        {"id": "q1", "question": "ada?", "context": "be"},
        {"id": "q2", "question": "cora?", "context": "be"},
    ]


def test_pairs_come_in_columns(tmp_path):
    """A line of text is no pair."""
    path = tmp_path / "a.txt"
    path.write_text("ada\n", encoding="utf-8")
    with pytest.raises(DataError, match="pairs of texts need named columns"):
        read(path, paired=True)


def test_a_table_without_rows_is_told(tmp_path):
    """Its head is there."""
    path = tmp_path / "a.csv"
    path.write_text("text\n", encoding="utf-8")
    with pytest.raises(DataError, match="has no rows"):
        read(path)


def test_columns_of_all_rows_are_found(tmp_path):
    """Rows of JSON lines may differ; those of other tables do not."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ada"}\n{"id": 7, "text": "beli"}\n', encoding="utf-8")
    assert column_names(path, "table") == ["text", "id"]
    assert column_names(tmp_path / "a.csv", "table") == []


# ---- The run's own names ---------------------------------------------------------------------------


def test_own_names_are_those_of_the_recipe(tmp_path):
    """Targets in any spelling, columns by our names."""
    recipe = (
        "task: {name: tagging, target_languages: [sw, yor-Latn], fields: {text_a: message, label: topic}, "
        "columns: [1, 3]}\n"
    )
    (tmp_path / "recipe.yaml").write_text(recipe, encoding="utf-8")
    names = own_names(tmp_path)
    assert names.targets == ("swh-Latn", "yor-Latn")
    assert (names.fields["text"], names.word_column) == ("message", 1)
    assert own_names(tmp_path / "elsewhere") == OwnNames()


@pytest.mark.parametrize("kind", ["classification", "tagging", "span_qa", "choice"])
@pytest.mark.parametrize("is_run", [True, False])
def test_a_column_that_is_not_found_without_the_recipe_of_a_run_names_that(tmp_path, kind, is_run):
    """It would say how the column is called; of an adaptation alone there is none, and nothing is missed."""
    if is_run:
        (tmp_path / "run.json").write_text('{"format": 1, "lingraft": "0.1.0", "meaning": 7}', encoding="utf-8")
    row, names = {"message": "Bei ya mahindi"}, own_names(tmp_path)
    said = f"{tmp_path / 'recipe.yaml'}, which says how the run calls it, is missing: put it back from a copy, or"
    if is_run:
        with pytest.raises(DataError, match=r"there is no column '\w+' \(for `\w+`\)") as caught:
            plain_item(row, "a.jsonl, line 1", KINDS[kind], names, paired=False)
        assert said in str(caught.value)
    else:
        assert names == OwnNames()


def test_a_column_that_somebody_names_must_be_there():
    """Another one, though it is called as ours, will not do; unnamed, it will."""
    row = {"text": "ada"}
    assert OwnNames(fields={"text": "message"}).column_of("text", row) == "text"
    assert NONE.choose(text="message", text_b=None).column_of("text", row) is None


def test_own_columns_of_a_table_are_what_it_shows(tmp_path):
    """A day is a day, an error the error that is seen; what has no value has none."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["text", "day", "note", "sum"], ["Bei", datetime(2024, 1, 2), "#N/A", "=1+1"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    _, (given,) = read(tmp_path / "a.xlsx")
    assert given.columns == {"text": "Bei", "day": "2024-01-02", "note": "#N/A", "sum": None}


def test_a_threshold_is_checked_before_anything_is_read(tmp_path):
    """A command line takes `nan` for a number."""
    with pytest.raises(DataError, match=r"^abstain: expected a probability from 0 to 1, got nan$"):
        open_file(tmp_path / "absent", None, Request(abstain=float("nan")))


@pytest.mark.parametrize("value", ["1" * 5_000, "[" * 100_000 + "]" * 100_000], ids=["digits", "lists"])
def test_an_object_that_cannot_be_held_is_no_text(standard_input, tmp_path, value):
    """It is JSON all the same, and refused with the words that are said of a file."""
    line = '{"text": ' + value + "}\n"
    (tmp_path / "a.jsonl").write_text(line, encoding="utf-8")
    standard_input(line)
    told = []
    for path in (tmp_path / "a.jsonl", None):
        with pytest.raises(DataError) as caught:
            read(path)
        told.append(str(caught.value).replace(str(tmp_path / "a.jsonl"), "standard input"))
    assert told[0] == told[1]
