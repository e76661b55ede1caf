"""What may be wrong with the labels of a task: told by ``check``, and wherever a class has too few examples."""

from __future__ import annotations

from collections.abc import Collection

from ..data.label_slips import describe_slips
from ..data.labels import ask_of_numbers, count_labels, describe_variants, spelling_variants
from . import Task


def doubt_labels(task: Task, languages: Collection[str]) -> list[str]:
    """Say which labels are likely not meant: spellings of one class, slips of the pen, numbers as classes.

    Args:
        task: What has the labels.
        languages: Targets whose training examples are learnt from.
    """
    source = task.source_language
    training = count_labels(task.examples(source, "train"))
    tested = count_labels(example for code in task.languages for example in task.examples(code, "test"))
    counts = training + count_labels(task.examples(source, "dev")) + tested
    counts += count_labels(example for code in languages for example in task.examples(code, "train"))
    found = []
    if variants := spelling_variants(counts):
        found.append(
            "labels that differ only in case, blanks, Unicode form or invisible characters are different classes: "
            f"{describe_variants(variants, counts)}; spell them alike, or set `labels: normalise` in the task block"
        )
    if slips := describe_slips(counts, tested):
        found.append(slips)
    scale = "order" in task.kind.options
    if task.kind.classes and not scale and (question := ask_of_numbers(training)):
        found.append(question)
    return found
