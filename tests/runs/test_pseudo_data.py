"""Pseudo-data in a run: made once, kept, learnt from with their weights, and never evaluation texts."""

import json
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from html import unescape

import pytest

from invented import (
    SOURCE,
    TARGET,
    TOPICS,
    TRANSLATION,
    labelled_texts,
    translated,
    world_recipe,
    write_world,
)
from lingraft.core.errors import ConfigError, DataError, RunError
from lingraft.core.examples import PairExample
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import Trial
from lingraft.pseudo.generators import Generator, generators
from lingraft.recipe.parsing import read_recipe
from lingraft.results.pages import write_page
from lingraft.runs.checks import gather_checked
from lingraft.runs.plan import plan
from lingraft.runs.preparation import prepare
from lingraft.runs.pseudo_data import make_pseudo_data
from lingraft.training.pools import learning_pools
from quick_run import QUIET, Stopping, differing, quick_compare, run

SMALL = [
    *("train.num_train_epochs=3", "train.batch_size=8", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
WORD_TRANSLATION = {"name": "word-translation", "weight": 0.5}


@generators.register("raw")
def raw():
    """All raw text, labelled alike."""

    def generate(sources):
        for number, text in enumerate(sources.texts):
            place = f"{sources.draw}/{number}"
            yield PairExample(place, place, sources.language, "raw", 0.5, text_a=text, label=sources.task.labels[0])

    return Generator(generate, needs=frozenset({"texts"}))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, and a lexicon of half of the words, all of whose entries but one are right."""
    folder = write_world(tmp_path_factory.mktemp("world"), test=60)
    entries = [f"{source}\t{target}" for source, target in TRANSLATION.items()]
    (folder / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    return folder


def recipe(world, checkpoint, output, *overrides, pseudo=(), only=None):
    """A small recipe that learns from word-translated examples, without pairs."""
    lexicon = str(world / "lexicon.{language}.tsv")
    block = None if pseudo is None else {"generators": [WORD_TRANSLATION], "lexicon": lexicon} | dict(pseudo)
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        pseudo=only or block,
    )


@pytest.fixture(scope="module")
def finished(world, tiny_checkpoint, tmp_path_factory):
    """A run of 0 shots and 1."""
    return run(recipe(world, tiny_checkpoint, tmp_path_factory.mktemp("runs") / "run", "shots.k=[0,1]"))


def test_what_is_made_is_kept_with_its_counts(finished):
    """Every word is translated: each source example has one text of the target, which counts half."""
    rows, about = list(read_lines(finished / "pseudo.jsonl")), read_object(finished / "pseudo.json")
    assert len(rows) == 24
    assert {(row["language"], row["origin"], row["weight"], row["draw"]) for row in rows} == {
        (TARGET, "word-translation", 0.5, 0)
    }
    assert set(TRANSLATION.values()) >= {word for row in rows for word in row["text_a"].split()}
    assert [lot["made"] for lot in about["lots"]] == [{"word-translation": 24}]  # for both numbers of shots
    assert read_object(finished / "data.json")["languages"][TARGET]["pseudo"] == 24


def test_pages_tell_what_was_made_and_what_the_source_language_lost(finished):
    """From the folder alone."""
    summary = read_object(finished / "summary.json")
    facts = summary["trials"][summary["selected_trial"]]
    page = unescape(write_page(finished, "report.html").read_text(encoding="utf-8")).replace("\xa0", " ")
    assert "<h2>Yoruba: 24 made, 24 learnt from</h2>" in page
    before, after = (f"{100 * facts['source_change'][moment]:.1f} %" for moment in ("before", "after"))
    assert f"English development score: {before} before they were learnt from, {after} after." in page
    card = write_page(finished, "README.md").read_text(encoding="utf-8")
    assert "yor-Latn: pseudo-data: 24 examples by word-translation, of weight 0.5" in card


def test_a_finished_run_knows_what_it_made_and_refuses_another_version_of_it(finished, tmp_path):
    """Nothing is made again; an example that was taken away is missed."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    text = (folder / "recipe.yaml").read_text(encoding="utf-8").replace(str(finished), str(folder))
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    wanted = recipe_of(folder)
    before = (folder / "pseudo.jsonl").read_bytes()
    assert run(wanted) == folder
    assert (folder / "pseudo.jsonl").read_bytes() == before
    (folder / "pseudo.jsonl").write_bytes(before.partition(b"\n")[2])
    with pytest.raises(RunError, match=r"what was made for yor-Latn in draw 0 is not there any more"):
        run(wanted)


def test_a_finished_run_refuses_other_files_of_what_was_made(world, tiny_checkpoint, tmp_path):
    """A line more in a file that a run learnt from would not be learnt from, and not be missed either."""
    file = tmp_path / "mine.jsonl"
    file.write_text('{"language": "yo", "text_a": "pira hano", "label": "bird"}\n', encoding="utf-8")
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "preset=instant", pseudo={"files": [str(file)]})
    assert run(wanted) == run(wanted)
    file.write_text(2 * file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(RunError, match="was made with other settings, or of other examples"):
        run(wanted)


def test_what_is_made_must_be_enough_where_nothing_else_is_learnt_from(world, tiny_checkpoint, tmp_path):
    """A head needs every class; a check finds it too."""
    for labels, missing in ((["bird"], "'river', 'stone'"), (["bird", "stone"], "'river'")):
        folder = tmp_path / f"{len(labels)}"
        wanted = recipe(world, tiny_checkpoint, folder, "preset=instant", only=of_classes(tmp_path, labels))
        for attempt in (gather_checked, run):
            with pytest.raises(ConfigError, match=f"takes examples of each class, and there are none of {missing}; m"):
                attempt(wanted)


def of_classes(folder, labels):
    """A block of two made examples of each label, and no gold labels; of no label it makes nothing."""
    if not labels:
        blank = {"name": "templates", "templates": [{"text": "{w}", "label": "bird"}], "words": {"w": [" "]}}
        return {"generators": [blank], "gold": False}
    rows = [
        {"language": "yo", "text_a": f"{word} hano", "label": label} for label in labels for word in ("pira", "quna")
    ]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"files": [str(folder / "mine.jsonl")], "filters": [], "gold": False}


@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize("labels", [["bird", "river", "stone"], ["bird", "stone"], []])
def test_shots_do_not_complete_what_a_head_is_fitted_to_beside_them(world, tiny_checkpoint, tmp_path, epochs, labels):
    """How much they count is chosen there."""
    others = ["seeds=[1]", "shots.k=2", f"train.num_train_epochs={epochs}"]
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", *others, only=of_classes(tmp_path, labels))
    if len(labels) < 3:
        none = "none of 'river'" if labels else "none"
        with pytest.raises(ConfigError, match=f"takes examples of each class, and there are {none}; make some"):
            run(wanted)
    else:
        assert "lingraft" in {row["method"] for row in read_lines(run(wanted) / "scores.jsonl")}


@pytest.mark.parametrize("missing", ["river", None])
def test_what_is_left_of_it_beside_a_fold_must_be_enough_too(world, tiny_checkpoint, tmp_path, missing):
    """A made example that says of which group it is goes with that group's fold."""
    rows = [f"n{i},{translated(text)},{label}" for i, (text, label) in enumerate(labelled_texts(30, seed=3))]
    table = "\n".join(["key,sentence,topic", *rows]) + "\n"
    for split in ("train", "dev"):
        shutil.copy(world / f"{SOURCE}.{split}.csv", tmp_path)
    (tmp_path / f"{TARGET}.train.csv").write_text(table, encoding="utf-8")
    block, split = (
        of_classes(tmp_path, TOPICS),
        ["task.files={train: '{language}.train.csv', dev: '{language}.dev.csv'}"],
    )
    made = [
        json.loads(line) | {"id": str(n)} for n, line in enumerate((tmp_path / "mine.jsonl").read_text().splitlines())
    ]
    made = [row | ({"group": "n0"} if row["label"] == missing else {}) for row in made]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    wanted = recipe(tmp_path, tiny_checkpoint, tmp_path / "run", "shots.k=all", *split, only=block)
    if missing is None:
        assert len(gather_checked(wanted).draws[0].folds) == 5
    else:
        with pytest.raises(ConfigError, match=r"there are none of 'river' while fold \d of the labels is held out"):
            gather_checked(wanted)


def test_filters_take_what_is_made_twice_and_say_so(world, tiny_checkpoint, tmp_path):
    """A lexicon with one translation of each word makes the second copy of an example the first one again."""
    twice = {"generators": [WORD_TRANSLATION | {"copies": 2}]}
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "preset=instant", pseudo=twice)
    found = gather_checked(wanted)
    assert "yor-Latn: pseudo-data: 24 examples by word-translation, of weight 0.5; filters took 24 by duplicates" in (
        found.notes
    )
    (lot,) = read_object(run(wanted) / "pseudo.json")["lots"]
    assert lot["funnel"] == [
        {"filter": name, "came": came, "taken": taken}
        for name, came, taken in (
            ("length", 48, 0), ("duplicates", 48, 24), ("overlap", 24, 0), ("language", 24, 0),
            ("source-copies", 24, 0),
        )
    ]  # fmt: skip
    assert len(lot["survivors"]) == len(lot["rejected"]) == 10
    assert {(one["filter"], one["reason"]) for one in lot["rejected"]} == {("duplicates", "made twice")}
    without = recipe(world, tiny_checkpoint, tmp_path / "all", pseudo=twice | {"filters": []})
    assert len(gather_checked(without).draws[0].pseudo[TARGET]) == 48


