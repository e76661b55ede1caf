"""Use a trained run: load it, ask it.

``python -m lingraft.serve FOLDER`` is the check that every run ends with: a fresh process loads
what was saved and must give the logits that training ended with.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from .backbones.loading import Backbone, load_backbone
from .checkpoint import Identity, load_adaptation, read_identity
from .data.languages import canonical
from .encode import length_batches, states_at
from .errors import CheckpointError, DataError, LingraftError
from .model import GraftedModel
from .records import Features, PairExample, Prediction
from .run_files import read_object
from .tasks.classification import decode_labels, encode_pairs

Text = str | tuple[str, str]
"""One text, or a pair of them."""


@dataclass(frozen=True)
class Adapted:
    """A backbone with a trained adaptation, ready to answer."""

    backbone: Backbone
    model: GraftedModel
    identity: Identity

    def knows(self, language: str) -> bool:
        """Whether there is something trained for ``language``: a language part, or it is the source."""
        return canonical(language) in (self.identity.source_language, *self.identity.languages)

    def predict(self, texts: Sequence[Text], *, language: str | None = None) -> list[Prediction]:
        """The likeliest label of each text, with its probability.

        Args:
            texts: Texts, or pairs of texts where the task compares two.
            language: Language of the texts. For one without a language part (see :meth:`knows`), and
                without a language, the task part alone is used.
        """
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts, got one string; put it in brackets: [text]")
        code = canonical(language) if language else self.identity.source_language
        if language and not self.knows(code):
            warnings.warn(f"nothing was trained for {language}: using the task part alone", stacklevel=2)
        features = self._features(texts, code)
        logits = self._logits(features, code)
        return list(decode_labels(features, code, logits, labels=self.identity.labels))

    def logits(self, texts: Sequence[Text], language: str) -> Tensor:
        """``[N, C]``, computed from the words up, nothing cached."""
        return self._logits(self._features(texts, language), language)

    def _logits(self, features: Sequence[Features], language: str) -> Tensor:
        ids = [feature.input_ids for feature in features]
        device = next(self.model.parameters()).device
        out = torch.empty(len(ids), len(self.identity.labels))
        with torch.no_grad():
            for rows in length_batches([len(text) for text in ids]):
                states = states_at([ids[row] for row in rows], self.backbone.stack, self.identity.cut, device)
                out[rows] = self.model(states, language)[1].float().cpu()
        return out

    def _features(self, texts: Sequence[Text], language: str) -> list[Features]:
        examples = []
        for i, text in enumerate(texts):
            a, b = (text, None) if isinstance(text, str) else text
            if (b is not None) is not self.identity.paired:
                raise DataError(
                    f"text {i + 1} of {len(texts)}: {self.identity.task} takes "
                    + ("pairs (text, text), got one text" if self.identity.paired else "one text, got a pair")
                )
            if not a.strip():
                raise DataError(f"text {i + 1} of {len(texts)} is empty; leave it out or give a text")
            examples.append(PairExample(str(i), str(i), language, text_a=a, text_b=b))
        encode = partial(encode_pairs, labels=self.identity.labels)
        return encode(examples, self.backbone.tokenizer, self.identity.max_length, self.identity.text_prefix)


def load(folder: Path | str, *, backbone: Backbone | None = None) -> Adapted:
    """Load a run folder, or an ``adaptation.safetensors``, for prediction.

    Args:
        folder: What `lingraft run` wrote.
        backbone: Use this one instead of the checkpoint that the run names.

    Raises:
        CheckpointError: There is no adaptation, or it belongs to another backbone.
    """
    path = Path(folder)
    path = path / "adaptation.safetensors" if path.is_dir() or not path.suffix else path
    wanted = read_identity(path)
    backbone = backbone or load_backbone(wanted.checkpoint, text_prefix=wanted.text_prefix)
    adaptation, identity = load_adaptation(path, backbone)
    return Adapted(backbone, GraftedModel(backbone.stack, adaptation).eval(), identity)


def verify(folder: Path) -> dict[str, float]:
    """Compare the logits of every saved adaptation of a run with those that its training ended with.

    Raises:
        CheckpointError: They differ by more than rounding.
    """
    backbone, largest, texts = None, 0.0, 0
    for written in sorted((folder / "units").glob("*/probe.json")):
        place, probe = written.parent, read_object(written)
        adapted = load(place / "adaptation.safetensors", backbone=backbone)
        backbone = adapted.backbone
        for language, rows in probe["languages"].items():
            pairs = [row["text"] if row["text_b"] is None else (row["text"], row["text_b"]) for row in rows]
            expected = torch.tensor([row["logits"] for row in rows])
            difference = (adapted.logits(pairs, language) - expected).abs().max().item()
            if not difference <= probe["tolerance"] * max(1.0, expected.abs().max().item()):
                raise CheckpointError(
                    f"{place.name}, {language}: logits differ by {difference:.2g} from those of the training; "
                    f"at most {probe['tolerance']:g} is rounding"
                )
            largest, texts = max(largest, difference), texts + len(rows)
    return {"max_difference": largest, "texts": texts}


if __name__ == "__main__":
    try:
        print(json.dumps(verify(Path(sys.argv[1]))))  # noqa: T201
    except LingraftError as error:
        sys.exit(str(error))
