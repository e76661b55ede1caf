"""One loop: task loss plus alignment loss over the steps of each epoch.

Randomness is a function of seed and step, the data order of seed and epoch, and the learning rate
of the step alone, so a run that was killed continues bit for bit from its last saved state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ..core.errors import RunError
from ..core.records import Batch
from ..model.freezing import Phase, described, phase_at
from ..model.network import Network
from ..recipe.settings import TrainSettings
from .alignment_terms import Transfer
from .batches import Step
from .ema_teacher import Teacher
from .gradient_balance import Balance
from .losses import Losses, TaskLoss, losses_of
from .monitor import Watch
from .state import TrainingState

SAVE_EVERY = 20.0  # seconds between two saved training states
GATE_FACTOR = 10.0  # gates learn so much faster than prompts, which have no gradient until the gate moves


@dataclass(frozen=True)
class Progress:
    """What the progress bar shows after a step."""

    step: int
    steps: int
    loss: float
    tokens: int
    tokens_per_second: float


@dataclass(frozen=True)
class Validation:
    """Score on the development set, how often each answer is given there, and how many are right somewhere."""

    score: float
    predicted: Mapping[str, int]
    classes: int


def train(
    model: Network,
    epochs: Callable[[int], Sequence[Step]],
    *,
    task_loss: TaskLoss,
    transfer: Transfer | None,
    settings: TrainSettings,
    seed: int,
    num_epochs: int | None = None,
    phases: Sequence[Phase] = (Phase(),),
    state: TrainingState | None = None,
    save: Callable[[TrainingState], None] = lambda state: None,
    validate: Callable[[Network], Validation | None] = lambda model: None,
    advance: Callable[[Progress], None] = lambda progress: None,
    say: Callable[[str], None] = lambda sentence: None,
    accelerator: Accelerator | None = None,
) -> list[dict[str, Any]]:
    """Train the adaptation of ``model`` in place, to the mean of its last epochs' parameters.

    Args:
        model: Frozen stack and adaptation.
        epochs: The steps of an epoch, by its number.
        task_loss: Loss of logits against targets.
        transfer: Alignment losses; None without parallel text.
        settings: Learning rates, weights, and the number of epochs.
        seed: Of dropout; the data order has its own in ``epochs``.
        num_epochs: How many epochs there are, where not as in ``settings``.
        phases: What learns when; see :mod:`lingraft.freezing`.
        state: Continue from here.
        save: Called every so often with the state to continue from.
        validate: Development score of the model, for the learning curve.
        advance: Called after each step.
        say: Called with what goes wrong; see :mod:`lingraft.watch`.
        accelerator: Device and precision; the CPU or GPU that ``accelerate`` finds by default.

    Returns:
        One row per epoch: losses, development score, learning rate, tokens per second, what trained,
        how task and alignment gradients relate, and what went wrong.

    Raises:
        RunError: The loss is no longer a number.
    """
    accelerator = accelerator or Accelerator()
    state = state or TrainingState()
    num_epochs = num_epochs or settings.num_train_epochs
    trained = {name: p for name, p in model.adaptation.named_parameters() if p.requires_grad}
    optimizer = _optimizer(trained, settings)
    _restore(state, trained, optimizer)
    model, optimizer = accelerator.prepare(model, optimizer)
    ends = list(accumulate(len(epochs(epoch)) for epoch in range(num_epochs)))
    total = ends[-1]
    balance = Balance(transfer, settings.balance, state.balance, meet=settings.order == "joint")
    teacher = Teacher(model, settings.ema_decay, state.teacher) if transfer and transfer.needs("predictions") else None
    watch = Watch(say, state.history)
    saved_at = began = time.monotonic()
    before = state.seconds
    for epoch in range(sum(end <= state.step for end in ends), num_epochs):
        begin, meter, said = ends[epoch] - len(epochs(epoch)), _Meter(state.sums), len(watch.said)
        for step in epochs(epoch)[state.step - begin :]:
            phase = phase_at(phases, state.step, total)
            for name, parameter in trained.items():
                parameter.requires_grad_(phase.trains(name))
            torch.manual_seed(_dropout_seed(seed, state.step))
            model.train()
            _set_learning_rate(optimizer, state.step, total, settings)
            batches = step()
            losses = losses_of(
                model, batches, task_loss, transfer, settings.keep_weight, settings.shot_weight, teacher=teacher
            )
            balance.look(losses, trained, state.step)
            loss = losses.total(balance.weights)
            if loss.requires_grad:
                accelerator.backward(loss)
            watch.gradients(trained, warm=state.step + 1 >= 2 * _warmup(total, settings) + phase.start * total)
            accelerator.clip_grad_norm_(trained.values(), settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            if teacher:
                teacher.follow(trained)
            state.step += 1
            meter.add(loss, losses, batches)
            if not math.isfinite(meter.last):
                raise _diverged(f"loss became {meter.last}", state.step, total, settings)
            advance(Progress(state.step, total, meter.last, meter.step_tokens, meter.tokens_per_second))
            if time.monotonic() - saved_at > SAVE_EVERY and state.step < ends[epoch]:
                state.sums, state.balance = dict(meter.sums), balance.state()
                state.seconds = before + time.monotonic() - began
                save(_snapshot(state, trained, optimizer, teacher))
                saved_at = time.monotonic()
        if not all(bool(parameter.isfinite().all()) for parameter in trained.values()):
            raise _diverged("parameters are no longer numbers", state.step, total, settings)
        _average(state, trained, epoch, num_epochs, settings.average_last)
        row: dict[str, Any] = {"epoch": epoch + 1, "step": state.step, **meter.means()}
        row |= {"languages": sorted(meter.languages), "learning_rate": optimizer.param_groups[0]["lr"]}
        _watch_losses(watch, row, meter, aligned=transfer is not None and settings.balance is None)
        row |= _looked_at(model, validate, watch)
        row["trained"] = _trained_in(phases, range(begin, ends[epoch]), total, trained, model)
        row |= balance.row() if transfer else {}
        row |= {"warnings": watch.said[said:]} if watch.said[said:] else {}
        state.history.append(row)
        state.sums, state.balance = {}, balance.state()
        state.seconds = before + time.monotonic() - began
        save(_snapshot(state, trained, optimizer, teacher))
        saved_at = time.monotonic()
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(state.averaged[name])
            parameter.requires_grad_(True)
    model.eval()
    return state.history


def _watch_losses(watch: Watch, row: Mapping[str, Any], meter: _Meter, *, aligned: bool) -> None:
    """Look at an epoch's losses; that of alignment only where its weights do not move by themselves."""
    task, alignment = meter.first or (None, None)
    watch.loss(row["task_loss"], row["languages"], first=task)
    if aligned:
        watch.loss(row["alignment_loss"], row["languages"], what="alignment loss", first=alignment)


