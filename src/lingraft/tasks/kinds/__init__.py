"""What a kind of task is: how examples become rows of tokens, rows become logits, logits become answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ...core.errors import CheckpointError
from ...core.records import (
    ChoiceExample,
    Example,
    Features,
    PairExample,
    Prediction,
    SpanExample,
    TaggedExample,
    Target,
)
from ...core.registry import Registry
from ...results.metrics import Metric

NO_LABEL = -100
"""Target of what has no label; it takes no part in the loss."""


@dataclass(frozen=True)
class Kind:
    """A shape of task, whatever its data: classification, extractive question answering, tagging, choice.

    Notation: ``R`` rows of a batch (one or several for each example), ``T`` their padded length, ``C`` outputs
    of the head, for each row or, ``per_token``, for each of its tokens.
    """

    name: str
    labels: tuple[str, ...]
    outputs: int
    """``C``."""
    per_token: bool
    encode: Callable[[Sequence[Example], PreTrainedTokenizerBase, int, str], list[Features]]
    """Examples, tokenizer, maximum length and text prefix to rows: examples in order, the parts of each in order.
    Any kind reads a :class:`PairExample` without a label as plain text, as parallel sentences come."""
    collate: Callable[[Sequence[Target | None], int], Tensor]
    """Targets of ``R`` rows, and ``T``, to a tensor ``[R, ...]``; ``NO_LABEL`` where none is known."""
    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    """Logits ``[R, C]`` or ``[R, T, C]``, targets, mask ``[R, T]`` and class weights ``[len(labels)]`` to a scalar: a
    mean over what has a target."""
    decode: Callable[[Sequence[Example], Sequence[Features], Sequence[Tensor]], list[Prediction]]
    """Examples, all their rows in order, and the logits of each row (``[C]``, or ``[T_row, C]`` of its real tokens) to
    one prediction for each example, in order, under the example's language."""
    metrics: Mapping[str, Metric]
    """The first is the one that counts."""
    metrics_in: Callable[[str], Mapping[str, Metric]] | None = None
    """The same metrics for answers in a language, where its rules differ from those of ``metrics``."""
    head: str = "linear"
    """Name of the head that gives the outputs, see :mod:`lingraft.model.heads`."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What builds the same kind again, as plain data, beside its name and labels."""

    def metrics_of(self, example: Example) -> Mapping[str, Metric]:
        """The metrics that score an example."""
        if self.metrics_in is None or not isinstance(example, SpanExample):
            return self.metrics
        return self.metrics_in(example.context_language)


EXAMPLES: Mapping[str, type[Example]] = {
    "classification": PairExample,
    "span_qa": SpanExample,
    "tagging": TaggedExample,
    "choice": ChoiceExample,
}
"""What each kind reads."""

kinds = Registry("lingraft.kinds", "lingraft.tasks.kinds")


def kind_of(name: str, labels: Sequence[str], options: Mapping[str, Any]) -> Kind:
    """Build a kind again from what was saved.

    Raises:
        CheckpointError: Nobody knows it.
    """
    if name not in kinds:
        raise CheckpointError(f"unknown kind of task {name!r}; known are {', '.join(kinds)}; update lingraft")
    kind: Kind = kinds.build(name, {"labels": tuple(labels), **options})
    return kind
