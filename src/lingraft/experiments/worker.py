"""One method of a comparison, trained and scored in a process of its own.

So its peak memory is its own, and whatever it leaves behind is gone when it ends. The process reads
a recipe and a method's name as JSON from standard input, and reports how it goes in JSON lines on
standard output: ``share`` of a trial that is done, ``error``, ``impossible``; or, where nothing is to be trained,
``identities``.
"""

from __future__ import annotations

import hashlib
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
from ..core.files import write_json
from ..core.memory import forget_peak, peak_bytes
from ..core.progress import Advance, Reporter
from ..core.records import Trial
from ..core.signals import ending_in_order
from ..core.version import source_revision
from ..model.heads import build_head
from ..recipe.parsing import parse_recipe
from ..recipe.settings import Recipe
from ..runs.folder import open_run_folder, trials_of
from ..runs.identity import Identity, note_identity, refuse_changed, trial_identities
from ..runs.letter_counts import write_letter_counts
from ..runs.preparation import gather_made, prepare
from ..runs.pseudo_data import NAME as PSEUDO
from ..runs.summary import prove_frozen
from ..tasks.material import Materials
from ..training.finished import drop_state, is_finished, read_facts
from ..training.frozen_head import HEAD_FACTOR, Before
from ..training.pools import Context, TrialPools
from ..training.trial import NetworkFactory, run_trial
from .baselines.peft import METHODS as PEFT
from .baselines.peft import PeftNetwork, PeftUnsupportedError, as_graft, keep_layers, peft_network
from .facts import method_facts, note_memory
from .label_words import check_words, needs_decoder, refuse_speechless, run_label_words
from .methods import LABEL_WORDS, Method, list_methods
from .peers import ImpossibleError, leave_to_library, run_peer, without_precision
from .possible import refuse_kind, refuse_untested
from .untrained import run_untrained


def main(asked: TextIO = sys.stdin) -> None:
    """Do what standard input asks for."""
    source_revision()  # the source that this process runs, whatever is committed while it does
    wanted = json.load(asked)
    try:
        recipe = parse_recipe(wanted["recipe"])
        methods = [one for one in list_methods(recipe) if one.name in wanted["names"]]
        for method in methods:
            if wanted["do"] == "identify":
                tell(name=method.name, identities=identify(method, recipe))
            elif wanted["do"] == "encode":
                prepare(with_shared_lexicon(method, recipe), Relay("encoding"))
            else:
                run_method(method, recipe, tested=wanted["tested"])
    except (PeftUnsupportedError, ImpossibleError) as error:
        tell(impossible=str(error))
    except LingraftError as error:
        tell(error=str(error))
        sys.exit(1)


def identify(method: Method, whole: Recipe) -> dict[str, Identity]:
    """Return what each trial of a method is made of, by its name, once what is mined and made for it is there."""
    own = with_shared_lexicon(method, whole)
    relay, writing = Relay("gathering"), needs_decoder(method)
    materials, backbone_there = gather_made(own, own.output_dir, PSEUDO, relay, writing=writing)
    found = identities_of(method, method.recipe, materials, backbone_there()[0])
    return {trial.name: identity for trial, identity in found.items()}


def run_method(method: Method, whole: Recipe, *, tested: bool = True) -> None:
    """Choose the learning rate, then train and score every trial; ``method.json`` of the folder appears last.

    Args:
        method: The method.
        whole: The recipe of the comparison.
        tested: Whether trials are scored on the test sets, and not on the source language's development set alone.
    """
    encoded = not _is_trained(method, whole)
    context, card = prepare_method(method, whole, Relay("encoding"), tested=tested, encoded=encoded)
    for rate in rates_to_try(method):
        run = tuning_run(method, rate, whole)
        with open_run_folder(run.output_dir, run) as folder:
            _continue_rate(rate, run, folder, context, method)
    tried = scores_of_rates(method, whole)
    chosen = chosen_rate(method, tried)
    recipe = method.recipe_at(chosen)
    with open_run_folder(recipe.output_dir, recipe) as folder:
        trials, context = trials_of(recipe), with_recipe(context, recipe, method)
        identities = identities_of(method, recipe, context.materials, context.backbone)
        refuse_changed(folder, trials, identities)
        write_json(folder / "data.json", card)
        write_letter_counts(folder, context.materials)
        for trial in trials:
            if is_finished(folder, trial):
                drop_state(folder, trial)
            else:
                run_identified(trial, folder, context, method, identities[trial], Relay(trial.name))
                note_memory(folder / "memory.json", peak_bytes())
            tell(trial=trial.name, share=1.0)
        if not method.is_peer:
            prove_frozen(context.backbone)
        facts = method_facts(method, folder, context, tried, chosen, _epochs_of_rates(whole))
        write_json(folder / "method.json", facts)


def _is_trained(method: Method, whole: Recipe) -> bool:
    """Return whether a method's rates are tried and its trials are finished, so that no frozen states are needed."""
    runs = [tuning_run(method, rate, whole) for rate in rates_to_try(method)]
    tried = all(is_finished(run.output_dir, trials_of(run)[0]) for run in runs)
    return tried and all(is_finished(method.recipe.output_dir, trial) for trial in trials_of(method.recipe))


