"""Peak memory and time of a training step on models too large for a laptop's patience, beside PEFT, in one run.

Models have the exact shapes of XLM-R large, mT5-base and Qwen3-0.6B and random weights in float32: memory and time do
not depend on what they are. Every method trains a classifier of the mean of the last states on the same batch of token
ids, with AdamW, in a process of its own: two steps, of which the second counts. PEFT has its defaults for the family
(LoRA of rank 8 on query and value; 20 virtual tokens before the first layer), ours those of a recipe (16 virtual tokens
and an adapter of 32 in each layer above the cut, which is half of the depth), on states that another process has
encoded. Of mT5 both have the encoder alone.

Peak memory is ``ru_maxrss`` of the process: Python, torch, weights and all that the step keeps.

    python benchmarks/large_shapes.py --json large_shapes.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

CLASSES = 7
VIRTUAL_TOKENS = 20
STATES = "states.pt.safetensors"

SHAPES: dict[str, dict[str, Any]] = {
    "XLM-R large": {
        "model_type": "xlm-roberta",
        "vocab_size": 250_002,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
    },
    "mT5-base": {
        "model_type": "mt5",
        "vocab_size": 250_112,
        "d_model": 768,
        "d_kv": 64,
        "d_ff": 2048,
        "num_layers": 12,
        "num_heads": 12,
        "feed_forward_proj": "gated-gelu",
        "pad_token_id": 0,
        "eos_token_id": 1,
    },
    "Qwen3-0.6B": {
        "model_type": "qwen3",
        "vocab_size": 151_936,
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
        "max_position_embeddings": 40_960,
        "tie_word_embeddings": True,
    },
}

METHODS = {
    "peft-lora": "PEFT, LoRA r 8 on query and value of all layers",
    "peft-prompt": "PEFT, 20 virtual tokens before the first layer",
    "lingraft": "deep prompts and adapters above the cut, cached states",
}

Step = Callable[[], None]


def write_model(folder: str, shape: dict[str, Any]) -> int:
    """Write a random model of a shape with a tokenizer of a few words, and return how many parameters it has."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import AutoConfig, PreTrainedTokenizerFast

    options = {name: value for name, value in shape.items() if name != "model_type"}
    config = AutoConfig.for_model(shape["model_type"], **options)
    torch.manual_seed(0)
    model = encoder_class(config)._from_config(config)
    model.save_pretrained(folder)
    words = Tokenizer(WordLevel({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "ada": 4}, unk_token="<unk>"))
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=words, **special).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def encoder_class(config: Any) -> Any:
    """Hugging Face's class of a model without a head, and without a decoder of its own."""
    from transformers import MODEL_MAPPING, MT5EncoderModel

    return MT5EncoderModel if config.model_type == "mt5" else MODEL_MAPPING[type(config)]


def batch(folder: str, size: int, length: int) -> Any:
    """The same token ids for all, ``[size, length]``."""
    import torch

    vocabulary = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    return torch.randint(10, vocabulary, (size, length), generator=torch.Generator().manual_seed(0))


def peft(method: str, folder: str, size: int, length: int) -> Step:
    """A step of PEFT's model."""
    import torch
    from peft import LoraConfig, PromptTuningConfig, TaskType, get_peft_model
    from transformers import AutoConfig

    make = encoder_class(AutoConfig.from_pretrained(folder))
    base = make.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    task = TaskType.FEATURE_EXTRACTION
    settings: Any = (
        LoraConfig(task_type=task, r=8)
        if method == "peft-lora"
        else PromptTuningConfig(task_type=task, num_virtual_tokens=VIRTUAL_TOKENS)
    )
    model: Any = get_peft_model(base, settings).train()
    head = torch.nn.Linear(model.config.hidden_size, CLASSES)
    ids = batch(folder, size, length)
    mask = torch.ones_like(ids)

    def logits() -> Any:
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return head(states[:, -length:].mean(dim=1))

    return stepped([*(p for p in model.parameters() if p.requires_grad), *head.parameters()], logits, size)


