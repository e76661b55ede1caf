"""A character n-gram classifier for each target language, trained by label projection.

A tokenizer that hardly knows a language splits its words into many pieces, and frozen layers make little of
them. A few hundred translated sentences tell which of its n-grams go with which class all the same:
the model predicts the source side of each pair, and a ridge regression on the n-grams of the target side
learns its log-probabilities (label projection: Yarowsky et al., 2001). Where a text may have any of several labels,
it learns the log-odds of each, with a bias: most texts lack most labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..kernel_ridge import centre_kernel, fit_ridge
from ..ngram_features import NgramFeatures, fit_ngrams
from . import TextClassifier, text_classifiers

FEWEST_TEXTS = 20
"""With fewer there is nothing to learn n-grams from."""

MOST_TEXTS = 3_000
"""Of more, the first so many: time grows with their cube, and so many took half a minute."""

FLOOR = 1e-3
"""Added to probabilities before their logarithm, so that what the model excludes is not all that is learnt."""

Numbers = NDArray[Any]


class NgramClassifier(TextClassifier):
    """Weights ``[V, C]`` on the ``V`` character n-grams of one language, and of labels a bias ``[C]``."""

    name = "ngrams"
    title = "character n-gram classifier"

    def __init__(self, ngrams: NgramFeatures, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.ngrams = ngrams
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return logits ``[N, C]``; a text of unknown n-grams has the bias, and zeros where there is none."""
        return self.add_bias(self.ngrams.project(texts, self.weight))

    def add_bias(self, logits: Tensor) -> Tensor:
        """Return logits ``[N, C]``, which n-grams alone gave, with the bias."""
        return logits if self.bias is None else logits + self.bias

    def shares(self, text: str) -> dict[str, Tensor]:
        """Return what each known n-gram of a text adds to its logits: ``[C]``."""
        return self.ngrams.shares(text, self.weight)

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the classifier whose ``state_dict`` this was."""
        weight, bias = tensors["weight"], tensors.get("bias")
        inner = {name.removeprefix("ngrams."): tensor for name, tensor in tensors.items() if name[:7] == "ngrams."}
        ngrams = NgramFeatures.restore(inner)
        if weight.dim() != 2 or len(weight) != len(ngrams.columns):
            raise ValueError(f"{len(ngrams.columns)} n-grams for weights of shape {tuple(weight.shape)}")
        if bias is not None and bias.shape != weight.shape[1:]:
            raise ValueError(f"a bias of shape {tuple(bias.shape)} for weights of shape {tuple(weight.shape)}")
        return cls(ngrams, weight, bias)


@text_classifiers.register("ngrams")
def ngrams() -> type[TextClassifier]:
    """Ridge regression from character n-grams onto the log-probabilities, or log-odds, of translations."""
    return NgramClassifier


def fit_ngram_classifier(
    texts: Sequence[str], targets: Numbers, *, independent: bool = False
) -> tuple[NgramClassifier, Tensor] | None:
    """Fit a ridge regression on n-grams.

    Args:
        texts: ``N`` texts of the language, no two the same once normalised.
        targets: What the model predicts for their translations, or their labels: probabilities ``[N, C]``.
        independent: Whether each of the ``C`` is a label by itself, a yes or no, rather than one of some classes.

    Returns:
        The classifier, and the logits ``[N, C]`` of its texts by fits that left each of them out; None where the
        texts are too few to learn from, or have no two n-grams in common.
    """
    texts = texts[:MOST_TEXTS]
    found = fit_ngrams(texts) if len(texts) >= FEWEST_TEXTS else None
    if found is None:
        return None
    features, rows = found
    kernel = (rows @ rows.T).toarray()
    if not independent:
        ridge = fit_ridge(kernel, centred_logarithms(targets[: len(texts)]))
        weight = torch.tensor(rows.T @ ridge.dual).float()
        return NgramClassifier(features, weight), torch.tensor(ridge.left_out).float()
    wanted = log_odds(targets[: len(texts)])
    mean = wanted.mean(0)
    ridge = fit_ridge(centre_kernel(kernel), wanted - mean, centred=True)
    of_ngrams = rows.T @ ridge.dual
    bias = mean - np.asarray(rows.mean(0)).ravel() @ of_ngrams
    classifier = NgramClassifier(features, torch.tensor(of_ngrams).float(), torch.tensor(bias).float())
    return classifier, torch.tensor(mean + ridge.left_out).float()


def centred_logarithms(probabilities: Numbers) -> Numbers:
    """Return logarithms of probabilities ``[N, C]``, each row less its mean."""
    logarithms = np.log(np.asarray(probabilities, dtype=np.float64) + FLOOR)
    return np.asarray(logarithms - logarithms.mean(1, keepdims=True))


def log_odds(probabilities: Numbers) -> Numbers:
    """Return log-odds of probabilities ``[N, C]``, each a label's by itself."""
    shares = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(np.log(shares + FLOOR) - np.log(1 - shares + FLOOR))
