"""Methods of other libraries: what they are given, what it costs, and how they are scored like the rest.

They get the checkpoint, the labelled texts of source and target, and the prefix that all methods read before a text,
and know nothing of frozen states, pairs or the rest of a recipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Protocol

import torch

from ..backbones import LayerStack
from ..backbones.checkpoint_files import checkpoint_folder
from ..core.errors import LingraftError, RunError
from ..core.examples import Example
from ..core.files import write_lines
from ..core.progress import Advance, Reporter
from ..core.records import Prediction, Trial
from ..recipe.settings import Recipe
from ..runs.counted_work import TrialWork
from ..runs.folder import trials_of
from ..runs.identity import Identity
from ..runs.workload import Tokenised, tokens_by_example
from ..tasks.material import Draw, Materials
from ..training.pools import Context, draw_of
from .baselines import hf_trainer, setfit
from .baselines.libraries import Classifier, Given, Texts
from .methods import Method
from .scoring import score_trial


class ImpossibleError(LingraftError):
    """A method that is nothing for this kind of task."""


class CountSteps(Protocol):
    """Says how many steps a library takes for labelled texts, left to itself."""

    def __call__(self, targets: Sequence[int], *, batch_size: int, epochs: int) -> int:
        """Return the steps."""
        ...


@dataclass(frozen=True)
class Library:
    """How a library trains, and what is to be known of it before.

    Attributes:
        train: Does it.
        count_steps: Says how long that would be.
        texts: Read for each of what a batch counts.
        pairs: Whether it takes pairs of texts.
        packages: Whose versions decide the numbers.
    """

    train: Callable[[Given, Advance], Classifier]
    count_steps: CountSteps
    texts: int
    pairs: bool
    packages: tuple[str, ...]


LIBRARIES: Mapping[str, Library] = {
    "hf-trainer": Library(hf_trainer.train, hf_trainer.count_steps, 1, pairs=True, packages=("transformers",)),
    "setfit": Library(
        setfit.train, setfit.count_steps, 2, pairs=False, packages=("setfit", "sentence-transformers", "transformers")
    ),
}


def refuse_impossible(method: Method, materials: Materials) -> None:
    """Refuse a kind of task that the library of a method has no classifier for.

    Raises:
        ImpossibleError: It is one.
    """
    kind = materials.task.kind
    if not kind.class_logits:
        raise ImpossibleError(f"{method.network} is run for classification of texts, and this is {kind.name}")
    if materials.paired and not LIBRARIES[method.network].pairs:
        raise ImpossibleError(f"{method.network} classifies single texts, and these are pairs")


def leave_to_library(context: Context) -> None:
    """Give back the memory of the frozen model: a library loads its own, and computes with it in float32."""
    context.backbone.stack.to("meta")
    context.backbone.stack.precision = "float32"


def without_precision(identity: Identity) -> Identity:
    """Return what a library's trial was made of: the precision of our products is no part of it."""
    return {what: digest for what, digest in identity.items() if what != "precision"}


def run_peer(trial: Trial, folder: Path, context: Context, method: Method, reporter: Reporter) -> None:
    """Let a library learn what a trial's draw has labels of, predict, and score; files as after a training.

    Args:
        trial: Shots, draw and seed.
        folder: Of the method.
        context: What all trials share; pools are not looked at.
        method: Whose network is one of :data:`LIBRARIES`.
        reporter: Told of the steps.

    Raises:
        RunError: The training diverged.
    """
    library, given = LIBRARIES[method.network], _given(trial, context, method)
    steps = _steps(library, given.targets, context.recipe, method)
    started = time.monotonic()
    with reporter.task(f"training {trial.name}", steps) as advance:
        learnt = library.train(given, advance)
    facts = {"seconds": time.monotonic() - started, "trained": learnt.trained}
    write_lines(
        folder / "trials" / trial.name / "training.jsonl",
        [{"trial": trial.name, "epoch": context.recipe.train.num_train_epochs, "step": learnt.steps}],
    )
    score_trial(trial, folder, context, method.name, partial(_answer, learnt, context, method), facts)


