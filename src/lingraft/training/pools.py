"""What all trials of a run share, and what each language learns from in one of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..backbones.encoding import Encoded
from ..backbones.loading import Backbone
from ..core.examples import Example
from ..core.records import IDS, Features, Trial
from ..data.sampling import rank
from ..model.standardiser import Standardiser
from ..recipe.settings import PseudoSettings, Recipe, TrainSettings
from ..tasks import Task
from ..tasks.kinds import Kind
from ..tasks.material import Draw, Materials, Pair
from .alignment.word_aligner import token_aligner
from .alignment_terms import AlignmentTerms
from .batches import Pool
from .copies import cells_of, copies_by_turn

Pools = Mapping[tuple[str, str], Encoded]
"""Frozen states by language and purpose: ``learn``, ``dev`` (source language only), ``test``."""


@dataclass(frozen=True)
class Context:
    """What all trials of a recipe share."""

    recipe: Recipe
    materials: Materials
    backbone: Backbone
    cut: int
    pools: Pools
    device: torch.device

    def from_ids(self) -> Context:
        """Return the same pools as batches of token ids, which go through all layers."""
        padding = self.backbone.stack.padding_id
        return replace(self, cut=IDS, pools={key: encoded.from_ids(padding) for key, encoded in self.pools.items()})


@dataclass(frozen=True)
class TrialPools:
    """What one trial learns from: its draw, and the pool of each language that has something in it."""

    trial: Trial
    draw: Draw
    source: Pool
    targets: tuple[Pool, ...]
    standardiser: Standardiser
    """Of the frozen states of the source language's labelled examples."""
    copies: tuple[Pool, ...] = ()
    """Code-switched copies of these examples, which are to get the same answers."""


def pools_of(trial: Trial, context: Context) -> TrialPools:
    """Return what a trial learns from."""
    draw = draw_of(trial, context)
    source, targets = learning_pools(draw, context)
    states = torch.cat([state.view(-1, context.backbone.stack.width) for state in source.teacher.values()])
    return TrialPools(trial, draw, source, tuple(targets), Standardiser.fit(states), copy_pools(draw, context))


def draw_of(trial: Trial, context: Context) -> Draw:
    """Return what a trial learns from, as it was drawn."""
    return next(draw for draw in context.materials.draws if (draw.k, draw.draw) == (trial.k, trial.draw))


def with_translations(pool: Pool, draw: Draw, alignment: AlignmentTerms, context: Context) -> Pool:
    """Add the source side of its pairs to a target's pool, for losses that compare words or predictions.

    Args:
        pool: Of a target language.
        draw: Whose pairs they are.
        alignment: What the losses need.
        context: What all trials share.
    """
    pairs = {target.id: source.id for source, target in draw.pairs[pool.language] if target.id in pool.teacher}
    if not pairs or not (alignment.needs_teacher_forward or alignment.needs("predictions")):
        return pool
    english = context.pools[context.materials.task.source_language, "learn"]
    pool = replace(pool, source=english, translations=pairs)
    return (
        replace(pool, word_alignments=align_words_of_pairs(pool, context))
        if alignment.needs("word_alignment")
        else pool
    )


def align_words_of_pairs(pool: Pool, context: Context) -> dict[str, Tensor]:
    """Align the tokens of each pair, from frozen states: target id to ``[K, 2]`` (source position, target position)."""
    assert pool.source is not None
    sides = ((pool.source, list(pool.translations.values())), (pool.encoded, list(pool.translations)))
    ids = ([side.features[side.row[i]].input_ids for i in names] for side, names in sides)
    align = token_aligner(context.backbone, context.device, max_bytes=int(context.recipe.cache.max_gigabytes * 1e9))
    return dict(zip(pool.translations, align(list(zip(*ids, strict=True))), strict=True))


def learning_pools(draw: Draw, context: Context) -> tuple[Pool, list[Pool]]:
    """Gather what each language learns from in a draw; the teacher is the frozen source side of a pair."""
    task, pools = context.materials.task, context.pools
    english = pools[task.source_language, "learn"]
    labelled = [example.id for example in labelled_in_source(draw, context.recipe.train.max_pairs)]
    pseudo = context.recipe.pseudo
    source = Pool(
        language=task.source_language,
        encoded=english,
        ids=tuple(labelled),
        labelled=frozenset(labelled if pseudo is None or pseudo.gold else ()),
        collate=task.kind.collate,
        teacher=_own_states(english, labelled),
        is_source=True,
    )
    targets = []
    also = only_mapped(context.materials, context.recipe)
    for learnt in learnt_languages(draw, task, context.recipe.train.max_pairs, also):
        teacher = english.pooled([pair[0].id for pair in learnt.pairs]) if learnt.pairs else ()
        targets.append(
            Pool(
                language=learnt.language,
                encoded=pools[learnt.language, "learn"],
                ids=learnt.ids,
                labelled=learnt.labelled,
                collate=task.kind.collate,
                teacher={pair[1].id: vector for pair, vector in zip(learnt.pairs, teacher, strict=True)},
                weights={example.id: example.weight for example in learnt.pseudo},
                gold_weight=context.recipe.train.shot_weight,
                repeated=tuple(example.id for example in learnt.shots),
                repeats=repeats_of(learnt, task.kind, context.recipe.train),
                early=learnt.made if are_early(learnt, task.kind, pseudo) else frozenset(),
            )
        )
    return source, targets


