"""Hostile recipes: whatever is in one, it is read or refused line by line, before much is taken."""

import random
from functools import partial

import pytest
from ruamel.yaml import YAML

from attack.held import fault_of
from attack.mutations import mutated
from attack.recipe_mutations import as_yaml, mutated_values
from attack.record import record
from attack.sample import TIMES
from invented import TARGET, TRANSLATION, write_world
from lingraft.core.errors import ConfigError
from lingraft.experiments.planned import check_experiments
from lingraft.recipe.parsing import draft_recipe, parse_recipe, read_recipe
from lingraft.recipe.settings import BackboneSettings
from lingraft.runs.plan import plan

pytestmark = pytest.mark.attack

COUNT = round(700 * TIMES)
"""Of each of three kinds."""

RATES = {"float32": 1e11, "bfloat16": 1e11}

RECIPE = """
# What is learnt, from what, and what it is compared with
output_dir: {folder}/run
seeds: [1, 2]
device: cpu
backbone: {{checkpoint: {checkpoint}, cut: 1, max_length: 32, text_prefix: "query: "}}
task:
  name: classification
  title: "topics: of [invented] texts"
  source_language: eng-Latn
  target_languages: [yor-Latn]
  data_dir: {folder}
  files: {{train: "{{language}}.train.csv", dev: "{{language}}.dev.csv", test: "{{language}}.test.csv"}}
  fields: &fields {{text: sentence, label: topic, id: key}}
  parallel: true
  licence: CC BY 4.0
shots: {{k: [0, 1], draws: 2, source_examples: 20}}
prompt: {{name: {prompt}, length: 2, language_length: 1}}
adapter: {adapter}
freezing: {{name: {freezing}}}
parallel: {parallel}
alignment:
  - {{name: mse, weight: 0.5}}
  - {{name: transport, layer: 2, iterations: 3}}
train:
  num_train_epochs: 3
  batch_size: 8
  learning_rate: 1e-3
  balance: null
  max_pairs: 10
cache: {{dtype: float32, max_gigabytes: 1}}
compare:
  methods: [frozen-head, lingraft]
  learning_rates: {{lingraft: [1e-3, 1e-2]}}
  variants: {{small: {{adapter: {{width: 2}}, preset: fast}}}}
"""
CHOICES = {
    "prompt": ("deep", "gated"),
    "adapter": ("{name: bottleneck, width: 4, dropout: 0.1}", "{name: lora, rank: 2, targets: [query]}"),
    "freezing": ("frozen", "head_first, share: 0.5"),
    "parallel": (
        "{files: '%s/pairs.{language}.tsv', pairs: 20}",
        "{from: task, labelled: false}",
        "{lexicon: '%s/words.{language}.tsv', copies: 2, augmentation: {name: code-switching, ratio: 0.5}}",
    ),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with data for the recipes, which nothing is written to."""
    folder = write_world(tmp_path_factory.mktemp("world"), train=24, dev=6, test=6, pairs=12)
    words = "".join(f"{a}\t{b}\n" for a, b in TRANSLATION.items())
    (folder / f"words.{TARGET}.tsv").write_text(words, encoding="utf-8")
    return folder


@pytest.fixture
def recipes(world, tiny_checkpoint, tmp_path, monkeypatch):
    """A function that gives the text of a good recipe, one of several; the process stands in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def text(rng):
        chosen = {key: rng.choice(values) for key, values in CHOICES.items()}
        chosen["parallel"] = chosen["parallel"].replace("%s", str(world))
        return RECIPE.format(folder=world, checkpoint=tiny_checkpoint, **chosen)

    return text


@pytest.fixture(autouse=True)
def _warm(recipes):
    """What any check imports and keeps is not what a hostile recipe takes."""
    check(parse_recipe(YAML(typ="safe").load(recipes(random.Random(0)))))


def check(recipe, known=(), *, tiny=None):
    """What ``lingraft check`` does after reading; a recipe that names no checkpoint has ``tiny``."""
    if recipe.backbone.checkpoint == BackboneSettings().checkpoint:  # loading its tokenizer takes what it takes
        backbone = recipe.backbone.model_copy(update={"checkpoint": str(tiny)})
        recipe = recipe.model_copy(update={"backbone": backbone})

    def measure(width):
        return RATES

    plan(recipe, check_experiments, measure, known)


def one_by_one(read):
    """Read, and refuse a refusal of which a problem is more than a line that a person reads."""
    try:
        read()
    except ConfigError as error:
        for problem in error.problems:
            assert "\n" not in problem, problem[:300]
            assert len(problem) < 1500, problem[:300]


def check_file(path, content, tiny):
    """Read a recipe file as ``run`` and as ``check`` do, and check what was read."""
    path.write_bytes(content)
    one_by_one(lambda: read_recipe(path))
    one_by_one(lambda: check(*draft_recipe(path), tiny=tiny))


def settle(attack, faults, tmp_path):
    """Note what was tried, and show what did not hold."""
    wrong = {seed: fault for seed, fault in faults.items() if fault}
    record(attack, tried=len(faults), held=len(faults) - len(wrong))
    assert wrong == {}
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == []


def test_the_recipes_are_good(recipes):
    """What is mutated could be run."""
    for seed in range(8):
        values = YAML(typ="safe").load(recipes(random.Random(seed)))
        check(parse_recipe(values))


def test_recipes_of_mutated_text(recipes, tiny_checkpoint, tmp_path):
    """Whatever happens to the bytes of a recipe."""
    faults = {}
    for seed in range(COUNT):
        rng = random.Random(f"text {seed}")
        content = mutated(recipes(rng).encode(), rng)
        faults[seed] = fault_of(partial(check_file, tmp_path / "recipe.yaml", content, tiny_checkpoint))
    settle("recipes with mutated text", faults, tmp_path)


def test_recipes_of_mutated_values(recipes, tiny_checkpoint, tmp_path):
    """Whatever value stands at whatever place of a recipe file."""
    faults = {}
    for seed in range(COUNT):
        rng = random.Random(f"values {seed}")
        values = mutated_values(YAML(typ="safe").load(recipes(rng)), rng)
        try:
            content = as_yaml(values).encode()
        except ValueError:  # a number of more digits than Python writes
            continue
        faults[seed] = fault_of(partial(check_file, tmp_path / "recipe.yaml", content, tiny_checkpoint))
    settle("recipes with mutated values", faults, tmp_path)


def test_recipes_of_mutated_python_values(recipes, tiny_checkpoint, tmp_path):
    """Whatever a notebook gives in the place of a recipe's values."""
    faults = {}
    for seed in range(COUNT):
        rng = random.Random(f"python {seed}")
        values = mutated_values(YAML(typ="safe").load(recipes(rng)), rng, objects=True)
        faults[seed] = fault_of(
            lambda given=values: one_by_one(lambda: check(parse_recipe(given), tiny=tiny_checkpoint))
        )
    settle("recipes with mutated Python values", faults, tmp_path)
