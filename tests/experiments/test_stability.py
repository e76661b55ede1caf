"""A stability study: what is crossed, numbers that are computed again from the scores, and the page that tells them."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest
from typer.testing import CliRunner

from invented import SOURCE, labelled_texts, world_recipe, write_world
from lingraft.cli.main import app
from lingraft.core.errors import ConfigError, RunError
from lingraft.core.files import read_lines, read_object, write_json
from lingraft.experiments.dry_run import describe_costs
from lingraft.experiments.methods import list_methods
from lingraft.experiments.stability import PAGE, crossed, study_stability
from lingraft.recipe.parsing import read_recipe
from lingraft.results.comparison import read_comparison
from lingraft.results.pages.experiment_page import files_of
from lingraft.results.stability import read_stability
from lingraft.runs.folder import trials_of
from lingraft.runs.plan import plan
from quick_run import quick_compare, start_here

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu", "shots.k=1"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
CROSSED = {"draws": 2, "seeds": 3, "orders": 2, "settings": {"prompt.length": [1], "train.learning_rate": [0.02]}}
COMPARED = {"methods": ["frozen-head", "lingraft"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics of an invented language."""
    return write_world(tmp_path_factory.mktemp("world"), train=24, dev=8, test=20)


def recipe_of(world, checkpoint, output, *overrides, **blocks):
    """A small recipe with a study."""
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    blocks = {"stability": CROSSED, "compare": COMPARED} | blocks
    return world_recipe(world, [*SMALL, f"output_dir={output}", *overrides], backbone=backbone, **blocks)


@pytest.fixture(scope="module")
def studied(world, tiny_checkpoint, tmp_path_factory):
    """The folder of a study that came to its end."""
    place = tmp_path_factory.mktemp("runs") / "study"
    return study_stability(recipe_of(world, tiny_checkpoint, place), quiet=True, start=start_here)


def scores_of(folder):
    """By method, the target's score of each trial, by draw, seed and order."""
    found = defaultdict(dict)
    for row in read_lines(folder / "scores.jsonl"):
        if row["language"] != read_object(folder / "comparison.json")["data"]["source_language"] and (
            row["metric"] == "accuracy"
        ):
            found[row["method"]][row["draw"], row["seed"], row["order"]] = row["value"]
    return found


def test_every_draw_meets_every_seed_and_order_in_every_method(studied):
    """The variants of the settings too."""
    found = scores_of(studied)
    assert sorted(found) == ["frozen-head", "lingraft", "prompt.length-1", "train.learning_rate-0.02"]
    assert all(set(scores) == set(product((0, 1), (1, 2, 3), (1, 2))) for scores in found.values())


def test_numbers_are_those_of_the_scores(studied):
    """Mean, worst, best, and the spread of a trial's parts, written out for this grid."""
    (study,) = read_stability(read_comparison(studied))
    for method in study.methods:
        assert dict(method.levels) == {"draw": 2, "seed": 3, "order": 2}
        scores = scores_of(studied)[method.name]
        grid = np.array([[[scores[d, s, o] for o in (1, 2)] for s in (1, 2, 3)] for d in (0, 1)])
        assert method.mean.value == pytest.approx(grid.mean())
        assert (method.worst, method.best) == pytest.approx((grid.min(), grid.max()))
        of_draws = next(one for one in method.components if one.factors == ("draw",))
        assert of_draws.mean_square == pytest.approx(6 * grid.mean((1, 2)).var(ddof=1))
        assert method.deviation**2 == pytest.approx(sum(one.variance for one in method.components))
        assert method.mean.low <= method.mean.value <= method.mean.high
        assert all(0 < error <= method.mean.error + 1e-9 or method.deviation == 0 for error in method.more.values())


def test_the_frozen_head_does_not_depend_on_seeds(studied):
    """Nothing is drawn in fitting it; of a trained network something does."""
    (study,) = read_stability(read_comparison(studied))
    found = {method.name: {one.factors: one.variance for one in method.components} for method in study.methods}
    assert all(value == 0 for factors, value in found["frozen-head"].items() if factors != ("draw",))
    assert any(value > 0 for factors, value in found["lingraft"].items() if factors != ("draw",))
    assert 0 <= study.reliability <= 1


