"""The benchmarks run, and count what they say they count."""

import importlib.util
import os
import random
import sys

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lingraft.core.records import States
from lingraft.model.adaptation import build_adaptation
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from tiny import REPOSITORY, WORDS, decoder_tokenizer, random_model, save_checkpoint

FOLDER = REPOSITORY / "benchmarks"


@pytest.fixture(scope="module")
def step_time():
    """``benchmarks/step_time.py`` as a module, where child processes find it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TOKENIZERS_PARALLELISM"):
            patch.setenv(name, "")  # given back afterwards
            patch.delenv(name)
        spec = importlib.util.spec_from_file_location("step_time", FOLDER / "step_time.py")
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "step_time", module)
        spec.loader.exec_module(module)
        patch.setattr(module, "WINDOW", 0.01)
        yield module


def write_sentences(folder):
    """Write the tables of 300 invented sentences, and return where they are."""
    rng = random.Random(0)
    for language in ("eng_Latn", "yor_Latn"):
        rows = [f"{i}\t{'ab'[i % 2]}\t{' '.join(rng.choices(WORDS, k=rng.randint(8, 20)))}" for i in range(300)]
        (folder / f"{language}.train.tsv").write_text("\n".join(["index_id\tcategory\ttext", *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def context(step_time, tiny_checkpoint, tmp_path_factory):
    """The tiny backbone and 300 invented sentences of 8 to 20 words in both languages."""
    folder = write_sentences(tmp_path_factory.mktemp("sib200"))
    return step_time.prepare(str(tiny_checkpoint), str(folder), str(tmp_path_factory.mktemp("cache")), 2)


def test_every_row_is_measured_on_both_shapes(step_time, context, capsys):
    """Each method trains, and the results have the keys that others read."""
    pytest.importorskip("peft")
    memory = {method: {"sib200": 1, "fixed_128": 2} for method in step_time.METHODS}

    result = step_time.measure(context, list(step_time.METHODS), memory, repeat=1)

    for shape in (result, result["fixed_128"]):
        assert [row["method"] for row in shape["rows"]] == list(step_time.METHODS)
        assert all(row["seconds_per_step"] > 0 and row["trainable_parameters"] > 0 for row in shape["rows"])
        assert shape["floor_seconds_per_step"] > 0 and shape["matrix_flops_per_second"] > 0
    assert {row["peak_memory_bytes"] for row in result["fixed_128"]["rows"]} == {2}
    assert result["encoding"]["seconds"] > 0
    assert "times its floor" in capsys.readouterr().out


def test_of_a_decoder_there_are_ratios_without_a_floor(step_time, tmp_path, capsys):
    """Ours beside PEFT's prompt, in float32 though the checkpoint asks for half."""
    pytest.importorskip("peft")
    model = random_model("gemma3_text")
    model.config.dtype = "float16"
    checkpoint = save_checkpoint(tmp_path / "model", model, decoder_tokenizer())
    data = write_sentences(tmp_path)
    context = step_time.prepare(str(checkpoint), str(data), str(tmp_path / "cache"), 2)
    methods = ["peft-prompt", "lingraft"]
    memory = {method: {"sib200": 1, "fixed_128": 2} for method in methods}

    result = step_time.measure(context, methods, memory, repeat=1)

    assert [row["method"] for row in result["fixed_128"]["rows"]] == methods
    assert not [key for key in result if "floor" in key]
    assert "times as fast as peft-prompt (aim: at least 3)" in capsys.readouterr().out


def test_batches_cover_all_lengths_and_the_second_shape_has_one(context):
    """Two batches of 32 after the warm-up; joined sentences fill the tiny model's 64 positions but 20."""
    short, long = context.plans["sib200"], context.plans["fixed_128"]
    assert [len(batch) for batch in short.batches] == [32] * 3
    shorter, longer = map(sum, short.lengths())
    assert shorter < longer
    assert {length for batch in long.lengths() for length in batch} == {44}


