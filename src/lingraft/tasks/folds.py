"""Cross-validation: where a language has no test set, its labels are predicted by models that did not learn from them.

The labelled examples of a draw are split into folds, balanced by class. For each fold a model learns from all the
others, and predicts it; the model that is saved learns from all. What says the same stays on one side: examples of a
group, texts that are equal once normalised, and translations of what is held out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..core.counted import counted
from ..core.examples import Example
from ..core.shots import Shots
from ..data.languages import display_name
from ..data.leakage import identity_of
from ..data.sampling import E, rank
from ..data.text import strip_blanks
from . import Task
from .material import Draw, Fold, Pair, is_own

FOLDS = 5
"""How many there are, where labels allow and the recipe does not say."""

FEWEST = 10
"""With fewer labelled examples of a language, a score would say nothing."""


def labelled_of(draw: Draw, language: str, source: str) -> Sequence[Example]:
    """Return what a draw has labels of in a language."""
    return draw.labelled if language == source else draw.shots[language]


def with_folds(draw: Draw, task: Task, languages: Collection[str], count: int | None) -> Draw:
    """Return a draw with the folds in which its labels are cross-validated; none where there are too few.

    Args:
        draw: What is learnt from.
        task: Whose kind has classes, or none.
        languages: Those without a test set.
        count: How many folds are wanted; None for the usual number, 0 for none.
    """
    wanted = FOLDS if count is None else count
    units = {code: units_of(labelled_of(draw, code, task.source_language), draw.draw) for code in languages}
    possible = {code: _most_folds(found, task, wanted) for code, found in units.items()}
    units = {code: found for code, found in units.items() if possible[code] > 1}
    if not units:
        return draw
    number = min(possible[code] for code in units)
    folds: list[Fold] = [
        {code: tuple(e for unit in found[fold::number] for e in unit) for code, found in units.items()}
        for fold in range(number)
    ]
    return replace(draw, folds=tuple(folds))


def without_fold(draw: Draw, fold: Fold, task: Task) -> Draw:
    """Return what is learnt from while a fold is held out: nothing of it, in any language."""
    held = [example for examples in fold.values() for example in examples]
    ids = {code: {example.id for example in examples} for code, examples in fold.items()}
    same = {identity_of(example) for example in held}
    held_groups = {example.group for example in held}  # what was made of an example has its group
    groups = held_groups if task.parallel else set[str]()
    texts = {strip_blanks(text) for example in held for text in example.texts}

    def kept(examples: Iterable[Example], code: str) -> tuple[Example, ...]:
        return tuple(
            e
            for e in examples
            if e.id not in ids.get(code, ()) and identity_of(e) not in same and e.group not in groups
        )

    def apart(pair: Pair) -> bool:
        own = is_own(pair) and pair[0].group in groups
        return not own and texts.isdisjoint(strip_blanks(text) for side in pair for text in side.texts)

    left = replace(
        draw,
        labelled=kept(draw.labelled, task.source_language),
        shots={code: kept(shots, code) for code, shots in draw.shots.items()},
        pairs={code: tuple(filter(apart, pairs)) for code, pairs in draw.pairs.items()},
        folds=(),
    )
    gone = {example.trace for example in held} | _traces(draw) - _traces(left)
    pseudo = {
        code: tuple(
            e
            for e in kept(made, code)
            if e.group not in held_groups and gone.isdisjoint(e.shown) and texts.isdisjoint(_lines(e))
        )
        for code, made in draw.pseudo.items()
    }
    return replace(left, pseudo=pseudo)


def _lines(example: Example) -> Iterable[str]:
    """Return the lines of an example's one text: a passage may be joined of several."""
    lines = example.identity[0].splitlines() if len(example.identity) == 1 else []
    return map(strip_blanks, lines)


def _traces(draw: Draw) -> set[str]:
    """Return the traces of all that others may have been made of: labels and both sides of translations."""
    sides = (side for pairs in draw.pairs.values() for pair in pairs for side in pair)
    shots = (shot for found in draw.shots.values() for shot in found)
    return {example.trace for example in chain(draw.labelled, shots, sides)}


