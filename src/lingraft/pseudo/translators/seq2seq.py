"""Translation by a Hugging Face model with an encoder and a decoder: Marian (OPUS-MT), NLLB, M2M-100, MADLAD, T5.

The model is read from safetensors only, its code is ours, and nothing of it is loaded before the first text that no
earlier run translated. Translations of other weights have another identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from ...backbones.checkpoint_files import DOWNLOADED, download, first_line, local_folder, weight_files
from ...backbones.silence import quiet
from ...core.errors import CheckpointError
from ...core.files import digest_of
from . import Translator, translators
from .language_codes import token_of

Beams = Annotated[int, Field(ge=1, le=64)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
Length = Annotated[int, Field(ge=8, le=4096)]


@translators.register("transformers")
def transformers(
    *,
    model: str,
    codes: dict[str, str] | None = None,
    prefix: str = "",
    beams: Beams = 4,
    batch_size: BatchSize = 16,
    max_length: Length = 256,
) -> Translator:
    """Hugging Face models with encoder and decoder.

    Args:
        model: A local folder, or a Hub id such as `Helsinki-NLP/opus-mt-en-ha`.
        codes: How the model calls the languages, where that is no usual spelling: `{hau: ha}`.
        prefix: Put before each text; `{target}` in it becomes the target's token, as MADLAD-400 wants it (`{target} `).
        beams: Of the search; 1 is greedy.
        batch_size: Texts at once.
        max_length: Tokens of a text and of its translation at most.
    """
    options = {"codes": codes or {}, "prefix": prefix, "beams": beams, "max_length": max_length}
    folder = cache(lambda: local_folder(model) or download(model, only=DOWNLOADED))
    digest = cache(lambda: weights_of(folder(), model))
    loaded = cache(lambda: load(folder(), model))

    def translate(texts: Sequence[str], source: str, target: str) -> list[str]:
        network, tokenizer = loaded()
        written, forced = languages_of(tokenizer, source, target, codes or {}, prefix)
        lines = [written + text for text in texts]
        limits = {"num_beams": beams, "max_new_tokens": max_length, **forced}

        def generate(chosen: Sequence[str]) -> list[str]:
            rows = tokenizer(list(chosen), return_tensors="pt", padding=True, truncation=True, max_length=max_length)
            rows = {name: rows[name].to(network.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                made = network.generate(**rows, **limits)
            return [str(text).strip() for text in tokenizer.batch_decode(made, skip_special_tokens=True)]

        return longest_first(lines, generate, batch_size)

    def identity(_source: str, _target: str) -> Mapping[str, Any]:
        return {"translator": "transformers", "model": digest(), **options}

    def refuse_absent(_source: str, _target: str) -> None:
        local_folder(model) or download(model, only=["config.json"])

    return Translator(translate, identity, refuse_absent)


def languages_of(
    tokenizer: Any, source: str, target: str, codes: Mapping[str, str], prefix: str
) -> tuple[str, dict[str, int]]:
    """Tell a tokenizer the source language, and return the text's prefix and how generation begins.

    A model of one pair of languages, such as Marian's, needs neither.
    """
    if "{target}" in prefix:
        return prefix.replace("{target}", token_of(target, tokenizer, codes)[1]), {}
    if not hasattr(tokenizer, "src_lang"):
        return prefix, {}
    tokenizer.src_lang = token_of(source, tokenizer, codes)[0]
    token = token_of(target, tokenizer, codes)[1]
    return prefix, {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(token)}


def longest_first(texts: Sequence[str], translate: Callable[[Sequence[str]], list[str]], batch_size: int) -> list[str]:
    """Return what is made of texts in batches of about the same length, in the order of the texts."""
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    found: dict[int, str] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        found.update(zip(rows, translate([texts[row] for row in rows]), strict=True))
    return [found[row] for row in range(len(texts))]


def weights_of(folder: Path, model: str) -> str:
    """Return a digest of the weights in a folder.

    Raises:
        CheckpointError: There are none in safetensors.
    """
    return "-".join(digest_of(file)[:32] for file in weight_files(folder, model))


def load(folder: Path, model: str) -> tuple[Any, Any]:
    """Return network and tokenizer, on the fastest device.

    Raises:
        CheckpointError: They cannot be loaded, or are of no model with encoder and decoder.
    """
    from transformers import AutoModelForSeq2SeqLM

    tokenizer = load_tokenizer(folder, model)
    try:
        with quiet():
            network: Any = AutoModelForSeq2SeqLM.from_pretrained(
                folder, use_safetensors=True, trust_remote_code=False, local_files_only=True, dtype=torch.float32
            )
    except Exception as error:  # a wrong configuration fails wherever it is first read
        raise CheckpointError(
            f"{model} cannot be loaded as a model that translates: {first_line(error)}; give one with encoder and "
            "decoder, such as Helsinki-NLP/opus-mt-en-ha"
        ) from None
    return network.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def load_tokenizer(folder: Path | str, model: str) -> Any:
    """Return the tokenizer in a folder.

    Raises:
        CheckpointError: It cannot be loaded.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # tokenizers raises bare exceptions; those of Marian and NLLB need sentencepiece
        raise CheckpointError(
            f"the tokenizer of {model} cannot be loaded: {first_line(error)}; copy its files again or, if a package is "
            "missing, pip install 'lingraft[translation]'"
        ) from None
