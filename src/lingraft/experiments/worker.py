"""One method of a comparison, trained and scored in a process of its own.

So its peak memory is its own, and whatever it leaves behind is gone when it ends. The process reads
a recipe and a method's name as JSON from standard input, and reports how it goes in JSON lines on
standard output: ``share`` of a trial that is done, ``error``, ``impossible``.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch

from ..backbones import loading
from ..backbones.encoding import Encoded
from ..core.errors import LingraftError, RunError
from ..core.examples import GOLD, Example
from ..core.files import read_lines, read_object, write_json, write_lines
from ..core.memory import forget_peak, peak_bytes
from ..core.progress import Advance, Reporter
from ..core.records import Prediction, Trial
from ..core.signals import ending_in_order
from ..core.version import source_revision
from ..model.heads import build_head
from ..model.prediction import predictions_of
from ..model.standardiser import Standardiser
from ..recipe.parsing import parse_recipe
from ..recipe.settings import Recipe
from ..results.method_schemas import MEMORY, TRIAL
from ..results.schemas import EPOCH, FORMAT
from ..runs.folder import open_run_folder, trials_of
from ..runs.identity import note_identity, refuse_changed, trial_identities
from ..runs.preparation import prepare
from ..runs.summary import prove_frozen
from ..tasks import Task
from ..tasks.material import Draw
from ..tasks.scores import score_by_language
from ..training.evaluation import prediction_rows
from ..training.finished import drop_state, is_finished, note_finished
from ..training.frozen_head import HEAD_FACTOR, Before
from ..training.head_fits import logistic_head
from ..training.pools import Context, TrialPools, learning_pools
from ..training.provenance import write_scores
from ..training.source_change import write_development
from ..training.trial import NetworkFactory, run_trial
from .baselines.peft import METHODS as PEFT
from .baselines.peft import PeftNetwork, PeftUnsupportedError, as_graft, peft_network
from .baselines.prototype import prototype_logits
from .methods import Method, list_methods
from .possible import refuse_untested


class ImpossibleError(LingraftError):
    """A method that is nothing for this kind of task."""


def main(asked: TextIO = sys.stdin) -> None:
    """Do what standard input asks for."""
    source_revision()  # the source that this process runs, whatever is committed while it does
    wanted = json.load(asked)
    try:
        recipe = parse_recipe(wanted["recipe"])
        method = next(one for one in list_methods(recipe) if one.name == wanted["name"])
        if wanted["encode_only"]:
            prepare(with_shared_lexicon(method, recipe), Relay("encoding"))
        else:
            run_method(method, recipe, tested=wanted["tested"])
    except (PeftUnsupportedError, ImpossibleError) as error:
        tell(impossible=str(error))
    except LingraftError as error:
        tell(error=str(error))
        sys.exit(1)


def run_method(method: Method, whole: Recipe, *, tested: bool = True) -> None:
    """Choose the learning rate, then train and score every trial; ``method.json`` of the folder appears last.

    Args:
        method: The method.
        whole: The recipe of the comparison.
        tested: Whether trials are scored on the test sets, and not on the source language's development set alone.
    """
    context, card, _ = prepare(with_shared_lexicon(method, whole), Relay("encoding"), tested=tested)
    task = context.materials.task
    if tested:
        refuse_untested(context.materials)
    if method.network == "prototype" and not task.kind.class_logits:
        raise ImpossibleError(f"prototypes score classes, which the outputs of {task.kind.name} are not")
    if method.network in PEFT:
        context = context.from_ids()
    tuning_epochs = whole.compare.tuning_epochs if whole.compare else 1
    tried = _tried(method, whole.output_dir, tuning_epochs, context)
    rate = chosen_rate(method, tried)
    recipe = method.at_rate(rate) if rate is not None else method.recipe
    if method.network == "frozen-head":  # a head that is trained alone: nothing comes before it
        alone = {"warm_start": False, "learning_rate": HEAD_FACTOR * recipe.train.learning_rate}
        context = replace(context, recipe=recipe.model_copy(update={"train": recipe.train.model_copy(update=alone)}))
    else:
        context = replace(context, recipe=recipe)
    with open_run_folder(recipe.output_dir, recipe) as folder:
        trials = trials_of(recipe)
        identities = trial_identities(trials, recipe, context.materials, context.backbone)
        refuse_changed(folder, trials, identities)
        write_json(folder / "data.json", card)
        for trial in trials:
            if is_finished(folder, trial):
                drop_state(folder, trial)
            else:
                note_identity(folder, trial, identities[trial])
                forget_peak()
                if method.trained or not task.kind.class_logits:
                    run_trial(trial, folder, context, Relay(trial.name), _network_factory(method))
                else:
                    run_untrained(trial, folder, context, method)
                _note_memory(folder / "memory.json")
            tell(trial=trial.name, share=1.0)
        prove_frozen(context.backbone)
        write_json(folder / "method.json", _facts(method, folder, context, rate, tried, tuning_epochs))


def with_shared_lexicon(method: Method, whole: Recipe) -> Recipe:
    """Return the method's recipe, with the folder that lexicons and pseudo-data are made in: one for the same texts."""
    own = method.recipe

    def decides(recipe: Recipe) -> tuple[object, ...]:
        texts = recipe.task, recipe.shots, recipe.parallel, recipe.pseudo
        return *texts, recipe.backbone.checkpoint, recipe.backbone.text_prefix

    folder = whole.output_dir if decides(own) == decides(whole) else whole.output_dir / "mined" / method.name
    return own.model_copy(update={"output_dir": folder})


