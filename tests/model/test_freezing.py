"""Which parameters of the backbone learn, and when: the schedules, and what moves in a real training."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from identities import identity_of
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.walk import states_at
from lingraft.core.errors import ConfigError
from lingraft.core.records import IDS
from lingraft.model.checkpoint import load_adaptation, save_adaptation
from lingraft.model.freezing import Phase, WholeDepth, describe_phase, freezing, of_layers, phase_at, unfrozen_names
from small_training import (
    CPU,
    EPOCHS,
    STEPS,
    TARGET,
    parameters,
    shaken,
    small_model,
    small_settings,
    small_transfer,
    small_world,
    trained,
)

TOTAL = STEPS * EPOCHS
EVERY = [
    *((name, {}) for name in freezing),
    ("top_layers", {"layers": 1}),
    ("top_layers", {"layers": 2}),
    ("gradual", {"layers": 2}),
    ("head_first", {"share": 0.5, "layers": 1}),
    ("biases_and_norms", {"layers": 2}),
    ("frozen_then_lora", {"share": 0.5}),
]
every_strategy = pytest.mark.parametrize(("name", "options"), EVERY, ids=lambda value: str(value))


@pytest.fixture(scope="module")
def stack(tiny_backbone):
    """The frozen layers: three of them."""
    return tiny_backbone.stack


def phases_of(stack, name, **options):
    """A strategy's schedule."""
    return freezing.build(name, options).phases(stack)


def block(stack, *layers):
    """Names of the parameters of these blocks."""
    return {n for n, _ in stack.named_parameters() if n.startswith(tuple(f"layers.{layer}." for layer in layers))}


# ---- Schedules -------------------------------------------------------------------------------------


@every_strategy
def test_a_strategy_cuts_below_all_that_it_unfreezes(stack, name, options):
    """What ever learns lies above the highest cut, which is as high as it can be; the first phase is at 0."""
    strategy = freezing.build(name, options)
    phases, cut = strategy.phases(stack), strategy.highest_cut(stack.num_layers)
    names = unfrozen_names(phases)
    assert names <= dict(stack.named_parameters()).keys()
    lowest = min((int(n.split(".")[1]) if n.startswith("layers.") else IDS for n in names), default=stack.num_layers)
    assert cut == lowest
    assert min(phase.start for phase in phases) == 0
    assert all(0 <= phase.start < 1 for phase in phases)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("frozen", {}, [(0, (), False)]),
        ("top_layers", {"layers": 1}, [(0, (2,), False)]),
        ("top_layers", {"layers": 2}, [(0, (1, 2), False)]),
        ("top_layers", {"layers": 9}, [(0, (0, 1, 2), False)]),
        ("gradual", {"layers": 2}, [(0, (), False), (1 / 3, (2,), False), (2 / 3, (1, 2), False)]),
        ("head_first", {"share": 0.4, "layers": 1}, [(0, (), True), (0.4, (2,), False)]),
        ("head_first", {}, [(0, (), True), (0.25, (), False)]),
        ("frozen_then_lora", {}, [(0, (), False)]),
    ],
)
def test_schedules_by_hand(stack, name, options, expected):
    """Which blocks learn from when on."""
    wanted = tuple(Phase(start, frozenset(block(stack, *layers)), alone) for start, layers, alone in expected)
    assert phases_of(stack, name, **options) == wanted


def test_biases_and_norms_are_vectors_of_the_blocks(stack):
    """No matrix learns, and nothing of the embeddings."""
    (phase,) = phases_of(stack, "biases_and_norms", layers=1)
    assert phase.parameters == {n for n in block(stack, 2) if n.endswith(".bias") or "LayerNorm" in n}
    (phase,) = phases_of(stack, "biases_and_norms")
    assert phase.parameters == {n for n in block(stack, 0, 1, 2) if n.endswith(".bias") or "LayerNorm" in n}


def test_what_is_extracted_are_matrices_of_the_blocks(stack):
    """Those that low rank can stand for: no bias, norm or embedding learns."""
    (phase,) = phases_of(stack, "extract")
    parameters = dict(stack.named_parameters())
    assert phase.parameters == {n for n in block(stack, 0, 1, 2) if parameters[n].ndim == 2}
    assert len(phase.parameters) == 3 * 6


