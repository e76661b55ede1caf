"""Matrix products in bfloat16: near to float32, and nothing else changes."""

import json
import os

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from identities import identity_of
from invented import world_recipe, write_world
from lingraft.backbones import backbones
from lingraft.backbones.encoding import encode
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.precision import CLEARLY_FASTER, choose_precision, measure_rates, remembered_rates
from lingraft.backbones.walk import frozen_pooled, length_batches, states_at
from lingraft.core.files import read_object, write_json
from lingraft.core.records import IDS, Features, States
from lingraft.experiments.baselines.peft import METHODS, peft_network
from lingraft.model.adaptation import build_adaptation
from lingraft.model.checkpoint import read_identity, save_adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from lingraft.serving.verification import verify
from lingraft.tasks import tasks
from quick_run import run
from small_training import shaken
from tiny import random_model

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
BATCH = States(tokens=torch.tensor([[1, 6, 7, 8, 2], [1, 9, 2, 0, 0]]), mask=MASK, layer=IDS)
FAMILIES = ["bert", "xlm-roberta", "modernbert", "deberta-v2", "gpt2", "llama", "qwen3", "gemma3_text", "bloom", "xglm"]
PARTS = [
    ({"name": "deep", "length": 2}, {"name": "lora", "rank": 2}),
    ({"name": "gated", "length": 2}, {"name": "bottleneck", "width": 4}),
    ({"name": "input", "length": 2}, {"name": "scaling"}),
    ({"name": "memory"}, {"name": "lora", "rank": 2}),
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


def states_of(model, precision, training):
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

    (exact, gradient), (rounded, its_gradient) = (states_of(model, one, training) for one in ("float32", "bfloat16"))

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
            features, backbone, cut=2, dtype="float32", max_bytes=10**9, device=torch.device("cpu")
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

    folder = run(recipe)

    assert read_identity(folder / "adaptation.safetensors").precision == "bfloat16"
    assert load(folder).backbone.stack.precision == "bfloat16"
    assert verify(folder)["texts"] > 0


def test_an_older_adaptation_is_one_of_float32(tmp_path):
    """Files that do not name a precision were made before there was a choice."""
    path = tmp_path / "adaptation.safetensors"
    save_adaptation(path, nn.Linear(2, 2), identity_of(precision="bfloat16"))
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["lingraft"])
    del about["identity"]["precision"]
    save_file(load_file(path), path, {"lingraft": json.dumps(about)})

    assert read_identity(path).precision == "float32"


@pytest.mark.parametrize("rates", [{"float32": 2e9, "bfloat16": 1e9}, {"float32": 1e9, "bfloat16": 2e9}])
def test_check_warns_where_the_processor_only_imitates_it(rates, tmp_path, tiny_checkpoint):
    """The rates of both precisions are measured, and the slower one is not recommended."""
    recipe = world_recipe(
        write_world(tmp_path),
        ["device=cpu"],
        backbone={"checkpoint": str(tiny_checkpoint), "max_length": 32, "precision": "bfloat16"},
    )

    said = any("bfloat16 is slower" in warning for warning in plan(recipe, measure=lambda width: rates).warnings)

    assert said is (rates["bfloat16"] < rates["float32"])


# ---- Choosing it -----------------------------------------------------------------------------------

CPU = torch.device("cpu")


def rates_of(factor):
    """A measurement in which bfloat16 is so many times as fast."""
    return lambda width: {"float32": 1e9, "bfloat16": factor * 1e9}


@pytest.mark.parametrize("factor", [0.3, 1.0, CLEARLY_FASTER - 0.01, CLEARLY_FASTER + 0.01, 4.0])
def test_auto_is_bfloat16_where_that_is_clearly_faster(factor):
    """And says how much faster it is; its rounding must be worth something."""
    choice = choose_precision("auto", CPU, 384, rates_of(factor))

    assert choice.precision == ("bfloat16" if factor >= CLEARLY_FASTER else "float32")
    assert f"{factor:.1f} times" in choice.why


@pytest.mark.parametrize(
    ("device", "width", "reason"), [("cuda", 384, "cuda"), ("mps", 384, "mps"), ("cpu", 24, "width 24")]
)
def test_auto_is_float32_elsewhere(device, width, reason):
    """On a GPU and in a tiny model nothing is measured."""
    choice = choose_precision("auto", torch.device(device), width, lambda width: pytest.fail("measured"))

    assert choice.precision == "float32"
    assert reason in choice.why


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_what_the_recipe_says_comes_first(wanted):
    """Whatever is faster, and whatever other trials were computed in, which are refused then."""
    other = "float32" if wanted == "bfloat16" else "bfloat16"

    assert choose_precision(wanted, CPU, 384, rates_of(9.0), kept=other).precision == wanted
    assert choose_precision("auto", CPU, 384, rates_of(0.1), kept=wanted).precision == wanted


