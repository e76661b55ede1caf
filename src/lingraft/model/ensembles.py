"""How the texts of one language are answered: by the head, from mapped states, and by the texts' own classifiers.

The logits are added up. How much each counts is learnt on pairs without labels (stacking: Wolpert, 1992), from logits
of fits that left the text out; so what says nothing counts nothing. The network has seen the pairs in training, its map
has not: where there is a map the head reads mapped states alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.errors import CheckpointError
from ..core.threads import one_thread
from .heads import TextClassifier, text_classifiers
from .maps import LanguageMap

SAVED = "ensembles"
"""What the names of an ensemble's tensors in an adaptation begin with: ``ensembles.LANGUAGE.…``."""

LARGEST_WEIGHT = 5.0

Numbers = NDArray[Any]


class LanguageEnsemble(nn.Module):
    """A language's map and text classifiers, and how much they count.

    ``weights`` is for the head, of mapped states where there is a map, and for each text classifier by its name.
    """

    def __init__(self, weights: Tensor, map: LanguageMap | None, classifiers: Mapping[str, TextClassifier]) -> None:
        super().__init__()
        self.map = map
        self.classifiers = nn.ModuleDict({name: classifiers[name] for name in sorted(classifiers)})
        self.weights = nn.Parameter(weights)
        expected = 1 + len(classifiers)
        if weights.shape != (expected,):
            raise ValueError(f"weights of shape {tuple(weights.shape)} for {expected} that are added up")

    def describe(self) -> str:
        """Say in a sentence what is added up, and how much of each."""
        of_head, *others = self.weights.tolist()
        head = "the head, of mapped states," if self.map is not None else "the network"
        named = zip(self.classifiers.values(), others, strict=True)
        return " and ".join([f"{head} counts {of_head:.2f}", *(f"the {one.title} {share:.2f}" for one, share in named)])

    def forward(
        self, texts: Sequence[str], network: Tensor, pooled: Tensor, read: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return the weighted sum of logits ``[N, C]``.

        Args:
            texts: ``N`` texts of the language.
            network: The network's logits of them, ``[N, C]``.
            pooled: Its pooled states, ``[N, H]``.
            read: The head: states ``[N, H]`` to logits ``[N, C]``.
        """
        of_head = network if self.map is None else read(self.map(texts, pooled.to(self.weights))).to(network)
        summed = [of_head, *(classifier(texts).to(network) for classifier in self.classifiers.values())]
        return torch.einsum("p,pnc->nc", self.weights.detach().to(network), torch.stack(summed))


def stack_logits(parts: Sequence[Numbers], targets: Numbers, *, independent: bool = False) -> Numbers:
    """Return the weights ``[P]``, at least 0, with which the sum of ``P`` logits ``[N, C]`` is closest to ``targets``.

    Args:
        parts: The logits, of models that did not see the text.
        targets: Probabilities ``[N, C]``.
        independent: Whether they are of labels, each by itself, rather than of classes; logits are then log-odds.
    """
    from scipy.optimize import minimize
    from scipy.special import log_expit, log_softmax

    # Differences between neighbouring weights are lost in single precision.
    logits, targets = np.asarray(parts, dtype=np.float64), np.asarray(targets, dtype=np.float64)

    def loss(weights: Numbers) -> float:
        summed = np.tensordot(weights, logits, 1)
        if independent:
            likelihood = targets * log_expit(summed) + (1 - targets) * log_expit(-summed)
        else:
            likelihood = targets * log_softmax(summed, axis=1)
        return float(-likelihood.sum(1).mean())

    start = np.full(len(logits), 1 / len(logits))
    with one_thread():
        return np.asarray(minimize(loss, start, bounds=[(0.0, LARGEST_WEIGHT)] * len(logits)).x)


def restore_ensembles(tensors: Mapping[str, Tensor], where: str) -> dict[str, LanguageEnsemble]:
    """Return the ensembles among saved tensors, by language.

    They have copies: nothing of a file stays mapped into memory, which would keep Windows from moving or removing it.

    Raises:
        CheckpointError: One has a part that is not known here, or is not whole.
    """
    found = {}
    for language, mapped_in in _group(tensors, SAVED).items():
        own = {name: tensor.clone() for name, tensor in mapped_in.items()}
        try:
            classifiers = {name: _restore(name, inner, where) for name, inner in _group(own, "classifiers").items()}
            mapped = {name.removeprefix("map."): tensor for name, tensor in own.items() if name.startswith("map.")}
            language_map = LanguageMap.restore(mapped) if mapped else None
            found[language] = LanguageEnsemble(own["weights"], language_map, classifiers)
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{where}: the map and text classifiers of {language} cannot be read ({error}); run the recipe again"
            ) from None
    return found


def _restore(name: str, tensors: Mapping[str, Tensor], where: str) -> TextClassifier:
    if name not in text_classifiers:
        raise CheckpointError(
            f"{where} holds a text classifier {name!r}; known are {', '.join(text_classifiers)}; update lingraft, "
            "or install the package that brings it"
        )
    kind: type[TextClassifier] = text_classifiers.build(name)
    return kind.restore(tensors)


def _group(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, dict[str, Tensor]]:
    """Return the tensors below ``prefix.NAME``, by name."""
    found: dict[str, dict[str, Tensor]] = {}
    for key in sorted(tensors):
        if key.startswith(f"{prefix}."):
            name, _, part = key[len(prefix) + 1 :].partition(".")
            found.setdefault(name, {})[part] = tensors[key]
    return found
