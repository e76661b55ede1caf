"""What a trained run answers: predictions, probabilities, states, and what speaks for an answer."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..backbones import LayerStack
from ..backbones.loading import Backbone
from ..backbones.walk import TOKENS_PER_BATCH, states_at
from ..core.errors import CheckpointError, DataError, shown
from ..core.examples import Example
from ..core.records import Features, Prediction, States
from ..data.character_model import CharacterModel, likeliest
from ..data.languages import among, canonical
from ..model.checkpoint import Identity
from ..model.generation import is_generated, write_answers
from ..model.network import GraftedModel
from ..model.prediction import predict_in_batches
from ..tasks.kinds import Kind, kind_of
from ..tasks.kinds.items import Asked
from .asked_language import resolve_language
from .explaining import Explanation, explain_example
from .items import EMPTY, LARGEST, Item, Named, chunks_of, name_items, plain_item
from .own_names import OwnNames

FIRST = 1
"""Items of a stream that are answered first; then twice as many each time."""


@dataclass(frozen=True)
class Probabilities:
    """Of each of ``N`` items that of each class, ``values [N, C]``; NaN where an item has no text.

    The classes are the numbers of the alternatives where there is a choice; an item with fewer has zeros. Where an item
    may have several labels each has a probability of its own, and they do not add up to 1; which are given, a threshold
    on development data says, so look at ``labels`` of the predictions for that.
    """

    values: NDArray[np.float64]
    classes: tuple[str, ...]


Texts = tuple[tuple[int, ...], ...]
"""Token ids of each text."""


@dataclass(frozen=True)
class Adapted:
    """A backbone with a trained adaptation, ready to answer."""

    backbone: Backbone
    model: GraftedModel
    identity: Identity
    tokenizing: AbstractContextManager[Any] = field(default_factory=Lock, repr=False, compare=False)
    """Held while texts become tokens."""
    names: OwnNames = field(default_factory=OwnNames)
    """Languages and columns as the run's recipe has them."""
    letters: Mapping[str, CharacterModel] = field(default_factory=dict, repr=False)
    """How letters follow each other in each language that there was text of."""
    frozen: Callable[[Texts, LayerStack, int, torch.device], States] = field(default=states_at, repr=False)
    """Gives the frozen states of texts at the layer where something is learnt."""
    trial: str = ""
    """Which of the run's trials answers, as ``k5-draw0-seed1``; empty where no run is beside the adaptation."""

    def __repr__(self) -> str:
        """Name task, languages, checkpoint and trial: all that is trained would be a hundred lines."""
        trial = f", trial {self.trial}" if self.trial else ""
        return f"<Adapted: {self.identity.task} in {', '.join(self.trained)}, on {self.identity.checkpoint}{trial}>"

    def knows(self, language: str) -> bool:
        """Return whether there is something trained for ``language``: a language part, or it is the source.

        A language in a script that contains the other's, or is a part of it, is the same.
        """
        return among(canonical(language), self.trained) in self.trained

    @property
    def trained(self) -> tuple[str, ...]:
        """The languages that something was trained for, the source first."""
        return (self.identity.source_language, *self.identity.languages)

    @cached_property
    def kind(self) -> Kind:
        """How examples are read, and what the logits say."""
        return kind_of_identity(self.identity)

    @property
    def targets(self) -> tuple[str, ...]:
        """The target languages of the run, whether or not something was trained for each alone."""
        return self.names.targets or self.identity.languages

    def predict(
        self, texts: Iterable[Item], *, language: str | None = None, abstain: float | None = None
    ) -> list[Prediction]:
        """Predict an answer for each item, with its probability; an item without text has an empty answer.

        Args:
            texts: Items as the task has them, see :data:`Item`, in any iterable.
            language: Language of the texts; by default the run's only target or, of several, for each text the
                likeliest of the run's languages by its letters, which the prediction names. For one without a
                language part (see :meth:`knows`), and where letters are not known, the task part alone is used,
                with a warning.
            abstain: Probability, 0 to 1, below which an answer is withheld, see :class:`Prediction`.

        Raises:
            DataError: An item is not what the task takes.
        """
        return list(self.answers(name_items(texts), language=language, abstain=abstain, first=LARGEST))

    def answers(
        self,
        items: Iterable[Named],
        *,
        language: str | None = None,
        abstain: float | None = None,
        probabilities: bool = False,
        first: int = FIRST,
    ) -> Iterator[Prediction]:
        """Yield the answer of each item as soon as some are read; no more items are held than are computed together.

        Args:
            items: Each with what messages call it, as ``("standard input, line 3", "…")``.
            language: As for :meth:`predict`.
            abstain: As for :meth:`predict`.
            probabilities: Give those of all classes as well.
            first: Items that are computed together at first; then twice as many, up to :data:`LARGEST`.

        Raises:
            CheckpointError: The task has no classes whose probabilities could be given.
            DataError: An item is not what the task takes.
        """
        if probabilities:
            check_probabilities(self.kind)
        check_abstain(self.kind, abstain)
        code, below = self._code(language), checked_threshold(abstain)
        chunks = chunks_of(self.read_examples(items, code), first, _characters)
        return self._answers(chunks, code, below, probabilities=probabilities)

    def predict_proba(self, texts: Iterable[Item], *, language: str | None = None) -> Probabilities:
        """Return the probability of each class (or alternative) for each item.

        Args:
            texts: As for :meth:`predict`.
            language: As for :meth:`predict`.

        Raises:
            CheckpointError: The task has no classes to choose from.
            DataError: An item is not what the task takes.
        """
        answers = self.answers(name_items(texts), language=language, probabilities=True, first=LARGEST)
        found = [answer.probabilities for answer in answers]
        width = len(self.identity.labels) or max(map(len, found), default=0)
        classes = self.identity.labels or tuple(map(str, range(width)))
        rows = [[*one, *[0.0] * (width - len(one))] if one else [np.nan] * width for one in found]
        return Probabilities(np.array(rows, dtype=np.float64).reshape(len(rows), width), classes)

    def embed(self, texts: Iterable[Item], *, language: str | None = None) -> NDArray[np.float32]:
        """Return the adapted model's state of each item, ``[N, H]``: what the head reads after the last layer.

        It is the mean over the tokens, of a decoder without the marker in front; with ``pooling: last`` the last
        token's. What is read in several rows (a long text, alternatives) has the mean of theirs, an item without text
        NaN. A language's map is not applied: it moves states in the directions that the head reads, and no others.

        Args:
            texts: As for :meth:`predict`.
            language: As for :meth:`predict`.

        Raises:
            DataError: An item is not what the task takes.
        """
        code = self._code(language)
        found: list[NDArray[Any]] = []
        for chunk in chunks_of(self.read_examples(name_items(texts), code), LARGEST, _characters):
            examples = [example for _, example in chunk if example is not None]
            rows = defaultdict[str, list[NDArray[Any]]](list)
            for language, own in _by_language(examples, code):
                features = self._features(own)
                for feature, pooled in zip(features, self._computed(features, language)[1], strict=True):
                    rows[feature.example_id].append(pooled.float().cpu().numpy())
            nothing = np.full(self.backbone.stack.width, np.nan)
            found += [nothing if one is None else np.mean(rows[one.id], axis=0) for _, one in chunk]
        return np.array(found, dtype=np.float32).reshape(len(found), self.backbone.stack.width)

    def explain(self, item: Item, *, language: str | None = None) -> Explanation:
        """Return the answer of a text, or a pair, and the words and character n-grams that speak for it.

        Args:
            item: One item, see :meth:`predict`.
            language: As for :meth:`predict`.

        Raises:
            CheckpointError: The run is not for classification.
            DataError: The item is not what the task takes, or has no text.
        """
        code = self._code(language)
        ((_, example),) = self.read_examples([("the text", item)], code)
        if example is None:
            raise DataError("the text is empty, so nothing speaks for any answer; give a text")
        return explain_example(self, example, example.language)

    def _code(self, language: str | None) -> str | None:
        """Return the language whose parts are used, None if each text says its own; warn of what is not as asked."""
        code, remarks = self.resolve(language)
        for remark in remarks:
            warnings.warn(remark, stacklevel=4)
        return code

    def resolve(self, language: str | None) -> tuple[str | None, tuple[str, ...]]:
        """Return the language whose parts are used, None if each text says its own, and what is to be said of that."""
        return resolve_language(language, trained=self.trained, targets=self.targets, lettered=tuple(self.letters))

    def read_examples(self, items: Iterable[Named], code: str | None) -> Iterator[tuple[Any, Example | None]]:
        """Yield items as the task's kind reads them, with the example of each that has a text.

        Args:
            items: Each with what messages call it.
            code: Their language; None finds that of each by its letters.
        """
        task, paired = self.identity.task, self.identity.paired
        for number, (where, given) in enumerate(items):
            item = plain_item(given, where, self.kind, self.names, paired=paired)
            asked = Asked(str(number), code or self.identity.source_language, where, task, paired)
            example = None if item is EMPTY else self.kind.example_of(item, asked)
            if example is not None and code is None:
                asked = replace(asked, language=self.language_of(" ".join(example.texts)))
                example = self.kind.example_of(item, asked)
            yield item, example

    def language_of(self, text: str) -> str:
        """Return which of the run's languages a text is most likely in, by its letters."""
        return likeliest(text, self.letters)

    def _answers(
        self,
        chunks: Iterable[list[tuple[Any, Example | None]]],
        code: str | None,
        abstain: float | None,
        *,
        probabilities: bool,
    ) -> Iterator[Prediction]:
        """Yield the answers of items, of which those of a chunk are computed together."""
        done = 0
        for chunk in chunks:
            examples = [example for _, example in chunk if example is not None]
            found = iter(self._predicted(examples, code, probabilities=probabilities))
            for number, (item, example) in enumerate(chunk, start=done):
                if example is None:
                    yield Prediction(str(number), code or "", "", None if self.kind.numeric else 0.0)
                else:
                    yield self.kind.finish(item, next(found), abstain)
            done += len(chunk)

    def _predicted(
        self, examples: Sequence[Example], code: str | None, *, probabilities: bool, ensembled: bool = True
    ) -> list[Prediction]:
        found = dict[str, Prediction]()
        for language, own in _by_language(examples, code):
            features = self._features(own)
            logits = self._both(own, features, language) if ensembled else self._computed(features, language)[0]
            answers = self.kind.decode(own, features, logits)
            if probabilities and self.kind.probabilities is not None:
                every = self.kind.probabilities(features, logits)
                answers = [replace(one, probabilities=tuple(p)) for one, p in zip(answers, every, strict=True)]
            found |= {example.id: answer for example, answer in zip(own, answers, strict=True)}
        return [found[example.id] for example in examples]

    def predict_examples(
        self,
        examples: Sequence[Example],
        language: str | None,
        *,
        probabilities: bool = False,
        ensembled: bool = True,
    ) -> list[Prediction]:
        """Predict answers for examples of the task, with the parts of ``language``.

        Args:
            examples: Each with an id of its own.
            language: Which parts are used; None uses those of each example's own language.
            probabilities: Give those of all classes as well, where there are some.
            ensembled: Answer with the language's map and n-grams, where it has some; else with the network alone.
        """
        return self._predicted(examples, language, probabilities=probabilities, ensembled=ensembled)

    def logits(self, examples: Sequence[Example], language: str) -> list[Tensor]:
        """Compute logits of all rows of the examples, from the tokens up, nothing cached."""
        return self._both(examples, self._features(examples), language)

    def _features(self, examples: Sequence[Example]) -> list[Features]:
        identity = self.identity
        with self.tokenizing:  # a tokenizer notes down how to cut before each call
            return self.kind.encode(examples, self.backbone.tokenizer, identity.max_length, identity.text_prefix)

    def _both(self, examples: Sequence[Example], features: Sequence[Features], language: str) -> list[Tensor]:
        """Return the network's logits, or what the language's ensemble makes of them."""
        return self.model.ensemble(examples, *self._computed(features, language), language)

    def _computed(self, features: Sequence[Features], language: str) -> tuple[list[Tensor], Tensor]:
        """Return the network's logits and pooled states of rows."""
        if is_generated(self.model):
            return write_answers(self.model, features, language)
        ids = [feature.input_ids for feature in features]
        stack, device = self.backbone.stack, next(self.model.parameters()).device
        begins = stack.num_layers if self.model.adaptation.leaves_states else self.identity.begins

        def compute(rows: list[int]) -> tuple[States, Tensor]:
            states = self.frozen(tuple(tuple(ids[row]) for row in rows), stack, begins, device)
            final, logits = self.model(states, language)
            return final, logits

        return predict_in_batches([len(text) for text in ids], compute, width=stack.width, tokens=TOKENS_PER_BATCH)


