"""A run folder has one recipe, one writer, and no half-written file."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from full_disk import full_disk
from invented import world_recipe
from lingraft.core.errors import RunError, WriteError
from lingraft.core.files import is_leftover, temporary_file, write_json, write_lines, write_text
from lingraft.core.records import Trial
from lingraft.recipe.parsing import read_recipe
from lingraft.runs.folder import changed_settings, folder_problems, open_run_folder, trials_of
from lingraft.runs.identity import MEANING

HOLDER = """
import sys
from pathlib import Path
from ruamel.yaml import YAML
from lingraft.recipe.settings import Recipe
from lingraft.runs.folder import open_run_folder
recipe = Recipe.model_validate(YAML(typ="safe", pure=True).load(Path(sys.argv[2])))
with open_run_folder(Path(sys.argv[1]), recipe):
    print("held", flush=True)
    sys.stdin.readline()
"""


def recipe(folder, *overrides):
    """A recipe of the invented task."""
    return world_recipe(folder, overrides)


def begin_trial(folder):
    """Leave something that a trial has learnt."""
    write_json(folder / "trials" / "k0-draw0-seed1" / "trial.json", {})


def test_units_are_shots_draws_and_seeds(tmp_path):
    """One training each, in order, named for its folder."""
    found = trials_of(recipe(tmp_path, "shots.k=[5,0]", "shots.draws=2", "seeds=[3,1]"))
    assert found[:3] == [Trial(0, 0, 3), Trial(0, 0, 1), Trial(0, 1, 3)]
    assert len(found) == 8
    assert found[-1].name == "k5-draw1-seed1"


def test_opening_writes_the_resolved_recipe(tmp_path):
    """The folder is made, with a recipe that reads back as what was run."""
    wanted = recipe(tmp_path, "parallel.from=task")
    with open_run_folder(tmp_path / "runs" / "a", wanted) as folder:
        assert read_recipe(folder / "recipe.yaml") == wanted


def test_the_same_recipe_may_continue(tmp_path):
    """Opened again, the folder is as it was left."""
    wanted = recipe(tmp_path)
    with open_run_folder(tmp_path / "a", wanted) as folder:
        (folder / "trials").mkdir()
    with open_run_folder(tmp_path / "a", wanted) as folder:
        assert (folder / "trials").is_dir()


@pytest.mark.parametrize(
    "override", ["device=cpu", "cache.max_gigabytes=3", "output_dir=elsewhere", "notes=[One., Two.]"]
)
def test_where_a_run_computes_and_what_is_remarked_may_change(tmp_path, override):
    """Device, cache, the folder's own name and remarks do not make it another run, and it stays finished."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        begin_trial(folder)
        (folder / "README.md").write_text("finished", encoding="utf-8")
    with open_run_folder(tmp_path / "a", recipe(tmp_path, override)) as folder:
        assert (folder / "README.md").exists()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.learning_rate=0.5", "train.learning_rate is 0.002 there and 0.5 now"),
        ("train.num_train_epochs=2", "train.num_train_epochs is 6 there and 2 now"),
        ("prompt=", "prompt is {"),
        ("prompt=", "} there and not set now"),
        ("task.target_languages=[]", "task.target_languages is ['yor-Latn'] there and [] now"),
        ("task.target_languages=[yor-Latn, ibo-Latn]", "is ['yor-Latn'] there and ['yor-Latn', 'ibo-Latn'] now"),
        ("task.target_languages=[ibo-Latn]", "task.target_languages.0 is 'yor-Latn' there and 'ibo-Latn' now"),
        ("adapter.width=5", "adapter.width is 32 there and 5 now"),
        ("task.fields.text=other", "task.fields.text is 'sentence' there and 'other' now"),
    ],
)
def test_another_recipe_is_refused_by_its_key(tmp_path, override, told):
    """The first setting that differs is named with both values, and nothing is changed."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        begin_trial(folder)
        before = (folder / "recipe.yaml").read_bytes()
    with (
        pytest.raises(RunError, match="holds a run of another recipe") as caught,
        open_run_folder(tmp_path / "a", recipe(tmp_path, override)),
    ):
        pass
    assert told in str(caught.value)
    assert f"give this one another folder: output_dir={tmp_path / 'a'}-2" in str(caught.value)
    assert (tmp_path / "a" / "recipe.yaml").read_bytes() == before


def test_check_says_of_another_recipe_what_run_says(tmp_path):
    """One setting, how many more differ, and a folder that is free."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        begin_trial(folder)
    (tmp_path / "a-2").mkdir()
    others = ("task.files={test: other.csv}", "train.batch_size=3", "seeds=[7]")
    (problem,) = folder_problems(folder, recipe(tmp_path, *others))
    assert problem.startswith(f"{folder} holds a run of another recipe: task.files.")
    assert f"; give this one another folder: output_dir={folder}-3, or delete that folder" in problem
    assert " now (" in problem and "None" not in problem and len(problem) < 400
    with pytest.raises(RunError, match=re.escape(problem)), open_run_folder(folder, recipe(tmp_path, *others)):
        pass


