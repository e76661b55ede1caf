"""A training of seconds: a few batches of two languages, a small model, and what is looked at during and after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lingraft.backbones.walk import frozen_pooled, states_at
from lingraft.core.records import Batch
from lingraft.model.adaptation import build_adaptation
from lingraft.model.freezing import Phase
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.model.standardiser import Standardiser
from lingraft.recipe.blocks import Block, WeightedBlock
from lingraft.recipe.settings import TrainSettings
from lingraft.tasks.kinds import NO_LABEL
from lingraft.tasks.kinds.classification import cross_entropy
from lingraft.training.alignment_terms import AlignmentTerms, fit_standardisers
from lingraft.training.loop import Hooks, train
from lingraft.training.losses import Objective

CPU = torch.device("cpu")
SOURCE, TARGET = "eng-Latn", "yor-Latn"
STEPS = 3  # an epoch
EPOCHS = 4
PROMPT = {"name": "deep", "length": 2, "language_length": 2}
ADAPTER = {"name": "bottleneck", "width": 4, "language_width": 4, "dropout": 0.3}


def task_loss(logits, targets, mask, rows):
    """Cross-entropy of two classes that count alike."""
    return cross_entropy(logits, targets, mask, torch.ones(2), rows)


def small_world(stack, *, cut=1, steps=STEPS):
    """Steps of an epoch: texts of class 0 hold words 5 to 12, of class 1 words 13 to 20, translations 16 further.

    Of the four target texts the second is a labelled shot, the others have the source side of their pair.
    """
    generator = torch.Generator().manual_seed(0)

    def texts(count, label, shift=0):
        return [
            [1, *(torch.randint(0, 8, (4,), generator=generator) + 5 + 8 * label + shift).tolist(), 2]
            for _ in range(count)
        ]

    def batch(language, ids, targets, has_teacher):
        translated = [[i - 16 if i > 20 else i for i in text] for text in ids]
        with torch.no_grad():
            teacher = frozen_pooled(stack, states_at(translated, stack, 0, CPU))
        is_source = language == SOURCE
        pairs = [text for text, known in zip(translated, has_teacher, strict=True) if known]
        return Batch(
            states_at(ids, stack, cut, CPU),
            language,
            torch.tensor(targets),
            teacher,
            torch.tensor(has_teacher),
            is_source=is_source,
            weights=torch.full((len(ids),), 1.0 if is_source else TrainSettings().shot_weight),
            source=None if is_source else states_at(pairs, stack, cut, CPU),
            # Word for word, the first of each text left out.
            word_alignment=None
            if is_source
            else torch.tensor([[row, i, i] for row in range(len(pairs)) for i in (2, 3, 4)]),
        )

    found = []
    for _ in range(steps):
        source = batch(SOURCE, texts(4, 0) + texts(4, 1), [0] * 4 + [1] * 4, [True] * 8)
        labels, has_teacher = [NO_LABEL, 0, NO_LABEL, NO_LABEL], [True, False, True, True]
        target = batch(TARGET, texts(2, 0, 16) + texts(2, 1, 16), labels, has_teacher)
        found.append((source, target))
    return found


def small_model(stack, *, cut=1, prompt=PROMPT, adapter=ADAPTER, unfrozen=(), seed=7, **options):
    """A fresh model, always the same one; ``options`` are the adapter's."""
    torch.manual_seed(seed)
    adaptation = build_adaptation(
        prompt=Block.model_validate(prompt) if prompt else None,
        adapter=Block.model_validate(adapter | options) if adapter else None,
        stack=stack,
        cut=cut,
        languages=[TARGET],
        head=LinearClassifier(stack.width, 2),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
        unfrozen=unfrozen,
    )
    return GraftedModel(stack, adaptation)


def small_transfer(stack, world, *blocks):
    """Alignment losses standardised by the source texts; by default squared distance at the top."""
    wanted = [WeightedBlock.model_validate(block) for block in blocks or ({"name": "mse"},)]
    standardisers = {stack.num_layers: Standardiser.fit(torch.cat([source.teacher for source, _ in world]))}
    layers = sorted({block.layer for block in wanted if block.layer} - set(standardisers))
    if layers:
        bare = small_model(stack, prompt=None, adapter=None)
        standardisers |= fit_standardisers(bare, [source.states for source, _ in world], layers)
    return AlignmentTerms(wanted, standardisers, SOURCE)


def small_settings(**changes):
    """Few epochs, fast."""
    return TrainSettings(**{"num_train_epochs": EPOCHS, "learning_rate": 1e-2, "average_last": 2} | changes)


@dataclass(frozen=True)
class SmallCourse:
    """The steps of a training: by epoch, or the same ones, from another on each time."""

    world: Sequence[Any]
    settings: TrainSettings
    seed: int = 5
    by_epoch: Callable[[int], Sequence[Any]] | None = None

    @property
    def epochs(self):
        """As the settings say."""
        return self.settings.num_train_epochs

    def epoch(self, epoch):
        """Its steps."""
        if self.by_epoch is not None:
            return self.by_epoch(epoch)
        count = len(self.world)
        return [lambda i=(i + epoch) % count: self.world[i] for i in range(count)]


def trained(model, world, terms, *, settings=None, seed=5, epochs=None, phases=None, state=None, **hooks):
    """Train, and return the parameters and the history; ``epochs`` gives the steps where not always ``world``."""
    settings = settings or small_settings()
    history = train(
        model,
        SmallCourse(world, settings, seed, epochs),
        Objective(task_loss, terms, settings.source_regularisation),
        phases=phases or (Phase(),),
        state=state,
        hooks=Hooks(**hooks),
    )
    return parameters(model), history


def parameters(model):
    """Copies of the trained parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.adaptation.named_parameters()}


def assert_same(one, other):
    """Bit for bit."""
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def shaken(model, seed=3, size=1.0):
    """The model with all its trained parameters moved away from where they begin."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.adaptation.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return model
