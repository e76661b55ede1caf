"""A comparison: variants of one recipe, run, resumed, put in a table whose numbers are computed again by hand."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import lingraft.experiments.compare
from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.backbones.loading import empty_stack
from lingraft.cli.main import app
from lingraft.core.errors import CheckpointError, ConfigError, RunError
from lingraft.core.files import read_lines, read_object, write_json, write_lines
from lingraft.core.memory import peak_bytes
from lingraft.core.progress import Advance
from lingraft.experiments.compare import compare
from lingraft.experiments.cost import FITTED, estimates, rate_of
from lingraft.experiments.methods import PEERS, built_in_methods, list_methods
from lingraft.experiments.possible import describe_left_out, settle_methods
from lingraft.experiments.processes import start_worker, work
from lingraft.experiments.worker import chosen_rate, run_method
from lingraft.recipe.comparison import METHODS, CompareSettings
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.results.comparison import _sharing, blocks, read_comparison
from lingraft.results.experiment_tables import comparison_table
from lingraft.results.method_schemas import COMPARISON
from lingraft.results.pages.comparison_markdown import finding, page_text, write_comparison_page
from lingraft.results.resampling import resample
from lingraft.results.source_comparison import source_scores
from lingraft.results.wording import duration
from lingraft.runs.checks import resolve_cut
from lingraft.runs.folder import open_run_folder
from lingraft.runs.plan import plan
from lingraft.runs.timing import STARTING, trial_seconds
from lingraft.serving.loading import load
from quick_run import QUIET, quick_compare, run
from tiny import WORDS, random_model, save_checkpoint

ELSEWHERE = (*PEERS, "label-words")
OWN = [name for name in METHODS if name not in ELSEWHERE]
"""All methods but those with tests of their own: other libraries', which may not be installed, and words."""

SMALL = [
    "train.num_train_epochs=2",
    "train.batch_size=8",
    "prompt.name=deep",
    "prompt.length=2",
    "prompt.language_length=1",
    "adapter.name=bottleneck",
    "adapter.width=4",
    "adapter.language_width=2",
    "device=cpu",
    "shots.k=1",
    "seeds=[1]",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


def recipe(world, checkpoint, output, *overrides, **compared):
    """A small recipe on the tiny checkpoint."""
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32, "text_prefix": "ada "},
        parallel={"files": str(world / "pairs.{language}.tsv")},
        compare=compared,
    )


# ---- Methods ---------------------------------------------------------------------------------------


def test_every_method_is_described(world, tiny_checkpoint, tmp_path):
    """What `methods.yaml` describes is what a recipe can name, in the order of the table, each with its own folder."""
    assert tuple(built_in_methods()) == METHODS
    found = list_methods(recipe(world, tiny_checkpoint, tmp_path, label_words={"template": "{text} {label}"}))
    assert [one.name for one in found] == list(METHODS)
    assert [one.recipe.output_dir for one in found] == [tmp_path / name for name in METHODS]


def test_methods_differ_in_what_they_say_and_in_nothing_else(world, tiny_checkpoint, tmp_path):
    """Data, draws, epochs and batches are those of the recipe; who aligns has pairs, and who does not has none."""
    base = recipe(world, tiny_checkpoint, tmp_path, methods=OWN)
    for one in list_methods(base):
        same = ("seeds", "device", "task", "shots", "parallel", "cache")
        assert all(getattr(one.recipe, key) == getattr(base, key) for key in same)
        assert one.recipe.train.num_train_epochs == (0 if one.name == "instant" else base.train.num_train_epochs)
        assert one.recipe.train.batch_size == base.train.batch_size
        assert one.recipe.train.shot_weight == (1.0 if one.name == "frozen-head" else base.train.shot_weight)
        aligned = one.name in ("lora+alignment", "full+alignment", "paper", "lingraft")
        assert bool(one.recipe.alignment) == aligned
        assert (one.recipe.train.max_pairs != 0) == (aligned or one.name == "instant")
        assert (one.recipe.map is not None) == (one.name == "instant" or (aligned and one.name != "paper"))
    ours = list_methods(base)[-1].recipe
    assert ours.model_copy(update={"output_dir": base.output_dir, "compare": base.compare}) == base


def test_copies_that_get_the_same_answers_are_ours_alone(world, tiny_checkpoint, tmp_path):
    """Who learns from labelled examples alone has no copies, and who trains nothing by gradient has no loss."""
    copies = {"lexicon": "words.{language}.tsv"}
    base = recipe(world, tiny_checkpoint, tmp_path, methods=OWN)
    with_copies = parse_recipe(base.model_dump(mode="json", by_alias=True) | {"consistency": copies})
    found = {one.name for one in list_methods(with_copies) if one.recipe.consistency is not None}
    assert found == {"lora+alignment", "full+alignment", "lingraft"}


def test_a_variant_starts_from_a_method_and_may_take_its_place(world, tiny_checkpoint, tmp_path):
    """A name of one's own is a further row; that of a built-in method replaces its row, and keeps its learning rate."""
    own = {
        "no-prompt": {"prompt": None},
        "top-k": {"method": "top-k", "freezing": {"layers": 1}, "seeds": [1, 2]},
    }
    found = {v.name: v for v in list_methods(recipe(world, tiny_checkpoint, tmp_path, methods=["top-k"], variants=own))}
    assert list(found) == ["top-k", "no-prompt"]
    assert found["no-prompt"].recipe.prompt is None
    assert found["no-prompt"].recipe.alignment
    assert found["top-k"].recipe.freezing.options == {"layers": 1}
    assert found["top-k"].recipe.seeds == [1, 2]
    assert found["top-k"].rate == "train.backbone_learning_rate"
    assert "freezing.layers 1" in found["top-k"].about


