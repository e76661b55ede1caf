"""Adapters in the decoder that writes the answers of an encoder-decoder, against stock PEFT and slower ways."""

import copy

import peft
import pytest
import torch
from torch import nn

from lingraft.backbones import backbones
from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.distributed.shared_layers import Computer, SharedModel
from lingraft.model.adaptation import add_lora, build_adaptation
from lingraft.model.adapters import adapters, parameter_name
from lingraft.model.adapters.peft_files import export_peft
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from small_training import shaken
from tiny import random_model
from writing_parts import (
    CPU,
    FAMILIES,
    SAID,
    TARGET,
    TEXTS,
    asked,
    grafted,
    likelihoods,
    loaded_by_transformers,
    log_likelihoods_of,
    made_checkpoint,
    said_by,
    saved_and_loaded,
    written,
)

BOTH = ("lora", "scaling")
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT's, not ours


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request, tmp_path_factory):
    """The folder of a random whole model."""
    return made_checkpoint(tmp_path_factory.mktemp(request.param), request.param)


def loaded_by_peft(folder, **options):
    """The whole model with a LoRA, by PEFT's own loader, which needs the LoRA's folder alone."""
    theirs = peft.AutoPeftModelForSeq2SeqLM.from_pretrained(str(folder), **options).eval()
    theirs.base_model.model.config.tie_word_embeddings = False
    return theirs


# ---- What it computes ----------------------------------------------------------------------------------


def test_stock_peft_gives_the_same_logits(checkpoint, tmp_path):
    """From the folder that is written: LoRA in both halves, in eval mode, with a gradient, and in train mode."""
    backbone = load_backbone(checkpoint, writing=True)
    model = shaken(grafted(backbone, adapter={"name": "lora", "rank": 4, "alpha": 6}), size=0.1)
    export_peft(model.adaptation.adapter, backbone.stack, tmp_path / "lora", checkpoint)
    theirs = loaded_by_peft(tmp_path / "lora")
    with torch.no_grad():
        expected = log_likelihoods_of(theirs)

    for training in (False, True):
        for gradient in (False, True):
            found = likelihoods(model, backbone, training=training, gradient=gradient)
            torch.testing.assert_close(found.detach(), expected, rtol=1e-5, atol=1e-4)
    assert (expected - likelihoods(grafted(backbone), backbone)).abs().max() > 0.5
    stack, shifted = model.merged(TARGET), backbone.stack.shifted(SAID)
    with torch.no_grad():
        final = model.eval().run_layers(asked(backbone), TARGET)
        ours = stack.speak(stack.answer(final, shifted))
        for row, text in enumerate(TEXTS):
            logits = theirs(input_ids=torch.tensor([text]), decoder_input_ids=shifted[row : row + 1]).logits[0]
            torch.testing.assert_close(ours[row], logits, rtol=1e-5, atol=1e-5 * float(logits.abs().max()))


def test_a_lora_that_peft_made_is_a_start(checkpoint, tmp_path):
    """Of all linear layers of encoder and decoder; with its rank and alpha, and written again as it was."""
    torch.manual_seed(5)
    config = peft.LoraConfig(r=3, lora_alpha=6, target_modules="all-linear", task_type="SEQ_2_SEQ_LM")
    theirs = peft.get_peft_model(loaded_by_transformers(checkpoint), config).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    theirs.save_pretrained(tmp_path / "theirs")
    backbone = load_backbone(checkpoint, writing=True)
    model = grafted(backbone, adapter={"name": "lora", "start": str(tmp_path / "theirs")}, cut=0)

    with torch.no_grad():
        expected = log_likelihoods_of(theirs)
    torch.testing.assert_close(likelihoods(model, backbone), expected, rtol=1e-5, atol=1e-4)
    export_peft(model.adaptation.adapter, backbone.stack, tmp_path / "again", checkpoint)
    again = grafted(backbone, adapter={"name": "lora", "start": str(tmp_path / "again")}, cut=0).adaptation
    assert again.state_dict().keys() == model.adaptation.state_dict().keys()
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in model.adaptation.state_dict().items())
    alone = load_backbone(checkpoint)
    with pytest.raises(CheckpointError, match=r"expected low-rank matrices of linear layers inside encoder\.block\.N"):
        adapters.build("lora", {"start": tmp_path / "theirs"})(alone.stack, range(3), [])


