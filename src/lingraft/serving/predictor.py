"""Use a trained run: load it, ask it."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..backbones import LayerStack
from ..backbones.devices import find_device, list_devices
from ..backbones.loading import Backbone
from ..backbones.walk import TOKENS_PER_BATCH, states_at
from ..core.errors import CheckpointError, DataError, shown
from ..core.examples import Example
from ..core.records import Features, Prediction, States
from ..core.written_recipe import read_written_recipe
from ..data.languages import among, canonical
from ..model.checkpoint import Identity, adaptation_path, load_adaptation, read_identity
from ..model.generation import is_generated, write_answers
from ..model.network import GraftedModel
from ..model.prediction import predict_in_batches
from ..results.run_files import read_mark
from ..tasks.kinds import Kind, kind_of
from ..tasks.kinds.items import Asked
from .asked_language import resolve_language
from .explaining import Explanation, explain_example
from .hub import fetch_run, is_on_hub
from .items import EMPTY, LARGEST, Item, Named, chunks_of, name_items, plain_item
from .own_names import OwnNames, own_names
from .trained_backbone import load_trained_backbone, up_to

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
    frozen: Callable[[Texts, LayerStack, int, torch.device], States] = field(default=states_at, repr=False)
    """Gives the frozen states of texts at the layer where something is learnt."""

    def __repr__(self) -> str:
        """Name task, languages and checkpoint: all that is trained would be a hundred lines."""
        return f"<Adapted: {self.identity.task} in {', '.join(self.trained)}, on {self.identity.checkpoint}>"

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
        return _kind_of(self.identity)

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
            language: Language of the texts; by default the run's only target. For one without a language part
                (see :meth:`knows`), and without a language where the run has several targets, the task part alone
                is used, with a warning.
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
        """Return the adapted model's state of each item: the mean over its tokens after the last layer, ``[N, H]``.

        What is read in several rows (a long text, alternatives) has the mean of theirs, an item without text NaN. A
        language's map is not applied: it moves states in the directions that the head reads, and no others.

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
            features = self._features(examples)
            pooled = self._computed(features, code)[1].float().cpu().numpy() if features else np.zeros((0, 0))
            rows = defaultdict[str, list[int]](list)
            for row, feature in enumerate(features):
                rows[feature.example_id].append(row)
            nothing = np.full(self.backbone.stack.width, np.nan)
            found += [nothing if one is None else pooled[rows[one.id]].mean(0) for _, one in chunk]
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
        return explain_example(self, example, code)

    def _code(self, language: str | None) -> str:
        """Return the language whose parts are used; warn where the task part has to do."""
        code, remarks = resolve_language(language, trained=self.trained, targets=self.targets)
        for remark in remarks:
            warnings.warn(remark, stacklevel=4)
        return code

    def read_examples(self, items: Iterable[Named], code: str) -> Iterator[tuple[Any, Example | None]]:
        """Yield items as the task's kind reads them, with the example of each that has a text."""
        task, paired = self.identity.task, self.identity.paired
        for number, (where, given) in enumerate(items):
            item = plain_item(given, where, self.kind, self.names, paired=paired)
            asked = Asked(str(number), code, where, task, paired)
            yield item, None if item is EMPTY else self.kind.example_of(item, asked)

    def _answers(
        self,
        chunks: Iterable[list[tuple[Any, Example | None]]],
        code: str,
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
                    yield Prediction(str(number), code, "", 0.0)
                else:
                    yield self.kind.finish(item, next(found), abstain)
            done += len(chunk)

    def _predicted(
        self, examples: Sequence[Example], code: str, *, probabilities: bool, ensembled: bool = True
    ) -> list[Prediction]:
        features = self._features(examples)
        logits = self._both(examples, features, code) if ensembled else self._computed(features, code)[0]
        found = self.kind.decode(examples, features, logits)
        if not probabilities or self.kind.probabilities is None:
            return found
        every = self.kind.probabilities(features, logits)
        return [replace(one, probabilities=tuple(p)) for one, p in zip(found, every, strict=True)]

    def predict_examples(
        self, examples: Sequence[Example], language: str, *, probabilities: bool = False, ensembled: bool = True
    ) -> list[Prediction]:
        """Predict answers for examples of the task, with the parts of ``language``.

        Args:
            examples: Each with an id of its own.
            language: Which parts are used.
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
            "classes; ask for predictions alone, which have a confidence"
        )


def check_folder(folder: object) -> None:
    """Refuse what cannot name a run.

    Raises:
        CheckpointError: It is no text and no path.
    """
    if not isinstance(folder, str | PathLike):
        raise CheckpointError(f"expected the folder of a run, as 'runs/my-run', got {shown(folder)}")


def needed_columns(folder: Path | str) -> tuple[str, ...]:
    """Return columns of the rows that a run predicts on; none where it takes plain texts."""
    return kind_at(folder)[0].item_columns


def kind_at(folder: Path | str) -> tuple[Kind, Identity]:
    """Return the kind of task that a run was trained for, and who it is, without loading anything else.

    Raises:
        CheckpointError: There is no finished run.
    """
    check_folder(folder)
    identity = read_identity(adaptation_path(folder))
    return _kind_of(identity), identity


def _kind_of(identity: Identity) -> Kind:
    return kind_of(identity.kind, identity.labels, identity.kind_options)


def load(
    folder: Path | str,
    *,
    backbone: Backbone | str | Path | None = None,
    device: str | None = None,
    trusting: bool = True,
) -> Adapted:
    """Load a run folder, or an ``adaptation.safetensors``, for prediction.

    Args:
        folder: What `lingraft run` wrote, or a method's folder in what `lingraft compare` wrote; or, as a text, the
            name of a run on the Hub (``owner/name``), where there is no such folder.
        backbone: Use this one, where it is, instead of the checkpoint that the run names; or where that is now.
        device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``; by default where the run's recipe says, if
            this machine has it.
        trusting: Believe digests of the checkpoint that were made before of the same files.

    Raises:
        CheckpointError: There is no adaptation, or it belongs to another backbone.
        ConfigError: This machine has no such device.
        RunError: What says what the folder is, or what its recipe was, is damaged.
    """
    check_folder(folder)
    folder = fetch_run(str(folder)) if is_on_hub(folder) else folder
    path = adaptation_path(folder)
    read_mark(Path(folder))
    wanted = read_identity(path)
    if not isinstance(backbone, Backbone):
        found = find_device(device) if device is not None else device_of(Path(folder))
        backbone = load_trained_backbone(wanted, path, given=backbone, trusting=trusting)
        backbone.stack.to(found)
    backbone = up_to(wanted.layers, backbone, path)
    adaptation, identity = load_adaptation(path, backbone)
    adaptation.to(next(backbone.stack.parameters()).device)
    model = GraftedModel(backbone.stack, adaptation).eval()
    return Adapted(backbone, model, identity, names=own_names(Path(folder)))


def device_of(folder: Path) -> torch.device:
    """Return the device that a run's recipe asks for, or the best there is where this machine does not have it."""
    wanted = str(read_written_recipe(folder).get("device", "auto"))
    return find_device(wanted if wanted in list_devices() else "auto")
