"""Translation by CTranslate2: the same models, converted once, several times as fast on a CPU.

``ct2-transformers-converter --model Helsinki-NLP/opus-mt-en-ha --output_dir opus-mt-en-ha --quantization int8``
makes a folder; its tokenizer is that of the model it was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ...backbones.checkpoint_files import DOWNLOADED, download, first_line, local_folder
from ...core.errors import CheckpointError, ServiceError
from ...core.files import digest_of
from . import Translator, translators
from .seq2seq import BatchSize, Beams, Length, languages_of, load_tokenizer, longest_first

WEIGHTS = "model.bin"
"""What CTranslate2 calls them; tensors in a form of its own, no pickle."""


@translators.register("ctranslate2")
def ctranslate2(
    *,
    model: Path,
    tokenizer: str,
    codes: dict[str, str] | None = None,
    prefix: str = "",
    beams: Beams = 4,
    batch_size: BatchSize = 32,
    max_length: Length = 256,
) -> Translator:
    """Whatever CTranslate2's converter made of a model with encoder and decoder.

    Args:
        model: Its folder.
        tokenizer: Folder or Hub id of the model that was converted.
        codes: How the model calls the languages, where that is no usual spelling: `{hau: ha}`.
        prefix: Put before each text; `{target}` in it becomes the target's token.
        beams: Of the search; 1 is greedy.
        batch_size: Texts at once.
        max_length: Tokens of a text and of its translation at most.
    """
    options = {"codes": codes or {}, "prefix": prefix, "beams": beams, "max_length": max_length}
    loaded = cache(lambda: load_converted(model))
    names = cache(lambda: load_tokenizer(local_folder(tokenizer) or download(tokenizer, only=DOWNLOADED), tokenizer))
    digest = cache(lambda: digest_of(_weights(model)))

    def translate(texts: Sequence[str], source: str, target: str) -> list[str]:
        engine, spelling = loaded(), names()
        written, forced = languages_of(spelling, source, target, codes or {}, prefix)
        first = spelling.convert_ids_to_tokens(list(forced.values()))

        def generate(chosen: Sequence[str]) -> list[str]:
            ids = spelling(list(chosen), truncation=True, max_length=max_length)["input_ids"]
            results = engine.translate_batch(
                [spelling.convert_ids_to_tokens(row) for row in ids],
                target_prefix=[first] * len(ids) if first else None,
                beam_size=beams,
                max_decoding_length=max_length,
                min_decoding_length=0,  # an empty translation is for others to refuse
            )
            made = [result.hypotheses[0][len(first) :] for result in results]
            return [
                str(spelling.decode(spelling.convert_tokens_to_ids(row), skip_special_tokens=True)).strip()
                for row in made
            ]

        return longest_first([written + text for text in texts], generate, batch_size)

    def identity(_source: str, _target: str) -> Mapping[str, Any]:
        return {"translator": "ctranslate2", "model": digest(), **options}

    def refuse_absent(_source: str, _target: str) -> None:
        _engine()
        _weights(model)

    return Translator(translate, identity, refuse_absent)


def load_converted(folder: Path) -> Any:
    """Return the engine of a converted model.

    Raises:
        ServiceError: CTranslate2 is not installed.
        CheckpointError: The folder holds no converted model.
    """
    engine = _engine()
    _weights(folder)
    try:
        return engine(str(folder))
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{folder} cannot be loaded by CTranslate2: {first_line(error)}; convert it again"
        ) from None


def _engine() -> Any:
    try:
        from ctranslate2 import Translator as Engine
    except ImportError:
        raise ServiceError("ctranslate2 is not installed; pip install 'lingraft[translation]'") from None
    return Engine


def _weights(folder: Path) -> Path:
    file = folder / WEIGHTS
    if not file.is_file():
        raise CheckpointError(
            f"{folder} has no {WEIGHTS}; expected a folder that ct2-transformers-converter wrote: "
            f"ct2-transformers-converter --model MODEL --output_dir {folder}"
        )
    return file
