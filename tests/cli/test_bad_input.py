"""Bad input ends in one clear block that says what, where and what to do, never in a traceback."""

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lingraft.__main__ import main
from lingraft.core.errors import RunError
from lingraft.core.files import watch_writes
from lingraft.core.progress import Reporter
from lingraft.core.records import Prediction
from lingraft.recipe.parsing import read_recipe
from lingraft.results.run_files import read_run
from lingraft.serving.answer_lines import write_answers
from lingraft.serving.inputs import Given
from lingraft.training.state import load_training_state
from quick_run import run

WORDS = {"sun": ["bako", "beli", "cora"], "rain": ["dune", "dilo", "goma"]}


@pytest.fixture
def own_data(tmp_path, tiny_checkpoint):
    """A folder with a recipe that works: two classes, one target language, a parallel file."""
    rows = [(f"{a} {b}", label) for label, words in WORDS.items() for a in words for b in words]
    for name, part in (("train.eng", rows), ("test.swh", rows[::2]), ("train.swh", rows[1::2])):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in part), encoding="utf-8")
    (tmp_path / "source.txt").write_text("bako luma\nbeli luma\ncora luma\n", encoding="utf-8")
    (tmp_path / "target.swh.txt").write_text("dune luma\ndilo luma\ngoma luma\n", encoding="utf-8")
    recipe = {
        "output_dir": str(tmp_path / "run"),
        "seeds": [1],
        "backbone": {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 16},
        "task": {
            "name": "classification",
            "source_language": "eng-Latn",
            "target_languages": ["swh-Latn"],
            "data_dir": str(tmp_path),
            "files": {split: f"{split}.{{language}}.csv" for split in ("train", "dev", "test")},
        },
        "train": {"num_train_epochs": 2},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return tmp_path


@pytest.fixture
def lingraft(command):
    """Call the command line; returns its exit code and everything it printed."""

    def call(*arguments, stdin=""):
        done = command(*arguments, stdin=stdin)
        return done.code, done.out + done.err

    return call


@pytest.fixture
def refused(lingraft):
    """Call the command line, expect a refusal without a traceback, and return what it said."""

    def call(*arguments, stdin=""):
        code, printed = lingraft(*arguments, stdin=stdin)
        assert code == 1, printed
        assert "Traceback" not in printed
        return " ".join(printed.split())

    return call


def test_the_recipe_that_the_others_spoil_is_good(own_data, lingraft):
    """Unspoilt, the recipe of this file passes the check."""
    code, printed = lingraft("check", own_data / "recipe.yaml")
    assert code == 0, printed


def test_a_task_that_nobody_can_start_from_is_refused(refused, tmp_path):
    """With the nearest one, and nothing is written."""
    said = refused("init", tmp_path / "recipe.yaml", "--task", "clasification")
    assert "unknown task to start from 'clasification'; did you mean 'classification'?" in said
    assert not (tmp_path / "recipe.yaml").exists()


def test_a_missing_recipe_names_the_command_that_writes_one(refused, tmp_path):
    """A recipe that is not there is answered with `lingraft init`."""
    assert "lingraft init" in refused("run", tmp_path / "none.yaml")


def test_a_missing_data_file_is_named_with_the_nearest(own_data, refused):
    """A data file that is not there is named once, with one that is there and is not for something else."""
    (own_data / "test.swh.csv").rename(own_data / "tset.swh.csv")
    said = refused("check", own_data / "recipe.yaml")
    assert "Swahili" in said
    assert "test.{language}.csv is not there, as test.swh-Latn.csv or in another spelling" in said
    assert f"did you mean {own_data / 'tset.swh.csv'}?" in said


def test_all_that_is_wrong_is_told_at_once(own_data, refused):
    """A missing checkpoint and two missing files are three lines of one answer."""
    (own_data / "test.swh.csv").unlink()
    (own_data / "train.swh.csv").unlink()
    said = refused("check", own_data / "recipe.yaml", "shots.k=1", f"backbone.checkpoint={own_data / 'none'}")
    assert "3 problems" in said
    assert "test.swh-Latn.csv" in said
    assert "train.swh-Latn.csv" in said


def test_the_mistakes_of_all_stages_are_told_at_once(own_data, lingraft):
    """Two wrong settings, four wrong paths, a faulty file and a folder that cannot be made are eight lines."""
    (own_data / "test.swh.csv").write_text("text,label\nbako\n", encoding="utf-8")
    (own_data / "a file").touch()
    code, said = lingraft(
        "check",
        own_data / "recipe.yaml",
        "train.batch_size=0",
        "adapter.widht=3",
        f"task.files.train={own_data / 'trian'}.{{language}}.csv",
        f"backbone.checkpoint={own_data / 'none'}",
        f"parallel.files={own_data / 'sources'}.txt",
        f"train.continue_from={own_data / 'runs'}",
        f"output_dir={own_data / 'a file' / 'run'}",
    )
    lines = [line.strip() for line in said.splitlines()]
    expected = [
        "- train.batch_size: expected a number greater than 0",
        "- adapter.widht: unknown option of bottleneck 'widht'; did you mean 'width'?",
        f"- there is no folder '{own_data / 'none'}'",
        f"- no file for English (eng-Latn): {own_data / 'trian'}.{{language}}.csv is not there",
        f"- {own_data / 'test.swh.csv'}, line ",
        f"- no file for Swahili (swh-Latn): {own_data / 'sources'}.txt is not there",
        f"- train.continue_from: there is no folder {own_data / 'runs'}",
        "- output_dir: cannot write to ",
    ]
    missing = [one for one in expected if sum(line.startswith(one) for line in lines) != 1]
    assert (code, missing) == (1, []), said
    assert f"{len(expected)} problems" in said


def test_a_pattern_without_a_language_is_refused(own_data, refused):
    """One file for all languages would make the source language its own target."""
    files = json.dumps({"train": "train.eng.csv", "test": "train.eng.csv"})
    assert "{language}" in refused("check", own_data / "recipe.yaml", f"task.files={files}")


def test_a_report_of_an_unfinished_run_is_refused(refused, tmp_path):
    """`report` writes into finished run folders only, never over somebody's README."""
    folder = tmp_path / "alone" / "mine"  # beside no run that could have been meant
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("mine", encoding="utf-8")
    assert "came to its end" in refused("report", folder)
    assert (folder / "README.md").read_text(encoding="utf-8") == "mine"


def test_an_empty_standard_input_is_reported(own_data, refused):
    """`predict` without a text says what to give."""
    run(read_recipe(own_data / "recipe.yaml"))
    assert "standard input is empty" in refused("predict", own_data / "run", stdin="\n")


def test_a_changed_file_does_not_continue_a_run(own_data, refused):
    """A run that was begun with other texts is not continued with these."""
    run(read_recipe(own_data / "recipe.yaml"))
    with (own_data / "train.eng.csv").open("a", encoding="utf-8") as file:
        file.write("ada luma,sun\n")
    said = refused("run", own_data / "recipe.yaml")
    assert "k0-draw0-seed1" in said
    assert "have changed: labelled examples" in said


def test_a_wrong_column_offers_the_nearest_one(own_data, refused):
    """A field map to a column that does not exist offers the nearest that does."""
    said = refused("check", own_data / "recipe.yaml", "task.fields={text: txt, label: label}")
    assert "'txt'" in said
    assert "did you mean 'text'" in said


def test_an_unknown_test_label_is_named_with_its_example(own_data, refused):
    """A test label that training never saw is named, with the id and the labels that exist."""
    with (own_data / "test.swh.csv").open("a", encoding="utf-8") as file:
        file.write("bako,snow\n")
    said = refused("check", own_data / "recipe.yaml")
    assert "'snow'" in said
    assert "rain, sun" in said


def test_an_empty_text_names_file_and_line(own_data, refused):
    """A row without text is named by file and line."""
    with (own_data / "train.eng.csv").open("a", encoding="utf-8") as file:
        file.write("  ,sun\n")
    assert "train.eng.csv, line 20" in refused("check", own_data / "recipe.yaml")


def test_ten_megabytes_on_one_line_are_refused_at_once(own_data, refused):
    """A file whose first line is 10 MB long is refused by name, without reading it all."""
    (own_data / "train.eng.csv").write_text("a" * 10_000_000, encoding="utf-8")
    said = refused("check", own_data / "recipe.yaml")
    assert "train.eng.csv" in said


def test_latin_1_bytes_come_with_the_command_that_converts_them(own_data, refused):
    """A file that is not UTF-8 is named with its line and with `iconv`."""
    path = own_data / "test.swh.csv"
    path.write_bytes(path.read_bytes() + "baké,sun\n".encode("latin-1"))
    said = refused("check", own_data / "recipe.yaml")
    assert "iconv" in said
    assert "test.swh.csv, line 11" in said


@pytest.mark.parametrize(
    "spoil", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n")], ids=["BOM", "CRLF"]
)
def test_what_editors_do_to_files_does_no_harm(own_data, lingraft, spoil):
    """A byte order mark and Windows line ends are read as if they were not there."""
    for path in own_data.glob("*.csv"):
        path.write_bytes(spoil(path.read_bytes()))
    code, printed = lingraft("check", own_data / "recipe.yaml")
    assert code == 0, printed


def test_a_parallel_file_one_line_short_is_refused_with_both_counts(own_data, refused):
    """Two line files of different length are refused: nobody knows which line is missing."""
    (own_data / "target.swh.txt").write_text("dune luma\ndilo luma\n", encoding="utf-8")
    files = {"files": str(own_data / "source.txt"), "target_files": str(own_data / "target.{language}.txt")}
    said = refused("check", own_data / "recipe.yaml", f"parallel={json.dumps(files)}")
    assert "3" in said
    assert "2" in said
    assert "target.swh.txt" in said


def test_more_shots_than_a_class_has_list_the_class(own_data, refused):
    """A number of shots larger than a class names the class and its count."""
    said = refused("check", own_data / "recipe.yaml", "shots.k=9")
    assert "rain" in said
    assert "9 shots" in said


def test_a_language_that_the_cldr_lacks_is_refused_with_the_counts(refused):
    """The demo in a language with too few names says how many there are and how many it takes."""
    said = refused("demo", "--language", "ig")
    assert "Igbo (ibo-Latn)" in said
    assert "countries" in said
    assert refused("demo", "--language", "klingon").count("klingon") == 1  # its name is its code


def test_a_language_that_does_not_exist_is_refused(refused):
    """A language code that is none is refused, with a way to find the right one."""
    assert "zzzzzz" in refused("demo", "--language", "zzzzzz")


def test_unknown_keys_are_refused_all_at_once_with_the_nearest(own_data, refused):
    """Every unknown key of a recipe is reported in one go, each with the nearest known one."""
    said = refused("check", own_data / "recipe.yaml", "train.learning_rat=1", "shotz=1", "prompt={name: dep}")
    assert "did you mean 'learning_rate'" in said
    assert "did you mean 'shots'" in said
    assert "did you mean 'deep'" in said


def test_a_pickled_checkpoint_is_refused(own_data, refused, tmp_path, tiny_checkpoint):
    """A checkpoint that only has a pickle is refused, with the way to convert it."""
    folder = tmp_path / "pickled"
    folder.mkdir()
    for file in Path(tiny_checkpoint).iterdir():
        if file.suffix == ".json":
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    said = refused("check", own_data / "recipe.yaml", f"backbone.checkpoint={folder}")
    assert "pickle" in said
    assert "save_pretrained" in said


def test_a_full_disk_while_saving_keeps_what_was_saved(own_data, refused, capfd):
    """When the disk is full the run stops with a cure, and continues from its last state afterwards."""
    state = own_data / "run" / "trials" / "k0-draw0-seed1" / "training.safetensors"

    def fill_up(stage, path, temporary):
        if (stage, path) == ("flush", state) and state.exists():
            os.truncate(temporary, 9)
            raise OSError(errno.ENOSPC, "No space left on device")

    with watch_writes(fill_up):
        said = refused("run", own_data / "recipe.yaml")
    assert f"could not write {state}: No space left on device" in said
    assert "continues where it stopped" in said
    assert load_training_state(state).step == 1
    run(read_recipe(own_data / "recipe.yaml"), reporter=Reporter())
    assert "continuing at step 1" in capfd.readouterr().err
    assert (own_data / "run" / "README.md").exists()


class Full(io.StringIO):
    """Standard output on a disk without room."""

    def flush(self):
        """Refuse, as the system does: without a name."""
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("arguments", [["list", "tasks"], ["schema"], ["--version"]])
def test_an_output_that_is_full_is_named(monkeypatch, command, arguments):
    """What has no file's name could be any file."""
    monkeypatch.setattr(sys, "stdout", Full())
    done = command(*arguments)
    assert done.code == 1
    assert done.err == "error standard output: No space left on device\n"


class TooMuch(io.StringIO):
    """Standard output of a process that gets no more memory."""

    def write(self, text):
        """Fail as Python does."""
        raise MemoryError


def test_memory_that_is_not_there_ends_in_a_line(monkeypatch, command):
    """With what takes less of it."""
    monkeypatch.setattr(sys, "stdout", TooMuch())
    done = command("list", "tasks")
    assert done.code == 1
    assert done.err.startswith("error this machine has not enough memory for what was asked; ")
    assert done.err.count("\n") == 1


def test_answers_that_find_no_room_name_the_output():
    """As what other commands print does."""
    answers = SimpleNamespace(
        answers=lambda named: (Prediction("1", "swh", "a", 0.5) for _ in named),
        resolve=lambda language: ("swh-Latn", ()),
        kind=SimpleNamespace(numeric=False),
    )
    answers.kind.details, answers.identity = lambda answer: {}, SimpleNamespace(labels=())
    with pytest.raises(OSError, match="No space left") as told:
        write_answers(Full(), [Given("line 1", "bako", {})], answers, "jsonl")
    assert told.value.filename == "standard output"


def test_who_stops_while_modules_are_read_gets_a_line(monkeypatch, capsys):
    """Imports take a while, and what interrupts them is no mistake to be traced."""

    class Interrupted:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "lingraft.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "lingraft.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "stopped before anything was begun\n"


def test_a_second_run_into_the_same_folder_is_refused(own_data, refused):
    """While one process writes a run folder, another one is turned away."""
    (own_data / "run").mkdir()
    hold = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(own_data / "run" / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        said = refused("run", own_data / "recipe.yaml")
        other.communicate(b"\n")
    assert "in use by another run" in said


def test_another_recipe_does_not_overwrite_a_run(own_data, refused):
    """A run folder of another recipe is left alone; the setting that differs is named."""
    run(read_recipe(own_data / "recipe.yaml"))
    assert "num_train_epochs" in refused("run", own_data / "recipe.yaml", "train.num_train_epochs=3")


def test_predicting_without_a_run_says_what_to_give(refused, tmp_path):
    """`lingraft predict` on a folder without a run says so."""
    (tmp_path / "texts.txt").write_text("bako\n", encoding="utf-8")
    assert "folder of a finished run" in refused("predict", tmp_path, tmp_path / "texts.txt")


def test_the_file_of_a_recipe_is_named_whatever_is_wrong_with_it(own_data, refused):
    """Its settings, its data, one problem or several, in check, run and compare alike."""
    recipe = own_data / "recipe.yaml"
    for command in ("check", "run", "compare"):
        assert f"error {recipe}: 2 problems" in refused(command, recipe, "seeds=0", "device=tpu")
        lost = refused(command, recipe, "task.files.test=none.{language}.csv", "parallel.files=no.{language}.csv")
        assert f"error {recipe}: 2 problems" in lost
    assert f"error {recipe}: 1 problem" in refused("check", recipe, "backbone.max_length=999")


def test_a_metric_that_is_not_given_is_told_with_all_that_there_are(refused, tmp_path):
    """As any other mistake is; the files are not looked at."""
    said = refused("score", tmp_path / "p.csv", tmp_path / "g.csv")
    assert "error --metric: 1 problem" in said
    assert "- is missing; known are accuracy, macro_f1, " in said


def test_a_recipe_that_is_not_there_is_told_with_the_nearest(own_data, refused):
    """Or with how to write one."""
    said = refused("check", own_data / "recpie.yaml")
    assert f"error {own_data / 'recpie.yaml'}: 1 problem" in said
    assert f"; did you mean {own_data / 'recipe.yaml'}? Or write one with: lingraft init" in said
    assert "; write one with: lingraft init" in refused("run", own_data / "zzzz")


def test_where_a_run_is_wanted_no_recipe_of_a_comparison_is_offered_and_the_reverse(own_data, refused):
    """As long as another has a near name."""
    recipe = (own_data / "recipe.yaml").read_text(encoding="utf-8")
    (own_data / "recipe2.yaml").write_text(f"{recipe}\ncompare: {{methods: [lingraft]}}\n", encoding="utf-8")
    for command, near in (("run", "recipe.yaml"), ("compare", "recipe2.yaml"), ("stability", "recipe2.yaml")):
        assert f"; did you mean {own_data / near}?" in refused(command, own_data / "recipe_2.yaml")


def test_a_run_folder_that_is_not_there_is_told_with_the_nearest(tmp_path, refused):
    """Whatever wants one; the folder of a comparison is none, whatever its name."""
    for name, files in {
        "my-run": ("run.json", "summary.json", "adaptation.safetensors"),
        "my-rnu2": ("run.json",),
    }.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "runs" / name / file).write_text("{}", encoding="utf-8")
    (tmp_path / "texts.txt").write_text("bako\n", encoding="utf-8")
    near = f"; did you mean {tmp_path / 'runs' / 'my-run'}?"
    for folder in ("my-rnu", ""):
        assert near in refused("predict", tmp_path / "runs" / folder, tmp_path / "texts.txt")
        assert near in refused("report", tmp_path / "runs" / folder)
    with pytest.raises(RunError, match=re.escape(near)):
        read_run(tmp_path / "runs" / "my-rnu")


def test_check_says_that_there_is_nothing_to_go_on_from(own_data, refused):
    """A folder alone is not a finished run; a long run would find that out when all is encoded."""
    (own_data / "runs").mkdir()
    said = refused("check", own_data / "recipe.yaml", f"train.continue_from={own_data / 'runs'}")
    assert f"there is no {own_data / 'runs'}/adaptation.safetensors; give the folder of a finished run" in said


def test_the_folder_of_a_comparison_is_told_apart_from_a_run_s(tmp_path, refused):
    """Its page is made by another command, and its methods have folders of their own."""
    (tmp_path / "comparison.json").write_text("{}", encoding="utf-8")
    assert "holds a comparison, whose page is written again by: lingraft compare RECIPE" in refused("report", tmp_path)
