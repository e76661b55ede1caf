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
from ...core.errors import CheckpointError
from ...core.records import States
from ...core.registry import Registry
from ...tasks.kinds import Kind


class Head(nn.Module, ABC):
    """Final states to logits."""

    @abstractmethod
    def read(self, final: States) -> Tensor:
        """Return logits of each text, ``[B, C]``, or of each of its tokens, ``[B, T, C]``."""


class TextClassifier(nn.Module, ABC):
    """Logits of the texts of one language alone, ensembled with the logits of the network.

    Attributes:
        name: What it is registered as, and its saved tensors are found by.
        title: What reports call it.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    @abstractmethod
    def forward(self, texts: Sequence[str], network: Tensor) -> Tensor:
        """Return the logits of both, ``[N, C]``, of ``N`` texts and the network's logits of them, ``[N, C]``."""

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

SAVED = "text_classifiers"
"""What the names of text classifiers' tensors in an adaptation begin with: ``text_classifiers.NAME.LANGUAGE.…``."""


def build_head(kind: Kind, stack: LayerStack) -> Head:
    """Return a new head that gives the outputs of ``kind`` for the states of ``stack``."""
    build: BuildHead = heads.build(kind.head)
    return build(stack, kind.outputs, kind.per_token)


def restore_text_classifiers(tensors: Mapping[str, Tensor], where: str) -> list[tuple[str, TextClassifier]]:
    """Return the text classifiers among saved tensors, each with its language.

    Raises:
        CheckpointError: One is of an unknown kind, or not whole.
    """
    parts: dict[tuple[str, str], dict[str, Tensor]] = {}
    for key in sorted(tensors):
        if key.startswith(f"{SAVED}."):
            name, language, part = (*key.split(".", 3)[1:], "", "")[:3]
            parts.setdefault((name, language), {})[part] = tensors[key]
    found = []
    for (name, language), own in parts.items():
        if name not in text_classifiers:
            raise CheckpointError(
                f"{where} holds a text classifier {name!r}; known are {', '.join(text_classifiers)}; update lingraft, "
                "or install the package that brings it"
            )
        kind: type[TextClassifier] = text_classifiers.build(name)
        try:
            found.append((language, kind.restore(own)))
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{where}: the {kind.title} of {language} cannot be read ({error}); run the recipe again"
            ) from None
    return found
