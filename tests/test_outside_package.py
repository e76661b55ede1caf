"""A package of other people adds one of everything, and one recipe uses it all."""

import json
import math
import random
from types import SimpleNamespace

import pytest

from invented import FILLER, SOURCE, TARGET, TOPICS, labelled_texts, translated
from lingraft.core.files import read_lines, read_object
from outside import install, python

ADDED = {
    "lingraft.alignment": "outside_l1",
    "lingraft.prompts": "outside_row",
    "lingraft.adapters": "outside_shift",
    "lingraft.maps": "outside_half",
    "lingraft.freezing": "outside_all_frozen",
    "lingraft.data": "stars",
    "lingraft.augmentation": "outside_reversal",
    "lingraft.generators": "outside_echo",
    "lingraft.filters": "outside_shouting",
    "lingraft.translators": "outside_backwards",
    "lingraft.backbones": "outside-bert",
    "lingraft.pages": "scores.html",
    "lingraft.formats": "outside_labels",
    "lingraft.heads": "outside_tanh",
    "lingraft.text_classifiers": "outside_silent",
    "lingraft.formulas": "outside_geometric",
    "lingraft.kinds": "outside_rating",
    "lingraft.tasks": "outside_rating",
}
RUN = """
import json, sys
from pathlib import Path
from lingraft.backbones import backbones
from lingraft.core.progress import Reporter
from lingraft.data import sources
from lingraft.data.augmentation import augmentation
from lingraft.model.adapters import adapters
from lingraft.model.freezing import freezing
from lingraft.model.heads import heads, text_classifiers
from lingraft.model.maps import maps
from lingraft.model.prompts import prompts
from lingraft.pseudo.filters import filters
from lingraft.pseudo.generators import generators
from lingraft.pseudo.translators import translators
from lingraft.recipe.parsing import read_recipe
from lingraft.results.metrics import formulas
from lingraft.results.pages import pages
from lingraft.runs.pipeline import run
from lingraft.serving.export import formats
from lingraft.serving.verification import verify
from lingraft.tasks import tasks
from lingraft.tasks.kinds import kinds
from lingraft.training.alignment import alignment

run(read_recipe(Path(sys.argv[1])), reporter=Reporter(quiet=True), verify=verify)
registries = adapters, alignment, augmentation, backbones, formats, formulas, freezing, heads, kinds, maps, pages
registries += prompts, filters, generators, sources, tasks, text_classifiers, translators
print(json.dumps({registry.group: registry.names() for registry in registries}))
"""


def write_reviews(folder, language, split, count, seed):
    """Reviews in the format that the package reads; one to three stars, as many of each."""
    rng, lines = random.Random(seed), []
    for i in range(count):
        text = " ".join(TOPICS["river"][: 1 + i % 3] + rng.choices(FILLER, k=rng.randint(2, 4)))
        lines.append(f"{'*' * (1 + i % 3)} {text if language == SOURCE else translated(text)}")
    (folder / f"{language}.{split}.stars").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def used(tiny_checkpoint, tmp_path_factory):
    """The folder of a run that uses all that was added, and the names in each registry."""
    folder = tmp_path_factory.mktemp("outside")
    packages = install(folder / "packages", "toy_kind", ["lingraft.kinds", "lingraft.tasks"])
    install(packages, "outside_parts", sorted(ADDED))
    for number, (split, count) in enumerate({"train": 12, "dev": 6, "test": 6}.items()):
        for language in (SOURCE, TARGET):
            write_reviews(folder, language, split, count, number if language == SOURCE else 10 + number)
    sentences = [text for text, _ in labelled_texts(6, 5)]
    pairs = "".join(f"{text}\t{translated(text)}\n" for text in sentences)
    (folder / f"pairs.{TARGET}.tsv").write_text(f"source\ttarget\n{pairs}", encoding="utf-8")
    lines = (folder / f"{SOURCE}.train.stars").read_text(encoding="utf-8").splitlines()
    sentences += [line.partition(" ")[2] for line in lines]
    recipe = {
        "output_dir": str(folder / "run"),
        "seeds": [1],
        "device": "cpu",
        "task": {
            "name": "outside_rating",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.stars" for split in ("train", "dev", "test")},
            "data_dir": str(folder),
        },
        "backbone": {"checkpoint": str(tiny_checkpoint), "max_length": 20},
        "parallel": {
            "files": str(folder / "pairs.{language}.tsv"),
            "augmentation": {"name": "outside_reversal", "least": 3},
        },
        "alignment": [{"name": "outside_l1", "power": 1.5}],
        "prompt": {"name": "outside_row"},
        "adapter": {"name": "outside_shift"},
        "map": {"name": "outside_half"},
        "freezing": {"name": "outside_all_frozen"},
        "train": {"num_train_epochs": 1, "batch_size": 4},
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    said = python(RUN, folder / "recipe.yaml", packages=packages, cache=folder / "cache")
    return SimpleNamespace(folder=folder / "run", names=json.loads(said.splitlines()[-1]), sentences=sentences)


@pytest.mark.parametrize("group", ADDED)
def test_every_registry_takes_what_is_added(used, group):
    """By the entry points of a distribution, beside what is ours."""
    assert ADDED[group] in used.names[group]
    assert len(used.names[group]) > 1


def test_a_recipe_uses_all_of_it(used):
    """Its file format was read, its parts were trained with its loss on its pairs, and its page was written."""
    summary, data = (read_object(used.folder / name) for name in ("summary.json", "data.json"))
    trained = {part["name"]: part["count"] for part in summary["parameters"]}
    assert trained == {"prompt.task": 24, "adapter.task": 24, "head": 25}
    assert all(row["alignment_loss"] > 0 for row in read_lines(used.folder / "training.jsonl"))
    assert data["languages"][TARGET]["pairs"] == 6 + data["languages"][TARGET]["made"]
    words = [sentence.split() for sentence in used.sentences]
    backwards = {tuple(reversed(one)) for one in words if len(one) >= 3 and one != one[::-1]}
    assert data["languages"][TARGET]["made"] == len(backwards) > 12
    assert f"{TARGET}: {len(backwards)} copies by outside_reversal" in data["notes"]
    assert (used.folder / "scores.html").read_text(encoding="utf-8") == "<p>4 scores of reviews</p>"


def test_its_formula_makes_the_number_of_the_scores(used):
    """The geometric mean of its counts, as the report makes it again from ``data.json``."""
    for row in read_lines(used.folder / "scores.jsonl"):
        said = list(read_lines(used.folder / "predictions" / "k0-draw0-seed1" / f"{row['language']}.jsonl"))
        column = "before_right" if row["method"] == "frozen-head" else "right"
        wrong = [1 - line[column] for line in said]
        assert (row["metric"], row["value"]) == ("geometric", pytest.approx(math.exp(-sum(wrong) / len(wrong))))


def test_what_it_saved_is_proven_in_a_fresh_process(used):
    """Another process found the same package, and gave back the logits of training."""
    verified = read_object(used.folder / "summary.json")["verification"]
    assert verified["texts"] == 2 * 6
    assert verified["max_difference"] <= 1e-3
