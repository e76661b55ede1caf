"""The kinds of tasks by name, for a trained run that is to be used again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import CheckpointError
from ..records import ChoiceExample, Example, PairExample, SpanExample, TaggedExample
from .classification import classification_kind
from .kinds import Kind

EXAMPLES: Mapping[str, type[Example]] = {
    "classification": PairExample,
    "span_qa": SpanExample,
    "tagging": TaggedExample,
    "choice": ChoiceExample,
}
"""What each kind reads."""


def kind_of(name: str, labels: Sequence[str], options: Mapping[str, Any]) -> Kind:
    """Build a kind again from what was saved.

    Raises:
        CheckpointError: Nobody knows it.
    """
    match name:
        case "classification":
            return classification_kind(labels)
        case "span_qa":
            from .span_qa import span_qa_kind

            return span_qa_kind(**options)
        case "tagging":
            from .tagging import tagging_kind

            return tagging_kind(tuple(labels), **options)
        case "choice":
            from .choice import choice_kind

            return choice_kind(**options)
    raise CheckpointError(f"unknown kind of task {name!r}; known are {', '.join(EXAMPLES)}; update lingraft")
