"""A choice of sources: what is measured, that no test label is looked at, and what the recipe is told."""

import csv

import numpy as np
import pytest
from typer.testing import CliRunner

from invented import SOURCE, TARGET, TOPICS, world_recipe, write_csv, write_world
from lingraft.cli.main import app
from lingraft.core.errors import ConfigError
from lingraft.core.files import read_lines, read_object
from lingraft.experiments.planned import check_experiments
from lingraft.experiments.source_choice import NUMBERS, PAGE, choose_sources
from lingraft.experiments.source_measures import count_agreement
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.pages import pages
from lingraft.results.pages.source_choice_markdown import recipe_lines
from lingraft.results.pages.source_choice_report import PAGE as REPORT
from lingraft.results.wording import listed
from quick_run import run

ALIKE, NEAR, WRONG = "hau-Latn", "swh-Latn", "fra-Latn"
"""Candidates with the words of the target; the training labels of the last are another topic's."""
TASK = {"from": "task"}


def write_languages(folder, *, test_labels=()):
    """The invented world with three more languages; the target's test labels may be others."""
    write_world(folder, train=48, dev=12, test=21)
    other = dict(zip(TOPICS, [*list(TOPICS)[1:], *TOPICS], strict=False))
    for split in ("train", "dev", "test"):
        with (folder / f"{TARGET}.{split}.csv").open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        wrong = [(key, text, other[label]) for key, text, label in lines]
        for language in (ALIKE, NEAR, WRONG):
            mine = wrong if language == WRONG and split == "train" else lines
            write_csv(folder / f"{language}.{split}.csv", header, mine)
    if test_labels:
        path = folder / f"{TARGET}.test.csv"
        with path.open(encoding="utf-8", newline="") as file:
            _, *lines = csv.reader(file)
        found = [(key, text, test_labels[i % len(test_labels)]) for i, (key, text, _) in enumerate(lines)]
        write_csv(path, ["key", "sentence", "topic"], found)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Topics in five languages."""
    return write_languages(tmp_path_factory.mktemp("world"))


def recipe_of(world, checkpoint, output, *overrides, **blocks):
    """A small recipe for a choice."""
    blocks = {"parallel": TASK, "source_choice": {"together": 2}} | blocks
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    return world_recipe(
        world, [f"output_dir={output}", "device=cpu", "seeds=[1]", *overrides], backbone=backbone, **blocks
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the choice is written."""
    return tmp_path_factory.mktemp("runs") / "sources"


@pytest.fixture(scope="module")
def found(world, tiny_checkpoint, place):
    """A choice among all that there are."""
    return choose_sources(recipe_of(world, tiny_checkpoint, place), quiet=True)


def by_language(found):
    """The candidates of the one target."""
    return {one.language: one for one in found.rankings[0].candidates}


def frozen_score(world, checkpoint, output, source):
    """What a run reports of the frozen head on the target."""
    recipe = recipe_of(world, checkpoint, output, "train.num_train_epochs=0", f"task.source_language={source}")
    rows = read_lines(run(recipe) / "scores.jsonl")
    return next(
        row["value"]
        for row in rows
        if (row["method"], row["language"], row["metric"]) == ("frozen-head", TARGET, "accuracy")
    )


def test_all_languages_with_files_are_candidates(found):
    """But the target."""
    assert sorted(by_language(found)) == sorted([SOURCE, ALIKE, NEAR, WRONG])
    assert {one.labels for one in by_language(found).values()} == {24}  # the other half are pairs


@pytest.mark.parametrize("source", [SOURCE, WRONG])
def test_true_scores_are_those_of_the_frozen_head_of_a_run(found, world, tiny_checkpoint, tmp_path, source):
    """From the same source, to the last digit."""
    assert by_language(found)[source].score.value == frozen_score(world, tiny_checkpoint, tmp_path / "run", source)


def test_several_sources_score_as_in_a_run_of_the_recipe_that_is_offered(found, world, tiny_checkpoint, tmp_path):
    """Whose labels are then learnt from together."""
    (joint,) = found.rankings[0].joint
    assert joint.languages == found.offered and len(found.offered) == 2
    offered = f"[{','.join(found.offered)}]"
    assert joint.score.value == frozen_score(world, tiny_checkpoint, tmp_path / "run", offered)


def test_a_language_with_the_same_words_shares_all_tokens_and_every_neighbour(found):
    """And one with other words no token at all."""
    measured = {code: one.measures for code, one in by_language(found).items()}
    assert measured[ALIKE]["retrieval"] == 1
    assert [measured[code]["tokens"] for code in (ALIKE, NEAR, WRONG, SOURCE)] == [1, 1, 1, 0]


def test_the_same_texts_with_the_same_labels_measure_the_same(found):
    """Whatever the language is called; with other labels they do not agree as well."""
    measured = {code: one.measures for code, one in by_language(found).items()}
    for measure in ("agreement", "transfer", "retrieval", "tokens"):
        assert measured[ALIKE][measure] == measured[NEAR][measure]
    assert measured[WRONG]["agreement"] < measured[ALIKE]["agreement"]


