"""LoRA, against stock PEFT."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification

from lingraft.backbones import backbones
from lingraft.backbones.bert import BertStack
from lingraft.backbones.walk import states_at
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.core.records import States
from lingraft.model.adaptation import Adaptation
from lingraft.model.adapters import adapters, parameter_name
from lingraft.model.adapters.peft_files import export_peft
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.model.prompts import prompts
from tiny import random_model, save_checkpoint

IDS = [[1, 5, 6, 7, 8, 2], [1, 9, 2], [1, 10, 11, 2]]
FAMILIES = backbones.names()
SEQ2SEQ = [family for family in FAMILIES if backbones.build(family).facts.auto_class != "AutoModel"]
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT's, not ours


@pytest.fixture
def stack(tiny_backbone):
    """A random BERT of three layers."""
    return tiny_backbone.stack


def built(stack, cut=1, **options):
    """A LoRA for the blocks above the cut."""
    torch.manual_seed(1)
    return adapters.build("lora", options)(stack, range(cut, stack.num_layers), ["yor-Latn"])


def shaken(adapter):
    """The adapter with B away from zero."""
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return adapter


def ours(adapter, stack, cut=1):
    """Final states in our forward pass, without padding."""
    model = GraftedModel(stack, Adaptation(None, adapter, LinearClassifier(stack.width, 2))).eval()
    states = states_at(IDS, stack, cut, torch.device("cpu"))
    with torch.no_grad():
        return model(states, "yor-Latn")[0].tokens[states.mask.bool()]


def theirs(model):
    """Final states of a Hugging Face encoder, without padding."""
    longest = max(map(len, IDS))
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in IDS])
    with torch.no_grad():
        found = model(torch.tensor([text + [0] * (longest - len(text)) for text in IDS]), attention_mask=mask)
    return found.last_hidden_state[mask.bool()]


def saved_by_peft(folder, model, **options):
    """A LoRA with random matrices, made and saved by PEFT on a Hugging Face model; returns PEFT's model."""
    torch.manual_seed(5)
    options = {"r": 4, "lora_alpha": 12, "target_modules": ["query", "value"], "layers_to_transform": [1, 2], **options}
    wrapped = peft.get_peft_model(model, peft.LoraConfig(**options)).eval()
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.3)
    wrapped.save_pretrained(folder)
    return wrapped


def assert_close(one, other):
    """Equal up to rounding."""
    torch.testing.assert_close(one, other, rtol=1e-4, atol=2e-5)


# ---- The matrices --------------------------------------------------------------------------------------


def test_weights_are_merged_by_hand(stack):
    """W + alpha / rank * B @ A on each linear layer of each block, and nothing else."""
    adapter = shaken(built(stack, rank=3, alpha=6))
    changed = adapter.weights(stack, "yor-Latn")
    linear = [name for name, module in stack.layers[1].named_modules() if isinstance(module, nn.Linear)]
    assert changed.keys() == {parameter_name(layer, name) for layer in (1, 2) for name in linear}
    pair = adapter.task["2"]["output/dense"]
    expected = stack.get_parameter("layers.2.output.dense.weight") + 2 * pair.B @ pair.A
    torch.testing.assert_close(changed["layers.2.output.dense.weight"], expected)


def test_rank_and_targets_are_chosen():
    """Two matrices per named layer: rank times inputs and outputs."""
    stack = backbones.build("bert")(random_model("bert"))
    adapter = built(stack, rank=2, targets=["query", "output.dense"])
    assert sum(parameter.numel() for parameter in adapter.parameters()) == 2 * (2 * (24 + 24) + 2 * (32 + 24))
    with pytest.raises(ConfigError, match="'quarry' names no linear layer"):
        built(stack, targets=["quarry"])


def test_no_targets_are_refused():
    """An empty list would be found out after the training, when PEFT's folder is written."""
    problems = adapters.check("lora", {"targets": []}, "adapter")
    assert problems[0].startswith("adapter.targets: expected at least 1 of them")


def test_it_begins_as_peft_does(stack):
    """A is drawn from the range that a linear layer's weights are, B is zero."""
    pair = built(stack, rank=16).task["1"]["output/dense"]
    assert pair.A.abs().max() <= 32**-0.5
    torch.testing.assert_close(pair.A.std(), torch.tensor((1 / 32 / 3) ** 0.5), rtol=0.1, atol=0)
    assert not pair.B.any()