def _average(state: TrainingState, trained: Mapping[str, nn.Parameter], epoch: int, num_epochs: int, last: int) -> None:
    """Add an epoch's parameters to the mean of the ``last`` epochs."""
    counted = min(last, num_epochs)
    if epoch < num_epochs - counted:
        return
    for name, parameter in trained.items():
        share = parameter.detach() / counted
        state.averaged[name] = state.averaged[name] + share if name in state.averaged else share


def _looked_at(
    model: Network, validate: Callable[[Network], Validation | None], watch: Watch
) -> dict[str, float | None]:
    """The development score at the end of an epoch; what is amiss is noticed."""
    found = validate(model.eval())
    if found is None:
        return {"dev_score": None}
    watch.predictions(found.predicted, found.classes)
    return {"dev_score": found.score}


def _trained_in(
    phases: Sequence[Phase], steps: range, total: int, trained: Mapping[str, nn.Parameter], model: Network
) -> list[str]:
    """What learnt in some of ``steps``, for people."""
    parts = {name.split(".")[0] for name in trained}
    seen = {phase_at(phases, step, total) for step in steps}
    return list(dict.fromkeys(name for phase in seen for name in described(phase, parts, model.stack)))


def _diverged(what: str, step: int, total: int, settings: TrainSettings) -> RunError:
    return RunError(
        f"the {what} at step {step} of {total}; lower train.learning_rate and train.prompt_learning_rate (now "
        f"{settings.learning_rate:g} and {settings.prompt_learning_rate:g}) and start again"
    )


