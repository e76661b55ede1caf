"""Tables in the place of files."""

from collections import UserDict
from datetime import datetime, time
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pyarrow
import pytest

from lingraft.core.errors import DataError
from lingraft.data.cells import Unreadable
from lingraft.data.example_tables import tagged_rows
from lingraft.data.memory import CONVERTERS, lend, name_tables, rows_of
from lingraft.data.parallel import read_parallel
from lingraft.data.table import locate, pair_examples, read_table

ROWS = [{"text": "ada", "label": "x"}, {"text": "beli", "label": None}]
FIELDS = {"text": "text", "label": "label"}


@pytest.mark.parametrize("make", [list, tuple, iter, lambda rows: (UserDict(row) for row in rows)])
def test_any_iterable_of_dicts_is_a_table(make):
    """Lists, tuples, generators."""
    assert [dict(row) for row in rows_of(make(ROWS), "train.memory")] == ROWS


def test_an_arrow_table_is_read():
    """Nulls stay what is missing."""
    assert rows_of(pyarrow.Table.from_pylist(ROWS), "train.memory") == ROWS


def test_a_pandas_frame_is_read():
    """Whatever pandas calls missing is None, and numbers stay numbers."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"text": ["ada", None], "label": [1, 2], "share": [0.5, float("nan")], "id": [pandas.NA, 7]}
    )
    assert rows_of(frame, "train.memory") == [
        {"text": "ada", "label": 1, "share": 0.5, "id": None},
        {"text": None, "label": 2, "share": None, "id": 7},
    ]
    assert rows_of(frame[frame.label == 2], "t")[0]["id"] == 7


@pytest.mark.parametrize("lazy", [False, True])
def test_a_polars_frame_is_read(lazy):
    """Eager or lazy."""
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(ROWS)
    assert rows_of(frame.lazy() if lazy else frame, "train.memory") == ROWS


def labels_of(table, column="label"):
    """What the labels of a table are read as."""
    with lend({"train.memory": table}):
        read = pair_examples("train.memory", fields={"text": "text", "label": column}, language="twi", labelled=False)
    return [example.label for example in read]


def test_a_dataset_of_the_hub_is_read():
    """Numbered classes get their names; -1 is a label that is withheld."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["x", "y"]),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER"])),
        }
    )
    columns = {"text": ["ada", "beli", "cora"], "label": [0, 1, -1], "tags": [[1], [0], [0]]}
    found = datasets.Dataset.from_dict(columns, features=features)
    assert labels_of(found) == labels_of(found.data.table) == ["x", "y", None]
    assert labels_of(found.with_format("pandas")) == labels_of(found.to_iterable_dataset()) == ["x", "y", None]
    with lend({"train.memory": found}):
        (first, *_) = tagged_rows("train.memory", fields={"words": "text", "tags": "tags"}, language="twi")
    assert first.tags == ("B-PER",)


def test_classes_of_a_dataset_get_their_names():
    """As its features say; seen on what looks like one, where the library is not installed."""

    class Dataset(list):
        """Rows with features."""

    rows = Dataset([{"text": "ada", "label": 1}, {"text": "beli", "label": -1}])
    rows.features = {"label": SimpleNamespace(names=["x", "y"]), "text": SimpleNamespace()}
    assert labels_of(CONVERTERS["datasets", "Dataset"](rows)) == ["y", None]


def test_whole_numbers_that_pandas_made_fractions_are_whole_labels():
    """It does where one is missing; a table without that has the same classes."""
    pandas = pytest.importorskip("pandas")
    texts = ["ada", "beli", "cora"]
    assert labels_of(pandas.DataFrame({"text": texts, "label": [1, 0, None]})) == ["1", "0", None]
    assert labels_of(pandas.DataFrame({"text": texts, "label": [1, 0, 1]})) == ["1", "0", "1"]
    assert labels_of(pandas.DataFrame({"text": texts, "label": pandas.Categorical(["x", None, "y"])})) == [
        "x", None, "y",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1.0, "1"), (1.5, "1.5"), (Decimal("2.00"), "2"), (2**60, str(2**60)), (True, "True"), (np.int8(3), "3"),
        (np.float32("nan"), None), (Decimal("nan"), None), (float("nan"), None), (np.float32(2), "2"),
        (datetime(2024, 1, 2), "2024-01-02"), (datetime(2024, 1, 2, 3, 4), "2024-01-02 03:04:00"),
        (np.datetime64("2024-01-02"), "2024-01-02"), (np.datetime64("NaT"), None), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_a_label_is_what_people_write(value, label):
    """Not how a library happens to hold it."""
    assert labels_of([{"text": "ada", "label": value}]) == [label]


@pytest.mark.parametrize(("value", "told"), [(b"x", "a bytes"), ([1], "a list"), (np.array(["x"]), "a list")])
def test_several_values_are_no_label(value, told):
    """Nor are bytes, which are of no encoding."""
    with pytest.raises(DataError, match=f"line 1: column 'label' holds {told}; expected one label"):
        labels_of([{"text": "ada", "label": value}])


def test_lists_in_cells_may_be_arrays():
    """As pandas gives those of a Parquet file."""
    rows = [{"words": np.array(["Ada", "ran"]), "tags": np.array([1, 0])}]
    with lend({"train.memory": rows}):
        fields = {"words": "words", "tags": "tags"}
        (example,) = tagged_rows("train.memory", fields=fields, language="twi", names=["O", "B-PER"])
    assert (example.words, example.tags) == (("Ada", "ran"), ("B-PER", "O"))


