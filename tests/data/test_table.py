"""Tables of examples and everything that can be wrong with them."""

import csv
import gzip
import io
import json
import sys
from collections import UserList
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.core.examples import PairExample
from lingraft.data import sources
from lingraft.data.bounds import COLUMNS
from lingraft.data.cells import as_written
from lingraft.data.example_tables import tagged_rows
from lingraft.data.labels import strip_label
from lingraft.data.table import locate, pair_examples, read_table
from lingraft.data.table_formats import describe_delimiter
from tiny import SHARED_DATA

needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the public data sets of ../shared/data are absent")

FIELDS = {"text": "sentence", "label": "topic"}
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t\0"), min_size=1).filter(str.strip)
LABEL = CELL.map(strip_label).filter(bool)


def write(folder, name, content):
    """Write text or bytes to a new file, and return its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_field_map_names_the_columns(tmp_path):
    """Columns become our fields; ids and groups come from the columns named for them."""
    path = write(tmp_path, "a.tsv", "key\tpar\tsentence\tother\ttopic\nx\tp\tBawo\tni\tgreeting\n")
    fields = {"text_a": "sentence", "text_b": "other", "label": "topic", "id": "key", "group": "par"}
    assert pair_examples(path, fields=fields, language="yo") == [
        PairExample(id="x", group="p", language="yor-Latn", text_a="Bawo", text_b="ni", label="greeting")
    ]


def test_ids_are_line_numbers_unless_given(tmp_path):
    """Without an id column the line number serves, and the group is the id."""
    path = write(tmp_path, "a.csv", "sentence,topic\none,a\n\ntwo,b\n")
    assert [(e.id, e.group, e.text_b) for e in pair_examples(path, fields=FIELDS, language="yo")] == [
        ("2", "2", None), ("4", "4", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"sentence": "Ọjọ́", "topic": "a"}\n\n'),
        ("a.csv", "\ufeffsentence,topic\r\nỌjọ́,a\r\n"),
        ("a.tsv", "sentence\ttopic\r\nỌjọ́\ta\r\n"),
        ("a.TSV.gz", gzip.compress("sentence\ttopic\nỌjọ́\ta".encode(), mtime=0)),
    ],
)
def test_all_formats_give_the_same_example(tmp_path, name, content):
    """JSONL, CSV and TSV agree, with BOM, CRLF and compression."""
    (example,) = pair_examples(write(tmp_path, name, content), fields=FIELDS, language="yo")
    assert (example.text_a, example.label) == ("Ọjọ́", "a")


def test_parquet_rows(tmp_path):
    """Parquet files are read by row, numbers becoming labels."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"sentence": ["one", "two"], "topic": [0, 1]}), path)
    assert [(e.id, e.text_a, e.label) for e in pair_examples(path, fields=FIELDS, language="yo")] == [
        ("1", "one", "0"), ("2", "two", "1"),
    ]  # fmt: skip


def test_damaged_parquet(tmp_path):
    """Bytes that are no Parquet are called so."""
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="is not a readable Parquet file"):
        list(read_table(write(tmp_path, "a.parquet", b"nonsense" * 10)))


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    """A missing library is met with the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'lingraft\[parquet\]'"):
        list(read_table(write(tmp_path, "a.parquet", b"")))


def test_hub_without_datasets_names_the_extra(monkeypatch):
    """Data sets of the Hub need an extra, and the message says which."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'lingraft\[hub\]'"):
        list(read_table("hub:owner/name"))


def test_hub_reads_config_and_split(monkeypatch):
    """The identifier carries owner, name, configuration and split."""
    calls = []

    class Library:
        @staticmethod
        def load_dataset(name, config, split):
            calls.append((name, config, split))
            return [{"sentence": "one"}]

    monkeypatch.setitem(sys.modules, "datasets", Library)
    assert list(read_table("hub:owner/name/yor_Latn:test")) == [(1, {"sentence": "one"})]
    assert calls == [("owner/name", "yor_Latn", "test")]


