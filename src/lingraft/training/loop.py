"""One loop: task loss plus alignment loss over the steps of each epoch.

Randomness is a function of seed and step, the data order of seed and epoch, and the learning rate
of the step alone; and all that the record of an epoch holds is part of the saved state. So a training
that was killed between any two steps leaves what an uninterrupted one leaves, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_swa_multi_avg_fn

from ..backbones.devices import seed_generators
from ..core.errors import RunError
from ..core.memory import release_freed_memory
from ..core.records import Batch
from ..model.freezing import Phase, describe_phase, phase_at
from ..model.network import GraftedModel, Network
from ..recipe.settings import TrainSettings
from .batches import Step
from .ema_teacher import Teacher
from .gradient_balance import Balance
from .losses import Objective
from .meter import Meter
from .monitor import Monitor
from .state import TrainingState, restore, take_snapshot

SAVE_EVERY = 20.0  # seconds between two saved training states
RELEASE_EVERY = 20  # steps between two times that freed memory goes back to the system
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


class Course(Protocol):
    """The steps of a whole training; :class:`lingraft.training.batches.Order` is one."""

    @property
    def settings(self) -> TrainSettings:
        """Learning rates and the like."""
        ...

    @property
    def seed(self) -> int:
        """Of dropout; the data order has it too."""
        ...

    @property
    def epochs(self) -> int:
        """How many there are."""
        ...

    def epoch(self, epoch: int) -> Sequence[Step]:
        """Return the steps of an epoch, by its number."""
        ...


@dataclass(frozen=True)
class Hooks:
    """What a training calls on its way; by default nothing.

    ``save`` gets the state to continue from, every ``save_every`` seconds and after each epoch; ``validate``
    gives the development score for the learning curve; ``advance`` is called after each step; ``ended`` gets the
    record of each epoch; ``say`` is told what goes wrong (see :mod:`lingraft.training.monitor`), and which epoch's
    parameters are kept where that is not the last's; ``clock`` gives seconds.
    """

    save: Callable[[TrainingState], None] = lambda state: None
    validate: Callable[[Network], Validation | None] = lambda model: None
    advance: Callable[[Progress], None] = lambda progress: None
    ended: Callable[[Mapping[str, Any]], None] = lambda row: None
    say: Callable[[str], None] = lambda sentence: None
    clock: Callable[[], float] = time.monotonic
    save_every: float = SAVE_EVERY


def train(
    model: Network,
    course: Course,
    objective: Objective,
    *,
    phases: Sequence[Phase] = (Phase(),),
    state: TrainingState | None = None,
    hooks: Hooks | None = None,
) -> list[dict[str, Any]]:
    """Train the adaptation of ``model`` in place, to the mean of its last epochs' parameters.

    With ``patience`` to those of the epoch with the best development score, which training ends so many epochs after.

    Args:
        model: Frozen stack and adaptation.
        course: The steps of each epoch, with settings and seed.
        objective: Task loss, alignment losses and their weights.
        phases: What learns when; see :mod:`lingraft.model.freezing`.
        state: Continue from here.
        hooks: What is called on the way.

    Returns:
        One row per epoch: losses, development score, learning rate, tokens read and tokens per second, what
        trained, how task and alignment gradients relate, and what went wrong.

    Raises:
        RunError: The loss is no longer a number, or a prompt or adapter gets no gradient.
    """
    training = _Training(model, course, objective, phases, state or TrainingState(), hooks or Hooks())
    for epoch in training.epochs_left():
        for step in training.steps_left(epoch):
            training.take(step())
            training.save_now_and_then(epoch)
        training.end_epoch(epoch)
    return training.finish()


class _Training:
    """The moving parts of one training."""

    def __init__(
        self,
        model: Network,
        course: Course,
        objective: Objective,
        phases: Sequence[Phase],
        state: TrainingState,
        hooks: Hooks,
    ) -> None:
        self.model, self.course, self.objective, self.phases = model, course, objective, phases
        self.state, self.hooks, self.settings = state, hooks, course.settings
        self.trained = {name: p for name, p in model.adaptation.named_parameters() if p.requires_grad}
        self.optimizer = _optimizer(self.trained, self.settings)
        restore(state, self.trained, self.optimizer)
        self.ends = list(accumulate(len(course.epoch(epoch)) for epoch in range(course.epochs)))
        self.total = self.ends[-1]
        self.schedule = _schedule(self.optimizer, state.step, self.total, self.settings)
        alignment = objective.alignment
        self.balance = Balance(alignment, self.settings.balance, state.balance, meet=self.settings.order == "joint")
        self.teacher = None
        if alignment and alignment.needs("predictions"):  # which a GraftedModel alone can give
            self.teacher = Teacher(cast(GraftedModel, model), self.settings.ema_decay, state.teacher)
        self.monitor = Monitor(hooks.say, state.monitor)
        self.meter = Meter(**state.meter)
        self.said = self.meter.said
        self.before, self.began = state.seconds, hooks.clock()
        self.saved_at = self.began

    def epochs_left(self) -> Iterator[int]:
        """Yield the epochs that are not done, as long as training goes on."""
        for epoch in range(sum(end <= self.state.step for end in self.ends), self.course.epochs):
            if self._is_stopped():
                return
            yield epoch

    def _scores(self) -> list[float]:
        """Return the development scores of the epochs that are done."""
        rows = [row for row in self.state.history if row["step"] > self.state.steps_before]
        return [-math.inf if row["dev_score"] is None else row["dev_score"] for row in rows]

    def _is_stopped(self) -> bool:
        """Return whether the development score has not risen for as long as patience lasts (early stopping)."""
        scores, patience = self._scores(), self.settings.patience
        best = max(scores, default=-math.inf)
        return patience is not None and best > -math.inf and len(scores) - 1 - scores.index(best) >= patience

    def _describe_kept(self) -> str:
        """Say where early stopping ended, and which epoch's parameters are kept; nothing where there is none."""
        scores, done = self._scores(), len(self.state.history)
        best, before = max(scores, default=-math.inf), done - len(scores)
        if self.settings.patience is None or best == -math.inf:
            return ""
        ended = f"stopped after epoch {done} of {before + self.course.epochs}: " if self.state.step < self.total else ""
        kept = before + scores.index(best) + 1
        return f"{ended}the development score was best after epoch {kept}, whose parameters are kept (train.patience)"

    def steps_left(self, epoch: int) -> Sequence[Step]:
        """Return steps of an epoch that are not done."""
        steps = self.course.epoch(epoch)
        return steps[self.state.step - (self.ends[epoch] - len(steps)) :]

    def take(self, batches: Sequence[Batch]) -> None:
        """Take one step of the optimiser."""
        state, model, trained, began = self.state, self.model, self.trained, self.hooks.clock()
        batches = [batch for batch in batches if self.objective.learns_from(batch)] or batches[:1]
        phase = phase_at(self.phases, state.step, self.total)
        for name, parameter in trained.items():
            parameter.requires_grad_(phase.trains(name))
        seed_generators(_dropout_seed(self.course.seed, state.step), next(iter(trained.values())).device)
        model.train()
        losses = self.objective.losses(model, batches, self.teacher)
        self.balance.look(losses, trained, state.step)
        loss = losses.total(self.balance.weights)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        warm = 2 * _warmup(self.total, self.settings) + phase.start * self.total
        self.monitor.watch_gradients(trained, warm=state.step + 1 >= warm)
        nn.utils.clip_grad_norm_(trained.values(), self.settings.max_grad_norm)
        self.meter.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        if self.teacher:
            self.teacher.follow()
        state.step += 1
        last = self.meter.add(loss, losses, batches, self.hooks.clock() - began)
        if not math.isfinite(last):
            raise _diverged(f"loss became {last}", state.step, self.total, self.settings)
        tokens = sum(int(batch.states.mask.sum()) for batch in batches)
        if state.step % RELEASE_EVERY == 0:
            release_freed_memory()
        self.hooks.advance(Progress(state.step, self.total, last, tokens, self.meter.tokens_per_second))

    def save_now_and_then(self, epoch: int) -> None:
        """Save in the middle of an epoch, if the last time is long ago."""
        if self.hooks.clock() - self.saved_at > self.hooks.save_every and self.state.step < self.ends[epoch]:
            self._save()

    def end_epoch(self, epoch: int) -> None:
        """Average, validate, write the epoch's record, save."""
        state, trained = self.state, self.trained
        if not all(bool(parameter.isfinite().all()) for parameter in trained.values()):
            raise _diverged("parameters are no longer numbers", state.step, self.total, self.settings)
        row: dict[str, Any] = {"epoch": len(state.history) + 1, "step": state.steps_before + state.step}
        row |= self.meter.means()
        row |= {"languages": sorted(self.meter.languages), "learning_rate": self.meter.learning_rate}
        row["tokens"] = self.meter.tokens
        self._watch_losses(row)
        found = self.hooks.validate(self.model.eval())
        if found is not None:
            self.monitor.watch_predictions(found.predicted, found.classes)
        row["dev_score"] = None if found is None else found.score
        if self.settings.patience is None:
            _average(state, trained, epoch, self.course.epochs, self.settings.average_last)
        elif found is None or found.score > max(self._scores(), default=-math.inf):
            state.averaged = {name: parameter.detach().clone() for name, parameter in trained.items()}
        row["trained"] = self._trained_in(range(self.ends[epoch] - len(self.course.epoch(epoch)), self.ends[epoch]))
        if self.objective.consistency is None:
            del row["consistency_loss"]
        row |= self.balance.row() if self.objective.alignment else {}
        row |= {"warnings": said} if (said := self.monitor.said[self.said :]) else {}
        state.history.append(row)
        self.said = len(self.monitor.said)
        self.meter = Meter(said=self.said)
        self._save()
        self.hooks.ended(row)

    def finish(self) -> list[dict[str, Any]]:
        """Put the averaged parameters into the model."""
        self.monitor.end(early=self.state.step < self.total)
        if kept := self._describe_kept():
            self.hooks.say(kept)
        with torch.no_grad():
            for name, parameter in self.trained.items():
                parameter.copy_(self.state.averaged[name])
                parameter.requires_grad_(True)
        self.model.eval()
        return self.state.history

    def _save(self) -> None:
        state = self.state
        state.meter, state.balance, state.monitor = self.meter.state(), self.balance.state(), self.monitor.state()
        state.seconds = self.before + self.hooks.clock() - self.began
        take_snapshot(state, self.trained, self.optimizer, self.teacher.weights if self.teacher else {})
        self.hooks.save(state)
        self.saved_at = self.hooks.clock()

    def _watch_losses(self, row: Mapping[str, Any]) -> None:
        """Look at an epoch's losses; that of alignment only where its weights do not move by themselves."""
        task, alignment = self.meter.first or (None, None)
        self.monitor.watch_loss(row["task_loss"], row["languages"], first=task)
        if self.objective.alignment is not None and self.settings.balance is None:
            self.monitor.watch_loss(row["alignment_loss"], row["languages"], what="alignment loss", first=alignment)

    def _trained_in(self, steps: range) -> list[str]:
        """Return what learnt in some of ``steps``, for people."""
        parts = {name.split(".")[0] for name in self.trained}
        seen = {phase_at(self.phases, step, self.total) for step in steps}
        return list(dict.fromkeys(name for phase in seen for name in describe_phase(phase, parts, self.model.stack)))


