"""What makes logits: a head, of final states; and text classifiers, of the texts themselves, ensembled with it.

A head is trained with the other parts. A factory of ``heads`` returns ``build(stack, outputs, per_token)``, and a kind
of task names the one it needs. A text classifier knows one language and is fitted when all else is trained; a factory
of ``text_classifiers`` returns its class, by which what was saved is restored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Self

from torch import Tensor, nn

from ...backbones import LayerStack
from ...core.records import States
from ...core.registry import Registry
from ...tasks.kinds import Kind


class Head(nn.Module, ABC):
    """Final states to logits."""

    thresholds: ClassVar[int] = 0
    """How many outputs, behind the logits of a text, say from where on these are a yes: the same for all texts."""

    @abstractmethod
    def read(self, final: States) -> Tensor:
        """Return logits of each text, ``[B, C]``, or of each of its tokens, ``[B, T, C]``."""

    def logits(self, final: States, stack: LayerStack) -> Tensor:
        """Return logits as :meth:`read` does; a head may look things up in the frozen stack besides."""
        return self.read(final)

    def read_pooled(self, pooled: Tensor) -> Tensor | None:
        """Return logits ``[B, C]`` of pooled states ``[B, H]``; None where these are not all that the head reads."""
        return None


class TextClassifier(nn.Module, ABC):
    """Logits of the texts of one language alone, ensembled with the logits of the network.

    Attributes:
        name: What it is registered as, and its saved tensors are found by.
        title: What reports call it.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return logits ``[N, C]`` of ``N`` texts."""

    @classmethod
    @abstractmethod
    def restore(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the classifier whose ``state_dict`` this was.

        Raises:
            KeyError: One of the tensors is missing.
            ValueError: They do not fit together.
        """


BuildHead = Callable[[LayerStack, int, bool], Head]

heads = Registry("lingraft.heads", "lingraft.model.heads")
text_classifiers = Registry("lingraft.text_classifiers", "lingraft.model.heads")


def build_head(kind: Kind, stack: LayerStack) -> Head:
    """Return a new head that gives the outputs of ``kind`` for the states of ``stack``."""
    build: BuildHead = heads.build(kind.head)
    return build(stack, kind.outputs, kind.per_token)