@pytest.mark.parametrize("column", [pyarrow.array(["ada"]), pyarrow.chunked_array([["ada"]])])
def test_a_column_is_no_table(column):
    """Of whatever library."""
    with pytest.raises(DataError, match=r"train\.memory, row 1: is StringScalar .*; expected a dict of columns"):
        rows_of(column, "train.memory")


def test_columns_of_frames_are_no_tables():
    """Nor are groups of rows."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    for column in (pandas.Series(["ada"]), polars.Series(["ada"])):
        with pytest.raises(DataError, match="row 1: is str 'ada'; expected a dict of columns"):
            rows_of(column, "train.memory")
    with pytest.raises(DataError, match="row 1: is tuple"):
        rows_of(pandas.DataFrame(ROWS).groupby("text"), "train.memory")


def test_what_a_library_cannot_give_is_told():
    """Python has no nanoseconds in a time of day."""
    pandas = pytest.importorskip("pandas")
    times = pandas.Series([1], dtype=pandas.ArrowDtype(pyarrow.time64("ns")))
    assert rows_of(pandas.DataFrame({"label": times}), "train.memory")[0]["label"] == time(0, 0)
    broken = pyarrow.Table.from_arrays([pyarrow.array([10**18], pyarrow.date64())], names=["day"])
    with pytest.raises(DataError, match=r"train\.memory: pyarrow cannot give the rows of the Table \(.*; leave the"):
        rows_of(broken, "train.memory")


def test_a_mistake_of_the_user_s_own_rows_is_left_alone():
    """What their generator raises is theirs to see."""
    with pytest.raises(ZeroDivisionError):
        rows_of(({"text": 1 / 0} for _ in range(1)), "train.memory")


def test_a_column_has_a_name_of_its_own():
    """Of two with one name, one would be lost."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([["ada", "x", "y"]], columns=["text", "label", "label"])
    arrow = pyarrow.Table.from_arrays([pyarrow.array(["ada"])] * 2, names=["label", "label"])
    for table in (frame, arrow):
        with pytest.raises(DataError, match=r"train\.memory: the table names column 'label' twice; rename one"):
            rows_of(table, "train.memory")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("train.csv", "str is no table; expected a list of dicts"),
        ({"text": ["ada"], "label": ["x"]}, "dict is no table"),
        (7, "int is no table"),
        (["ada"], r"train\.memory, row 1: is str 'ada'; expected a dict of columns"),
    ],
)
def test_what_is_no_table_is_refused(table, told):
    """With what would be one."""
    with pytest.raises(DataError, match=told):
        rows_of(table, "train.memory")


def test_a_table_is_read_as_a_file_is():
    """Through the same field map, with the same messages; and only while it is lent."""
    with lend({"train.memory": ROWS[:1] * 1, "test.memory": ROWS}):
        path = locate("train.memory", "twi-Latn", "some/folder")
        assert [e.text_a for e in pair_examples(path, fields=FIELDS, language="twi-Latn")] == ["ada"]
        with pytest.raises(DataError, match=r"test\.memory, line 2: column 'label' has no label"):
            pair_examples(locate("test.memory", "twi"), fields=FIELDS, language="twi-Latn")
    with pytest.raises(DataError, match=r"lingraft\.run\(recipe, data=\{'train': …\}\)"):
        list(read_table(path))


def test_tables_may_be_given_by_language():
    """In any spelling of it, as files may."""
    tables, names = name_tables("test", {"sw": ROWS, "Yoruba": ROWS[:1]})
    assert names == {"sw": "test-swh-Latn.memory", "Yoruba": "test-yor-Latn.memory"}
    with lend(tables):
        assert len(list(read_table(locate("test-{language}.memory", "swh-Latn")))) == 2
        assert len(list(read_table(locate("test-{language}.memory", "yo")))) == 1
        with pytest.raises(DataError, match="given in Python"):
            list(read_table(locate("test-{language}.memory", "fra")))


def test_pairs_may_be_in_memory():
    """With columns of languages, or source and target."""
    pairs = [{"en": f"word {i} of some more", "sw": f"neno {i} la mengine mengi"} for i in range(3)]
    with lend({"parallel.memory": pairs}):
        path = locate("parallel.memory", "swh-Latn")
        found = read_parallel(path, source_language="eng-Latn", target_language="swh-Latn")
    assert [(pair.source, pair.target) for pair in found.pairs] == [(row["en"], row["sw"]) for row in pairs]


def test_a_language_has_one_table():
    """In whatever spellings it is named: neither table is left out in silence."""
    with pytest.raises(DataError, match="names a language twice, in two spellings: swh, sw"):
        name_tables("train", {"swh": [{"text": "ada"}], "sw": [{"text": "beli"}]})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, r"data\.test: names no language; give a table, or tables by language, or leave it out"),
        (
            {"text": ["a", "b"], "label": [1, 0]},
            r"data\.test: a dict of columns \(text, label\) is no table; give a list",
        ),
    ],
)
def test_what_is_given_instead_of_a_table_is_said(given, told):
    """Neither nothing at all nor columns are taken for tables by language."""
    with pytest.raises(DataError, match=told):
        name_tables("test", given)


def test_a_number_that_nobody_can_write_is_no_cell():
    """Python refuses to write it out, so no message could either."""
    (row,) = rows_of([{"label": 10**5000}], "train")
    assert row["label"] == Unreadable("a whole number of more than 4,000 digits")