def labelled_in_source(draw: Draw, max_pairs: int | None) -> tuple[Example, ...]:
    """Return what the source language has labels of: its labelled examples, and the translations of shots."""
    pairs = {language: pairs_to_learn(draw, language, max_pairs) for language in draw.pairs}
    return (*draw.labelled, *draw.labelled_sides(pairs))


@dataclass(frozen=True)
class Learnt:
    """What a target language is learnt from in a draw."""

    language: str
    pairs: tuple[Pair, ...]
    shots: tuple[Example, ...]
    pseudo: tuple[Example, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that are learnt from once an epoch: target sides of pairs, then what has labels and is none."""
        labelled = (example.id for example in (*self.shots, *self.pseudo))
        return tuple(dict.fromkeys([*(pair[1].id for pair in self.pairs), *labelled]))

    @property
    def labelled(self) -> frozenset[str]:
        """The ids whose label is known here."""
        return frozenset(example.id for example in (*self.shots, *self.pseudo))

    @property
    def made(self) -> frozenset[str]:
        """The ids of pseudo-data."""
        return frozenset(example.id for example in self.pseudo)


def repeats_of(learnt: Learnt, kind: Kind, settings: TrainSettings) -> int | None:
    """Return how many times more than once an epoch the labelled examples of a language are seen.

    Where nothing was set, a kind that reads tokens sees them in half of the language's batches (None): its few labelled
    sentences drown among pairs and examples that nobody labelled (docs/results/tokens.md).

    Args:
        learnt: What the language is learnt from.
        kind: Of the task.
        settings: How it is trained.
    """
    if not learnt.shots or settings.shot_repeats is not None:
        return settings.shot_repeats if learnt.shots else 0
    return None if kind.per_token else 0


def are_early(learnt: Learnt, kind: Kind, pseudo: PseudoSettings | None) -> bool:
    """Return whether made examples are learnt from in the first half of the epochs alone.

    Where nothing was set, that is where tokens are read and people labelled some of the language: what is made has tags
    and answers that a few sentences by people do not outvote (docs/results/tokens.md).

    Args:
        learnt: What the language is learnt from.
        kind: Of the task.
        pseudo: What the recipe says of made examples, if anything.
    """
    if pseudo is None or pseudo.early is None:
        return kind.per_token and bool(learnt.shots)
    return pseudo.early and bool(learnt.shots or learnt.pairs)


def only_mapped(materials: Materials, recipe: Recipe) -> Collection[str]:
    """Return languages for which unlabelled texts are enough: where nothing is trained, a map is all they get."""
    return materials.unpaired if recipe.train.num_train_epochs == 0 else ()


def learnt_languages(draw: Draw, task: Task, max_pairs: int | None, also: Collection[str] = ()) -> list[Learnt]:
    """Return the target languages that a draw has something of to learn from, in the order of the task.

    These alone get parts of their own; the others are read with the task's.

    Args:
        draw: Pairs and shots.
        task: Names the languages.
        max_pairs: How many pairs of each are learnt from; None for all.
        also: Languages that neither is needed of.
    """
    found = [
        Learnt(language, pairs_to_learn(draw, language, max_pairs), draw.shots[language], draw.pseudo.get(language, ()))
        for language in task.target_languages
    ]
    return [learnt for learnt in found if learnt.ids or learnt.language in also]


def copy_pools(draw: Draw, context: Context) -> tuple[Pool, ...]:
    """Return the code-switched copies of the source examples, a pool for each language and number."""
    task, found = context.materials.task, []
    english = context.pools[task.source_language, "learn"]
    for language, copies in copies_by_turn(draw):
        encoded = context.pools[language, "learn"]
        copy_of = {i: copy.example.id for i, copy in copies.items()}
        found.append(
            Pool(
                language=language,
                encoded=encoded,
                ids=tuple(copy_of.values()),
                labelled=frozenset(),
                collate=task.kind.collate,
                teacher={},
                copy_of=copy_of,
                cells={
                    i: cells_of(task.kind, _rows(english, i), _rows(encoded, copy_of[i]), copy.places)
                    for i, copy in copies.items()
                },
            )
        )
    return tuple(found)


def _rows(encoded: Encoded, example: str) -> list[Features]:
    return [encoded.features[row] for row in encoded.rows[example]]


def _own_states(encoded: Encoded, ids: Sequence[str]) -> dict[str, Tensor]:
    """Return the frozen state of each example, ``[H]``; of each of its rows, ``[rows, H]``, where it has several."""
    rows = [encoded.rows[i] for i in ids]
    states = torch.split(encoded.table.pooled_rows([row for own in rows for row in own]), [len(own) for own in rows])
    return {i: own[0] if len(own) == 1 else own for i, own in zip(ids, states, strict=True)}


def pairs_to_learn(draw: Draw, language: str, count: int | None) -> tuple[Pair, ...]:
    """Return the pairs of a language that are learnt from; the first ``count`` in the order of the draw."""
    pairs = draw.pairs[language]
    if count is None or count >= len(pairs):
        return pairs
    return tuple(sorted(pairs, key=lambda pair: rank(draw.draw, "pairs", pair[0].group))[:count])
