"""The proof that a checkpoint with another vocabulary reads texts as the one does that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...backbones.loading import Backbone, describe_checkpoint
from ...backbones.vocabulary import BATCH, Vocabulary
from ...backbones.walk import at_layer, pad_batch
from ...core.errors import CheckpointError
from ..predictor import Adapted

TRIED = 64
"""Texts whose states and answers are compared; of all the others, pieces and embeddings."""

Ids = list[list[int]]


def prove_backbone(whole: Backbone, made: Backbone, vocabulary: Vocabulary, texts: Sequence[str]) -> list[str]:
    """Compare pieces of all texts, all weights, and the states of some texts.

    Args:
        whole: The checkpoint as it was.
        made: What was written, loaded again.
        vocabulary: What stayed of the whole one.
        texts: As they are read.

    Returns:
        Lines that say what is equal.

    Raises:
        CheckpointError: Something is not.
    """
    pieces = 0
    for start in range(0, len(texts), BATCH):
        some = list(texts[start : start + BATCH])
        for text, before, after in zip(some, _ids(whole, some), _ids(made, some), strict=True):
            pieces += len(before)
            if _renumbered(before, vocabulary) != after:
                raise _differs(f"the text {text[:80]!r} is cut into other pieces")
    _compare_weights(whole, made, vocabulary)
    for ids in _tried(whole, texts):
        states = [_states(backbone, part) for backbone, part in ((whole, ids), (made, _renumbered(ids, vocabulary)))]
        if not torch.equal(*states):
            raise _differs("the states of a text are others")
    return [
        f"proven: {len(texts):,} texts are cut into the same {pieces:,} pieces, all weights are the same, and the "
        f"states of {len(_tried(whole, texts)):,} texts are equal to the bit"
    ]


def prove_answers(run: Adapted, again: Adapted, vocabulary: Vocabulary, texts: Sequence[str]) -> str:
    """Compare the logits of some texts in all languages of a run, and say so.

    Raises:
        CheckpointError: They differ.
    """
    device = torch.device("cpu")
    languages = (run.identity.source_language, *run.identity.languages)
    for ids in _tried(run.backbone, texts):
        for language in languages:
            with torch.no_grad():
                _, before = run.model(pad_batch([ids], run.backbone.stack, device), language)
                new = pad_batch([_renumbered(ids, vocabulary)], again.backbone.stack, device)
                _, after = again.model(new, language)
            if not torch.equal(before, after):
                raise _differs("the answers to a text are others")
    return f"proven: the run's logits of {len(_tried(run.backbone, texts)):,} texts are equal to the bit in " + (
        f"{len(languages):,} languages"
    )


def _ids(backbone: Backbone, texts: list[str]) -> Ids:
    tokenizer: Any = backbone.tokenizer
    found: Ids = tokenizer(texts, verbose=False)["input_ids"]
    return found


def _renumbered(ids: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    new_id = vocabulary.new_id
    return [new_id[number] for number in ids]


def _tried(backbone: Backbone, texts: Sequence[str]) -> Ids:
    """Return the ids of some texts from all over the corpus, as long as the model reads them."""
    step = max(1, len(texts) // TRIED)
    return [ids[: backbone.max_length] for ids in _ids(backbone, list(texts[::step][:TRIED])) if ids]


def _states(backbone: Backbone, ids: Sequence[int]) -> torch.Tensor:
    stack = backbone.stack
    with torch.no_grad():
        return at_layer(stack, pad_batch([ids], stack, torch.device("cpu")), stack.num_layers).tokens[:, : len(ids)]


def _compare_weights(whole: Backbone, made: Backbone, vocabulary: Vocabulary) -> None:
    kept = torch.tensor(vocabulary.kept)
    sizes = tuple(describe_checkpoint(one.name).vocabulary for one in (whole, made))
    for name, parameter in whole.stack.named_parameters():
        found: Tensor = made.stack.get_parameter(name)
        a_row_for_each_piece = parameter.shape[:1] + found.shape[:1] == sizes
        expected = parameter[kept] if a_row_for_each_piece else parameter
        if not torch.equal(expected.float(), (found[: len(kept)] if a_row_for_each_piece else found).float()):
            raise _differs(f"the weights {name} are others")


def _differs(what: str) -> CheckpointError:
    return CheckpointError(
        f"the new checkpoint would not be the same: {what}, so nothing was written; its tokenizer does more than "
        "is known of its kind, use the checkpoint as it is"
    )
