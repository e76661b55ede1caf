"""A character n-gram classifier for each target language, trained by label projection and ensembled with the network.

A tokenizer that hardly knows a language splits its words into many pieces, and frozen layers make little of
them. A few hundred translated sentences tell which of its n-grams go with which class all the same:
the adapted model predicts the source side of each pair, and a logistic regression on the n-grams of
the target side learns the prediction (label projection: Yarowsky et al., 2001). Its logits are added
to those of the network. How much either counts is learned as well, from n-gram logits of models that
did not see the sentence (stacking: Wolpert, 1992), so n-grams that say nothing count nothing. The
network did see it, and was aligned with its translation; so n-grams rather count too little.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic_core import from_json
from torch import Tensor, nn

from ...data.text import normalise
from . import TextClassifier, text_classifiers

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import TfidfVectorizer

FEWEST_TEXTS = 20
"""With fewer there is nothing to learn n-grams from."""
SIZES = (2, 5)
"""Characters of the shortest and of the longest n-gram."""
FOLDS = 5
SMALLEST_SHARE = 0.01
"""Classes that a text belongs to with a smaller probability are left out when n-grams are weighed."""

Numbers = NDArray[Any]


class NgramClassifier(TextClassifier):
    """Weights on the character n-grams of one language, and how much they and the network count.

    ``weight [C, V]`` is for the ``V`` n-grams, ``idf [V]`` says how rare they are, ``scales [2]`` multiply the logits
    of the network and those of the n-grams.
    """

    name = "ngrams"
    title = "character n-gram classifier"
    idf: Tensor

    def __init__(self, ngrams: Sequence[str], idf: Tensor, weight: Tensor, scales: Tensor) -> None:
        super().__init__()
        text = json.dumps(list(ngrams), ensure_ascii=False).encode()
        self.register_buffer("ngrams", torch.frombuffer(bytearray(text), dtype=torch.uint8))
        self.register_buffer("idf", idf)
        self.weight = nn.Parameter(weight)
        self.scales = nn.Parameter(scales)
        self.columns = {ngram: column for column, ngram in enumerate(ngrams)}

    def forward(self, texts: Sequence[str], network: Tensor) -> Tensor:
        """Return the scaled sum of the network's logits and those of the n-grams."""
        weight, idf = self.weight.detach().cpu().numpy(), self.idf.cpu().numpy()
        own = np.array([self._logits(text, weight, idf) for text in texts]).reshape(len(texts), len(weight))
        scales = self.scales.detach().cpu()
        return scales[0] * network + scales[1] * torch.from_numpy(own).to(network)

    def _logits(self, text: str, weight: Numbers, idf: Numbers) -> Numbers:
        """Return what the n-grams of a text say, ``[C]``: the weights times what :func:`_vectorizer` makes of it."""
        counts = Counter(ngram for ngram in cut_ngrams(text) if ngram in self.columns)
        columns = [self.columns[ngram] for ngram in counts]
        values = (1.0 + np.log(np.array(list(counts.values()), dtype=np.float64))) * idf[columns]
        return np.asarray(weight[:, columns] @ (values / max(np.linalg.norm(values), np.finfo(float).tiny)))

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the classifier whose ``state_dict`` this was."""
        listed, idf, weight, scales = (tensors[part] for part in ("ngrams", "idf", "weight", "scales"))
        ngrams = from_json(bytes(listed.tolist()))
        if not isinstance(ngrams, list) or not all(isinstance(ngram, str) for ngram in ngrams):
            raise ValueError("its n-grams are no list of texts")
        sizes = (len(ngrams), *weight.shape[1:], *idf.shape)
        if weight.dim() != 2 or set(sizes) != {len(set(ngrams))} or len(sizes) != 3 or scales.shape != (2,):
            raise ValueError(
                f"{len(ngrams)} n-grams for weights of shape {tuple(weight.shape)} and {tuple(idf.shape)}, and scales "
                f"of shape {tuple(scales.shape)}"
            )
        return cls(ngrams, idf, weight, scales)


@text_classifiers.register("ngrams")
def ngrams() -> type[TextClassifier]:
    """Logistic regression on character n-grams, in a weighted sum with the network's logits."""
    return NgramClassifier