@pytest.mark.parametrize("name", BOTH)
def test_it_begins_as_the_frozen_model_bit_for_bit(checkpoint, name):
    """In eval mode and in train mode, with what it writes."""
    backbone = load_backbone(checkpoint, writing=True)
    frozen, model = grafted(backbone), grafted(backbone, adapter={"name": name})
    for training in (False, True):
        assert torch.equal(
            likelihoods(model, backbone, training=training), likelihoods(frozen, backbone, training=training)
        )
    assert written(model) == written(frozen)


def test_factors_are_those_of_weights_multiplied_by_hand(checkpoint):
    """(IA)³ on keys and values of both attentions, and on the feed-forward's inner states, in task and language."""
    backbone = load_backbone(checkpoint, writing=True)
    model = shaken(grafted(backbone, adapter={"name": "scaling"}), size=0.3)
    inside = model.adaptation.adapter.decoder
    theirs = loaded_by_transformers(checkpoint)
    with torch.no_grad():
        for adapter, blocks in ((model.adaptation.adapter, theirs.encoder.block), (inside, theirs.decoder.block)):
            for part in (adapter.task, adapter.language[TARGET]):
                for layer, deltas in part.items():
                    for place, delta in deltas.items():
                        *path, side = place.split("/")
                        weight = blocks[int(layer)].get_submodule(".".join(path)).weight
                        weight.mul_(1 + delta[:, None] if side == "outputs" else 1 + delta)
    assert {place for deltas in inside.task.values() for place in deltas} == {
        *(f"layer/0/SelfAttention/{name}/outputs" for name in "kv"),
        *(f"layer/1/EncDecAttention/{name}/outputs" for name in "kv"),
        "layer/2/DenseReluDense/wo/inputs",
    }
    with torch.no_grad():
        expected = log_likelihoods_of(theirs)
    torch.testing.assert_close(likelihoods(model, backbone), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", BOTH)
def test_generation_with_kept_keys_and_values_is_generation_without(checkpoint, name):
    """Token for token, by a model in which the same is merged, without batches, padding or a cache."""
    backbone = load_backbone(checkpoint, writing=True)
    model = shaken(grafted(backbone, adapter={"name": name}), size=0.2)
    merged, adapter = loaded_by_transformers(checkpoint), model.adaptation.adapter
    with torch.no_grad():
        for one, blocks, whole in (
            (adapter, backbone.stack, merged.encoder.block),
            (adapter.decoder, backbone.stack.decoder, merged.decoder.block),
        ):
            for place, weight in one.weights(blocks, TARGET).items():
                whole.get_parameter(place.removeprefix("layers.")).copy_(weight)

    found = written(model)

    assert found == said_by(merged)
    assert found != written(grafted(backbone))


def test_gradients_are_those_of_stock_peft(checkpoint, tmp_path):
    """Of each matrix, beside the weights and merged; what is frozen has none, and no hook remains."""
    backbone = load_backbone(checkpoint, writing=True)
    model = shaken(grafted(backbone, adapter={"name": "lora", "rank": 4, "alpha": 6}), size=0.1)
    export_peft(model.adaptation.adapter, backbone.stack, tmp_path / "lora", checkpoint)
    theirs = loaded_by_peft(tmp_path / "lora", is_trainable=True)
    sum(log_likelihoods_of(theirs)).backward()
    expected = {}
    for side, adapter in (("encoder", model.adaptation.adapter), ("decoder", model.adaptation.adapter.decoder)):
        for (layer, name), pair in adapter.matrices().items():
            there = theirs.base_model.model.get_submodule(f"{side}.block.{layer}.{name}")
            expected[pair.A] = there.lora_A["default"].weight.grad
            expected[pair.B] = there.lora_B["default"].weight.grad
    assert expected.keys() == set(model.adaptation.parameters())

    for training in (False, True):
        model.zero_grad()
        likelihoods(model, backbone, training=training, gradient=True).sum().backward()
        for parameter, gradient in expected.items():
            largest = float(gradient.abs().max())
            assert largest > 0
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-4 * largest)
    assert all(parameter.grad is None for parameter in backbone.stack.parameters())
    assert not any(module._forward_hooks for module in backbone.stack.modules())


