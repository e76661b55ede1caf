"""Fit what is closed-form: the map of each target language, its n-gram classifier, and how much they count.

It is done twice: on frozen states and the frozen head, before any training (``instant``), and on
adapted states after it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..backbones.encoding import Encoded
from ..core.examples import GOLD, Example
from ..data.text import normalise
from ..model.ensembles import LanguageEnsemble, stack_logits
from ..model.heads import TextClassifier
from ..model.heads.ngrams import FEWEST_TEXTS, fit_ngram_classifier
from ..model.maps import Evidence, FittedMap, maps
from ..recipe.settings import Recipe
from ..tasks.material import FEWEST_MAPPED, Draw, Materials, Pair, is_own
from .batches import Pool
from .pools import Context, TrialPools, pairs_to_learn

Read = Callable[[Encoded, Sequence[str], str], Tensor]
"""Pooled states ``[N, H]`` of examples, by their ids, in a language."""

OF_LABEL = 0.9
"""What a shot's label counts beside what the model predicts of its translation, which has the rest: nothing is certain
where logarithms are learnt."""


@dataclass(frozen=True)
class LanguageTexts:
    """What the closed form of a language is fitted to: pairs and labelled texts, each text once."""

    language: str
    mapped: tuple[Pair, ...]
    """Translations whose states are compared."""
    projected: tuple[Pair, ...]
    """Those of them that are texts of the task, whose source side is predicted for the n-grams of the target side."""
    texts: Mapping[str, Example]
    """What the n-gram classifier learns from, by what it is once normalised; empty where there is none."""
    unpaired: tuple[Example, ...] = ()
    """Texts of the language, where too few translations are there to be mapped: their mean becomes the source's."""
    of_source: tuple[Example, ...] = ()
    """Texts of the source language that those are moved onto the mean of."""

    @property
    def is_mapped(self) -> bool:
        """Whether there is anything that a map can be fitted to."""
        return bool(self.mapped or self.unpaired)


def read_once(compute: Read) -> Read:
    """Return what reads each text once, however often it is asked for: pairs share their source sides.

    Args:
        compute: Reads texts that were not asked for before.
    """
    known: dict[tuple[int, str], dict[str, Tensor]] = {}

    def read(encoded: Encoded, ids: Sequence[str], language: str) -> Tensor:
        rows = known.setdefault((id(encoded), language), {})
        if new := [i for i in dict.fromkeys(ids) if i not in rows]:
            rows.update(zip(new, compute(encoded, new, language), strict=True))
        return torch.stack([rows[i] for i in ids])

    return read


def logits_of(head: nn.Module, states: Tensor) -> Tensor:
    """Return the logits ``[N, C]`` that a head gives pooled states ``[N, H]``, without thresholds, on the CPU."""
    with torch.no_grad():
        found: Tensor = head(states.to(next(head.parameters()))).float().cpu()
    return found


def fit_ensembles(read: Read, head: nn.Module, pools: TrialPools, context: Context) -> dict[str, LanguageEnsemble]:
    """Fit the map and the n-gram classifier of each target language that has translations, or texts to map.

    Args:
        read: Reads texts with the network as it is: frozen, or adapted.
        head: A linear one, states ``[N, H]`` to logits ``[N, C]``.
        pools: What the trial learns from.
        context: What all trials share.
    """
    found = {}
    for language in dict.fromkeys([*(pool.language for pool in pools.targets), *context.materials.unpaired]):
        texts = texts_of(pools.draw, language, context.materials, context.recipe)
        labelled = _with_labels(texts, pools) if texts else ()
        ensemble = _fit_language(read, head, texts, labelled, context) if texts else None
        if ensemble:
            found[language] = ensemble
    return found


