"""Which texts meet in which step.

A step joins labelled source examples with the sentences of one target language: pairs (with the
teacher's state) and labelled shots, each seen once an epoch: a network that sees a few shots at every step
soon overfits them. Where copies of the source examples are to get the same answers, those in one language are in
the step that has the originals; languages take turns. The order is a function of seed and epoch alone, so a resumed
run sees what an uninterrupted one would have seen. Texts of similar length share a batch: padding
doubled the tokens otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..backbones.encoding import Encoded
from ..core.records import Batch, Target
from ..recipe.settings import TrainSettings
from ..tasks.kinds.classification import collate_classes
from .copies import Cells, match

BUCKET = 8  # batches that are sorted by length together

Step = Callable[[], tuple[Batch, ...]]
"""Reads its batches when called, so that skipping a finished step costs nothing."""


class Sampled(Protocol):
    """What an order has to know of what is learnt from in a language; a :class:`Pool` knows it."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that are learnt from once an epoch."""
        ...

    @property
    def labelled(self) -> Collection[str]:
        """The ids whose targets are known."""
        ...

    @property
    def longest(self) -> Mapping[str, int]:
        """Tokens of the longest row of each id."""
        ...

    @property
    def copy_of(self) -> Mapping[str, str]:
        """The id of each source example's copy, where it holds copies."""
        ...

    @property
    def repeated(self) -> Sequence[str]:
        """The ids that are seen again, in batches of their own."""
        ...

    @property
    def repeats(self) -> int | None:
        """How many times more an epoch; None for as often as fills half of the batches."""
        ...

    @property
    def early(self) -> Collection[str]:
        """The ids that are learnt from in the first half of the epochs alone."""
        ...


P = TypeVar("P", bound=Sampled)

Composition: TypeAlias = tuple[tuple[P, list[str]], ...]
"""What a step reads: the ids of each of its batches, and whose they are."""


@dataclass(frozen=True)
class Pool:
    """What is learnt from in one language.

    ``ids`` are seen once an epoch; ``labelled`` are those whose targets are known here, and
    ``collate`` makes a tensor of them (see :class:`lingraft.tasks.kinds.Kind`); ``teacher`` has the
    state ``[H]`` of those that have one (``[rows, H]``, one for each of several rows). Where a loss needs
    more of the teacher, ``source`` are the source language's states, ``translations`` the id of each
    pair's source side and ``word_alignments`` the aligned words ``[K, 2]`` (source position, target position).
    Of copies of source examples, ``copy_of`` has the id of each one's copy and ``cells`` what corresponds, both by the
    id of the original.

    In the task loss an example counts ``weights[id]`` or, where people labelled it, ``gold_weight``.
    Those of ``repeated`` are seen ``repeats`` times more an epoch, in batches of their own (None for as often as fills
    half of the batches), those of ``early`` in the first half of the epochs alone.
    """

    language: str
    encoded: Encoded
    ids: tuple[str, ...]
    labelled: Collection[str]
    teacher: Mapping[str, Tensor]
    is_source: bool = False
    source: Encoded | None = None
    translations: Mapping[str, str] = field(default_factory=dict)
    word_alignments: Mapping[str, Tensor] = field(default_factory=dict)
    collate: Callable[[Sequence[Target | None], int], Tensor] = collate_classes
    weights: Mapping[str, float] = field(default_factory=dict)
    gold_weight: float = 1.0
    copy_of: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, Cells] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()
    repeats: int | None = 0
    early: frozenset[str] = frozenset()

    @property
    def targets(self) -> dict[str, Target]:
        """The known target of each id, of its first row where there are several; in the order of ``ids``."""
        found = {i: self.encoded.features[self.encoded.row[i]].target for i in self.ids if i in self.labelled}
        return {i: target for i, target in found.items() if target is not None}

    @cached_property
    def longest(self) -> dict[str, int]:
        """Tokens of the longest row of each id; batches are sorted by it."""
        lengths = self.encoded.lengths
        return {i: max(lengths[row] for row in rows) for i, rows in self.encoded.rows.items()}

    def batch(self, ids: Sequence[str], device: torch.device) -> Batch:
        """Read the states of ``ids``: all rows of each, one after the other."""
        encoded = self.encoded
        rows = [row for i in ids for row in encoded.rows[i]]
        states = encoded.batch(rows)
        ids = [encoded.features[row].example_id for row in rows]
        known_targets = [
            encoded.features[row].target if i in self.labelled else None for row, i in zip(rows, ids, strict=True)
        ]
        targets = self.collate(known_targets, states.mask.shape[1])
        known = torch.tensor([i in self.teacher for i in ids])
        teacher = torch.stack([self._teacher_state(row) for row in rows])
        translated = [i for i in ids if i in self.translations]
        source = self.source
        beside = (
            source.table.batch([source.row[self.translations[i]] for i in translated])
            if source and translated
            else None
        )
        aligned = [
            F.pad(self.word_alignments[i], (1, 0), value=row)
            for row, i in enumerate(translated)
            if i in self.word_alignments
        ]
        return Batch(
            states,
            self.language,
            targets,
            teacher,
            known,
            is_source=self.is_source,
            source=beside,
            word_alignment=torch.cat(aligned) if aligned else None,
            weights=torch.tensor([self.weights.get(i, self.gold_weight) for i in ids]),
        ).to(device)

    def _teacher_state(self, row: int) -> Tensor:
        """Return the state that a row should agree with, zeros where there is none: ``[H]``."""
        feature = self.encoded.features[row]
        found = self.teacher.get(feature.example_id)
        if found is None:
            return torch.zeros(self.encoded.width)
        return found if found.dim() == 1 else found[feature.part]


