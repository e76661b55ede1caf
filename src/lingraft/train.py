"""One loop: task loss plus alignment loss over the steps of each epoch.

Randomness is a function of seed and step, the data order of seed and epoch, and the learning rate
of the step alone, so a run that was killed continues bit for bit from its last saved state.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from .batches import Step
from .config import TrainSettings
from .errors import RunError
from .model import GraftedModel
from .records import Batch
from .transfer import Transfer

SAVE_EVERY = 20.0  # seconds between two saved training states

TaskLoss = Callable[[Tensor, Tensor], Tensor]
"""Logits ``[B, C]`` and targets ``[B]`` to a scalar."""


@dataclass
class TrainingState:
    """Where training stands: all that a resumed run needs beside the parameters themselves."""

    step: int = 0
    parameters: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    averaged: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """What the progress bar shows after a step."""

    step: int
    steps: int
    loss: float
    tokens: int
    tokens_per_second: float


def train(
    model: GraftedModel,
    epochs: Callable[[int], Sequence[Step]],
    *,
    task_loss: TaskLoss,
    transfer: Transfer | None,
    settings: TrainSettings,
    seed: int,
    state: TrainingState | None = None,
    save: Callable[[TrainingState], None] = lambda state: None,
    validate: Callable[[GraftedModel], float | None] = lambda model: None,
    advance: Callable[[Progress], None] = lambda progress: None,
    accelerator: Accelerator | None = None,
) -> list[dict[str, Any]]:
    """Train the adaptation of ``model`` in place, to the mean of its last epochs' parameters.

    Args:
        model: Frozen stack and adaptation.
        epochs: The steps of an epoch, by its number.
        task_loss: Loss of logits against targets.
        transfer: Alignment loss; None without parallel text.
        settings: Epochs, learning rates, weights.
        seed: Of dropout; the data order has its own in ``epochs``.
        state: Continue from here.
        save: Called every so often with the state to continue from.
        validate: Development score of the model, for the learning curve.
        advance: Called after each step.
        accelerator: Device and precision; the CPU or GPU that ``accelerate`` finds by default.

    Returns:
        One row per epoch: losses, development score, learning rate, tokens per second.

    Raises:
        RunError: The loss is no longer a number.
    """
    accelerator = accelerator or Accelerator()
    state = state or TrainingState()
    trained = dict(model.adaptation.named_parameters())
    optimizer = _optimizer(trained, settings)
    _restore(state, trained, optimizer)
    model, optimizer = accelerator.prepare(model, optimizer)
    steps_per_epoch = len(epochs(0))
    total = steps_per_epoch * settings.num_train_epochs
    averaging_from = settings.num_train_epochs - min(settings.average_last, settings.num_train_epochs)
    saved_at = time.monotonic()
    for epoch in range(state.step // steps_per_epoch, settings.num_train_epochs):
        meter = _Meter(state.sums)
        for index, step in enumerate(epochs(epoch)):
            if epoch * steps_per_epoch + index < state.step:
                continue
            torch.manual_seed(_dropout_seed(seed, state.step))
            model.train()
            _set_learning_rate(optimizer, state.step, total, settings)
            batches = step()
            losses = losses_of(model, batches, task_loss, transfer, settings.keep_weight, settings.shot_weight)
            accelerator.backward(losses.total)
            accelerator.clip_grad_norm_(trained.values(), settings.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            state.step += 1
            meter.add(losses, batches)
            if not math.isfinite(meter.last):
                raise _diverged(f"loss became {meter.last}", state.step, total, settings)
            advance(Progress(state.step, total, meter.last, meter.step_tokens, meter.tokens_per_second))
            if time.monotonic() - saved_at > SAVE_EVERY and index + 1 < steps_per_epoch:
                state.sums = dict(meter.sums)
                save(_snapshot(state, trained, optimizer))
                saved_at = time.monotonic()
        if not all(bool(parameter.isfinite().all()) for parameter in trained.values()):
            raise _diverged("parameters are no longer numbers", state.step, total, settings)
        if epoch >= averaging_from:
            for name, parameter in trained.items():
                share = parameter.detach() / (settings.num_train_epochs - averaging_from)
                state.averaged[name] = state.averaged[name] + share if name in state.averaged else share
        state.history.append(
            {"epoch": epoch + 1, "step": state.step, **meter.means()}
            | {"dev_accuracy": validate(model.eval()), "learning_rate": optimizer.param_groups[0]["lr"]}
        )
        state.sums = {}
        save(_snapshot(state, trained, optimizer))
        saved_at = time.monotonic()
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(state.averaged[name])
    model.eval()
    return state.history


def _diverged(what: str, step: int, total: int, settings: TrainSettings) -> RunError:
    return RunError(
        f"the {what} at step {step} of {total}; lower train.learning_rate and train.prompt_learning_rate (now "
        f"{settings.learning_rate:g} and {settings.prompt_learning_rate:g}) and start again"
    )


def _dropout_seed(seed: int, step: int) -> int:
    """A seed of 32 bits, all that torch's generator reads on a CPU."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