# ---- Learning rates --------------------------------------------------------------------------------


def _tried(method: Method, output: Path, epochs: int, context: Context) -> dict[float, float | None]:
    """Score each learning rate on the source development set, after few epochs; None where the loss diverged."""
    if len(method.rates) < 2 or not method.trained:
        return {}
    blind = context.materials.without_tests()
    found: dict[float, float | None] = {}
    for rate in method.rates:
        folder = output / "tuning" / method.name / f"{rate:g}"
        recipe = method.at_rate(rate, num_train_epochs=epochs).network_alone()
        trial = trials_of(recipe)[0]
        result = folder / "trials" / trial.name / "trial.json"
        with open_run_folder(folder, recipe.model_copy(update={"output_dir": folder})):
            if is_finished(folder, trial):
                drop_state(folder, trial)
            else:
                name = f"rate {rate:g}"
                try:
                    blind_context = replace(context, recipe=recipe, materials=blind)
                    run_trial(trial, folder, blind_context, Relay(name), _network_factory(method))
                except RunError as error:
                    write_json(result, {"name": trial.name, "dev_score": None, "error": str(error)})
                tell(trial=name, share=1.0)
        found[rate] = read_object(result, TRIAL).get("dev_score")
    return found


def chosen_rate(method: Method, tried: dict[float, float | None]) -> float | None:
    """Return the best on the source language's development set, the first of equals; None: as the recipe says.

    Raises:
        RunError: The loss diverged at every one.
    """
    if not tried:
        return method.rates[0] if method.rates else None
    finished = {rate: accuracy for rate, accuracy in tried.items() if accuracy is not None}
    if not finished:
        raise RunError(
            f"{method.name}: the loss diverged at each of the learning rates {', '.join(f'{r:g}' for r in tried)}; "
            f"give lower ones in compare.learning_rates.{method.name}"
        )
    return max(finished, key=lambda rate: finished[rate])


# ---- Networks --------------------------------------------------------------------------------------


def _network_factory(method: Method) -> NetworkFactory:
    if method.network in PEFT:
        saved = {"saved": as_graft} if method.network == "peft-lora" else {}
        return NetworkFactory(method.name, partial(_peft, method), **saved)
    return NetworkFactory(method.name)