def test_all_fragments_that_do_not_fit_are_told_at_once(world, tiny_checkpoint, tmp_path):
    """One round of editing is enough, whichever methods the mistakes are in."""
    own = {"a": {"prompt": {"name": "depe"}}, "b": {"train": {"learning_rat": 1}}}
    wrong = recipe(
        world, tiny_checkpoint, tmp_path, methods=["lingraft"], variants=own, learning_rates={"top-k": [0.1]}
    )
    with pytest.raises(ConfigError) as caught:
        list_methods(wrong)
    told = str(caught.value)
    assert "3 problems" in told
    assert "compare.learning_rates.top-k: no such method is compared" in told
    assert "compare, a: prompt" in told
    assert "compare, b: train.learning_rat" in told


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"methods": ["peft-loar"]}, "peft-lora"),
        ({"variants": {"a/b": {}}}, "names a folder"),
        ({"variants": {"tuning": {}}}, "names a folder"),
        ({"variants": {"mined": {}}}, "names a folder"),
        ({"variants": {"ReadMe.md": {}}}, "names a folder"),
        ({"variants": {"mine.": {}}}, "names a folder"),
        ({"variants": {"aux.2": {}}}, "'aux.2' names a folder, which cannot have the name of a device of Windows"),
        ({"variants": {"COM1": {}}}, "device of Windows"),
        ({"variants": {"mine": {}, "Mine": {}}}, "'mine' and 'Mine' name folders, which are one where case does not"),
        ({"variants": {"Lingraft": {}}}, "'Lingraft' and 'lingraft' name folders"),
        ({"variants": {"a": {"output_dir": "b"}}}, "sets `output_dir`, which belongs to the comparison"),
        ({"variants": {"a": {"compare": {}}}}, "sets `compare`, which belongs to the comparison"),
        ({"methods": []}, "compare: name at least one method or variant"),
        ({"variants": {"a": {"method": "b"}}}, "unknown method"),
        ({"learning_rates": {"top-k": [1, 2, 3, 4]}}, "learning_rates.top-k"),
        ({"neighbors": 3}, "did you mean 'neighbours'"),
    ],
)
def test_a_wrong_compare_block_is_refused(block, told):
    """Before anything is trained, with what is allowed instead."""
    with pytest.raises(ConfigError, match=told):
        parse_recipe({"task": {"name": "cldr_names", "target_languages": ["yor-Latn"]}, "compare": block})


def test_a_variants_preset_lies_over_the_recipe_and_under_its_own_keys(world, tiny_checkpoint, tmp_path):
    """Three layers: the preset replaces what the recipe says, and the variant what the preset says."""
    own = {"x": {"preset": "paper", "train": {"source_regularisation": 0.5}}, "y": {"preset": "papr"}}
    found = recipe(world, tiny_checkpoint, tmp_path, methods=["lingraft"], variants={"x": own["x"]})
    one = list_methods(found)[0]
    assert (one.recipe.prompt.name, one.recipe.prompt.options["length"], one.recipe.adapter) == ("input", 20, None)
    assert (one.recipe.train.source_regularisation, one.recipe.train.average_last, one.recipe.train.batch_size) == (
        0.5,
        1,
        8,
    )
    assert "preset paper" in one.about
    with pytest.raises(ConfigError, match="compare, y: preset: unknown preset 'papr'; did you mean 'paper'"):
        list_methods(recipe(world, tiny_checkpoint, tmp_path, variants=own))


@pytest.mark.parametrize(
    "change", [{"parallel": None}, {"train": {"max_pairs": 0}}], ids=["no parallel text", "no pairs passed"]
)
def test_methods_that_align_are_refused_where_nothing_can_be_aligned(world, change):
    """They would train something else under their name; the error has the list of methods to write instead."""
    named = ["top-k", "lora+alignment", "full+alignment", "paper", "lingraft"]
    found = {"parallel": {"files": str(world / "pairs.{language}.tsv")}, "compare": {"methods": named}} | change
    with pytest.raises(ConfigError) as caught:
        list_methods(world_recipe(world, **found))
    assert caught.value.problems == [
        "compare.methods: lora+alignment, full+alignment, paper need parallel text and an alignment loss; leave them "
        "out: methods: [top-k, lingraft]"
    ]


@pytest.mark.parametrize("compared", [None, {"variants": {"small": {"prompt": None}}}], ids=["no block", "a variant"])
def test_who_names_no_methods_gets_those_that_are_possible(world, tiny_checkpoint, compared):
    """Nothing can be aligned in one language: three methods are left out of all, with the reason in one line."""
    alone = {"name": "classification", "language": SOURCE, "files": {"train": f"{SOURCE}.train.csv"}}
    alone |= {"fields": {"text": "sentence", "label": "topic"}, "data_dir": str(world)}
    found = world_recipe(world, task=alone, compare=compared, backbone={"checkpoint": str(tiny_checkpoint)})
    settled, left_out = settle_methods(found)
    aligned = ("lora+alignment", "full+alignment", "paper")
    assert describe_left_out({name: why for name, why in left_out.items() if name not in ELSEWHERE}) == (
        "not compared: lora+alignment, full+alignment, paper (needs parallel text and an alignment loss)"
    )
    names = [*METHODS[:-1], *(compared or {}).get("variants", ()), METHODS[-1]]
    assert [one.name for one in list_methods(settled)] == [name for name in names if name not in left_out]
    assert {name for name in left_out if name not in ELSEWHERE} == set(aligned)
    assert list_methods(parse_recipe(settled.model_dump(mode="json", by_alias=True)))  # what a worker is given


def test_a_method_that_the_checkpoint_does_not_allow_is_left_out(world, tiny_checkpoint):
    """A loss on low states goes with a prompt at the input; LoRA above the cut has no part in them."""
    low = {"prompt": {"name": "input", "length": 2}, "adapter": None, "alignment": [{"name": "mse", "layer": 1}]}
    pairs = {"parallel": {"files": str(world / "pairs.{language}.tsv")}}
    found = world_recipe(world, **low, **pairs, backbone={"checkpoint": str(tiny_checkpoint)})
    left_out = settle_methods(found)[1]
    assert [name for name in left_out if name not in ELSEWHERE] == ["lora+alignment"]
    assert left_out["lora+alignment"].startswith("alignment.0.layer: states after layer 1 are frozen")


def test_who_names_a_method_gets_it_or_an_error(world):
    """Naming is listing, varying, or giving a learning rate; nothing of that is left out in silence."""
    named = [{"methods": ["paper"]}, {"variants": {"paper": {"prompt": None}}}, {"learning_rates": {"paper": [0.1]}}]
    for compared in named:
        settled, left_out = settle_methods(world_recipe(world, compare=compared))
        assert "paper" not in left_out
        with pytest.raises(ConfigError, match="paper"):
            list_methods(settled)


def test_all_methods_are_possible_whatever_balances_the_gradients(world, tiny_checkpoint):
    """Full fine-tuning that aligns nothing has nothing to balance, and sequential training would refuse to."""
    found = {"parallel": {"files": str(world / "pairs.{language}.tsv")}, "train": {"balance": 0.5}}
    settled, left_out = settle_methods(world_recipe(world, **found, backbone={"checkpoint": str(tiny_checkpoint)}))
    assert left_out.keys() <= set(ELSEWHERE)
    assert {one.name: one.recipe.train.balance for one in list_methods(settled)}["full-sequential"] is None


def test_a_method_that_takes_the_recipes_losses_needs_some(world, tiny_checkpoint, tmp_path):
    """A method that takes the recipe's losses needs some; `paper` brings its own, and a variant may."""
    own = {"a": {"method": "full+alignment"}, "b": {"method": "full+alignment", "alignment": [{"name": "mse"}]}}
    methods = ["paper", "lora+alignment", "lingraft"]
    found = recipe(world, tiny_checkpoint, tmp_path, "alignment=[]", methods=methods, variants=own)
    with pytest.raises(ConfigError) as caught:
        list_methods(found)
    assert caught.value.problems == [
        "compare.variants.a: full+alignment needs parallel text and an alignment loss; leave it out",
        "compare.methods: lora+alignment needs parallel text and an alignment loss; leave it out: "
        "methods: [paper, lingraft]",
    ]