def test_a_folder_of_something_else_is_left_alone_and_a_free_one_offered(tmp_path, monkeypatch):
    """Beside it; nothing stands beside the working folder."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("x", encoding="utf-8")
    (problem,) = folder_problems(tmp_path / "a", None)
    assert problem.endswith(f"(it has thesis.txt); give this one another folder: output_dir={tmp_path / 'a'}-2")
    monkeypatch.chdir(tmp_path / "a")
    assert folder_problems(Path(), None)[0].endswith(
        "(it has thesis.txt); give this one another folder with output_dir=…"
    )


def test_a_recipe_may_be_mended_until_a_trial_has_begun(tmp_path):
    """Who is told of a wrong path and corrects it has trained nothing that another recipe could spoil."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path, "task.fields.text=wrong")):
        pass
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        assert changed_settings(folder, recipe(tmp_path)) == []
        begin_trial(folder)

    assert changed_settings(folder, recipe(tmp_path, "task.fields.text=wrong"))[0].startswith("task.fields.text is")


@pytest.mark.parametrize("content", ["seeds: [", "", "- 1\n", "\x00"])
def test_a_damaged_recipe_is_refused(tmp_path, content):
    """A folder whose recipe cannot be read is somebody's to look at, not a traceback."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "recipe.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(RunError), open_run_folder(tmp_path / "a", recipe(tmp_path)):
        pass


def test_a_foreign_folder_is_refused(tmp_path):
    """A folder with other files is left alone, and what it has is told."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").touch()
    with (
        pytest.raises(RunError, match=r"is not empty and not a run folder \(it has thesis\.tex\)"),
        open_run_folder(tmp_path / "a", recipe(tmp_path)),
    ):
        pass
    assert not (tmp_path / "a" / "recipe.yaml").exists()


def test_nothing_of_anybody_s_is_removed(tmp_path):
    """Hidden files of a project survive a run that is sent there by mistake, and nothing is added to it."""
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    names = ["main.py", ".eslintrc.json", ".notes.md", ".lingraft-notes.md", "sub/.prettierrc.json", "sub/.env.yaml"]
    for name in names:
        (project / name).write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="is not empty and not a run folder"), open_run_folder(project, recipe(tmp_path)):
        pass
    assert sorted(str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()) == sorted(names)


HIDDEN = [".git/HEAD", ".tmpabcdef", ".lingraft-mine", ".lingraft-notes.md", ".env", ".git/.lingraft-a-abcdefgh.json"]


@pytest.mark.parametrize("name", HIDDEN)
def test_a_folder_with_nothing_but_hidden_files_is_somebody_s_too(tmp_path, name):
    """A repository that was just begun, or what another program is writing: refused by run and check, and left."""
    mine = tmp_path / "a" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine", encoding="utf-8")
    said = rf"is not empty and not a run folder \(it has {re.escape(name.split('/')[0])}\)"
    with pytest.raises(RunError, match=said), open_run_folder(tmp_path / "a", recipe(tmp_path)):
        pass
    (problem,) = folder_problems(tmp_path / "a", None)
    assert re.search(said, problem)
    assert [path for path in (tmp_path / "a").rglob("*") if path.is_file()] == [mine]


