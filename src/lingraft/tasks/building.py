"""A task from a kind and a function that reads a language's split: what all kinds and benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ..core.errors import DataError, Faults
from ..core.examples import Example
from ..data.label_slips import nearest_label
from ..data.labels import label_key, visible
from . import Task, checked_languages
from .kinds import kind_of
from .labelling import FitLabelling, as_written, strip_labels

Read = Callable[[str, str], Sequence[Example]]
"""Language and split (``train``, ``dev``, ``test``) to examples; none where there is no such split."""


def task_of(
    *,
    kind: str,
    options: Mapping[str, Any],
    name: str,
    source_language: str,
    target_languages: Sequence[str],
    read: Read,
    licence: str = "not stated",
    citation: str = "",
    parallel: bool = False,
    global_groups: bool = False,
    allow_unseen_labels: bool = False,
    notes: Sequence[str] = (),
    file_of: Callable[[str, str], str] = lambda language, split: "",
    labelling: FitLabelling = as_written,
    labelled_languages: Callable[[], Sequence[str]] = tuple,
) -> Task:
    """Build a :class:`Task`.

    Labels, where the kind has some, are those of the source language's training set.

    Args:
        kind: Name of the kind.
        options: What it is built with, beside the labels.
        name: Of the task.
        source_language: The language with many labels.
        target_languages: The others.
        read: What reads them.
        licence: Of the data.
        citation: Whom to name.
        parallel: Whether the same group is the same text in every language.
        global_groups: Whether the same group is the same text in every split, too.
        allow_unseen_labels: Let test sets have labels that the source language does not; they count as missed.
            Tagged shots may have them, too: their words take no part in the loss.
        notes: Told with the data.
        file_of: Says where a language's split was read from, as in `` (train.swh.csv)``.
        labelling: Says, of the training examples, how labels are read; blanks and invisible characters at their
            ends are never part of them.
        labelled_languages: Names the languages with training examples, as far as that is seen without reading them.

    Raises:
        DataError: Languages or labels do not fit.
    """
    source, targets = checked_languages(source_language, target_languages)
    written = strip_labels(_read_training(read, source, targets))
    if not written:
        raise DataError(f"{name}: {source} has no training examples; say where they are with task.train_from")
    told = notes if isinstance(notes, list) else list(notes)  # the reader may tell more later
    labelled = labelling(written, told.append)

    def relabel(found: Sequence[Example], language: str, split: str) -> list[Example]:
        try:
            return labelled.relabel(found)
        except DataError as error:
            raise DataError(f"{name}, {language} {split}{file_of(language, split)}: {error}") from error

    training = relabel(written, source, "train")
    labels = tuple(sorted({label for example in training for label in example.labels}))
    if len(labels) == 1:
        raise DataError(
            f"{name}: the {source} training set has the one label {labels[0]!r}; there is nothing to tell apart"
        )
    shape = kind_of(kind, labels, {**options, **labelled.options})

    @cache
    def examples(language: str, split: str) -> list[Example]:
        if (language, split) == (source, "train"):
            return training
        found = relabel(strip_labels(read(language, split)), language, split)
        may_differ = split == "test" or (not shape.one_class_each and language != source)
        if labels and not (allow_unseen_labels and may_differ):
            where = f"{name}, {language} {split}{file_of(language, split)}"
            _check_labels(found, labels, where, source, noun=shape.words.example, with_cure=may_differ)
        return found

    return Task(
        name=name,
        kind=shape,
        source_language=source,
        target_languages=targets,
        examples=examples,
        licence=licence,
        citation=citation,
        parallel=parallel,
        global_groups=global_groups,
        notes=told,
        labelled_languages=labelled_languages,
    )


def _read_training(read: Read, source: str, targets: Sequence[str]) -> list[Example]:
    """Return the training examples; where they cannot be read, all that else is wrong is said with it.

    Raises:
        LingraftError: They cannot be read.
    """
    faults = Faults()
    with faults:
        return list(read(source, "train"))
    for language, split in [(source, "dev"), *((language, "test") for language in targets)]:
        with faults:
            read(language, split)
    raise faults.error


def _check_labels(
    examples: Sequence[Example], labels: Sequence[str], where: str, source: str, *, noun: str, with_cure: bool
) -> None:
    for example in examples:
        for label in example.labels:
            if label not in labels:
                if alike := [known for known in labels if label_key(known) == label_key(label)]:
                    raise DataError(
                        f"{where}, {noun} {example.id}: label {visible(label)} is spelt {visible(alike[0])} in the "
                        f"{source} training set, which is another class; spell them alike, or set `labels: normalise` "
                        "in the task block"
                    )
                near = nearest_label(label, labels)
                meant = f"; did you mean {visible(near)}?" if near else f", which has {', '.join(labels)};"
                cure = ", or set task.allow_unseen_labels, and it counts as missed" if with_cure else ""
                raise DataError(
                    f"{where}, {noun} {example.id}: label {label!r} does not occur in the {source} training set"
                    f"{meant} correct it, add training examples{cure}"
                )