def test_a_learning_rate_for_nothing_is_refused(world, tiny_checkpoint, tmp_path):
    """Who names one expects it to be tried; a head that is fitted has none."""
    rates = {"frozen-head": [0.1], "near": [0.1]}
    own = {"near": {"method": "prototype"}}
    found = recipe(world, tiny_checkpoint, tmp_path, methods=OWN, variants=own, learning_rates=rates)
    with pytest.raises(ConfigError) as caught:
        list_methods(found)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "compare.learning_rates.frozen-head",
        "compare.learning_rates.near",
    ]
    assert "nothing is trained there" in str(caught.value)


def test_a_learning_rate_goes_where_the_method_learns(world, tiny_checkpoint, tmp_path):
    """Adapters, prompts and the backbone's own layers have three different settings."""
    found = {v.name: v for v in list_methods(recipe(world, tiny_checkpoint, tmp_path, methods=OWN))}
    assert found["full-joint"].at_rate(1e-3).train.backbone_learning_rate == 1e-3
    assert found["peft-prompt"].at_rate(0.3).train.prompt_learning_rate == 0.3
    assert found["lingraft"].at_rate(0.1, num_train_epochs=4).train.num_train_epochs == 4


def test_the_best_rate_on_the_source_is_chosen_and_the_first_of_equals(world, tiny_checkpoint, tmp_path):
    """Those that diverged are out; where one rate is given or none, nothing is chosen."""
    rates = {"top-k": [1e-3, 1e-4, 1e-5], "full-joint": [0.5]}
    found = {
        v.name: v for v in list_methods(recipe(world, tiny_checkpoint, tmp_path, methods=OWN, learning_rates=rates))
    }
    assert chosen_rate(found["top-k"], {1e-3: 0.5, 1e-4: 0.7, 1e-5: 0.7}) == 1e-4
    assert chosen_rate(found["top-k"], {1e-3: None, 1e-4: 0.1, 1e-5: None}) == 1e-4
    assert chosen_rate(found["full-joint"], {}) == 0.5
    assert chosen_rate(found["lingraft"], {}) is None
    with pytest.raises(RunError, match="diverged at each of the learning rates"):
        chosen_rate(found["top-k"], {1e-3: None, 1e-4: None})