def test_the_page_tells_every_method_and_every_cause(studied):
    """In tables; a row each."""
    page = (studied / PAGE).read_text(encoding="utf-8")
    assert "on the same labels `lingraft` has a standard deviation of" in page
    assert "| method | draws | seeds | orders | draws × seeds | draws × orders | seeds × orders |" in page
    for name in ("frozen-head", "lingraft", "prompt.length-1", "train.learning_rate-0.02"):
        assert page.count(f"\n| `{name}` |") == 3
    assert "Always the most frequent class:" in page


def test_a_finished_study_is_told_again_and_trains_nothing(studied, world, tiny_checkpoint):
    """No method's process is started."""
    before = (studied / PAGE).read_bytes()

    def refuse(wanted, complaints):
        raise AssertionError("a process was started")

    recipe = recipe_of(world, tiny_checkpoint, studied, "notes=One core.")
    assert study_stability(recipe, quiet=True, start=refuse) == studied
    for page in (PAGE, "README.md"):
        assert "\n\nRemarks:\n\nOne core.\n\n" in (studied / page).read_text(encoding="utf-8")
    assert "<p>One core.</p>" in (studied / "report.html").read_text(encoding="utf-8")
    assert all(method.recipe.notes == [] for method in list_methods(crossed(recipe)))
    study_stability(recipe_of(world, tiny_checkpoint, studied), quiet=True, start=refuse)
    assert (studied / PAGE).read_bytes() == before


def test_a_study_that_lacks_a_trial_is_refused(studied, tmp_path):
    """Its spread would be blamed on the wrong cause."""
    comparison = read_comparison(studied)
    about = read_object(studied / "comparison.json")
    for method in about["methods"]:
        last = method["trials"].pop()
        for of_trials in (value for value in method.values() if isinstance(value, dict)):
            of_trials.pop(last, None)
    folder = tmp_path / "cut"
    folder.mkdir()
    for name in ("run.json", "recipe.yaml"):
        (folder / name).write_bytes((studied / name).read_bytes())
    write_json(folder / "comparison.json", about)
    assert len(read_stability(comparison)) == 1
    with pytest.raises(RunError, match=r"11 trials are not all draws with all seeds and orders \(2 × 3 × 2\)"):
        read_stability(read_comparison(folder))


def test_a_dry_run_counts_trials_and_trains_nothing(world, tiny_checkpoint, tmp_path):
    """What they cross, a line for each method, and the sum."""
    grid, *lines = describe_costs(crossed(recipe_of(world, tiny_checkpoint, tmp_path / "none")))
    assert grid == "trials: k = 1; 2 draws of the labels × 3 seeds × 2 orders"
    assert len(lines) == 5
    assert ["tokens to train on, about" in line for line in lines[:-1]] == [False, True, True, True]
    assert all(": 12 trials, " in line for line in lines[:-1])
    assert lines[-1].startswith("in all: ")
    assert not (tmp_path / "none").exists()


def test_without_a_block_three_draws_meet_three_seeds(world, tiny_checkpoint, tmp_path):
    """And prompt tuning is beside ours."""
    recipe = crossed(recipe_of(world, tiny_checkpoint, tmp_path, stability=None, compare=None))
    methods = list_methods(recipe)
    assert [method.name for method in methods] == ["frozen-head", "instant", "peft-prompt", "lingraft"]
    assert {len(trials_of(method.recipe)) for method in methods} == {9}
    assert recipe.orders is None


@pytest.mark.parametrize(
    ("block", "compared", "why"),
    [
        ({"draws": 1, "seeds": 1}, COMPARED, "are a single trial"),
        (
            {"settings": {"prompt.length": [4]}},
            COMPARED | {"variants": {"prompt.length-4": {"prompt": {"length": 4}}}},
            "compare.variants has prompt.length-4 already",
        ),
    ],
)
def test_what_is_no_study_is_refused(world, tiny_checkpoint, tmp_path, block, compared, why):
    """With what to change."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, stability=block, compare=compared)
    with pytest.raises(ConfigError, match=why):
        crossed(recipe)


def test_a_setting_that_there_is_not_is_refused_before_anything_runs(world, tiny_checkpoint, tmp_path):
    """With its name."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, stability={"settings": {"prompt.lenght": [4]}})
    with pytest.raises(ConfigError, match="lenght"):
        describe_costs(crossed(recipe))