@dataclass(frozen=True)
class Losses:
    """The loss of a step and its two halves."""

    total: Tensor
    task: Tensor
    alignment: Tensor


def losses_of(
    model: GraftedModel,
    batches: Sequence[Batch],
    task_loss: TaskLoss,
    transfer: Transfer | None,
    keep_weight: float,
    shot_weight: float = 1.0,
) -> Losses:
    """Task loss, a labelled target example counting ``shot_weight``, plus alignment losses where there is a teacher.

    The first batch is the source language's: it is held to its own frozen states with
    ``keep_weight``, so that the space in which the target is aligned stays where it is.
    """
    task_terms, counts, alignment_terms = [], [], []
    for position, batch in enumerate(batches):
        final, logits = model(batch.states, batch.language)
        labelled = batch.targets >= 0
        if labelled.any():
            task_terms.append(task_loss(logits, batch.targets))
            counts.append(int(labelled.sum()) * (shot_weight if position else 1.0))
        if transfer is not None and batch.taught.any():
            rows = batch.taught
            weight = 1.0 if position else keep_weight
            if weight:
                student = final if rows.all() else final.take(rows.nonzero().squeeze(1).tolist())
                alignment_terms.append(weight * transfer(student, batch.teacher[rows]))
    zero = batches[0].teacher.new_zeros(())
    shares = [count / sum(counts) for count in counts]
    task = torch.stack([share * term for share, term in zip(shares, task_terms, strict=True)]).sum() if counts else zero
    alignment = torch.stack(alignment_terms).sum() if alignment_terms else zero
    return Losses(task + alignment, task, alignment)


def _optimizer(trained: dict[str, nn.Parameter], settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW in two groups: prompts learn faster and do not decay."""
    prompts = [p for name, p in trained.items() if name.startswith("prompt.")]
    others = [p for name, p in trained.items() if not name.startswith("prompt.")]
    groups = [
        {"params": others, "peak": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": prompts, "peak": settings.prompt_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], betas=(0.9, 0.98))


def _set_learning_rate(optimizer: torch.optim.Optimizer, step: int, total: int, settings: TrainSettings) -> None:
    """Linear warm-up, then linear decay to zero."""
    warmup = max(1, round(settings.warmup_share * total))
    factor = min((step + 1) / warmup, (total - step) / max(1, total - warmup))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def _snapshot(
    state: TrainingState, trained: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> TrainingState:
    state.parameters = {name: parameter.detach() for name, parameter in trained.items()}
    moments = optimizer.state
    state.optimizer = {name: dict(moments[parameter]) for name, parameter in trained.items() if parameter in moments}
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
        self.last = 0.0

    def add(self, losses: Losses, batches: Sequence[Batch]) -> None:
        self.last = losses.total.item()
        for key, value in zip(self.sums, (self.last, losses.task.item(), losses.alignment.item(), 1.0), strict=True):
            self.sums[key] += value
        self.step_tokens = sum(int(batch.states.mask.sum()) for batch in batches)
        self.tokens += self.step_tokens

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(1e-9, time.perf_counter() - self.started)

    def means(self) -> dict[str, float]:
        means = {key: value / max(1.0, self.sums["steps"]) for key, value in self.sums.items() if key != "steps"}
        return means | {"tokens_per_second": self.tokens_per_second}
