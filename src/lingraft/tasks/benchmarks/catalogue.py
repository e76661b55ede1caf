"""The named benchmarks: ``benchmarks.yaml`` made into tasks.

What can be learned from is often another data set than what is scored: ``train_from`` names it. What is
only for evaluation is learned from when a recipe says so, and then some of its groups are held out, the
same ones in every language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from ...core.amounts import Count, CountOrNone
from ...core.errors import DataError
from ...core.examples import Example
from ...core.registry import unknown
from ...data.languages import canonical
from ...data.sampling import rank
from ...recipe.merging import read_packaged_yaml
from .. import Task, tasks
from ..building import task_of
from ..kinds.generative_qa import AnswerBy, kind_of_questions
from ..kinds.written import MaxTokens
from .entries import Benchmark
from .files import known_languages, languages_with_training, read_split

HELD_OUT = 5
"""Of an evaluation set that is learned from, one group in so many is for that."""


class TrainingSource(BaseModel):
    """Where labelled examples of the source language come from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """A benchmark of the same kind."""
    data_dir: Path | None = None
    """Its folder; default: data/NAME."""
    split: Literal["train", "dev", "test"] = "train"
    """Which examples."""
    language: str | None = None
    """Default: the task's source language."""
    examples: Count | None = None
    """At most so many, in whole groups."""
    hold_out: Count | None = None
    """So many are the development set, in whole groups; the same ones whatever `examples` is."""


def _as_list(value: Any) -> Any:
    """Return one source, or several, as a list; an unknown key is refused here, where its name is known."""
    sources = value if isinstance(value, list) else [] if value is None else [value]
    for one in sources:
        for key in one if isinstance(one, dict) else ():
            if key not in TrainingSource.model_fields:
                raise ValueError(unknown(key, list(TrainingSource.model_fields), what="key of train_from"))
        if isinstance(one, str):
            raise ValueError(f"{one!r} is a name alone; write {{name: {one}}}")
    return sources


TrainingSources = Annotated[list[TrainingSource], BeforeValidator(_as_list)]


def benchmarks() -> dict[str, Benchmark]:
    """Return all of them by name."""
    return {
        name: Benchmark(name=name, **values)
        for name, values in read_packaged_yaml(__package__, "benchmarks.yaml").items()
    }


@cache
def benchmark(name: str) -> Benchmark:
    """Return one of them.

    Raises:
        DataError: Nobody knows it; the nearest is offered.
    """
    entries = read_packaged_yaml(__package__, "benchmarks.yaml")
    if name not in entries:
        raise DataError(unknown(name, list(entries), what="benchmark"))
    return Benchmark(name=name, **entries[name])


