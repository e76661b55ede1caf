"""Members of a training: they share the start and differ in order and dropout, and what is kept is their mean.

Trainings from one start end in one valley, where the mean of their parameters is at least as good as each (model soups:
Wortsman et al., 2022); so there is one network to save and to ask, whatever the number of members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..model.adaptation import Adaptation
from .state import TrainingState


def start_of(model: Any) -> dict[str, Tensor]:
    """Return a copy of the trained parts of ``model``, by their names: where its members begin."""
    return {name: parameter.detach().clone() for name, parameter in _trained(model).items()}


def begin_again(model: Any, start: Mapping[str, Tensor]) -> None:
    """Put the trained parts of ``model`` back to where they began; LoRA that the last epochs added is taken out."""
    if isinstance(model.adaptation, Adaptation):
        model.adaptation.lora = None
    _write(model, start)


def next_member(state: TrainingState) -> TrainingState:
    """Return where the member after a finished one begins: with nothing of that but its part in the mean."""
    return TrainingState(
        member=state.member + 1,
        steps_before=state.steps_before + state.step,
        members=state.members,
        history=state.history,
        seconds=state.seconds,
    )


def add_member(state: TrainingState, model: Any) -> None:
    """Take the trained parts of ``model``, a member that is done, into the mean of the members."""
    for name, own in start_of(model).items():
        mean = state.members.get(name, own).to(own.device)
        state.members[name] = mean.lerp(own, 1 / (state.member + 1))


def put_mean(state: TrainingState, model: Any) -> None:
    """Make the trained parts of ``model`` the mean of the members'."""
    _write(model, state.members)


def _trained(model: Any) -> dict[str, nn.Parameter]:
    return {name: p for name, p in model.adaptation.named_parameters() if p.requires_grad}


def _write(model: Any, values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in _trained(model).items():
            parameter.copy_(values[name])
