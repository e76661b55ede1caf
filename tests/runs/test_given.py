"""Runs on data that is in memory."""

import pytest

import lingraft
from invented import SOURCE, TARGET, TOPICS, labelled_texts, translated
from lingraft.core.errors import ConfigError, LingraftError, RunError
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.results.run_files import read_run
from lingraft.runs.given import given_data
from lingraft.tasks.gathering import gather
from quick_run import content, run

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "device=cpu", "seeds=[1]"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


def rows(texts, say=str):
    """Texts as dicts."""
    return [{"text": say(text), "label": topic} for text, topic in texts]


@pytest.fixture
def data():
    """Training, development and test sets, and pairs."""
    texts = labelled_texts(60)
    return {
        "train": rows(texts[:24]),
        "validation": rows(texts[24:33]),
        "test": {"yo": rows(texts[33:45], translated)},
        "parallel": [{"source": text, "target": translated(text)} for text, _ in texts[45:]],
    }


def recipe(checkpoint, output, *overrides):
    """A recipe without files."""
    task = {"name": "classification", "source_language": SOURCE, "target_languages": [TARGET]}
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    return parse_recipe({"task": task, "backbone": backbone}, [*overrides, *SMALL, f"output_dir={output}"])


def run_on(data, checkpoint, output):
    """Run the recipe on data."""
    with given_data(data) as settings:
        return run(recipe(checkpoint, output, *settings))


def test_a_run_on_data_in_memory_learns_and_is_tested(data, tiny_checkpoint, tmp_path):
    """From what was given, and from nothing else."""
    with given_data(data) as settings:
        found = gather(recipe(tiny_checkpoint, tmp_path, *settings))
    assert [e.text_a for e in found.test[TARGET]] == [row["text"] for row in data["test"]["yo"]]
    assert (len(found.dev), len(found.draws[0].labelled), len(found.draws[0].pairs[TARGET])) == (9, 24, 15)
    folder = run_on(data, tiny_checkpoint, tmp_path / "run")
    assert {score.n for score in read_run(folder).scores if score.language == TARGET} == {12}
    assert read_run(folder).data["labels"] == sorted(TOPICS)


def test_the_same_data_finds_the_run_finished_and_other_data_is_refused(data, tiny_checkpoint, tmp_path):
    """What is in a table decides, as what is in a file does."""
    folder = run_on(data, tiny_checkpoint, tmp_path / "run")
    before = content(folder)
    assert run_on(data, tiny_checkpoint, folder) == folder
    assert content(folder) == before
    other = data | {"train": [*data["train"][1:], data["train"][0] | {"label": "stone"}]}
    with pytest.raises(RunError, match="these have changed: labelled examples"):
        run_on(other, tiny_checkpoint, folder)


def test_a_run_on_data_in_memory_is_not_continued_without_it(data, tiny_checkpoint, tmp_path):
    """Its recipe says where the data came from."""
    folder = run_on(data, tiny_checkpoint, tmp_path / "run")
    with pytest.raises(LingraftError, match=r"train\.memory: was given in Python .*data=\{'train': …\}"):
        run(read_recipe(folder / "recipe.yaml"))


def test_data_of_an_unknown_name_is_refused():
    """Before anything is read."""
    with pytest.raises(ConfigError, match=r"data: unknown key 'trian'; did you mean 'train'"):
        lingraft.run({"task": {"name": "classification"}}, data={"trian": []})


@pytest.mark.parametrize("data", [[{"text": "ada"}], 5, "train.csv"])
def test_data_that_are_no_mapping_are_refused(data):
    """A table alone is a likely slip."""
    with pytest.raises(ConfigError, match="data: expected a mapping such as"), given_data(data):
        pass


@pytest.mark.parametrize("recipe", [None, 5, b"recipe.yaml", ["recipe.yaml"]])
def test_what_is_no_recipe_is_refused(recipe):
    """A name of a file, or a mapping, is one."""
    with pytest.raises(ConfigError, match="expected a YAML file, or the same as a mapping, got "):
        lingraft.run(recipe)


@pytest.mark.parametrize("override", [5, None, {"seeds": [1]}])
def test_a_setting_is_a_text(override):
    """As on the command line."""
    with pytest.raises(ConfigError, match=r"expected settings such as 'seeds=\[1\]' after the recipe, got "):
        lingraft.run({"task": {"name": "classification"}}, override)


def test_a_recipe_without_files_and_data_is_told_of_both():
    """Whoever goes on with a run of data in memory gives them again."""
    with pytest.raises(ConfigError) as caught:
        lingraft.run(
            {"task": {"name": "classification", "source_language": SOURCE, "target_languages": [TARGET]}}, quiet=True
        )
    (problem,) = caught.value.problems
    assert problem.startswith("task.files: is missing; classification needs it; data in Python are given at every call")
