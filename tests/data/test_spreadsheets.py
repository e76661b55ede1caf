"""Spreadsheets as tables of examples."""

import io
import sys
import zipfile
from datetime import datetime, time

import pytest

from lingraft.core.errors import DataError
from lingraft.data.table import pair_examples, read_table

openpyxl = pytest.importorskip("openpyxl")


@pytest.fixture
def sheet(tmp_path):
    """A file with these rows."""

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
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b" " * 30_000_000)
    with pytest.raises(DataError, match=r"a\.xlsx: unpacks to 30,000,000 bytes, and at most 20,000,000 are read"):
        list(read_table(path))


def change(path, edit):
    """Change a book that is there."""
    book = openpyxl.load_workbook(path)
    edit(book, book.active)
    book.save(path)
    return path


FIELDS = {"text": "message", "label": "topic"}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, "1"), (1.0, "1"), (2.5, "2.5"), (True, "True"), ("1.0", "1.0"), (datetime(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4), "2024-01-02 03:04:00"), (time(3, 4), "03:04:00"),
    ],
)  # fmt: skip
def test_a_label_is_what_the_sheet_shows(sheet, value, label):
    """Numbers, dates and times are no texts there."""
    (example,) = pair_examples(sheet([["message", "topic"], ["Bei", value]]), fields=FIELDS, language="swh")
    assert example.label == label


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("#N/A", "sheet 'Sheet', cell B2: the error #N/A"),
        ("#DIV/0!", "sheet 'Sheet', cell B2: the error #DIV/0!"),
        ("=1+1", "sheet 'Sheet', cell B2: a formula whose value was never saved; open and save the file"),
    ],
)
def test_a_cell_without_a_value_says_why(sheet, value, told):
    """It is neither a class of its own nor just empty; in a column that nobody asks for it does not matter."""
    path = sheet([["message", "topic", "note"], ["Bei", value, "x"]])
    with pytest.raises(DataError, match=rf"a\.xlsx, line 2: column 'topic' holds what cannot be read \({told}"):
        pair_examples(path, fields=FIELDS, language="swh")
    assert pair_examples(path, fields={"text": "message", "label": "note"}, language="swh")[0].label == "x"


def test_a_sheet_of_formulas_alone_says_so(sheet):
    """Its rows are not left out as empty ones are."""
    path = sheet([["message", "topic"], ["=notes!A1", "=notes!B1"]])
    with pytest.raises(DataError, match=r"line 2: column 'message' holds .*cell A2: a formula whose value was never"):
        pair_examples(path, fields=FIELDS, language="swh")


def test_the_value_of_a_formula_may_be_an_empty_text(sheet):
    """As of =IF(A1="", "", A1): the cell is empty."""
    path = sheet([["message", "topic"], ["Bei", "=notes!A9"]])
    content = rewritten(path, "sheet1", lambda xml: xml.replace(b'<c r="B2"><f>', b'<c r="B2" t="str"><f>'))
    path.write_bytes(content)
    assert list(read_table(path)) == [(2, {"message": "Bei", "topic": None})]


def test_merged_cells_have_one_value(sheet):
    """The first has it: whether it is meant for all is not for us to say."""
    path = sheet([["message", "topic"], ["Bei", "market"], ["Soko", None], ["Mvua", None]])
    change(path, lambda book, active: active.merge_cells("B2:B3"))
    told = r"line 3: column 'topic' .*sheet 'Sheet', cell B3: merged into B2:B3, whose first cell alone has the value"
    with pytest.raises(DataError, match=told):
        pair_examples(path, fields=FIELDS, language="swh")
    assert [row["topic"] for number, row in read_table(path) if number != 3] == ["market", None]


def test_a_text_that_became_a_date_is_shown_as_one(sheet):
    """Programs do that to what looks like a date; what it was is lost."""
    path = sheet([["message", "topic"], [datetime(2024, 1, 2), "market"]])
    with pytest.raises(DataError, match=r"line 2: column 'message' holds the date 2024-01-02; expected text"):
        pair_examples(path, fields=FIELDS, language="swh")


def test_charts_are_no_sheets(sheet):
    """The first sheet with cells is read; of a book without one that is said."""
    path = sheet([["message", "topic"], ["Bei", "market"]])
    change(path, lambda book, active: book.create_chartsheet("chart", 0).add_chart(openpyxl.chart.BarChart()))
    assert [row["topic"] for _, row in read_table(path)] == ["market"]
    book = openpyxl.Workbook()
    book.create_chartsheet("chart").add_chart(openpyxl.chart.BarChart())
    book.remove(book.active)
    book.save(path)
    with pytest.raises(DataError, match=r"a\.xlsx: has no sheet with cells, only charts; put the table on a sheet"):
        list(read_table(path))


def test_a_header_is_of_names(sheet):
    """Numbers and dates are names, too; an error is none."""
    path = sheet([[2024.0, datetime(2024, 1, 2), "a"], ["x", "y", "z"]])
    assert list(read_table(path)) == [(2, {"2024": "x", "2024-01-02": "y", "a": "z"})]
    with pytest.raises(DataError, match=r"line 1: the header holds sheet 'Sheet', cell B1: the error #REF!"):
        list(read_table(sheet([["a", "#REF!"], ["x", "y"]])))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\3\4", b"PK\5\6" + b"\0" * 18])
def test_what_is_no_spreadsheet_is_refused(tmp_path, content):
    """In one line, whatever the library raises."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.xlsx: is not a readable spreadsheet"):
        list(read_table(path))


def rewritten(path, part, edit):
    """The bytes of a book of which one part is changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in archive.namelist():
            content = archive.read(name)
            other.writestr(name, edit(content) if part in name else content)
    return changed.getvalue()


def test_a_damaged_sheet_is_refused(sheet):
    """An archive whose XML ends too early is no spreadsheet."""
    path = sheet([["message", "topic"], ["Bei", "market"]])
    path.write_bytes(rewritten(path, "sheet1", lambda xml: xml[:-30]))
    with pytest.raises(DataError, match=r"a\.xlsx: is not a readable spreadsheet"):
        list(read_table(path))


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    """It is not everybody's, so it is not installed for everybody."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(DataError, match=r"pip install 'lingraft\[xlsx\]'"):
        list(read_table(tmp_path / "a.xlsx"))


def test_a_sheet_for_a_chart_is_passed_over(tmp_path):
    """Even one that has no chart yet."""
    book = openpyxl.Workbook()
    book.active.append(["message", "topic"])
    book.active.append(["Bei", "market"])
    book.create_chartsheet("chart", 0)
    book.save(tmp_path / "a.xlsx")
    assert [dict(row) for _, row in read_table(tmp_path / "a.xlsx")] == [{"message": "Bei", "topic": "market"}]


def test_an_empty_first_sheet_names_itself_and_the_next(tmp_path):
    """The table may be on that."""
    book = openpyxl.Workbook()
    book.active.append(["message", "topic"])
    book.create_sheet("cover", 0)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match=r"the sheet 'cover' has no rows, and only .*there is also 'Sheet'"):
        list(read_table(tmp_path / "a.xlsx"))
