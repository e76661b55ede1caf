"""What a user should know of the data before a run: its classes, spellings, numbers, repeats, and what cannot be given.

``check`` tells all of it; what bounds a result goes into ``data.json`` and the report as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

from ..core.counted import counted
from ..core.examples import Example
from ..core.records import Features
from ..data.character_model import FEWEST, CharacterModel, likeliest
from ..data.labels import count_labels, samples_of, visible
from ..data.languages import display_name
from ..data.leakage import identity_of
from ..data.near_duplicates import near_duplicates
from ..tasks.label_doubts import doubt_labels
from ..tasks.material import Materials
from ..tasks.repeats import describe_repeats

MOST_CLASSES = 30
"""So many classes are listed with examples; of the others there is only the number."""

SAMPLES = 3
LONGEST_SAMPLE = 60

READ_PAIRS, READ_TEXTS = 500, 50
"""Translations that say what each side looks like, and texts that are asked which side they are like."""
MOSTLY = 0.8
"""The share of texts that must be like the other side before it is said."""


def describe_classes(materials: Materials) -> list[str]:
    """List the classes of the training set, the largest first, with counts and some examples of each."""
    task = materials.task
    training = task.examples(task.source_language, "train")
    counts, samples = count_labels(training), samples_of(training, SAMPLES)
    if not counts:
        return []
    tested = Counter[str]()
    for examples in materials.test.values():
        tested += count_labels(examples)
    of = "classes" if task.kind.classes else "tags" if task.kind.per_token else "labels"
    name = display_name(task.source_language)
    lines = [f"{len(counts)} {of} in the {name} training set, with counts there and in all test sets:"]
    for label, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:MOST_CLASSES]:
        shown = ", ".join(f"“{_short(text)}”" for text in samples[label])
        lines.append(f"  {visible(label)}: {count:,} and {tested[label]:,}; {shown}")
    if len(counts) > MOST_CLASSES:
        lines.append(f"  … and {len(counts) - MOST_CLASSES} more")
    return lines


def warn_of_data(materials: Materials) -> list[str]:
    """Return what is likely not meant: spellings of one class, numbers as classes, texts on both sides of a split."""
    learnt = {code for draw in materials.draws for code, shots in draw.shots.items() if shots}
    doubts = doubt_labels(materials.task, learnt)
    return [
        *doubts,
        *_warn_of_twins(materials),
        *_warn_of_repeats(materials),
        *_warn_of_near_duplicates(materials),
        *_warn_of_pairs(materials),
    ]


def describe_limits(materials: Materials, features: Mapping[tuple[str, str], Sequence[Features]]) -> list[str]:
    """Say what the kind of task cannot give, whatever is learnt, on each evaluation set.

    Args:
        materials: All that is learnt from and tested on.
        features: The same as token ids, by language and purpose.
    """
    task = materials.task
    sets: list[tuple[str, str, Sequence[Example]]] = [(code, "test", materials.test[code]) for code in task.languages]
    sets.append((task.source_language, "dev", materials.dev))
    found = []
    for language, purpose, examples in sets:
        if examples and (limit := task.kind.limit_of(examples, features[language, purpose])):
            found.append(f"{language} {purpose} set: {limit}")
    return found


def _warn_of_twins(materials: Materials) -> list[str]:
    """Warn of texts that have a label more than once in the training set, where each text has one answer."""
    task = materials.task
    if not task.kind.fitted:  # questions share their passages
        return []
    found: dict[tuple[str, ...], list[Example]] = {}
    for example in task.examples(task.source_language, "train"):
        if example.gold is not None:
            found.setdefault(identity_of(example), []).append(example)
    twins = [copies for copies in found.values() if len(copies) > 1]
    if not twins:
        return []
    differ = [copies for copies in twins if len({str(one.gold) for one in copies}) > 1]
    shown = (differ or twins)[0]
    stand = f"{counted(len(twins), 'text')} {'stands' if len(twins) == 1 else 'stand'} there more than once"
    said = f"{task.source_language} training set: {stand}"
    text = f"as “{_short(' / '.join(shown[0].texts))}”"
    if not differ:
        return [f"{said}, {text}; each copy counts"]
    labels = " and ".join(visible(one) for one in dict.fromkeys(str(copy.gold) for copy in shown))
    return [
        f"{said}, {len(differ):,} of them with different labels, {text} with {labels}; every copy counts, so keep the "
        "right one"
    ]


def _warn_of_repeats(materials: Materials) -> list[str]:
    task = materials.task
    source = task.source_language
    files = {(source, "dev"): task.examples(source, "dev")}
    files |= {(code, "test"): examples for code, examples in materials.test.items()}
    repeats = describe_repeats(source, task.examples(source, "train"), files)
    return [f"{repeat}; they are left out of what is learnt from" for repeat in repeats]


def _warn_of_near_duplicates(materials: Materials) -> list[str]:
    """Warn of test texts that are nearly the same as a text that is learnt from with its label."""
    labelled = {
        example.id: example
        for draw in materials.draws
        for examples in (draw.labelled, draw.labelled_sides(draw.pairs), *draw.shots.values())
        for example in examples
    }
    known = ["\n".join(example.identity) for example in labelled.values()]
    found = []
    for language, examples in materials.test.items():
        if not materials.is_scored(language):
            continue
        texts = ["\n".join(example.identity) for example in examples]
        near = near_duplicates(known, texts)
        if near:
            first = max(near, key=lambda one: one.similarity)
            are = f"{counted(len(texts), f'{language} test text')} {'is' if len(near) == 1 else 'are'}"
            found.append(
                f"{len(near):,} of {are} nearly the same as a training text, so the "
                f"score may be too good: “{_short(texts[first.text])}” and “{_short(known[first.known])}”; take one of "
                "each two out if they should not be in both"
            )
    return found


def _warn_of_pairs(materials: Materials) -> list[str]:
    """Warn of translations that are none, and of sides that seem to stand in each other's place."""
    task, found = materials.task, list[str]()
    source = task.source_language
    for language in task.target_languages:
        pairs = {pair[0].id: pair for draw in materials.draws for pair in draw.pairs.get(language, ())}
        sides = [(_text(one), _text(other)) for one, other in islice(pairs.values(), READ_PAIRS)]
        if len(sides) < FEWEST:
            continue
        same, name = sum(one == other for one, other in sides), display_name(language)
        if same > len(sides) / 2:
            found.append(
                f"{same:,} of {len(sides):,} translations into {name} are what they translate, so nothing is learnt of "
                "them; are these the right columns, or files?"
            )
            continue
        known = {
            side: CharacterModel.of_texts(texts) for side, texts in zip("st", zip(*sides, strict=True), strict=True)
        }
        shots = [one for draw in materials.draws for one in draw.shots.get(language, ())]
        if _are_like("t", task.examples(source, "train"), known) and _are_like(
            "s", [*materials.test.get(language, ()), *shots], known, unless_few=True
        ):
            found.append(
                f"the translations of {name} seem to have their sides in each other's place: labelled texts in "
                f"{display_name(source)} are like the side of {name}; if so, exchange them, or name the columns with "
                "parallel.fields: {source: …, target: …}"
            )
    return found


def _are_like(
    side: str, examples: Sequence[Example], known: Mapping[str, CharacterModel], *, unless_few: bool = False
) -> bool:
    """Return whether most texts are likelier on this side of the translations; ``unless_few`` where there are few."""
    texts = [_text(one) for one in examples[:READ_TEXTS]]
    if len(texts) < FEWEST:
        return unless_few
    return sum(likeliest(text, known) == side for text in texts) >= MOSTLY * len(texts)


def _text(example: Example) -> str:
    return " ".join(example.texts)


def _short(text: str) -> str:
    """Return the start of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SAMPLE else f"{line[: LONGEST_SAMPLE - 1].rstrip()}…"
