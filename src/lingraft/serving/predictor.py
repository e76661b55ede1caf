"""Use a trained run: load it, ask it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..backbones.loading import Backbone, load_backbone
from ..backbones.walk import length_batches, states_at
from ..core.errors import DataError
from ..core.files import read_object
from ..core.records import Example, Features, Prediction
from ..data.languages import canonical
from ..model.checkpoint import Identity, load_adaptation, read_identity
from ..model.network import GraftedModel
from ..tasks.kinds import Kind, kind_of
from ..tasks.kinds.items import Asked

Item = str | tuple[str, str] | Sequence[str] | Mapping[str, Any]
"""What is predicted on: a text, a pair of texts, a list of words, or an object as ``{"question": …, "context": …}``;
the run's kind of task says which (its model card shows one)."""


@dataclass(frozen=True)
class Adapted:
    """A backbone with a trained adaptation, ready to answer."""

    backbone: Backbone
    model: GraftedModel
    identity: Identity

    def knows(self, language: str) -> bool:
        """Whether there is something trained for ``language``: a language part, or it is the source."""
        return canonical(language) in (self.identity.source_language, *self.identity.languages)

    @cached_property
    def kind(self) -> Kind:
        """How examples are read, and what the logits say."""
        return _kind_of(self.identity)

    def predict(self, texts: Sequence[Item], *, language: str | None = None) -> list[Prediction]:
        """What the model says of each item, with its probability.

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
        """What the model says of examples of the task, by way of the parts of ``language``."""
        features = self._features(examples)
        return self.kind.decode(examples, features, self._both(examples, features, language))

    def logits(self, examples: Sequence[Example], language: str) -> list[Tensor]:
        """Of all rows of the examples, computed from the words up, nothing cached."""
        return self._both(examples, self._features(examples), language)

    def _features(self, examples: Sequence[Example]) -> list[Features]:
        identity = self.identity
        return self.kind.encode(examples, self.backbone.tokenizer, identity.max_length, identity.text_prefix)

    def _both(self, examples: Sequence[Example], features: Sequence[Features], language: str) -> list[Tensor]:
        """The network's logits, ensembled with those of the language's text classifiers."""
        return self.model.ensemble(examples, self._logits(features, language), language)

    def _logits(self, features: Sequence[Features], language: str) -> list[Tensor]:
        ids = [feature.input_ids for feature in features]
        device = next(self.model.parameters()).device
        found: list[Any] = [None] * len(ids)
        with torch.no_grad():
            for rows in length_batches([len(text) for text in ids]):
                states = states_at([ids[row] for row in rows], self.backbone.stack, self.identity.cut, device)
                for row, logits in zip(rows, self.model(states, language)[1].float().cpu(), strict=True):
                    found[row] = logits[: len(ids[row])].clone() if logits.dim() > 1 else logits
        return found


def needed_columns(folder: Path | str) -> tuple[str, ...]:
    """Columns of the rows that a run predicts on; none where it takes plain texts."""
    return _kind_of(read_identity(adaptation_path(folder))).item_columns


def _kind_of(identity: Identity) -> Kind:
    return kind_of(identity.kind, identity.labels, identity.kind_options)


def adaptation_path(folder: Path | str) -> Path:
    """The file with the trained parts; of a method of a comparison, that of its first training."""
    path = Path(folder)
    if path.suffix and not path.is_dir():
        return path
    trained = read_object(path / "method.json").get("trials", ())
    return path.joinpath(*(("trials", trained[0]) if trained else ()), "adaptation.safetensors")


def load(folder: Path | str, *, backbone: Backbone | None = None) -> Adapted:
    """Load a run folder, or an ``adaptation.safetensors``, for prediction.

    Args:
        folder: What `lingraft run` wrote, or a method's folder in what `lingraft compare` wrote.
        backbone: Use this one instead of the checkpoint that the run names.

    Raises:
        CheckpointError: There is no adaptation, or it belongs to another backbone.
    """
    path = adaptation_path(folder)
    wanted = read_identity(path)
    backbone = backbone or load_backbone(wanted.checkpoint, text_prefix=wanted.text_prefix, precision=wanted.precision)
    adaptation, identity = load_adaptation(path, backbone)
    return Adapted(backbone, GraftedModel(backbone.stack, adaptation).eval(), identity)