def _dropout_seed(seed: int, step: int) -> int:
    """A seed of 32 bits, all that torch's generator reads on a CPU."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def _optimizer(trained: dict[str, nn.Parameter], settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW in four groups: prompts and gates learn faster and do not decay, the backbone's own parameters slower."""
    groups: dict[str, dict[str, Any]] = {
        "parts": {"peak": settings.learning_rate, "weight_decay": settings.weight_decay},
        "prompt": {"peak": settings.prompt_learning_rate, "weight_decay": 0.0},
        "gate": {"peak": GATE_FACTOR * settings.prompt_learning_rate, "weight_decay": 0.0},
        "unfrozen": {"peak": settings.backbone_learning_rate, "weight_decay": settings.weight_decay},
    }
    members: dict[str, list[nn.Parameter]] = {kind: [] for kind in groups}
    for name, parameter in trained.items():
        part = name.split(".")[0]
        kind = "gate" if name.startswith("prompt.gate.") else part if part in ("prompt", "unfrozen") else "parts"
        members[kind].append(parameter)
    return torch.optim.AdamW(
        [{"params": members[kind], **options} for kind, options in groups.items() if members[kind]], betas=(0.9, 0.98)
    )


def _warmup(total: int, settings: TrainSettings) -> int:
    return max(1, round(settings.warmup_share * total))


def _set_learning_rate(optimizer: torch.optim.Optimizer, step: int, total: int, settings: TrainSettings) -> None:
    """Linear warm-up, then linear decay to zero."""
    warmup = _warmup(total, settings)
    factor = min((step + 1) / warmup, (total - step) / max(1, total - warmup))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def _snapshot(
    state: TrainingState, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, teacher: Teacher | None
) -> TrainingState:
    state.parameters = {name: parameter.detach() for name, parameter in trained.items()}
    moments = optimizer.state
    state.optimizer = {name: dict(moments[parameter]) for name, parameter in trained.items() if parameter in moments}
    state.teacher = teacher.weights if teacher else {}
    return state


def _restore(state: TrainingState, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        for name, tensor in state.parameters.items():
            trained[name].copy_(tensor)
    for name, moments in state.optimizer.items():
        parameter = trained[name]
        optimizer.state[parameter] = {
            key: value if key == "step" else value.to(parameter.device) for key, value in moments.items()
        }


class _Meter:
    """Running means of an epoch, and its speed."""

    def __init__(self, sums: dict[str, float]) -> None:
        self.started = time.perf_counter()
        self.sums = {"loss": 0.0, "task_loss": 0.0, "alignment_loss": 0.0, "steps": 0.0} | sums
        self.tokens = self.step_tokens = 0
        self.languages: set[str] = set()
        self.last = 0.0
        self.first: tuple[float, float] | None = None

    def add(self, loss: Tensor, losses: Losses, batches: Sequence[Batch]) -> None:
        self.last, task = loss.item(), losses.task.item()
        self.first = self.first or (task, self.last - task)
        for key, value in zip(self.sums, (self.last, task, self.last - task, 1.0), strict=True):
            self.sums[key] += value
        self.languages |= {batch.language for batch in batches}
        self.step_tokens = sum(int(batch.states.mask.sum()) for batch in batches)
        self.tokens += self.step_tokens

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(1e-9, time.perf_counter() - self.started)

    def means(self) -> dict[str, float]:
        means = {key: value / max(1.0, self.sums["steps"]) for key, value in self.sums.items() if key != "steps"}
        return means | {"tokens_per_second": self.tokens_per_second}
