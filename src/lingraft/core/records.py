"""The frozen records that stages make of examples and hand each other: features, states, predictions, scores.

Notation: ``N`` examples, ``B`` batch, ``T`` tokens, ``P`` prompt length, ``H`` hidden width. The
module imports no torch, so that yesterday's scores become a report on any laptop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from .shots import Shots

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Target = int | float | tuple[int, ...]
"""What a row should give: a class, a number, a pair of positions, a class for each token; the kind of task knows."""


@dataclass(frozen=True, slots=True)
class Features:
    """An example, or a part of one, as the backbone reads it.

    A long context is read in several windows, and a choice as one text for each alternative: ``part`` counts
    them. ``offsets`` says for each token which piece of the example it is: first and last character (exclusive)
    in the context of a question, or the number of the word (twice) in a tagged sentence; None for other tokens.
    ``truncated`` counts the tokens that did not fit into the maximum length. ``nothing`` is the token of a question
    that stands for "no answer". The last ``said`` tokens are what a decoder is to say after the others; ``answer`` is
    what one that is apart, an encoder-decoder's, is to say to all of them.
    """

    example_id: str
    input_ids: tuple[int, ...]
    target: Target | None = None
    truncated: int = 0
    part: int = 0
    offsets: tuple[tuple[int, int] | None, ...] = ()
    nothing: int = 0
    said: int = 0
    answer: tuple[int, ...] = ()

    @property
    def asked(self) -> tuple[int, ...]:
        """The tokens before what is to be said."""
        return self.input_ids[: len(self.input_ids) - self.said]


IDS = -1
"""The layer of texts that are not even embedded, for what trains or replaces the embeddings."""


@dataclass(frozen=True, slots=True)
class KeysValues:
    """Keys and values of what a block has read, each ``[B, groups, P + S, d]``, the ``virtual`` (``P``) first."""

    keys: Tensor
    values: Tensor
    virtual: int = 0

    def take(self, rows: Tensor) -> KeysValues:
        """Return those of some texts, ``rows [B']``, repeats allowed."""
        return replace(self, keys=self.keys[rows], values=self.values[rows])


@dataclass(frozen=True, slots=True)
class Past:
    """What a decoder has read of ``B`` texts, and need not read again; nothing changes it.

    ``columns [B, S]`` are the positions of the tokens, beyond all others where there is padding; ``lengths [B]`` how
    many tokens each text has; ``blocks`` the keys and values by the number of the block.
    """

    columns: Tensor
    lengths: Tensor
    blocks: Mapping[int, KeysValues]

    def take(self, rows: Tensor) -> Past:
        """Return that of some texts, ``rows [B']``, repeats allowed."""
        blocks = {i: known.take(rows) for i, known in self.blocks.items()}
        return Past(self.columns[rows], self.lengths[rows], blocks)


@dataclass(frozen=True, slots=True)
class Reading:
    """Tokens that are read after others.

    ``positions [B, T]`` are theirs; ``columns [B, S + T]`` and ``lengths`` are those of all, as in :class:`Past`, which
    a reading is when it is through all blocks; ``blocks`` is what it has noted so far.
    """

    before: Past | None
    positions: Tensor
    columns: Tensor
    lengths: Tensor
    blocks: dict[int, KeysValues]

    @property
    def past(self) -> Past:
        """What has been read now."""
        return Past(self.columns, self.lengths, self.blocks)


@dataclass(frozen=True, slots=True)
class Pooling:
    """Which tokens of a text are averaged to one state: all but the first ``opening``, or the ``last`` alone.

    What opens a text is averaged, too, where there is nothing else.
    """

    opening: int = 0
    last: bool = False

    def weights(self, mask: Tensor) -> Tensor:
        """Return 1 for each token that counts, else 0, of a mask ``[B, T]`` without virtual tokens."""
        if self.last:
            count = mask.cumsum(1)
            return mask * (count == count[:, -1:])
        if not self.opening:
            return mask
        inner = mask.clone()
        inner[:, : self.opening] = 0
        return inner + mask * (inner.sum(1, keepdim=True) == 0)


OF_ALL = Pooling()
"""The mean of all tokens."""


@dataclass(frozen=True, slots=True)
class States:
    """Hidden states of a batch of texts after ``layer`` blocks.

    ``tokens`` is ``[B, T, H]``, ``mask`` ``[B, T]`` (1 for a token, 0 for padding); the first
    ``prompt_length`` of the ``T`` positions are virtual tokens. At layer :data:`IDS` nothing has been
    computed: ``tokens`` are the ids themselves, ``[B, T]``. With a ``reading`` they are tokens of a decoder that follow
    others, and what they leave for the next is noted. ``said``, ``[B, T]`` without virtual tokens, has the id of what
    is to be said after each position, -1 for nothing; of an encoder-decoder it is the answers themselves, ``[B, A]``.
    """

    tokens: Tensor
    mask: Tensor
    layer: int
    prompt_length: int = 0
    pooling: Pooling = OF_ALL
    reading: Reading | None = None
    said: Tensor | None = None

    def pooled(self) -> Tensor:
        """Return the mean over the real tokens that ``pooling`` counts, virtual ones left out: ``[B, H]``."""
        real = self.without_prompt()
        weights = self.pooling.weights(real.mask).unsqueeze(-1).to(real.tokens.dtype)
        return (real.tokens * weights).sum(1) / weights.sum(1).clamp(min=1.0)

    def without_prompt(self) -> States:
        """Return the same states without the rows of virtual tokens."""
        if not self.prompt_length:
            return self
        cut = self.prompt_length
        return replace(self, tokens=self.tokens[:, cut:], mask=self.mask[:, cut:], prompt_length=0)

    def to(self, device: torch.device) -> States:
        """Return the same states on ``device``."""
        said = None if self.said is None else self.said.to(device)
        return replace(self, tokens=self.tokens.to(device), mask=self.mask.to(device), said=said)

    def take(self, rows: list[int]) -> States:
        """Return the chosen rows of the batch, in the order given."""
        said = None if self.said is None else self.said[rows]
        return replace(self, tokens=self.tokens[rows], mask=self.mask[rows], said=said)


@dataclass(frozen=True, slots=True)
class Matching:
    """What of a batch of copies corresponds to what of the batch with the originals, in ``U`` cells.

    ``originals [R, T]`` and ``copies [R', T']`` have the cell of each token (``T`` is 1 where rows correspond), -1 for
    none; every cell has some token on both sides. ``example [U]`` says which example a cell is of, from 0 without gaps.
    """

    originals: Tensor
    copies: Tensor
    example: Tensor

    def to(self, device: torch.device) -> Matching:
        """Return the same on ``device``."""
        return Matching(self.originals.to(device), self.copies.to(device), self.example.to(device))


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's worth of examples of one language.

    ``targets [B, ...]`` holds what the kind of task makes of labels (class indices ``[B]``, for one),
    negative where they are not known, or NaN where they are numbers; ``teacher [B, H]`` the pooled frozen states that
    a row should agree with, where ``has_teacher [B]`` says it has one. For losses that need more of the teacher,
    ``source`` holds the states at the cut of the translations of the rows with a teacher, ``[B', S, H]``, and
    ``word_alignment [K, 3]`` which of their words translate each other (row among these, source position, target
    position). ``is_source`` marks the source language's batch; a batch of copies of what is in that one has a
    ``matching``. ``weights [B]`` says how much each row counts in the task loss; all count 1 where it is None.
    """

    states: States
    language: str
    targets: Tensor
    teacher: Tensor
    has_teacher: Tensor
    is_source: bool = False
    source: States | None = None
    word_alignment: Tensor | None = None
    weights: Tensor | None = None
    matching: Matching | None = None

    @property
    def row_weights(self) -> Tensor:
        """How much each row counts: ``[B]``."""
        return self.teacher.new_ones(len(self.teacher)) if self.weights is None else self.weights

    @property
    def labelled(self) -> Tensor:
        """Which rows have a target, or a token with one: ``[B]``."""
        known = ~self.targets.isnan() if self.targets.is_floating_point() else self.targets >= 0
        return known.flatten(1).any(1) if known.dim() > 1 else known

    def to(self, device: torch.device) -> Batch:
        """Return the same batch on ``device``."""
        return replace(
            self,
            states=self.states.to(device),
            targets=self.targets.to(device),
            teacher=self.teacher.to(device),
            has_teacher=self.has_teacher.to(device),
            source=None if self.source is None else self.source.to(device),
            word_alignment=None if self.word_alignment is None else self.word_alignment.to(device),
            weights=None if self.weights is None else self.weights.to(device),
            matching=None if self.matching is None else self.matching.to(device),
        )


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a text, such as a name: ``start`` and ``end`` (exclusive) count its characters.

    ``score`` is the mean probability of the tags of its words.
    """

    text: str
    label: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one example; ``confidence`` is its probability, ``value`` is empty where there is no answer.

    A number has no confidence.

    Of a piece of a context, ``start`` and ``end`` (exclusive) count its characters. Of tagged words there are
    ``words``, the probability of each one's tag in ``scores`` and, once they are looked for, ``entities``.
    ``labels`` are those of a text that may have several. ``probabilities`` are those of all classes, where they were
    asked for. ``abstained`` says that (part of) the answer was withheld, its probability being too low.
    """

    example_id: str
    language: str
    value: str
    confidence: float | None
    start: int | None = None
    end: int | None = None
    words: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    entities: tuple[Entity, ...] = ()
    labels: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    abstained: bool = False

    def __repr__(self) -> str:
        """Leave out what this kind of answer does not have."""
        shown = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        return f"Prediction({', '.join(f'{name}={value!r}' for name, value, default in shown if value != default)})"


@dataclass(frozen=True, slots=True)
class Score:
    """One number, with all that is needed to compare it with another.

    ``low`` and ``high`` bound the 95 % bootstrap interval over examples (groups, where examples
    share one); None where there is a single group.
    """

    task: str
    method: str
    language: str
    metric: str
    value: float
    n: int
    shots: Shots
    draw: int
    seed: int
    run: str
    context_language: str | None = None
    low: float | None = None
    high: float | None = None
    order: int | None = None


@dataclass(frozen=True)
class Trial:
    """One trial: a number of shots, a draw, a seed; and a seed of the order, where that is not the same."""

    k: Shots
    draw: int
    seed: int
    order: int | None = None

    @property
    def seed_of_order(self) -> int:
        """Where the order of examples and dropout start; ``seed`` is where new parameters do."""
        return self.seed if self.order is None else self.order

    @property
    def name(self) -> str:
        """Folder name, e.g. ``k5-draw0-seed1``, ``k5-draw0-seed1-order2``."""
        return name_of_trial(self.k, self.draw, self.seed, self.order)


def name_of_trial(shots: Shots, draw: int, seed: int, order: int | None = None) -> str:
    """Return what the folder of a trial is called."""
    return f"k{shots}-draw{draw}-seed{seed}" + ("" if order is None else f"-order{order}")