def _average(state: TrainingState, trained: Mapping[str, nn.Parameter], epoch: int, epochs: int, last: int) -> None:
    """Add an epoch's parameters to the mean of the ``last`` epochs (Izmailov et al., 2018)."""
    before = epoch - (epochs - min(last, epochs))
    if before < 0:
        return
    current = {name: parameter.detach() for name, parameter in trained.items()}
    if before == 0:
        state.averaged = {name: tensor.clone() for name, tensor in current.items()}
        return
    state.averaged = {name: state.averaged[name].to(tensor.device) for name, tensor in current.items()}
    update: Any = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
    update(list(state.averaged.values()), list(current.values()), before)


def _diverged(what: str, step: int, total: int, settings: TrainSettings) -> RunError:
    return RunError(
        f"the {what} at step {step} of {total}; lower train.learning_rate and train.prompt_learning_rate (now "
        f"{settings.learning_rate:g} and {settings.prompt_learning_rate:g}) and start again"
    )


def _dropout_seed(seed: int, step: int) -> int:
    """Return a seed of 32 bits, all that torch's generator reads on a CPU."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def _optimizer(trained: dict[str, nn.Parameter], settings: TrainSettings) -> torch.optim.AdamW:
    """Make AdamW of four groups: prompts and gates learn faster and do not decay, the backbone's own slower."""
    groups: dict[str, dict[str, Any]] = {
        "parts": {"lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        "prompt": {"lr": settings.prompt_learning_rate, "weight_decay": 0.0},
        "gate": {"lr": GATE_FACTOR * settings.prompt_learning_rate, "weight_decay": 0.0},
        "unfrozen": {"lr": settings.backbone_learning_rate, "weight_decay": settings.weight_decay},
    }
    members: dict[str, list[nn.Parameter]] = {kind: [] for kind in groups}
    for name, parameter in trained.items():
        part = name.split(".")[0]
        kind = "gate" if part == "prompt" and ".gate." in name else part if part in ("prompt", "unfrozen") else "parts"
        members[kind].append(parameter)
    return torch.optim.AdamW(
        [{"params": members[kind], **options} for kind, options in groups.items() if members[kind]], betas=(0.9, 0.98)
    )


def _warmup(total: int, settings: TrainSettings) -> int:
    return max(1, round(settings.warmup_share * total))


def _schedule(optimizer: torch.optim.Optimizer, step: int, total: int, settings: TrainSettings) -> LambdaLR:
    """Make a linear warm-up, then linear decay to zero; ready for ``step``."""
    warmup = _warmup(total, settings)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]

    def factor(step: int) -> float:
        return min((step + 1) / warmup, (total - step) / max(1, total - warmup))

    return LambdaLR(optimizer, factor, last_epoch=step - 1)