def without_texts(examples: Mapping[str, Sequence[E]], fold: Fold) -> dict[str, tuple[E, ...]]:
    """Return unlabelled texts, by language, without those that a fold holds out.

    Args:
        examples: Texts of each language.
        fold: What is held out.
    """
    held = {strip_blanks(text) for examples in fold.values() for example in examples for text in example.texts}
    return {
        code: tuple(e for e in found if held.isdisjoint(strip_blanks(text) for text in e.texts))
        for code, found in examples.items()
    }


def describe_tests(
    task: Task, test: Mapping[str, Sequence[Example]], untested: Sequence[str], draws: Sequence[Draw]
) -> list[str]:
    """Say of each language without labelled tests whether it is cross-validated, or why nothing is scored.

    Args:
        task: What is learnt.
        test: Test sets by language.
        untested: The languages that should have one and have none.
        draws: With their folds.
    """
    found = []
    for code in untested:
        name = f"{display_name(code)} ({code})"
        lacks = f"the {len(test[code])} test examples have no labels" if test[code] else "there is no test set"
        answers = f"; what is predicted for them is in answers.{code}.jsonl of the run folder" if test[code] else ""
        ways = {_way(draw, code, task): None for draw in draws}
        found += [f"{name}: {lacks}, so {way}{answers}" for way in ways]
    return found


def _way(draw: Draw, code: str, task: Task) -> str:
    """Say how a draw is scored in a language that has no test set."""
    examples, number = labelled_of(draw, code, task.source_language), len(draw.folds)
    at = "" if not task.target_languages else f" at {_shots(draw.k)}"
    if any(code in fold for fold in draw.folds):
        return (
            f"its {len(examples)} labelled examples are cross-validated in {number} folds{at}: each is predicted by a "
            "model that did not learn from it; the saved model learns from all"
        )
    if not examples:
        return f"nothing is scored{at}: no labels of it are learnt from"
    return f"nothing is scored{at}: {len(examples)} labelled examples {_too_few(examples, task, draw.draw)}"


def _shots(k: Shots) -> str:
    return "all shots" if k == "all" else counted(k, "shot")


def _too_few(examples: Sequence[Example], task: Task, draw: int) -> str:
    if _most_folds(units_of(examples, draw), task, FOLDS) > 1:
        return "are not cross-validated (shots.folds: 0)"
    if len(examples) < FEWEST:
        return f"are fewer than the {FEWEST} that cross-validation needs"
    counts = _counts(units_of(examples, draw))
    alone = ", ".join(repr(label) for label in task.kind.classes or () if counts[label] < 2)
    return f"leave {alone} without any, were one of them held out; give two of each class at least, or leave it out"


def _counts(units: Sequence[Sequence[Example]]) -> Counter[str]:
    """Count the classes of what stays together."""
    return Counter(str(unit[0].gold) for unit in units)


def _most_folds(units: Sequence[Sequence[Example]], task: Task, wanted: int) -> int:
    """Return how many folds some units allow, ``wanted`` at most; 0 or 1 is none."""
    if sum(map(len, units)) < FEWEST:
        return 0
    if task.kind.classes and not task.target_languages:  # no other language has the classes
        counts = _counts(units)
        return min(wanted, len(units), *(counts[label] for label in task.kind.classes))
    return min(wanted, len(units))


def units_of(examples: Sequence[Example], draw: int) -> list[list[Example]]:
    """Return examples in units that are not parted, by class and then in the order of the draw."""
    by_group: dict[str, list[Example]] = {}
    for example in examples:
        by_group.setdefault(example.group, []).append(example)
    by_text: dict[tuple[str, ...], list[Example]] = {}
    for unit in by_group.values():
        met = {id(by_text[key]): by_text[key] for e in unit if (key := identity_of(e)) in by_text}
        joined = [e for other in met.values() for e in other] + unit
        by_text |= dict.fromkeys(map(identity_of, joined), joined)
    found = list({id(unit): unit for unit in by_text.values()}.values())
    return sorted(found, key=lambda unit: (str(unit[0].gold), rank(draw, "folds", unit[0].id)))