def _by_language(examples: Sequence[Example], code: str | None) -> Iterator[tuple[str, list[Example]]]:
    """Yield the examples that are read with the parts of one language: all with ``code``, else each with its own's."""
    for language in dict.fromkeys(code or example.language for example in examples):
        yield language, [example for example in examples if (code or example.language) == language]


def _characters(read: tuple[Any, Example | None]) -> int:
    """Return how many characters an example has."""
    return 0 if read[1] is None else sum(map(len, read[1].texts))


def checked_threshold(abstain: float | None) -> float | None:
    """Return a threshold that probabilities can be compared with.

    Raises:
        DataError: It is no number from 0 to 1.
    """
    number = isinstance(abstain, int | float) and not isinstance(abstain, bool)
    if abstain is None or (number and 0 <= abstain <= 1):
        return abstain
    raise DataError(f"abstain: expected a probability from 0 to 1, got {shown(abstain)}")


def check_probabilities(kind: Kind) -> None:
    """Refuse a kind of task whose answers have no probabilities of classes.

    Raises:
        CheckpointError: It has none.
    """
    if kind.probabilities is None:
        raise CheckpointError(
            f"there are no probabilities of classes: the run is for {kind.name}, whose answers are not one of some "
            f"classes; ask for predictions alone{'' if kind.numeric else ', which have a confidence'}"
        )


def check_abstain(kind: Kind, abstain: float | None) -> None:
    """Refuse to withhold answers of a kind of task that have no confidence.

    Raises:
        DataError: It is asked for.
    """
    if kind.numeric and abstain is not None:
        raise DataError(f"abstain: the run is for {kind.name}, whose answers have no confidence; leave it out")


def kind_of_identity(identity: Identity) -> Kind:
    """Return the kind of task that an adaptation was trained for."""
    return kind_of(identity.kind, identity.labels, identity.kind_options)
