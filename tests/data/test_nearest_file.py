"""What is offered where a file is missing."""

import pytest

from lingraft.data.nearest_file import nearest_file


@pytest.fixture
def folder(tmp_path):
    """A folder with some files and a folder of data."""
    for name in ("train.eng.csv", "test.eng.csv", "notes.txt", ".hidden.csv"):
        (tmp_path / name).touch()
    (tmp_path / "data").mkdir()
    return tmp_path


def test_the_nearest_name_is_offered(folder):
    """Of all spellings, the one that is most like a file decides."""
    assert (
        nearest_file([folder / "tset.yor.csv", folder / "tset.eng.csv"]) == f"did you mean {folder / 'test.eng.csv'}?"
    )


def test_where_nothing_is_like_it_some_are_listed(folder):
    """Hidden files are nobody's data."""
    assert nearest_file([folder / "xxxxxxxx"]) == f"{folder} has data, notes.txt, test.eng.csv and 1 more"


def test_a_missing_folder_is_what_is_missing(folder):
    """However much is missing below it."""
    assert nearest_file([folder / "date" / "en" / "x.csv"]) == (
        f"there is no folder {folder / 'date' / 'en'}; did you mean {folder / 'data'}?"
    )


def test_an_empty_folder_is_said_to_be_empty(folder):
    """There is nothing to offer."""
    assert nearest_file([folder / "data" / "x.csv"]) == f"the folder {folder / 'data'} is empty"


def test_a_folder_of_nobody_is_no_traceback(monkeypatch, tmp_path):
    """Relative paths begin where the process is."""
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert nearest_file([Path("nowhere/x.csv")]) == "there is no folder nowhere"
