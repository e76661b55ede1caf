"""What a run learns from and what it is tested on, drawn and cleaned before anything is computed.

Draw d of a parallel task splits the training groups into A (labelled source examples) and B
(unlabelled pairs); the target's shots come from B. Whatever occurs in an evaluation set, in any
language, is taken out of everything that is learnt from, by normalised text, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from .config import ParallelSettings, Recipe
from .data.parallel import read_parallel
from .data.sampling import draw_shots, pairs_without_leaks, rank, split_groups, without_groups, without_leaks
from .data.table import locate
from .errors import ConfigError, DataError
from .records import PairExample
from .tasks import Task, tasks

Pair = tuple[PairExample, PairExample]
"""Source side and target side of a translation, without labels."""


@dataclass(frozen=True)
class Draw:
    """The learning material of one number of shots and one draw."""

    k: int
    draw: int
    labelled: tuple[PairExample, ...]
    shots: Mapping[str, tuple[PairExample, ...]]
    pairs: Mapping[str, tuple[Pair, ...]]

    def texts(self, language: str, source: str) -> list[PairExample]:
        """Everything of one language that this draw learns from."""
        if language == source:
            return [*self.labelled, *(pair[0] for pairs in self.pairs.values() for pair in pairs)]
        return [*self.shots[language], *(pair[1] for pair in self.pairs[language])]


@dataclass(frozen=True)
class Materials:
    """All draws of a run, and the development and test sets they share."""

    task: Task
    dev: tuple[PairExample, ...]
    test: Mapping[str, tuple[PairExample, ...]]
    draws: tuple[Draw, ...]
    leaks: Mapping[str, int]
    notes: tuple[str, ...]

    def learn(self, language: str) -> list[PairExample]:
        """All texts of a language that any draw learns from, each once, in a fixed order."""
        unique = {
            example.id: example for draw in self.draws for example in draw.texts(language, self.task.source_language)
        }
        return [unique[key] for key in sorted(unique)]


def gather(recipe: Recipe) -> Materials:
    """Read, draw and clean everything that ``recipe`` names.

    Raises:
        DataError: A file, a language or a class does not give what the recipe asks for.
    """
    task: Task = tasks.build(recipe.task.name, recipe.task.options)
    source = task.source_language
    _read_all(task, recipe)
    test = {language: tuple(task.examples(language, "test")) for language in task.languages}
    for language in task.target_languages:
        if not test[language]:
            raise DataError(f"{task.name}: {language} has no test examples, so nothing could be said of the result")
    dev, notes = task.examples(source, "dev"), list(task.notes)
    training = [_renamed(example, "train") for example in task.examples(source, "train")]
    held_out: list[PairExample] = []
    if not dev:
        training, held_out = _hold_out(training)
        dev = held_out
        notes.append(f"no {source} development set: {len(dev)} training examples were held out as one")
    evaluation = [*dev, *(example for examples in test.values() for example in examples)]
    known = evaluation if task.global_groups else held_out
    training, leaked = _clean(training, evaluation, {example.group for example in known})
    targets = {language: _target_training(task, recipe, language) for language in task.target_languages}
    leaks = {"train": leaked, "parallel": 0}
    for language, examples in targets.items():
        comparable = known if task.parallel else []
        targets[language], count = _clean(examples, evaluation, {example.group for example in comparable})
        leaks["train"] += count
    given, leaks["parallel"], found = _parallel_files(recipe.parallel, task, evaluation)
    draws = tuple(
        _draw(recipe, task, training, targets, given, k, draw)
        for k, draw in product(recipe.shots.ks, range(recipe.shots.draws))
    )
    return Materials(task, tuple(dev), test, draws, leaks, (*notes, *found))


def _read_all(task: Task, recipe: Recipe) -> None:
    """Read every file once, so that one check tells of all that are missing or wrong; they are kept in memory.

    Raises:
        DataError: One file is wrong.
        ConfigError: Several are.
    """
    wanted = [(language, "test") for language in task.languages]
    wanted += [(task.source_language, "dev"), (task.source_language, "train")]
    if _needs_target_training(recipe):
        wanted += [(language, "train") for language in task.target_languages]
    problems = []
    for language, split in wanted:
        try:
            task.examples(language, split)
        except DataError as error:
            problems.append(str(error))
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        raise ConfigError(problems, where="data")


def _needs_target_training(recipe: Recipe) -> bool:
    """Whether shots or pairs come from the target languages' training sets."""
    return max(recipe.shots.ks) > 0 or bool(recipe.parallel and recipe.parallel.from_)


def _clean(
    examples: Sequence[PairExample], evaluation: Sequence[PairExample], groups: Collection[str]
) -> tuple[list[PairExample], int]:
    """Without the texts that are evaluated on, nor their groups, of which their translations are part."""
    kept, by_text = without_leaks(examples, evaluation)
    kept, by_group = without_groups(kept, groups)
    return kept, by_text + by_group


def _target_training(task: Task, recipe: Recipe, language: str) -> list[PairExample]:
    """Training examples of a target language, read only where shots or pairs come from them."""
    if not _needs_target_training(recipe):
        return []
    return [_renamed(example, "train") for example in task.examples(language, "train")]


