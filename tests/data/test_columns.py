"""Columns that a table lacks."""

import pytest

from lingraft.core.errors import DataError
from lingraft.data.columns import HeadedRow, describe_missing
from lingraft.data.parallel import read_parallel
from lingraft.data.table import pair_examples


def test_a_column_is_missing_on_the_line_that_names_the_columns(tmp_path):
    """The header's, which need not be the first; a line of JSON has its own names."""
    table = tmp_path / "a.csv"
    table.write_text("\ntext,lable\na b,x\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        pair_examples(table, fields={"text": "text", "label": "label"}, language="eng")
    assert str(caught.value) == (
        f"{table}, line 2: there is no column 'label' (for `label`); did you mean 'lable'? its columns are text, lable"
    )
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"text": "a", "label": "x"}\n{"text": "b"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: there is no column 'label'"):
        pair_examples(lines, fields={"text": "text", "label": "label"}, language="eng")


def test_columns_of_pairs_that_nobody_knows_are_told_of_the_header(tmp_path):
    """There as well."""
    table = tmp_path / "pairs.csv"
    table.write_text("left,right\ngood day,habari\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"pairs\.csv, line 1: cannot tell which columns hold eng-Latn and swh-Latn"):
        read_parallel(table, source_language="eng", target_language="swh")


def test_what_has_no_file_and_line_is_told_as_it_is():
    """A row in memory."""
    assert describe_missing(HeadedRow({"a": 1}, 1), "b", "row 3") == "row 3: there is no column 'b'; its columns are a"


def test_a_table_without_a_line_of_names_is_told_so():
    """Its columns are then called like its first row, of which one is a text."""
    row = HeadedRow({"x" * 61: "ada", "market": "health"}, 1)
    assert describe_missing(row, "text", "a.csv, line 2").endswith(
        "x, market; that looks like a row: put a line with the names of the columns before it"
    )
    assert "looks like" not in describe_missing(HeadedRow({"x" * 60: "ada"}, 1), "text", "a.csv, line 2")
    assert "looks like" not in describe_missing({"x" * 61: "ada"}, "text", "a.jsonl, line 2")
