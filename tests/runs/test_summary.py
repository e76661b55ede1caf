"""The end of a run counts, pictures and proves what the trials left."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from invented import SOURCE, TARGET, write_world
from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import RunError
from lingraft.core.examples import PairExample
from lingraft.core.records import Trial
from lingraft.runs.folder import trials_of
from lingraft.runs.selection import shared_sentences
from lingraft.runs.state_picture import picture_states
from lingraft.runs.summary import frozen_parts, prove_frozen, summarise, trained_parts
from lingraft.serving.loading import load
from lingraft.tasks.material import Draw
from trained_run import PARTS, trained_run


@pytest.fixture(scope="module")
def trained(tiny_backbone, tmp_path_factory):
    """One training with prompts and adapters, on a task that is parallel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(tmp_path_factory.mktemp("cache")))
        world = write_world(tmp_path_factory.mktemp("world"))
        return trained_run(world, tiny_backbone, tmp_path_factory.mktemp("run"), *PARTS)


# ---- Counts ----------------------------------------------------------------------------------------


def named(*names):
    """A module with a parameter of three numbers under each of these names."""
    root = nn.Module()
    for name in names:
        *path, last = name.split(".")
        place = root
        for word in path:
            if word not in place._modules:
                place.add_module(word, nn.Module())
            place = place.get_submodule(word)
        place.register_parameter(last, nn.Parameter(torch.zeros(3)))
    return root


def test_every_parameter_is_counted_in_its_part():
    """Gates belong to the part that they open, whatever else is in prompt or adapter to the task."""
    names = """
        prompt.task.8 prompt.gate.task.8 prompt.mlp.0.weight
        prompt.language.yor-Latn.8 prompt.gate.language.yor-Latn.8 prompt.language.quy-Latn.8
        adapter.task.8.down adapter.a.0 adapter.language.yor-Latn.8.down
        head.weight head.bias unfrozen.layers/2/attention/weight unfrozen.embeddings/words
    """
    found = trained_parts(named(*names.split()))

    assert {(row["part"], row["name"]): row["count"] for row in found} == {
        ("task", "prompt.task"): 9,
        ("language:yor-Latn", "prompt.language"): 6,
        ("language:quy-Latn", "prompt.language"): 3,
        ("task", "adapter.task"): 6,
        ("language:yor-Latn", "adapter.language"): 3,
        ("head", "head"): 6,
        ("backbone", "backbone layers"): 3,
        ("backbone", "embeddings and the rest"): 3,
    }
    assert all(row["trained"] for row in found)


def sizes(rows):
    """Counts by the first word of their names."""
    return {row["name"].split(",")[0]: row["count"] for row in rows}


@pytest.mark.parametrize("cut", [-1, 0, 2])
def test_frozen_and_unfrozen_parameters_are_all_of_the_backbone(tiny_backbone, cut):
    """What was trained as a copy is not counted as frozen; a layer that was unfrozen whole has no line."""
    stack = tiny_backbone.stack
    shapes = dict(stack.named_parameters())
    top = {name: p.numel() for name, p in shapes.items() if name.startswith("layers.2.")}
    adaptation = nn.Module()
    adaptation.unfrozen = nn.ParameterDict({name.replace(".", "/"): nn.Parameter(shapes[name].clone()) for name in top})

    everything, rest = sizes(frozen_parts(stack, cut, nn.Module())), sizes(frozen_parts(stack, cut, adaptation))

    total = sum(p.numel() for p in shapes.values())
    assert sum(everything.values()) == total
    assert sum(rest.values()) == total - sum(top.values())
    expected = {"layers 1–2", "layers 3–3"} if cut == 2 else {"layers 1–3"}
    assert set(everything) == expected | {"embeddings and the rest"}
    assert "layers 3–3" not in rest
    assert trained_parts(adaptation)[0]["count"] == sum(top.values())


def test_a_backbone_that_moved_ends_the_run(tiny_checkpoint):
    """One changed weight is another digest than that from before; both are told."""
    backbone = load_backbone(str(tiny_checkpoint))
    assert prove_frozen(backbone) == backbone.weights_digest
    with torch.no_grad():
        next(backbone.stack.layers[1].parameters()).view(-1)[0] += 1e-3
    with pytest.raises(RunError, match=rf"digest {backbone.weights_digest} before training, [0-9a-f]{{64}} after"):
        prove_frozen(backbone)


