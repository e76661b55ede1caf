"""Matrix products in bfloat16: near to float32, and nothing else changes."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import lingraft.runs.plan
from invented import world_recipe, write_world
from lingraft.backbones import backbones
from lingraft.backbones.encoding import encode
from lingraft.backbones.loading import load_backbone
from lingraft.core.records import IDS, Features, States
from lingraft.experiments.baselines.peft import METHODS, peft_network
from lingraft.model.adaptation import build_adaptation
from lingraft.model.checkpoint import Identity, read_identity, save_adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.settings import Block
from lingraft.runs.pipeline import run
from lingraft.serving.predictor import load
from lingraft.serving.verification import verify
from small_training import shaken
from tiny import random_model

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
BATCH = States(tokens=torch.tensor([[1, 6, 7, 8, 2], [1, 9, 2, 0, 0]]), mask=MASK, layer=IDS)
FAMILIES = ["bert", "xlm-roberta", "modernbert", "deberta-v2"]
PARTS = [
    ({"name": "deep", "length": 2}, {"name": "lora", "rank": 2}),
    ({"name": "gated", "length": 2}, {"name": "bottleneck", "width": 4}),
    ({"name": "input", "length": 2}, {"name": "scaling"}),
]


def grafted(family, prompt=None, adapter=None):
    """A model with trained parts away from where they begin, on a random stack of a family."""
    stack = backbones.build(family)(random_model(family))
    torch.manual_seed(0)
    adaptation = build_adaptation(
        prompt=Block.model_validate(prompt) if prompt else None,
        adapter=Block.model_validate(adapter) if adapter else None,
        stack=stack,
        cut=0,
        languages=["yor-Latn"],
        head=LinearClassifier(stack.width, 3),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
    )
    return shaken(GraftedModel(stack, adaptation).eval(), size=0.05)


def walked(model, precision, training):
    """Final states, and the gradient of all trained parts, in one vector."""
    model.stack.precision = precision
    torch.manual_seed(1)  # of dropout
    model.train(training).zero_grad()
    final, logits = model(BATCH, "yor-Latn")
    logits.logsumexp(-1).sum().backward()
    return final, torch.cat([parameter.grad.flatten() for parameter in model.adaptation.parameters()])


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("prompt", "adapter"), PARTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_gradients_are_near_to_those_of_float32(family, prompt, adapter, training):
    """The same to the precision of bfloat16, whose eight bits give three digits; states stay float32."""
    model = grafted(family, prompt, adapter)

    (exact, gradient), (rounded, its_gradient) = (walked(model, one, training) for one in ("float32", "bfloat16"))

    assert rounded.tokens.dtype == its_gradient.dtype == torch.float32
    real = MASK.bool()
    error = (exact.tokens - rounded.tokens)[real].norm() / exact.tokens[real].norm()
    assert 1e-5 < error < 3e-2
    assert nn.functional.cosine_similarity(gradient, its_gradient, dim=0) > 0.99


@pytest.mark.parametrize("method", METHODS)
def test_peft_s_methods_have_the_same_precision(method):
    """What is compared, is compared in the same precision."""
    stack = backbones.build("bert")(random_model("bert"))
    options = {"r": 2} if method == "peft-lora" else {"num_virtual_tokens": 2}
    options |= {"prompt_tuning_init": "RANDOM"} if method == "peft-prompt" else {}
    torch.manual_seed(0)
    net = peft_network(method, options, lambda: random_model("bert"), stack, LinearClassifier(24, 3)).eval()
    exact = net(BATCH, "")[0].tokens
    stack.precision = "bfloat16"
    rounded = net(BATCH, "")[0].tokens

    assert rounded.dtype == torch.float32
    assert 1e-5 < (exact - rounded)[MASK.bool()].norm() / exact[MASK.bool()].norm() < 3e-2


def test_cached_states_of_another_precision_are_not_taken(tiny_checkpoint):
    """Each precision has its own states in the cache."""
    features = [Features("a", (1, 6, 7, 8, 2)), Features("b", (1, 9, 2))]
    found = {}
    for precision in ("float32", "bfloat16"):
        backbone = load_backbone(str(tiny_checkpoint), precision=precision)
        found[precision] = encode(
            features, backbone, cut=2, max_length=8, dtype="float32", max_bytes=10**9, device=torch.device("cpu")
        ).pooled(["a", "b"])

    assert not torch.equal(found["float32"], found["bfloat16"])
    torch.testing.assert_close(found["float32"], found["bfloat16"], rtol=0.05, atol=0.05)


def test_a_run_predicts_in_the_precision_it_was_trained_in(tmp_path, tiny_checkpoint):
    """The saved adaptation says which, loading heeds it, and its logits are those of the training."""
    world = write_world(tmp_path)
    recipe = world_recipe(
        world,
        [
            f"output_dir={tmp_path / 'run'}",
            "train.num_train_epochs=2",
            "prompt={name: deep, length: 2, language_length: 1}",
            "adapter={name: bottleneck, width: 4, language_width: 2}",
            "device=cpu",
        ],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32, "precision": "bfloat16"},
    )

    folder = run(recipe, quiet=True)

    assert read_identity(folder / "adaptation.safetensors").precision == "bfloat16"
    assert load(folder).backbone.stack.precision == "bfloat16"
    assert verify(folder)["texts"] > 0


def test_an_older_adaptation_is_one_of_float32(tmp_path):
    """Files that do not name a precision were made before there was a choice."""
    path = tmp_path / "adaptation.safetensors"
    who = Identity(
        checkpoint="", weights_digest="", tokenizer_digest="", text_prefix="", cut=0, max_length=8, task="", labels=(),
        kind="classification", source_language="", languages=(), prompt=None, adapter=None, version="",
        precision="bfloat16",
    )  # fmt: skip
    save_adaptation(path, nn.Linear(2, 2), who)
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["lingraft"])
    del about["identity"]["precision"]
    save_file(load_file(path), path, {"lingraft": json.dumps(about)})

    assert read_identity(path).precision == "float32"


@pytest.mark.parametrize("rates", [{"float32": 2.0, "bfloat16": 1.0}, {"float32": 1.0, "bfloat16": 2.0}])
def test_check_warns_where_the_processor_only_imitates_it(rates, tmp_path, tiny_checkpoint, monkeypatch):
    """The rates of both precisions are measured, and the slower one is not recommended."""
    monkeypatch.setattr(
        lingraft.runs.plan, "matrix_rate", lambda width, precision="float32", device=None: rates[precision] * 1e9
    )
    recipe = world_recipe(
        write_world(tmp_path), backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32, "precision": "bfloat16"}
    )

    said = any("bfloat16 is slower" in warning for warning in lingraft.runs.plan.plan(recipe).warnings)

    assert said is (rates["bfloat16"] < rates["float32"])
