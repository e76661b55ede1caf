"""Encoder-decoders: the encoder is run layer by layer, and the decoder writes answers to what it made of a text.

The decoder is Hugging Face's own, frozen, with its language-model head (Raffel et al., 2020). The gradient of what it
says goes through its attention to the encoder's final states, and so to all that is learnt in the encoder; adapters
take its blocks as they take those of the encoder. It is loaded for those alone who ask for answers in words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn

from ..core.errors import CheckpointError
from ..core.records import States
from . import Blocks, Branch, FamilyFacts, LayerStack, add_branches
from .causal import logits_of
from .greedy import Ends, Generated, MayFollow, all_follow, say_likeliest
from .spelling import Spelling

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Ids = Sequence[int]
"""Token ids of a text."""


OF_TEXT = ("layer.1.EncDecAttention.k", "layer.1.EncDecAttention.v")
"""How a block calls the matrices that make keys and values of a text's states, once for all of its answer."""


class AnswerDecoder(Blocks):
    """A decoder's blocks and, where that is not the word embeddings, the matrix that makes logits of words.

    Args:
        model: The loaded Hugging Face model, which has a ``decoder`` and an ``lm_head``.
        scale: Of the last states before they become logits.

    Attributes:
        configuration: What changes what is said beyond the shapes of the weights: part of the digest.

    Raises:
        CheckpointError: The configuration does not say which token an answer begins with, or one that is none.
    """

    facts = FamilyFacts(
        blocks="decoder.block",
        configuration=(),
        keys_values=dict.fromkeys(("layer.0.SelfAttention.k", "layer.0.SelfAttention.v", *OF_TEXT), 0.0),
        feed_forward="layer.2.DenseReluDense.wo",
    )

    def __init__(self, model: PreTrainedModel, *, scale: float) -> None:
        super().__init__()
        parts: Any = model
        start, words = getattr(model.config, "decoder_start_token_id", None), len(parts.get_input_embeddings().weight)
        if type(start) is not int or not 0 <= start < words:
            raise CheckpointError(
                "config.json does not say which token the decoder begins with (decoder_start_token_id: in T5 that of "
                f"padding): expected a number from 0 to {words - 1:,}, found {start!r}; add the one that came with "
                "the weights"
            )
        self.num_heads: int = model.config.num_heads
        self.head_width: int = model.config.d_kv
        self.start = start
        self.scale = scale
        # It is given states of words, not words, so its embeddings, which are the encoder's, need not be there twice.
        self.blocks: nn.Module = copy(parts.decoder)
        self.blocks._modules = {name: part for name, part in parts.decoder._modules.items() if name != "embed_tokens"}
        # By another name, not another time: parameters are part of the digest by their names.
        object.__setattr__(self, "layers", parts.decoder.block)
        tied = parts.lm_head.weight is parts.get_input_embeddings().weight
        self.lm_head: nn.Module | None = None if tied else parts.lm_head
        self.configuration = {"start": start, "scale": scale}

    def attend_to(self, branches_of: Callable[[int], tuple[Branch, ...] | None]) -> None:
        """Let each block's self-attention add, from now on, what branches give: to every head, beside its softmax.

        They have no keys that would be kept, no position, and no mask hides them.

        Args:
            branches_of: Index of a block to its branches, asked whenever the block is computed.
        """
        for number, block in enumerate(self.layers):
            layer: Any = block.get_submodule("layer.0")
            layer.SelfAttention.register_forward_hook(_beside_attention(number, layer.layer_norm, branches_of))


def _beside_attention(
    number: int, norm: nn.Module, branches_of: Callable[[int], tuple[Branch, ...] | None]
) -> Callable[[Any, tuple[Tensor, ...], tuple[Any, ...]], tuple[Any, ...]]:
    """Return a hook of a block's self-attention. The heads' output projection is linear, so it projects the sum."""

    def add(attention: Any, given: tuple[Tensor, ...], output: tuple[Any, ...]) -> tuple[Any, ...]:
        branches = branches_of(number)
        if not branches:
            return output

        def heads(states: Tensor) -> Tensor:
            return states.reshape(*states.shape[:-1], attention.n_heads, -1).transpose(-2, -3)

        def project(rows: Tensor) -> tuple[Tensor, Tensor]:
            states = norm(rows)
            return heads(attention.k(states)), heads(attention.v(states))

        query = heads(attention.q(given[0]))  # [B, heads, A, d]
        added = add_branches(torch.zeros_like(query), query, branches, project, 1.0)
        return output[0] + attention.o(added.transpose(1, 2).flatten(2)), *output[1:]

    return add


