"""A classifier of compared pairs: gradient-boosted trees on their features, ensembled with the network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...core.errors import CheckpointError
from .features import NAMES
from .reader import Pairs, ReadPairs
from .trees import BoostedTrees

SAVED = "comparison"
"""What the names of its tensors in an adaptation begin with."""


class ComparisonClassifier(nn.Module):
    """Trees on the features of a pair, ensembled with the network; the same for all languages.

    ``weights [2]`` are the network's and the trees'. What reads the pairs is of the backbone and is not saved.
    """

    def __init__(self, weights: Tensor, trees: BoostedTrees, read: ReadPairs) -> None:
        super().__init__()
        if weights.shape != (2,):
            raise ValueError(f"weights of shape {tuple(weights.shape)} for two that are added up")
        self.weights, self.trees = nn.Parameter(weights), trees
        self.read = read

    def describe(self) -> str:
        """Say in a sentence how much either counts."""
        network, trees = self.weights.tolist()
        return f"the network counts {network:.2f} and the comparison classifier {trees:.2f}"

    def forward(self, pairs: Pairs, network: Tensor) -> Tensor:
        """Return the weighted sum of logits ``[N, C]``.

        Args:
            pairs: ``N`` pairs of texts.
            network: The network's logits of them, ``[N, C]``.
        """
        own = self.trees(self.read(pairs)).to(network)
        return torch.einsum("p,pnc->nc", self.weights.detach().to(network), torch.stack([network, own]))


def restore_comparison(
    tensors: Mapping[str, Tensor], read: ReadPairs, outputs: int, where: str
) -> ComparisonClassifier | None:
    """Return the classifier among saved tensors; None where there is none.

    Args:
        tensors: Of an adaptation.
        read: What reads pairs for its backbone.
        outputs: Classes of the task.
        where: Named in errors.

    Raises:
        CheckpointError: It is not whole, or fits no such task.
    """
    # Copies, for the reason that :func:`~lingraft.model.ensembles.restore_ensembles` has.
    own = {name[len(SAVED) + 1 :]: tensor.clone() for name, tensor in tensors.items() if name.startswith(f"{SAVED}.")}
    if not own:
        return None
    try:
        inner = {name.removeprefix("trees."): tensor for name, tensor in own.items() if name.startswith("trees.")}
        found = ComparisonClassifier(own["weights"], BoostedTrees(inner), read)
        logits = found.trees(torch.zeros(1, len(NAMES)))
        if logits.shape != (1, outputs):
            raise ValueError(f"logits of {logits.shape[1]} classes, not {outputs}")
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"{where}: the comparison classifier cannot be read ({error}); run the recipe again"
        ) from None
    return found