@pytest.mark.parametrize("name", [".DS_Store", ".gitkeep", ".gitignore", ".lock", ".lingraft-run-a1b2c3d4.json"])
def test_a_folder_that_is_as_good_as_empty_becomes_a_run_s(tmp_path, name):
    """With dust, with the lock, or with what a kill left of the mark, which is swept."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).touch()
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        assert {path.name for path in folder.glob(".*")} == {".lock"} | ({name} - {".lingraft-run-a1b2c3d4.json"})


@pytest.mark.parametrize("name", [".lingraft-mine", ".tmpabc", ".git/.tmpabcdef", ".git/.lingraft-a-abcdefgh.json"])
def test_what_only_looks_like_a_temporary_file_survives_in_a_run_folder(tmp_path, name):
    """Names that no write gives, and what lies in the hidden folder of another program."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
        (folder / ".lingraft-scores-abcdefgh.jsonl").touch()
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        assert (folder / name).exists()
        assert not (folder / ".lingraft-scores-abcdefgh.jsonl").exists()


def test_names_of_temporary_files_are_known_again(tmp_path):
    """Whatever the file is called, also without a suffix or with dots and letters of any script."""
    for name in ("scores.jsonl", "run.json", "shard", "swh-Latn.jsonl", "k0-draw0-seed1.json", "mtihani wa leo.tar.gz"):
        with temporary_file(tmp_path / name) as temporary:
            assert is_leftover(temporary)
        assert not is_leftover(tmp_path / name)


def test_a_run_folder_without_its_mark_says_what_can_be_done(tmp_path):
    """The mark of another run of the same version makes it continue; without one it is left as it is."""
    for name in ("a", "b"):
        with open_run_folder(tmp_path / name, recipe(tmp_path)) as folder:
            begin_trial(folder)
    (tmp_path / "a" / "run.json").unlink()
    with (
        pytest.raises(RunError, match=r"a has trials and a recipe\.yaml, but no run\.json.* put that file back"),
        open_run_folder(tmp_path / "a", recipe(tmp_path)),
    ):
        pass
    shutil.copy(tmp_path / "b" / "run.json", tmp_path / "a")
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        assert (folder / "trials" / "k0-draw0-seed1" / "trial.json").exists()


def test_hidden_files_of_others_survive_in_a_run_folder(tmp_path):
    """What a run was killed at is swept by its own name; an editor's settings are not."""
    wanted = recipe(tmp_path)
    with open_run_folder(tmp_path / "a", wanted) as folder:
        (folder / "trials").mkdir()
        for name in (
            ".vscode.json",
            "trials/.notes.md",
            ".lingraft-scores-x1_abcde.jsonl",
            "trials/.lingraft-trial-x2345678.json",
        ):
            (folder / name).touch()
    with open_run_folder(tmp_path / "a", wanted) as folder:
        left = {str(path.relative_to(folder)) for path in folder.rglob(".*")}
    assert left == {".lock", ".vscode.json", "trials/.notes.md"}


def test_a_run_that_is_refused_sweeps_nothing(tmp_path):
    """With another recipe the folder is not ours to tidy up."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        begin_trial(folder)
        (folder / ".lingraft-scores-x1_abcde.jsonl").touch()
    with pytest.raises(RunError), open_run_folder(tmp_path / "a", recipe(tmp_path, "train.batch_size=9")):
        pass
    assert (tmp_path / "a" / ".lingraft-scores-x1_abcde.jsonl").exists()


def test_what_a_killed_run_left_is_not_foreign(tmp_path):
    """Killed while its very first file was written, a run can begin again."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".lock").touch()
    (tmp_path / "a" / ".lingraft-run-x1y2z3_4.json").write_text("half", encoding="utf-8")
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        assert (folder / "recipe.yaml").exists()


def test_a_file_in_the_way_is_reported(tmp_path):
    """A run folder cannot be a file."""
    (tmp_path / "a").touch()
    with pytest.raises(RunError, match="cannot make the run folder"), open_run_folder(tmp_path / "a", recipe(tmp_path)):
        pass


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    """Where the lock cannot be had, the reason is told in one sentence."""
    (tmp_path / "a" / ".lock").mkdir(parents=True)
    with (
        pytest.raises(RunError, match="expected a regular file to lock, found a folder"),
        open_run_folder(tmp_path / "a", recipe(tmp_path)),
    ):
        pass


