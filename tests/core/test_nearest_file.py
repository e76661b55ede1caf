"""What is offered where a file is missing."""

import pytest

from lingraft.core.nearest_file import nearest_file, suggest_file, suggest_folder
from posix_only import make_pipe


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


def test_what_is_no_regular_file_is_not_offered_for_itself(folder):
    """A pipe or a folder of that name is there, but cannot be read as a file."""
    make_pipe(folder / "train.yor.csv")
    for name in ("train.yor.csv", "data"):
        assert nearest_file([folder / name]) == f"what is there under this name is no regular file ({folder / name})"


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

    assert nearest_file([Path("nowhere/x.csv")]) == f"there is no folder nowhere in {tmp_path}"


def test_a_file_is_suggested_only_where_its_name_is_near(folder):
    """As a question; a list of what else is there helps nobody who wants a new one."""
    assert suggest_file(folder / "tain.eng.csv") == f"did you mean {folder / 'train.eng.csv'}?"
    assert suggest_file(folder / "xxxxxxxx") == ""


def test_a_near_name_that_suits_is_rather_suggested_than_a_nearer_one(folder):
    """And any near one where none suits."""
    wanted = folder / "tain.eng.csv"
    assert suggest_file(wanted, lambda path: path.name.startswith("test")) == f"did you mean {folder / 'test.eng.csv'}?"
    assert suggest_file(wanted, lambda path: False) == f"did you mean {folder / 'train.eng.csv'}?"


@pytest.fixture
def runs(folder):
    """Runs and what is none."""
    for name in ("my-run", "compared"):
        (folder / "runs" / name).mkdir(parents=True)
        (folder / "runs" / name / "run.json").touch()
    (folder / "runs" / "my-rum").mkdir()
    return folder / "runs"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs/my-ran", "; did you mean {runs}/my-run?"),
        ("runs/my-rum", "; did you mean {runs}/my-run?"),
        ("rusn/my-run", "; did you mean {runs}?"),
        ("runs", "; there are {runs}/compared, {runs}/my-run"),
        ("runs/xxxxxxxx", "; there are {runs}/compared, {runs}/my-run"),
        ("runs/my-run", ""),
        ("data", ""),
    ],
)
def test_of_folders_only_those_with_the_file_are_suggested(folder, runs, name, said):
    """Beside the missing one, or within it; nothing where there are none, or where it is one itself."""
    assert suggest_folder(folder / name, "run.json") == said.format(runs=runs)


def test_the_only_folder_within_is_suggested(folder, runs):
    """Who names the folder of all runs may mean the one that is there."""
    (runs / "compared" / "run.json").unlink()
    assert suggest_folder(runs, "run.json") == f"; did you mean {runs / 'my-run'}?"