def test_transfer_is_what_runs_to_the_other_candidates_score(found, world, tiny_checkpoint, tmp_path):
    """On their development sets, averaged."""
    recipe = recipe_of(
        world, tiny_checkpoint, tmp_path / "run", "train.num_train_epochs=0", f"task.source_language={WRONG}"
    )
    others = [SOURCE, ALIKE, NEAR]
    files = {"train": "{language}.train.csv", "dev": "{language}.dev.csv", "test": "{language}.dev.csv"}
    task = recipe.task.model_copy(update={"target_languages": others, "files": files})
    rows = read_lines(run(recipe.model_copy(update={"task": task})) / "scores.jsonl")
    scores = [
        row["value"]
        for row in rows
        if (row["method"], row["metric"]) == ("frozen-head", "accuracy") and row["language"] in others
    ]
    assert len(scores) == 3
    assert by_language(found)[WRONG].measures["transfer"] == pytest.approx(np.mean(scores))


def test_no_test_label_is_looked_at(found, tiny_checkpoint, tmp_path):
    """With other labels in the target's test set all measures, and the order, are the same; the scores are not."""
    (tmp_path / "world").mkdir()
    world = write_languages(tmp_path / "world", test_labels=("river", "stone"))
    other = choose_sources(recipe_of(world, tiny_checkpoint, tmp_path / "run"), quiet=True)

    def seen(choice):
        return [(one.language, one.place, one.measures) for one in choice.rankings[0].candidates]

    assert seen(other) == seen(found) and other.offered == found.offered
    assert by_language(other)[ALIKE].score != by_language(found)[ALIKE].score