@dataclass(frozen=True)
class Data:
    """The examples of a benchmark as a recipe wants them."""

    entry: Benchmark
    folder: Path
    source: str
    train_from: tuple[TrainingSource, ...]
    score_split: str
    all_questions: bool
    train_on_evaluation_set: bool
    test_examples: int | None

    def read(self, language: str, split: str) -> list[Example]:
        """Return examples of ``train``, ``dev`` or ``test``.

        Raises:
            DataError: A file is missing or faulty, or an evaluation set would be learned from without a word.
        """
        if split == "test":
            return self._scored(language)
        if language == self.source and self.train_from:
            return self.learned[split == "dev"]
        if self.entry.evaluation_only and split == "train":
            return self._held_out(language)
        # What has no training set is learned from through its development set, where there are shots. What is scored
        # does not select: then a part of the training set will.
        wanted = ("train", "dev") if split == "train" and language != self.source else (split,)
        unseen = [one for one in wanted if one != self.score_split]
        name, found = next(((one, found) for one in unseen if (found := self.own(language, one))), (split, []))
        held = self._held_groups(name) if split == "train" else frozenset()
        return [example for example in found if example.group not in held]

    def own(self, language: str, split: str) -> list[Example]:
        """Return examples of the benchmark itself."""
        key = (language, split)
        if key not in self._kept:
            found, left_out = read_split(
                self.entry, language, split, self.folder, source=self.source, pairs=self.all_questions
            )
            self._note(f"{self.entry.name}, {language} {split}", left_out, self.entry.placeholder)
            self._kept[key] = found
        return self._kept[key]

    def _scored(self, language: str) -> list[Example]:
        """Return what is scored in a language, and note where that is less than there is."""
        key = (language, "scored")
        if key not in self._kept:
            found = self.own(language, self.score_split)
            if self.entry.evaluation_only and self.train_on_evaluation_set:
                found = [example for example in found if not is_held_out(example.group)]
            self._kept[key] = _at_most(found, self.test_examples)
            if found and not self._kept[key]:
                raise DataError(
                    f"task.test_examples: no group of examples of {self.entry.name} in {language} is as small as "
                    f"{self.test_examples}; examples of one paragraph or text are scored together: ask for more"
                )
            if len(self._kept[key]) < len(found):
                scored = f"{len(self._kept[key]):,} of {len(found):,} examples"
                self.notes.append(
                    f"{self.entry.name}, {language}: scored on {scored} (task.test_examples), whole groups"
                )
        return self._kept[key]

    def _note(self, where: str, count: int, mark: str | None) -> None:
        """Tell how many rows of what is read only stand for a text, or have no answer."""
        if count and mark is not None:
            what = f"placeholder row{'s' if count > 1 else ''} ({mark or 'a text is blank'})"
            self.notes.append(f"{where}: left out {count} {what}")
        elif count:
            self.notes.append(f"{where}: left out {count} question{'s' if count > 1 else ''} without a span as answer")

    @cached_property
    def learned(self) -> tuple[list[Example], list[Example]]:
        """Training and development examples of the source language, from elsewhere."""
        training, dev = list[Example](), list[Example]()
        for one in self.train_from:
            place, language = one.data_dir or Path("data") / one.name, canonical(one.language or self.source)
            entry = benchmark(one.name)
            found, left_out = read_split(entry, language, one.split, place, source=language, pairs=False)
            self._note(f"{one.name}, {language} {one.split} (to learn from)", left_out, entry.placeholder)
            if entry.evaluation_only:  # the rest of it may still be scored
                found = [example for example in found if is_held_out(example.group)]
            if not found:
                raise DataError(f"task.train_from: {one.name} has no {one.split} examples in {language} in {place}")
            if one.name != self.entry.name:  # numbers of another data set mean something else
                mark = f"{one.name}/"
                found = [replace(e, id=mark + e.id, group=mark + e.group) for e in found]
            rest, held = _held(found, one.hold_out)
            chosen = _at_most(rest, one.examples)
            if not chosen or (one.hold_out and not held):
                raise DataError(
                    f"task.train_from: {one.name} has {len(found):,} {one.split} examples in {language}, in "
                    f"{len({e.group for e in found}):,} groups that stay together; hold_out: {one.hold_out} and "
                    f"examples: {one.examples} take {len(held)} and {len(chosen)} of them; change these numbers"
                )
            training += chosen
            dev += held
        return training, dev

    def _held_groups(self, split: str) -> frozenset[str]:
        """Return the groups of the development set, where translations of them are among the examples of a split."""
        mine = [one for one in self.train_from if one.name == self.entry.name and one.split == split and one.hold_out]
        return frozenset(example.group for example in self.learned[1]) if mine and self.entry.parallel else frozenset()

    @cached_property
    def notes(self) -> list[str]:
        """What was left out of the files that were read so far."""
        return []

    @cached_property
    def _kept(self) -> dict[tuple[str, str], list[Example]]:
        return {}

    def _held_out(self, language: str) -> list[Example]:
        if self.train_on_evaluation_set:
            return [example for example in self.own(language, self.score_split) if is_held_out(example.group)]
        raise DataError(
            f"{needs_a_word(self.entry.name)}; otherwise set shots.k to 0 and say what to learn from with "
            "task.train_from"
        )


def benchmark_task(
    name: str,
    *,
    source_language: str = "eng-Latn",
    target_languages: Sequence[str],
    data_dir: Path | None = None,
    train_from: Sequence[TrainingSource] = (),
    score_split: Literal["dev", "test"] = "test",
    question_languages: Literal["same", "all"] = "same",
    train_on_evaluation_set: bool = False,
    test_examples: int | None = None,
    allow_unseen_labels: bool = False,
    answering: Mapping[str, Any] = MappingProxyType({}),
) -> Task:
    """Return the task of a benchmark; the options are those of a recipe's ``task`` block.

    Args:
        name: Of the benchmark.
        source_language: What is learned from.
        target_languages: What else is scored.
        data_dir: The folder of its files; ``hub`` for the Hub's copy. Default: data/NAME.
        train_from: What is learned from, where that is not the benchmark itself.
        score_split: Which examples are the test set.
        question_languages: MLQA: score only questions in the language of the context, or all.
        train_on_evaluation_set: Hold out a part of what is made for evaluation (also in ``train_from``), to learn from.
        test_examples: Score at most so many examples of each language, in whole groups, the same ones where the
            languages have the same.
        allow_unseen_labels: Let the test set have labels that the training set does not; they count as missed.
        answering: How questions are answered: ``answer_by``, and options of that kind of task; None for those that the
            recipe does not give.

    Raises:
        DataError: Data and options do not fit.
    """
    entry, folder, notes = benchmark(name), data_dir or Path("data") / name, list[str]()
    source, *targets = known_languages(entry, [source_language, *target_languages], folder, notes)
    kind, options = _kind_of(entry, {key: value for key, value in answering.items() if value is not None})
    sources = [benchmark(one.name) for one in train_from]
    for one in sources:
        if one.kind != entry.kind:
            raise DataError(f"task.train_from: {one.name} is {one.kind}, {name} is {entry.kind}; choose one like it")
        if one.evaluation_only and not train_on_evaluation_set:
            raise DataError(f"task.train_from: {needs_a_word(one.name)}, or choose another data set")
    data = Data(
        entry=entry,
        folder=folder,
        source=source,
        train_from=tuple(train_from),
        score_split=score_split,
        all_questions=question_languages == "all",
        train_on_evaluation_set=train_on_evaluation_set,
        test_examples=test_examples,
    )
    data.notes.extend(notes)
    licences = {one.name: one.licence for one in (entry, *sources)}
    return task_of(
        kind=kind,
        options=options,
        name=name,
        source_language=source,
        target_languages=targets,
        read=data.read,
        licence="; ".join(f"{key}: {value}" for key, value in licences.items()) if len(licences) > 1 else entry.licence,
        citation="; ".join(dict.fromkeys(one.citation for one in (entry, *sources))),
        parallel=entry.parallel,
        global_groups=entry.global_groups,
        allow_unseen_labels=allow_unseen_labels,
        notes=data.notes,
        file_of=lambda language, split: f" ({data.folder})",
        labelled_languages=lambda: languages_with_training(entry, folder),
    )


