"""Digests that identify a backbone: of its weights with what its configuration says, and of its tokenizer."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .mapped import NARROW, read_in_chunks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


APART = "decoder."
"""What the names of the parameters of an encoder-decoder's decoder begin with."""


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of names, dtypes, shapes and bytes of all parameters, in the order of names.

    Parameters that are kept in 16 bit count as the float32 numbers that are computed with. A decoder adds the matrix
    that makes logits of words, where that is not the word embeddings. A layer stack adds what its configuration says
    beyond shapes (``LayerStack.configuration``): the same weights with other heads or another activation are another
    model. A decoder apart from the layers, which no state depends on, has a digest of its own.
    """
    digest = hashlib.sha256()
    configuration = getattr(module, "configuration", None)
    if configuration is not None:
        digest.update(json.dumps(configuration, sort_keys=True, default=str).encode())
    parameters = dict[str, Any](module.named_parameters(remove_duplicate=False))
    unembedding = getattr(module, "unembedding", None)
    if unembedding is not None:
        parameters["unembedding"] = unembedding
    for name, parameter in sorted(parameters.items()):
        if name.startswith(APART):
            continue
        dtype = torch.float32 if parameter.dtype in NARROW else parameter.dtype
        digest.update(f"{name}\0{dtype}\0{tuple(parameter.shape)}\0".encode())
        for values in read_in_chunks(parameter):
            content: Any = values.view(torch.uint8).numpy()  # shares the parameter's memory
            digest.update(content)
    return digest.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the SHA-256 over the tokenizer's canonical serialisation and its special tokens.

    Truncation and padding are switched off first: they are part of the serialisation, but belong
    to the last call and not to the tokenizer.
    """
    backend: Any = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    special = {role: str(token) for role, token in tokenizer.special_tokens_map.items()}
    digest = hashlib.sha256(backend.to_str().encode())
    digest.update(json.dumps(special, sort_keys=True).encode())
    return digest.hexdigest()