def texts_of(draw: Draw, language: str, materials: Materials, recipe: Recipe) -> LanguageTexts | None:
    """Return what a language's closed form is fitted to; None where it has none.

    Args:
        draw: Pairs and shots.
        language: A target language.
        materials: The task, development and test sets.
        recipe: Whether a map and an n-gram classifier are wanted, and how many pairs are learnt from.
    """
    kind = materials.task.kind
    if not kind.fitted or materials.paired:
        return None
    pairs = pairs_to_learn(draw, language, recipe.train.max_pairs)
    mapped = tuple(pair for pair in pairs if pair[1].origin == GOLD) if recipe.map else ()
    wanted = recipe.train.ngram_classifier and kind.projects_labels
    projected = tuple(pair for pair in pairs if is_own(pair)) if wanted else ()
    examples: list[Example] = [*(target for _, target in projected), *(draw.shots[language] if projected else ())]
    texts = {normalise(example.texts[0]): example for example in examples}
    if len(mapped) < FEWEST_MAPPED:
        mapped = ()
    shots = () if are_of_one_class(draw.shots[language], materials) else draw.shots[language]
    unpaired = (*materials.unpaired.get(language, ()), *shots) if recipe.map and not mapped else ()
    found = LanguageTexts(
        language,
        mapped,
        projected if len(texts) >= FEWEST_TEXTS else (),
        texts if len(texts) >= FEWEST_TEXTS else {},
        unpaired if len(unpaired) >= FEWEST_MAPPED else (),
        draw.labelled,
    )
    return found if found.is_mapped or found.projected else None


def are_of_one_class(shots: Sequence[Example], materials: Materials) -> bool:
    """Return whether labelled texts show one class of several: their mean is that of the class, not of the language."""
    return len(materials.task.kind.classes) > 1 and len({str(example.gold) for example in shots}) == 1


def _fit_language(
    read: Read, head: nn.Module, texts: LanguageTexts, labelled: Collection[str], context: Context
) -> LanguageEnsemble | None:
    """Fit one language's ensemble, and its weights to what is predicted of translations that have no label.

    Where fewer than enough are without one, the parts count the same: on texts whose labels were learnt, a network
    that has memorised them would outweigh what it is worth elsewhere.

    Args:
        read: As in :func:`fit_ensembles`.
        head: As in :func:`fit_ensembles`.
        texts: What the language is fitted to.
        labelled: Which of its texts are learnt with a label.
        context: What all trials share.
    """
    task, language = context.materials.task, texts.language
    source, own = context.pools[task.source_language, "learn"], context.pools[language, "learn"]
    fitted = _fit_map(read, head, texts, context) if texts.is_mapped else None
    if not texts.texts:
        return LanguageEnsemble(torch.ones(1), fitted.map, {}) if fitted else None
    examples = list(texts.texts.values())
    of_source = read(source, [one.id for one, _ in texts.projected], task.source_language)
    targets = _targets(logits_of(head, of_source), texts, context)
    states = read(own, [example.id for example in examples], language)
    if fitted:
        states = _left_out_states(fitted, examples, states, texts)
    parts, classifiers = [logits_of(head, states).double().numpy()], dict[str, TextClassifier]()
    independent = task.kind.label_logits
    if of_ngrams := fit_ngram_classifier(list(texts.texts), targets.numpy(), independent=independent):
        classifier, left_out = of_ngrams
        classifiers[classifier.name] = classifier
        parts = [parts[0][: len(left_out)], left_out.double().numpy()]
    asked = np.array([text not in labelled for text in texts.texts])[: len(parts[0])]
    weights = np.full(len(parts), 1 / len(parts))
    if asked.sum() >= FEWEST_TEXTS:
        unseen = targets.numpy()[: len(asked)][asked]
        weights = stack_logits([part[asked] for part in parts], unseen, independent=independent)
    return LanguageEnsemble(torch.tensor(weights).float(), fitted.map if fitted else None, classifiers)