def test_it_is_saved_and_comes_back_exactly(checkpoint, tmp_path):
    """Tensors and likelihoods, to the bit; in a file whose description says the adapter's block alone."""
    backbone = load_backbone(checkpoint, writing=True)
    model = shaken(grafted(backbone, adapter={"name": "lora", "rank": 2}), size=0.1)
    loaded = saved_and_loaded(model, checkpoint, tmp_path, adapter={"name": "lora", "rank": 2})
    again = GraftedModel(backbone.stack, loaded)
    assert torch.equal(likelihoods(again, backbone), likelihoods(model, backbone))


def test_all_languages_share_what_lora_learns_in_the_decoder(checkpoint):
    """And (IA)³ has factors for each."""
    backbone = load_backbone(checkpoint, writing=True)
    names = [name for name, _ in grafted(backbone, adapter={"name": "lora"}).adaptation.named_parameters()]
    assert not any("language" in name for name in names)
    names = [name for name, _ in grafted(backbone, adapter={"name": "scaling"}).adaptation.named_parameters()]
    assert any(name.startswith(f"adapter.decoder.language.{TARGET}.") for name in names)


def test_lora_in_all_layers_is_in_the_decoder_too(checkpoint):
    """As the freezing strategy adds it for the last epochs, beside another adapter."""
    backbone = load_backbone(checkpoint, writing=True)
    model = grafted(backbone, adapter={"name": "bottleneck", "dropout": 0.0})
    before = likelihoods(model, backbone)
    add_lora(model.adaptation, Block(name="lora", rank=2), Block(name="bottleneck"), backbone.stack)

    assert torch.equal(likelihoods(model, backbone), before)
    linear = [module for module in backbone.stack.decoder.modules() if isinstance(module, nn.Linear)]
    assert len(model.adaptation.lora.decoder.matrices()) == len(linear) - 1  # the language-model head
    shaken(model, size=0.05)
    beside = likelihoods(model, backbone, training=True)
    torch.testing.assert_close(likelihoods(model, backbone), beside, rtol=1e-5, atol=1e-4)


class Copies:
    """Two ranks in this process, the other one without a decoder, as ranks load the frozen model."""

    def __init__(self, alone):
        self.size, self.other = 2, Computer(alone, CPU)

    def deal(self, shares, compute):
        """Both compute, and share nothing."""
        return [compute(shares[0]), self.other(copy.deepcopy(shares[1]))]


def test_several_ranks_share_the_encoder_and_the_first_has_the_decoder(checkpoint):
    """Likelihoods and gradients are those of one process."""
    backbone, found = load_backbone(checkpoint, writing=True), []
    for wrap in (lambda model: model, lambda model: SharedModel(model, backbone, Copies(load_backbone(checkpoint)))):
        model = wrap(shaken(grafted(backbone, adapter={"name": "lora"}), size=0.1))
        sums = likelihoods(model, backbone, training=True, gradient=True)
        sums.sum().backward()
        found.append((sums.detach(), [parameter.grad for parameter in model.adaptation.parameters()]))
    (alone, gradients), (shared, of_ranks) = found
    torch.testing.assert_close(shared, alone, rtol=1e-5, atol=1e-4)
    for one, other in zip(gradients, of_ranks, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4 * float(one.abs().max()))


# ---- Which layers --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A random mT5 with its decoder."""
    return load_backbone(made_checkpoint(tmp_path_factory.mktemp("mt5")), writing=True)


def places(backbone, **options):
    """The names of the linear layers that have matrices, in the encoder and in the decoder."""
    adapter = adapters.build("lora", options)(backbone.stack, range(1, 3), [])
    inside = adapter.decoder.matrices() if adapter.decoder is not None else {}
    return {name for _, name in adapter.matrices()}, {name for _, name in inside}