def test_the_command_shows_the_table(studied, world, tiny_checkpoint, tmp_path):
    """And where the rest is."""
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_of(world, tiny_checkpoint, studied).to_yaml(), encoding="utf-8")
    assert read_recipe(path).stability.orders == 2
    shown = CliRunner().invoke(app, ["stability", str(path), "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "worst trial" in shown.output
    assert str(PAGE) in shown.output.replace("\n", "")
    dry = CliRunner().invoke(app, ["stability", str(path), "--dry-run"])
    assert "12 trials" in dry.output


def test_methods_may_have_trials_of_their_own(world, tiny_checkpoint, tmp_path):
    """Dear ones fewer: each is split by what it has, and the reliability is that of those with as many as ours."""
    compared = {
        "methods": ["lingraft", "frozen-head"],
        "variants": {
            "frozen-head": {"shots": {"draws": 1}, "seeds": [1]},
            "shorter": {"prompt": {"length": 1}},
            "few": {"shots": {"draws": 3}, "seeds": [1], "adapter": None},
        },
    }
    recipe = recipe_of(world, tiny_checkpoint, tmp_path / "study", stability={"draws": 2, "seeds": 2}, compare=compared)
    folder = study_stability(recipe, quiet=True, start=start_here)
    (study,) = read_stability(read_comparison(folder))
    found = {method.name: method for method in study.methods}
    assert {name: tuple(one.levels.values()) for name, one in found.items()} == {
        "lingraft": (2, 2, 1), "shorter": (2, 2, 1), "few": (3, 1, 1), "frozen-head": (1, 1, 1),
    }  # fmt: skip
    assert [one.factors for one in found["few"].components] == [("draw",)]
    assert found["frozen-head"].components == ()
    assert study.reliability is not None
    page = (folder / PAGE).read_text(encoding="utf-8")
    assert "| `frozen-head` | 1 trial |" in page
    assert "| `few` | 3 draws |" in page
    finding = page.splitlines()[2].partition(" Trials failed")[0]
    assert "`shorter`" in finding
    assert "`few`" not in finding
    assert "`frozen-head`" not in finding
    assert "| `lingraft` | 2 draws × 2 seeds |" in page


def test_another_comparison_in_the_folder_takes_the_pages_away(world, tiny_checkpoint, tmp_path):
    """They would tell of trials that the table no longer has."""
    place, compared = tmp_path / "study", {"methods": ["frozen-head", "lingraft"]}
    recipe = recipe_of(world, tiny_checkpoint, place, stability={"draws": 1, "seeds": 2}, compare=compared)
    folder = study_stability(recipe, quiet=True, start=start_here)
    told = [folder / name for name in (PAGE, *files_of("stability"))]
    assert all(path.exists() for path in told)
    assert "standard deviation" in (folder / "report.html").read_text(encoding="utf-8")
    quick_compare(recipe_of(world, tiny_checkpoint, place, "seeds=[1]", stability=None, compare=compared))
    assert not any(path.exists() for path in told)


@pytest.mark.parametrize("key", ["output_dir", "stability", "_a"])
def test_a_setting_that_names_no_folder_is_refused_in_a_line(world, tiny_checkpoint, tmp_path, key):
    """As for the variants of a comparison."""
    with pytest.raises(ConfigError, match="compare: "):
        crossed(recipe_of(world, tiny_checkpoint, tmp_path, stability={"settings": {key: [1]}}))


def test_a_comparison_warns_once_of_what_check_would_warn_of(tiny_checkpoint, tmp_path, capfd):
    """Here of a text whose copy has another label: its dry run does so, and the comparison itself where it is quiet."""
    changed = write_world(tmp_path, train=40, dev=8, test=8, pairs=30)
    with (changed / f"{SOURCE}.train.csv").open("a", encoding="utf-8") as file:
        file.write(f"again,{labelled_texts(1)[0][0]},stone\n")
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    given = {"compare": {"methods": ["frozen-head", "prototype"]}, "backbone": backbone}
    recipe = world_recipe(changed, [f"output_dir={tmp_path / 'out'}", "shots.k=1", "device=cpu"], **given)
    (doubt,) = [line for line in plan(recipe).warnings if "stands there more than once" in line]
    assert describe_costs(recipe).count(f"warning: {doubt}") == 1
    quick_compare(recipe)
    assert capfd.readouterr().err.replace("\n", " ").count(doubt) == 1