def recipe_of(folder):
    """The recipe that lies in a run's folder."""
    return read_recipe(folder / "recipe.yaml")


@pytest.mark.parametrize("step", [1, 7])
def test_a_stopped_run_equals_an_uninterrupted_one(world, tiny_checkpoint, tmp_path, step):
    """In every file, what was made among them."""
    whole = run(recipe(world, tiny_checkpoint, tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        run(recipe(world, tiny_checkpoint, tmp_path / "parts"), reporter=Stopping(step), save_every=-1.0)
    assert differing(whole, run(recipe(world, tiny_checkpoint, tmp_path / "parts"))) == []


def test_what_is_made_is_learnt_from_by_its_weight_and_shots_by_theirs(world, tiny_checkpoint, tmp_path):
    """In the pool of the language both have labels; without gold labels the source language has none."""
    context, _, _ = prepare(recipe(world, tiny_checkpoint, tmp_path / "run", "shots.k=2"), QUIET)
    (draw,) = context.materials.draws
    source, (target,) = learning_pools(draw, context)
    assert len(draw.pseudo[TARGET]) == len(target.weights) == 24
    assert len(target.labelled) == 24 + 6
    batch = target.batch(target.ids, context.device)
    shots = {example.id for example in draw.shots[TARGET]}
    assert batch.weights.tolist() == pytest.approx([0.2 if i in shots else 0.5 for i in target.ids])
    assert bool(batch.labelled.all())
    assert source.batch(source.ids, context.device).weights.tolist() == [1.0] * 24
    alone = replace(
        context, recipe=recipe(world, tiny_checkpoint, tmp_path / "run", "shots.k=2", pseudo={"gold": False})
    )
    without, _ = learning_pools(draw, alone)
    assert (without.ids, without.labelled) == (source.ids, frozenset())


def scores_of(wanted):
    """Accuracy in the target language, by method."""
    rows = read_lines(run(wanted) / "scores.jsonl")
    return {row["method"]: row["value"] for row in rows if (row["language"], row["metric"]) == (TARGET, "accuracy")}


def test_a_run_in_closed_form_shows_what_pseudo_data_give(world, tiny_checkpoint, tmp_path):
    """The frozen head learns from people's labels, as it does without pseudo-data."""
    strong = {"generators": [WORD_TRANSLATION | {"weight": 1.0}]}
    found = scores_of(recipe(world, tiny_checkpoint, tmp_path / "with", "train.num_train_epochs=0", pseudo=strong))
    without = scores_of(recipe(world, tiny_checkpoint, tmp_path / "without", "train.num_train_epochs=0", pseudo=None))
    assert found["frozen-head"] == without["frozen-head"]
    assert found["lingraft"] > without["lingraft"] + 0.1


def test_what_nobody_labelled_is_learnt_in_training_and_before_it_in_closed_form(world, tiny_checkpoint, tmp_path):
    """Alone, it is all that the frozen head has; beside gold labels the instant head is the one that has both."""
    strong = {"generators": [WORD_TRANSLATION | {"weight": 1.0}]}
    without = scores_of(recipe(world, tiny_checkpoint, tmp_path / "without", pseudo=None))
    alone = scores_of(recipe(world, tiny_checkpoint, tmp_path / "alone", pseudo=strong | {"gold": False}))
    both = scores_of(recipe(world, tiny_checkpoint, tmp_path / "both", pseudo=strong))
    assert alone["lingraft"] > without["lingraft"] + 0.1
    assert both["frozen-head"] == without["frozen-head"] < min(both["instant"], alone["frozen-head"])
    assert "instant" not in without


def test_texts_that_are_evaluated_on_are_not_made(world, tiny_checkpoint, tmp_path):
    """A source example whose translation is a test text is left out, and counted."""
    folder = write_world(tmp_path, train=24)
    test = (folder / f"{TARGET}.test.csv").read_text(encoding="utf-8")
    lines = (folder / f"{SOURCE}.train.csv").read_text(encoding="utf-8").splitlines()
    text = " ".join(TRANSLATION[word] for word in lines[1].split(",")[1].split())
    (folder / f"{TARGET}.test.csv").write_text(f"{test}extra,{text},bird\n", encoding="utf-8")
    shutil.copy(world / f"lexicon.{TARGET}.tsv", folder)
    found = gather_checked(recipe(folder, tiny_checkpoint, tmp_path / "run"))
    assert len(found.draws[0].pseudo[TARGET]) == 23
    assert [note for note in found.notes if "pseudo-data" in note] == [
        "yor-Latn: pseudo-data: 23 examples by word-translation, of weight 0.5 (1 not made or left out: it is an "
        "evaluation text: 1)"
    ]


def test_a_text_that_is_evaluated_on_afterwards_is_not_learnt_from(world, tiny_checkpoint, tmp_path):
    """What a stopped run made is kept; it is refused as soon as an evaluation set has a text of it."""
    wanted, path = recipe(world, tiny_checkpoint, tmp_path / "run"), tmp_path / "pseudo.jsonl"
    found = gather_checked(wanted)
    made = make_pseudo_data(found, wanted, path).draws[0].pseudo[TARGET]
    assert make_pseudo_data(found, wanted, path).draws[0].pseudo[TARGET] == made
    later = replace(found, test=found.test | {TARGET: (*found.test[TARGET], replace(made[0], id="new"))})
    with pytest.raises(RunError, match=r"has 1 text that is an evaluation text now, such as .*delete what is there"):
        make_pseudo_data(later, wanted, path)


@generators.register("asking")
def asking():
    """Ask the model that labels for nothing."""

    def generate(sources):
        sources.predict([], sources.language)
        return iter(())

    return Generator(generate, needs=frozenset({"predict"}), costly=True)


@pytest.mark.parametrize(("name", "refused"), [("asking", True), ("word-translation", False)])
def test_what_a_model_said_is_kept_for_that_model_alone(world, tiny_checkpoint, tmp_path, name, refused):
    """With other settings of training it would say something else; who asks none does not mind."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", pseudo={"generators": [{"name": name}]})
    found, path = gather_checked(wanted), tmp_path / "pseudo.jsonl"
    predicting = {"predict": lambda examples, language: []}
    make_pseudo_data(found, wanted, path, of_model=lambda *_: predicting)
    train = wanted.train.model_copy(update={"num_train_epochs": 4})
    with pytest.raises(RunError, match="made with other settings") if refused else nullcontext():
        make_pseudo_data(found, wanted.model_copy(update={"train": train}), path, of_model=lambda *_: predicting)


def test_examples_are_made_of_the_languages_that_are_named(world, tiny_checkpoint, tmp_path):
    """Others need no lexicon, and are learnt as they were."""
    for split in ("train", "dev", "test"):
        shutil.copy(world / f"{TARGET}.{split}.csv", world / f"quy-Latn.{split}.csv")
    both = ["task.target_languages=[yor-Latn, quy-Latn]"]
    materials = gather_checked(recipe(world, tiny_checkpoint, tmp_path / "run", *both, pseudo={"languages": ["yor"]}))
    assert {code: len(made) for code, made in materials.draws[0].pseudo.items()} == {TARGET: 24}
    with pytest.raises(DataError, match=r"lexicon\.quy-Latn\.tsv"):
        gather_checked(recipe(world, tiny_checkpoint, tmp_path / "run", *both))


def test_a_language_may_be_named_by_a_script_that_contains_its_own(world, tiny_checkpoint, tmp_path):
    """Of Korean, Hangul and the script with Hanja find each other, as wherever else a language is named."""
    korean = "kor-Kore"
    for split in ("train", "dev", "test"):
        shutil.copy(world / f"{TARGET}.{split}.csv", world / f"{korean}.{split}.csv")
    shutil.copy(world / f"lexicon.{TARGET}.tsv", world / f"lexicon.{korean}.tsv")
    (world / "raw.txt").write_text("hi\n", encoding="utf-8")
    named = {"languages": ["kor-Hang"], "text": {"kor-Hang": str(world / "raw.txt")}}
    wanted = recipe(
        world, tiny_checkpoint, tmp_path / "run", f"task.target_languages=[yor-Latn, {korean}]", pseudo=named
    )
    assert {code: len(made) for code, made in gather_checked(wanted).draws[0].pseudo.items()} == {korean: 24}


def test_a_check_counts_what_a_run_makes(world, tiny_checkpoint, tmp_path):
    """It writes nothing, and says the same; the trial's steps are those of the run."""
    found = plan(recipe(world, tiny_checkpoint, tmp_path / "run"))
    assert "yor-Latn: pseudo-data: 24 examples by word-translation, of weight 0.5" in found.lines
    assert not (tmp_path / "run").exists()
    assert not any("neither pairs nor shots" in line for line in found.warnings)
    folder = run(recipe(world, tiny_checkpoint, tmp_path / "run"))
    (trial,) = found.work.trials
    assert trial.steps == list(read_lines(folder / "training.jsonl"))[-1]["step"]
    assert trial.trial == Trial(0, 0, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"generators": [WORD_TRANSLATION]}, "pseudo.generators.0: word-translation needs a lexicon"),
        ({"generators": [{"name": "label-projection"}]}, "pseudo.generators.0: label-projection needs translations"),
        (
            {"generators": [{"name": "raw"}], "text": "x.txt", "filters": [{"name": "lengths"}]},
            "did you mean 'length'",
        ),
        ({"generators": []}, "pseudo: needs `generators`"),
        (
            {"generators": [{"name": "raw"}], "text": "x.txt", "languages": ["quy"]},
            "pseudo.languages: quy-Latn is no target language of this run; these are yor-Latn",
        ),
        (
            {"generators": [{"name": "raw"}], "text": {"quy": "x.txt"}},
            "pseudo.text: quy-Latn is no target language of this run; these are yor-Latn",
        ),
        (
            {"generators": [{"name": "self-training"}], "text": "x.txt"},
            "pseudo.generators.0: self-training needs a map or n-grams",
        ),
        ({"generators": [{"name": "word-translations"}]}, "did you mean 'word-translation'"),
        (
            {"generators": [{"name": "word-translation", "weight": 0}]},
            "pseudo.generators.0.weight: expected a number of at least 1e-09 (got 0)",
        ),
        (
            {"generators": [{"name": "word-translation", "weight": 1e-300}]},
            "pseudo.generators.0.weight: expected a number of at least 1e-09 (got 1e-300)",
        ),
    ],
)
def test_a_recipe_that_cannot_make_any_is_refused(world, tiny_checkpoint, tmp_path, changes, said):
    """Before anything is read."""
    with pytest.raises(ConfigError) as caught:
        gather_checked(recipe(world, tiny_checkpoint, tmp_path / "run", only=changes))
    assert said in str(caught.value)