# ---- All methods, in this process ------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(world, tiny_checkpoint, tmp_path_factory):
    """All methods and a variant of two seeds; their folder and variants."""
    output = tmp_path_factory.mktemp("all") / "out"
    own = {"two-seeds": {"seeds": [1, 2]}, "lingraft": {"seeds": [1, 2]}}
    found = recipe(world, tiny_checkpoint, output, methods=OWN, variants=own, learning_rates={"top-k": [1e-4, 1e-2]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(output / "cache"))
        for one in list_methods(found):
            run_method(one, found)
    lingraft.experiments.compare._collect(output, found, list_methods(found), {})
    return output, found


def test_every_method_leaves_its_files(compared):
    """All methods that are trained and those that are not, with the same labels."""
    output, found = compared
    for one in list_methods(found):
        facts = read_object(output / one.name / "method.json")
        assert facts["name"] == one.name
        assert (output / one.name / "recipe.yaml").is_file()
        for trial, language in product(facts["trials"], (SOURCE, TARGET)):
            assert len(list(read_lines(output / one.name / "predictions" / trial / f"{language}.jsonl"))) == 12
        assert set(facts["seconds"]) == set(facts["trials"])
        assert (
            facts["labels"]["k1-draw0-seed1"]
            == read_object(output / "paper" / "method.json")["labels"]["k1-draw0-seed1"]
        )


def test_trained_parameters_count_the_head(compared):
    """As each method's formula says, so that the column of the table is comparable."""
    output, _ = compared
    trained = {m["name"]: m["trainable_parameters"] for m in read_object(output / "comparison.json")["methods"]}
    head, width, layers = 3 * 24 + 3, 24, 3
    assert trained["frozen-head"] == head
    assert trained["prototype"] == 0
    assert trained["peft-prompt"] == 20 * width + head
    assert trained["peft-prefix"] == 20 * 2 * width * layers + head
    assert trained["peft-lora"] == layers * 2 * 2 * 8 * width + head  # queries and values
    assert trained["full-joint"] == trained["full-sequential"] > trained["top-k"]
    rank = 3  # of the map: a direction for each class, for states and for the n-grams that two pairs share
    mapped = trained["full+alignment"] - trained["full-joint"] - 2 * width * rank
    assert mapped == trained["instant"] - head - 2 * width * rank > 0
    assert mapped % rank == 1  # and the weight of the mapped head


def test_what_is_left_out_is_a_method_without_numbers(compared, tmp_path):
    """The page says why it is absent, as it does of what was tried in vain."""
    found = compared[1]
    lingraft.experiments.compare._collect(tmp_path, found, list_methods(found)[:1], {"paper": "needs translations"})
    (tried, absent) = read_object(tmp_path / "comparison.json", COMPARISON)["methods"]
    assert tried["name"] == "frozen-head"
    about = "one input prompt, mean squared error, everything frozen"
    assert absent == {"name": "paper", "about": about, "impossible": "needs translations"}


def test_steps_are_those_of_the_optimiser(compared):
    """Steps are those of the optimiser: 24 pairs, 24 labelled examples and 3 shots, in batches of 8, twice."""
    output, _ = compared
    steps = {m["name"]: m["steps"]["k1-draw0-seed1"] for m in read_object(output / "comparison.json")["methods"]}
    assert steps["frozen-head"] == steps["prototype"] == 0
    assert steps["lingraft"] == steps["paper"] == 2 * 4
    assert steps["full-joint"] == steps["peft-lora"] == 2 * 3
    assert steps["full-sequential"] == 2 * 3 + 2 * 1
    (twice,) = (m for m in read_object(output / "comparison.json")["methods"] if m["name"] == "two-seeds")
    rows = list(read_lines(output / "two-seeds" / "trials" / "k1-draw0-seed2" / "training.jsonl"))
    assert twice["steps"]["k1-draw0-seed2"] == rows[-1]["step"]


def test_a_trained_method_can_be_used_or_says_why_not(compared):
    """A trained method can be loaded; PEFT's prompts, which PEFT alone computes, say so in one line."""
    output, _ = compared
    for name in ("lingraft", "lora+alignment", "top-k", "peft-lora"):
        (prediction,) = load(output / name).predict(["w1 w2 w3"])
        assert 0 < prediction.confidence <= 1
    for name in ("peft-prompt", "peft-prefix"):
        with pytest.raises(CheckpointError, match="a prompt that PEFT made"):
            load(output / name)
    with pytest.raises(CheckpointError, match=r"adaptation\.safetensors"):
        load(output / "prototype")


def test_scores_are_named_by_method(compared):
    """One file for all, whose values are those of the predictions."""
    output, _ = compared
    rows = list(read_lines(output / "scores.jsonl"))
    assert {row["method"] for row in rows} == {*OWN, "two-seeds"}
    wanted = {"method": "frozen-head", "language": TARGET, "metric": "accuracy"}
    own = next(row for row in rows if wanted.items() <= row.items())
    answers = list(read_lines(output / "frozen-head" / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"))
    assert own["value"] == pytest.approx(np.mean([row["value"] == row["gold"] for row in answers]))


def test_rates_are_tried_without_a_test_set(compared):
    """Tuning on what is reported would flatter the tuned method."""
    output, _ = compared
    tried = read_object(output / "top-k" / "method.json")["learning_rate"]
    assert set(tried["tried"]) == {"0.0001", "0.01"}
    best = max(tried["tried"], key=tried["tried"].get)
    assert tried["value"] == float(best)
    written = YAML(typ="safe").load(output / "top-k" / "recipe.yaml")
    assert written["train"]["backbone_learning_rate"] == float(best)
    for folder in (output / "tuning" / "top-k").iterdir():
        assert not (folder / "predictions").exists()
        assert list(read_lines(folder / "trials" / "k1-draw0-seed1" / "scores.jsonl")) == []


def test_the_table_is_what_a_loop_over_predictions_says(compared):
    """Means and paired differences again, from the prediction files alone, on the trials that methods share."""
    output, _ = compared
    comparison = read_comparison(output)
    first, more = blocks(comparison)
    assert first.trials == ("k1-draw0-seed1",)
    assert more.trials == ("k1-draw0-seed1", "k1-draw0-seed2")
    assert {result.name for result in more.results} == {"lingraft", "two-seeds"}

    def right(method, trial):
        rows = read_lines(output / method / "predictions" / trial / f"{TARGET}.jsonl")
        return [float(row["value"] == row["gold"]) for row in sorted(rows, key=lambda row: row["id"])]

    for block in (first, more):
        ours = np.array([right("lingraft", trial) for trial in block.trials])
        for result in block.results:
            values = np.array([right(result.name, trial) for trial in block.trials])
            assert result.mean.value == pytest.approx(values.mean())
            assert result.mean.low <= values.mean() <= result.mean.high
        for result in [other for other in block.results if other.name != "lingraft"]:
            values = np.array([right(result.name, trial) for trial in block.trials])
            assert result.difference.mean == pytest.approx(values.mean() - ours.mean())
    means = [result.mean.value for result in first.results]
    assert means == sorted(means, reverse=True)


def test_the_page_says_who_wins_in_its_first_paragraph(compared, tmp_path):
    """Nobody should have to search a table for it, least of all where it is not us."""
    output, found = compared
    comparison = read_comparison(output)
    first = blocks(comparison)[0]
    page = write_comparison_page(output, tmp_path / "page.md", command="lingraft compare x.yaml")
    text = page.read_text()
    assert text.splitlines()[2] == f"- {finding(first, comparison)}"
    ours = next(result for result in first.results if result.name == "lingraft")
    better = [result.name for result in first.results if result.mean.value > ours.mean.value]
    assert ("does not win" in text.splitlines()[2]) == bool(better)
    assert all(f"`{name}`" in text.splitlines()[2] for name in better[:1])
    assert (tmp_path / "page" / "scores.jsonl").read_text() == (output / "scores.jsonl").read_text()
    assert all(f"`{name}`" in text for name in OWN)
    assert "same labelled examples" in text
    for method in found.compare.names:
        (trial,) = first.trials
        rows = read_lines(output / method / "trials" / trial / "development.jsonl")
        right = np.mean([row["counts"][0] for row in rows])
        facts = read_object(output / method / "trials" / trial / "trial.json")
        assert facts.get("dev_score", right) == pytest.approx(right)
        assert f"| `{method}` | {100 * right:.1f} [" in text


def page_of(comparison, **how):
    """The page of a comparison."""
    return page_text(blocks(comparison), comparison, **how)


# ---- The table on invented predictions -------------------------------------------------------------


def fake(folder, answers, *, trials=("k0-draw0-seed1",), impossible=()):
    """A comparison folder in which a method is right where told, in two languages, in each trial."""
    methods = []
    for name, right in answers.items():
        for trial, language in product(trials, ("yor-Latn", "ibo-Latn")):
            rows = [
                {"id": f"s{i}", "group": f"s{i}", "gold": "a", "value": "ab"[not r], "counts": [r, 1], "right": r}
                for i, r in enumerate(right)
            ]
            write_lines(folder / name / "predictions" / trial / f"{language}.jsonl", rows)
        methods.append(
            {"name": name, "about": "invented", "trials": list(trials), "trainable_parameters": 1234}
            | {
                "seconds": dict.fromkeys(trials, 61.0),
                "peak_bytes": 1_500_000_000,
                "labels": dict.fromkeys(trials, "x"),
            }
            | {"steps": dict.fromkeys(trials, 88), "pairs": dict.fromkeys(trials, name)}
            | {"learning_rate": {"setting": None, "value": None, "tried": {}}}
        )
    methods += [{"name": name, "about": "invented", "impossible": "PEFT cannot"} for name in impossible]
    names = {code: {"name": code[:3]} for code in ("yor-Latn", "ibo-Latn")}
    data = {"task": "t", "target_languages": list(names), "languages": names}
    write_json(folder / "comparison.json", {"data": data, "reference": "lingraft", "epochs": 8, "methods": methods})
    return read_comparison(folder)


def test_a_baseline_that_wins_is_named_first(tmp_path):
    """With its lead and the interval of that; what is below is not mentioned."""
    found = fake(tmp_path, {"lingraft": [1, 1, 0, 0] * 5, "top-k": [1, 1, 1, 0] * 5, "paper": [1, 0, 0, 0] * 5})
    told = finding(blocks(found)[0], found)
    assert told.startswith("**k = 0: `lingraft` (50.0 %) does not win: above it is `top-k` by 25.0 [")
    assert "paper" not in told


def test_a_win_says_what_comes_next_and_what_is_not_told_apart(tmp_path):
    """A highest mean alone would hide that the second may be as good."""
    found = fake(tmp_path, {"lingraft": [1, 1, 1, 0] * 9, "top-k": [1, 1, 1, 0] * 8 + [1, 1, 0, 0], "paper": [0] * 36})
    told = finding(blocks(found)[0], found)
    assert told.startswith("**k = 0: `lingraft` has the highest mean, 75.0 %.** Next is `top-k` (-2.8 [")
    assert told.endswith("includes 0 for `top-k`.")


def test_the_cells_of_a_row(tmp_path):
    """Numbers as a reader sees them, and the notes on what was impossible and on what was not the same."""
    found = fake(tmp_path, {"lingraft": [1] * 10, "top-k": [1] * 9 + [0]}, impossible=["peft-prefix"])
    ours, other = comparison_table(blocks(found)[0], found).texts
    assert ours[0] == "lingraft"
    assert ours[1] == "100.0 % [69.2, 100.0]"  # ten of ten, by Clopper and Pearson
    assert ours[3:5] == ["", ""]
    assert other[2] == "yor 90.0"
    assert other[5] == "1,234"
    assert other[6:] == ["88", duration(61), "1.50 GB"]
    page = page_of(found)
    assert "`peft-prefix`: invented. Not possible: PEFT cannot." in page
    assert "All methods had the same labelled examples, source and target, in every trial" in page
    assert "Not all methods had the same pairs, used or not, in k0-draw0-seed1." in page
    assert "Generated by `lingraft compare` from the settings in `recipe.yaml`" in page
    assert "    lingraft compare x.yaml\n" in page_of(found, command="lingraft compare x.yaml")


def test_a_folder_of_an_older_release_has_no_steps(tmp_path):
    """Its page leaves the cells empty, and says nothing of pairs that nobody wrote down."""
    found = fake(tmp_path, {"lingraft": [1, 0], "top-k": [0, 0]})
    about = read_object(tmp_path / "comparison.json")
    for method in about["methods"]:
        del method["steps"], method["pairs"]
    write_json(tmp_path / "comparison.json", about)
    found = read_comparison(tmp_path)
    assert comparison_table(blocks(found)[0], found).texts[0][6] == "–"
    assert "the same pairs" not in page_of(found)


def answer_development(folder, answers, trials=("k0-draw0-seed1",)):
    """Write down, in an invented comparison, which development examples a method gets right."""
    for (name, right), trial in product(answers.items(), trials):
        rows = [{"id": f"d{i}", "group": f"d{i}", "counts": [r, 1]} for i, r in enumerate(right)]
        write_lines(folder / name / "trials" / trial / "development.jsonl", rows)
    about = read_object(folder / "comparison.json")
    about["data"]["source_language"] = "eng-Latn"
    about["data"]["languages"]["eng-Latn"] = {"name": "English"}
    write_json(folder / "comparison.json", about)
    return read_comparison(folder)


def test_what_methods_cost_the_source_language_is_said(tmp_path):
    """Its development score, and the difference to ours, paired: by hand, and with its interval on the page."""
    fake(tmp_path, {"lingraft": [1] * 8, "costly": [1] * 8, "even": [1] * 8})
    right = {"lingraft": [1, 1, 1, 0] * 10, "costly": [1, 0, 1, 0] * 10, "even": [1, 1, 0, 1] * 10}
    found = answer_development(tmp_path, right)
    scores = {one.name: one for one in source_scores(found, blocks(found)[0])}
    drawn = resample(40).times
    ours, theirs = (drawn @ np.array(right[name]) / 40 for name in ("lingraft", "costly"))
    assert {name: one.mean.value for name, one in scores.items()} == {"lingraft": 0.75, "costly": 0.5, "even": 0.75}
    costly = scores["costly"].difference
    assert (costly.low, costly.high) == pytest.approx(tuple(np.quantile(theirs - ours, [0.025, 0.975])))
    assert scores["even"].difference.low < 0 < scores["even"].difference.high
    assert scores["lingraft"].difference is None
    page = page_of(found)
    assert "English, which the task is learnt in" in page
    assert "Clearly below `lingraft`: `costly`." in page
    assert f"| `costly` | 50.0 [35.0, 65.0] | -25.0 [{100 * costly.low:+.1f}, {100 * costly.high:+.1f}] |" in page


def test_without_ours_the_source_language_has_scores_and_no_differences(tmp_path):
    """There is nothing to take them to."""
    fake(tmp_path, {"top-k": [1] * 8, "paper": [1] * 8})
    page = page_of(answer_development(tmp_path, {"top-k": [1, 0] * 8, "paper": [1, 1] * 8}))
    assert "English, which the task is learnt in: development score." in page
    assert "| method | development score |\n" in page


def test_a_method_of_an_older_release_is_left_out_of_what_is_said_of_the_source(tmp_path):
    """Its trials wrote no development answers down; other examples than the others had are refused."""
    found = fake(tmp_path, {"lingraft": [1] * 8, "older": [1] * 8})
    assert source_scores(found, blocks(found)[0]) == []
    assert "which the task is learnt in" not in page_of(found)
    found = answer_development(tmp_path, {"lingraft": [1, 0]})
    assert [one.name for one in source_scores(found, blocks(found)[0])] == ["lingraft"]
    found = answer_development(tmp_path, {"older": [1, 0, 1]})
    with pytest.raises(RunError, match="same development examples"):
        page_of(found)


def test_p_values_are_corrected_for_the_number_of_methods(tmp_path):
    """Of three methods the smallest p-value is tripled (Holm)."""
    found = fake(tmp_path, {"lingraft": [1] * 30, "a": [0] * 30, "b": [0] * 30, "c": [0] * 30})
    results = {result.name: result for result in blocks(found)[0].results}
    assert results["a"].p_value == pytest.approx(3 * results["a"].difference.p_value)
    assert results["lingraft"].p_value is None


def test_p_values_are_said_as_finely_as_they_are_known(tmp_path):
    """Eleven sure losses are below a tenth of the level after the correction; the interval is that of two alone."""
    answers = {"lingraft": [1] * 30, "close": [1, 1, 0, 1, 1] * 6}
    alone = blocks(fake(tmp_path / "two", answers))[0]
    found = fake(tmp_path / "many", answers | {f"m{i}": [0] * 30 for i in range(11)})
    many = blocks(found)[0]
    cells = {row[0]: row[4] for row in comparison_table(many, found).texts}
    close = [next(result for result in block.results if result.name == "close") for block in (alone, many)]

    assert many.resolution < 0.005
    assert {cells[f"m{i}"] for i in range(11)} == {"< 0.005"}
    assert alone.resolution == pytest.approx(2 / 2001)
    assert close[0].mean == close[1].mean
    assert (close[0].difference.low, close[0].difference.high) == (close[1].difference.low, close[1].difference.high)


def test_the_page_says_how_far_a_difference_reaches(tmp_path):
    """Over the examples, over other draws and seeds, and what could have been seen; of two languages, not of others."""
    trials = ("k0-draw0-seed1", "k0-draw1-seed1")
    found = fake(tmp_path, {"lingraft": [1] * 20, "top-k": [1, 1, 1, 0] * 5}, trials=trials)
    (reach,) = [result.reach for result in blocks(found)[0].results if result.name == "top-k"]
    page = page_of(found)
    assert "| method | these trainings | other draws and seeds | could be seen |" in page
    beyond = f"-25.0 [{100 * reach.trials.low:+.1f}, {100 * reach.trials.high:+.1f}]"
    assert f"] | {beyond} | {100 * reach.seen:.1f} |" in page
    assert reach.trials.high < -0.04  # the same in both trials: what the examples say, by Student's distribution
    assert reach.trials.high == pytest.approx(-0.25 + 2.093 * reach.seen / 2.8016, abs=1e-3)


def test_a_comparison_without_ours_has_no_differences(tmp_path):
    """Differences are to our method; without it the page says who is highest and no more."""
    found = fake(tmp_path, {"top-k": [1, 0], "paper": [0, 0]})
    assert finding(blocks(found)[0], found) == "**k = 0: `top-k` has the highest mean, 50.0 %.**"
    assert all(row[3] == "" for row in comparison_table(blocks(found)[0], found).texts)


def test_equals_without_ours_share_the_highest_mean(tmp_path):
    """The first of them would otherwise be called the best, which it is not."""
    found = fake(tmp_path, {"top-k": [1, 0], "paper": [0, 1], "flat": [0, 0], "half": [1, 0]})
    assert finding(blocks(found)[0], found) == (
        "**k = 0: `top-k`, `paper` and `half` share the highest mean, 50.0 %.**"
    )


def test_equals_are_next_together(tmp_path):
    """Two that are second are both named."""
    found = fake(tmp_path, {"lingraft": [1, 1], "top-k": [1, 0], "paper": [0, 1]})
    assert "Next are `top-k` and `paper` (-50.0 [" in finding(blocks(found)[0], found)


def test_a_comparison_in_one_language_without_pairs_speaks_of_neither(tmp_path):
    """There is no target and there are no pairs to be the same; what has no row is not counted as if it had one."""
    fake(tmp_path, {"lingraft": [1], "top-k": [1]}, impossible=["paper"])
    about = read_object(tmp_path / "comparison.json")
    about["data"] |= {"source_language": "yor-Latn", "target_languages": []}
    about["data"]["languages"] = {"yor-Latn": {"name": "Yoruba", "pairs": 0}}
    for method in about["methods"][:2]:
        method["pairs"] = dict.fromkeys(method["pairs"], "none")
    write_json(tmp_path / "comparison.json", about)
    page = page_of(read_comparison(tmp_path))
    assert page.startswith("# t: 2 methods, 1 more not possible\n")
    assert "\n## 0 labelled examples in Yoruba: 1 trial a method\n" in page
    assert "n: k0-draw0-seed1; 1 language, 1 test example.\n" in page
    assert "All methods had the same labelled examples in every trial they share." in page
    assert "An epoch is over the labelled examples. *Steps*" in page
    assert "pairs" not in page


def test_methods_are_compared_on_what_they_share():
    """A mean over other draws is not comparable, so methods with fewer trials do not pull the others down to theirs."""
    held = {"a": {"1", "2"}, "b": {"1"}, "c": {"1", "2", "3"}, "d": {"9"}}
    assert list(_sharing(held)) == [({"a", "b", "c"}, {"1"}), ({"a", "c"}, {"1", "2"}), ({"d"}, {"9"})]
    assert list(_sharing({"a": {"1", "2"}, "b": {"1", "3"}})) == [({"a", "b"}, {"1"})]


def test_a_folder_without_a_comparison_is_refused(tmp_path):
    """With the command that makes one."""
    with pytest.raises(RunError, match="lingraft compare RECIPE"):
        read_comparison(tmp_path)


# ---- The command's own work ------------------------------------------------------------------------


def test_estimates_put_cheap_methods_first(world, tiny_checkpoint, tmp_path):
    """Who stops a comparison early should have as many rows as the time allows."""
    found = recipe(world, tiny_checkpoint, tmp_path, methods=[*OWN, *PEERS])
    planned = estimates(list_methods(found), found)
    order = [estimate.method.name for estimate in planned]
    assert [round(estimate.seconds) for estimate in planned[:2]] == [round(STARTING + FITTED)] * 2  # each starts anew
    assert set(order[:2]) == {"frozen-head", "prototype"}
    assert set(order) == {*OWN, *PEERS}


def test_estimates_count_what_a_method_alone_learns_from(world, tiny_checkpoint, tmp_path):
    """Made examples and copies cost their steps, as its own recipe counts them; states are encoded once."""
    lexicon = tmp_path / f"lexicon.{TARGET}.tsv"
    lexicon.write_text("\n".join(f"{word}\tx{word}" for word in WORDS), encoding="utf-8")
    named = str(tmp_path / "lexicon.{language}.tsv")
    more = {
        "switched": {"pseudo": {"generators": [{"name": "code-switching", "ratio": 0.9}], "lexicon": named}},
        "consistent": {"consistency": {"lexicon": named, "ratio": 0.9}},
    }
    found = recipe(world, tiny_checkpoint, tmp_path, methods=["lingraft"], variants=more)
    planned = {one.method.name: one for one in estimates(list_methods(found), found)}
    works = {name: plan(one.method.recipe).work.trials[0] for name, one in planned.items()}
    assert works["switched"].tokens > works["lingraft"].tokens < works["consistent"].tokens
    stack = empty_stack(str(tiny_checkpoint))
    rate = rate_of(found, stack)
    for name in more:
        depth = stack.num_layers - resolve_cut(planned[name].method.recipe, stack.num_layers)
        expected = trial_seconds(works[name], stack, depth=depth, passes=2, rate=rate)
        assert planned[name].seconds - STARTING == pytest.approx(expected, rel=0.05)
    states = {name: one.encoding for name, one in planned.items()}
    assert states["switched"] > 0 == states["consistent"] == states["lingraft"]  # the first reads what the others do


def test_estimates_say_what_is_trained_on_and_what_stays_on_disk(world, tiny_checkpoint, tmp_path):
    """The tokens of a run of that recipe, and the bytes that it leaves: of full fine-tuning those of all layers."""
    found = recipe(world, tiny_checkpoint, tmp_path / "out", methods=["full-joint", "lingraft"])
    planned = {one.method.name: one for one in estimates(list_methods(found), found)}
    work = {name: plan(one.method.recipe).work for name, one in planned.items()}
    for name, one in planned.items():
        assert one.tokens == work[name].trials[0].tokens
    first, second = planned["full-joint"], planned["lingraft"]
    assert (first.encoded, second.encoded) == (work["lingraft"].tokens_encoded, 0)  # the second reads the same
    layers = empty_stack(str(tiny_checkpoint)).layers
    assert first.disk > 4 * sum(one.numel() for one in layers.parameters()) + work["lingraft"].needs.states

    quick_compare(recipe(world, tiny_checkpoint, tmp_path / "out", methods=["lingraft"]))
    left = tmp_path / "out" / "lingraft"
    files = [left / "trials" / "k1-draw0-seed1" / "adaptation.safetensors", *left.glob("predictions/*/*.jsonl")]
    there = sum(path.stat().st_size for path in files)  # a third of such small files is what says what is in them
    assert second.disk == pytest.approx(there, rel=0.4)


def test_a_comparison_runs_is_continued_and_grows(world, tiny_checkpoint, tmp_path, capfd):
    """What is trained is not trained again: after a kill, with a further method, and where all is done."""

    def small(*overrides, **block):
        return recipe(world, tiny_checkpoint, tmp_path / "out", *overrides, **block)

    quick_compare(small(methods=["frozen-head", "lingraft"]))
    output = tmp_path / "out"
    assert "`lingraft`" in (output / "README.md").read_text()
    trial = output / "lingraft" / "trials" / "k1-draw0-seed1" / "trial.json"
    written = trial.stat().st_mtime_ns

    (output / "lingraft" / "method.json").unlink()  # as if it had been killed before its end
    quick_compare(small(methods=["frozen-head", "lingraft", "prototype"]), quiet=False)
    assert trial.stat().st_mtime_ns == written
    assert "`prototype`" in (output / "README.md").read_text()
    told = capfd.readouterr().err
    assert "estimated time on this machine: about" in told
    assert "prototype: 1 trial, about " in told
    assert "frozen-head: 1 trial" not in told

    quick_compare(small(methods=["frozen-head", "lingraft"]), start=lambda *rest: pytest.fail("all was done"))
    assert "`prototype`" not in (output / "README.md").read_text()
    with pytest.raises(RunError, match="another recipe"):
        quick_compare(small("train.batch_size=4", methods=["lingraft"]))

    lost = output / "lingraft" / "predictions" / "k1-draw0-seed1" / f"{TARGET}.jsonl"
    before = lost.read_bytes()
    lost.unlink()  # of a method that was finished
    quick_compare(small(methods=["frozen-head", "lingraft"]), quiet=False)
    assert lost.read_bytes() == before
    assert f"{lost} is missing; this trial is made anew" in capfd.readouterr().err

    (output / "lingraft" / "method.json").write_bytes(b"")
    written = trial.stat().st_mtime_ns
    quick_compare(small(methods=["frozen-head", "lingraft"]))
    assert read_object(output / "lingraft" / "method.json")["name"] == "lingraft"
    assert trial.stat().st_mtime_ns == written


class Played:
    """A worker that says lines that were written before."""

    def __init__(self, *facts):
        self.stdout = [json.dumps(fact) for fact in facts]

    def wait(self):
        """It went well."""
        return 0


def test_progress_names_the_method_and_counts_its_trials(world, tiny_checkpoint, tmp_path):
    """Trials count from 1 in the order they come; what comes before them has its own name; the rest is at the end."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "out", "seeds=[1, 2]", methods=["lingraft"])
    (method,) = list_methods(wanted)
    shares = [("encoding", 0.9), ("k1-draw0-seed1", 0.5), ("k1-draw0-seed1", 1.0), ("k1-draw0-seed2", 0.6)]
    told = []
    played = Played(*({"trial": trial, "share": share} for trial, share in shares))
    failure = work(
        method,
        wanted,
        QUIET,
        lambda amount, note: told.append((amount, note)),
        20,
        encode_only=False,
        start=lambda wanted, complaints: nullcontext(played),
        place="method 2 of 3",
    )
    assert failure is None
    assert told == [
        (5, "method 2 of 3 (lingraft), trial 1 of 2"),
        (5, "method 2 of 3 (lingraft), trial 1 of 2"),
        (6, "method 2 of 3 (lingraft), trial 2 of 2"),
        (4, "method 2 of 3 (lingraft)"),
    ]


def test_a_method_works_in_a_process_of_its_own(world, tiny_checkpoint, tmp_path):
    """Which is given the recipe, leaves the method's files, and has nothing to complain of."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "out", methods=["prototype"])
    (method,) = list_methods(wanted)
    assert work(method, wanted, QUIET, Advance(), 1, encode_only=False, start=start_worker) is None
    assert read_object(tmp_path / "out" / "prototype" / "method.json")["name"] == "prototype"


@contextmanager
def start_complaining(wanted, complaints):
    """Start a process that fails, and says why in the encoding of another system."""
    program = r"import sys; sys.stderr.buffer.write(b'no caf\xe9 here\n'); sys.exit(3)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=complaints, text=True) as one:
        yield one


def test_complaints_in_another_encoding_are_passed_on(world, tiny_checkpoint, tmp_path):
    """But for the letters that cannot be read."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "out", methods=["prototype"])
    (method,) = list_methods(wanted)
    told = work(method, wanted, QUIET, Advance(), 1, encode_only=False, start=start_complaining)
    assert told == "its process ended with code 3: no caf\ufffd here"


def test_what_peft_cannot_do_is_a_row_without_numbers(world, tmp_path):
    """The other methods are compared all the same, and the page says why one is absent."""
    checkpoint = save_checkpoint(tmp_path / "modern", random_model("modernbert"))
    quick_compare(recipe(world, checkpoint, tmp_path / "out", methods=["frozen-head", "peft-prefix"]))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "Not possible: PEFT's prefix does not work on modernbert" in text
    assert "| `peft-prefix`" not in text


def test_what_was_impossible_is_tried_again(world, tmp_path, capfd):
    """What was impossible is tried again: another release of PEFT may do it."""
    checkpoint = save_checkpoint(tmp_path / "modern", random_model("modernbert"))
    found = recipe(
        world, checkpoint, tmp_path / "out", methods=["peft-prefix"], learning_rates={"peft-prefix": [0.1, 0.2]}
    )
    for _ in range(2):
        with pytest.raises(RunError, match=r"no method is possible.*peft-prefix: PEFT's prefix does not work"):
            quick_compare(found, quiet=False)
        assert "peft-prefix: not possible" in capfd.readouterr().err


def test_a_lexicon_is_mined_once_for_all_methods(world, tiny_checkpoint, tmp_path):
    """A lexicon is mined once for all methods, and once more for one of other texts."""
    text = tmp_path / f"text.{TARGET}.txt"
    text.write_text("\n".join(" ".join(pair) for pair in product(WORDS[16:24], WORDS[16:24])), encoding="utf-8")
    found = recipe(
        world,
        tiny_checkpoint,
        tmp_path / "out",
        f"parallel.text={tmp_path}/text.{{language}}.txt",
        methods=["frozen-head", "prototype"],
        variants={
            "fewer": {"method": "prototype", "parallel": {"augmentation": {"name": "code-switching", "ratio": 0.9}}}
        },
    )
    quick_compare(found)
    mined = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob(f"{TARGET}.tsv"))
    assert [str(path) for path in mined] == [f"mined/fewer/mined/{TARGET}.tsv", f"mined/{TARGET}.tsv"]
    pairs = [read_object(tmp_path / "out" / name / "method.json")["pairs"] for name in ("frozen-head", "prototype")]
    assert pairs[0] == pairs[1]
    assert "the same pairs, used or not," in (tmp_path / "out" / "README.md").read_text()


def test_what_goes_wrong_in_a_method_is_one_line_and_the_others_are_kept(world, tiny_checkpoint, tmp_path):
    """Hours of other methods are not lost to one that diverges."""
    wrong = {"wild": {"train": {"learning_rate": 1e30, "prompt_learning_rate": 1e30}}}
    with pytest.raises(RunError, match=r"1 of 2 methods failed.*wild: the (loss|parameters)"):
        quick_compare(recipe(world, tiny_checkpoint, tmp_path / "out", methods=["frozen-head"], variants=wrong))
    assert (tmp_path / "out" / "frozen-head" / "method.json").is_file()
    assert not (tmp_path / "out" / "README.md").exists()
    assert 50e6 < read_object(tmp_path / "out" / "frozen-head" / "method.json")["peak_bytes"] < 5e9


def small_comparison(world, checkpoint, output, **block):
    """A comparison of what takes no time, unless told otherwise."""
    return recipe(world, checkpoint, output, **({"methods": ["frozen-head", "prototype"]} | block))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"prototype": "knn"}, {"prototype": "centroid"}, "prototype with other settings: options is .*knn.* there"),
        (
            {"variants": {"x": {"method": "prototype"}}},
            {"variants": {"x": {"method": "frozen-head"}}},
            "x with other settings: network is 'prototype' there and 'frozen-head' now",
        ),
    ],
)
def test_a_method_that_was_something_else_is_not_taken_for_it(world, tiny_checkpoint, tmp_path, before, after, said):
    """The recipe is the same, and what is made of it is not: told, with the folder to delete."""
    quick_compare(small_comparison(world, tiny_checkpoint, tmp_path / "out", **before))
    with pytest.raises(RunError, match=said):
        quick_compare(small_comparison(world, tiny_checkpoint, tmp_path / "out", **after))


def test_files_that_changed_in_between_are_noticed(world, tiny_checkpoint, tmp_path):
    """Two methods that were tested on other right answers stand in no table together."""
    copy = Path(shutil.copytree(world, tmp_path / "world"))
    quick_compare(small_comparison(copy, tiny_checkpoint, tmp_path / "out", methods=["frozen-head"]))
    path = copy / f"{TARGET}.test.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    labels = [line.rpartition(",")[2] for line in lines]
    other = next(i for i in range(2, len(lines)) if labels[i] != labels[1])
    for one, label in ((1, labels[other]), (other, labels[1])):
        lines[one] = lines[one].rpartition(",")[0] + "," + label
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(RunError, match="other right answers"):
        quick_compare(small_comparison(copy, tiny_checkpoint, tmp_path / "out"))


def test_a_run_and_a_comparison_do_not_share_a_folder(world, tiny_checkpoint, tmp_path):
    """Each says to give it a folder of its own."""
    wanted = small_comparison(world, tiny_checkpoint, tmp_path / "out")
    quick_compare(wanted)
    with pytest.raises(RunError, match="holds a method of a comparison; give the run a folder of its own"):
        run(list_methods(wanted)[0].recipe)
    with pytest.raises(RunError, match="holds a comparison; give the run a folder of its own"):
        run(wanted.model_copy(update={"compare": None}))
    other = wanted.model_copy(update={"output_dir": tmp_path / "run"})
    with open_run_folder(tmp_path / "run", other.model_copy(update={"compare": None})) as folder:
        (folder / "trials").mkdir()
    with pytest.raises(RunError, match=r"holds a run; give the comparison .*: output_dir=.*run-compared"):
        quick_compare(other)


def test_a_variant_that_cannot_be_is_told_by_its_name(world, tiny_checkpoint, tmp_path):
    """Its cut, not that of the recipe."""
    with pytest.raises(ConfigError, match=r"compare, deep: backbone\.cut: 7 leaves nothing to train"):
        compare(small_comparison(world, tiny_checkpoint, tmp_path / "out", variants={"deep": {"backbone": {"cut": 7}}}))


def test_a_tie_is_no_win(tmp_path):
    """The highest mean is shared."""
    found = fake(tmp_path, {"lingraft": [1, 0] * 10, "paper": [0, 1] * 10})
    assert "`lingraft` shares the highest mean with `paper`, 50.0 %" in finding(blocks(found)[0], found)


def test_settings_have_defaults_and_ours_comes_last():
    """Whatever order they are named in, the reference is the last row to be trained."""
    found = CompareSettings(variants={"x": {}}, methods=["lingraft", "top-k"])
    assert found.names == ["top-k", "x", "lingraft"]
    assert CompareSettings().methods == list(METHODS)
    assert json.loads(CompareSettings().model_dump_json())["tuning_epochs"] == 4


def test_peak_memory_is_plausible():
    """In bytes: systems count in kilobytes or bytes, and a wrong factor is a thousand."""
    assert 50e6 < peak_bytes() < 1e11


def test_the_command_shows_the_table_and_writes_the_page(world, tiny_checkpoint, tmp_path):
    """Also of a comparison whose methods are all done already."""
    found = recipe(world, tiny_checkpoint, tmp_path / "out", methods=["frozen-head", "prototype"])
    (tmp_path / "recipe.yaml").write_text(found.to_yaml(), encoding="utf-8")
    quick_compare(found)
    (tmp_path / "out" / "README.md").unlink()
    arguments = ["compare", str(tmp_path / "recipe.yaml"), "--markdown", str(tmp_path / "page.md"), "--quiet"]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "prototype" in result.output
    assert "has the highest mean" in result.output
    assert f"lingraft compare {tmp_path / 'recipe.yaml'}" in (tmp_path / "page.md").read_text()


def test_init_starts_from_a_preset(tmp_path):
    """What `init --preset` writes is a recipe with the preset in it, ready to run."""
    path = tmp_path / "recipe.yaml"
    result = CliRunner().invoke(app, ["init", str(path), "--task", "cldr_names", "--preset", "paper"])
    assert result.exit_code == 0, result.output
    assert read_recipe(path).prompt.name == "input"
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        CliRunner().invoke(app, ["init", str(tmp_path / "b.yaml"), "--preset", "papr"], catch_exceptions=False)
