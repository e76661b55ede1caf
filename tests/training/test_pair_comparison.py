"""The comparison classifier in a run: fitted, weighed, saved, and the same for every language."""

import random
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from invented import SOURCE, TARGET, TRANSLATION, world_recipe, write_csv
from lingraft.core.errors import CheckpointError
from lingraft.core.files import read_lines, read_object
from lingraft.core.stored_states import states_folder
from lingraft.model.checkpoint import load_adaptation
from lingraft.model.comparison.reader import pair_reader
from lingraft.model.tensor_files import write_tensors
from lingraft.recipe.presets import preset_values
from lingraft.recipe.settings import PseudoSettings
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from lingraft.tasks.gathering import gather
from lingraft.training.pair_comparison import MOST_PAIRS, compared_examples
from quick_run import run

NAME = "k0-draw0-seed1"


def pairs_of_words(count, seed):
    """Six words, and the same in the same order, or with two of them exchanged."""
    rng, rows = random.Random(seed), []
    for number in range(count):
        words = rng.sample(sorted(TRANSLATION), 6)
        other, same = list(words), number % 2
        if not same:
            a, b = rng.sample(range(6), 2)
            other[a], other[b] = other[b], other[a]
        rows.append((f"p{seed}-{number}", words, other, ("other", "same")[same]))
    return rows


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tables of pairs in two languages."""
    folder = tmp_path_factory.mktemp("pairs")
    for split, count in (("train", 120), ("dev", 60), ("test", 40)):
        for language, say in ((SOURCE, str), (TARGET, TRANSLATION.__getitem__)):
            rows = [
                (key, *(" ".join(map(say, words)) for words in texts), label)
                for key, *texts, label in pairs_of_words(count, len(split))
            ]
            write_csv(folder / f"{language}.{split}.csv", ["key", "first", "second", "label"], rows)
    return folder


@pytest.fixture(scope="module")
def recipe(world, tiny_checkpoint):
    """A function that makes the recipe."""

    def make(folder, *overrides, **changes):
        task = {
            "name": "classification",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "data_dir": str(world),
            "files": {split: f"{{language}}.{split}.csv" for split in ("train", "dev", "test")},
            "fields": {"text": "first", "text_b": "second", "label": "label", "id": "key"},
        }
        given = [f"output_dir={folder}", "seeds=[1]", "device=cpu", *overrides]
        backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
        return world_recipe(world, given, task=task, backbone=backbone, **changes)

    return make


@pytest.fixture(scope="module")
def folder(recipe, tmp_path_factory):
    """A run in which nothing is trained by gradient."""
    return run(recipe(tmp_path_factory.mktemp("run") / "it", **preset_values("instant")))


def score(folder, language, method="lingraft"):
    """The accuracy in a language."""
    rows = read_lines(folder / "trials" / NAME / "scores.jsonl")
    return next(row["value"] for row in rows if (row["language"], row["method"]) == (language, method))


def test_what_a_head_does_not_see_a_comparison_does(folder):
    """Whether words stand in the same order, in a language without a label too."""
    assert score(folder, SOURCE, "frozen-head") < 0.8
    assert min(score(folder, SOURCE), score(folder, TARGET)) > 0.95


def test_the_development_score_is_that_of_all_that_answers(folder):
    """So what is said to have been lost in the source language is not the network's alone."""
    assert read_object(folder / "trials" / NAME / "trial.json")["dev_score"] > 0.95


def test_it_is_counted_as_the_tasks(folder):
    """No language has one of its own."""
    parts = {(part["part"], part["name"]) for part in read_object(folder / "summary.json")["parameters"]}
    assert parts == {("head", "head"), ("task", "comparison classifier")}


def test_saved_and_loaded_it_answers_as_it_was_scored(folder):
    """With nothing but the adaptation and the backbone."""
    rows = list(read_lines(folder / "predictions" / NAME / f"{TARGET}.jsonl"))
    items = [{"first": row["text"], "second": row["text_b"]} for row in rows]
    assert [answer.value for answer in load(folder).predict(items, language=TARGET)] == [row["value"] for row in rows]


