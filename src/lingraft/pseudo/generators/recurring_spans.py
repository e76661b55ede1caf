"""Questions from raw text: a span that occurs twice in a passage is asked for (Splinter: Ram et al., 2021).

The sentence of one occurrence, with the span blanked, is the question; the rest of the passage is the context, and the
other occurrences in it are the answer. It teaches in the language what an answer is, not what people ask.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from ...core.amounts import Count
from ...core.counted import counted
from ...core.examples import Answer, Example, SpanExample
from ...data.lexicon import placed_words
from ...data.sampling import rank
from ...data.text import normalise
from .. import Sources, Weight
from ..sentences import Place, sentences
from . import Generator, generators

RECURRING_SPANS = "recurring-spans"
"""The origin of what is made."""

COMMON, LEAST_PASSAGES = 0.05, 10
"""A word in more than this share of the passages is a stop word, whatever the language; fewer passages do not tell."""

LEAST_WORDS = 4
"""A question has so many words beside the blank: fewer do not say what is asked for."""

LengthOfSpan = Annotated[int, Field(ge=1, le=20)]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a passage, as it is compared, with its place and the number of its sentence."""

    text: str
    place: Place
    sentence: int


@generators.register(RECURRING_SPANS)
def recurring_spans(
    *,
    questions: Count = 1,
    most: Count | None = None,
    passage_words: Count = 120,
    span_words: LengthOfSpan = 10,
    blank: str = "___",
    weight: Weight = 0.25,
) -> Generator:
    """Questions on raw text, whose answer is a span that occurs twice in a passage.

    Args:
        questions: On each passage, at most.
        most: Questions in all, at most.
        passage_words: Neighbouring texts are joined until a passage has so many words.
        span_words: Of an answer, at most.
        blank: What stands in the question for what is asked.
        weight: How much each counts, where what people labelled counts 1.
    """

    def generate(sources: Sources) -> Iterator[Example]:
        found = passages(sources.texts, passage_words)
        if len(found) < LEAST_PASSAGES:
            sources.say(
                f"{RECURRING_SPANS}: {counted(len(found), 'passage')} cannot tell which words are stop words; none is "
                "used"
            )
        stop, count = stop_words(found), 0
        order = sorted(range(len(found)), key=lambda number: rank(sources.draw, RECURRING_SPANS, found[number]))
        for number in order:
            if most is not None and count >= most:
                return
            asked = questions_on(found[number], stop, longest=span_words, blank=blank, draw=sources.draw)
            if not asked:
                sources.drop("no span but stop words occurs in two sentences of the passage")
            for made in asked[: min(questions, (most or count + questions) - count)]:
                count += 1
                yield SpanExample(
                    f"{RECURRING_SPANS}/{sources.draw}/{sources.language}/{count}",
                    f"{RECURRING_SPANS}/{sources.language}/{number}",
                    sources.language,
                    RECURRING_SPANS,
                    weight,
                    question=made.question,
                    context=made.context,
                    context_language=sources.language,
                    answers=made.answers,
                )

    return Generator(generate, needs=frozenset({"texts"}), kinds=frozenset({"span_qa"}))


def passages(texts: Sequence[str], words: int) -> list[str]:
    """Join neighbouring texts, a line each, until each passage has so many words; a longer text is a passage."""
    found, parts, length = list[str](), list[str](), 0
    for text in texts:
        parts.append(" ".join(text.split()))
        length += len(text.split())
        if length >= words:
            found.append("\n".join(parts))
            parts, length = [], 0
    return [*found, "\n".join(parts)] if length else found


def stop_words(passages: Sequence[str]) -> frozenset[str]:
    """Return the words that occur in many passages, and so say nothing of any; all words where passages are few."""
    counts = Counter(word for passage in passages for word in {normalise(w) for w, _, _ in placed_words(passage)})
    most = max(1.0, COMMON * len(passages)) if len(passages) >= LEAST_PASSAGES else 0
    return frozenset(word for word, count in counts.items() if count > most)


