"""What is to be learned: examples, how the backbone reads them, a head, a loss and metrics.

A task factory takes a recipe's ``task`` block, languages included, and returns a :class:`Task`.
The kinds (classification, …) are ordinary functions that build one; the named benchmarks of
``catalogue.py`` call them with their files and licence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from ..metrics import Metric
from ..records import Features, PairExample, Prediction
from ..registry import Registry

tasks = Registry("lingraft.tasks")


@dataclass(frozen=True)
class Task:
    """One task in several languages; see docs/architecture.md.

    ``examples(language, split)`` yields the examples of ``train``, ``dev`` or ``test``;
    ``encode(examples, tokenizer, max_length, prefix)`` gives one :class:`Features` each.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    source_language: str
    target_languages: tuple[str, ...]
    examples: Callable[[str, str], list[PairExample]]
    encode: Callable[[Sequence[PairExample], PreTrainedTokenizerBase, int, str], list[Features]]
    head: Callable[[int], nn.Linear]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    decode: Callable[[Sequence[Features], str, Tensor], Iterator[Prediction]]
    metrics: Mapping[str, Metric]
    licence: str
    citation: str
    parallel: bool = False
    """Whether the same group is the same sentence in every language."""
    global_groups: bool = False
    """Whether the same group is the same sentence in every split, too; line numbers of several files are not."""
    notes: tuple[str, ...] = field(default=())

    @property
    def languages(self) -> tuple[str, ...]:
        """Source language first."""
        return (self.source_language, *self.target_languages)
