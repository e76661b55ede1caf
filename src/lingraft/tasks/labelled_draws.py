"""Labelled examples of a draw, of which every class must have some; what may be wrong with labels is said where not.

A class that is spelt in two ways, or with a slip of the pen, shows first as one that has too few examples.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from ..core.counted import counted
from ..core.errors import DataError
from ..core.examples import Example
from ..core.shots import Shots
from ..data.sampling import draw_shots
from . import Task
from .label_doubts import doubt_labels


@contextmanager
def doubting_labels(task: Task, languages: Collection[str]) -> Iterator[None]:
    """Add to what is said of classes that lack examples what may be wrong with the labels.

    Args:
        task: What has the labels.
        languages: Targets whose training examples are learnt from.

    Raises:
        DataError: What is done within raises one.
    """
    try:
        yield
    except DataError as error:
        raise DataError(". Besides, ".join([str(error), *doubt_labels(task, languages)])) from error


def refuse_missing_classes(task: Task, labelled: Sequence[Example], draw: int, training: int, paired: int) -> None:
    """Refuse a draw that has no labelled example of the source language, or none of some class.

    Args:
        task: What has the classes.
        labelled: What the draw has labels of.
        draw: Its number.
        training: How many training examples are not evaluated on.
        paired: How many of them went into pairs.

    Raises:
        DataError: It has none.
    """
    classes = set(task.kind.classes)
    missing = classes - {str(example.gold) for example in labelled}
    if missing or not labelled:
        of_class = f" of {', '.join(sorted(missing))}" if missing else ""
        lacks = f"no labelled {task.source_language} example{of_class}"
        why = f"of {training} training examples that are not evaluated on, {paired} went into pairs; give more "
        cure = "examples, ask for fewer parallel.pairs, or set parallel.labelled"
        if not paired:
            why = f"{training} training examples are neither evaluated on nor held out to choose settings by; give "
            cure = "more examples of each class, or join rare classes or leave them out"
            cure = cure if missing else "more examples, or a development set, for which none is held out then"
        raise DataError(f"draw {draw + 1} leaves {lacks}: {why}{cure}")


def refuse_lost_classes(task: Task, few: Sequence[Example], labelled: Sequence[Example], draw: int, most: int) -> None:
    """Refuse a limit on the labelled examples of the source language that leaves a class without any.

    Args:
        task: What has the classes.
        few: What the limit leaves.
        labelled: What there is.
        draw: Its number.
        most: The limit.

    Raises:
        DataError: It leaves none, or none of a class that there is.
    """
    here, there = ({str(example.gold) for example in one} & set(task.kind.classes) for one in (few, labelled))
    if few and here == there:
        return
    of_class = f" of {', '.join(sorted(there - here))}" if there - here else ""
    raise DataError(
        f"draw {draw + 1} leaves no labelled {task.source_language} example{of_class}: shots.source_examples takes "
        f"{most} of {len(labelled)}, groups that belong together whole, in the order of the draw; raise it, or leave "
        "it out"
    )


def shots_of(task: Task, language: str, pool: Sequence[Example], k: Shots, draw: int) -> tuple[Example, ...]:
    """Draw the labelled examples of a target language.

    Args:
        task: What has the classes.
        language: The target.
        pool: What may be drawn.
        k: Shots per class.
        draw: Number of the draw.

    Raises:
        DataError: A class has too few.
    """
    classes = set(task.kind.classes)
    if k != "all" and k and (gone := classes - {str(example.gold) for example in pool}):
        raise DataError(
            f"draw {draw + 1}: {language} has no training example of {', '.join(sorted(gone))} to draw "
            f"{counted(k, 'shot')} from; add some, or set shots.k to 0"
        )
    return tuple(draw_shots(pool, k, draw, per_class=bool(classes))) if k else ()