# ---- To PEFT -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_stock_peft_reads_what_we_write(family, tmp_path):
    """Loaded by PEFT onto Hugging Face's model, the matrices give the states of our forward pass."""
    random_model(family).save_pretrained(tmp_path / "model")
    loader = getattr(transformers, backbones.build(family).facts.auto_class)
    stack = backbones.build(family)(loader.from_pretrained(tmp_path / "model"))
    adapter = shaken(built(stack, rank=4, alpha=6))
    export_peft(adapter, stack, tmp_path / "lora", str(tmp_path / "model"))
    loaded = peft.PeftModel.from_pretrained(loader.from_pretrained(tmp_path / "model"), str(tmp_path / "lora")).eval()
    assert_close(theirs(loaded), ours(adapter, stack))
    assert (theirs(loaded) - ours(None, stack)).abs().max() > 0.1


def test_peft_finds_the_model_by_what_we_write(tmp_path):
    """Its own loader needs the folder of the adapter alone."""
    random_model("bert").save_pretrained(tmp_path / "model")
    stack = backbones.build("bert")(AutoModel.from_pretrained(tmp_path / "model"))
    adapter = shaken(built(stack, rank=4, alpha=6))
    export_peft(adapter, stack, tmp_path / "lora", str(tmp_path / "model"))
    loaded = peft.AutoPeftModelForFeatureExtraction.from_pretrained(str(tmp_path / "lora"))
    assert_close(theirs(loaded), ours(adapter, stack))


def test_written_and_read_again_it_is_the_same(tmp_path, stack):
    """Export, then start from it: equal tensors, and the folder's rank and alpha instead of the recipe's."""
    adapter = shaken(built(stack, rank=3, alpha=5, targets=["key"]))
    export_peft(adapter, stack, tmp_path, "some/model")
    again = built(stack, start=str(tmp_path), rank=8)
    assert again.state_dict().keys() == adapter.state_dict().keys()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in adapter.state_dict().items())


def test_writing_what_peft_reads_says_nothing_of_other_libraries(tmp_path):
    """PEFT imports bitsandbytes where that is installed, which has a word on kernels that it would fetch."""
    save_checkpoint(tmp_path / "model", random_model("bert"))
    lines = (
        "import sys",
        "from pathlib import Path",
        "from lingraft.backbones.loading import load_backbone",
        "from lingraft.model.adapters import adapters",
        "from lingraft.model.adapters.peft_files import export_peft",
        "stack = load_backbone(sys.argv[1]).stack",
        "export_peft(adapters.build('lora', {'rank': 2})(stack, [1, 2], []), stack, Path(sys.argv[2]), 'some/model')",
    )
    places = [str(tmp_path / name) for name in ("model", "lora")]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines), *places], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_files_are_what_peft_would_write(tmp_path, stack):
    """Two files, and the same keys as PEFT's own for the same layers."""
    export_peft(built(stack, targets=["query", "value"]), stack, tmp_path / "ours", "some/model")
    saved_by_peft(tmp_path / "theirs", random_model("bert"))
    assert {path.name for path in (tmp_path / "ours").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    keys = [load_file(tmp_path / who / "adapter_model.safetensors").keys() for who in ("ours", "theirs")]
    assert keys[0] == keys[1]


# ---- From PEFT -----------------------------------------------------------------------------------------


TARGETS = {
    "deberta-v2": ["attention.self.query_proj", "output.dense"],
    "modernbert": ["attn.Wqkv", "mlp.Wo"],
    "gpt2": ["attn.c_attn", "mlp.c_proj"],
    "bloom": ["self_attention.query_key_value", "mlp.dense_4h_to_h"],
    "xglm": ["self_attn.q_proj", "fc2"],
    **{name: ["layer.0.SelfAttention.q", "layer.1.DenseReluDense.wo"] for name in SEQ2SEQ},
    **{name: ["self_attn.q_proj", "mlp.down_proj"] for name in ("llama", "mistral", "qwen2", "qwen3", "gemma3_text")},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lora_made_by_peft_is_a_start(family, tmp_path):
    """With PEFT's random matrices our forward pass gives PEFT's states, with all layers adapted (cut 0) or some."""
    stack = backbones.build(family)(random_model(family))
    places = [
        f"{stack.facts.blocks}.{layer}.{name}"
        for layer in (1, 2)
        for name in TARGETS.get(family, ["attention.self.query", "output.dense"])
    ]
    wrapped = saved_by_peft(tmp_path, random_model(family), target_modules=places, layers_to_transform=None)
    for cut in (0, 1):
        assert_close(ours(built(stack, cut, start=str(tmp_path)), stack, cut), theirs(wrapped))


# XGLM has no such model, and those of encoder-decoders are both.
@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in ("xglm", *SEQ2SEQ)])
def test_a_lora_of_a_model_with_a_task_head_is_a_start(family, tmp_path):
    """Its keys have another prefix and a head beside them; the encoder's are found, and the pooler's left out."""
    config = random_model(family).config
    torch.manual_seed(0)
    whole = AutoModelForSequenceClassification.from_config(config)
    wrapped = saved_by_peft(
        tmp_path, whole, target_modules="all-linear", layers_to_transform=None, task_type="SEQ_CLS"
    ).eval()
    encoder = getattr(wrapped.base_model.model, whole.base_model_prefix)
    keys = load_file(tmp_path / "adapter_model.safetensors")
    assert any("classifier" in key or "score" in key for key in keys)
    torch.manual_seed(0)
    fresh = getattr(AutoModelForSequenceClassification.from_config(config), whole.base_model_prefix)
    stack = backbones.build(family)(fresh.eval())
    assert_close(ours(built(stack, 0, start=str(tmp_path)), stack, 0), theirs(encoder))