def test_full_is_everything(stack):
    """Embeddings included; no state can be cached."""
    (phase,) = phases_of(stack, "full")
    assert phase.parameters == dict(stack.named_parameters()).keys()
    assert freezing.build("full").highest_cut(12) == IDS


@given(st.integers(1, 6), st.integers(1, 300), st.floats(0.01, 0.99))
def test_phases_follow_one_another(layers, total, share):
    """Each step has the last phase that has begun; schedules only ever unfreeze."""
    for phases in (
        tuple(Phase(i / (layers + 1), frozenset(map(str, range(i)))) for i in range(layers + 1)),
        (Phase(head_only=True), Phase(share)),
    ):
        found = [phase_at(phases, step, total) for step in range(total)]
        assert found[0] == phases[0]
        for before, after in pairwise(found):
            assert before.start <= after.start
        assert all(phase.start * total <= step for step, phase in enumerate(found))
        begun = [(phase, p) for step, phase in enumerate(found) for p in phases if p.start * total <= step]
        assert all(p.start <= phase.start for phase, p in begun)


@given(st.integers(2, 10_000), st.floats(1e-6, 1, exclude_max=True))
def test_the_whole_depth_has_some_of_the_epochs(epochs, share):
    """As many as its share says, to half an epoch; yet one at least, and never all."""
    found = WholeDepth(share, 0.3, 8).epochs_of(epochs)
    assert 1 <= found < epochs
    assert abs(found - min(max(share * epochs, 1), epochs - 1)) <= 0.5


def test_a_phase_knows_its_parts():
    """The head always learns; prompt and adapter unless it is alone; copies by the name of the original."""
    alone, later = Phase(head_only=True), Phase(0.5, frozenset({"layers.2.output.dense.bias"}))
    names = ["head.weight", "prompt.task.1", "adapter.task.1.up.weight", "unfrozen.layers/2/output/dense/bias"]
    assert [alone.trains(name) for name in names] == [True, False, False, False]
    assert [later.trains(name) for name in names] == [True] * 4
    assert not later.trains("unfrozen.layers/1/output/dense/bias")


# ---- In words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("frozen", {}, [["head", "prompt", "adapter"]]),
        ("top_layers", {"layers": 2}, [["head", "prompt", "adapter", "layers 2-3"]]),
        (
            "gradual",
            {"layers": 1},
            [["head", "prompt", "adapter"], ["head", "prompt", "adapter", "layer 3"]],
        ),
        ("head_first", {"layers": 0}, [["head"], ["head", "prompt", "adapter"]]),
        ("biases_and_norms", {"layers": 2}, [["head", "prompt", "adapter", "biases and norms of layers 2-3"]]),
        ("biases_and_norms", {}, [["head", "prompt", "adapter", "biases and norms of layers 1-3"]]),
        ("full", {}, [["head", "prompt", "adapter", "layers 1-3", "embeddings"]]),
        ("extract", {}, [["head", "prompt", "adapter", "matrices of layers 1-3"]]),
    ],
)
def test_what_learns_is_said(stack, name, options, expected):
    """For the record and the report."""
    parts = {"head", "prompt", "adapter", "unfrozen"}
    assert [describe_phase(phase, parts, stack) for phase in phases_of(stack, name, **options)] == expected


def test_parts_that_are_not_there_are_not_named(stack):
    """Without a prompt none learns."""
    assert describe_phase(Phase(), {"head", "adapter"}, stack) == ["head", "adapter"]


# ---- In a training ---------------------------------------------------------------------------------


