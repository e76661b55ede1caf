"""What the files of run folders must be, and what is said of those that are something else."""

import json

import pytest

from lingraft.core.errors import RunError
from lingraft.core.files import read_object, write_json
from lingraft.results.comparison import read_comparison
from lingraft.results.method_schemas import METHOD, TRIAL
from lingraft.results.run_files import read_predictions, read_run
from lingraft.results.schemas import DATA, FORMAT, SUMMARY

TRIAL_NAME = "k1-draw0-seed1"
SCORE = {"task": "t", "method": "lingraft", "language": "yor-Latn", "metric": "accuracy", "value": 0.5, "n": 2}
SCORE |= {"shots": 1, "draw": 0, "seed": 1, "run": "r"}
ROW = {"id": "1", "text": "ada", "gold": "a", "value": "a", "counts": [1.0, 1.0], "right": 1.0}


def refusal_of(folder, name, content):
    """What reading a run folder says that has this file alone."""
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(RunError) as refused:
        read_run(folder)
    return str(refused.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scores.jsonl", {"task": "x"}, "scores.jsonl:1: method: Field required (8 more such faults); run the"),
        ("scores.jsonl", SCORE | {"value": float("nan")}, "scores.jsonl:1: value: expected a finite number"),
        ("scores.jsonl", SCORE | {"language": "../../x"}, "scores.jsonl:1: language: String should match pattern"),
        ("data.json", {"task": "t", "labels": "a b"}, "data.json: labels: expected a list, found 'a b'"),
        ("training.jsonl", {"trial": "..", "epoch": 1, "step": 1}, "training.jsonl:1: trial: String should match"),
        ("summary.json", {"selected_trial": "../x"}, "summary.json: selected_trial: String should match pattern"),
        ("states.json", {"languages": {"x": 5}}, "states.json: languages.x: expected"),
        ("pseudo.json", {"lots": [{}]}, "pseudo.json: lots.0.language: Field required"),
        ("retention.json", {"retrieval": []}, "retention.json: retrieval: expected keys with values"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_its_place(tmp_path, name, content, said):
    """File, line, key, what came."""
    assert refusal_of(tmp_path, name, content).startswith(said)


def test_text_that_is_not_utf_8_is_refused(tmp_path):
    """It is no JSON."""
    (tmp_path / "data.json").write_bytes(b'{"task": "caf\xe9"}')
    with pytest.raises(RunError, match=r"data\.json: expected JSON, but invalid unicode code point"):
        read_run(tmp_path)


@pytest.mark.parametrize(("schema", "known"), [(DATA, {"task": "t"}), (SUMMARY, {})])
def test_files_of_a_newer_form_are_refused_and_those_without_a_number_read(tmp_path, schema, known):
    """The number is the form's; before there was one, it was the first."""
    path = tmp_path / "x.json"
    write_json(path, known | {"other": 1})
    assert read_object(path, schema) == known | {"other": 1}
    write_json(path, known | {"format": FORMAT + 1})
    with pytest.raises(RunError, match="format: expected at most 1, found 2: a newer lingraft wrote this file"):
        read_object(path, schema)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (ROW | {"counts": [1.0]}, "x.jsonl:2: expected the columns and counts of the first line, found others"),
        (ROW | {"before": "a"}, "x.jsonl:2: expected the columns and counts of the first line, found others"),
        (ROW | {"alternatives": ["b"]}, "x.jsonl:2: alternatives: 'a' is the number of none of them"),
        (ROW | {"right": 2}, "x.jsonl:2: right: expected a number of at most 1, found 2"),
    ],
)
def test_predictions_are_all_alike(tmp_path, second, said):
    """A table that is no rectangle has no metric."""
    path = tmp_path / "x.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps(second)}\n", encoding="utf-8")
    with pytest.raises(RunError) as refused:
        read_predictions(path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("schema", "content", "said"),
    [
        (METHOD, {"units": 5}, "name: Field required"),
        (METHOD, {"name": "m", "about": ""}, "expected `labels` of a method that is possible"),
        (METHOD, {"name": "../m", "about": "", "impossible": "x"}, "name: String should match pattern"),
        (TRIAL, {"name": "t", "seconds": 1.0, "trained": 1}, "expected `seconds`, `trained` and `files`"),
        (TRIAL, {"name": "t", "files": {"../x": "0" * 64}}, "files.../x.[key]: String should match pattern"),
        (TRIAL, {"name": "t", "files": {"trials/../../x": "0" * 64}}, "String should match pattern"),
    ],
)
def test_records_of_methods_and_trials_name_nothing_outside(tmp_path, schema, content, said):
    """What they name is read, hashed or deleted later."""
    write_json(tmp_path / "x.json", content)
    with pytest.raises(RunError) as refused:
        read_object(tmp_path / "x.json", schema)
    assert said in str(refused.value)


def test_a_comparison_knows_its_languages(tmp_path):
    """Tables have their names."""
    method = {"name": "m", "about": "", "impossible": "x"}
    data = {"task": "t", "target_languages": ["yor-Latn"], "languages": {}}
    write_json(tmp_path / "comparison.json", {"data": data, "reference": "m", "epochs": 1, "methods": [method]})
    with pytest.raises(RunError, match=r"comparison\.json: data\.languages: nothing about yor-Latn"):
        read_comparison(tmp_path)


@pytest.mark.parametrize("read", [read_run, read_comparison], ids=["a run", "a comparison"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("run.json", '{"format": 1, "lingraft": "0.1.0", "mea', "run.json: expected JSON, but EOF while parsing"),
        ("run.json", {"meaning": 1}, "run.json: lingraft: Field required"),
        ("recipe.yaml", "%YAML 1.2\n---\nseeds:\n- 1\noutput_dir: ru", "recipe.yaml ends amid the recipe"),
    ],
)
def test_what_says_what_a_folder_is_must_be_whole(tmp_path, read, name, content, said):
    """Whoever reads the folder notices, and says what can be done: nothing writes it again."""
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    with pytest.raises(RunError) as refused:
        read(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / said}")
    assert str(refused.value).endswith("put it back from a copy, or run the recipe into another output_dir")
