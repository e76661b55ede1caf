"""What a run learns from and what it is tested on, drawn and cleaned before anything is computed.

Draw d of a parallel task splits the training groups into A (labelled source examples) and B
(unlabelled pairs); the target's shots come from B. Whatever occurs in an evaluation set, in any
language, is taken out of everything that is learnt from, by normalised text, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product

from ..core.counted import counted
from ..core.errors import DataError, Faults
from ..core.examples import GOLD, Example, PairExample, ParallelPair
from ..core.shots import Shots
from ..data.languages import canonical, describe_unlisted, display_name
from ..data.leakage import remove_groups, remove_overlap
from ..data.parallel_inputs import Given, read_given
from ..data.sampling import draw_of_one_language, rank, split_groups
from ..data.text import normalise
from ..recipe.settings import ParallelSettings, Recipe
from . import Task, tasks
from .copies import describe_copies, join_lexicons, with_copies
from .folds import describe_tests, with_folds
from .labelled_draws import doubting_labels, refuse_lost_classes, refuse_missing_classes, shots_of
from .material import FEWEST_MAPPED, GIVEN, Draw, Materials, Pair, is_labelled, without_label
from .repeats import refuse_repeats
from .switched_copies import with_switched_copies

COUNTED = 1_000
"""The share of words that a lexicon knows is counted on so many sentences."""

UNPAIRED = 500
"""A language's mean state is taken over at most so many unlabelled texts; a hundred gave the same scores."""

TEXT = "text/"
"""What the ids of unlabelled texts begin with."""


Mine = Callable[[Materials], Mapping[str, Sequence[ParallelPair]]]
"""What finds words that translate each other in the unlabelled texts of materials: target language to pairs."""


def mine_nothing(materials: Materials) -> dict[str, list[ParallelPair]]:
    """Find no words: the unlabelled texts are read, and give no pairs yet."""
    return {}


def gather(
    recipe: Recipe, *, check: Callable[[Task], Sequence[str]] = lambda task: (), mine: Mine = mine_nothing
) -> Materials:
    """Read, draw and clean everything that ``recipe`` names.

    Args:
        recipe: The recipe.
        check: Called with the task before its files are read; refuses what the rest of the recipe cannot do
            with it, and returns notes for the user.
        mine: Called, where there is ``parallel.text``, with what was gathered so far.

    Raises:
        DataError: A file, a language or a class does not give what the recipe asks for.
        ConfigError: Several files are wrong, or ``check`` refuses the task.
    """
    task = _build_task(recipe)
    checked = check(task)
    source = task.source_language
    _read_all(task, recipe)
    test = {language: tuple(task.examples(language, "test")) for language in task.languages}
    untested = [language for language in task.tested_languages if not is_labelled(test[language])]
    dev, notes = task.examples(source, "dev"), list[str]()
    training = [_renamed(example, "train") for example in task.examples(source, "train")]
    held_out: list[Example] = []
    if not dev:
        training, held_out = _hold_out(training)
        dev = held_out
        whole = counted(len(training) + len(dev), f"labelled {task.kind.words.example}")
        held = "is held out" if len(dev) == 1 else "are held out"
        notes.append(f"{display_name(source)}: {len(dev):,} of {whole} {held} to choose settings by (no dev set)")
    evaluation = [*dev, *(example for examples in test.values() for example in examples)]
    known = evaluation if task.global_groups else held_out
    training, leaked = _clean(training, evaluation, {example.group for example in known})
    files = {(source, "dev"): task.examples(source, "dev")} | {(code, "test"): test[code] for code in test}
    refuse_repeats(task, source, task.examples(source, "train"), training, files)
    further, leaked_further, told = _further_training(task, recipe, evaluation, known)
    training, leaked = [*training, *further], leaked + leaked_further
    targets = {language: _target_training(task, recipe, language) for language in task.target_languages}
    notes = [
        *describe_unlisted(task.languages),
        *task.notes,
        *checked,
        *notes,
        *told,
        *_shared_sentences(training, evaluation, task),
    ]
    overlap = {"train": leaked, "parallel": 0}
    for language, examples in targets.items():
        comparable = known if task.parallel else []
        targets[language], count = _clean(examples, evaluation, {example.group for example in comparable})
        if any(k != 0 for k in recipe.shots.ks):
            refuse_repeats(task, language, examples, targets[language], files)
        overlap["train"] += count
    given = read_given(recipe.parallel, source, task.target_languages, evaluation)
    overlap["parallel"], notes = given.dropped, [*notes, *given.notes]
    draws = tuple(
        with_folds(_draw(recipe, task, training, targets, given, k, draw), task, untested, recipe.shots.folds)
        for k, draw in product(recipe.shots.ks, range(recipe.shots.draws))
    )
    unscored = describe_tests(task, test, untested, draws)
    notes += unscored
    found = Materials(task, tuple(dev), test, draws, overlap, tuple(notes), given.texts, tuple(unscored))
    if recipe.parallel and recipe.parallel.switches and recipe.train.num_train_epochs:  # copies are trained on alone
        lexicons = join_lexicons(given, mine(found) if found.unlabelled else {}, evaluation)
        draws, leaked = with_copies(draws, lexicons, recipe.parallel, task, evaluation)
        overlap["parallel"] += leaked
        notes += [f"{counted(leaked, 'copy', 'copies')} left out: made, they are evaluation texts"] if leaked else []
        notes += describe_copies(lexicons, training, draws[0])
        found = replace(found, draws=draws, overlap=overlap, notes=tuple(notes))
    if recipe.consistency and recipe.train.num_train_epochs:
        found = with_switched_copies(found, recipe.consistency, evaluation)
    return (
        replace(found, unpaired=_unpaired(found, recipe.train.max_pairs)) if recipe.map and task.kind.fitted else found
    )


