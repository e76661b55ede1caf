"""Files that repeat each other: a test file that is the training file leaves nothing to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.errors import DataError
from ..core.examples import Example
from ..data.leakage import identity_of
from . import Task

MANY = 0.5
"""Share of a training file from which another file is said to repeat it."""


def describe_repeats(
    language: str, training: Sequence[Example], evaluation: Mapping[tuple[str, str], Sequence[Example]]
) -> list[str]:
    """Say which evaluation files repeat most of a training file.

    Args:
        language: Of the training file.
        training: Its examples, all of them.
        evaluation: Language and split (``dev`` or ``test``) to examples.

    Returns:
        For each such file ``the yor-Latn test file repeats 40 of 40 eng-Latn training texts``.
    """
    texts = [identity_of(example) for example in training]
    found = []
    for (other, split), examples in evaluation.items():
        known = {identity_of(example) for example in examples}
        count = sum(text in known for text in texts)
        if texts and count >= MANY * len(texts):
            found.append(f"the {other} {split} file repeats {count:,} of {len(texts):,} {language} training texts")
    return found


def refuse_repeats(
    task: Task,
    language: str,
    training: Sequence[Example],
    kept: Sequence[Example],
    evaluation: Mapping[tuple[str, str], Sequence[Example]],
) -> None:
    """Refuse files that repeat a training file so that no text, or no text of some class, is left to learn from.

    Args:
        task: The task.
        language: Of the training file.
        training: Its examples, all of them.
        kept: Those that are not evaluated on.
        evaluation: Language and split to examples.

    Raises:
        DataError: They do.
    """
    written, left = ({label for one in side for label in one.labels} for side in (training, kept))
    gone = (written - left) & set(task.kind.classes)
    if kept and not gone:
        return
    if found := describe_repeats(language, training, evaluation):
        rest = f"nothing of {', '.join(sorted(gone))}" if kept else "nothing"
        raise DataError(
            f"{task.name}: {' and '.join(found)}; what is tested is never learnt from, so {rest} is left to learn "
            "from. Give files of different texts, or leave the repeated one out"
        )
