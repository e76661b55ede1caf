"""All that a run computes of a batch of texts in one language, as one graph: from token ids to logits.

Character n-grams are cut from the text outside of it, and come in as features ``[B, V]``: those of each vocabulary in
use, one beside the other. With them the language's map and n-gram classifier are matrix products like all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from ...core.errors import CheckpointError
from ...core.records import IDS, States
from ...model.ensembles import LanguageEnsemble
from ...model.heads.ngrams import NgramClassifier
from ...model.network import GraftedModel
from ...model.ngram_features import NgramFeatures


class AnswerGraph(nn.Module):
    """Token ids to logits, with the parts of one language merged in.

    Args:
        model: The network, in eval mode.
        language: Whose parts are used.
        ensemble: What the language's answers are ensembled of, where they are.
    """

    def __init__(self, model: GraftedModel, language: str, ensemble: LanguageEnsemble | None) -> None:
        super().__init__()
        self.model = model
        self.language = language
        self.stack = model.merged(language)
        self.ensemble = ensemble

    def forward(self, input_ids: Tensor, attention_mask: Tensor, ngrams: Tensor | None = None) -> Tensor:
        """Return logits ``[B, C]``, or ``[B, T, C]`` where each token has its own.

        Args:
            input_ids: ``[B, T]``.
            attention_mask: ``[B, T]``, 1 for a token and 0 for padding.
            ngrams: ``[B, V]``, where an ensemble looks at n-grams.
        """
        states = States(input_ids, attention_mask, IDS, pooling=self.stack.pooling)
        final = self.model.through(self.stack, states, self.language)
        head = self.model.adaptation.head
        if self.ensemble is None:
            return head.read(final)
        logits = add_up(self.ensemble, head, final.pooled(), ngrams)
        return torch.cat([logits, head.read(final)[:, logits.shape[1] :]], dim=1) if head.thresholds else logits


def vocabularies(ensemble: LanguageEnsemble | None) -> list[NgramFeatures]:
    """Return the n-grams that an ensemble looks for: its map's, then each classifier's.

    Raises:
        CheckpointError: A classifier is not known here.
    """
    if ensemble is None:
        return []
    found = [ensemble.map.ngrams] if ensemble.map is not None and ensemble.map.ngrams is not None else []
    for name, classifier in ensemble.classifiers.items():
        if not isinstance(classifier, NgramClassifier):
            raise CheckpointError(
                f"the text classifier {name!r} is not one that can be exported; --network-alone leaves it out"
            )
        found.append(classifier.ngrams)
    return found


def add_up(
    ensemble: LanguageEnsemble, read: Callable[[Tensor], Tensor], pooled: Tensor, ngrams: Tensor | None
) -> Tensor:
    """Return an ensemble's logits ``[B, C]``, as :class:`LanguageEnsemble` computes them of texts.

    Args:
        ensemble: The map and text classifiers of a language.
        read: The head: pooled states to logits.
        pooled: ``[B, H]``.
        ngrams: ``[B, V]``, of all of :func:`vocabularies`.
    """
    sizes = [len(one.columns) for one in vocabularies(ensemble)]
    blocks = iter(() if ngrams is None else torch.split(ngrams, sizes, dim=1))
    of_map, classifiers = ensemble.map, cast(Iterable[NgramClassifier], ensemble.classifiers.values())
    if of_map is not None:
        pooled = of_map.move(pooled, None if of_map.ngram_weight is None else next(blocks) @ of_map.ngram_weight)
    parts = torch.stack([read(pooled), *(one.add_bias(next(blocks) @ one.weight) for one in classifiers)])
    return torch.einsum("p,pnc->nc", ensemble.weights, parts)