@pytest.mark.parametrize("languages", [None, ["yor"], ["quy"]])
def test_templates_are_in_the_one_language_that_examples_are_made_of(world, tiny_checkpoint, tmp_path, languages):
    """It need not be said again; where there are several it must be."""
    for split in ("train", "dev", "test"):
        shutil.copy(world / f"{TARGET}.{split}.csv", world / f"quy-Latn.{split}.csv")
    one = {
        "name": "templates",
        "templates": [{"text": "ina {w} to", "label": "bird"}],
        "words": {"w": ["pira", "gera"]},
    }
    both = ["task.target_languages=[yor-Latn, quy-Latn]"]
    block = {"generators": [one], "filters": [], "languages": languages}
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", *both, only=block)
    if languages is None:
        with pytest.raises(ConfigError, match=r"language: is missing; they are in one language of yor-Latn, quy-Latn"):
            gather_checked(wanted)
    else:
        made = gather_checked(wanted).draws[0].pseudo
        assert {code: [e.text_a for e in found] for code, found in made.items()} == {
            f"{languages[0]}-Latn": ["ina pira to", "ina gera to"]
        }


@pytest.mark.parametrize("key", ["pseudo.lexicon", "pseudo.text", "consistency.lexicon"])
def test_one_file_of_another_block_is_not_read_as_each_of_several_languages(world, tiny_checkpoint, tmp_path, key):
    """It is refused for two languages, and read where one of them alone is meant."""
    for split in ("train", "dev", "test"):
        shutil.copy(world / f"{TARGET}.{split}.csv", world / f"quy-Latn.{split}.csv")
    (tmp_path / "raw.txt").write_text("gera hano\nquna tolu\n", encoding="utf-8")
    file = str(tmp_path / "raw.txt" if key == "pseudo.text" else world / f"lexicon.{TARGET}.tsv")
    block, name = key.split(".")
    by = WORD_TRANSLATION if name == "lexicon" else {"name": "raw"}

    def gathered(**more):
        own = {name: file} | ({"generators": [by]} if block == "pseudo" else {}) | more
        both = ["task.target_languages=[yor-Latn, quy-Latn]", f"{block}={json.dumps(own)}"]
        wanted = recipe(world, tiny_checkpoint, tmp_path / "run", *both, pseudo=None if block == "consistency" else own)
        return gather_checked(wanted).draws[0]

    with pytest.raises(DataError, match=rf"{key}: .* has no {{language}} in it, so yor-Latn and quy-Latn would be"):
        gathered()
    found = gathered(languages=["yor"])
    assert list(found.pseudo or found.copies) == [TARGET]