@pytest.mark.parametrize("family", SEQ2SEQ)
def test_a_lora_of_encoder_and_decoder_is_no_start(family, tmp_path):
    """There is no decoder here that could have its half; that of the encoder alone is a start, whatever its prefix."""
    whole = AutoModelForSequenceClassification.from_config(random_model(family).config)
    whole.config.is_encoder_decoder = True
    both = {"target_modules": ["SelfAttention.q"], "layers_to_transform": None}
    saved_by_peft(tmp_path / "both", whole, **both)
    stack = backbones.build(family)(random_model(family))
    with pytest.raises(CheckpointError, match=r"expected low-rank matrices of linear layers inside encoder\.block\.N"):
        built(stack, 0, start=str(tmp_path / "both"))

    tags = AutoModelForTokenClassification.from_config(random_model(family).config)
    wrapped = saved_by_peft(tmp_path / "encoder", tags, **both)
    encoder = wrapped.base_model.model.transformer
    with torch.no_grad():
        for name, parameter in random_model(family).named_parameters():
            place = name.replace(".SelfAttention.q.", ".SelfAttention.q.base_layer.")
            encoder.get_parameter(place).copy_(parameter)
    assert_close(ours(built(stack, 0, start=str(tmp_path / "encoder")), stack, 0), theirs(encoder))


def test_a_saved_adapter_needs_its_start_no_more(tmp_path, stack):
    """Rebuilt by the same options when the folder is gone, it is whole once its state is loaded."""
    saved_by_peft(tmp_path / "lora", random_model("bert"))
    adapter = built(stack, start=str(tmp_path / "lora"))
    shutil.rmtree(tmp_path / "lora")
    again = built(stack, start=str(tmp_path / "lora"))
    with pytest.raises(CheckpointError, match=r"adapter\.start: there is no folder"):
        again.train()
    again.load_state_dict(adapter.state_dict())
    assert torch.equal(ours(again.train(), stack), ours(adapter, stack))
    with pytest.raises(CheckpointError, match="there is no folder"):
        built(backbones.build("bert")(random_model("bert")).to("meta"), start=str(tmp_path / "lora"))


def test_a_family_from_outside_is_written_and_read_by_its_own_names(tmp_path):
    """What its one class says is all that PEFT's files need."""

    class Other(BertStack):
        facts = replace(BertStack.facts, blocks="tower.rooms")

    stack = Other(random_model("bert"))
    adapter = shaken(built(stack, targets=["key"]))
    export_peft(adapter, stack, tmp_path, "some/model")
    module = "base_model.model.tower.rooms.1.attention.self.key"
    assert f"{module}.lora_A.weight" in load_file(tmp_path / "adapter_model.safetensors")
    assert_close(ours(built(stack, start=str(tmp_path)), stack), ours(adapter, stack))


# ---- Refused -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A LoRA made by PEFT."""
    saved_by_peft(tmp_path / "lora", random_model("bert"))
    return tmp_path / "lora"


