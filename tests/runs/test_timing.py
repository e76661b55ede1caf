"""From counts to seconds."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from invented import world_recipe
from lingraft.backbones import backbones
from lingraft.core.records import States
from lingraft.runs.timing import (
    answer_operations,
    layer_rate,
    matrix_rate,
    operations_per_token,
    passes_of,
    trial_seconds,
)
from tiny import writing_model


def test_operations_are_those_of_the_weights(tiny_backbone):
    """Four square matrices and two of the feed-forward network, a multiplication and an addition for each weight."""
    assert operations_per_token(tiny_backbone.stack, 2) == 2 * 2 * (4 * 24 * 24 + 2 * 24 * 32)


@pytest.mark.parametrize(
    ("overrides", "passes"),
    [
        (["prompt=null", "adapter=null"], 1),
        (["prompt=null", "adapter.name=lora"], 2),
        (["prompt=null", "adapter=null", "freezing.name=top_layers", "freezing.layers=1"], 3),
    ],
)
def test_a_token_goes_forward_and_once_for_each_gradient(overrides, passes, tmp_path):
    """A head alone sends no gradient through the layers; parts need that of the states, layers that of the weights."""
    assert passes_of(world_recipe(tmp_path, overrides), 3) == passes


def test_seconds_add_up(tiny_backbone):
    """Operations at the rate, the optimiser for each parameter and step, what is fitted by the cube of its texts."""
    counts = {"tokens": 100, "head_tokens": 10, "tokens_read": 5, "steps": 7, "trained": 1_000_000}
    counts |= {"whole_depth_tokens": 0, "said": 0, "written": 0}
    work = SimpleNamespace(**counts, fitted={"yor-Latn": 1000, "quy-Latn": 10_000})
    each = operations_per_token(tiny_backbone.stack, 1)
    seconds = trial_seconds(work, tiny_backbone.stack, depth=1, passes=2, rate=each)
    assert seconds == pytest.approx(2 * 100 + 10 + 5 + 7 * 3e-3 + (1000**3 + 3000**3) * 1.5e-9)


def test_what_goes_through_all_layers_takes_as_much_longer(tiny_backbone):
    """Forty of a hundred tokens go through three layers instead of one, and so does what the network reads besides."""
    counts = {"tokens": 100, "whole_depth_tokens": 40, "head_tokens": 10, "tokens_read": 5, "steps": 0, "trained": 0,
              "said": 0, "written": 0}  # fmt: skip
    each = operations_per_token(tiny_backbone.stack, 1)
    seconds = trial_seconds(SimpleNamespace(**counts, fitted={}), tiny_backbone.stack, depth=1, passes=2, rate=each)
    assert seconds == pytest.approx(2 * 60 + 10 + 3 * (2 * 40 + 5))


@pytest.mark.parametrize("tied", [True, False])
def test_what_is_written_goes_through_the_decoder_and_the_words(tied):
    """Counted where it is computed: each matrix by its rows, those that read the text by the text's."""
    stack = backbones.build("mt5")(writing_model("mt5", tied=tied))
    products = []
    for part in stack.decoder.blocks.modules():
        if isinstance(part, torch.nn.Linear):
            part.register_forward_hook(lambda part, given, _: products.append(given[0].shape[1] * part.weight.numel()))
    encoded = States(torch.randn(1, 7, stack.width), torch.ones(1, 7), layer=stack.num_layers)
    final = stack.answer(encoded, torch.tensor([[0, 5, 6]]))
    expected = 2 * (sum(products) + 3 * stack.width * stack.speak(final).shape[-1])

    counts = {"tokens": 0, "tokens_read": 7, "said": 0, "written": 3}
    assert answer_operations(SimpleNamespace(**counts), stack) == expected
    trained = {"tokens": 7, "tokens_read": 0, "said": 3, "written": 0}
    assert answer_operations(SimpleNamespace(**trained), stack) == 2 * expected
    assert answer_operations(SimpleNamespace(**counts | {"written": 0}), stack) == 0  # nothing is asked of the decoder


def test_a_rate_is_measured_on_the_device_and_in_the_precision_asked():
    """Every product, and nothing else."""
    products = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.mm.default:
                products.append((args[0].device.type, args[0].dtype))
            return func(*args, **(kwargs or {}))

    with Watching():
        matrix_rate(64, "bfloat16", torch.device("meta"), seconds=0.0)

    assert set(products) == {("meta", torch.bfloat16)}


def test_layers_reach_a_smaller_share_of_the_faster_products():
    """What lies between the products takes as long in either precision."""
    rates = {"float32": 10.0, "bfloat16": 40.0}
    found = [layer_rate(torch.device("cpu"), 64, precision, rates) for precision in rates]
    assert found == pytest.approx([6.0, 14.0])