@dataclass(frozen=True, slots=True)
class Question:
    """What is made of a passage: a sentence with a blank, the rest of the passage, and where in it the span stands."""

    question: str
    context: str
    answers: tuple[Answer, ...]


def questions_on(passage: str, stop: Set[str], *, longest: int, blank: str, draw: int) -> list[Question]:
    """Return a question on each span that occurs in two sentences of a passage, in the order of the draw.

    Args:
        passage: Sentences.
        stop: Words that no span begins or ends with.
        longest: Words of a span, at most.
        blank: What stands for the span in the question.
        draw: Number of the draw.
    """
    places = sentences(passage)
    words = [
        Word(normalise(text), (start + first, start + last), number)
        for number, (start, end) in enumerate(places)
        for text, first, last in placed_words(passage[start:end])
    ]
    found = []
    for span, occurrences in spans_of(passage, words, stop, longest).items():
        by_sentence = {number: [place for place, at in occurrences if at == number] for _, number in occurrences}
        for number in sorted(by_sentence, key=lambda at: rank(draw, RECURRING_SPANS, f"{span}/{at}/{passage}")):
            others = [place for place, at in occurrences if at != number]
            made = _ask(passage, places[number], by_sentence[number], others, blank)
            if made is not None:
                found.append((span, made))
                break
    return [made for _, made in sorted(found, key=lambda one: rank(draw, RECURRING_SPANS, f"{one[0]}/{passage}"))]


def spans_of(
    passage: str, words: Sequence[Word], stop: Set[str], longest: int
) -> dict[tuple[str, ...], list[tuple[Place, int]]]:
    """Return the longest spans that occur in two sentences, each with the place and sentence of every occurrence.

    A span within another one is none of its own.
    """
    taken: set[int] = set()
    found = {}
    for length in range(longest, 0, -1):
        starts = defaultdict(list)
        for at in range(len(words) - length + 1):
            run = words[at : at + length]
            if run[0].text not in stop and run[-1].text not in stop and _is_run(passage, run):
                starts[tuple(word.text for word in run)].append(at)
        for span, firsts in starts.items():
            apart = [at for i, at in enumerate(firsts) if i == 0 or at >= firsts[i - 1] + length]
            free = not any(taken.intersection(range(at, at + length)) for at in apart)
            if free and len({words[at].sentence for at in apart}) > 1:
                taken.update(at + i for at in apart for i in range(length))
                found[span] = [
                    ((words[at].place[0], words[at + length - 1].place[1]), words[at].sentence) for at in apart
                ]
    return found


def _is_run(passage: str, run: Sequence[Word]) -> bool:
    """Return whether nothing but blanks stands between words of one sentence."""
    return run[0].sentence == run[-1].sentence and all(
        passage[left.place[1] : right.place[0]].isspace() for left, right in pairwise(run)
    )


def _ask(
    passage: str, sentence: Place, blanked: Sequence[Place], others: Sequence[Place], blank: str
) -> Question | None:
    """Return the question that a sentence is without the span; None where it would not say what is asked."""
    start, end = sentence
    left, right = passage[:start].rstrip(), passage[end:].lstrip()
    context = f"{left} {right}" if left and right else left + right
    parts, at = [], start
    for first, last in blanked:
        parts += [passage[at:first], blank]
        at = last
    question = "".join([*parts, passage[at:end]])
    said = len(list(placed_words(question))) - len(blanked) * len(list(placed_words(blank)))
    if said < LEAST_WORDS or normalise(passage[start:end]) in normalise(context):
        return None
    moved = len(context) - len(passage)  # of what stands behind the sentence
    answers = tuple(
        Answer(passage[first:last], first if first < start else first + moved) for first, last in sorted(others)
    )
    if not all(context.startswith(answer.text, answer.start) for answer in answers):
        return None
    return Question(question, context, answers)