def prepare_method(
    method: Method, whole: Recipe, reporter: Reporter, *, tested: bool = True, encoded: bool = True
) -> tuple[Context, dict[str, Any]]:
    """Prepare what the trials of a method share.

    Args:
        method: The method.
        whole: The recipe of the comparison.
        reporter: What reports how it goes.
        tested: Whether there are test sets.
        encoded: Whether something is to be trained; a library's methods need no frozen states even then.

    Returns:
        What they share, and the content of ``data.json``.

    Raises:
        ImpossibleError: The method is nothing for this kind of task.
        RunError: There is nothing to compare on.
    """
    own = with_shared_lexicon(method, whole)
    needed = encoded and method.needs_states
    context, card, _ = prepare(own, reporter, tested=tested, encoded=needed, writing=needs_decoder(method))
    if tested:
        refuse_untested(context.materials)
    refuse_kind(method, context.materials)
    if method.network == LABEL_WORDS:
        refuse_speechless(context)
        check_words([method], context.materials)
    if method.network in PEFT:
        context = context.from_ids()
    if method.is_peer:
        leave_to_library(context)
    return context, card


def with_recipe(context: Context, recipe: Recipe, method: Method) -> Context:
    """Return what trials share, with the recipe that they are trained by."""
    if method.network == "frozen-head":  # a head that is trained alone: nothing comes before it
        alone = {"warm_start": False, "learning_rate": HEAD_FACTOR * recipe.train.learning_rate}
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update=alone)})
    return replace(context, recipe=recipe)


def identities_of(
    method: Method, recipe: Recipe, materials: Materials, backbone: loading.Backbone
) -> dict[Trial, Identity]:
    """Return what each trial of a method is made of, by a recipe with its learning rate."""
    found = trial_identities(trials_of(recipe), recipe, materials, backbone)
    if method.network == LABEL_WORDS:  # what is asked is a setting of the comparison, not of the trials' recipe
        asked = hashlib.sha256(json.dumps(method.options, sort_keys=True).encode()).hexdigest()
        found = {trial: {**one, "label words": asked} for trial, one in found.items()}
    return {trial: without_precision(one) if method.is_peer else one for trial, one in found.items()}


def run_identified(
    trial: Trial, folder: Path, context: Context, method: Method, identity: Identity, reporter: Reporter
) -> None:
    """Train and score a trial, after what it is made of is written down; memory is measured from here on."""
    note_identity(folder, trial, identity)
    forget_peak()
    _run(trial, folder, context, method, reporter)


def _run(trial: Trial, folder: Path, context: Context, method: Method, reporter: Reporter) -> None:
    """Train or fit, predict and score one trial of whichever method it is."""
    if method.is_peer:
        run_peer(trial, folder, context, method, reporter)
    elif method.network == LABEL_WORDS:
        run_label_words(trial, folder, context, method)
    elif method.trained or not context.materials.task.kind.fitted:
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


def rates_to_try(method: Method) -> tuple[float, ...]:
    """Return the learning rates to choose from; none where there is no choice."""
    return method.rates if len(method.rates) > 1 and method.trained else ()


def _epochs_of_rates(whole: Recipe) -> int:
    return whole.compare.tuning_epochs if whole.compare else 1


def tuning_run(method: Method, rate: float, whole: Recipe) -> Recipe:
    """Return the recipe of the few epochs that a learning rate is tried for, in a folder of its own."""
    tried = method.at_rate(rate, num_train_epochs=_epochs_of_rates(whole)).network_alone()
    return tried.model_copy(update={"output_dir": whole.output_dir / "tuning" / method.name / f"{rate:g}"})


def _continue_rate(rate: float, run: Recipe, folder: Path, context: Context, method: Method) -> None:
    """Try a learning rate, unless that is done."""
    trial = trials_of(run)[0]
    if is_finished(folder, trial):
        drop_state(folder, trial)
    else:
        name = f"rate {rate:g}"
        try_rate(run, folder, context, method, Relay(name))
        tell(trial=name, share=1.0)


def try_rate(run: Recipe, folder: Path, context: Context, method: Method, reporter: Reporter) -> None:
    """Score a learning rate on the source development set, after few epochs; a loss that diverged is noted as that."""
    trial, blind = trials_of(run)[0], context.materials.without_tests()
    try:
        _run(trial, folder, replace(context, recipe=run, materials=blind), method, reporter)
    except RunError as error:
        note = {"name": trial.name, "dev_score": None, "error": str(error)}
        write_json(folder / "trials" / trial.name / "trial.json", note)


def scores_of_rates(method: Method, whole: Recipe) -> dict[float, float | None]:
    """Return what each learning rate reached that was tried; None where the loss diverged."""
    runs = {rate: tuning_run(method, rate, whole) for rate in rates_to_try(method)}
    return {rate: read_facts(run.output_dir, trials_of(run)[0].name).get("dev_score") for rate, run in runs.items()}


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
        return keep_layers(loading.load_encoder(checkpoint), stack)

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