def test_without_labels_in_the_test_set_there_is_a_ranking_and_no_score(found, tiny_checkpoint, tmp_path):
    """Which is what the command is for."""
    (tmp_path / "world").mkdir()
    world = write_languages(tmp_path / "world")
    lines = (world / f"{TARGET}.test.csv").read_text(encoding="utf-8").splitlines()
    (world / f"{TARGET}.test.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines), encoding="utf-8")
    other = choose_sources(recipe_of(world, tiny_checkpoint, tmp_path / "run"), quiet=True)
    assert [one.language for one in other.rankings[0].candidates] == [
        one.language for one in found.rankings[0].candidates
    ]
    assert all(one.score is None for one in other.rankings[0].candidates)
    assert not other.rankings[0].joint and not other.rankings[0].correlations


def test_labels_of_the_target_are_a_measure_where_the_recipe_has_some(world, tiny_checkpoint, tmp_path):
    """What each head, which has not seen them, scores on them; and they are ranked by."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path / "run", "shots.k=3")
    ranking = choose_sources(recipe, quiet=True).rankings[0]
    labels = {one.language: one.measures["labels"] for one in ranking.candidates}
    assert all(round(9 * value, 6).is_integer() for value in labels.values())  # three of each of three classes
    assert "labels" in ranking.ranked_by and labels[ALIKE] > labels[WRONG]


def test_agreement_is_the_mean_over_texts_and_other_heads():
    """Of three heads on two texts: two of them agree on both, the third with one other on the second."""
    found = count_agreement({"a": ["x", "y"], "b": ["x", "y"], "c": ["z", "y"]})
    assert found == {"a": 0.75, "b": 0.75, "c": 0.5}
    assert count_agreement({"a": ["x"]}) == {} == count_agreement({})


def test_differences_are_paired_with_the_recipes_own_source(found):
    """Whose own difference is none."""
    own = by_language(found)[SOURCE]
    assert own.ahead is None
    for code in (ALIKE, WRONG):
        one = by_language(found)[code]
        assert one.ahead.mean == pytest.approx(one.score.value - own.score.value)
        assert one.ahead.low <= one.ahead.mean <= one.ahead.high


def test_what_is_offered_is_a_recipe(found, world):
    """As it stands on the page."""
    assert f"source_language: [{', '.join(found.offered)}]" in "\n".join(recipe_lines(found))
    recipe = world_recipe(world, [f"task.source_language=[{','.join(found.offered)}]"])
    assert [recipe.task.options["source_language"], *recipe.further_sources] == list(found.offered)


def test_pairs_of_a_file_keep_the_recipes_own_source_first(world, tiny_checkpoint, tmp_path):
    """For they are translations of that, and none of the candidates'."""
    parallel = {"files": str(world / "pairs.{language}.tsv")}
    found = choose_sources(recipe_of(world, tiny_checkpoint, tmp_path / "run", parallel=parallel), quiet=True)
    assert found.offered[0] == SOURCE
    assert not any("retrieval" in one.measures for one in found.rankings[0].candidates)
    assert any("parallel: {from: task}" in note for note in found.notes)


def test_a_measure_that_cannot_be_ranked_by_is_named(found, world, tiny_checkpoint, tmp_path):
    """Where the recipe names it, with what took its place; nothing is said of the default."""
    parallel = {"files": str(world / "pairs.{language}.tsv")}
    choice = {"rank_by": ["retrieval"]}
    other = choose_sources(
        recipe_of(world, tiny_checkpoint, tmp_path / "run", parallel=parallel, source_choice=choice), quiet=True
    )
    used = listed(list(other.rankings[0].ranked_by))
    assert other.notes[0] == (
        "Yoruba: `source_choice.rank_by` names retrieval, which not every candidate has; the ranks are by " + used + "."
    )
    assert not any("rank_by" in note for note in found.notes)


def test_a_candidate_without_labels_is_left_out_with_its_reason(world, tiny_checkpoint, tmp_path):
    """And said on the page."""
    choice = {"candidates": ["eng-Latn", "hau", "ibo-Latn"]}
    place = tmp_path / "run"
    found = choose_sources(recipe_of(world, tiny_checkpoint, place, source_choice=choice), quiet=True)
    assert list(found.left_out) == ["ibo-Latn"] and "ibo-Latn.train.csv" in found.left_out["ibo-Latn"]
    assert "`ibo-Latn` is left out" in (place / PAGE).read_text(encoding="utf-8")


def test_check_counts_the_candidates(world, tiny_checkpoint, tmp_path):
    """And refuses what the command would."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path / "run")
    assert check_experiments(recipe, None)[1] == ["source_choice: 4 candidates (lingraft sources; how long: --dry-run)"]
    with pytest.raises(ConfigError, match="yor-Latn is a target language"):
        check_experiments(
            recipe_of(world, tiny_checkpoint, tmp_path / "run", source_choice={"candidates": ["en", "yo"]}), None
        )


@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        (["eng-Latn", "yor"], "yor-Latn is a target language"),
        (["eng-Latn", "en"], "eng-Latn is named twice"),
        (
            ["eng-Latn", "ibo-Latn"],
            r"no two languages to choose from.*\{candidates: \[eng-Latn, swh-Latn\]\}`",
        ),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(world, tiny_checkpoint, tmp_path, candidates, said):
    """Before anything is computed."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path / "run", source_choice={"candidates": candidates})
    with pytest.raises(ConfigError, match=said):
        choose_sources(recipe, quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_page_and_the_numbers_say_the_same(found, place):
    """Of every candidate."""
    page, numbers = (place / PAGE).read_text(encoding="utf-8"), read_object(place / NUMBERS)
    for one in numbers["rankings"][0]["candidates"]:
        assert f"| {one['name']} | 24 | {one['place']:.1f} |" in page
        assert f"{100 * one['score']['value']:.1f} [" in page
    assert np.isclose(numbers["rankings"][0]["candidates"][0]["place"], by_language(found)[found.offered[0]].place)
    assert "over 4 candidates, which are few" in page
    assert "over 4 candidates, which are few" in (place / REPORT).read_text(encoding="utf-8")
    assert (place / "sources.csv").read_text(encoding="utf-8").count("\n") == 5


def test_a_run_may_follow_in_the_same_folder(found, place, world, tiny_checkpoint):
    """From the languages that were chosen; none of its pages takes the place of the report of the choice."""
    recipe = recipe_of(world, tiny_checkpoint, place, "train.num_train_epochs=0")
    chosen = recipe.model_copy(
        update={"task": recipe.task.model_copy(update={"source_language": found.offered[0]}), "source_choice": None}
    )
    before = (place / REPORT).read_bytes()
    assert (run(chosen) / "scores.jsonl").exists()
    assert (place / REPORT).read_bytes() == before
    assert REPORT not in pages


def test_the_command_shows_the_ranking_and_the_recipe(world, tiny_checkpoint, tmp_path):
    """And with --dry-run what it would cost, writing nothing."""
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_of(world, tiny_checkpoint, tmp_path / "run").to_yaml(), encoding="utf-8")
    dry = CliRunner().invoke(app, ["sources", str(path), "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "Hausa: 24 labelled examples" in dry.output and "tokens to encode" in dry.output
    assert not (tmp_path / "run").exists()
    shown = CliRunner().invoke(app, ["sources", str(path), "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "Hausa" in shown.output and "source_language: [" in shown.output


def test_settings_of_a_choice_decide_no_number_of_a_run(world, tiny_checkpoint, tmp_path):
    """So a finished folder stays finished with another block."""
    recipe = recipe_of(world, tiny_checkpoint, tmp_path / "run", "train.num_train_epochs=0")
    folder = run(recipe)
    before = (folder / "scores.jsonl").stat().st_mtime_ns
    run(recipe.model_copy(update={"source_choice": None}))
    assert (folder / "scores.jsonl").stat().st_mtime_ns == before


def test_a_task_in_one_language_has_nobody_to_transfer_to(world, tiny_checkpoint, tmp_path):
    """Which is said."""
    values = recipe_of(world, tiny_checkpoint, tmp_path / "run", parallel=None).model_dump(mode="json", by_alias=True)
    values["task"] = {**values["task"], "target_languages": []}
    with pytest.raises(ConfigError, match="nobody to transfer to"):
        choose_sources(parse_recipe(values), quiet=True)
