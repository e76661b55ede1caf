"""What a stability study costs: what is compared, and how few seeds are counted for many."""

import importlib
import json
from pathlib import Path

import pytest

from lingraft.experiments.methods import list_methods
from lingraft.experiments.stability import crossed
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs.folder import trials_of
from tiny import REPOSITORY


@pytest.fixture(scope="module")
def benchmark():
    """``benchmarks/experiment_cost.py`` as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "benchmarks")
        yield importlib.import_module("experiment_cost")


def invented_spend(benchmark, *, begins=10.0, of_ours=3.0, of_instant=1.0, of_prompt=40.0):
    """Spends so many seconds to begin and for each trial, half as many of the processor; notes what it is asked for."""
    asked = []

    def spend(arguments, cache):
        assert list(cache.iterdir()) == [cache / "backbones"]
        recipe = json.loads(Path(arguments[3]).read_text(encoding="utf-8"))
        (method,) = recipe["compare"]["methods"]
        seeds = recipe.get("stability", {"seeds": 1})["seeds"]
        asked.append((arguments[2], method, seeds))
        seconds = begins + seeds * {"lingraft": of_ours, "instant": of_instant, "peft-prompt": of_prompt}[method]
        return benchmark.Usage(seconds, seconds / 2, 1, "")

    return spend, asked


def test_the_study_and_the_run_learn_the_same(benchmark, tmp_path):
    """Data, labels, pairs and epochs; the study has a trial for each seed, the run one."""
    study = crossed(parse_recipe(benchmark.study("lingraft", 20, tmp_path)))
    run = parse_recipe(benchmark.single_run(tmp_path))
    ((ours,), (theirs,)) = list_methods(study), list_methods(run)
    assert (ours.name, len(trials_of(ours.recipe))) == ("lingraft", 20)
    assert (theirs.name, len(trials_of(theirs.recipe))) == ("peft-prompt", 1)
    assert ours.recipe.task == theirs.recipe.task
    assert ours.recipe.train.num_train_epochs == theirs.recipe.train.num_train_epochs
    assert trials_of(theirs.recipe)[0] in trials_of(ours.recipe)


def test_all_seeds_are_run_and_the_ratio_is_of_the_whole(benchmark, tmp_path, capsys):
    """Start and encoding included, on both sides."""
    spend, asked = invented_spend(benchmark)
    found = benchmark.compare_costs(False, tmp_path, tmp_path, spend)
    assert asked == [("stability", "lingraft", 20), ("compare", "peft-prompt", 1), ("stability", "instant", 20)]
    assert (found["ratio"], found["cpu_ratio"]) == (70 / 50, 70 / 50)
    assert found["study"] == {"seconds": 70.0, "cpu_seconds": 35.0} and found["instant"]["seconds"] == 30.0
    assert "takes 1.40 times one run of peft-prompt" in capsys.readouterr().out


def test_few_seeds_say_what_all_would_cost_where_each_costs_the_same(benchmark, tmp_path, capsys):
    """Which is said to be no result, and goes into no file."""
    spend, asked = invented_spend(benchmark)
    found = benchmark.compare_costs(True, tmp_path, tmp_path, spend)
    assert [seeds for _, method, seeds in asked if method == "lingraft"] == list(benchmark.FEW)
    assert found["study"] == pytest.approx({"seconds": 70.0, "cpu_seconds": 35.0})
    assert found["ratio"] == pytest.approx(70 / 50)
    assert "extrapolated, no result" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        benchmark.main(["--quick", "--json", str(tmp_path / "x.json"), "--data-dir", str(tmp_path)])
    assert "--json is for measured results" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()