def _kind_of(entry: Benchmark, answering: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind of task that a benchmark is, and its options."""
    if entry.kind == "span_qa":
        rest = {key: value for key, value in answering.items() if key != "answer_by"}
        return kind_of_questions(answering.get("answer_by", "span_head"), entry.options | rest)
    if answering:
        key = next(iter(answering))
        raise DataError(f"task.{key}: {entry.name} is {entry.kind}, whose answers have no such setting; leave it out")
    return entry.kind, entry.options


def needs_a_word(name: str) -> str:
    """Refuse to learn from an evaluation set unless that is asked for in so many words."""
    return (
        f"{name} is made to evaluate on: learning from it needs `train_on_evaluation_set: true` in the task block, "
        f"which holds out one group in {HELD_OUT} in all languages, to learn from"
    )


def is_held_out(group: str) -> bool:
    """Decide whether a group of an evaluation set is for learning, where that is allowed; alike in all languages."""
    return int.from_bytes(sha256(group.encode()).digest()[:4], "big") % HELD_OUT == 0


def _held(examples: Sequence[Example], count: int | None) -> tuple[list[Example], list[Example]]:
    """Return the rest, and about ``count`` examples in whole groups."""
    chosen = {example.group for example in _at_most(examples, count)} if count else set()
    return [e for e in examples if e.group not in chosen], [e for e in examples if e.group in chosen]


def _at_most(examples: Sequence[Example], count: int | None) -> list[Example]:
    """Return whole groups, ranked by their names, as long as they fit into ``count`` examples."""
    if count is None or count >= len(examples):
        return list(examples)
    sizes: dict[str, int] = {}
    for example in examples:
        sizes[example.group] = sizes.get(example.group, 0) + 1
    chosen, room = set(), count
    for group in sorted(sizes, key=lambda group: rank(0, "train", group)):
        if sizes[group] <= room:
            chosen.add(group)
            room -= sizes[group]
    return [example for example in examples if example.group in chosen]


def _factory(entry: Benchmark) -> Callable[..., Task]:
    """Return what a recipe's ``task`` block builds."""

    def build(
        *,
        source_language: str = "eng-Latn",
        target_languages: list[str],
        data_dir: Path | None = None,
        train_from: TrainingSources | None = None,
        score_split: Literal["dev", "test"] = "test",
        question_languages: Literal["same", "all"] = "same",
        train_on_evaluation_set: bool = False,
        test_examples: Count | None = None,
        allow_unseen_labels: bool = False,
        answer_by: AnswerBy | None = None,
        max_answer_length: CountOrNone | None = None,
        template: str | None = None,
        max_answer_tokens: MaxTokens | None = None,
    ) -> Task:
        return benchmark_task(
            entry.name,
            source_language=source_language,
            target_languages=target_languages,
            data_dir=data_dir,
            train_from=train_from or [],
            score_split=score_split,
            question_languages=question_languages,
            train_on_evaluation_set=train_on_evaluation_set,
            test_examples=test_examples,
            allow_unseen_labels=allow_unseen_labels,
            answering={
                "answer_by": answer_by,
                "max_answer_length": max_answer_length,
                "template": template,
                "max_answer_tokens": max_answer_tokens,
            },
        )

    build.__doc__ = entry.about + "."
    return build


for _entry in benchmarks().values():
    if _entry.name != "sib200":  # has a setting of its own, see catalogue.py
        tasks.register(_entry.name)(_factory(_entry))
