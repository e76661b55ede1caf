"""Translation: source examples brought into the language, with their labels.

Texts are translated a sentence at a time, which is what models read best, and every translation is kept on disk, so
a job that was stopped continues. The answer to a question is carried by marks around it; see
:mod:`lingraft.pseudo.answer_marks`. Tagged sentences are not translated: their tags would have to find their words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated

from pydantic import Field

from ...core.counted import counted
from ...core.errors import ConfigError
from ...core.examples import ChoiceExample, Example, PairExample, SpanExample
from ...core.files import cache_root
from ...data.differences import SAME, loses_difference
from ...data.languages import display_name
from ...recipe.blocks import Block
from .. import Sources, Weight
from ..answer_marks import Marks, is_as_long
from ..kept_answers import KeptAnswers
from ..sentences import Place, sentences
from ..translators import AT_ONCE, Translator, translate_kept, translators
from . import Generator, generators

TRANSLATION = "translation"
"""The origin of what is translated."""

OTHER_LANGUAGE = "it is not in the language that is translated from"

WITHOUT_BLANKS = ("Hans", "Hant", "Jpan", "Hani")
"""Scripts that write none between sentences."""

Pair = Annotated[str, Field(pattern=r"^\S+ \S+$")]
Pairs = Annotated[list[Pair], Field(min_length=1)]

MARKS = ["[ ]", "{ }", "< >"]
"""Square brackets came through Apertium in every context of XQuAD that has none of its own."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is translated of an example: texts, each with a piece that stays whole; and what is made of them.

    ``join`` returns why, where nothing can be made.
    """

    texts: tuple[tuple[str, Place | None], ...]
    join: Callable[[Sequence[str]], Example | str]


@generators.register(TRANSLATION)
def translation(*, translator: Block, marks: Pairs = MARKS, weight: Weight = 0.5) -> Generator:
    """Labelled source examples, translated; answers to questions are carried by marks.

    Args:
        translator: What translates, with its options: `{name: apertium}`; see `lingraft list translators`.
        marks: What is put before and behind an answer, with a blank between the two; of several, the first that the
            context has none of.
        weight: How much each counts, where what people labelled counts 1.
    """
    if problems := translators.check(translator.name, translator.options, "translator"):
        raise ConfigError(problems)
    chosen: Translator = translators.build(translator.name, translator.options)
    put = [Marks(*pair.split(" ")) for pair in marks]
    if alike := [pair for pair, one in zip(marks, put, strict=True) if one.opening == one.closing]:
        raise ConfigError([f"marks: expected two different marks, got {alike[0]!r}; e.g. '[ ]'"])

    def generate(sources: Sources) -> Iterator[Example]:
        source, target = sources.task.source_language, sources.language
        kept = KeptAnswers(cache_root() / "translations")
        theirs = [example for example in sources.labelled if is_all_in(example, source)]
        for _ in range(len(sources.labelled) - len(theirs)):  # of further source languages
            sources.drop(OTHER_LANGUAGE)
        sources.say(
            f"translating {counted(len(theirs), sources.task.kind.words.example)} from "
            f"{display_name(source)} to {display_name(target)}"
        )
        queue = iter(theirs)
        while examples := list(islice(queue, AT_ONCE)):
            parts = [parts_of(example, target, put) for example in examples]
            texts = [text for one in parts if not isinstance(one, str) for text in one.texts]
            whole = iter(_translate(texts, source, target, chosen, kept))
            for example, one in zip(examples, parts, strict=True):
                made = one if isinstance(one, str) else one.join(list(islice(whole, len(one.texts))))
                if isinstance(made, str):
                    sources.drop(made)
                else:
                    place = f"{TRANSLATION}/{sources.draw}/{target}/{example.id}"
                    yield replace(made, id=place, language=target, origin=TRANSLATION, weight=weight)

    return Generator(
        generate,
        needs=frozenset({"labelled"}),
        kinds=frozenset({"classification", "span_qa", "choice"}),
        costly=True,
        refuse_absent=chosen.refuse_absent,
    )


def is_all_in(example: Example, language: str) -> bool:
    """Return whether an example is in a language, the context of a question included."""
    return example.language == language and example.context_language in (None, language)


def parts_of(example: Example, language: str, marks: Sequence[Marks]) -> Parts | str:
    """Return what is translated of an example, or why it cannot be.

    Args:
        example: With its label.
        language: Of the translation.
        marks: For the answer to a question; the first that its context has none of.
    """
    match example:
        case PairExample():
            return Parts(tuple((text, None) for text in example.texts), lambda texts: _pair(example, texts))
        case ChoiceExample():
            return Parts(tuple((text, None) for text in example.texts), lambda texts: _choice(example, texts))
        case SpanExample() if not example.answers:
            return Parts(
                ((example.question, None), (example.context, None)), lambda texts: _question(example, language, texts)
            )
        case SpanExample():
            answer, free = example.answers[0], [one for one in marks if not one.occur_in(example.context)]
            if not free:
                return "its context has all marks in it already"
            place = answer.start, answer.start + len(free[0].opening + answer.text + free[0].closing)
            return Parts(
                ((example.question, None), (free[0].put(example.context, answer), place)),
                lambda texts: _answered(example, language, texts, free[0]),
            )
    return "it is of no shape that can be translated"


def _pair(example: PairExample, texts: Sequence[str]) -> Example | str:
    if not all(texts):
        return "its translation is empty"
    made = replace(example, text_a=texts[0], text_b=texts[1] if len(texts) > 1 else None)
    return SAME if loses_difference(example, made) else made


def _choice(example: ChoiceExample, texts: Sequence[str]) -> Example | str:
    if not all(texts):
        return "its translation is empty"
    made = replace(example, text=texts[0], alternatives=tuple(texts[1:]))
    return SAME if loses_difference(example, made) else made


def _question(example: SpanExample, language: str, texts: Sequence[str]) -> SpanExample | str:
    if not all(texts):
        return "its translation is empty"
    return replace(example, question=texts[0], context=texts[1], context_language=language)


def _answered(example: SpanExample, language: str, texts: Sequence[str], marks: Marks) -> Example | str:
    read = marks.read(texts[1])
    if isinstance(read, str):
        return read
    context, answer = read
    if not is_as_long(answer.text, example.answers[0].text):
        return "what stands between the marks is far longer or shorter than the answer"
    made = _question(example, language, (texts[0], context))
    return made if isinstance(made, str) else replace(made, answers=(answer,))


def _translate(
    texts: Sequence[tuple[str, Place | None]], source: str, target: str, translator: Translator, kept: KeptAnswers
) -> Iterator[str]:
    """Yield the translation of each text, put together from those of its sentences."""
    places = [sentences(text, whole) for text, whole in texts]
    pieces = [text[start:end] for (text, _), found in zip(texts, places, strict=True) for start, end in found]
    made = iter(translate_kept(pieces, source, target, translator, kept))
    blank = "" if target.partition("-")[2].partition("-")[0] in WITHOUT_BLANKS else " "
    for found in places:
        yield blank.join(text for text in islice(made, len(found)) if text)