def test_rates_are_measured_once_a_day_on_a_machine(tmp_path, monkeypatch):
    """For each width; a damaged record is measured anew."""
    measured = []

    def measure(width):
        measured.append(width)
        return {"float32": 2.0, "bfloat16": 3.0}

    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    for width in (384, 384, 768, 384):
        assert remembered_rates(width, measure) == {"float32": 2.0, "bfloat16": 3.0}
    assert measured == [384, 768]
    for path in (tmp_path / "precision").iterdir():
        path.write_text('{"flops": {"float32": 0}}')
    remembered_rates(384, measure)

    assert measured == [384, 768, 384]


def test_what_was_measured_beside_other_work_is_mended_the_next_day(tmp_path, monkeypatch):
    """Of each precision the higher rate counts, which then holds for a day again."""
    found = iter([{"float32": 2.0, "bfloat16": 3.0}, {"float32": 4.0, "bfloat16": 1.0}])
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    remembered_rates(384, lambda width: next(found))
    (path,) = (tmp_path / "precision").iterdir()
    os.utime(path, (0, path.stat().st_mtime - 25 * 60 * 60))

    for _ in range(2):
        assert remembered_rates(384, lambda width: next(found)) == {"float32": 4.0, "bfloat16": 3.0}


def test_a_measurement_is_of_products_of_both_kinds():
    """Rates are of operations per second: neither is nothing, nor more than a processor can."""
    for rate in measure_rates(32, seconds=0.0).values():
        assert 1e6 < rate < 1e14


def test_what_a_configuration_promises_needs_no_memory_to_be_measured():
    """A width of millions would take terabytes; products as wide as any there are say as much."""
    assert all(rate > 0 for rate in measure_rates(10**12, seconds=0.0).values())


@pytest.mark.parametrize("first", ["float32", "bfloat16"])
def test_a_run_goes_on_in_the_precision_it_began_in(first, tmp_path, tiny_checkpoint):
    """Trials of one table are computed alike: a folder's first trial decides for those that are added."""
    world = write_world(tmp_path)
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    settings = [f"output_dir={tmp_path / 'run'}", "train.num_train_epochs=1", "device=cpu", "prompt=null"]
    folder = run(world_recipe(world, [*settings, "seeds=[1]"], backbone=backbone))
    (begun,) = (folder / "trials").glob("*/identity.json")
    write_json(begun, read_object(begun) | {"precision": first})
    (folder / "README.md").unlink()

    run(world_recipe(world, [*settings, "seeds=[1, 2]"], backbone=backbone))

    found = {read_object(path)["precision"] for path in (folder / "trials").glob("*/identity.json")}
    assert len(list((folder / "trials").iterdir())) == 2
    assert found == {first}


@pytest.mark.checkpoint
@pytest.mark.shared
def test_bfloat16_hardly_changes_what_is_predicted(e5, shared_data):
    """A head on the frozen states of English topics says the same in both precisions, but of 3 sentences in 100."""
    task = tasks.build("sib200", {"target_languages": ["yor-Latn"], "data_dir": str(shared_data / "sib200")})
    examples = [*task.examples("eng-Latn", "train")[:100], *task.examples("eng-Latn", "test")[:100]]
    features = task.kind.encode(examples, e5.tokenizer, 64, e5.text_prefix)
    pooled = {}
    for wanted in ("float32", "bfloat16"):
        e5.stack.precision = wanted
        try:
            pooled[wanted] = pooled_states([feature.input_ids for feature in features], e5.stack)
        finally:
            e5.stack.precision = "float32"
    labels = [feature.target for feature in features]
    head = LogisticRegression(C=0.1, max_iter=2000).fit(pooled["float32"][:100], labels[:100])

    said = {wanted: head.predict(states) for wanted, states in pooled.items()}

    assert (said["float32"][100:] == labels[100:]).mean() > 0.6
    assert (said["float32"] != said["bfloat16"]).mean() <= 0.03


def pooled_states(ids, stack):
    """Pooled states after the last layer, ``[N, H]``, standardised by their own mean and spread."""
    found = torch.empty(len(ids), stack.width)
    for rows in length_batches([len(text) for text in ids]):
        with torch.no_grad():
            found[rows] = frozen_pooled(stack, states_at([ids[row] for row in rows], stack, 0, CPU))
    return ((found - found.mean(0)) / found.std()).numpy()
