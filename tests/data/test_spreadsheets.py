"""Spreadsheets as tables of examples."""

import io
import sys
import zipfile

import pytest

from lingraft.core.errors import DataError
from lingraft.data.table import pair_examples, read_table


@pytest.fixture
def sheet(tmp_path):
    """A file with these rows."""
    openpyxl = pytest.importorskip("openpyxl")

    def write(rows, name="a.xlsx"):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.create_sheet("notes").append(["what", "else"])
        book.save(tmp_path / name)
        return tmp_path / name

    return write


def test_the_first_sheet_is_a_table(sheet):
    """The first row names the columns, rows keep their numbers, empty ones are none."""
    path = sheet([["message", "topic"], ["Bei ya mahindi, leo", "market"], [None, None], ["Mvua ṣí", 3]])
    assert list(read_table(path)) == [
        (2, {"message": "Bei ya mahindi, leo", "topic": "market"}),
        (4, {"message": "Mvua ṣí", "topic": 3}),
    ]


def test_examples_come_out_of_a_spreadsheet(sheet):
    """As from any other table."""
    path = sheet([["id", "message", "topic"], [7, "Bei ya mahindi", "market"]])
    (example,) = pair_examples(path, fields={"text": "message", "label": "topic", "id": "id"}, language="swh")
    assert (example.id, example.text_a, example.label) == ("7", "Bei ya mahindi", "market")


@pytest.mark.parametrize(
    ("header", "message"),
    [(["a", "b", "a"], "the header names column 'a' twice"), ([None, None], "line 1: the header is empty")],
)
def test_a_header_names_each_column_once(sheet, header, message):
    """It is what rows are read by."""
    with pytest.raises(DataError, match=message):
        list(read_table(sheet([header, ["x", "y", "z"]])))


def test_an_archive_that_unpacks_to_much_more_is_refused(tmp_path):
    """Before anything of it is unpacked."""
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b" " * 30_000_000)
    with pytest.raises(DataError, match=r"a\.xlsx: unpacks to 30,000,000 bytes, and at most 20,000,000 are read"):
        list(read_table(path))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4", b"PK\5\6" + b"\0" * 18])
def test_what_is_no_spreadsheet_is_refused(tmp_path, content):
    """In one line, whatever the library raises."""
    pytest.importorskip("openpyxl")
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xlsx: is not a readable spreadsheet"):
        list(read_table(path))


def test_a_damaged_sheet_is_refused(sheet):
    """An archive whose XML ends too early is no spreadsheet."""
    path = sheet([["message", "topic"], ["Bei", "market"]])
    changed = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            other.writestr(name, content[:-30] if "sheet1" in name else content)
    path.write_bytes(changed.getvalue())
    with pytest.raises(DataError, match=r"a\.xlsx: is not a readable spreadsheet"):
        list(read_table(path))


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    """It is not everybody's, so it is not installed for everybody."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'lingraft\[xlsx\]'"):
        list(read_table(tmp_path / "a.xlsx"))