@pytest.mark.parametrize("named", ["a pattern", "a file of the language"])
def test_raw_text_is_read_without_what_is_evaluated_on(world, tiny_checkpoint, tmp_path, named):
    """For generators that need it; from the language's own file, however the language is spelt."""
    test = list(read_csv(world / f"{TARGET}.test.csv"))
    (tmp_path / f"raw.{TARGET}.txt").write_text(f"gera hano\n{test[0]}\nquna tolu\n", encoding="utf-8")
    text = str(tmp_path / "raw.{language}.txt") if named == "a pattern" else {"yo": str(tmp_path / f"raw.{TARGET}.txt")}
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", pseudo={"generators": [{"name": "raw"}], "text": text})
    made = [example.text_a for example in gather_checked(wanted).draws[0].pseudo[TARGET]]
    assert made == ["gera hano", "quna tolu"]


def test_without_a_lexicon_the_pairs_give_one(world, tiny_checkpoint, tmp_path):
    """By the aligned words of the model, so a check says that it does not count; without pairs there is none."""
    wanted = world_recipe(
        world,
        [*SMALL, f"output_dir={tmp_path / 'run'}", "preset=instant"],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
        pseudo={"generators": [WORD_TRANSLATION]},
        parallel={"from": "task", "pairs": 12},
    )
    assert "pseudo-data by word-translation are made in the run, and not counted here" in gather_checked(wanted).notes
    (lot,) = read_object(run(wanted) / "pseudo.json")["lots"]
    assert (
        sum(lot["made"].values()) + sum(lot["dropped"].values()) + sum(step["taken"] for step in lot["funnel"]) == 12
    )  # labelled source examples