def test_hub_failure_is_one_line(monkeypatch):
    """Without a network there is one clear line."""

    class Library:
        @staticmethod
        def load_dataset(name, config, split):
            raise ConnectionError("no route\nto anywhere")

    monkeypatch.setitem(sys.modules, "datasets", Library)
    with pytest.raises(DataError) as caught:
        list(read_table("hub:owner/name"))
    assert "no route" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sources_are_registered():
    """Every format is a registered factory, and builds without options."""
    for name in ("jsonl", "csv", "tsv", "parquet", "hub"):
        assert callable(sources.build(name))


def test_labels_of_any_type_become_text(tmp_path):
    """Whole numbers and booleans in JSON are labels like any other."""
    path = write(tmp_path, "a.jsonl", '{"sentence": "x", "topic": 1}\n{"sentence": "y", "topic": false}\n')
    assert [e.label for e in pair_examples(path, fields=FIELDS, language="yo")] == ["1", "False"]


def test_unlabelled_rows(tmp_path):
    """Labels are not asked for where none are expected."""
    path = write(tmp_path, "a.tsv", "sentence\none\n")
    assert [e.label for e in pair_examples(path, fields={"text": "sentence"}, language="yo", labelled=False)] == [None]


def test_tsv_quotes_are_literal(tmp_path):
    """Quotation marks in TSV are part of the text."""
    path = write(tmp_path, "a.tsv", 'sentence\ttopic\n"one\ta\n')
    assert pair_examples(path, fields=FIELDS, language="yo")[0].text_a == '"one'


def test_csv_line_numbers_survive_quoted_line_breaks(tmp_path):
    """A row is numbered by the line on which it begins."""
    path = write(tmp_path, "a.csv", 'sentence,topic\n"one\ntwo",a\nthree,b\n')
    assert [(n, row["sentence"]) for n, row in read_table(path)] == [(2, "one\ntwo"), (4, "three")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "sentense\ttopic\none\ta\n", r"line 1: there is no column 'sentence' \(for `text`\); did you mean "
         "'sentense'\\? its columns are sentense, topic"),
        ("a.tsv", "sentence\ttopic\n \ta\n", "line 2: column 'sentence' has no text"),
        ("a.tsv", "sentence\ttopic\none\t \n", "line 2: column 'topic' has no label"),
        ("a.jsonl", '{"sentence": "x", "topic": null}', "line 1: column 'topic' has no label"),
        ("a.jsonl", '{"sentence": "x"}', "line 1: there is no column 'topic'"),
        ("a.jsonl", '{"sentence": 3, "topic": "a"}', "line 1: column 'sentence' holds the number 3; expected text"),
        ("a.jsonl", '{"sentence": "x", "topic": ["a"]}', "holds a list; expected one label"),
        ("a.jsonl", '{"sentence": "\\ud800", "topic": "a"}', "half a surrogate pair at position 1"),
        ("a.jsonl", '{"sentence": "x", "topic": "a"}\n{"sentence": ', "line 2: is not JSON"),
        ("a.jsonl", "[" * 100_000, "is not JSON"),
        ("a.jsonl", '["x", "a"]', "item 1: is a JSON str, not an object"),
        ("a.jsonl", '{"sentence": "x", "topic": "a"}\n["x", "a"]', "line 2: is a JSON list, not an object"),
        ("a.csv", "sentence,topic\none, two,a\n", r"line 2: has 3 cells, but the header has 2 \(sentence, topic\)"),
        ("a.csv", 'sentence,topic\n"one,a\ntwo,b\n', "line 2: is not CSV.*quote left open"),
        ("a.csv", "topic,topic\none,a\n", "line 1: the header names column 'topic' twice"),
        ("a.tsv", "sentence\ttopic\none\n", "line 2: has 1 cell, but the header has 2"),
        ("a.tsv", "sentence\ttopic\n", "has no rows"),
        ("a.tsv", "", "is empty"),
        ("a.tsv", b"sentence\ttopic\ncaf\xe9\ta\n", "line 2: is not UTF-8.*iconv -f LATIN1 -t UTF-8"),
        ("a.jsonl", "x" * 2_000_000, "line 1: is longer than"),
        ("a.ods", "", "cannot tell the format from .ods; expected one of .jsonl.*; save it as .xlsx or .csv$"),
        ("a.xls", b"\xd0\xcf\x11\xe0", "cannot tell the format from .xls; expected .*; save it as .xlsx or .csv$"),
        ("a.doc", "", "cannot tell the format from .doc; expected .*, also followed by .gz$"),
    ],
)  # fmt: skip
def test_faulty_files_name_file_line_and_cure(tmp_path, name, content, message):
    """Every mistake in a file is a DataError that begins with its path."""
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        pair_examples(path, fields=FIELDS, language="yo")
    assert str(caught.value).startswith(str(path))


