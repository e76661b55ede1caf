"""What is to be learned: a kind of task, and the data that it is learned from and tested on.

A task factory takes a recipe's ``task`` block, languages included, and returns a :class:`Task`. Each
kind (classification, several labels, numbers, extractive question answering, tagging, choice) has a file that says
how examples become tokens and logits become answers; the named benchmarks of ``benchmarks.yaml`` are kinds
with files and a licence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.errors import DataError
from ..core.examples import Example
from ..core.registry import Registry
from ..data.languages import canonical
from .kinds import Kind

ELSEWHERE = {
    "question_answering": "span_qa",
    "extractive_qa": "span_qa",
    "qa": "span_qa",
    "token_classification": "tagging",
    "ner": "tagging",
    "pos": "tagging",
    "text_classification": "classification",
    "sequence_classification": "classification",
    "sentiment": "classification",
    "nli": "classification",
    "multiple_choice": "choice",
    "multi_label_classification": "multilabel",
    "multilabel_classification": "multilabel",
    "numbers": "regression",
    "text_regression": "regression",
    "semantic_similarity": "regression",
    "sentence_similarity": "regression",
    "sts": "regression",
}
"""What others call a kind of task, to the task that reads one's own files of it."""

tasks = Registry("lingraft.tasks", elsewhere=ELSEWHERE)


@dataclass(frozen=True)
class Task:
    """One task in several languages; see docs/architecture.md.

    ``examples(language, split)`` yields the examples of ``train``, ``dev`` or ``test``.
    """

    name: str
    kind: Kind
    source_language: str
    target_languages: tuple[str, ...]
    examples: Callable[[str, str], Sequence[Example]]
    licence: str
    citation: str
    parallel: bool = False
    """Whether the same group is the same sentence in every language."""
    global_groups: bool = False
    """Whether the same group is the same sentence in every split, too; line numbers of several files are not."""
    notes: Sequence[str] = ()
    """Told with the data; grows as files are read."""
    labelled_languages: Callable[[], Sequence[str]] = tuple
    """The languages whose training examples could be learnt from, as far as names of files and columns say so."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What is classified into; empty for kinds without labels."""
        return self.kind.labels

    @property
    def tested_languages(self) -> tuple[str, ...]:
        """The languages that a result is wanted in: the targets or, where the task is in one language, that one."""
        return self.target_languages or (self.source_language,)

    @property
    def languages(self) -> tuple[str, ...]:
        """Source language first."""
        return (self.source_language, *self.target_languages)


def checked_languages(source_language: str, target_languages: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return canonical codes of the source language and the targets.

    Without a target the task is in one language, the source.

    Raises:
        DataError: One is named twice.
    """
    source = canonical(source_language)
    targets = tuple(canonical(language) for language in target_languages)
    if doubled := [code for code in targets if targets.count(code) > 1 or code == source]:
        raise DataError(
            f"task.target_languages names {doubled[0]} twice, or names the source language; a "
            f"task of one language has language: {doubled[0]} instead of both"
        )
    return source, targets