class EncoderDecoderStack(LayerStack):
    """The encoder of an encoder-decoder, with its decoder where that was loaded.

    Args:
        model: The loaded Hugging Face model: the encoder, or both with the language-model head.
        num_layers: As in :class:`LayerStack`, of the encoder.
        width: As in :class:`LayerStack`.
        max_length: As in :class:`LayerStack`.
        scale: Of the decoder's last states before they become logits.

    Attributes:
        words: The word embeddings, which both read; a family sets them.
        spelling: What the tokens say; who knows the tokenizer sets it.
    """

    words: nn.Module
    decoder: AnswerDecoder | None
    spelling: Spelling | None

    def __init__(
        self, model: PreTrainedModel, *, num_layers: int, width: int, max_length: int, scale: float = 1.0
    ) -> None:
        super().__init__(model, num_layers=num_layers, width=width, max_length=max_length)
        self.decoder = AnswerDecoder(model, scale=scale) if hasattr(model, "decoder") else None
        self.spelling = None

    def without_decoder(self) -> Self:
        """Return the encoder alone; all of it is shared with this one."""
        alone = copy(self)
        alone._modules = {**self._modules, "decoder": None}
        return alone

    def answer(self, encoded: States, ids: Tensor, cache: Any = None) -> Tensor:
        """Return the decoder's states after each token of an answer: ``[B, A, H]``.

        Args:
            encoded: The encoder's final states of ``B`` texts.
            ids: Tokens of the answers, ``[B, A]``, the one that begins them included.
            cache: Keys and values of what was said before, as transformers keeps them; these tokens are added.

        Raises:
            CheckpointError: The decoder was not loaded.
        """
        blocks: Any = self._decoder().blocks
        with self.products():
            found = blocks(
                inputs_embeds=self.words(ids),
                encoder_hidden_states=encoded.tokens,
                encoder_attention_mask=encoded.mask,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        states: Tensor = found.last_hidden_state
        return states

    def speak(self, final: Tensor) -> Tensor:
        """Turn the decoder's last states ``[..., H]`` into logits of the next token, ``[..., V]``, in float32."""
        decoder = self._decoder()
        head: Any = self.words if decoder.lm_head is None else decoder.lm_head
        return logits_of(final.float() * decoder.scale, head.weight)

    def answer_weights(self) -> tuple[int, int]:
        """Count the weights that each token of an answer goes through, and each token of the text; none without it."""
        if self.decoder is None:
            return 0, 0
        of_answer = of_text = 0
        for name, part in self.decoder.blocks.named_modules():
            if isinstance(part, nn.Linear):
                of_text += part.weight.numel() if name.endswith(OF_TEXT) else 0
                of_answer += 0 if name.endswith(OF_TEXT) else part.weight.numel()
        words: Any = self.words if self.decoder.lm_head is None else self.decoder.lm_head
        return of_answer + words.weight.numel(), of_text

    def shifted(self, said: Tensor) -> Tensor:
        """Return what stands before each token of answers ``[B, A]``, which end where they are negative."""
        first = said.new_full((len(said), 1), self._decoder().start)
        return torch.cat([first, said[:, :-1].clamp(min=0)], dim=1)

    def _decoder(self) -> AnswerDecoder:
        if self.decoder is None:
            raise CheckpointError(
                f"this {self.configuration['model_type']} checkpoint was loaded without its decoder, which writes the "
                "answers; load it with load_backbone(…, writing=True)"
            )
        return self.decoder


def write(
    stack: EncoderDecoderStack, encoded: States, *, most: int, ends: Ends, may_follow: MayFollow = all_follow
) -> list[Generated]:
    """Answer each text by the likeliest token each time, with keys and values kept, until one ends the answer.

    Args:
        stack: Whose decoder writes.
        encoded: Final states of ``B`` texts.
        most: Tokens at most.
        ends: Whether a token ends an answer.
        may_follow: What may be said next.
    """
    from transformers import DynamicCache, EncoderDecoderCache

    cache: Any = EncoderDecoderCache(DynamicCache(), DynamicCache())
    device = encoded.mask.device

    def go_on(places: list[int], tokens: list[int]) -> Tensor:
        nonlocal encoded
        if len(places) < len(encoded.mask):
            encoded = encoded.take(places)
            cache.batch_select_indices(torch.tensor(places, device=device))
        return logits(torch.tensor(tokens, device=device)[:, None])

    def logits(ids: Tensor) -> Tensor:
        return stack.speak(stack.answer(encoded, ids, cache)[:, -1])

    with torch.no_grad():
        beginning = stack.shifted(torch.full((len(encoded.mask), 1), -1, device=device))
        return say_likeliest(
            logits(beginning), go_on, rooms=[most] * len(encoded.mask), ends=ends, may_follow=may_follow
        )