def _peft(method: Method, context: Context, pools: TrialPools, head: Before | None) -> PeftNetwork:
    """Return a PEFT model at its start: the frozen head, the rest as PEFT begins it."""
    torch.manual_seed(pools.trial.seed)
    stack = context.backbone.stack
    kind = context.materials.task.kind
    new = build_head(kind, stack)
    if context.recipe.train.warm_start and head is not None:
        head.write_to(new)
    checkpoint = context.recipe.backbone.checkpoint

    def encoder() -> torch.nn.Module:
        return loading.load_encoder(checkpoint)

    network = peft_network(method.network, method.options, encoder, stack, new)
    forget_peak()  # the encoder was in memory twice for a moment
    return network


# ---- Methods without training ----------------------------------------------------------------------


def run_untrained(trial: Trial, folder: Path, context: Context, method: Method) -> None:
    """Fit the frozen head or prototypes, predict, and score; files as after a training.

    Args:
        trial: Shots, draw and seed.
        folder: Of the method.
        context: What all trials share.
        method: ``frozen-head`` or ``prototype``.
    """
    materials, task, scores, started = context.materials, context.materials.task, [], time.monotonic()
    answer, trained = _fit_untrained(trial, context, method)
    seconds = time.monotonic() - started

    def predict(encoded: Encoded, examples: Sequence[Example]) -> list[Prediction]:
        logits = answer(encoded.pooled([example.id for example in examples]))
        return predictions_of(list(logits), examples, encoded, task)

    for language in task.languages:
        examples = materials.test[language]
        if not examples:
            continue
        predicted = predict(context.pools[language, "test"], examples)
        write_lines(
            folder / "predictions" / trial.name / f"{language}.jsonl", prediction_rows(examples, predicted, {}, task)
        )
        where: dict[str, Any] = {"method": method.name, "language": language, "trial": trial, "run": folder.name}
        scores += score_by_language(examples, [prediction.value for prediction in predicted], task, **where)
    place = folder / "trials" / trial.name
    write_scores(place, scores, context)
    answers = [one.value for one in predict(context.pools[task.source_language, "dev"], materials.dev)]
    write_development(place, materials.dev, answers, next(iter(task.kind.metrics.values())))
    note_finished(folder, trial, {"name": trial.name, "seconds": seconds, "trained": trained})


def _fit_untrained(
    trial: Trial, context: Context, method: Method
) -> tuple[Callable[[torch.Tensor], torch.Tensor], int]:
    """Return what makes logits ``[N, C]`` of pooled frozen states ``[N, H]``, and how many parameters it has."""
    source, targets = learning_pools(_draw(context, trial), context)
    standardiser = Standardiser.fit(torch.stack(list(source.teacher.values())))
    if method.network == "frozen-head":
        head = logistic_head(source, targets, standardiser, context, context.recipe.train.shot_weight)
        return head.logits, head.weight.numel() + head.bias.numel()
    learnt = [(pool, pool.targets) for pool in (source, *targets) if pool.labelled]
    labelled = torch.cat([pool.encoded.pooled(list(known)) for pool, known in learnt])
    classes = torch.tensor([int(str(target)) for _, known in learnt for target in known.values()])
    of_classes = {"classes": len(context.materials.task.labels), "centre": standardiser.mean, **method.options}
    return lambda pooled: prototype_logits(labelled, classes, pooled, **of_classes), 0


# ---- What a method leaves --------------------------------------------------------------------------


