"""A curve over labels: what is compared, points that are the scores' means, and the page that tells them."""

from collections import defaultdict
from math import inf

import numpy as np
import pytest
from typer.testing import CliRunner

from invented import TARGET, world_recipe, write_world
from lingraft.cli.main import app
from lingraft.core.errors import ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.experiments.methods import list_methods
from lingraft.experiments.shot_curve import PAGE, draw_shot_curve, with_shots
from lingraft.results.comparison import read_comparison
from lingraft.results.pages.shot_curve_markdown import findings
from lingraft.results.shot_curve import Curve, ShotCurve, Worth, labels_for, read_shot_curve
from lingraft.results.statistics import Difference
from quick_run import start_here

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu", "seeds=[1]"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
CURVE = {"k": [0, 1, 2], "draws": 2, "pairs": [0, 6, "all"]}
COMPARED = {
    "methods": ["frozen-head", "instant", "lingraft"],
    "variants": {"lingraft-noisy-pairs": {"method": "frozen-head"}},
}
TASK = {"from": "task"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics of an invented language."""
    return write_world(tmp_path_factory.mktemp("world"), train=48, dev=8, test=20)


def recipe_of(world, checkpoint, output, *overrides, **blocks):
    """A small recipe with a curve."""
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    blocks = {"shot_curve": CURVE, "compare": COMPARED, "parallel": TASK} | blocks
    return world_recipe(world, [*SMALL, f"output_dir={output}", *overrides], backbone=backbone, **blocks)


@pytest.fixture(scope="module")
def drawn(world, tiny_checkpoint, tmp_path_factory):
    """The folder of a curve that came to its end."""
    place = tmp_path_factory.mktemp("runs") / "curve"
    return draw_shot_curve(recipe_of(world, tiny_checkpoint, place), quiet=True, start=start_here)


def scores_of(folder):
    """By method and number of labels, the target's scores of all draws."""
    found = defaultdict(list)
    source = read_object(folder / "comparison.json")["data"]["source_language"]
    for row in read_lines(folder / "scores.jsonl"):
        if row["language"] != source and row["metric"] == "accuracy":
            found[row["method"], row["shots"]].append(row["value"])
    return found


def test_ours_are_tried_with_fewer_translations(drawn):
    """And every method with every number of labels, in every draw."""
    found = scores_of(drawn)
    names = ["frozen-head", "instant", "instant-0-pairs", "instant-6-pairs", "lingraft", "lingraft-0-pairs"]
    names += ["lingraft-6-pairs", "lingraft-noisy-pairs"]
    assert sorted(found) == [(name, k) for name in names for k in (0, 1, 2)]
    assert {len(values) for values in found.values()} == {2}


def test_points_are_means_of_the_scores(drawn):
    """With the reference less the method, paired."""
    curve = read_shot_curve(read_comparison(drawn))
    scores = scores_of(drawn)
    assert curve.shots == (0, 1, 2)
    for one in curve.curves:
        for shots, point in one.points.items():
            assert point.value == pytest.approx(np.mean(scores[one.name, shots]))
            assert point.low <= point.value <= point.high
        for shots, ahead in one.ahead.items():
            assert ahead.mean == pytest.approx(np.mean(scores["lingraft", shots]) - np.mean(scores[one.name, shots]))
    assert [one.name for one in curve.curves if not one.ahead] == ["lingraft"]


def test_translations_are_worth_the_labels_that_a_curve_without_them_needs(drawn):
    """For each method that is tried without, and each number of translations."""
    curve = read_shot_curve(read_comparison(drawn))
    scores = {key: float(np.mean(values)) for key, values in scores_of(drawn).items()}
    assert [(one.name, one.pairs) for one in curve.worths] == [
        ("instant", 6), ("instant", None), ("lingraft", 6), ("lingraft", None),
    ]  # fmt: skip
    for one in curve.worths:
        name = one.name if one.pairs is None else f"{one.name}-{one.pairs}-pairs"
        without = [scores[f"{one.name}-0-pairs", k] for k in (0, 1, 2)]
        assert one.labels == labels_for((0, 1, 2), without, scores[name, 0])
        assert 0 <= one.low <= one.high <= inf


def test_the_page_has_every_method_twice_and_says_who_is_ahead(drawn):
    """In two tables; the reference once."""
    page = (drawn / PAGE).read_text(encoding="utf-8")
    assert page.count("\n| `lingraft` |") == 1
    beside = " ".join(line for line in page.splitlines() if line.startswith("- `lingraft` beside "))
    for name in ("frozen-head", "instant", "instant-6-pairs", "lingraft-0-pairs"):
        assert page.count(f"\n| `{name}` |") == 2
        assert beside.count(f"`{name}`") == 1
    worth = [line for line in page.splitlines() if " worth " in line]
    assert all(line.endswith(" (∞: more than were tried).") for line in worth)
    assert sum(line.count(f"`{name}`") for line in worth for name in ("instant", "lingraft")) == 4


def test_a_finished_curve_trains_nothing(drawn, world, tiny_checkpoint):
    """No method's process is started."""
    before = (drawn / PAGE).read_bytes()

    def refuse(wanted, complaints):
        raise AssertionError("a process was started")

    assert draw_shot_curve(recipe_of(world, tiny_checkpoint, drawn), quiet=True, start=refuse) == drawn
    assert (drawn / PAGE).read_bytes() == before


def test_without_numbers_there_are_as_many_as_every_class_has(world, tiny_checkpoint, tmp_path):
    """By doubling; what no class has is no error."""
    recipe = with_shots(recipe_of(world, tiny_checkpoint, tmp_path, shot_curve={"draws": 2}))
    assert recipe.shots.ks == [0, 1, 2, 4]
    with pytest.raises(DataError, match="needs 9,999 shots of every class"):
        draw_shot_curve(
            recipe_of(world, tiny_checkpoint, tmp_path, shot_curve={"k": [0, 9999]}), quiet=True, start=start_here
        )


def test_where_the_target_has_no_labels_a_curve_says_what_it_draws_from(tiny_checkpoint, tmp_path):
    """Beside the file that is missing."""
    world = write_world(tmp_path, train=24, dev=8, test=20)
    (world / f"{TARGET}.train.csv").unlink()
    with pytest.raises(DataError, match=r"draws them from labelled examples of the target"):
        with_shots(recipe_of(world, tiny_checkpoint, tmp_path / "run", shot_curve={"draws": 1}, parallel=None))


def test_without_translations_there_are_curves_alone(world, tiny_checkpoint, tmp_path):
    """And without a block, the usual methods."""
    recipe = with_shots(recipe_of(world, tiny_checkpoint, tmp_path, parallel=None, compare=None))
    assert [method.name for method in list_methods(recipe)] == ["frozen-head", "instant", "peft-lora", "lingraft"]


def test_a_variant_of_the_same_name_is_refused(world, tiny_checkpoint, tmp_path):
    """With what to change."""
    compared = COMPARED | {"variants": {"lingraft-6-pairs": {"train": {"max_pairs": 6}}}}
    with pytest.raises(ConfigError, match=r"compare\.variants has lingraft-6-pairs already"):
        with_shots(recipe_of(world, tiny_checkpoint, tmp_path, compare=compared))


def test_labels_of_a_variant_s_own_are_refused(world, tiny_checkpoint, tmp_path):
    """All methods have those of the curve; draws of one's own are no harm."""
    compared = COMPARED | {"variants": {"a": {"shots": {"k": [1]}}, "b": {"shots": {"draws": 1}}}}
    with pytest.raises(ConfigError, match=r"compare\.variants\.a: sets shots\.k"):
        with_shots(recipe_of(world, tiny_checkpoint, tmp_path, compare=compared))


def test_a_number_of_labels_that_comes_twice_is_refused(world, tiny_checkpoint, tmp_path):
    """Where the recipe is read."""
    with pytest.raises(ConfigError, match="names a number of labels twice"):
        recipe_of(world, tiny_checkpoint, tmp_path, shot_curve={"k": [1, 1, 2]})


def test_the_command_shows_the_table(drawn, world, tiny_checkpoint, tmp_path):
    """And what it says."""
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_of(world, tiny_checkpoint, drawn).to_yaml(), encoding="utf-8")
    shown = CliRunner().invoke(app, ["shots", str(path), "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "lingraft-6-pairs" in shown.output
    assert "translations are worth" in " ".join(shown.output.split())
    dry = CliRunner().invoke(app, ["shots", str(path), "--dry-run"])
    assert "lingraft-6-pairs: 6 trials, " in dry.output
    plain = CliRunner().invoke(app, ["compare", str(path), "--dry-run"])
    assert "lingraft: 1 trial, " in plain.output


def test_curves_that_cross_at_a_tie_are_said_to_cross(drawn):
    """Above with no label, level with one, below with two: between none and two."""
    ahead = {k: Difference(mean, mean - 1, mean + 1, 1.0, 0.001) for k, mean in ((0, 0.1), (1, 0.0), (2, -0.1))}
    curve = ShotCurve((0, 1, 2), (Curve("other", {}, ahead, {}),), ())
    assert list(findings(curve, read_comparison(drawn))) == ["`lingraft` beside `other`: they cross between 0 and 2."]


def test_what_holds_of_several_methods_is_one_sentence(drawn):
    """Who is ahead of whom, and what translations are worth to whom."""
    above, level = ({k: Difference(mean, mean - 1, mean + 1, 1.0, 0.001) for k in (0, 1)} for mean in (2.0, 0.5))
    curves = [Curve(name, {}, ahead, {}) for name, ahead in (("a", above), ("b", level), ("c", above))]
    worths = [Worth(name, 50, inf, 0.8, inf) for name in ("instant", "lingraft")]
    assert list(findings(ShotCurve((0, 1), tuple(curves), tuple(worths)), read_comparison(drawn))) == [
        "`lingraft` beside `a` and `c`: clearly above with 0 and 1.",
        "`lingraft` beside `b`: nowhere clearly apart.",
        "Without any label 50 translations are worth ∞ [0.8, ∞] shots per label to `instant` and `lingraft` (∞: more "
        "than were tried).",
    ]


def test_more_translations_than_there_are_are_refused(world, tiny_checkpoint, tmp_path):
    """A variant of that name would be the method itself; of the usual numbers such are left out."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path, shot_curve={"k": [0, 1], "pairs": [10_000]})
    with pytest.raises(ConfigError, match=r"shot_curve\.pairs: 10,000 is not fewer than all \d+ translations"):
        with_shots(recipe)
    usual = with_shots(recipe_of(world, tiny_checkpoint, tmp_path, shot_curve={"k": [0, 1]}))
    fewer = [name for name in usual.compare.variants if name not in COMPARED["variants"]]
    assert fewer == ["instant-0-pairs", "lingraft-0-pairs"]