def lingraft(folder: str, size: int, length: int) -> Step:
    """A step of ours, on states from a file."""
    import torch
    from safetensors.torch import load_file

    from lingraft.backbones.loading import load_backbone
    from lingraft.core.records import States
    from lingraft.model.adaptation import build_adaptation
    from lingraft.model.heads.linear import LinearClassifier
    from lingraft.model.network import GraftedModel
    from lingraft.recipe.blocks import Block

    stack = load_backbone(folder).stack
    cut = stack.num_layers // 2
    states = States(load_file(Path(folder) / STATES)["states"], torch.ones(size, length, dtype=torch.long), cut)
    adaptation = build_adaptation(
        prompt=Block.model_validate({"name": "deep", "length": 16}),
        adapter=Block.model_validate({"name": "bottleneck", "width": 32}),
        stack=stack,
        cut=cut,
        languages=[],
        head=LinearClassifier(stack.width, CLASSES),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
    )
    model = GraftedModel(stack, adaptation).train()
    return stepped(list(adaptation.parameters()), lambda: model(states, "eng-Latn")[1], size)


def stepped(learnt: list[Any], logits: Callable[[], Any], size: int) -> Step:
    """A step of AdamW on the cross-entropy of some classes."""
    import torch

    optimiser = torch.optim.AdamW(learnt, lr=1e-3)
    targets = torch.arange(size) % CLASSES

    def step() -> None:
        torch.nn.functional.cross_entropy(logits(), targets).backward()
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def encode(folder: str, size: int, length: int) -> float:
    """Write the states of the batch at the cut, and return the seconds that they took."""
    import torch
    from safetensors.torch import save_file

    from lingraft.backbones.loading import load_backbone
    from lingraft.backbones.walk import states_at

    stack = load_backbone(folder).stack
    ids = batch(folder, size, length).tolist()
    started = time.perf_counter()
    with torch.no_grad():
        states = states_at(ids, stack, stack.num_layers // 2, torch.device("cpu"))
    save_file({"states": states.tokens.contiguous()}, Path(folder) / STATES)
    return time.perf_counter() - started


def measure(method: str, folder: str, size: int, length: int) -> tuple[int, float]:
    """Return the peak of this process in bytes, and the seconds of a second step; run in a process of its own."""
    from lingraft.core.memory import peak_bytes

    step = lingraft(folder, size, length) if method == "lingraft" else peft(method, folder, size, length)
    step()  # makes the optimiser's state
    started = time.perf_counter()
    step()
    seconds = time.perf_counter() - started
    return peak_bytes() or 0, seconds


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    """Call ``function`` in a new interpreter that ends with the call."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--shapes", default=",".join(SHAPES), help="which, by name, separated by commas")
    parser.add_argument("--batch", type=int, default=32, help="texts of a step")
    parser.add_argument("--length", type=int, default=64, help="tokens of a text")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args()
    if unknown := set(options.shapes.split(",")) - set(SHAPES):
        parser.error(f"unknown shapes: {', '.join(sorted(unknown))}; there are {', '.join(SHAPES)}")
    size, length = options.batch, options.length
    results: dict[str, Any] = {}
    for name in options.shapes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            say(f"{name}: writing a random model")
            parameters = in_fresh_process(write_model, folder, SHAPES[name])
            say(f"{name}: encoding the batch")
            encoding = in_fresh_process(encode, folder, size, length)
            rows = {}
            for method in METHODS:
                say(f"{name}: {method}")
                peak, seconds = in_fresh_process(measure, method, folder, size, length)
                rows[method] = {"peak_memory_bytes": peak, "seconds_per_step": seconds}
        results[name] = {"parameters": parameters, "encoding_seconds": encoding, "rows": rows}
        print_table(name, results[name], size, length)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def print_table(name: str, found: dict[str, Any], size: int, length: int) -> None:
    """The rows of a shape, and whether the aim is met."""
    rows = found["rows"]
    own = rows["lingraft"]
    print(f"\n{name}: {found['parameters'] / 1e6:,.0f} million parameters, a batch of {size} x {length} tokens")
    for method, row in rows.items():
        print(
            f"{method:<12} {row['peak_memory_bytes'] / 1e6:>8,.0f} MB {row['seconds_per_step']:>8.2f} s/step "
            f"{row['seconds_per_step'] / own['seconds_per_step']:>6.2f} x  {METHODS[method]}"
        )
    least = min(row["peak_memory_bytes"] for method, row in rows.items() if method != "lingraft")
    print(
        f"lingraft has {own['peak_memory_bytes'] / least:.2f} of the smaller peak of PEFT's (aim: at most 0.6); "
        f"encoding the batch once took {found['encoding_seconds']:.1f} s"
    )


if __name__ == "__main__":
    main()