def test_what_is_trained_has_it_too_and_may_be_without(recipe, tmp_path):
    """The network beside it is the same; before it, the frozen head with a comparison is what there is to beat."""
    small = ("train.num_train_epochs=1", "prompt.length=2", "adapter.width=4", "train.batch_size=16")
    both, alone = (run(recipe(tmp_path / on, *small, f"train.comparison_classifier={on}")) for on in ("true", "false"))
    assert score(both, TARGET, "instant") > 0.95
    assert score(both, TARGET) > score(alone, TARGET)
    ours, theirs = (load(folder).model.adaptation.state_dict() for folder in (both, alone))
    assert {name.partition(".")[0] for name in ours.keys() - theirs.keys()} == {"comparison"}
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_what_is_compared_is_what_is_learnt_from(recipe, tmp_path):
    """Without the gold labels of the source language, what was made alone; nothing where a class has no example."""
    wanted = recipe(tmp_path / "it")
    found = gather(wanted)
    (draw,) = found.draws
    made = tuple(replace(e, id=f"made/{e.id}", language=TARGET, weight=0.5) for e in draw.labelled)
    one_class = tuple(e for e in made if e.label == "same") * 2
    with_made, of_one_class = (replace(draw, pseudo={TARGET: lot}) for lot in (made, one_class))
    without_gold = wanted.model_copy(update={"pseudo": PseudoSettings(gold=False)})
    assert compared_examples(draw, found, wanted) == list(draw.labelled)
    assert compared_examples(with_made, found, wanted) == [*draw.labelled, *made]
    assert compared_examples(with_made, found, without_gold) == list(made)
    assert compared_examples(of_one_class, found, without_gold) == []


def test_of_many_pairs_a_sample_is_compared(recipe, tmp_path):
    """Of a file that is sorted by class, examples of both."""
    wanted = recipe(tmp_path / "it")
    found = gather(wanted)
    (draw,) = found.draws
    many = [replace(e, id=f"{e.id}/{i}") for e in draw.labelled for i in range(60)]
    sorted_by_class = replace(draw, labelled=tuple(sorted(many, key=lambda e: e.label)))
    chosen = compared_examples(sorted_by_class, found, wanted)
    assert len(chosen) == MOST_PAIRS
    assert 2_300 < sum(e.label == "same" for e in chosen) < 2_700


def test_features_of_a_pair_are_the_same_in_any_company_and_kept(tiny_backbone):
    """One by one, together, and found again where they were kept."""
    pairs = [(" ".join(a), " ".join(b)) for _, a, b, _ in pairs_of_words(12, 9)] + [("ada", "ada beli cora dune eli")]
    read, keep = pair_reader(tiny_backbone, 32), pair_reader(tiny_backbone, 32, keep_bytes=10**9)
    one_by_one = torch.cat([read([pair]) for pair in pairs])
    assert torch.equal(read(pairs), one_by_one)
    before = set(states_folder().rglob("*")) if states_folder().exists() else set()
    assert torch.equal(keep(pairs), one_by_one)
    kept = {path for path in states_folder().rglob("*") if path.is_file()} - before
    assert torch.equal(keep(pairs[::-1]), one_by_one.flip(0))
    assert kept


def test_check_counts_it(recipe, tmp_path):
    """What reading each text once more takes, and what is fitted."""
    found = plan(recipe(tmp_path / "a", **preset_values("instant")))
    without = plan(recipe(tmp_path / "b", "train.comparison_classifier=false", **preset_values("instant")))
    assert found.work.tokens_encoded == round(5 / 3 * without.work.tokens_encoded)
    assert any("a comparison classifier is fitted to the labelled pairs" in line for line in found.lines)


def test_a_damaged_one_is_refused(folder, tmp_path, tiny_backbone):
    """With what is wrong, in a line."""
    answers = load(folder)
    tensors = {name: tensor.detach() for name, tensor in answers.model.adaptation.state_dict().items()}
    broken = tmp_path / "adaptation.safetensors"
    with safe_open(folder / "adaptation.safetensors", framework="pt") as file:
        metadata = file.metadata()
    write_tensors(broken, tensors | {"comparison.weights": torch.zeros(3)}, metadata)
    with pytest.raises(CheckpointError, match="the comparison classifier cannot be read"):
        load_adaptation(broken, answers.backbone)