def test_targets_are_named_in_either_half(backbone):
    """By their ends in both, as they stand in one; what is in neither is refused."""
    assert places(backbone, targets=["q"]) == (
        {"layer.0.SelfAttention.q"},
        {"layer.0.SelfAttention.q", "layer.1.EncDecAttention.q"},
    )
    assert places(backbone, targets=["EncDecAttention.v"]) == (set(), {"layer.1.EncDecAttention.v"})
    assert places(backbone, targets=["layer.1.DenseReluDense.wo"]) == ({"layer.1.DenseReluDense.wo"}, set())
    with pytest.raises(ConfigError, match="'quarry' names no linear layer of this backbone; each block has layer"):
        places(backbone, targets=["quarry"])


def test_matrices_are_those_of_all_the_decoder_s_blocks(backbone):
    """Whatever the cut, which is the encoder's; of the frozen model's own shapes."""
    adapter = adapters.build("lora", {"rank": 3})(backbone.stack, range(2, 3), [])
    for (layer, name), pair in adapter.decoder.matrices().items():
        outputs, inputs = backbone.stack.decoder.get_parameter(parameter_name(layer, name)).shape
        assert (pair.A.shape, pair.B.shape) == ((3, inputs), (outputs, 3))
    assert {layer for layer, _ in adapter.decoder.matrices()} == {0, 1}
    assert {layer for layer, _ in adapter.matrices()} == {2}


def test_the_decoder_is_left_alone_where_that_is_said(backbone):
    """In LoRA and in (IA)³; targets are then those of the encoder."""
    assert places(backbone, decoder=False)[1] == set()
    assert adapters.build("scaling", {"decoder": False})(backbone.stack, range(1, 3), []).decoder is None
    with pytest.raises(ConfigError, match="names no linear layer"):
        places(backbone, decoder=False, targets=["EncDecAttention.v"])


def test_a_head_that_reads_states_has_no_use_for_the_decoder(backbone):
    """Nothing is learnt in it, for nothing would come of that."""
    options = {"prompt": None, "stack": backbone.stack, "cut": 1, "languages": [], "initial": None}
    head = LinearClassifier(backbone.stack.width, 2)
    found = build_adaptation(adapter=Block(name="lora"), head=head, **options)
    assert found.adapter.decoder is None
    add_lora(found, Block(name="lora"), None, backbone.stack)
    assert found.lora.decoder is None
    with pytest.raises(ConfigError, match=r"adapter\.decoder: true is for .* and a head answers this task; leave"):
        build_adaptation(adapter=Block(name="lora", decoder=True), head=head, **options)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_models_without_a_decoder_apart_have_none_to_adapt(family, name):
    """Encoders and decoder LLMs: in one line, where it is asked for; else they are adapted as ever."""
    stack = backbones.build(family)(random_model(family))
    assert adapters.build(name)(stack, range(1, 3), []).decoder is None
    with pytest.raises(ConfigError, match=rf"and {family} has no decoder beside its layers; leave it out") as refused:
        adapters.build(name, {"decoder": True})(stack, range(1, 3), [])
    assert len(refused.value.problems) == 1


def test_lora_in_all_layers_and_an_adapter_of_the_decoder_are_refused(backbone):
    """What takes the place of a weight can only be one of the two."""
    model = grafted(backbone, adapter={"name": "lora", "targets": ["EncDecAttention.q"]})
    with pytest.raises(ConfigError, match=r"set adapter\.decoder: false"):
        add_lora(model.adaptation, Block(name="lora"), Block(name="lora"), backbone.stack)


def test_a_saved_lora_needs_its_start_no_more(backbone, tmp_path):
    """Nor does that of the decoder."""
    adapter = adapters.build("lora", {"rank": 2})(backbone.stack, range(1, 3), [])
    export_peft(adapter, backbone.stack, tmp_path / "lora", "some/model")
    gone = adapters.build("lora", {"start": tmp_path / "gone"})(backbone.stack, range(1, 3), [])
    gone.load_state_dict(adapter.state_dict())
    assert gone.state_dict().keys() == adapter.state_dict().keys()
    assert all(torch.equal(one, adapter.state_dict()[name]) for name, one in gone.train().state_dict().items())