def test_a_summary_counts_what_was_trained_and_what_not(trained):
    """Parts and frozen rows together are the adaptation and the backbone."""
    summarise(trained.folder, trained.recipe, trained.backbone, 1, 1.0)

    summary = json.loads((trained.folder / "summary.json").read_text(encoding="utf-8"))

    assert {row["part"] for row in summary["parameters"]} == {"task", f"language:{TARGET}", "head"}
    assert sum(row["count"] for row in summary["frozen"]) == summary["backbone"]["parameters"]
    assert [row["name"] for row in summary["frozen"]] == [
        "embeddings and the rest",
        "layers 1–1, computed once",
        "layers 2–3, computed at every step",
    ]


# ---- Sentences in both languages -------------------------------------------------------------------


def materials(source, target, *, parallel=True, pairs=()):
    """Test sets given by the groups of their examples."""

    def examples(language, groups):
        return tuple(PairExample(f"{language}{i}", group, language) for i, group in enumerate(groups))

    sides = [tuple(PairExample(f"{side}{i}", "", "") for side in "st") for i in range(pairs or 0)] if pairs else []
    draw = Draw(5, 0, (), {}, {TARGET: tuple(sides)})
    test = {SOURCE: examples(SOURCE, source), TARGET: examples(TARGET, target)}
    return SimpleNamespace(
        task=SimpleNamespace(source_language=SOURCE, parallel=parallel), test=test, draws=(Draw(0, 0, (), {}, {}), draw)
    )


def test_translations_share_a_group_of_their_own():
    """Groups with two examples on one side say not which translates which, and are left out."""
    purpose, source, target = shared_sentences(materials("abbcde", "edcbax"), Trial(5, 0, 1), TARGET)

    assert purpose == "test"
    assert source == [f"{SOURCE}{i}" for i in (5, 4, 3, 0)]
    assert target == [f"{TARGET}{i}" for i in (0, 1, 2, 4)]


def test_as_many_translations_as_asked_for():
    """The limit is the caller's."""
    found = materials("abcdefgh", "abcdefgh")

    assert len(shared_sentences(found, Trial(5, 0, 1), TARGET, limit=4)[1]) == 4
    assert len(shared_sentences(found, Trial(5, 0, 1), TARGET)[1]) == 8


def test_without_parallel_test_sets_pairs_serve():
    """They are those of the trial's draw, and fewer than three are none."""
    trial = Trial(5, 0, 1)

    assert shared_sentences(materials("abc", "abc", parallel=False, pairs=4), trial, TARGET) == (
        "learn", ["s0", "s1", "s2", "s3"], ["t0", "t1", "t2", "t3"],
    )  # fmt: skip
    assert shared_sentences(materials("ab", "ab", pairs=2), trial, TARGET) is None


# ---- The picture -----------------------------------------------------------------------------------


def test_the_picture_shows_the_states_of_translations(trained):
    """Its points are the first two principal components of the four clouds, computed here one text at a time."""
    drawn = picture_states(*trained.given)["languages"][TARGET]

    test = {code: trained.materials.test[code] for code in (SOURCE, TARGET)}
    trial = trials_of(trained.recipe)[0].name
    adapted = load(trained.folder / "trials" / trial / "adaptation.safetensors", backbone=trained.backbone)
    before, after = {}, {}
    with torch.no_grad():
        for code, examples in test.items():
            encoded = trained.pools[code, "test"]
            before[code] = encoded.pooled([example.id for example in examples])
            alone = [encoded.table.batch([encoded.row[example.id]]) for example in examples]
            after[code] = torch.cat([adapted.model.run_layers(states, code).pooled() for states in alone])
    clouds = torch.cat([before[SOURCE], before[TARGET], after[SOURCE], after[TARGET]]).double().numpy()
    centred = clouds - clouds.mean(0)
    expected = centred @ np.linalg.svd(centred)[2][:2].T  # [48, 2], each axis up to its sign

    points = np.array([p for when in ("before", "after") for side in ("source", "target") for p in drawn[when][side]])
    np.testing.assert_allclose(points, expected * np.sign((points * expected).sum(0)), atol=2e-3)
    assert np.abs(np.array(drawn["before"]["target"]) - drawn["after"]["target"]).max() > 0.01  # something moved