def test_a_missing_file(tmp_path):
    """A file that is not there is named."""
    with pytest.raises(DataError, match=r"b\.tsv: no such file"):
        pair_examples(tmp_path / "b.tsv", fields=FIELDS, language="yo")


def test_ids_are_unique(tmp_path):
    """An id that repeats is named with both of its lines."""
    path = write(tmp_path, "a.tsv", "k\tsentence\ttopic\nx\tone\ta\nx\ttwo\tb\n")
    with pytest.raises(DataError, match=r"line 3: the id 'x' \(column 'k'\) occurs on line 2 already"):
        pair_examples(path, fields=FIELDS | {"id": "k"}, language="yo")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"txt": "a", "label": "b"}, "unknown field 'txt'; did you mean 'text'"),
        ({"label": "b"}, "`text` is missing"),
        ({"text": "a"}, "`label` is missing"),
        ({"text": "a", "text_a": "b", "label": "c"}, "are the same field"),
    ],
)
def test_faulty_field_maps(tmp_path, fields, message):
    """A field map is checked before the file is opened."""
    with pytest.raises(DataError, match=message):
        pair_examples(tmp_path / "absent.tsv", fields=fields, language="yo")


@pytest.mark.parametrize("name", ["yor_Latn.tsv", "yo.tsv.gz", "yor.tsv", "yoruba.tsv"])
def test_locate_tries_every_alias(tmp_path, name):
    """A file is found however its name spells the language."""
    (tmp_path / name).touch()
    assert locate("{language}.tsv", "yor-Latn", tmp_path) == tmp_path / name


def test_locate_prefers_the_specific(tmp_path):
    """The full code wins over the bare one."""
    for name in ("swa.tsv", "swh_Latn.tsv.gz"):
        (tmp_path / name).touch()
    assert locate("{language}.tsv", "sw", tmp_path).name == "swh_Latn.tsv.gz"


def test_a_missing_file_is_named_by_its_pattern_once(tmp_path):
    """Not by thirty spellings; the nearest that is there is offered."""
    (tmp_path / "yorba.tsv").touch()
    pattern = r"\{language\}\.tsv is not there, as yor-Latn\.tsv or in another spelling; did you mean .*/yorba\.tsv\?$"
    with pytest.raises(DataError, match=rf"^no file for Yoruba \(yor-Latn\): .*/{pattern}"):
        locate("{language}.tsv", "yo", tmp_path)


def test_the_file_of_another_language_is_not_offered_in_place_of_a_missing_one(tmp_path):
    """Its labels would be learnt as those of this language."""
    (tmp_path / "train.eng.csv").touch()
    with pytest.raises(DataError) as told:
        locate("train.{language}.csv", "swh-Latn", tmp_path)
    assert str(told.value).endswith(f"in another spelling; {tmp_path} has train.eng.csv")


@pytest.mark.parametrize(
    ("there", "meant"), [("train.eng.csv", False), ("dve.eng.csv", True), ("validation.eng.csv", True)]
)
def test_a_missing_file_is_never_taken_for_one_of_another_split(tmp_path, there, meant):
    """What is learnt from is not offered to choose by; a slip of the hand and another word for it are."""
    (tmp_path / there).touch()
    with pytest.raises(DataError) as told:
        locate("dev.{language}.csv", "eng", tmp_path)
    assert str(told.value).endswith(f"did you mean {tmp_path / there}?") == meant


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=st.lists(st.tuples(CELL, LABEL), min_size=1), name=st.sampled_from(["a.jsonl", "a.csv", "a.tsv"]))
def test_what_is_written_is_read(tmp_path, rows, name):
    """Any texts and labels come back from any format as they were."""
    buffer = io.StringIO()
    if name == "a.csv":
        csv.writer(buffer, lineterminator="\n").writerows([("sentence", "topic"), *rows])
    elif name == "a.tsv":
        buffer.write("\n".join("\t".join(row) for row in [("sentence", "topic"), *rows]))
    else:
        buffer.write("\n".join(json.dumps({"sentence": s, "topic": t}) for s, t in rows))
    examples = pair_examples(write(tmp_path, name, buffer.getvalue()), fields=FIELDS, language="yo")
    assert [(e.text_a, e.label) for e in examples] == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.jsonl", "a.csv", "a.tsv", "a.tsv.gz"]))
