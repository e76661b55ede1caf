"""The frozen part: a language model as a stack of layers whose forward pass we run ourselves.

One small file per family holds everything that is particular to Hugging Face's implementation of
it: the forward pass, which a parity test compares with the original, and the names of its modules
(:class:`FamilyFacts`). Register a family under its ``config.model_type``: the factory takes no
options and returns a subclass of :class:`LayerStack`, which is called with the loaded Hugging Face
model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NoReturn, Protocol, Self, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import CheckpointError
from ..core.records import Pooling
from ..core.registry import Registry
from .quantised import QuantisedLinear

COMMON_KEYS = ("model_type", "num_attention_heads", "pad_token_id")
"""Keys of a checkpoint's configuration that change what is computed in every family."""


@dataclass(frozen=True, kw_only=True)
class FamilyFacts:
    """What is to be known of a family's Hugging Face modules by all who name them.

    Linear layers are named as they are within a block, ``attention.self.key``.

    Attributes:
        blocks: Path of the list of blocks in the Hugging Face model, which is ``layers`` in a stack of ours.
        configuration: Keys of the configuration that change what is computed beyond the shapes of the weights and
            :data:`COMMON_KEYS`; those that a checkpoint has are part of its digest.
        keys_values: Linear layers that make keys and values, each with the share of its rows that make queries: a
            third of a projection that makes all three, else 0. Which rows, :meth:`Blocks.queries` says.
        feed_forward: The linear layer that reads the inner states of the feed-forward network.
        config_names: What ``config.json`` may call depth and width, where it is not ``num_hidden_layers`` and
            ``hidden_size``: from that name to the usual one.
        adapter_inside: Whether ``block`` takes a ``feed_forward``, the place of AdapterHub's adapters.
        pooling: What the states of a text are pooled to: the mean over its real tokens, or over its ``content``,
            without what opens it, see :attr:`LayerStack.pooling`.
        causal: Whether a token sees only itself and what is before it.
        auto_class: The class of transformers that loads the part of the model that is run: of an encoder-decoder,
            the encoder.
        answers_apart: Whether answers are written by a decoder apart, which does not read the text: an
            encoder-decoder's.
    """

    blocks: str
    configuration: tuple[str, ...]
    keys_values: Mapping[str, float]
    feed_forward: str
    config_names: Mapping[str, str] = field(default_factory=dict)
    adapter_inside: bool = False
    pooling: Literal["mean", "content"] = "mean"
    causal: bool = False
    auto_class: Literal["AutoModel", "AutoModelForTextEncoding"] = "AutoModel"
    answers_apart: bool = False


class Branch(Protocol):
    """What a block adds to each head beside its attention to the text: it has no position, and no mask hides it."""

    def attended(self, query: Tensor, project: Project, scale: float) -> Tensor:
        """Return what is added, before the output projection: ``[B, heads, T, d]``; zeros where it says nothing yet.

        Args:
            query: ``[B, heads, T, d]``, without positions.
            project: The block's own frozen keys and values of virtual tokens.
            scale: The factor before the family's softmax.
        """
        ...


Project: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Rows ``[P, H]`` to keys and values, each ``[heads, P, d]``: once for the whole batch."""


@dataclass(frozen=True)
class Prefix:
    """Virtual tokens that a block attends to apart from the text, behind a gate (LLaMA-Adapter, Zhang et al., 2023).

    ``rows`` is ``[P, H]``, what virtual tokens would be at the input of the block; keys and values
    come from the block's own frozen projections, and no position is applied to them. ``gate`` is
    ``[heads]``: ``tanh(gate)`` scales what the prefix adds to each head, and zero adds exactly nothing.
    """

    rows: Tensor
    gate: Tensor

    def attended(self, query: Tensor, project: Project, scale: float) -> Tensor:
        """Return ``tanh(gate) * softmax(Q K^T * scale) V``, head by head."""
        key, value = (part.expand(query.shape[0], -1, -1, -1) for part in project(self.rows.to(query.dtype)))
        return torch.tanh(self.gate).to(query.dtype)[:, None, None] * attend(query, key, value, scale=scale)


Precision: TypeAlias = Literal["float32", "bfloat16"]
"""Of the matrix products inside the blocks."""

FeedForward: TypeAlias = Callable[[Tensor, Tensor, nn.Module], Tensor]
"""What happens after a block's feed-forward network, instead of ``norm(dense + residual)``.

