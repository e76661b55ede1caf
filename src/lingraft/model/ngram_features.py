"""Character n-grams of texts as tf-idf features: by scikit-learn when learning, by ourselves when predicting."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic_core import from_json
from torch import Tensor, nn

from ..data.text import normalise

SIZES = (3, 5)
"""Characters of the shortest and of the longest n-gram."""

Numbers = NDArray[Any]


class NgramFeatures(nn.Module):
    """Which ``V`` n-grams are looked for, and how rare each is, ``idf [V]``; it makes rows of length 1 of texts."""

    idf: Tensor

    def __init__(self, ngrams: Sequence[str], idf: Tensor) -> None:
        super().__init__()
        text = json.dumps(list(ngrams), ensure_ascii=False).encode()
        self.register_buffer("listed", torch.frombuffer(bytearray(text), dtype=torch.uint8))
        self.register_buffer("idf", idf)
        self.columns = {ngram: column for column, ngram in enumerate(ngrams)}

    def project(self, texts: Sequence[str], weight: Tensor) -> Tensor:
        """Return the features of ``N`` texts times ``weight [V, D]``, on its device: ``[N, D]``."""
        matrix, idf = weight.detach().cpu().numpy(), self.idf.cpu().numpy()
        rows = [self._values(text, idf) for text in texts]
        found = np.array([values @ matrix[columns] for columns, values in rows]).reshape(len(texts), matrix.shape[1])
        return torch.from_numpy(found).to(weight)

    def shares(self, text: str, weight: Tensor) -> dict[str, Tensor]:
        """Return what each n-gram of a text adds to its features times ``weight [V, D]``: ``[D]``; known ones alone."""
        columns, values = self._values(text, self.idf.cpu().numpy())
        listed = {column: ngram for ngram, column in self.columns.items()}
        added = weight.detach().cpu()[columns] * torch.from_numpy(values).to(weight.dtype)[:, None]
        return {listed[column]: row for column, row in zip(columns, added, strict=True)}

    def _values(self, text: str, idf: Numbers) -> tuple[list[int], Numbers]:
        """Return the columns of a text's n-grams, and their values: what scikit-learn's vectorizer makes of it."""
        counts = Counter(ngram for ngram in cut_ngrams(text) if ngram in self.columns)
        columns = [self.columns[ngram] for ngram in counts]
        values = (1.0 + np.log(np.array(list(counts.values()), dtype=np.float64))) * idf[columns]
        return columns, values / max(np.linalg.norm(values), np.finfo(float).tiny)

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the features whose ``state_dict`` this was.

        Raises:
            KeyError: One of the tensors is missing.
            ValueError: They do not fit together.
        """
        listed, idf = tensors["listed"], tensors["idf"]
        ngrams = from_json(bytes(listed.tolist()))
        if not isinstance(ngrams, list) or not all(isinstance(ngram, str) for ngram in ngrams):
            raise ValueError("its n-grams are no list of texts")
        if idf.shape != (len(set(ngrams)),) or len(ngrams) != len(idf):
            raise ValueError(f"{len(ngrams)} n-grams with weights of shape {tuple(idf.shape)}")
        return cls(ngrams, idf)


def fit_ngrams(texts: Sequence[str]) -> tuple[NgramFeatures, Any] | None:
    """Find the n-grams within words that two or more of ``N`` texts have.

    Returns:
        The features, and those of the texts, a sparse ``[N, V]``; None where no two texts have an n-gram in common.
    """
    if (found := _vectorise(tuple(map(normalise, texts)))) is None:
        return None
    listed, idf, rows = found
    return NgramFeatures(listed, torch.tensor(idf).float()), rows


@lru_cache(maxsize=1)  # a language's map and its classifier are fitted to the same texts, one after the other
def _vectorise(texts: tuple[str, ...]) -> tuple[list[str], Numbers, Any] | None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(lowercase=False, analyzer="char_wb", ngram_range=SIZES, sublinear_tf=True, min_df=2)
    try:
        found = vectorizer.fit_transform(texts)
    except ValueError:  # no n-gram is in two texts
        return None
    listed = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    return listed, vectorizer.idf_, found


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
