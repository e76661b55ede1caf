"""Run folders, comparisons and saved adaptations from somebody hostile: used, or refused in one line; nothing else."""

import json
import random
import shutil
import warnings
from contextlib import redirect_stdout
from functools import partial
from io import StringIO

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from attack.held import fault_of
from attack.record import record
from attack.sample import TIMES
from attack.structures import mutated, mutated_text
from invented import TARGET, world_recipe, write_world
from lingraft.backbones.loading import load_backbone
from lingraft.cli.run import show_results
from lingraft.core.errors import LingraftError
from lingraft.results.comparison import blocks, read_comparison
from lingraft.results.pages import write_page
from lingraft.results.pages.comparison_markdown import page_text
from lingraft.results.pages.run_markdown import write_results_page
from lingraft.runs.rescore import rescore
from lingraft.serving.loading import load, needed_columns
from posix_only import make_pipe
from quick_run import quick_compare, run

pytestmark = pytest.mark.attack

PARTS = [
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1", "adapter.name=lora", "adapter.rank=2"),
    *("train.num_train_epochs=2", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu"),
    *("seeds=[1,2]", "shots.k=1"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_checkpoint):
    """The folders of a run and of a comparison, and the recipes that they are of as functions of the folder."""
    place = tmp_path_factory.mktemp("folders")
    world = write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=8)

    def recipe(folder, **more):
        return world_recipe(
            world,
            [*PARTS, f"output_dir={folder}"],
            backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32},
            parallel={"files": str(world / f"pairs.{TARGET}.tsv")},
            **more,
        )

    methods = {"compare": {"methods": ["lingraft", "frozen-head", "peft-lora"]}}
    run(recipe(place / "run"))
    quick_compare(recipe(place / "compared", **methods))
    return place, recipe, methods


@pytest.fixture
def attack(made, tmp_path):
    """A function that mutates one file of a copy of a folder, many times, and says what was wrong with its reading."""

    def throw(name, read, count, *, chosen, before=lambda folder: None):
        source, folder = made[0] / name, tmp_path / name
        files = sorted(path.relative_to(source) for path in source.rglob("*.json*") if chosen(path))
        found = {}
        tried = round(count * TIMES)
        for seed in range(tried):
            rng = random.Random(seed)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(source, folder)
            before(folder)
            file = folder / rng.choice(files)
            file.write_bytes(mutated_text(file.read_bytes(), rng))
            with redirect_stdout(StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if said := fault_of(lambda: read(folder)):
                    found[seed, str(file.relative_to(folder))] = said
        return tried, found

    return throw


def settle(attack, outcome):
    """Note what was tried and held, and fail with what did not."""
    tried, faults = outcome
    record(attack, tried=tried, held=tried - len(faults))
    assert faults == {}


def test_hostile_run_folders_are_reported_on_or_refused(attack):
    """Report, model card, page of results and table of the command line."""

    def read(folder):
        write_page(folder, "README.md")
        write_results_page(folder, folder / "page.md", command="x")
        show_results(folder)
        write_page(folder, "report.html")

    outcome = attack("run", read, 250, chosen=lambda path: "trials" not in path.parts and path.name != "run.json")
    settle("a mutated file of a run folder, then its pages", outcome)


def test_hostile_comparisons_are_reported_on_or_refused(attack):
    """The page and its tables."""
    outcome = attack(
        "compared",
        lambda folder: page_text(blocks(found := read_comparison(folder)), found),
        450,
        chosen=lambda path: path.name == "comparison.json" or "predictions" in path.parts,
    )
    settle("a mutated file of a comparison, then its page", outcome)


def test_hostile_folders_predict_and_evaluate_or_are_refused(attack, tiny_backbone):
    """What of a run or a method is read to load it and to score it again."""

    def read(folder):
        method = folder / "lingraft"
        needed_columns(method)
        load(method, backbone=tiny_backbone).predict(["ada beli"])
        rescore(method, None, "test", limit=2, quiet=True)

    outcome = attack("compared", read, 250, chosen=lambda path: path.name in ("method.json", "summary.json"))
    settle("a mutated file of a method's folder, then prediction and evaluation", outcome)


def test_hostile_run_folders_are_continued_or_refused(attack, made):
    """A run that was killed before its end finds trials, marks and records that are not its own."""
    outcome = attack(
        "run",
        lambda folder: run(made[1](folder)),
        30,
        chosen=lambda path: True,
        before=lambda folder: (folder / "README.md").unlink(),
    )
    settle("a mutated file of a run folder, then the run goes on", outcome)


def test_hostile_comparisons_are_continued_or_refused(attack, made):
    """Methods that were finished, and their trials."""
    outcome = attack(
        "compared",
        lambda folder: quick_compare(made[1](folder, **made[2])),
        30,
        chosen=lambda path: "lingraft" in path.parts or path.parent.name == "compared",
    )
    settle("a mutated file of a comparison, then it goes on", outcome)


# ---- Adaptations -----------------------------------------------------------------------------------

STRANGE = [
    *("unfrozen.x", "unfrozen.layers/0/attention", "unfrozen.embeddings/words/weight", "adapter.x", "head."),
    *("text_classifiers.ngrams.yor-Latn.ngrams", "text_classifiers..", "prompt.task.99"),
]
"""Names of tensors that should not be there."""

CHANGES = [
    lambda tensor: torch.zeros(3),
    lambda tensor: tensor[:0].clone() if tensor.dim() else tensor.clone(),
    lambda tensor: tensor.double(),
    lambda tensor: torch.full_like(tensor, float("nan")),
    lambda tensor: tensor.to(torch.int64),
    lambda tensor: tensor.unsqueeze(0).clone(),
]


def with_strange_tensors(tensors, rng):
    """Tensors of which one is missing, misnamed, misshapen or of another kind."""
    changed, name = dict(tensors), rng.choice(sorted(tensors))
    how = rng.randrange(len(CHANGES) + 2)
    if how == len(CHANGES):
        del changed[name]
    elif how > len(CHANGES):
        changed[rng.choice(STRANGE)] = changed[name].clone()
    else:
        changed[name] = rng.choice(CHANGES)(changed[name])
    return changed


def test_hostile_adaptations_predict_or_are_refused(made, tiny_backbone, tmp_path):
    """Descriptions that promise something else, and tensors that are something else."""
    sources = []
    for path in sorted(made[0].rglob("adaptation.safetensors")):
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["lingraft"])
            sources.append(({name: file.get_tensor(name) for name in file.keys()}, about))  # noqa: SIM118
    path, found, count = tmp_path / "adaptation.safetensors", {}, round(400 * TIMES)
    for seed in range(count):
        rng = random.Random(seed)
        tensors, about = rng.choice(sources)
        if rng.random() < 0.3:
            tensors = with_strange_tensors(tensors, rng)
        elif rng.random() < 0.3:
            about = mutated(about, rng)
        else:
            about = {**about, "identity": mutated(about["identity"], rng)}
        save_file(tensors, path, metadata={"lingraft": json.dumps(about)})

        def use():
            adapted = load(path, backbone=tiny_backbone)
            adapted.predict(["ada beli", "cora"])

        if said := fault_of(use):
            found[seed] = said
    settle("a mutated adaptation, then a prediction", (count, found))


