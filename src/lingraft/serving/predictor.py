"""Use a trained run: load it, ask it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from ..backbones.devices import find_device, list_devices
from ..backbones.loading import Backbone
from ..backbones.walk import TOKENS_PER_BATCH, states_at
from ..core.errors import DataError
from ..core.files import read_object
from ..core.records import Example, Features, Prediction, States
from ..data.languages import canonical
from ..model.checkpoint import Identity, load_adaptation, read_identity
from ..model.network import GraftedModel
from ..model.prediction import predict_in_batches
from ..recipe.parsing import read_yaml
from ..results.method_schemas import METHOD
from ..tasks.kinds import Kind, kind_of
from ..tasks.kinds.items import Asked
from .trained_backbone import load_trained_backbone

Item = str | tuple[str, str] | Sequence[str] | Mapping[str, Any]
"""What is predicted on: a text, a pair of texts, a list of words, or an object as ``{"question": …, "context": …}``;
the run's kind of task says which (its model card shows one)."""


@dataclass(frozen=True)
class Adapted:
    """A backbone with a trained adaptation, ready to answer."""

    backbone: Backbone
    model: GraftedModel
    identity: Identity
    tokenizing: AbstractContextManager[Any] = field(default_factory=Lock, repr=False, compare=False)
    """Held while texts become tokens."""

    def knows(self, language: str) -> bool:
        """Return whether there is something trained for ``language``: a language part, or it is the source."""
        return canonical(language) in (self.identity.source_language, *self.identity.languages)

    @cached_property
    def kind(self) -> Kind:
        """How examples are read, and what the logits say."""
        return _kind_of(self.identity)

    def predict(self, texts: Sequence[Item], *, language: str | None = None) -> list[Prediction]:
        """Predict an answer for each item, with its probability.

        Args:
            texts: Items as the task has them, see :data:`Item`.
            language: Language of the texts. For one without a language part (see :meth:`knows`), and
                without a language, the task part alone is used.

        Raises:
            DataError: An item is not what the task takes.
        """
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts, got one string; put it in brackets: [text]")
        code = canonical(language) if language else self.identity.source_language
        if language and not self.knows(code):
            warnings.warn(f"nothing was trained for {language}: using the task part alone", stacklevel=2)
        task, paired = self.identity.task, self.identity.paired
        asked = [Asked(str(i), code, f"text {i + 1} of {len(texts)}", task, paired) for i in range(len(texts))]
        examples = [self.kind.example_of(item, about) for item, about in zip(texts, asked, strict=True)]
        return self.predict_examples(examples, code)

    def predict_examples(self, examples: Sequence[Example], language: str) -> list[Prediction]:
        """Predict answers for examples of the task, with the parts of ``language``."""
        features = self._features(examples)
        return self.kind.decode(examples, features, self._both(examples, features, language))

    def logits(self, examples: Sequence[Example], language: str) -> list[Tensor]:
        """Compute logits of all rows of the examples, from the tokens up, nothing cached."""
        return self._both(examples, self._features(examples), language)

    def _features(self, examples: Sequence[Example]) -> list[Features]:
        identity = self.identity
        with self.tokenizing:  # a tokenizer notes down how to cut before each call
            return self.kind.encode(examples, self.backbone.tokenizer, identity.max_length, identity.text_prefix)

    def _both(self, examples: Sequence[Example], features: Sequence[Features], language: str) -> list[Tensor]:
        """Return the network's logits, ensembled with those of the language's text classifiers."""
        return self.model.ensemble(examples, self._logits(features, language), language)

    def _logits(self, features: Sequence[Features], language: str) -> list[Tensor]:
        ids = [feature.input_ids for feature in features]
        stack, device = self.backbone.stack, next(self.model.parameters()).device

        def compute(rows: list[int]) -> tuple[States, Tensor]:
            states = states_at([ids[row] for row in rows], stack, self.identity.cut, device)
            final, logits = self.model(states, language)
            return final, logits

        return predict_in_batches([len(text) for text in ids], compute, width=stack.width, tokens=TOKENS_PER_BATCH)[0]


def needed_columns(folder: Path | str) -> tuple[str, ...]:
    """Return columns of the rows that a run predicts on; none where it takes plain texts."""
    return _kind_of(read_identity(adaptation_path(folder))).item_columns


def _kind_of(identity: Identity) -> Kind:
    return kind_of(identity.kind, identity.labels, identity.kind_options)


def adaptation_path(folder: Path | str) -> Path:
    """Return the file with the trained parts; of a method of a comparison, that of its first training."""
    path = Path(folder)
    if path.suffix and not path.is_dir():
        return path
    trained = read_object(path / "method.json", METHOD).get("trials", ())
    return path.joinpath(*(("trials", trained[0]) if trained else ()), "adaptation.safetensors")


def load(
    folder: Path | str,
    *,
    backbone: Backbone | str | Path | None = None,
    device: str | None = None,
    trusting: bool = True,
) -> Adapted:
    """Load a run folder, or an ``adaptation.safetensors``, for prediction.

    Args:
        folder: What `lingraft run` wrote, or a method's folder in what `lingraft compare` wrote.
        backbone: Use this one, where it is, instead of the checkpoint that the run names; or where that is now.
        device: Where to compute: ``auto``, ``cpu``, ``cuda`` or ``mps``; by default where the run's recipe says, if
            this machine has it.
        trusting: Believe digests of the checkpoint that were made before of the same files.

    Raises:
        CheckpointError: There is no adaptation, or it belongs to another backbone.
        ConfigError: This machine has no such device.
    """
    path = adaptation_path(folder)
    wanted = read_identity(path)
    if not isinstance(backbone, Backbone):
        found = find_device(device) if device is not None else device_of(Path(folder))
        backbone = load_trained_backbone(wanted, path, given=backbone, trusting=trusting)
        backbone.stack.to(found)
    adaptation, identity = load_adaptation(path, backbone)
    adaptation.to(next(backbone.stack.parameters()).device)
    return Adapted(backbone, GraftedModel(backbone.stack, adaptation).eval(), identity)


def device_of(folder: Path) -> torch.device:
    """Return the device that a run's recipe asks for, or the best there is where this machine does not have it."""
    recipe = folder / "recipe.yaml"
    wanted = str(read_yaml(recipe).get("device", "auto")) if recipe.is_file() else "auto"
    return find_device(wanted if wanted in list_devices() else "auto")
