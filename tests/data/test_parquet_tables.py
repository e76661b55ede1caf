"""How much a Parquet file unpacks to, which a few repeated values hide."""

import pytest

from lingraft.core.errors import DataError
from lingraft.data.bounds import ALWAYS_BYTES, LINE_BYTES
from lingraft.data.parquet_tables import ROW_BYTES
from lingraft.data.parquet_tables import parquet as parquet_source
from lingraft.data.table import read_table

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

LONG = "x" * (LINE_BYTES - 1)
MANY = ALWAYS_BYTES // len(LONG) + 1


def test_millions_of_rows_that_are_all_the_same_are_refused(tmp_path):
    """Before one is read: each takes room, however little of it is stored."""
    path = tmp_path / "a.parquet"
    rows = ALWAYS_BYTES // ROW_BYTES
    letters = pyarrow.array(["x"] * 1000)
    table = pyarrow.table({"text": pyarrow.chunked_array([letters] * (rows // 1000))})
    parquet.write_table(table, path, compression="zstd")
    assert next(iter(parquet_source()(path))) == (1, {"text": "x"})
    parquet.write_table(pyarrow.concat_tables([table, table]), path, compression="zstd")
    assert path.stat().st_size < ALWAYS_BYTES / 100
    with pytest.raises(DataError, match=r"a\.parquet: unpacks to more than 100,000,000 bytes"):
        next(iter(parquet_source()(path)))


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("column", [[LONG] * MANY, [["x" * 1000] * (LINE_BYTES // 1000)] * MANY])
@pytest.mark.parametrize("name", ["text", "another"])
def test_a_file_that_unpacks_to_more_than_text_does_is_refused(tmp_path, coded, column, name):
    """Of kilobytes, whether values are numbered, written out, or in lists, and whether the column is asked for."""
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pyarrow.table({"id": range(MANY), name: column}), path, use_dictionary=coded, compression="zstd"
    )
    assert path.stat().st_size < ALWAYS_BYTES / 100
    with pytest.raises(DataError, match=r"a\.parquet: unpacks to more than 100,000,000 bytes, over 40 times its size"):
        list(read_table(path))


@pytest.mark.parametrize("coded", [True, False])
def test_a_cell_that_is_no_text_is_refused(tmp_path, coded):
    """One is enough, however short the others are."""
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["a", LONG + "yz"]}), path, use_dictionary=coded)
    with pytest.raises(DataError, match=r"after row 0: a cell has 1,000,001 bytes; at most 1,000,000 are read"):
        list(read_table(path))


@pytest.mark.parametrize("kind", ["string", "large_string", "binary", "dictionary"])
def test_values_come_out_as_they_went_in(tmp_path, kind):
    """Whatever the text is stored as, with cells that are empty and rows over several batches."""
    values = [None if i % 7 == 0 else f"{i % 5}" for i in range(600)]
    column = pyarrow.array(values)
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)
    parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    expected = [value.encode() if kind == "binary" and value is not None else value for value in values]
    assert [row["text"] for _, row in read_table(tmp_path / "a.parquet")] == expected