def _draw(
    recipe: Recipe,
    task: Task,
    training: Sequence[PairExample],
    targets: Mapping[str, Sequence[PairExample]],
    given: Mapping[str, tuple[Pair, ...]],
    k: int,
    draw: int,
) -> Draw:
    pairs, paired = dict(given), set[str]()
    if recipe.parallel and recipe.parallel.from_:
        pairs = _task_pairs(task, training, targets, recipe.parallel, draw)
        paired = {pair[0].group for found in pairs.values() for pair in found}
    keep_all = recipe.parallel is not None and recipe.parallel.labelled
    labelled = [example for example in training if keep_all or example.group not in paired]
    if recipe.shots.source_examples and recipe.shots.source_examples < len(labelled):
        labelled = _at_most(recipe.shots.source_examples, labelled, draw)
    missing = set(task.labels) - {example.label for example in labelled}
    if missing:
        raise DataError(
            f"draw {draw} leaves no labelled {task.source_language} example of {', '.join(sorted(missing))}: of "
            f"{len(training)} training examples that are not evaluated on, {len(paired)} went into pairs; give more "
            "examples, ask for fewer parallel.pairs, or set parallel.labelled"
        )
    shots = {}
    for language, examples in targets.items():
        # Shots come from B where the task gives the pairs: A is what the source language labels.
        pool = [example for example in examples if not paired or example.group in paired]
        if k and (gone := set(task.labels) - {example.label for example in pool}):
            raise DataError(
                f"draw {draw}: {language} has no training example of {', '.join(sorted(gone))} to draw {k} shots from; "
                "add some, or set shots.k to 0"
            )
        shots[language] = tuple(draw_shots(pool, k, draw)) if k else ()
    return Draw(k, draw, tuple(labelled), shots, pairs)


def _at_most(count: int, examples: Sequence[PairExample], draw: int) -> list[PairExample]:
    """Whole groups, in the order of the draw, as long as they fit into ``count`` examples."""
    sizes = Counter(example.group for example in examples)
    chosen, room = set(), count
    for group in sorted(sizes, key=lambda group: rank(draw, "split", group)):
        if sizes[group] <= room:
            chosen.add(group)
            room -= sizes[group]
    return [example for example in examples if example.group in chosen]


def _task_pairs(
    task: Task,
    training: Sequence[PairExample],
    targets: Mapping[str, Sequence[PairExample]],
    settings: ParallelSettings,
    draw: int,
) -> dict[str, tuple[Pair, ...]]:
    """Pairs from the training ids of a parallel task; groups are ranked alike in all languages."""
    if not task.parallel:
        raise DataError(
            f"parallel.from: {task.name} is not parallel across languages; give `files`, or say `parallel: true` in "
            "the task block if the same group (or id) is the same text in every language"
        )
    by_group = {example.group: example for example in training}
    pairs = {}
    for language, examples in targets.items():
        translated = {example.group: example for example in examples if example.group in by_group}
        share = len(translated) if settings.labelled else len(translated) // 2
        count = share if settings.pairs is None else min(settings.pairs, len(translated))
        chosen, _ = split_groups(translated, (count, 0), draw)
        pairs[language] = tuple(
            (_unlabelled(by_group[group]), _unlabelled(translated[group])) for group in sorted(chosen)
        )
    return pairs


def _parallel_files(
    settings: ParallelSettings | None, task: Task, evaluation: Sequence[PairExample]
) -> tuple[dict[str, tuple[Pair, ...]], int, list[str]]:
    """Pairs from the recipe's files, without evaluation texts: pairs, number dropped, notes."""
    pairs: dict[str, tuple[Pair, ...]] = dict.fromkeys(task.target_languages, ())
    if settings is None or settings.files is None:
        return pairs, 0, []
    dropped, notes = 0, []
    for language in task.target_languages:
        path = locate(settings.files, language, Path())
        other = locate(settings.target_files, language, Path()) if settings.target_files else None
        text = read_parallel(
            path,
            source_language=task.source_language,
            target_language=language,
            target_path=other,
            fields=settings.fields,
        )
        kept, leaked = pairs_without_leaks(text.pairs, evaluation)
        dropped += leaked
        if settings.pairs and settings.pairs < len(kept):
            # Not the head of the file: lexicons are sorted by the alphabet.
            kept = sorted(kept, key=lambda pair: rank(0, "pairs", pair.source + "\n" + pair.target))[: settings.pairs]
        pairs[language] = tuple(
            (
                PairExample(f"parallel/{language}/{p.group}/{i}", p.group, task.source_language, text_a=p.source),
                PairExample(f"parallel/{language}/{p.group}/{i}", p.group, language, text_a=p.target),
            )
            for i, p in enumerate(kept)
        )
        notes.append(
            f"{language}: {len(kept)} pairs from {path.name} ({text.kind}; {text.read} read, "
            f"{text.duplicates} duplicates, {text.empty} with an empty side)"
        )
    return pairs, dropped, notes


def _hold_out(training: list[PairExample]) -> tuple[list[PairExample], list[PairExample]]:
    """One training group in eight becomes the development set."""
    groups = sorted({example.group for example in training})
    held, _ = split_groups(groups, (max(1, len(groups) // 8), 0), 0)
    return [e for e in training if e.group not in held], [e for e in training if e.group in held]


def _renamed(example: PairExample, split: str) -> PairExample:
    return replace(example, id=f"{split}/{example.id}")


def _unlabelled(example: PairExample) -> PairExample:
    return replace(example, label=None)
