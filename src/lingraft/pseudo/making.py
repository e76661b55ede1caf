"""Make the pseudo-data of one language and draw: what generators give, less evaluation texts and what filters take."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..core.examples import Example, PairExample, SpanExample, TaggedExample
from ..data.leakage import identity_of
from ..tasks import Task
from . import Sources
from .filtering import Rejected, Step, run_chain, some_rejected, some_survivors
from .filters import Filter, Setting
from .generators import Generator
from .tag_projection import UNKNOWN

LEAKED = "it is an evaluation text"
EMPTY = "a text of it is empty"
EMPTY_ANSWER = "an answer is empty"
STEERS = "a text of it has control characters"
OTHER_SHAPE = "it has another number of texts than the examples of the task"
"""Why what was made is not learnt from, whatever the recipe says."""


CONTROL = re.compile("[\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f]")
"""Characters that steer a terminal and mean nothing in a text: all of Unicode's Cc but blanks and ends of lines."""


@dataclass(frozen=True)
class Made:
    """What is learnt from, and how it came about.

    Attributes:
        examples: What is learnt from.
        dropped: Why examples could not be made, or must not be learnt from, and how often.
        steps: What each filter took of the others.
        survivors: Some examples, to be read.
        rejected: Some that filters took, to be read.
        made_of: Digest of settings and sources.
        records: What generators recorded.
    """

    examples: tuple[Example, ...]
    dropped: Counter[str]
    steps: tuple[Step, ...] = ()
    survivors: tuple[Example, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    made_of: str = ""
    records: tuple[Mapping[str, Any], ...] = ()


def make(
    generators: Sequence[Generator],
    chain: Sequence[tuple[str, Filter]],
    sources: Sources,
    evaluation: Sequence[Example],
    where: str,
) -> Made:
    """Make examples with all generators of a recipe, and filter them.

    Args:
        generators: In the order of the recipe.
        chain: Names and filters, in their order.
        sources: What both may use; reasons for what cannot be made are counted.
        evaluation: Evaluation texts, in any language.
        where: What the ids begin with; no other language or draw has the same.
    """
    dropped, examples, mixed = Counter[str](), list[Example](), set[str]()
    records = list[Mapping[str, Any]]()
    counting = replace(sources, drop=lambda reason: dropped.update([reason]), record=records.append)
    forbidden = {identity_of(example) for example in evaluation}
    for number, generator in enumerate(generators):
        for example in map(partial(_with_shots, generator, sources), generator.generate(counting)):
            mixed |= {example.origin} if generator.mixes else set()
            if reason := _unfit(example, sources) or (LEAKED if identity_of(example) in forbidden else ""):
                dropped[reason] += 1
            else:
                examples.append(replace(example, id=f"pseudo/{where}/{number}/{example.id}"))
    funnel = run_chain(chain, examples, Setting(sources, evaluation, frozenset(mixed)))
    survivors, rejected = some_survivors(funnel), some_rejected(funnel)
    return Made(funnel.examples, dropped, funnel.steps, survivors, rejected, records=tuple(records))


def _with_shots(generator: Generator, sources: Sources, example: Example) -> Example:
    """Return an example with all shots as what was shown for it, where its generator takes shots and names none."""
    if "shots" not in generator.needs or example.shown:
        return example
    return replace(example, shown=tuple(shot.trace for shot in sources.shots))


def _unfit(example: Example, sources: Sources) -> str:
    """Say why an example is none of the task; nothing if it may be learnt from."""
    if not all(text.strip() for text in example.texts):
        return EMPTY
    if isinstance(example, SpanExample) and not all(answer.text.strip() for answer in example.answers):
        return EMPTY_ANSWER
    if any(CONTROL.search(text) for text in example.texts):
        return STEERS
    if strange := strange_label(example, sources.task):
        return f"{strange} is no label of the task"
    return "" if has_texts_of_task(example, sources) else OTHER_SHAPE


def strange_label(example: Example, task: Task) -> str:
    """Return a label of an example that the task has not; nothing if it has all of them.

    A tag that is not known is none: its word is not learnt from. A name of several words in a task all of whose names
    have one needs a tag that is in none of the labels, and would be learnt as a name of one word.
    """
    unknown = {UNKNOWN} if isinstance(example, TaggedExample) else set[str]()
    return next((one for one in example.labels if task.labels and one not in task.labels and one not in unknown), "")


def has_texts_of_task(example: Example, sources: Sources) -> bool:
    """Return whether an example is one text, or two, as those of the task are."""
    wanted = {len(one.texts) for one in sources.labelled}
    return not (isinstance(example, PairExample) and wanted) or len(example.texts) in wanted