def test_a_second_run_is_refused_while_the_first_holds_the_folder(tmp_path):
    """Two processes never write one folder; once the first is gone, be it killed, the second may."""
    wanted = recipe(tmp_path, "parallel.from=task")
    path = tmp_path / "recipe.yaml"
    path.write_text(wanted.to_yaml(), encoding="utf-8")
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "a"), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="is in use by another run; wait"), open_run_folder(tmp_path / "a", wanted):
            pass
        first.kill()
    with open_run_folder(tmp_path / "a", wanted):
        pass


# ---- Small files -----------------------------------------------------------------------------------


def test_files_hold_what_was_written(tmp_path):
    """Text, an object, and lines of objects, in UTF-8."""
    write_text(tmp_path / "a" / "t.txt", "ẹ\n")
    write_json(tmp_path / "o.json", {"language": "Yorùbá", "n": None})
    write_lines(tmp_path / "l.jsonl", [{"a": 1}, {"a": "ọ"}])
    assert (tmp_path / "a" / "t.txt").read_bytes() == "ẹ\n".encode()
    assert json.loads((tmp_path / "o.json").read_text(encoding="utf-8")) == {"language": "Yorùbá", "n": None}
    lines = (tmp_path / "l.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"a": 1}, {"a": "ọ"}]
    assert "ọ" in lines[1]


def test_a_full_disk_keeps_the_old_file(tmp_path):
    """Writing fails with the cure; the file is what it was and no temporary one is left."""
    write_text(tmp_path / "t.txt", "old")
    told = r"File too large; .* finished work is safe\. Free some space"
    with full_disk(room=64), pytest.raises(WriteError, match=told):
        write_text(tmp_path / "t.txt", "new" * 64)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]
    assert (tmp_path / "t.txt").read_text() == "old"


def test_a_recipe_of_an_older_version_is_refused_by_what_it_lacks(tmp_path):
    """What it does not say may have been something else then: nothing is assumed."""
    now = recipe(tmp_path)
    begin_trial(tmp_path)
    older = now.model_dump(mode="json", by_alias=True)
    del older["train"]["warmup_share"]
    YAML(typ="safe", pure=True).dump(older, tmp_path / "recipe.yaml")

    assert changed_settings(tmp_path, now) == ["train.warmup_share is not set there and 0.1 now"]


@pytest.mark.parametrize(("step", "age"), [(1, "a newer"), (-1, "an older")])
def test_another_meaning_of_a_training_is_refused(tmp_path, step, age):
    """A folder of a version that trained something else under the same recipe is left as it is."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        write_json(folder / "run.json", {"lingraft": "0.0.9", "meaning": MEANING + step})
    with (
        pytest.raises(RunError, match=f"was trained by {age} lingraft, which gives other numbers for the same recipe"),
        open_run_folder(tmp_path / "a", recipe(tmp_path)),
    ):
        pass


def test_somebody_s_own_recipe_does_not_make_a_folder_a_run(tmp_path):
    """A project with a recipe.yaml and a README of its own is neither taken for a run nor for a finished one."""
    wanted = recipe(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "recipe.yaml").write_text(wanted.to_yaml(), encoding="utf-8")
    (tmp_path / "project" / "README.md").touch()
    with (
        pytest.raises(RunError, match="is not empty and not a run folder"),
        open_run_folder(tmp_path / "project", wanted),
    ):
        pass


@pytest.mark.parametrize("override", ["seeds=[1,2,3]", "shots.k=[0,5]", "shots.draws=3", "seeds=[2]"])
def test_a_folder_takes_other_trials(tmp_path, override):
    """More seeds, shots or draws, or fewer: the recipe is the new one, and what was finished is so no more."""
    with open_run_folder(tmp_path / "a", recipe(tmp_path)) as folder:
        (folder / "README.md").touch()
        (folder / "trials").mkdir()
    wanted = recipe(tmp_path, override)
    with open_run_folder(tmp_path / "a", wanted) as folder:
        assert read_recipe(folder / "recipe.yaml") == wanted
        assert not (folder / "README.md").exists()
        assert (folder / "trials").is_dir()