def test_any_bytes_are_rows_or_a_clear_error(tmp_path, content, name):
    """No file, however broken, raises anything but DataError."""
    try:
        list(read_table(write(tmp_path, name, content)))
    except DataError as error:
        assert name in str(error)


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize(("split", "count"), [("train", 701), ("dev", 99), ("test", 204)])
def test_sib200_is_found_and_read(split, count):
    """SIB-200's files are found by any spelling and have their published sizes."""
    path = locate("{language}." + split + ".tsv", "sw", SHARED_DATA / "sib200")
    fields = {"text": "text", "label": "category", "id": "index_id"}
    examples = pair_examples(path, fields=fields, language="sw")
    assert (len(examples), len({e.label for e in examples})) == (count, 7)


@pytest.mark.shared
@needs_shared
def test_nusax_csv():
    """NusaX's quoted CSV is read under the language's English name."""
    path = locate("{language}.train.csv", "ace", SHARED_DATA / "nusax" / "sentiment")
    examples = pair_examples(path, fields={"text": "text", "label": "label", "id": "id"}, language="ace")
    assert (len(examples), {e.label for e in examples}) == (500, {"positive", "neutral", "negative"})


@pytest.mark.shared
@needs_shared
def test_americasnli_pairs():
    """Premise and hypothesis of AmericasNLI are the two texts."""
    fields = {"text": "premise", "text_b": "hypothesis", "label": "label"}
    examples = pair_examples(
        locate("{language}.dev.tsv", "ay", SHARED_DATA / "americasnli"), fields=fields, language="ay"
    )
    assert (len(examples), all(e.text_b for e in examples)) == (743, True)


# ---- Scripts that contain each other ---------------------------------------------------------------


def test_a_file_in_an_overlapping_script_is_found_and_said(tmp_path):
    """Where it is the only one."""
    (tmp_path / "kor_Hang.tsv").touch()
    notes = []
    assert locate("{language}.tsv", "ko", tmp_path, notes) == tmp_path / "kor_Hang.tsv"
    locate("{language}.tsv", "ko", tmp_path, notes)
    assert notes == ["kor-Kore is read from kor_Hang.tsv, the file of kor-Hang: the scripts overlap"]


def test_a_language_s_own_file_comes_first(tmp_path):
    """Nothing is said then."""
    notes = []
    for name in ("kor_Hang.tsv", "ko.tsv"):
        (tmp_path / name).touch()
    assert locate("{language}.tsv", "kor-Kore", tmp_path, notes).name == "ko.tsv"
    assert notes == []


def test_of_two_overlapping_scripts_none_is_taken(tmp_path):
    """Chinese characters are of either form, and nobody said which."""
    for name in ("zho_Hans.tsv", "zho_Hant.tsv"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"no file for Chinese \(.*\) \(zho-Hani\)"):
        locate("{language}.tsv", "zho-Hani", tmp_path)
    (tmp_path / "zho_Hans.tsv").unlink()
    assert locate("{language}.tsv", "zho-Hani", tmp_path).name == "zho_Hant.tsv"


# ---- Forms that tables come in ---------------------------------------------------------------------