def test_peak_memory_is_that_of_both_shapes(step_time, context):
    """They are measured one after the other in one process, so the larger one cannot need less."""
    found = step_time.peak_memory("lingraft", context)
    assert 50e6 < found["sib200"] <= found["fixed_128"]


def test_a_fresh_process_is_another_one(step_time):
    """It ends with the call, and the next call gets one of its own."""
    first, second = (step_time.in_fresh_process(os.getpid) for _ in range(2))
    assert len({first, second, os.getpid()}) == 3


def test_flops_agree_with_those_that_torch_counts(step_time, tiny_backbone):
    """Torch also differentiates by keys and values of words in the first block, which the floor leaves out."""
    batch, length, cut, stack = 4, 20, 1, tiny_backbone.stack
    adaptation = build_adaptation(
        prompt=Block.model_validate({"name": "deep", "length": 5, "init": "normal"}),
        adapter=Block.model_validate({"name": "bottleneck", "width": 6}),
        stack=stack,
        cut=cut,
        languages=[],
        head=LinearClassifier(stack.width, 7),
        initial=lambda how, layer, count: torch.zeros(count, stack.width),
    )
    states = States(torch.randn(batch, length, stack.width), torch.ones(batch, length), cut)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        _, logits = GraftedModel(stack, adaptation)(states, "eng-Latn")
        logits.sum().backward()

    ours = step_time.lingraft_flops(
        [length] * batch, width=stack.width, inner=32, layers=2, prompt=5, adapter=6, classes=7
    )
    words = 2 * stack.width * batch * length  # one product of all words with one key
    surplus = 3 * words * length  # gradients of keys and of values, and the scores' from which they come
    assert ours == pytest.approx(counter.get_total_flops() - surplus, rel=0.01)


def test_absent_data_are_answered_in_one_line(step_time, tmp_path, capsys):
    """It says which option to give."""
    with pytest.raises(SystemExit):
        step_time.main(["--data-dir", str(tmp_path / "nowhere"), "--methods", "lingraft"])
    assert "--data-dir" in capsys.readouterr().err.splitlines()[-1]


# ---- Memory and start ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def footprint():
    """``benchmarks/footprint.py`` as a module."""
    spec = importlib.util.spec_from_file_location("footprint", FOLDER / "footprint.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "footprint", module)
        spec.loader.exec_module(module)
    return module


def test_what_a_process_spends_is_its_own(footprint, tmp_path):
    """Its peak is that of what it holds, and its processor's seconds are those of what it computes."""
    program = (
        "import time; {}; until = time.process_time() + {}\nwhile time.process_time() < until: pass\nprint('done')"
    )
    small = footprint.spend(["-c", program.format("x = 0", 0.0)], tmp_path)
    large = footprint.spend(["-c", program.format("x = b'x' * 600_000_000", 0.5)], tmp_path)

    assert small.printed == large.printed == "done\n"
    assert large.peak >= max(600e6, small.peak)  # a process inherits the peak of the one that starts it
    assert large.cpu_seconds > small.cpu_seconds + 0.4


def test_a_process_that_fails_says_why(footprint, tmp_path):
    """Its complaint ends the benchmark."""
    with pytest.raises(SystemExit, match="no such thing"):
        footprint.spend(["-c", "raise ValueError('no such thing')"], tmp_path)


def test_start_is_measured_beside_its_yardstick(footprint, tmp_path):
    """Ratios are medians over rounds of what stood side by side, the first round left out."""
    seconds = iter([(9.0, 90.0), (2.0, 3.0), (4.0, 4.0), (2.0, 2.4)])
    turns = (footprint.Usage(one, one / 2, 10, "") for pair in seconds for one in pair)
    found = footprint.measure_start(tmp_path, "", 3, tmp_path, spend=lambda arguments, cache: next(turns))

    assert found["ratio"] == pytest.approx(1.2)
    assert found["yardstick"]["seconds"] == 2.0
    assert found["predict"]["cpu_seconds"] == pytest.approx(1.5)