@every_strategy
def test_only_what_a_phase_names_moves(tiny_backbone, stack, name, options):
    """Before and after each step: all that the phase names has moved, nothing else has, and the backbone never."""
    strategy = freezing.build(name, options)
    phases = strategy.phases(stack)
    cut = min(1, strategy.highest_cut(stack.num_layers))
    world = small_world(stack, cut=cut)
    # Shaken: what is before a matrix of zeros has no gradient yet.
    model = shaken(small_model(stack, cut=cut, unfrozen=unfrozen_names(phases)), size=0.05)
    before, moved = parameters(model), []

    def look(progress):
        nonlocal before
        now = parameters(model)
        moved.append({n for n in now if not torch.equal(now[n], before[n])})
        before = now

    settings = small_settings(average_last=1, weight_decay=0.5)
    _, history = trained(model, world, small_transfer(stack, world), settings=settings, phases=phases, advance=look)
    assert len(moved) == TOTAL
    for step, found in enumerate(moved):
        assert found == {n for n in before if phase_at(phases, step, TOTAL).trains(n)}, step
    assert weights_digest(stack) == tiny_backbone.weights_digest
    assert all(parameter.requires_grad for parameter in model.adaptation.parameters())
    assert not any(parameter.requires_grad for parameter in stack.parameters())
    said = [
        describe_phase(phase_at(phases, step, TOTAL), {"head", "prompt", "adapter"}, stack) for step in range(TOTAL)
    ]
    for i, row in enumerate(history):
        mine = said[i * STEPS : (i + 1) * STEPS]
        assert set(row["trained"]) == {name for names in mine for name in names}


def test_a_unfrozen_copy_begins_as_its_original(stack):
    """Before the first step a network with unfrozen layers is the frozen one."""
    world = small_world(stack)
    bare, free = (small_model(stack, unfrozen=names).eval() for names in ((), block(stack, 1, 2)))
    free.adaptation.load_state_dict(bare.adaptation.state_dict(), strict=False)
    with torch.no_grad():
        assert torch.equal(bare(world[0][1].states, TARGET)[1], free(world[0][1].states, TARGET)[1])


# ---- As ordinary fine-tuning -----------------------------------------------------------------------


