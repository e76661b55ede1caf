"""What errors say, whatever was put into them."""

import pickle

from lingraft.core.errors import DataError, one_line


def test_an_error_of_data_is_one_line():
    """Ends of lines and control characters that a file brought in are written out."""
    assert str(DataError("a.csv, line 1: 'x\n\x1b[31m\u2028y'\n")) == r"a.csv, line 1: 'x\n\x1b[31m\u2028y'"


def test_an_error_of_data_can_be_written():
    """Half a surrogate pair, which no encoding can write, is written out."""
    assert str(DataError("'\ud800'")) == r"'\ud800'"


def test_a_long_error_of_data_keeps_its_place_and_its_cure():
    """Of a hundred thousand columns the middle is left out; file, line and what to do stay."""
    said = str(DataError(f"a.csv, line 1: its columns are {'x, ' * 100_000}; rename one"))

    assert said.startswith("a.csv, line 1: its columns are x, x")
    assert said.endswith("x, ; rename one")
    assert len(said) < 1500


def test_words_of_any_script_stay_as_they_are():
    """Joiners and marks, which words of many languages need, are no control characters."""
    assert one_line("क्\u200dष می\u200cخواهم ẹ̀") == "क्\u200dष می\u200cخواهم ẹ̀"


def test_an_error_of_data_survives_another_process():
    """Workers send errors as pickles."""
    assert str(pickle.loads(pickle.dumps(DataError("a\nb")))) == r"a\nb"
