"""Lines out of files, and the comparison of texts."""

import gzip
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.data.bounds import LINE_BYTES
from lingraft.data.text import normalise, open_bytes, read_lines, suffix_of
from posix_only import make_pipe


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    """A normalised text is its own normal form."""
    assert normalise(normalise(text)) == normalise(text)


def test_nfc_and_nfd_yoruba_are_the_same():
    """Yoruba typed with composed and with combining accents compares equal."""
    text = "Ọjọ́ dára  "
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(unicodedata.normalize("NFC", text)) == "ọjọ́ dára"


def test_white_space_and_case_do_not_matter():
    """Blanks, line breaks and capitals make no difference."""
    assert normalise("  Straße\u00a0\n NUMMER\t1 ") == "strasse nummer 1"


def test_bom_and_crlf_are_accepted_silently(tmp_path):
    """A byte order mark and Windows line ends leave no trace."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert list(read_lines(path)) == [(1, "one"), (2, "two")]


def test_gzip_is_transparent(tmp_path):
    """A .gz file reads like the file inside it."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("ẹ\nọ".encode()))
    assert list(read_lines(path)) == [(1, "ẹ"), (2, "ọ")]


def test_unicode_line_separators_stay_inside_a_line(tmp_path):
    """U+2028 and U+0085 are part of the text, so line numbers agree with an editor's."""
    path = tmp_path / "a.txt"
    path.write_text("a\u2028b\u0085c\nd\n", encoding="utf-8")
    assert list(read_lines(path)) == [(1, "a\u2028b\u0085c"), (2, "d")]


def test_latin1_names_the_line_and_the_cure(tmp_path):
    """Bytes that are not UTF-8 are reported with their line and an iconv command."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"line 2: is not UTF-8.*position 4.*iconv -f LATIN1 -t UTF-8"):
        list(read_lines(path))


def test_utf16_is_recognised(tmp_path):
    """A UTF-16 file is called by its name."""
    path = tmp_path / "a.txt"
    path.write_text("hello\n", encoding="utf-16")
    with pytest.raises(DataError, match="is UTF-16, not UTF-8"):
        list(read_lines(path))


def test_a_huge_line_is_refused(tmp_path):
    """A single-line file of ten megabytes is refused after its first one."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 10 * LINE_BYTES)
    with pytest.raises(DataError, match="line 1: is longer than 1,000,000 bytes"):
        list(read_lines(path))


def test_a_line_of_exactly_the_limit_is_read(tmp_path):
    """The limit itself is allowed, whatever ends the line."""
    for end in (b"", b"\n", b"\r\n"):
        path = tmp_path / "a.txt"
        path.write_bytes(b"x" * LINE_BYTES + end)
        assert [len(line) for _, line in read_lines(path)] == [LINE_BYTES]


def test_an_empty_file_is_refused(tmp_path):
    """A file of no bytes is empty."""
    path = tmp_path / "a.txt"
    path.touch()
    with pytest.raises(DataError, match="is empty"):
        list(read_lines(path))


def test_a_missing_file_offers_its_neighbour(tmp_path):
    """A slip in a file name is met with the nearest name in the folder."""
    (tmp_path / "train.tsv").touch()
    with pytest.raises(DataError, match=r"no such file; did you mean 'train\.tsv'"):
        list(read_lines(tmp_path / "trian.tsv"))


def test_a_pipe_is_not_said_to_be_missing(tmp_path):
    """It has the name that was given."""
    make_pipe(tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"a\.txt: expected a regular file, found a pipe or a device"):
        list(read_lines(tmp_path / "a.txt"))


def test_damaged_gzip_is_reported(tmp_path):
    """A truncated .gz file is said to be incomplete."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"hello world" * 100)[:-10])
    with pytest.raises(DataError, match="is not a complete gzip file"), open_bytes(path) as stream:
        stream.read()


def test_suffix_looks_through_gz(tmp_path):
    """The format's suffix is the one before .gz, whatever the case."""
    assert [suffix_of(tmp_path / n) for n in ("a.TSV.gz", "a.b.csv", "a.gz", "a")] == [".tsv", ".csv", "", ""]


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"), ("utf-32", "UTF-32")],
)
def test_an_encoding_of_several_bytes_is_called_by_its_name(tmp_path, encoding, name):
    """With a mark of byte order or without, so that the command that is offered works."""
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nada,x\n".encode(encoding))
    with pytest.raises(DataError, match=f"a.csv: is {name}, not UTF-8; convert it with `iconv -f {name} -t UTF-8"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(b"text", mtime=0), "compressed with gzip; let its name end in .gz"),
        (b"PK\3\4\x14\0\6\0", "a spreadsheet or a zip archive; let the name of a spreadsheet end in .xlsx"),
        (b"PAR1\x15\4\x15", "a Parquet file; let its name end in .parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or protected Office file; save it as .xlsx or .csv"),
        (b"%PDF-1.7\n", "a PDF; give its text"),
    ],
)
def test_what_is_no_text_is_called_by_its_name(tmp_path, content, told):
    """Whatever the file is called."""
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=f"a.csv: is no text: it is {told}"):
        list(read_lines(tmp_path / "a.csv"))