def altered(folder, **changes):
    """The folder with another configuration."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return str(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, r"expected peft_type: 'LORA', found 'IA3'"),
        ({"use_rslora": True}, "use_rslora: .* found True"),
        ({"use_dora": True}, "use_dora: .* found True"),
        ({"bias": "all"}, "expected bias: 'none', found 'all'"),
        ({"rank_pattern": {"query": 2}}, "rank_pattern"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights: .* found 'pissa'"),
        ({"peft_type": None}, "names no peft_type.*"),
        ({"peft_type": None, "config": {}}, "looks like AdapterHub's, see the adapter `adapterhub`"),
        ({"lora_alpha": None}, "gives no number for lora_alpha"),
        ({"r": 5}, r"in layer 1 a matrix A of shape \(4, 24\), expected \(5, 24\)"),
    ],
)
def test_what_is_not_plain_lora_is_refused(changes, message, folder, stack):
    """With what was found and what is possible."""
    with pytest.raises(CheckpointError, match=message):
        built(stack, start=altered(folder, **changes))


def test_layers_below_the_cut_are_refused(folder, stack):
    """Cached states cannot know of them; the message names the setting."""
    with pytest.raises(CheckpointError, match=r"changes layer 1, below the cut at 2, .* set backbone\.cut: 0"):
        built(stack, cut=2, start=str(folder))


def test_a_lora_of_another_model_is_refused(folder, stack, tmp_path):
    """Another width, more layers, an adapted embedding, a half of a pair."""
    saved_by_peft(tmp_path / "wide", random_model("bert", hidden_size=32))
    with pytest.raises(CheckpointError, match=r"a matrix A of shape \(4, 32\), expected \(4, 24\)"):
        built(stack, start=str(tmp_path / "wide"))
    saved_by_peft(tmp_path / "deep", random_model("bert", num_hidden_layers=5), layers_to_transform=[4])
    with pytest.raises(CheckpointError, match=r"in layer 4, which this backbone of 3 layers does not have"):
        built(stack, start=str(tmp_path / "deep"))
    saved_by_peft(
        tmp_path / "words", random_model("bert"), target_modules=["word_embeddings", "query"], layers_to_transform=None
    )
    with pytest.raises(CheckpointError, match=r"holds .*word_embeddings.*; expected low-rank matrices"):
        built(stack, start=str(tmp_path / "words"))
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({key: tensor for key, tensor in tensors.items() if "lora_B" not in key}, weights)
    with pytest.raises(CheckpointError, match=r"a matrix B of shape none"):
        built(stack, start=str(folder))


def test_a_pickle_is_refused_and_the_command_converts_it(folder, stack):
    """What the message says to run writes the safetensors file."""
    before = built(stack, start=str(folder)).state_dict()
    tensors = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors cannot be read"):
        built(stack, start=str(folder))
    torch.save(tensors, folder / "adapter_model.bin")
    with pytest.raises(CheckpointError, match="has its weights as a pickle") as refusal:
        built(stack, start=str(folder))
    code = str(refusal.value).split('python -c "')[1].rstrip('"')
    exec(code, {})
    after = built(stack, start=str(folder)).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


# ---- In training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", [None, {"name": "deep"}, {"name": "gated"}])
@pytest.mark.parametrize("family", FAMILIES)
def test_beside_the_weights_it_computes_what_it_computes_merged(family, prompt):
    """Output and gradients of training, where ``W`` has none, are those of the merged matrix; no hook remains."""
    stack = backbones.build(family)(random_model(family))
    adapter = shaken(built(stack, rank=2))
    make = prompts.build(prompt["name"], {"length": 2}) if prompt else None
    rows = make(stack, range(1, 3), [], lambda how, layer, count: torch.randn(count, stack.width)) if make else None
    model = GraftedModel(stack, Adaptation(rows, adapter, LinearClassifier(stack.width, 3)))
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    states = States(tokens=torch.randn(2, 4, stack.width), mask=mask, layer=1)

    def states_of(training):
        model.train(training).zero_grad()
        logits = model(states, "eng-Latn")[1]
        logits.logsumexp(-1).sum().backward()
        return logits.detach(), torch.cat([parameter.grad.flatten() for parameter in model.adaptation.parameters()])

    (merged, gradient), (beside, its_gradient) = (states_of(training) for training in (False, True))
    torch.testing.assert_close(merged, beside, rtol=1e-4, atol=1e-5)
    assert nn.functional.cosine_similarity(gradient, its_gradient, dim=0) > 0.99999
    assert not any(module._forward_hooks for module in stack.modules())
