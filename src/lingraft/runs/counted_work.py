"""What is counted of a trial before it is trained: its steps, its tokens, and the texts that they are of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..core.records import Trial


@dataclass(frozen=True)
class TrialWork:
    """What one trial does.

    Attributes:
        trial: Which one.
        languages: Target languages that get parts of their own.
        steps: Of the optimiser.
        tokens: In the batches of these steps, which go forward and backward.
        whole_depth_tokens: Of these, those that go through the layers below the cut, too.
        head_steps: Of the frozen head's own training, where it has one.
        head_tokens: In the batches of those; with nothing to train below the head, they go forward only.
        tokens_read: What goes forward besides: teachers, development and test sets, last-layer retraining, label
            projection.
        trained: Parameters that learn by gradient.
        fitted: Texts that the map and the n-gram classifier of each language are fitted to.
        said: Tokens of answers that the decoder of an encoder-decoder says in training, forward and backward.
        written: Tokens of answers that it writes besides.
    """

    trial: Trial
    languages: tuple[str, ...]
    steps: int
    tokens: int
    whole_depth_tokens: int
    head_steps: int
    head_tokens: int
    tokens_read: int
    trained: int
    fitted: Mapping[str, int]
    said: int = 0
    written: int = 0


@dataclass(frozen=True)
class LegWork:
    """Steps of one leg of a training, and tokens in their batches: of both sides, of translations, and of answers."""

    steps: int
    source: int
    targets: int
    translations: int
    said: int


ADDED_UP = ("steps", "tokens", "whole_depth_tokens", "head_steps", "head_tokens", "tokens_read", "said", "written")
"""What the models of a cross-validation do besides."""


@dataclass(frozen=True)
class Texts:
    """What is learnt from in one language, as an order sees it, with the tokens of each text."""

    ids: tuple[str, ...]
    labelled: Collection[str]
    longest: Mapping[str, int]
    tokens: Mapping[str, int]
    """Of all rows of a text."""
    translations: Mapping[str, int] = field(default_factory=dict)
    """Tokens of the source side, by the id of the target side of a pair."""
    copy_of: Mapping[str, str] = field(default_factory=dict)
    """The id of each source example's copy, where these are copies."""
    repeated: tuple[str, ...] = ()
    """The ids that are seen again within an epoch, ``repeats`` times."""
    repeats: int | None = 0
    early: Collection[str] = ()
    """The ids that are learnt from in the first half of the epochs alone."""
    answers: Mapping[str, int] = field(default_factory=dict)
    """Tokens of the answer, where it stands apart from the text, as an encoder-decoder has it."""

    def count(self, ids: Iterable[str]) -> int:
        """Return the tokens of some texts."""
        return sum(self.tokens[i] for i in ids)
