"""Kernel ridge regression from states and character n-grams to the states of translations.

States and n-grams say different things of a text in a language that the backbone hardly knows: the first are vague
and the second exact. The kernel is the sum of both, the n-grams' scaled to have a multiple of the states' trace.
"""

from __future__ import annotations

import numpy as np
import torch

from ...core.amounts import Factor
from ..kernel_ridge import centre_kernel, fit_ridge
from ..ngram_features import fit_ngrams
from . import Evidence, FitMap, FittedMap, LanguageMap, head_space, maps, shift_of

MOST_PAIRS = 3_000
"""Of more, the first so many: time grows with their cube, and so many took half a minute."""


@maps.register("kernel")
def kernel(*, ngram_share: Factor = 2.0) -> FitMap:
    """Kernel ridge regression on pooled states and character n-grams, onto the states of translations.

    Args:
        ngram_share: How much the n-grams weigh where the states weigh 1.
    """
    return lambda evidence: fit_regression(evidence, ngram_share)


def fit_regression(evidence: Evidence, share: float) -> FittedMap:
    """Fit a shift of the mean and a regression onto what the translations differ by besides.

    Args:
        evidence: Texts and states; without translations the shift is all.
        share: How much n-grams weigh where states weigh 1; 0 for states alone.
    """
    shift = shift_of(evidence)
    if not evidence.paired:
        return FittedMap(shift, None)
    texts = evidence.texts[:MOST_PAIRS]
    states, source = (side[:MOST_PAIRS].cpu().double().numpy() for side in (evidence.states, evidence.source))
    basis = head_space(evidence.read)
    moved = states - states.mean(0)
    wanted = source - source.mean(0) - moved
    product, found = moved @ moved.T, fit_ngrams(texts) if share else None
    if found:
        rows = found[1]
        of_ngrams = centre_kernel((rows @ rows.T).toarray())
        share *= np.trace(product) / max(np.trace(of_ngrams), np.finfo(float).tiny)
        product = product + share * of_ngrams
    ridge = fit_ridge(product, wanted, centred=True)
    dual = ridge.dual @ basis
    outputs, offset = torch.tensor(basis.T).float(), torch.zeros(basis.shape[1])
    parts = (torch.tensor(moved.T @ dual).float(), outputs)
    left_out = torch.tensor(moved + ridge.left_out + source.mean(0)).float()
    means = (torch.tensor(states.mean(0)).float(), torch.tensor(source.mean(0)).float())
    if not found:
        return FittedMap(LanguageMap(*means, *parts, offset), left_out)
    # Centred n-grams are those of the text less their mean over the pairs.
    weight = share * (rows.T @ dual)
    offset = torch.tensor(np.asarray(rows.mean(0)).ravel() @ weight).float()
    # Rows of centred duals add up to 0, so centring the pairs' side changes nothing.
    return FittedMap(LanguageMap(*means, *parts, offset, found[0], torch.tensor(weight).float()), left_out)
