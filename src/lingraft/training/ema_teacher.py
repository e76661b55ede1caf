"""The teacher of predictions: an exponential moving average of the network (Tarvainen & Valpola, 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..model.network import Network


class Teacher:
    """The mean of the network's last steps, which teaches predictions (Tarvainen & Valpola, 2017).

    Its weights are those of the adaptation, averaged exponentially; with decay 0 it is the network itself.
    """

    def __init__(self, model: Network, decay: float, weights: dict[str, Tensor]) -> None:
        self.model, self.decay = model, decay
        own = {name: parameter.detach() for name, parameter in model.adaptation.named_parameters()}
        self.weights = {name: weights.get(name, tensor).to(tensor.device).clone() for name, tensor in own.items()}

    def follow(self, trained: Mapping[str, Tensor]) -> None:
        """Take in the parameters after a step."""
        for name, parameter in trained.items():
            self.weights[name].lerp_(parameter.detach(), 1.0 - self.decay)

    def predict(self, states: Any, language: str) -> Tensor:
        """Logits ``[B, C]`` of states at the cut, without dropout and without gradient."""
        network: Any = self.model
        weights = {f"adaptation.{name}": tensor for name, tensor in self.weights.items()}
        network.eval()
        with torch.no_grad():
            logits: Tensor = torch.func.functional_call(network, weights, (states, language))[1]
        network.train()
        return logits