def _build_task(recipe: Recipe) -> Task:
    """Build the task, whose training examples are read; where they are faulty, so may be the parallel files.

    Raises:
        LingraftError: They are; with what is wrong of all.
    """
    faults, options = Faults(), recipe.task.options
    with faults:
        task: Task = tasks.build(recipe.task.name, options)
        return task
    with faults:
        source, targets = options.get("source_language", "eng-Latn"), options.get("target_languages", [])
        read_given(recipe.parallel, canonical(source), list(map(canonical, targets)), ())
    raise faults.error


def _shared_sentences(training: Sequence[Example], evaluation: Sequence[Example], task: Task) -> list[str]:
    """Return how many pairs of texts have one of their texts in an evaluation set, though not as the same pair."""
    if not any(isinstance(example, PairExample) and example.text_b is not None for example in training):
        return []
    seen = {normalise(text) for example in evaluation for text in example.texts}
    count = sum(any(normalise(text) in seen for text in example.texts) for example in training)
    if not count:
        return []
    return [
        f"{count:,} of {len(training):,} {task.source_language} training pairs share a text with an evaluation set; "
        "none is the same pair in the same order"
    ]


def _read_all(task: Task, recipe: Recipe) -> None:
    """Read every file once, so that one check tells of all that are missing or wrong; they are kept in memory.

    Raises:
        DataError: One file is wrong.
        ConfigError: Several are.
    """
    wanted = [(language, "test") for language in task.languages]
    wanted += [(task.source_language, "dev"), (task.source_language, "train")]
    wanted += [(canonical(spelling), "train") for spelling in recipe.further_sources]
    if _needs_target_training(recipe):
        wanted += [(language, "train") for language in task.target_languages]
    faults = Faults()
    for language, split in wanted:
        with faults:
            task.examples(language, split)
    if faults.found:  # otherwise they are read next
        with faults:
            read_given(recipe.parallel, task.source_language, task.target_languages, ())
    faults.refuse()


def _needs_target_training(recipe: Recipe) -> bool:
    """Return whether shots or pairs come from the target languages' training sets."""
    return any(k != 0 for k in recipe.shots.ks) or bool(recipe.parallel and recipe.parallel.from_)