class Plain(nn.Module):
    """A Hugging Face model under a linear layer on its mean states."""

    def __init__(self, checkpoint, head):
        super().__init__()
        from transformers import AutoModel

        self.body = AutoModel.from_pretrained(checkpoint, add_pooling_layer=False)
        self.head = nn.Linear(head.in_features, head.out_features)
        self.head.load_state_dict(head.state_dict())
        self.eval()  # as our frozen blocks: no dropout

    def forward(self, ids, mask):
        """Logits ``[B, C]``."""
        states = self.body(ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        return self.head((states * weights).sum(1) / weights.sum(1))


def fine_tuned(plain, world, settings, learns):
    """The customary loop: AdamW in two groups, clipping, linear warm-up and decay."""
    named = {n: p for n, p in plain.named_parameters() if n.startswith("head.") or learns(n)}
    groups = [
        {"params": [p for n, p in named.items() if n.startswith("head.")], "peak": settings.learning_rate},
        {"params": [p for n, p in named.items() if not n.startswith("head.")], "peak": settings.backbone_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=settings.weight_decay)
    total = len(world) * settings.num_train_epochs
    warmup = max(1, round(settings.warmup_share * total))
    for i in range(total):
        batch = world[(i % len(world) + i // len(world)) % len(world)][0]
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min((i + 1) / warmup, (total - i) / (total - warmup))
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(batch.states.tokens, batch.states.mask), batch.targets).backward()
        nn.utils.clip_grad_norm_(named.values(), settings.max_grad_norm)
        optimizer.step()
    return plain


@pytest.mark.parametrize(
    ("name", "options", "learns"),
    [
        ("full", {}, lambda n: True),
        (
            "extract",
            {},
            lambda n: n.startswith("body.encoder.layer.") and n.endswith("weight") and "LayerNorm" not in n,
        ),
        ("top_layers", {"layers": 1}, lambda n: n.startswith("body.encoder.layer.2.")),
        ("top_layers", {"layers": 2}, lambda n: n.startswith(("body.encoder.layer.1.", "body.encoder.layer.2."))),
        ("biases_and_norms", {}, lambda n: ".encoder." in n and ("LayerNorm" in n or n.endswith("bias"))),
    ],
    ids=["full", "matrices", "top-1", "top-2", "biases"],
)
def test_unfrozen_layers_learn_as_in_ordinary_fine_tuning(stack, tiny_checkpoint, name, options, learns):
    """Parameters and logits are those of a plain loop over the Hugging Face model."""
    strategy = freezing.build(name, options)
    phases = strategy.phases(stack)
    plain_world = [(source,) for source, _ in small_world(stack, cut=IDS)]
    world = [(source,) for source, _ in small_world(stack, cut=strategy.highest_cut(stack.num_layers))]
    model = small_model(stack, prompt=None, adapter=None, unfrozen=unfrozen_names(phases))
    settings = small_settings(num_train_epochs=2, average_last=1, backbone_learning_rate=1e-3, weight_decay=0.1)
    plain = fine_tuned(Plain(tiny_checkpoint, model.adaptation.head), plain_world, settings, learns)
    found, _ = trained(model, world, None, settings=settings, phases=phases)
    theirs = {
        n.removeprefix("body.").replace("encoder.layer.", "layers."): p.detach() for n, p in plain.named_parameters()
    }
    for key, tensor in found.items():
        original = key.removeprefix("unfrozen.").replace("/", ".")
        if original.endswith("key.bias"):
            continue  # shifts all scores of a query alike: its gradient is nothing but rounding
        # Cached states round otherwise than a whole forward pass, and Adam divides by the size of a gradient.
        torch.testing.assert_close(tensor, theirs[original], rtol=1e-5, atol=5e-5)
    before = {f"unfrozen.{n.replace('.', '/')}": p for n, p in stack.named_parameters() if not n.endswith("key.bias")}
    copies = [key for key in found if key in before]
    assert copies
    assert not any(torch.equal(found[key], before[key]) for key in copies)
    with torch.no_grad():
        for (batch,), (read,) in zip(world, plain_world, strict=True):
            expected = plain(read.states.tokens, read.states.mask)
            torch.testing.assert_close(model(batch.states, batch.language)[1], expected, rtol=1e-5, atol=5e-5)


# ---- With adapters, and saved ----------------------------------------------------------------------


def test_a_parameter_is_not_unfrozen_and_replaced(stack):
    """LoRA and freezing would both change it: refused, with its name."""
    lora = {"name": "lora", "targets": ["query"]}
    with pytest.raises(ConfigError, match=r"adapter: lora and freezing would both change layers\.2\..*query\.weight"):
        small_model(stack, adapter=lora, unfrozen=block(stack, 2))
    small_model(stack, adapter=lora, unfrozen=[n for n in block(stack, 2) if "query" not in n])


@pytest.fixture
def identity(tiny_backbone):
    """Who the adaptation is."""
    return identity_of(tiny_backbone, prompt={"name": "deep", "length": 2, "language_length": 2})


@pytest.mark.parametrize(
    ("name", "cut"), [("top_layers", 1), ("full", IDS), ("biases_and_norms", 0), ("gradual", 0), ("frozen", 1)]
)
def test_unfrozen_parameters_are_saved_and_come_back(tmp_path, tiny_backbone, stack, identity, name, cut):
    """The reloaded network gives the same logits; without its parts it is exactly the base model."""
    names = unfrozen_names(phases_of(stack, name, **({"layers": 2} if name == "top_layers" else {})))
    model = shaken(small_model(stack, cut=cut, adapter=None, unfrozen=names), size=0.1).eval()
    path, states = tmp_path / "a.safetensors", states_at([[1, 5, 6, 2], [1, 7, 2]], stack, cut, CPU)
    save_adaptation(path, model.adaptation, replace(identity, cut=cut))
    loaded, _ = load_adaptation(path, tiny_backbone)
    assert len(loaded.unfrozen) == len(names)
    bare = small_model(stack, cut=cut, prompt=None, adapter=None)
    again = small_model(stack, cut=cut)
    again.adaptation = loaded
    with torch.no_grad():
        assert torch.equal(again(states, TARGET)[1], model(states, TARGET)[1])
        frozen = bare.run_layers(states, TARGET).tokens
        assert torch.equal(again.run_layers(states, TARGET, adapters_enabled=False).tokens, frozen)
        assert not torch.allclose(again.run_layers(states, TARGET).tokens, frozen)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_uppermost_layers(stack, count):
    """By number from the top."""
    assert of_layers(stack, count) == block(stack, *range(3 - count, 3))
