"""A Hugging Face checkpoint with everything merged in, which ``AutoModelFor…`` and ``pipeline`` load.

Tags and questions alone: their heads are one linear layer on each token there, too. Hugging Face's classifiers of texts
read the first token, or the last, where a run's read the mean of all. Before anything is written the merged model's
logits are compared with the run's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...backbones import backbones
from ...backbones.loading import load_encoder
from ...backbones.silence import quiet
from ...backbones.walk import pad_batch
from ...core.errors import CheckpointError
from ...model.heads.no_answer import NoAnswerClassifier
from . import Trained, Write, formats
from .plain_parts import refuse_all_but_weights

CLASSES = {"tagging": "AutoModelForTokenClassification", "span_qa": "AutoModelForQuestionAnswering"}
"""By the kind of task."""

HEADS = ("classifier", "score", "qa_outputs")
"""What the linear layers of these are called."""

CLOSE = 1e-3
"""How far logits may be from the run's: what float32 gives in another order of summing."""


@formats.register("hf")
def hf_format() -> Write:
    """Hugging Face checkpoint of tags or questions, merged: trained with LoRA, whole layers or a head alone."""
    return write_hf


def write_hf(trained: Trained, folder: Path) -> list[str]:
    """Write the merged model and its tokenizer, and return how to load them.

    Args:
        trained: What is exported.
        folder: Where to; there, and empty.

    Raises:
        CheckpointError: The run is of a kind, or has a part, that such a checkpoint cannot hold.
    """
    adapted = trained.adapted
    identity = adapted.identity
    if identity.kind not in CLASSES:
        raise CheckpointError(
            f"{trained.folder} is a run for {identity.kind}, whose answers come from the mean of all tokens; Hugging "
            f"Face's heads have that for {' and '.join(CLASSES)} alone, token by token"
            f"{'; use --to onnx' if identity.kind == 'classification' else ''}"
        )
    refuse_all_but_weights(trained, "a Hugging Face checkpoint")
    model = _merged(trained)
    _compare(trained, model)
    with quiet():
        model.save_pretrained(folder)
        adapted.backbone.tokenizer.save_pretrained(folder)
    said = [f"load with: transformers.{CLASSES[identity.kind]}.from_pretrained({str(folder.name)!r})"]
    if identity.text_prefix:
        said.append(f"texts were learnt with {identity.text_prefix!r} before them; put it before what you ask")
    if isinstance(adapted.model.adaptation.head, NoAnswerClassifier):
        said.append('the threshold for "no answer" is not part of it: it is taken off the logits of one token here')
    return said


def _merged(trained: Trained) -> Any:
    """Return the Hugging Face model of the task with the run's weights and head."""
    import transformers

    adapted = trained.adapted
    identity, adaptation = adapted.identity, adapted.model.adaptation
    encoder: Any = load_encoder(adapted.backbone.name)
    stack = backbones.build(encoder.config.model_type)(encoder)
    with torch.no_grad(), adaptation.within(adapted.backbone.stack, trained.language, merge=True) as weights:
        for name, tensor in weights.items():
            stack.get_parameter(name).copy_(tensor)
    config = encoder.config
    if identity.labels:
        config.id2label = dict(enumerate(identity.labels))
        config.label2id = {label: number for number, label in enumerate(identity.labels)}
    make: Any = getattr(transformers, CLASSES[identity.kind])
    try:
        with quiet():
            model = make.from_config(config).eval()
    except ValueError:  # there is no such class for the family
        raise CheckpointError(_other_head(trained, CLASSES[identity.kind])) from None
    missing = model.base_model.load_state_dict(_as_stored(encoder, model.base_model), strict=False).missing_keys
    head = next((found for name in HEADS if isinstance(found := getattr(model, name, None), nn.Linear)), None)
    if missing or head is None:
        raise CheckpointError(_other_head(trained, CLASSES[identity.kind]))
    own: Any = adaptation.head
    with torch.no_grad():
        head.weight.copy_(own.weight)
        if head.bias is not None:
            head.bias.copy_(own.bias)
    return model


def _as_stored(encoder: nn.Module, theirs: nn.Module) -> dict[str, Tensor]:
    """Return an encoder's tensors as Hugging Face's model has them, which keeps some matrices turned over (GPT-2's)."""
    from transformers.pytorch_utils import Conv1D

    tensors = dict(encoder.state_dict())
    for name, module in theirs.named_modules():
        if isinstance(module, Conv1D):
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"].T
    return tensors


def _compare(trained: Trained, model: Any) -> None:
    """Refuse a model whose logits of some tokens are not the run's.

    Raises:
        CheckpointError: They are not.
    """
    adapted = trained.adapted
    stack, device = adapted.backbone.stack, torch.device("cpu")
    stack.precision = "float32"
    some = [number for number in range(len(adapted.backbone.tokenizer)) if number != stack.padding_id]
    states = pad_batch([[some[(17 * i + row) % len(some)] for i in range(9 + row)] for row in range(4)], stack, device)
    with torch.no_grad():
        _, ours = adapted.model(states, trained.language)
        given = model(input_ids=states.tokens, attention_mask=states.mask)
    theirs = torch.stack([given.start_logits, given.end_logits], -1) if "start_logits" in given else given.logits
    compared, head = states.mask.bool(), adapted.model.adaptation.head
    if isinstance(head, NoAnswerClassifier):
        compared &= ~head.place(states.mask)  # where lingraft alone takes the threshold off
    difference = (ours - theirs)[compared]
    if float(difference.abs().max()) > CLOSE:
        raise CheckpointError(_other_head(trained, CLASSES[adapted.identity.kind]))


def _other_head(trained: Trained, name: str) -> str:
    family = trained.adapted.backbone.stack.configuration["model_type"]
    return (
        f"the head of Hugging Face's {name} is more than one linear layer for {family} models, or there is none, so it "
        f"cannot answer as {trained.folder} does; use --to onnx for tags"
    )