ROWS = [("Bei ya mahindi, tena", "market"), ("Kliniki itafunguliwa", "health")]
CELLS = [{"sentence": text, "topic": label} for text, label in ROWS]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'sentence;topic\n"Bei ya mahindi, tena";market\nKliniki itafunguliwa;health\n'),
        ("a.csv", "sentence\ttopic\nBei ya mahindi, tena\tmarket\nKliniki itafunguliwa\thealth\n"),
        ("a.csv", "sentence|topic\nBei ya mahindi, tena|market\nKliniki itafunguliwa|health\n"),
        ("a.csv", 'sentence,topic\r"Bei ya mahindi, tena",market\rKliniki itafunguliwa,health\r'),
        ("a.csv", '\ufeffsentence,topic\r\n"Bei ya mahindi, tena",market\r\nKliniki itafunguliwa,health'),
        ("a.tsv", 'sentence,topic\n"Bei ya mahindi, tena",market\nKliniki itafunguliwa,health\n'),
        ("a.json", json.dumps(CELLS)),
        ("a.json", json.dumps(CELLS, indent=1)),
        ("a.jsonl", json.dumps(CELLS, indent=1)),
        ("a.json", "\n".join(map(json.dumps, CELLS))),
    ],
    ids=["semicolons", "tabs", "bars", "old ends of lines", "mark", "commas in a tsv", "array", "laid out", "in jsonl",
         "lines"],
)  # fmt: skip
def test_a_table_is_read_however_it_is_written(tmp_path, name, content):
    """What separates cells and lines is seen; the rows are the same."""
    path = write(tmp_path, name, content)
    assert [row for _, row in read_table(path)] == CELLS


@pytest.mark.parametrize(
    ("name", "header", "told"),
    [
        ("a.csv", "sentence;topic", "a.csv: cells are separated by semicolons"),
        ("a.csv", '"a;b",topic', None),
        ("a.csv", "sentence", None),
        ("a.csv", "a,b;c;d", None),
        ("a.tsv", "sentence,topic", "a.tsv: cells are separated by commas"),
        ("a.tsv", "sentence\ttopic, or so", None),
        ("a.jsonl", "{}", None),
    ],
)
def test_an_unusual_separator_is_told(tmp_path, name, header, told):
    """What the suffix promises is believed where it is there at all."""
    assert describe_delimiter(write(tmp_path, name, f"{header}\n")) == told


def test_a_cell_may_be_as_long_as_a_line(tmp_path):
    """The csv module's own bound is smaller than ours."""
    path = write(tmp_path, "a.csv", f'sentence,topic\n"{"x," * 96_000}",a\n')
    assert [len(row["sentence"]) for _, row in read_table(path)] == [192_000]


def test_a_quote_that_is_never_closed_is_told_with_the_bound(tmp_path):
    """A cell that swallows the rest of the file."""
    path = write(tmp_path, "a.csv", 'sentence,topic\n"open,a\n' + "line,b\n" * 200_000)
    with pytest.raises(DataError, match=r"line 2: a cell is longer than 1,000,000 characters.*is a quote left open"):
        list(read_table(path))


def test_of_parquet_only_what_is_asked_for_must_be_readable(tmp_path):
    """A date that Python has no room for, or text that is none, is in nobody's way until it is wanted."""
    pa = pytest.importorskip("pyarrow")
    faulty = pa.array([b"\xff", b"ok"], pa.binary()).view(pa.string())
    far = pa.array([10**6, 10**9], pa.date32())
    table = pa.table({"sentence": ["one", "two"], "topic": ["a", "b"], "odd": faulty, "when": far})
    pytest.importorskip("pyarrow.parquet").write_table(table, tmp_path / "a.parquet")
    fields = {"text": "sentence", "label": "topic"}
    found = pair_examples(tmp_path / "a.parquet", fields=fields, language="yo")
    assert [(one.text_a, one.label) for one in found] == [("one", "a"), ("two", "b")]
    for column in ("odd", "when"):
        with pytest.raises(DataError, match=rf"a\.parquet, line \d: column '{column}' holds what cannot be read"):
            pair_examples(tmp_path / "a.parquet", fields=fields | {"label": column}, language="yo")


def test_dates_that_python_has_no_room_for_are_shown_as_they_are(tmp_path):
    """Where a column is handed on, as `predict` does with what it does not read; not those beyond Arrow's own."""
    pa = pytest.importorskip("pyarrow")
    days = pa.array([4_000_000, 19_000, 10**9], pa.date32())
    times = pa.array([300_000_000_000, 4_000_000 * 86_400, 0], pa.timestamp("s"))
    pytest.importorskip("pyarrow.parquet").write_table(pa.table({"day": days, "time": times}), tmp_path / "a.parquet")
    rows = [row for _, row in read_table(tmp_path / "a.parquet")]
    assert [as_written(row["day"]) for row in rows] == ["12921-08-18", "2022-01-08", None]
    assert [as_written(row["time"]) for row in rows] == ["11476-08-15 05:20:00", "12921-08-18", "1970-01-01"]