def _facts(
    method: Method,
    folder: Path,
    context: Context,
    rate: float | None,
    tried: dict[float, float | None],
    tuning_epochs: int,
) -> dict[str, Any]:
    """Return the content of ``method.json``."""
    names = [trial.name for trial in trials_of(context.recipe)]
    done = {name: read_object(folder / "trials" / name / "trial.json", TRIAL) for name in names}
    return {
        "format": FORMAT,
        "name": method.name,
        "about": _about(method, context.materials.task),
        "trials": names,
        "chosen": method.chosen(tuning_epochs),
        "trainable_parameters": max(facts["trained"] for facts in done.values()),
        "seconds": {name: facts["seconds"] for name, facts in done.items()},
        "peak_bytes": read_object(folder / "memory.json", MEMORY).get("peak_bytes"),
        "learning_rate": {
            "setting": method.rate if method.trained else None,
            "value": rate if rate is not None else _setting(context.recipe, method),
            "tried": {f"{value:g}": accuracy for value, accuracy in tried.items()},
        },
        "steps": {name: _steps(folder / "trials" / name / "training.jsonl") for name in names},
        "labels": {trial.name: _labels_digest(_draw(context, trial)) for trial in trials_of(context.recipe)},
        "pairs": {trial.name: _pairs_digest(_draw(context, trial)) for trial in trials_of(context.recipe)},
    }


def _about(method: Method, task: Task) -> str:
    """Return what the method is; a head that reads tokens or alternatives is no logistic regression."""
    if method.network != "frozen-head" or task.kind.class_logits:
        return method.about
    return "a linear head on frozen states, trained by gradient as long as the others"


def _steps(path: Path) -> int:
    """Count the steps of the optimiser in a training; 0 where there was none."""
    return max((int(row["step"]) for row in read_lines(path, EPOCH)), default=0) if path.exists() else 0


def _setting(recipe: Recipe, method: Method) -> float | None:
    return getattr(recipe.train, method.rate.partition(".")[2]) if method.trained else None


def _draw(context: Context, trial: Trial) -> Draw:
    return next(draw for draw in context.materials.draws if (draw.k, draw.draw) == (trial.k, trial.draw))


def _labels_digest(draw: Draw) -> str:
    """Digest what a draw has labels of, and the labels: the same for all methods, or they are not comparable."""

    def known(examples: Sequence[Example]) -> list[tuple[object, ...]]:
        return [(e.id, *e.texts, e.gold) for e in examples]

    return _digest([known(draw.labelled), {code: known(shots) for code, shots in sorted(draw.shots.items())}])


def _pairs_digest(draw: Draw) -> str:
    """Digest the translations that a draw offers, as texts; copies that were made of them are a method's own."""
    return _digest(
        {
            code: [(e.id, e.text_a, e.text_b) for pair in pairs if pair[1].origin == GOLD for e in pair]
            for code, pairs in sorted(draw.pairs.items())
        }
    )


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _note_memory(path: Path) -> None:
    before, now = read_object(path, MEMORY).get("peak_bytes") or 0, peak_bytes()
    if now is not None:
        write_json(path, {"peak_bytes": max(before, now)})


# ---- Telling the parent ----------------------------------------------------------------------------


def tell(**facts: Any) -> None:
    """Print one JSON line."""
    print(json.dumps(facts), flush=True)  # noqa: T201


class Relay(Reporter):
    """Reports to the parent process what share of a trial is done."""

    def __init__(self, trial: str) -> None:
        super().__init__(quiet=True)
        self.trial = trial

    def say(self, text: str) -> None:
        """Pass on what would be a line on the terminal."""
        tell(say=text)

    def warn(self, text: str) -> None:
        """Pass on a warning as a line."""
        tell(say=f"warning: {text}")

    @contextmanager
    def task(self, title: str, total: int, *, counted: bool = True) -> Iterator[Advance]:
        """Relay the progress of one task."""
        yield _RelayAdvance(self.trial, total)


class _RelayAdvance(Advance):
    def __init__(self, trial: str, total: int) -> None:
        self.trial, self.total, self.done, self.last = trial, max(1, total), 0, time.monotonic()

    def __call__(self, amount: int = 1, note: str = "") -> None:
        self.done += amount
        if time.monotonic() - self.last > 1.0:
            self.last = time.monotonic()
            tell(trial=self.trial, share=min(1.0, self.done / self.total))


if __name__ == "__main__":
    with ending_in_order():
        main()