def read_csv(path):
    """The sentences of a table."""
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        yield line.split(",")[1]


def test_a_comparison_makes_them_once_and_knows_a_variant_without(world, tiny_checkpoint, tmp_path):
    """What is made lies in the folder of the comparison; the variant learns from people's labels alone."""
    lexicon = str(world / "lexicon.{language}.tsv")
    wanted = world_recipe(
        world,
        [*SMALL, f"output_dir={tmp_path / 'compared'}", "train.num_train_epochs=0"],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
        pseudo={"generators": [WORD_TRANSLATION | {"weight": 1.0}], "lexicon": lexicon},
        compare={"methods": ["lingraft"], "variants": {"without": {"pseudo": None}}},
    )
    folder = quick_compare(wanted)
    assert len(list(folder.rglob("pseudo.jsonl"))) == 1
    scores = {
        name: {
            row["method"]: row["value"]
            for row in read_lines(folder / name / "trials" / "k0-draw0-seed1" / "scores.jsonl")
            if (row["language"], row["metric"]) == (TARGET, "accuracy")
        }
        for name in ("lingraft", "without")
    }
    assert scores["lingraft"]["lingraft"] > scores["without"]["without"] + 0.1


def test_labels_may_be_made_wrong_for_a_study(world, tiny_checkpoint, tmp_path):
    """A share of those that are made; the texts are the same."""
    recipes = [recipe(world, tiny_checkpoint, tmp_path / str(i), pseudo={"label_noise": i / 4}) for i in range(2)]
    right, noisy = (prepare(one, QUIET)[0].materials.draws[0].pseudo[TARGET] for one in recipes)
    learnt = {example.id: example.gold for example in noisy}
    (lot,) = read_object(tmp_path / "1" / "pseudo.json")["lots"]
    assert [one["label"] for one in lot["survivors"]] == [learnt[one["id"]] for one in lot["survivors"]]
    assert [example.texts for example in noisy] == [example.texts for example in right]
    assert sum(a.gold != b.gold for a, b in zip(right, noisy, strict=True)) == round(len(right) / 4)