def test_a_table_has_so_many_columns_at_most(tmp_path):
    """A header of a hundred thousand is no table of texts, and is refused before it is searched."""
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"c{i}" for i in range(COLUMNS + 1)) + "\n")
    with pytest.raises(DataError, match="line 1: has 10,001 columns; at most 10,000 are read"):
        list(read_table(path))


def test_compressed_parquet_is_read(tmp_path):
    """Its end is needed first, which what is being unpacked does not have yet."""
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    sink = io.BytesIO()
    files.write_table(arrow.table({"text": ["Bei"]}), sink)
    path = tmp_path / "a.parquet.gz"
    path.write_bytes(gzip.compress(sink.getvalue()))
    assert list(read_table(path)) == [(1, {"text": "Bei"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1} {"a": 2}]', "Expecting ',' delimiter: line 1 column 11"),
        ('[{"a": 1}, ]', "Expecting value: line 1 column 12"),
        ('[\n{"a": 1}', "Expecting ',' delimiter: line 2 column 9"),
        ('[{"a": 1}] x', "Extra data"),
        ('[{"a": 1},\n{"a": }]', "Expecting value: line 2 column 7"),
    ],
)
def test_a_faulty_array_is_refused_where_it_is_faulty(tmp_path, content, message):
    """Its items are read one by one, to its end."""
    with pytest.raises(DataError, match=f"is not JSON \\({message}"):
        list(read_table(write(tmp_path, "a.json", content)))


@pytest.mark.parametrize("content", ["[]", " [ \n ] \n"])
def test_an_empty_array_has_no_rows(tmp_path, content):
    """As an empty table has none."""
    assert list(read_table(write(tmp_path, "a.json", content))) == []


@pytest.mark.parametrize(("first", "separator"), [("sep=;", ";"), ('"sep=|"', "|"), ("sep=,,", ","), ("sep=\t", "\t")])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_line_that_says_what_separates_cells_is_no_header(tmp_path, first, separator, suffix):
    """Excel writes one; rows keep their numbers."""
    path = tmp_path / f"a.{suffix}"
    path.write_text(f"{first}\ntext{separator}label\nada{separator}x\n", encoding="utf-8")
    assert list(read_table(path)) == [(3, {"text": "ada", "label": "x"})]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"text": "a", "label": "x", "text": "b"}', "the key 'text' stands twice in an object"),
        ('[{"text": "a", "answers": {"text": [], "text": []}}]', "the key 'text' stands twice in an object"),
    ],
)
def test_a_key_of_json_stands_once(tmp_path, content, told):
    """Of two values one would be lost, as of two columns of one name."""
    path = tmp_path / "a.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        list(read_table(path))


def test_columns_of_parquet_have_names_of_their_own(tmp_path):
    """Of two with one name, one would be lost."""
    pyarrow = pytest.importorskip("pyarrow")
    columns = [pyarrow.array(["ada"])] * 2
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet: its schema names column 'text' twice; rename one"):
        list(read_table(tmp_path / "a.parquet"))


def test_classes_of_the_hub_have_their_names(monkeypatch):
    """As the features of the data set say, of labels and of lists of them."""
    rows = UserList([{"text": "ada beli", "label": 1, "tags": [1, 0]}])
    rows.features = {
        "label": SimpleNamespace(names=["x", "y"]),
        "tags": SimpleNamespace(feature=SimpleNamespace(names=["O", "B-PER"])),
    }
    library = SimpleNamespace(load_dataset=lambda name, config, split: rows)
    monkeypatch.setitem(sys.modules, "datasets", library)
    (example,) = pair_examples("hub:owner/name", fields={"text": "text", "label": "label"}, language="yo")
    (tagged,) = tagged_rows("hub:owner/name", fields={"words": "text", "tags": "tags"}, language="yo")
    assert (example.label, tagged.tags) == ("y", ("B-PER", "O"))