def _fit_map(read: Read, head: nn.Module, texts: LanguageTexts, context: Context) -> FittedMap:
    """Fit the map of a language to the states of its pairs; without pairs, to its texts and the labelled ones."""
    block, source = context.recipe.map, context.materials.task.source_language
    assert block is not None
    ours: Sequence[Example] = [one for one, _ in texts.mapped] or texts.of_source
    theirs: Sequence[Example] = [one for _, one in texts.mapped] or texts.unpaired
    evidence = Evidence(
        [one.texts[0] for one in theirs],
        read(context.pools[texts.language, "learn"], [one.id for one in theirs], texts.language),
        read(context.pools[source, "learn"], [one.id for one in ours], source),
        bool(texts.mapped),
        head.get_parameter("weight").detach().cpu(),
    )
    fitted: FittedMap = maps.build(block.name, block.options)(evidence)
    return fitted


def states_of_labelled(read: Read, head: nn.Module, pool: Pool, draw: Draw, context: Context) -> Tensor:
    """Return pooled states of a language's labelled texts, ``[S, H]``; mapped, if it has a map, by fits without them.

    Args:
        read: Reads texts with the network as it is.
        head: Says what a map is kept of.
        pool: Of the language.
        draw: Pairs, shots and pseudo-data.
        context: What all trials share.
    """
    labelled = list(pool.targets)
    states = read(pool.encoded, labelled, pool.language)
    texts = texts_of(draw, pool.language, context.materials, context.recipe)
    if not texts or not texts.is_mapped:
        return states
    known = {e.id: e for e in (*draw.shots[pool.language], *draw.pseudo.get(pool.language, ()))}
    fitted = _fit_map(read, head, texts, context)
    return _left_out_states(fitted, [known[i] for i in labelled], states, texts)


def _left_out_states(fitted: FittedMap, examples: Sequence[Example], pooled: Tensor, texts: LanguageTexts) -> Tensor:
    """Return states of texts ``[N, H]``, mapped by fits that left them out."""
    left_out = fitted.left_out if fitted.left_out is not None else ()
    known = {normalise(target.texts[0]): row for (_, target), row in zip(texts.mapped, left_out, strict=False)}
    states, new = pooled.clone(), list[int]()
    for i, example in enumerate(examples):
        if (row := known.get(normalise(example.texts[0]))) is None:
            new.append(i)
        else:
            states[i] = row
    if new:
        with torch.no_grad():
            states[new] = fitted.map([examples[i].texts[0] for i in new], pooled[new])
    return states


def _with_labels(texts: LanguageTexts, pools: TrialPools) -> set[str]:
    """Return which texts of the n-grams are learnt with a label: by people or made, theirs or their translation's.

    A network memorises what it learnt with a label, on both sides: its logits there are in-sample. Beside them the
    leave-one-out logits of the n-gram classifier would count less than they are worth (docs/results/closed-form.md).
    """
    made = pools.draw.pseudo.get(texts.language, ())
    translated = [target for source, target in texts.projected if source.id in pools.source.labelled]
    known = {normalise(example.texts[0]) for example in (*made, *translated)}
    return known | {text for text, example in texts.texts.items() if example.gold is not None}


def _targets(read: Tensor, texts: LanguageTexts, context: Context) -> Tensor:
    """Return the probabilities to learn: what the model makes of a translation, and labels, ``[N, C]``."""
    kind, labels = context.materials.task.kind, context.materials.task.labels
    said, even = (read.sigmoid(), 1 / 2) if kind.label_logits else (read.softmax(1), 1 / len(labels))
    shares = {normalise(pair[1].texts[0]): share for pair, share in zip(texts.projected, said, strict=True)}
    rows = []
    for text, example in texts.texts.items():
        share = shares.get(text, torch.full((len(labels),), even))
        if example.gold is not None:
            certain = torch.tensor([float(label in example.labels) for label in labels])
            share = OF_LABEL * certain + (1 - OF_LABEL) * share
        rows.append(share)
    return torch.stack(rows)