@pytest.mark.parametrize(
    ("translator", "why"),
    [
        ({"name": "command", "command": ["no-such-translator"]}, "no-such-translator: no such command"),
        (
            {"name": "ctranslate2", "model": "nowhere", "tokenizer": "x"},
            "(ctranslate2 is not installed|has no model.bin)",
        ),
        ({"name": "transformers", "model": "./nowhere"}, "there is no folder './nowhere'"),
        ({"name": "apertium"}, "(apertium is not installed|no mode of Apertium translates)"),
    ],
)
def test_an_absent_translator_is_refused_before_anything_is_made(world, tiny_checkpoint, tmp_path, translator, why):
    """Of a generator and of a filter, in one go; a finished run needs none."""
    pseudo = {
        "generators": [{"name": "translation", "translator": translator}],
        "filters": [{"name": "round-trip", "translator": translator}],
    }
    recipe = world_recipe(
        world, [*SMALL, f"output_dir={tmp_path}"], pseudo=pseudo, backbone={"checkpoint": str(tiny_checkpoint)}
    )
    with pytest.raises(ConfigError) as refused:
        gather_checked(recipe)
    generator, judge = refused.value.problems
    assert re.match(rf"pseudo\.generators\.0: translation: .*{why}", generator)
    assert re.match(rf"pseudo\.filters\.0: round-trip: .*{why}", judge)
    assert gather_checked(recipe, pseudo=lambda materials, recipe: materials, finished=True).draws


def test_a_lexicon_that_one_of_two_languages_lacks_is_asked_for_or_the_other_named(world, tiny_checkpoint, tmp_path):
    """With the setting that leaves a language out."""
    for name in ("train", "dev", "test"):
        shutil.copy(world / f"{TARGET}.{name}.csv", world / f"hau-Latn.{name}.csv")
    pseudo = {"generators": [WORD_TRANSLATION], "lexicon": str(world / "lexicon.{language}.tsv")}
    settings = [*SMALL, f"output_dir={tmp_path}", f"task.target_languages=[{TARGET}, hau-Latn]"]
    both = world_recipe(world, settings, pseudo=pseudo, backbone={"checkpoint": str(tiny_checkpoint)})
    with pytest.raises(
        DataError, match=r"no file for Hausa.*; or name the target languages that have one in pseudo\.languages"
    ):
        gather_checked(both)