# ---- Checkpoints -----------------------------------------------------------------------------------

FILES = [
    *("config.json", "config.json", "tokenizer.json", "tokenizer.json", "tokenizer_config.json"),
    *("model.safetensors", "model.safetensors.index.json"),
]
"""What is mutated, as often as it stands here."""


def with_mutated_header(content, rng):
    """A safetensors file whose header, or its length, is another."""
    length = int.from_bytes(content[:8], "little")
    if rng.random() < 0.2:
        return rng.randbytes(8) + content[8:]
    header = mutated_text(content[8 : 8 + length], rng)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def test_hostile_checkpoints_are_loaded_or_refused(tiny_checkpoint, tmp_path):
    """Configuration, tokenizer, headers of the weights, index of several files."""
    with safe_open(tiny_checkpoint / "model.safetensors", framework="pt") as file:
        index = {"metadata": {}, "weight_map": dict.fromkeys(file.keys(), "model.safetensors")}
    folder, found, count = tmp_path / "model", {}, round(350 * TIMES)
    for seed in range(count):
        rng = random.Random(seed)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny_checkpoint, folder)
        changed = folder / rng.choice(FILES)
        content = changed.read_bytes() if changed.exists() else json.dumps(index).encode()
        mutate = with_mutated_header if changed.suffix == ".safetensors" else mutated_text
        changed.write_bytes(mutate(content, rng))

        def use():
            load_backbone(str(folder)).tokenizer(["ada beli zeno"], truncation=True, max_length=16)

        if said := fault_of(use):
            found[seed, changed.name] = said
    settle("a mutated checkpoint, then its loading", (count, found))


# ---- Links and pipes -------------------------------------------------------------------------------


def test_nothing_outside_a_run_folder_is_read_or_written(made, tmp_path, tiny_backbone):
    """Every file and folder of a run in turn is a link to one elsewhere, or a pipe: each is refused by name."""
    source, outside = made[0] / "run", tmp_path / "outside"
    names = sorted(path.relative_to(source) for path in source.rglob("*") if path.suffix not in (".md", ".html"))
    found = {}
    for name in names:
        for replace in (lambda path, old: path.symlink_to(old), lambda path, old: make_pipe(path)):
            folder = tmp_path / "run"
            for place in (folder, outside):
                shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(source, folder)
            (folder / "README.md").unlink()
            (folder / name).rename(outside)
            replace(folder / name, outside)
            before = _listing(outside)
            for read in (partial(write_page, name="report.html"), lambda place: run(made[1](place))):
                said = refusal(read, folder)
                if str(folder / name) not in said or "\n" in said:
                    found[str(name)] = said or "read"
            if _listing(outside) != before:
                found[str(name)] = "written"
            if outside.is_file():
                outside.unlink()
    record("a link or a pipe in a run folder", tried=4 * len(names), held=4 * len(names) - len(found))
    assert found == {}


def refusal(read, folder):
    """What ``read`` says when it refuses a folder; nothing where it does not."""
    try:
        read(folder)
    except LingraftError as error:
        return str(error)
    return ""


def _listing(place):
    """Every file below a place, with when it changed and how large it is."""
    return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in (place, *sorted(place.rglob("*")))]