@dataclass(frozen=True)
class Order:
    """The steps of a whole training: joint, or the source language first and then the targets."""

    source: Pool
    targets: tuple[Pool, ...]
    settings: TrainSettings
    seed: int
    device: torch.device
    copies: tuple[Pool, ...] = ()
    """Copies of the source examples, which take turns."""
    early_epochs: int | None = None
    """How many epochs early examples are learnt from; None for the first half."""

    @property
    def epochs(self) -> int:
        """How many epochs there are."""
        return count_epochs(self.targets, self.settings)

    @property
    def steps(self) -> int:
        """Steps in all."""
        return sum(len(self._composed(epoch)) for epoch in range(self.epochs))

    def epoch(self, epoch: int) -> list[Step]:
        """Return the steps of one epoch."""
        return [self._read(composition) for composition in self._composed(epoch)]

    def _composed(self, epoch: int) -> list[Composition[Pool]]:
        return compose_epoch(
            self.source,
            self.targets,
            self.settings,
            seed=self.seed,
            epoch=epoch,
            copies=self.copies,
            early_epochs=self.early_epochs,
        )

    def _read(self, composition: Composition[Pool]) -> Step:
        return lambda: tuple(self._batch(pool, ids, composition) for pool, ids in composition)

    def _batch(self, pool: Pool, ids: Sequence[str], composition: Composition[Pool]) -> Batch:
        batch = pool.batch(ids, self.device)
        if not pool.copy_of:
            return batch
        own = [i for one, together in composition if one is self.source for i in together]
        sources = [(i, len(self.source.encoded.rows[i])) for i in own]
        matching = match(sources, [(i, pool.cells[i]) for i in own if i in pool.copy_of])
        return replace(batch, matching=matching.to(self.device))


def count_epochs(targets: Sequence[Sampled], settings: TrainSettings) -> int:
    """Return the number of epochs; one after the other, source and targets each have their own."""
    one_by_one = settings.order == "sequential" and targets
    return settings.num_train_epochs * (2 if one_by_one else 1)