def cut_ngrams(text: str) -> list[str]:
    """Return the n-grams of a text's words, a blank at either end, as scikit-learn's ``char_wb`` cuts them.

    Of scikit-learn's making they would be the same, but importing it takes as long as a prediction.
    """
    found = []
    for word in normalise(text).split():
        padded = f" {word} "
        for size in range(SIZES[0], SIZES[1] + 1):
            if size >= len(padded):  # a short word counts once, whole
                found.append(padded)
                break
            found += [padded[start : start + size] for start in range(len(padded) - size + 1)]
    return found


def fit_ngram_classifier(
    texts: Sequence[str], targets: Numbers, network: Numbers, strength: float
) -> NgramClassifier | None:
    """Fit a logistic regression on n-grams, and the weights of its sum with the network.

    Args:
        texts: ``N`` texts of the language, no two the same once normalised.
        targets: What the model predicts for their translations, or their labels: probabilities ``[N, C]``.
        network: Its logits of the texts themselves, ``[N, C]``.
        strength: scikit-learn's ``C`` of the logistic regression.

    Returns:
        None where the texts are too few to learn from, or have no two n-grams in common.
    """
    if len(texts) < FEWEST_TEXTS:
        return None
    from sklearn.model_selection import KFold

    everything = np.asarray(texts, dtype=object)
    unseen = np.zeros_like(targets)
    for known, held_out in KFold(FOLDS, shuffle=True, random_state=0).split(everything):
        found = _weights(everything[known], targets[known], strength)
        if found is None:
            return None
        vectorizer, weight = found
        unseen[held_out] = vectorizer.transform(everything[held_out]) @ weight.T
    found = _weights(everything, targets, strength)
    if found is None:
        return None
    vectorizer, weight = found
    scales = stack_logits(network, unseen, targets)
    listed = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    return NgramClassifier(listed, *(torch.tensor(values).float() for values in (vectorizer.idf_, weight, scales)))


def stack_logits(network: Numbers, ngrams: Numbers, targets: Numbers) -> Numbers:
    """Return the factors ``[2]``, at least 0, that bring the sum of two logits ``[N, C]`` closest to ``targets``."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    # Differences between neighbouring factors are lost in single precision.
    network, ngrams, targets = (np.asarray(values, dtype=np.float64) for values in (network, ngrams, targets))

    def loss(scales: Numbers) -> float:
        return float(-(targets * log_softmax(scales[0] * network + scales[1] * ngrams, axis=1)).sum(1).mean())

    return np.asarray(minimize(loss, [1.0, 0.1], bounds=[(0.0, 5.0)] * 2).x)


def _vectorizer() -> TfidfVectorizer:
    """Weigh n-grams of two to five characters within words, of those that occur in two texts or more."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        preprocessor=normalise,
        analyzer="char_wb",
        ngram_range=SIZES,
        sublinear_tf=True,
        min_df=2,
    )


def _weights(texts: Numbers, targets: Numbers, strength: float) -> tuple[TfidfVectorizer, Numbers] | None:
    """Return what turns texts into n-grams, and weights ``[C, V]``; each text counts for its classes by their share.

    The bias is fitted and left out: it says which classes the pairs are about, and what is to be read may be about
    others.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    vectorizer = _vectorizer()
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # no n-gram is in two texts
        return None
    rows, classes = np.nonzero(targets >= SMALLEST_SHARE)
    weight = np.zeros((targets.shape[1], features.shape[1]), dtype=np.float32)
    if len(known := np.unique(classes)) < 2:
        return vectorizer, weight
    model = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[rows], classes, sample_weight=targets[rows, classes])
    # scikit-learn keeps a single row for two classes.
    weight[known] = np.vstack([-model.coef_, model.coef_]) / 2 if len(known) == 2 else model.coef_
    return vectorizer, weight