def _clean(
    examples: Sequence[Example], evaluation: Sequence[Example], groups: Collection[str]
) -> tuple[list[Example], int]:
    """Leave out the texts that are evaluated on, and their groups, of which their translations are part."""
    kept, by_text = remove_overlap(examples, evaluation)
    kept, by_group = remove_groups(kept, groups)
    return kept, by_text + by_group


def _further_training(
    task: Task, recipe: Recipe, evaluation: Sequence[Example], known: Sequence[Example]
) -> tuple[list[Example], int, list[str]]:
    """Return labelled examples of further source languages, how many are left out, and what to say of them.

    Raises:
        DataError: A language is the source or a target, or it has no training examples.
    """
    kept, leaked, notes = list[Example](), 0, list[str]()
    codes = [canonical(spelling) for spelling in recipe.further_sources]
    for code in codes:
        if code in task.languages or codes.count(code) > 1:
            role = "the source language" if code == task.source_language else "a target language"
            raise DataError(
                f"further_sources: {code} is {role if code in task.languages else 'named twice'}; name languages that "
                "are neither source nor target, once each (all labels of a target are learnt from with `shots: all`)"
            )
        mine = "" if task.parallel else f"{code}/"  # line numbers of several files are not the same text
        found = [
            replace(example, id=f"train/{code}/{example.id}", group=mine + example.group)
            for example in task.examples(code, "train")
        ]
        found, gone = _clean(found, evaluation, {example.group for example in known})
        if not found:
            raise DataError(f"further_sources: {code} has no labelled example that is not evaluated on; leave it out")
        kept, leaked = [*kept, *found], leaked + gone
        notes.append(
            f"{display_name(code)}: {counted(len(found), f'labelled {task.kind.words.example}')} added to those of "
            f"{display_name(task.source_language)}"
        )
    if codes and recipe.shots.source_examples:
        notes.append(
            f"of all source languages together, {recipe.shots.source_examples:,} labels at most are learnt from"
        )
    return kept, leaked, notes


def _target_training(task: Task, recipe: Recipe, language: str) -> list[Example]:
    """Return training examples of a target language, read only where shots or pairs come from them."""
    if not _needs_target_training(recipe):
        return []
    return [_renamed(example, "train") for example in task.examples(language, "train")]


def _draw(
    recipe: Recipe,
    task: Task,
    training: Sequence[Example],
    targets: Mapping[str, Sequence[Example]],
    given: Given,
    k: Shots,
    draw: int,
) -> Draw:
    pairs, paired = {language: _given_pairs(found) for language, found in given.pairs.items()}, set[str]()
    if recipe.parallel and recipe.parallel.from_:
        own = _task_pairs(task, training, targets, recipe.parallel, draw)
        paired = {pair[0].group for found in own.values() for pair in found}
        pairs = {language: (*own[language], *pairs[language]) for language in own}
    keep_all = recipe.parallel is not None and recipe.parallel.labelled
    labelled = [example for example in training if keep_all or example.group not in paired]
    if recipe.shots.source_examples and recipe.shots.source_examples < len(labelled):
        few = _at_most(recipe.shots.source_examples, labelled, draw)
        refuse_lost_classes(task, few, labelled, draw, recipe.shots.source_examples)
        labelled = few
    # Shots come from B where the task gives the pairs: A is what the source language labels.
    pools = {
        language: [example for example in examples if not paired or example.group in paired]
        for language, examples in targets.items()
    }
    with doubting_labels(task, targets if k else ()):
        if not task.target_languages:
            labelled = draw_of_one_language(labelled, k, draw, per_class=bool(task.kind.classes))
        refuse_missing_classes(task, labelled, draw, len(training), len(paired))
        shots = {language: shots_of(task, language, pool, k, draw) for language, pool in pools.items()}
    return Draw(k, draw, tuple(labelled), shots, pairs)


