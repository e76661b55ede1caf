"""A run folder that is taken away, or changed by somebody else, gets nothing more and is not called finished."""

import shutil

import pytest

from invented import world_recipe
from lingraft.core.errors import RunError
from lingraft.core.files import write_text
from lingraft.runs.folder import open_run_folder
from taken_away import LOST


@pytest.fixture
def opened(tmp_path):
    """A run folder that is held; its release is no test's concern."""
    with open_run_folder(tmp_path / "run", world_recipe(tmp_path, [f"output_dir={tmp_path / 'run'}"])) as folder:
        yield folder


@pytest.mark.parametrize("lost", LOST)
def test_nothing_is_written_where_a_folder_was(opened, lost):
    """One line says so, and nothing is made; what lies beside the folder may still be written."""
    write_text(opened / "trials" / "k0" / "scores.jsonl", "")
    LOST[lost](opened)
    before = sorted(opened.rglob("*"))

    with pytest.raises(RunError) as caught:
        write_text(opened / "trials" / "k0" / "trial.json", "{}")
    write_text(opened.with_name("beside.txt"), "kept")

    assert str(caught.value).startswith(f"{opened} is no longer the folder of this run: it was deleted, emptied")
    assert "\n" not in str(caught.value)
    assert sorted(opened.rglob("*")) == before


def test_a_mark_that_is_gone_alone_is_named_with_what_brings_the_run_on(opened, tmp_path):
    """Run again, the folder would be refused as somebody's; with the mark of another run it goes on."""
    write_text(opened / "trials" / "k0" / "trial.json", "{}")
    (opened / "run.json").unlink()
    with pytest.raises(RunError) as caught:
        write_text(opened / "data.json", "{}")
    assert str(caught.value).startswith(f"{opened / 'run.json'} was removed or replaced meanwhile; nothing more is")
    assert "another run by the same version of lingraft will do" in str(caught.value)
    assert not (opened / "data.json").exists()


@pytest.mark.parametrize("name", ["recipe.yaml", "data.json", "trials/k0/identity.json"])
@pytest.mark.parametrize("change", ["removed", "changed"])
def test_a_run_is_not_finished_with_a_file_that_is_not_its_own(opened, name, change):
    """Removed or changed by somebody else while it works: one line names the file, and there is no model card."""
    for written in ("data.json", "trials/k0/identity.json"):
        write_text(opened / written, '{"a": 1}')
    if change == "removed":
        (opened / name).unlink()
    else:
        (opened / name).write_text("{}", encoding="utf-8")

    write_text(opened / "summary.json", "{}")
    with pytest.raises(RunError) as caught:
        write_text(opened / "README.md", "finished")

    assert str(caught.value).startswith(f"{opened / name} was {change} by somebody else while this run worked;")
    assert not (opened / "README.md").exists()


def test_what_the_run_itself_rewrites_and_removes_is_its_own(opened):
    """A file written twice; the state of a training, and what lies deeper than a trial's own files."""
    place = opened / "trials" / "k0"
    for path in (place / "training.safetensors", place / "folds" / "0.json", place / "folds" / "0" / "state"):
        write_text(path, "for now")
    write_text(opened / "data.json", "{}")
    write_text(opened / "data.json", "another size")
    shutil.rmtree(place)

    write_text(opened / "README.md", "finished")

    assert (opened / "README.md").read_text() == "finished"
