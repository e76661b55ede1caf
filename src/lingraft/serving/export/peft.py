"""LoRA in PEFT's format, and the head beside it, which PEFT's own classes have no place for."""

from __future__ import annotations

import json
from pathlib import Path

from ...backbones.checkpoint_files import BUNDLED, checkpoint_folder
from ...core.errors import CheckpointError
from ...model.adapters.lora import LoraAdapter
from ...model.adapters.peft_files import export_peft
from ...model.tensor_files import write_tensors
from ...tasks.kinds.text_rows import separator_of
from ..predictor import Adapted
from . import Trained, Write, formats
from .plain_parts import refuse_all_but_weights

HEAD, PROGRAM = "head.safetensors", "load.py"

LOADER = '''"""Load the adapted model with PEFT, and its head: needs peft, transformers and safetensors."""

from pathlib import Path

from peft import PeftModel
from safetensors.torch import load_file
from torch.nn.functional import linear
from transformers import {auto_class}, AutoTokenizer

HERE, BASE, PREFIX = Path(__file__).parent, {base!r}, {prefix!r}
LABELS = {labels}
tokenizer = AutoTokenizer.from_pretrained(BASE, padding_side="right")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
model = PeftModel.from_pretrained({auto_class}.from_pretrained(BASE), str(HERE)).eval()
head = load_file(HERE / "head.safetensors")


def logits(first, second=None):
    """Return logits of texts, or of pairs with the texts of `second`: `[N, C]`; of their tokens: `[N, T, C]`."""
    if isinstance(first, str) or not first:
        raise ValueError("expected a list of texts")
    cut = dict(padding=True, truncation=True, max_length={length}, return_tensors="pt")
    pairs = second and [{separator!r} + text for text in second]
    given = tokenizer([PREFIX + text for text in first], pairs, **cut)
    states, mask = model(**given).last_hidden_state, given["attention_mask"].unsqueeze(-1)
    read = {read}
    return linear(read, head["weight"], head["bias"])
'''
"""What is written beside an adapter; ``read`` is what of the last states the head reads."""


@formats.register("peft")
def peft_format() -> Write:
    """LoRA in PEFT's format, with the head and a few lines that load both."""
    return write_peft


def write_peft(trained: Trained, folder: Path) -> list[str]:
    """Write the adapter, the head and the lines that load both.

    Args:
        trained: What is exported.
        folder: Where to; there, and empty.

    Raises:
        CheckpointError: The run has no LoRA, or other parts beside it.
    """
    adapted = trained.adapted
    identity, adaptation = adapted.identity, adapted.model.adaptation
    refuse_all_but_weights(trained, "PEFT's format")
    if not isinstance(adaptation.adapter, LoraAdapter) or adaptation.unfrozen or adaptation.lora is not None:
        raise CheckpointError(
            f"{trained.folder} has no LoRA above the cut alone, which is what PEFT's format holds; train with "
            "adapter.name=lora, and the freezing strategy that is the default"
        )
    base = adapted.backbone.name
    if base.startswith(BUNDLED):
        base = str(checkpoint_folder(base))
    head = {name: tensor.detach().cpu().contiguous() for name, tensor in adaptation.head.state_dict().items()}
    export_peft(adaptation.adapter, adapted.backbone.stack, folder, base)
    write_tensors(folder / HEAD, head, {"format": "pt"})
    text = LOADER.format(
        base=base,
        auto_class=adapted.backbone.stack.facts.auto_class,
        prefix=identity.text_prefix,
        length=identity.max_length,
        labels=json.dumps(identity.labels, ensure_ascii=False),
        separator=separator_of(adapted.backbone.tokenizer),
        read=_read(adapted),
    )
    (folder / PROGRAM).write_text(text, encoding="utf-8")
    said = ["logits are those of tokens; reading words or answers off them is yours"] if adapted.kind.per_token else []
    return [*said, f"load with: {PROGRAM}, which reads {base} and {HEAD}"]


def _read(adapted: Adapted) -> str:
    """Return what of the last states the head reads, in Python: each token's, or what pooling gives."""
    if adapted.kind.per_token:
        return "states"
    pooling = adapted.backbone.stack.pooling
    if pooling.last:
        weights = "(mask * (mask.cumsum(1) == mask.sum(1, keepdim=True)))"
    else:  # a text of nothing but what opens it has the mean of all; none that is asked is
        weights = f"(mask * (mask.cumsum(1) > {pooling.opening}))" if pooling.opening else "mask"
    return f"(states * {weights}).sum(1) / {weights}.sum(1).clamp(min=1)"