``(dense [B, T, H], residual [B, T, H], norm) -> [B, T, H]``, the place of a MAD-X adapter (Pfeiffer et al., 2020).
"""


class Blocks(nn.Module):
    """Frozen blocks, one like the other, whose linear layers are called as ``facts`` says.

    Attributes:
        facts: What is particular to the family.
        layers: The blocks.
    """

    facts: ClassVar[FamilyFacts]
    layers: nn.ModuleList

    def computed_with(self, name: str) -> Tensor:
        """Return a parameter as products have it: for codes of 8 or 4 bit the matrix that they stand for."""
        module, _, kind = name.rpartition(".")
        owner: Any = self.get_submodule(module)
        if kind == "weight" and isinstance(owner, QuantisedLinear):
            return owner.matrix()
        return self.get_parameter(name)

    def queries(self, name: str, rows: int) -> Tensor:
        """Return which of a linear layer's rows make queries: ``[rows]`` bool, the first ones in most families.

        Args:
            name: Of the linear layer within a block.
            rows: How many it has.
        """
        return torch.arange(rows) < round(rows * self.facts.keys_values.get(name, 0))


class LayerStack(Blocks, ABC):
    """``embed``, then ``block(0) … block(num_layers - 1)``, then ``finish``.

    "Layer n" means the states after n blocks. Padding is on the right. The stack holds the Hugging
    Face model's own sub-modules; a subclass picks them after calling this constructor, and says in
    ``facts`` what they are called.

    Args:
        model: The loaded Hugging Face model; its parameters are frozen here.
        num_layers: ``L``, how many blocks there are.
        width: ``H``.
        max_length: The longest text, in tokens, that the positions allow.

    Attributes:
        num_heads: How many attention heads each block has.
        head_width: ``d``, how many numbers a head's query has.
        configuration: What the checkpoint's configuration says beyond the shapes of its weights: part of its digest.
        precision: Of the matrix products inside the blocks; states, and all that trains, stay in float32.
        pooling: Which tokens of a text are averaged. Who knows the tokenizer says how many that open it are left out:
            in a decoder markers, or one token if there are none. It has seen nothing else of the text, and the others
            park attention there (attention sinks: Xiao et al., 2024). In SmolLM2-135M its state is 120 times as long
            as those of the others after half of the layers, and a mean would be little else.
        closing: Last tokens of a text that are markers: one in encoders, as a rule none in decoders.
    """

    def __init__(self, model: nn.Module, *, num_layers: int, width: int, max_length: int) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.width = width
        self.max_length = max_length
        self.precision: Precision = "float32"
        self.pooling = Pooling()
        self.closing = 1
        config: Any = model.config
        self.num_heads: int = config.num_attention_heads
        self.head_width: int = getattr(config, "head_dim", None) or width // self.num_heads
        self.padding_id: int = max(0, getattr(config, "pad_token_id", None) or 0)  # -1 stands for none
        keys = (*COMMON_KEYS, *self.facts.configuration)
        self.configuration: dict[str, Any] = {key: getattr(config, key) for key in keys if hasattr(config, key)}
        model.requires_grad_(False).eval()
        self.training = False

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever is asked.

        A model that holds the stack is put in train mode as a whole. Dropout below the cut would
        make cached states a lie, and above it costs a fifth of a training step on a CPU; what is
        trained is regularised where it is trained.
        """
        return super().train(False)

    def sizes(self) -> dict[str, int]:
        """Count the numbers of each parameter, by name; of codes those that they stand for."""
        found = {name: parameter.numel() for name, parameter in self.named_parameters()}
        for name, module in self.named_modules():
            if isinstance(module, QuantisedLinear):
                del found[f"{name}.scales"]
                found[f"{name}.weight"] = module.out_features * module.in_features
        return found

    def products(self) -> AbstractContextManager[Any]:
        """Run matrix products inside in ``precision`` (mixed precision: Micikevicius et al., 2018)."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(next(self.parameters()).device.type, torch.bfloat16)

    @abstractmethod
    def embed(self, input_ids: Tensor) -> Tensor:
        """Turn ``[B, T]`` token ids into ``[B, T, H]`` states at layer 0."""

    @abstractmethod
    def block(
        self,
        i: int,
        hidden: Tensor,
        mask: Tensor,
        prompt_length: int = 0,
        branches: tuple[Branch, ...] = (),
        feed_forward: FeedForward | None = None,
    ) -> Tensor:
        """Compute states at layer ``i + 1`` from those at layer ``i``: ``[B, T, H]``.

        Args:
            i: Index of the block.
            hidden: ``[B, T, H]``.
            mask: ``[B, T]``, 1 for what may be attended to; of any dtype.
            prompt_length: How many of the first positions are virtual tokens. They are seen from
                everywhere, and see everything (in a causal family what is before them), also in layers that
                attend within a window.
            branches: What every position attends to besides, apart from the text.
            feed_forward: Ends the block instead of its residual connection and norm.

        Raises:
            CheckpointError: The family cannot end a block with ``feed_forward``.
        """

    def prompted_block(
        self, i: int, hidden: Tensor, mask: Tensor, rows: Tensor, feed_forward: FeedForward | None = None
    ) -> Tensor:
        """Compute ``block`` with virtual tokens that serve this block only.

        Their own outputs are not wanted, so a family may spare itself computing them; this one, which
        any family inherits, computes and drops them.

        Args:
            i: Index of the block.
            hidden: ``[B, T, H]``, no virtual tokens.
            mask: ``[B, T]``.
            rows: ``[P, H]``, seen by every position.
            feed_forward: As for :meth:`block`.

        Returns:
            ``[B, T, H]``.
        """
        length = len(rows)
        tokens = torch.cat([rows.to(hidden.dtype).expand(hidden.shape[0], -1, -1), hidden], dim=1)
        seen = torch.cat([mask.new_ones(mask.shape[0], length), mask], dim=1)
        return self.block(i, tokens, seen, prompt_length=length, feed_forward=feed_forward)[:, length:]

    def finish(self, hidden: Tensor) -> Tensor:
        """Return what the family does after its last block (often nothing): ``[B, T, H]``."""
        return hidden

    def refuse_feed_forward(self) -> NoReturn:
        """Say that the family has no place for an adapter inside the block.

        Raises:
            CheckpointError: Always.
        """
        able = [name for name in backbones if backbones.build(name).facts.adapter_inside]
        raise CheckpointError(
            f"an adapter inside the block (the place of AdapterHub's MAD-X) needs a backbone of the family "
            f"{' or '.join(able)}, and this one is of the family {self.configuration['model_type']}; use an adapter "
            "after the block, for example bottleneck, or another backbone"
        )


Family: TypeAlias = type[LayerStack]
"""What a factory returns; its constructor takes the loaded Hugging Face model alone."""

backbones = Registry("lingraft.backbones")


def visible(mask: Tensor) -> Tensor | None:
    """Return the mask as scaled-dot-product attention wants it, ``[B, 1, 1, T]``; ``None`` where nothing is padding.

    Without a mask attention takes its fastest path. On a GPU looking would make the host wait for
    the device, so there the mask is always kept, and in a graph for export, which serves any batch.
    """
    keep = mask.bool()
    if keep.device.type == "cpu" and not torch.compiler.is_exporting() and bool(keep.all()):
        return None
    return keep[:, None, None, :]


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Compute scaled dot-product attention; on a CPU in float32 whatever comes.

    Torch's kernel gains nothing there from bfloat16 on the way up, and is slower on the way back.

    Args:
        query: ``[B, heads, T, d]``.
        key: ``[B, heads, S, d]``.
        value: ``[B, heads, S, d]``.
        mask: What is seen, or what is added to the scores: anything that broadcasts to ``[B, heads, T, S]``.
        scale: Factor of the scores; ``d ** -0.5`` by default.

    Returns:
        ``[B, heads, T, d]``.
    """
    if query.device.type != "cpu" or query.dtype == torch.float32:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    query, key, value = query.float(), key.float(), value.float()
    if mask is not None and mask.is_floating_point():
        mask = mask.float()
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def add_branches(
    context: Tensor, query: Tensor, branches: tuple[Branch, ...], project: Project, scale: float
) -> Tensor:
    """Add to ``context [B, heads, T, d]``, attention to the text, what each branch gives; else as :class:`Branch`."""
    for branch in branches:
        context = context + branch.attended(query, project, scale)
    return context
