"""What a recipe's trials will read and train: counted by the functions that training asks, without its states.

Tokens are real ones, padding and virtual tokens left out; each counts as often as it goes through the layers
above the cut. What is left out is small: texts that a prompt starts from, and the word alignments of the losses
that compare words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import torch

from ..backbones import LayerStack
from ..core.records import Features, Trial
from ..model.adaptation import add_lora, build_adaptation
from ..model.heads import build_head
from ..model.standardiser import Standardiser
from ..recipe.settings import Recipe
from ..tasks.folds import without_fold
from ..tasks.material import Draw, Materials
from ..training.alignment_terms import AlignmentTerms
from ..training.batches import compose_epoch, count_epochs, only_labelled
from ..training.copies import copies_by_turn
from ..training.ensembling import texts_of
from ..training.frozen_head import head_settings, is_trained
from ..training.head_fits import is_last_layer_retrained
from ..training.legs import Leg, legs_of, lora_of, unfrozen_of
from ..training.pair_comparison import EXTENT, compared_examples
from ..training.pools import Learnt, are_early, labelled_in_source, learnt_languages, only_mapped, repeats_of
from .counted_work import ADDED_UP, LegWork, Texts, TrialWork
from .folder import trials_of
from .needs import Needs, estimate_needs
from .retention import first_row_tokens, sentences_by_themselves, sentences_of_both
from .selection import shared_sentences

Tokenised = Mapping[tuple[str, str], Sequence[Features]]
"""Rows of all texts by language and purpose, see :func:`lingraft.runs.preparation.tokenise`."""


MOST_COUNTED = 2_000
"""Epochs of all trials together that are counted one by one; of more, some stand for the others."""


@dataclass(frozen=True)
class Workload:
    """Counts what the trials of a recipe do.

    Args:
        recipe: The recipe.
        materials: What it learns from and is tested on.
        tokenised: All texts of these.
        stack: The layers of the backbone; without values will do.
        cut: First layer with anything to train.
    """

    recipe: Recipe
    materials: Materials
    tokenised: Tokenised
    stack: LayerStack
    cut: int

    @cached_property
    def trials(self) -> tuple[TrialWork, ...]:
        """Count each trial."""
        return tuple(self._count_trial(trial) for trial in trials_of(self.recipe))

    @property
    def tokens_encoded(self) -> int:
        """Count tokens that go through all layers once: before the first trial, and for pairs that are compared."""
        once = sum(len(feature.input_ids) for rows in self.tokenised.values() for feature in rows)
        return once + (round(EXTENT * once) if self.compares else 0)

    @cached_property
    def compares(self) -> bool:
        """Whether pairs of texts are compared."""
        return any(compared_examples(draw, self.materials, self.recipe) for draw in self.materials.draws)

    @cached_property
    def tokens_at_the_end(self) -> int:
        """Count tokens that retention and the picture of the states read, after the last trial."""
        materials, source = self.materials, self.materials.task.source_language
        first = {key: first_row_tokens(rows) for key, rows in self.tokenised.items()}
        count = 0
        for language, (purpose, ids) in sentences_by_themselves(materials, first).items():
            read = sum(first[language, purpose][i] for i in ids)
            count += read if self._reads_cached else 2 * read  # with its parts switched off, and adapted
        if self._reads_cached:
            return count
        chosen = trials_of(self.recipe)[-1]
        for language in materials.task.target_languages:
            if compared := sentences_of_both(materials, chosen, language, first):
                purpose, sides = compared
                codes = zip((source, language), sides, strict=True)
                count += sum(first[code, purpose][i] for code, ids in codes for i in ids)
            if pictured := shared_sentences(materials, chosen, language):
                purpose, *sides = pictured
                codes = zip((source, language), sides, strict=True)
                count += sum(self._tokens[code, purpose][i] for code, ids in codes for i in ids)
        return count

    @cached_property
    def needs(self) -> Needs:
        """Estimate the memory and disk that it takes, from the trial with the most parameters."""
        targets = self.materials.task.target_languages
        return estimate_needs(
            self.recipe,
            self.tokenised,
            self.stack,
            cut=self.cut if lora_of(self.recipe) is None else 0,
            trained=self.trained_parameters(targets),
            trials=len(trials_of(self.recipe)),
        )

    @cached_property
    def _tokens(self) -> dict[tuple[str, str], dict[str, int]]:
        return {key: tokens_by_example(rows) for key, rows in self.tokenised.items()}

    @cached_property
    def _answers(self) -> dict[tuple[str, str], dict[str, int]]:
        return {key: {row.example_id: len(row.answer) for row in rows} for key, rows in self.tokenised.items()}

    @cached_property
    def _longest(self) -> dict[tuple[str, str], dict[str, int]]:
        found: dict[tuple[str, str], dict[str, int]] = {}
        for key, rows in self.tokenised.items():
            longest = found.setdefault(key, {})
            for feature in rows:
                longest[feature.example_id] = max(longest.get(feature.example_id, 0), len(feature.input_ids))
        return found

    @cached_property
    def _trained(self) -> dict[tuple[str, ...], int]:
        return {}

    def _draw(self, trial: Trial) -> Draw:
        return next(draw for draw in self.materials.draws if (draw.k, draw.draw) == (trial.k, trial.draw))

    @cached_property
    def _reads_cached(self) -> bool:
        """Whether all that is learnt is a head that reads pooled states, which are in the cache."""
        recipe = self.recipe
        unfrozen = unfrozen_of(recipe, self.stack)
        below = recipe.prompt or recipe.adapter or unfrozen or lora_of(recipe)
        return not below and self._head_reads_pooled

    @cached_property
    def _head_reads_pooled(self) -> bool:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            head = build_head(self.materials.task.kind, self.stack)
            return head.read_pooled(torch.zeros(1, self.stack.width)) is not None

    def _count_trial(self, trial: Trial) -> TrialWork:
        draw, materials = self._draw(trial), self.materials
        tested = [(code, "test", one.id) for code in materials.task.languages for one in materials.test[code]]
        work = self._count_draw(trial, draw, tested)
        for fold in draw.folds:  # each is learnt and predicted by a model of its own
            held = [(code, "learn", one.id) for code, examples in fold.items() for one in examples]
            other = self._count_draw(trial, without_fold(draw, fold, materials.task), held)
            more = {name: getattr(work, name) + getattr(other, name) for name in ADDED_UP}
            work = replace(work, **more)
        return work

    def _count_draw(self, trial: Trial, draw: Draw, tested: Sequence[tuple[str, str, str]]) -> TrialWork:
        """Count what is done to learn a draw, and to predict texts (language, purpose, id) with what was learnt."""
        train = self.recipe.train
        also = only_mapped(self.materials, self.recipe)
        learnt = learnt_languages(draw, self.materials.task, train.max_pairs, also)
        source, targets = self._source_texts(draw), tuple(self._target_texts(one) for one in learnt)
        steps, tokens, whole_depth_tokens, by_teacher, said = self._count_training(
            trial, source, targets, self._copies(draw)
        )
        gold = self.recipe.pseudo is None or self.recipe.pseudo.gold
        by_people = tuple(self._target_texts(replace(one, pseudo=())) for one in learnt) if gold else targets
        head_steps, head_tokens = self._count_frozen_head(trial, source, by_people)
        fits, fitted = self._count_fits(draw, learnt)
        epochs = train.ensemble * sum(count_epochs(targets, leg.settings) for leg in legs_of(self.recipe))
        languages = tuple(one.language for one in learnt)
        mined = tuple(code for code in self.materials.unlabelled if code not in languages)
        return TrialWork(
            trial=trial,
            languages=languages,
            steps=steps,
            tokens=tokens,
            whole_depth_tokens=whole_depth_tokens,
            head_steps=head_steps,
            head_tokens=head_tokens,
            tokens_read=by_teacher + fits + self._count_scoring(epochs, self._tokens, tested),
            trained=self.trained_parameters((*languages, *mined)),
            fitted=fitted,
            said=said,
            written=self._count_scoring(epochs, self._answers, tested),
        )

    def _source_texts(self, draw: Draw) -> Texts:
        key = self.materials.task.source_language, "learn"
        ids = tuple(example.id for example in labelled_in_source(draw, self.recipe.train.max_pairs))
        gold = self.recipe.pseudo is None or self.recipe.pseudo.gold
        labelled = frozenset(ids if gold else ())
        return Texts(ids, labelled, self._longest[key], self._tokens[key], answers=self._answers[key])

    def _target_texts(self, learnt: Learnt) -> Texts:
        key, kind = (learnt.language, "learn"), self.materials.task.kind
        ours = self._tokens[self.materials.task.source_language, "learn"]
        translations = {target.id: ours[source.id] for source, target in learnt.pairs}
        return Texts(
            learnt.ids,
            learnt.labelled,
            self._longest[key],
            self._tokens[key],
            translations,
            repeated=tuple(example.id for example in learnt.shots),
            repeats=repeats_of(learnt, kind, self.recipe.train),
            early=learnt.made if are_early(learnt, kind, self.recipe.pseudo) else frozenset(),
            answers=self._answers[key],
        )

    def _copies(self, draw: Draw) -> list[Texts]:
        """Return the copies that steps take in turn."""
        found = []
        for language, copies in copies_by_turn(draw):
            key, copy_of = (language, "learn"), {i: copy.example.id for i, copy in copies.items()}
            ids = tuple(copy_of.values())
            found.append(Texts(ids, frozenset(), self._longest[key], self._tokens[key], copy_of=copy_of))
        return found

    def _count_training(
        self, trial: Trial, source: Texts, targets: Sequence[Texts], copies: Sequence[Texts]
    ) -> tuple[int, int, int, int, int]:
        """Return steps, tokens in their batches, those of these that go through all layers, those of teachers, said."""
        train = self.recipe.train
        on_pairs = on_source = standardising = 0
        if self.recipe.alignment and any(texts.translations for texts in targets):
            unfitted = Standardiser(torch.zeros(()), torch.ones(()))  # which losses need a teacher is all that is asked
            terms = AlignmentTerms(self.recipe.alignment, {self.stack.num_layers: unfitted})
            on_pairs, on_source = terms.pair_passes, terms.source_passes if train.source_regularisation else 0
            standardising = source.count(source.ids) if terms.needs_inner_layers else 0
        steps = tokens = whole = read = said = 0
        for member, leg in product(range(train.ensemble), legs_of(self.recipe)):
            read += standardising
            counted = self._count_leg(leg, leg.seed(trial.seed_of_order, member), source, targets, copies)
            steps += counted.steps
            said += counted.said
            tokens += counted.source + counted.targets
            whole += counted.source + counted.targets if leg.lora is not None else 0
            read += on_source * counted.source + on_pairs * counted.translations
        return steps, tokens, whole, read, said

    def _count_leg(
        self, leg: Leg, seed: int, source: Texts, targets: Sequence[Texts], copies: Sequence[Texts]
    ) -> LegWork:
        """Count the steps of a leg, and the tokens in their batches."""
        steps = in_source = in_targets = translations = said = 0
        chosen, scale = self._some_epochs(count_epochs(targets, leg.settings))
        for epoch in chosen:
            composed = compose_epoch(
                source,
                targets,
                leg.settings,
                seed=seed,
                epoch=epoch,
                copies=copies,
                early_epochs=leg.early_epochs,
            )
            for composition in composed:
                steps += 1
                for texts, ids in composition:
                    if not self._is_read(texts, ids, texts is source):
                        continue
                    in_source += texts.count(ids) if texts is source else 0
                    in_targets += texts.count(ids) if texts is not source else 0
                    translations += sum(texts.translations.get(i, 0) for i in ids)
                    said += sum(texts.answers.get(i, 0) for i in ids)
        return LegWork(*(round(scale * count) for count in (steps, in_source, in_targets, translations, said)))

    def _is_read(self, texts: Texts, ids: Sequence[str], is_source: bool) -> bool:
        """Return whether some loss looks at a batch, by the rules of :mod:`lingraft.training.losses`."""
        recipe = self.recipe
        if recipe.consistency is not None and (is_source or texts.copy_of):
            return True
        if any(i in texts.labelled for i in ids):
            return True
        if not recipe.alignment:
            return False
        return recipe.train.source_regularisation > 0 if is_source else any(i in texts.translations for i in ids)

    def _some_epochs(self, epochs: int) -> tuple[list[int], float]:
        """Return the epochs that are counted, and how many times as many there are; all, unless that takes minutes."""
        count = max(2, MOST_COUNTED // len(trials_of(self.recipe))) // 2 * 2
        if epochs <= count:
            return list(range(epochs)), 1.0
        return [i * epochs // count for i in range(count)], epochs / count

    def _count_frozen_head(self, trial: Trial, source: Texts, targets: Sequence[Texts]) -> tuple[int, int]:
        """Return the steps of the frozen head's own training, and tokens in their batches."""
        train = head_settings(self.recipe.train)
        if not is_trained(self.materials.task.kind, train):
            return 0, 0
        labelled = [
            Texts(known, texts.labelled, texts.longest, texts.tokens, early=texts.early)
            for texts, known in only_labelled(targets)
        ]
        chosen, scale = self._some_epochs(count_epochs(labelled, train))
        composed = [
            composition
            for epoch in chosen
            for composition in compose_epoch(source, labelled, train, seed=trial.seed_of_order, epoch=epoch)
        ]
        tokens = sum(texts.count(ids) for composition in composed for texts, ids in composition)
        return round(len(composed) * scale), round(tokens * scale)

    def _count_scoring(
        self, epochs: int, tokens: Mapping[tuple[str, str], Mapping[str, int]], tested: Sequence[tuple[str, str, str]]
    ) -> int:
        """Count tokens that development scores, last-layer retraining and test predictions read, or write."""
        kind, train = self.materials.task.kind, self.recipe.train
        if self._reads_cached:
            return 0
        dev = sum(tokens[self.materials.task.source_language, "dev"].values())
        test = sum(tokens[language, purpose][i] for language, purpose, i in tested)
        count = (epochs + 1) * dev + test
        if is_trained(kind, train) and not self._head_reads_pooled:  # the frozen head is scored as well
            count += 2 * dev + test
        if train.continue_from is not None:  # what training begins with is scored
            count += dev
        if is_last_layer_retrained(kind, train):
            count += dev
        return count

    def _count_fits(self, draw: Draw, learnt: Sequence[Learnt]) -> tuple[int, dict[str, int]]:
        """Count tokens that heads, maps and n-grams are fitted to, each text once; and the texts of each language."""
        retrained = is_last_layer_retrained(self.materials.task.kind, self.recipe.train)
        fitted, tokens = dict[str, int](), 0
        of_source = set(self._source_texts(draw).ids) if retrained else set[str]()
        for one in learnt:
            of_language = set(one.labelled) if retrained else set[str]()
            if texts := texts_of(draw, one.language, self.materials, self.recipe):
                of_source |= {source.id for source, _ in (*texts.mapped, *texts.projected)}
                of_source |= {one.id for one in texts.of_source} if texts.unpaired else set()
                of_language |= {one.id for one in (*(target for _, target in texts.mapped), *texts.unpaired)}
                of_language |= {example.id for example in texts.texts.values()}
                fitted[one.language] = max(len(texts.mapped), len(texts.texts), len(texts.unpaired))
            tokens += sum(self._tokens[one.language, "learn"][i] for i in of_language)
        if self._reads_cached:
            return 0, fitted
        source = self._tokens[self.materials.task.source_language, "learn"]
        return tokens + sum(source[i] for i in of_source), fitted

    def trained_parameters(self, languages: tuple[str, ...]) -> int:
        """Return how many parameters learn by gradient, counted on the parts themselves."""
        if languages not in self._trained:
            recipe, stack = self.recipe, self.stack
            unfrozen = unfrozen_of(recipe, stack)
            with torch.device("meta"), torch.random.fork_rng(devices=[]):  # counted, and not made
                adaptation = build_adaptation(
                    prompt=recipe.prompt,
                    adapter=recipe.adapter,
                    stack=stack,
                    cut=self.cut,
                    languages=languages,
                    head=build_head(self.materials.task.kind, stack),
                    initial=lambda how, layer, count: torch.zeros(count, stack.width),
                    unfrozen=unfrozen,
                )
                if (lora := lora_of(recipe)) is not None:
                    add_lora(adaptation, lora, recipe.adapter, stack)
            self._trained[languages] = sum(p.numel() for p in adaptation.parameters() if p.requires_grad)
        return self._trained[languages]


def tokens_by_example(rows: Iterable[Features]) -> dict[str, int]:
    """Return the tokens of each example, in all its rows."""
    found: dict[str, int] = {}
    for feature in rows:
        found[feature.example_id] = found.get(feature.example_id, 0) + len(feature.input_ids)
    return found
