"""One method of a comparison, trained and scored in a process of its own.

So its peak memory is its own, and whatever it leaves behind is gone when it ends. The process reads
a recipe and a method's name as JSON from standard input, and reports how it goes in JSON lines on
standard output: ``share`` of a trial that is done, ``error``, ``impossible``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch

from ..backbones import loading
from ..core.errors import LingraftError, RunError
from ..core.files import read_object, write_json
from ..core.memory import forget_peak
from ..core.progress import Advance, Reporter
from ..core.records import Trial
from ..core.signals import ending_in_order
from ..core.version import source_revision
from ..model.heads import build_head
from ..recipe.parsing import parse_recipe
from ..recipe.settings import Recipe
from ..results.method_schemas import TRIAL
from ..runs.folder import open_run_folder, trials_of
from ..runs.identity import note_identity, refuse_changed, trial_identities
from ..runs.preparation import prepare
from ..runs.summary import prove_frozen
from ..tasks.material import Materials
from ..training.finished import drop_state, is_finished
from ..training.frozen_head import HEAD_FACTOR, Before
from ..training.pools import Context, TrialPools
from ..training.trial import NetworkFactory, run_trial
from .baselines.peft import METHODS as PEFT
from .baselines.peft import PeftNetwork, PeftUnsupportedError, as_graft, peft_network
from .facts import method_facts, note_memory
from .methods import Method, list_methods
from .peers import ImpossibleError, leave_to_library, refuse_impossible, run_peer, without_precision
from .possible import refuse_untested
from .untrained import run_untrained


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
    context, card, _ = prepare(
        with_shared_lexicon(method, whole), Relay("encoding"), tested=tested, encoded=not method.is_peer
    )
    if tested:
        refuse_untested(context.materials)
    refuse_kind(method, context.materials)
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
        if method.is_peer:
            identities = {trial: without_precision(identity) for trial, identity in identities.items()}
            leave_to_library(context)
        refuse_changed(folder, trials, identities)
        write_json(folder / "data.json", card)
        for trial in trials:
            if is_finished(folder, trial):
                drop_state(folder, trial)
            else:
                note_identity(folder, trial, identities[trial])
                forget_peak()
                _run(trial, folder, context, method, Relay(trial.name))
                note_memory(folder / "memory.json")
            tell(trial=trial.name, share=1.0)
        if not method.is_peer:
            prove_frozen(context.backbone)
        write_json(folder / "method.json", method_facts(method, folder, context, tried, rate, tuning_epochs))


def refuse_kind(method: Method, materials: Materials) -> None:
    """Refuse a method that is nothing for a kind of task.

    Raises:
        ImpossibleError: It is.
    """
    kind = materials.task.kind
    if method.network == "prototype" and not kind.class_logits:
        raise ImpossibleError(f"prototypes score classes, which the outputs of {kind.name} are not")
    if method.is_peer:
        refuse_impossible(method, materials)


def _run(trial: Trial, folder: Path, context: Context, method: Method, reporter: Reporter) -> None:
    """Train or fit, predict and score one trial of whichever method it is."""
    if method.is_peer:
        run_peer(trial, folder, context, method, reporter)
    elif method.trained or not context.materials.task.kind.class_logits:
        run_trial(trial, folder, context, reporter, _network_factory(method))
    else:
        run_untrained(trial, folder, context, method)


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
                    _run(trial, folder, blind_context, method, Relay(name))
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
