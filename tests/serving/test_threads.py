"""One loaded model serves many threads, and many recipes one process."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_world
from lingraft.core.records import IDS
from lingraft.serving.loading import load
from quick_run import differing, run

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "train.learning_rate=1e-2", "device=cpu", "seeds=[1]"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
]
ADAPTERS = {
    "bottleneck": ["adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"],
    "lora": ["adapter={name: lora, rank: 2}"],
    "scaling": ["adapter={name: scaling}"],
    "unfrozen": ["adapter=", "freezing={name: top_layers, layers: 1}"],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"), train=24, dev=6, test=8, pairs=10)


def recipe(world, checkpoint, output, *overrides):
    """A recipe that takes a second or two."""
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32},
        parallel={"files": str(world / "pairs.{language}.tsv")},
    )


@pytest.fixture(scope="module", params=ADAPTERS)
def adapted(request, world, tiny_checkpoint, tmp_path_factory):
    """A loaded run, with each way to take the place of the stack's parameters."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(folder.parent / "cache"))
        return load(run(recipe(world, tiny_checkpoint, folder, *ADAPTERS[request.param])))


def test_threads_get_what_one_thread_gets(adapted):
    """Texts of two languages, cut to different lengths, at the same time: every answer and every confidence."""
    texts = [text for text, _ in labelled_texts(40)]
    asked = [
        ([say(text) for text in texts[i : i + 5]], language)
        for i in range(0, 40, 5)
        for language, say in ((SOURCE, str), (TARGET, translated))
    ]
    expected = [adapted.predict(some, language=language) for some, language in asked]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(lambda one: adapted.predict(one[0], language=one[1]), asked))
            assert found == expected


def test_what_is_merged_is_what_is_computed_beside(adapted):
    """With gradient the weights are put in for the time of a call; without it they were merged before."""
    examples = [f"{text} {text}" for text, _ in labelled_texts(6)]
    ids = adapted.backbone.tokenizer(examples)["input_ids"]
    from lingraft.backbones.walk import pad_batch

    states = pad_batch(ids, adapted.backbone.stack, torch.device("cpu"))
    assert states.layer == IDS
    for language in (SOURCE, TARGET):
        beside = adapted.model(states, language)[1].detach()
        with torch.no_grad():
            merged = adapted.model(states, language)[1]
        torch.testing.assert_close(merged, beside)


def test_merged_weights_follow_what_they_are_made_of(adapted):
    """A parameter that changes is merged anew, without being told to."""
    made = [p for name, p in adapted.model.adaptation.named_parameters() if name.startswith(("adapter", "unfrozen"))]
    with torch.no_grad():
        before = adapted.model.merged(TARGET)
        assert adapted.model.merged(TARGET) is before
        made[0].add_(1.0)
        after = adapted.model.merged(TARGET)
        made[0].sub_(1.0)
    replaced = adapted.model.adaptation.weights_state() != () and before is not adapted.backbone.stack
    assert (after is not before) is replaced


def test_nothing_is_written_to_the_frozen_stack(adapted):
    """Merging shares its tensors and changes none."""
    from lingraft.backbones.digests import weights_digest

    with torch.no_grad():
        merged = adapted.model.merged(TARGET)
    frozen = dict(adapted.backbone.stack.named_parameters())
    shared = [name for name, p in merged.named_parameters() if p is frozen[name]]
    assert weights_digest(adapted.backbone.stack) == adapted.backbone.weights_digest
    assert "embeddings.word_embeddings.weight" in shared


def test_recipes_run_one_after_the_other_as_they_do_alone(world, tiny_checkpoint, tmp_path):
    """Nothing that one run leaves in the process reaches the next."""
    first = run(recipe(world, tiny_checkpoint, tmp_path / "one-run", *ADAPTERS["lora"]))
    run(recipe(world, tiny_checkpoint, tmp_path / "between", *ADAPTERS["scaling"], "seeds=[7]", "shots.k=1"))
    again = run(recipe(world, tiny_checkpoint, tmp_path / "two-run", *ADAPTERS["lora"]))
    assert differing(first, again) == []


def test_a_run_is_used_where_its_recipe_says(world, tiny_checkpoint, tmp_path):
    """On the recipe's device; on the best there is where this machine lacks it; and where one asks for another."""
    folder = run(recipe(world, tiny_checkpoint, tmp_path / "run"))
    assert next(load(folder).model.parameters()).device.type == "cpu"
    path = folder / "recipe.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("device: cpu", "device: mps"), encoding="utf-8")
    best = "mps" if torch.backends.mps.is_available() else "cuda" if torch.cuda.is_available() else "cpu"
    assert next(load(folder).model.parameters()).device.type == best
    assert next(load(folder, device="cpu").backbone.stack.parameters()).device.type == "cpu"
