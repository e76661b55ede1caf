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
from ..core.records import Example, Features, Prediction, from_json
from ..data.languages import canonical
from ..model.checkpoint import Identity, load_adaptation, read_identity
from ..model.network import GraftedModel
from ..tasks.kinds import EXAMPLES, Kind, kind_of

Item = str | tuple[str, str] | Sequence[str] | Mapping[str, Any]
"""What is predicted on. Classification: a text or a pair of texts; tagging: a list of words, or a text that is split at
blanks; question answering: ``{"question": …, "context": …}``; choice: ``{"text": …, "alternatives": […]}``, and
``question`` where there is one."""


NEEDED = {"span_qa": ("question", "context"), "choice": ("text", "alternatives")}
"""What items of a kind must have, where they are more than a text."""


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
        return kind_of(self.identity.kind, self.identity.labels, self.identity.kind_options)

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
        examples = [self._example(text, f"text {i + 1} of {len(texts)}", str(i), code) for i, text in enumerate(texts)]
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

    def _example(self, item: Item, where: str, identifier: str, language: str) -> Example:
        values: dict[str, Any]
        task, kind = self.identity.task, self.identity.kind
        if kind == "classification":
            values = self._text(item, where)
        elif kind == "tagging":
            words = item.split() if isinstance(item, str) else item
            if not _are_texts(words):
                raise DataError(f"{where}: {task} takes a text or a list of words, got {str(item)[:60]!r}")
            values = {"words": list(words)}
        else:
            values = self._object(item, where)
            values |= {"context_language": language} if kind == "span_qa" else {}
        return from_json({"id": identifier, "group": identifier, "language": language} | values, EXAMPLES[kind])

    def _object(self, item: Item, where: str) -> dict[str, Any]:
        """A question with its context, or a text with its alternatives."""
        needed = NEEDED[self.identity.kind]
        told = f"{where}: {self.identity.task} takes objects with {' and '.join(needed)}"
        if not isinstance(item, Mapping):
            raise DataError(f"{told}, got {str(item)[:60]!r}")
        values = {key: item[key] for key in (*needed, "question") if item.get(key) is not None}
        for key in needed:
            if key == "alternatives":
                if not _are_texts(values.get(key)) or len(values[key]) < 2:
                    raise DataError(f"{told}, a list of two or more texts; got {str(item.get(key))[:60]!r}")
            elif not _is_text(values.get(key)):
                raise DataError(f"{told}; {key} is {str(item.get(key))[:60]!r}, expected a text")
        if not isinstance(values.get("question", ""), str):
            raise DataError(f"{told}; question is {str(values['question'])[:60]!r}, expected a text")
        return values | ({"alternatives": list(values["alternatives"])} if "alternatives" in values else {})

    def _text(self, item: Item, where: str) -> dict[str, Any]:
        texts = (item,) if isinstance(item, str) else item
        known = isinstance(texts, tuple) and len(texts) in (1, 2) and all(isinstance(text, str) for text in texts)
        a, b = (*texts, None)[:2] if known else (None, None)
        task, paired = self.identity.task, self.identity.paired
        if a is None or (b is not None) is not paired:
            got = "one text" if isinstance(item, str) else "a pair" if known else repr(item)[:60]
            raise DataError(
                f"{where}: {task} takes " + (f"pairs (text, text), got {got}" if paired else f"one text, got {got}")
            )
        if not a.strip():
            raise DataError(f"{where} is empty; leave it out or give a text")
        return {"text_a": a, "text_b": b}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_text, value))


def needed_columns(folder: Path | str) -> tuple[str, ...]:
    """Columns of the rows that a run predicts on; none where it takes plain texts."""
    return NEEDED.get(read_identity(adaptation_path(folder)).kind, ())


def adaptation_path(folder: Path | str) -> Path:
    """The file with the trained parts; of a method of a comparison, that of its first training."""
    path = Path(folder)
    if path.suffix and not path.is_dir():
        return path
    trained = read_object(path / "method.json").get("units", ())
    return path.joinpath(*(("units", trained[0]) if trained else ()), "adaptation.safetensors")


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