def _at_most(count: int, examples: Sequence[Example], draw: int) -> list[Example]:
    """Return whole groups, in the order of the draw, as long as they fit into ``count`` examples."""
    sizes = Counter(example.group for example in examples)
    chosen, room = set(), count
    for group in sorted(sizes, key=lambda group: rank(draw, "split", group)):
        if sizes[group] <= room:
            chosen.add(group)
            room -= sizes[group]
    return [example for example in examples if example.group in chosen]


def _task_pairs(
    task: Task,
    training: Sequence[Example],
    targets: Mapping[str, Sequence[Example]],
    settings: ParallelSettings,
    draw: int,
) -> dict[str, tuple[Pair, ...]]:
    """Return pairs from the training ids of a parallel task; groups are ranked alike in all languages."""
    if not task.parallel:
        raise DataError(
            f"parallel.from: {task.name} is not parallel across languages; give `files`, or say `parallel: true` in "
            "the task block if the same group (or id) is the same text in every language"
        )
    pairs = {}
    for language, examples in targets.items():
        translated = _translations(training, examples)
        share = len(translated) if settings.labelled else len(translated) // 2
        count = share if settings.pairs is None else min(settings.pairs, len(translated))
        chosen, _ = split_groups(translated, (count, 0), draw)
        pairs[language] = tuple(translated[group] for group in sorted(chosen))
    return pairs


def _translations(training: Sequence[Example], translated: Sequence[Example]) -> dict[str, Pair]:
    """Pair one example of each group of both languages: of several (questions on a paragraph), those of one id."""
    sides: list[dict[str, dict[str, Example]]] = [{}, {}]
    for side, examples in zip(sides, (training, translated), strict=True):
        for example in examples:
            side.setdefault(example.group, {})[example.id] = example
    found = {}
    for group, own in sides[0].items():
        other = sides[1].get(group, {})
        if len(own) == len(other) == 1:
            found[group] = (without_label(*own.values()), without_label(*other.values()))
        elif shared := own.keys() & other.keys():
            found[group] = (without_label(own[min(shared)]), without_label(other[min(shared)]))
    return found


def _given_pairs(pairs: Sequence[ParallelPair]) -> tuple[Pair, ...]:
    """Return pairs of a file as examples of the two languages."""
    return tuple(
        (
            PairExample(f"{GIVEN}{p.target_language}/{p.group}/{i}", p.group, p.source_language, text_a=p.source),
            PairExample(f"{GIVEN}{p.target_language}/{p.group}/{i}", p.group, p.target_language, text_a=p.target),
        )
        for i, p in enumerate(pairs)
    )


def _unpaired(materials: Materials, max_pairs: int | None) -> dict[str, tuple[PairExample, ...]]:
    """Return some unlabelled texts, as examples, of each language that has too few translations in some draw for a map.

    Args:
        materials: With their draws.
        max_pairs: How many translations are learnt from at most; None for all.
    """
    most, found = FEWEST_MAPPED if max_pairs is None else max_pairs, {}
    for language, texts in materials.unlabelled.items():
        counts = [sum(pair[1].origin == GOLD for pair in draw.pairs[language]) for draw in materials.draws]
        if min(most, *counts) >= FEWEST_MAPPED:
            continue
        some = sorted(texts, key=lambda text: rank(0, "unpaired", text))[:UNPAIRED]
        found[language] = tuple(
            PairExample(f"{TEXT}{language}/{i}", f"{TEXT}{i}", language, text_a=text) for i, text in enumerate(some)
        )
    return found


def _hold_out(training: list[Example]) -> tuple[list[Example], list[Example]]:
    """Hold out one training group in eight as the development set."""
    groups = sorted({example.group for example in training})
    held, _ = split_groups(groups, (max(1, len(groups) // 8), 0), 0)
    return [e for e in training if e.group not in held], [e for e in training if e.group in held]


def _renamed(example: Example, split: str) -> Example:
    return replace(example, id=f"{split}/{example.id}")
