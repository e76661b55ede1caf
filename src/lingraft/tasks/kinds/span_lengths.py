"""How many tokens right answers take, and which of them an answer of bounded length can never be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ...core.examples import Answer, Example, SpanExample
from ...core.records import Features


def describe_long_answers(examples: Sequence[Example], features: Sequence[Features], *, max_answer_length: int) -> str:
    """Say how many questions have no right answer of at most so many tokens, and which length would do.

    Args:
        examples: Questions; those without an answer are not counted.
        features: All their windows.
        max_answer_length: In tokens.

    Returns:
        A sentence; empty where every question has an answer that is short enough.
    """
    windows: dict[str, list[Features]] = defaultdict(list)
    for feature in features:
        windows[feature.example_id].append(feature)
    asked = [one for one in examples if isinstance(one, SpanExample) and one.answers]
    lengths = [shortest_answer(one, windows[one.id]) for one in asked]
    cut = sum(length is None for length in lengths)
    long = [length for length in lengths if length is not None and length > max_answer_length]
    if not long and not cut:
        return ""
    ceiling = 1 - (len(long) + cut) / len(asked)
    reasons = []
    if long:
        reasons.append(
            f"{len(long):,} of {len(asked):,} answers are longer than the {max_answer_length} tokens that one may have "
            f"(max_answer_length: {max(long)} in the task block would do)"
        )
    if cut:
        reasons.append(
            f"{cut:,} of {len(asked):,} answers do not fit into a window of the context whole (a larger `stride`, or "
            "backbone.max_length, would do)"
        )
    return f"{' and '.join(reasons)}, so exact match can be {ceiling:.1%} at most"


def shortest_answer(example: SpanExample, windows: Sequence[Features]) -> int | None:
    """Return the tokens of a question's shortest answer that a window holds whole; None where none does."""
    found = [length for answer in example.answers for row in windows if (length := _tokens_of(answer, row))]
    return min(found, default=None)


def _tokens_of(answer: Answer, window: Features) -> int:
    """Return how many tokens of a window an answer takes; 0 where it is not all there."""
    first = answer.start + len(answer.text) - len(answer.text.lstrip())
    last = first + len(answer.text.strip())
    places = [i for i, span in enumerate(window.offsets) if span and span[1] > first and span[0] < last]
    if not places:
        return 0
    begins, ends = window.offsets[places[0]], window.offsets[places[-1]]
    assert begins is not None and ends is not None
    before = next((span for span in reversed(window.offsets[: places[0]]) if span), None)
    after = next((span for span in window.offsets[places[-1] + 1 :] if span), None)
    # Where a token is missing at an end, as one of nothing but marks can be, its neighbour must be there.
    whole = (begins[0] <= first or before is not None) and (ends[1] >= last or after is not None)
    return places[-1] - places[0] + 1 if whole else 0
