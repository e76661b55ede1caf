"""Where a training stands, saved with a checksum, so that a killed one continues bit for bit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, TypeAdapter
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..core.errors import RunError
from ..core.outside import open_regular
from ..model.tensor_files import write_tensors


@dataclass
class TrainingState:
    """Where training stands: all that a resumed run needs, tensors and plain data."""

    member: int = 0
    """Which of the members of the training, see :mod:`lingraft.training.members`."""
    leg: int = 0
    """Which of the legs of the training, see :mod:`lingraft.training.legs`."""
    steps_before: int = 0
    """Of the members and legs that are done."""
    step: int = 0
    """Of the leg."""
    parameters: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    averaged: dict[str, Tensor] = field(default_factory=dict)
    teacher: dict[str, Tensor] = field(default_factory=dict)
    members: dict[str, Tensor] = field(default_factory=dict)
    """The mean of the trained parts of the members that are done."""
    history: list[dict[str, Any]] = field(default_factory=list)
    meter: dict[str, Any] = field(default_factory=dict)
    """Of the epoch that was interrupted."""
    balance: dict[str, list[float]] = field(default_factory=dict)
    monitor: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


class PlainState(BaseModel):
    """What a saved state must say beside its tensors."""

    model_config = ConfigDict(strict=True, extra="forbid")

    member: NonNegativeInt = 0
    leg: NonNegativeInt = 0
    steps_before: NonNegativeInt = 0
    step: NonNegativeInt
    history: list[dict[str, Any]]
    meter: dict[str, Any]
    balance: dict[str, list[float]]
    monitor: dict[str, Any]
    seconds: NonNegativeFloat


_plain: TypeAdapter[PlainState] = TypeAdapter(PlainState)

PLAIN = ("member", "leg", "steps_before", "step", "history", "meter", "balance", "monitor", "seconds")
"""What of a state is no tensor."""


def next_leg(state: TrainingState) -> TrainingState:
    """Return where the leg after a finished one begins: with a new optimiser, and the record so far."""
    return TrainingState(
        member=state.member,
        leg=state.leg + 1,
        steps_before=state.steps_before + state.step,
        members=state.members,
        history=state.history,
        seconds=state.seconds,
    )


def take_snapshot(
    state: TrainingState,
    trained: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    teacher: dict[str, Tensor],
) -> None:
    """Put the parameters, the optimiser's moments and the teacher's weights into ``state``.

    Args:
        state: Written to.
        trained: Trained parameters by name.
        optimizer: Of these parameters.
        teacher: The averaged parameters by name; empty without a teacher.
    """
    state.parameters = {name: parameter.detach() for name, parameter in trained.items()}
    moments = optimizer.state
    state.optimizer = {name: dict(moments[parameter]) for name, parameter in trained.items() if parameter in moments}
    state.teacher = teacher


def restore(state: TrainingState, trained: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    """Give parameters and optimiser the values that ``state`` holds; a new state has none.

    Raises:
        RunError: It is of other parameters.
    """
    for name, tensor in state.parameters.items():
        if name not in trained or trained[name].shape != tensor.shape:
            raise RunError(
                f"the saved state of this training holds {name} of shape {tuple(tensor.shape)}, which is not trained "
                "here; delete training.safetensors of that trial, and it is trained anew"
            )
    with torch.no_grad():
        for name, tensor in state.parameters.items():
            trained[name].copy_(tensor)
    for name, moments in state.optimizer.items():
        parameter = trained[name]
        optimizer.state[parameter] = {
            key: value if key == "step" else value.to(parameter.device) for key, value in moments.items()
        }


def save_training_state(path: Path, state: TrainingState) -> None:
    """Write where training stands, atomically and with a checksum; a killed run continues from here."""
    tensors = {f"parameter/{name}": tensor for name, tensor in state.parameters.items()}
    tensors |= {f"averaged/{name}": tensor for name, tensor in state.averaged.items()}
    tensors |= {f"teacher/{name}": tensor for name, tensor in state.teacher.items()}
    tensors |= {f"members/{name}": tensor for name, tensor in state.members.items()}
    for name, moments in state.optimizer.items():
        tensors |= {f"optimizer/{key}/{name}": tensor for key, tensor in moments.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({name: getattr(state, name) for name in PLAIN})
    write_tensors(path, tensors, {"lingraft": json.dumps({"sha256": _digest(text, tensors), "state": text})})


def load_training_state(path: Path, say: Callable[[str], None] = lambda sentence: None) -> TrainingState | None:
    """Read a saved training state; None where there is none, or none that is whole, which ``say`` reports."""
    if not path.exists():
        return None
    try:
        open_regular(path).close()
        with safe_open(path, framework="pt") as file:
            saved = json.loads((file.metadata() or {})["lingraft"])
            # Copies: what is mapped into memory changes with the file, which Windows does not even let be replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if saved["sha256"] != _digest(saved["state"], tensors):
            raise ValueError("its checksum differs")
        about = _plain.validate_python(json.loads(saved["state"]))
        state = TrainingState(**{name: getattr(about, name) for name in PLAIN})
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError, RunError) as error:
        say(f"{path} is damaged ({error}); this training starts anew")
        return None
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "parameter":
            state.parameters[rest] = tensor
        elif kind == "averaged":
            state.averaged[rest] = tensor
        elif kind == "teacher":
            state.teacher[rest] = tensor
        elif kind == "members":
            state.members[rest] = tensor
        else:
            key, _, parameter = rest.partition("/")
            state.optimizer.setdefault(parameter, {})[key] = tensor
    return state


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a text and of the names, dtypes, shapes and bytes of tensors."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        content: Any = tensor.reshape(-1).view(torch.uint8).numpy()  # shares the tensor's memory
        digest.update(content)
    return digest.hexdigest()