def half_of(epochs: int) -> int:
    """Return how many epochs are the first half of some, the middle one among them."""
    return -(-epochs // 2)


def compose_epoch(
    source: P,
    targets: Sequence[P],
    settings: TrainSettings,
    *,
    seed: int,
    epoch: int,
    copies: Sequence[P] = (),
    early_epochs: int | None = None,
) -> list[Composition[P]]:
    """Return what each step of an epoch reads; nothing is read yet.

    Args:
        source: What is learnt from in the source language.
        targets: The same of each target language.
        settings: Order and size of batches, number of epochs.
        seed: Of the order.
        epoch: From 0.
        copies: Copies of source examples, which take turns in the steps that have the originals.
        early_epochs: How many epochs early examples are learnt from; None for the first half.
    """
    rng = np.random.default_rng([seed, epoch])
    joint, epochs, size = settings.order == "joint", settings.num_train_epochs, settings.batch_size
    late = epoch % epochs >= (half_of(epochs) if early_epochs is None else early_epochs)
    if joint:
        composed = _joined(source, targets, size, rng, late=late)
    else:
        composed = _alone([source] if epoch < epochs else targets, size, rng, late=late)
    if not copies:
        return composed
    return [_with_copies(one, source, copies[(epoch + step) % len(copies)]) for step, one in enumerate(composed)]


def _with_copies(composition: Composition[P], source: P, copies: P) -> Composition[P]:
    """Add the copies of the source examples that are in a step, in their order."""
    made = [copies.copy_of[i] for pool, ids in composition if pool is source for i in ids if i in copies.copy_of]
    return (*composition, (copies, made)) if made else composition


def only_labelled(pools: Sequence[P]) -> list[tuple[P, tuple[str, ...]]]:
    """Return each of ``pools`` that has labels, with the ids that are labelled."""
    return [(pool, tuple(i for i in pool.ids if i in pool.labelled)) for pool in pools if pool.labelled]


def _joined(
    source: P, targets: Sequence[P], batch_size: int, rng: np.random.Generator, *, late: bool
) -> list[Composition[P]]:
    """Join every pair once, or every labelled example, whichever takes longer; the other side begins again."""
    wanted = [(pool, ids) for pool in targets for ids in _epoch_of(pool, batch_size, rng, late=late)]
    length = max(len(wanted), -(-len(source.ids) // batch_size))
    sources = islice(_endless(source, batch_size, rng), length)
    if not wanted:
        return [((source, ids),) for ids in sources]
    order = list(_repeated_permutation(len(wanted), length, rng))  # drawn before the sources are, which are lazy
    return [((source, ids), wanted[i]) for ids, i in zip(sources, order, strict=True)]


def _alone(pools: Sequence[P], batch_size: int, rng: np.random.Generator, *, late: bool) -> list[Composition[P]]:
    """Take each pool by itself: no step joins two languages."""
    wanted = [(pool, ids) for pool in pools for ids in _epoch_of(pool, batch_size, rng, late=late)]
    return [(wanted[i],) for i in rng.permutation(len(wanted))]


def _epoch_of(pool: Sampled, batch_size: int, rng: np.random.Generator, *, late: bool) -> list[list[str]]:
    """Return all ids in batches, and those that are seen more often in batches of their own; ``late``, none early."""
    ids = [i for i in pool.ids if i not in pool.early] if late and pool.early else pool.ids
    once = _shuffled_batches(ids, pool, batch_size, rng)
    repeats = count_repeats(pool, len(ids), batch_size)
    return once + [batch for _ in range(repeats) for batch in _shuffled_batches(pool.repeated, pool, batch_size, rng)]


def count_repeats(pool: Sampled, ids: int, batch_size: int) -> int:
    """Return how many times more than once the ids that are repeated are seen in an epoch of so many ids."""
    if pool.repeats is not None or not pool.repeated:
        return pool.repeats or 0
    return count_batches(ids - len(pool.repeated), batch_size) // count_batches(len(pool.repeated), batch_size)


def count_batches(examples: int, size: int) -> int:
    """Return how many batches some examples fill, the last one perhaps in part."""
    return -(-examples // size)


def _shuffled_batches(
    among: Sequence[str], pool: Sampled, batch_size: int, rng: np.random.Generator
) -> list[list[str]]:
    """Return some ids of a pool in batches of similar length, batches in random order."""
    ids = [among[i] for i in rng.permutation(len(among))]
    batches = []
    for start in range(0, len(ids), batch_size * BUCKET):
        bucket = sorted(ids[start : start + batch_size * BUCKET], key=pool.longest.__getitem__)
        batches += [bucket[at : at + batch_size] for at in range(0, len(bucket), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def batched(ids: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield ``ids`` in groups of ``size``, the last one shorter."""
    rest = iter(ids)
    while batch := tuple(islice(rest, size)):
        yield batch


def _endless(pool: Sampled, batch_size: int, rng: np.random.Generator) -> Iterator[list[str]]:
    while True:
        yield from _shuffled_batches(pool.ids, pool, batch_size, rng)


def _repeated_permutation(count: int, length: int, rng: np.random.Generator) -> Iterator[int]:
    passes = -(-length // count)
    return islice(chain.from_iterable(rng.permutation(count) for _ in range(passes)), length)
