"""The teacher of predictions: an exponential moving average of the network (Tarvainen & Valpola, 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..core.records import States
from ..model.network import GraftedModel


class Teacher:
    """The network with the mean of its last steps' parameters; with decay 0 it is the network as it is.

    Args:
        model: Whose predictions are averaged.
        decay: Share of the mean that a step leaves as it was.
        weights: Of an interrupted training; empty at the start of one.
    """

    def __init__(self, model: GraftedModel, decay: float, weights: Mapping[str, Tensor]) -> None:
        self.model = model
        averaging: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.average: Any = AveragedModel(model.adaptation, multi_avg_fn=averaging)
        self.average.update_parameters(model.adaptation)  # the first is a copy, the start of the mean
        with torch.no_grad():
            for name, tensor in weights.items():
                self.average.module.get_parameter(name).copy_(tensor)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The averaged parameters by name."""
        return {name: parameter.detach() for name, parameter in self.average.module.named_parameters()}

    def follow(self) -> None:
        """Take in the parameters after a step."""
        self.average.update_parameters(self.model.adaptation)

    def predict(self, states: States, language: str) -> Tensor:
        """Return logits ``[B, C]`` of states at the cut, without dropout and without gradient."""
        network = GraftedModel(self.model.stack, self.average.module).eval()
        with torch.no_grad():
            logits: Tensor = network(states, language)[1]
        return logits