def describe_versions(method: Method) -> str:
    """Name the packages that a method's numbers depend on: ``setfit 1.2.0, transformers 5.3.0``."""
    return ", ".join(f"{name} {version(name)}" for name in LIBRARIES[method.network].packages)


def count_work(method: Method, materials: Materials, tokenised: Tokenised, stack: LayerStack) -> list[TrialWork]:
    """Return what each trial of a method does: steps, tokens in them, and tokens that are read besides.

    Args:
        method: Whose network is one of :data:`LIBRARIES`.
        materials: What it learns from and is tested on.
        tokenised: The texts as tokens, by language and purpose.
        stack: The layers of the backbone, of which only shapes are asked.
    """
    library, recipe, task = LIBRARIES[method.network], method.recipe, materials.task
    tokens = {key: tokens_by_example(rows) for key, rows in tokenised.items()}
    asked = sum(sum(found.values()) for (_, purpose), found in tokens.items() if purpose != "learn")
    trained = sum(parameter.numel() for parameter in stack.parameters())

    def work(trial: Trial) -> TrialWork:
        draw = next(one for one in materials.draws if (one.k, one.draw) == (trial.k, trial.draw))
        lengths = [tokens[task.source_language, "learn"][one.id] for one in draw.labelled]
        lengths += [tokens[code, "learn"][shot.id] for code, shots in draw.shots.items() for shot in shots]
        targets = [task.labels.index(str(one.gold)) for one in labelled_texts(draw)]
        steps = _steps(library, targets, recipe, method)
        per_step = library.texts * min(recipe.train.batch_size, len(targets))
        learnt = round(steps * per_step * sum(lengths) / max(1, len(lengths)))
        return TrialWork(trial, (), steps, learnt, 0, 0, 0, asked + sum(lengths), trained, {})

    return [work(trial) for trial in trials_of(recipe)]


def labelled_texts(draw: Draw) -> list[Example]:
    """Return what a draw has labels of: the source's labelled examples, then each target language's shots."""
    return [*draw.labelled, *(shot for shots in draw.shots.values() for shot in shots)]


def _given(trial: Trial, context: Context, method: Method) -> Given:
    """Return what the library gets; in an order of its own where the recipe varies that apart from the seed."""
    recipe, task = context.recipe, context.materials.task
    examples = labelled_texts(draw_of(trial, context))
    if trial.order is not None:
        Random(trial.order).shuffle(examples)
    return Given(
        folder=checkpoint_folder(recipe.backbone.checkpoint),
        texts=_texts(examples, context),
        targets=[task.labels.index(str(example.gold)) for example in examples],
        classes=len(task.labels),
        max_length=recipe.backbone.max_length,
        learning_rate=recipe.train.backbone_learning_rate,
        batch_size=recipe.train.batch_size,
        epochs=recipe.train.num_train_epochs,
        max_steps=method.options["max_steps"],
        seed=trial.seed,
        device=context.device,
    )


def _steps(library: Library, targets: Sequence[int], recipe: Recipe, method: Method) -> int:
    """Return how many steps the library will take."""
    own = library.count_steps(targets, batch_size=recipe.train.batch_size, epochs=recipe.train.num_train_epochs)
    return min(own, method.options["max_steps"] or own)


def _texts(examples: Sequence[Example], context: Context) -> list[Texts]:
    """Return the texts of examples as all methods read them: a pair has the prefix before its first text."""
    prefix = context.backbone.text_prefix
    return [(prefix + first, *rest) for first, *rest in (example.texts for example in examples)]


def _answer(
    learnt: Classifier, context: Context, method: Method, language: str, purpose: str, examples: Sequence[Example]
) -> list[Prediction]:
    """Predict examples with what was learnt.

    Raises:
        RunError: It answers with no numbers.
    """
    task, backbone = context.materials.task, context.backbone
    logits = learnt.logits(_texts(examples, context))
    if not bool(torch.isfinite(logits).all()):
        rate = context.recipe.train.backbone_learning_rate
        raise RunError(f"{method.name}: the training diverged; try a learning rate below {rate:g}, {method.rate}")
    length = context.recipe.backbone.max_length
    features = task.kind.encode(examples, backbone.tokenizer, length, backbone.text_prefix)
    return task.kind.decode(examples, features, list(logits))
