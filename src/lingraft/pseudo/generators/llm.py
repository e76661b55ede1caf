"""Texts that a large language model writes: of each class, in the language, and corrected once.

Examples in the language and a second turn that corrects came within five points of human texts, over eleven languages
and four open models (arXiv:2506.12158). What a model writes in a language that it does not know is worth nothing: it
first translates sentences whose translation is known, and is refused where the two are too far apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from ...core.amounts import FactorOrNone
from ...core.errors import ConfigError, ServiceError, shown
from ...core.examples import GOLD, Example, PairExample
from ...core.files import cache_root
from ...data.languages import display_name
from ...data.sampling import rank
from ...data.text import normalise
from .. import Sources, Weight
from ..chat import Chat, Reply
from ..kept_answers import KeptAnswers
from ..timed_http import refuse_bad_address
from ..translators.command import Seconds
from ..writing import Wanted, correct_texts, cost_of, refuse_unknown_language, write_texts
from . import Generator, generators

LLM = "llm"
"""The origin of what is written."""

CHECKED = 20
"""So many sentences are translated to see whether the model writes the language."""

Few = Annotated[int, Field(ge=0, le=100)]
AtOnce = Annotated[int, Field(ge=1, le=64)]
Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
OfClass = Annotated[int, Field(ge=1, le=100_000)]


@dataclass(frozen=True)
class Style:
    """How texts are asked for: the options of the generator that shape a call."""

    about: str
    per_call: int
    demonstrations: int
    temperature: float
    revise: bool
    shots: bool
    """Whether the language is shown by labelled texts of the class, not by translations."""


@dataclass(frozen=True, slots=True)
class Call:
    """So many texts of a class, in the call of that number."""

    label: str
    number: int
    count: int


@generators.register(LLM)
def llm(
    *,
    url: Address,
    model: str,
    key: str | None = None,
    about: str = "a text of the class",
    per_class: OfClass = 100,
    per_call: AtOnce = 10,
    shown_by: Literal["pairs", "shots"] = "pairs",
    demonstrations: Few = 3,
    temperature: FactorOrNone = 1.0,
    revise: bool = True,
    at_once: AtOnce = 4,
    timeout: Seconds = 120,
    weight: Weight = 0.3,
) -> Generator:
    """Texts of each class that a language model writes, behind any OpenAI-compatible address.

    Args:
        url: Of the server, up to `/v1`: `http://localhost:8000/v1`.
        model: As the server calls it.
        key: Name of the environment variable that holds the key.
        about: What each text is, before the name of its class: `a tweet whose sentiment is`.
        per_class: Texts that are asked for of each class.
        per_call: Texts that are asked for at a time.
        shown_by: What shows how the language is written: the translations in `pairs`, or the `shots` of the class.
        demonstrations: Examples of each sort that it is shown.
        temperature: Of the writing; correcting and translating take 0.
        revise: Whether a second call corrects the language of what the first one wrote.
        at_once: Calls that run side by side.
        timeout: Seconds for one answer, to its end.
        weight: How much each text counts, where what people labelled counts 1.
    """
    refuse_bad_address(url)
    if key is not None and not (key.isidentifier() and key == key.upper()):
        raise ConfigError(["key: expected the NAME of an environment variable, in capitals, and never the key itself"])
    style = Style(about, per_call, demonstrations, temperature, revise, shown_by == "shots")
    sizes = [min(per_call, per_class - start) for start in range(0, per_class, per_call)]

    def generate(sources: Sources) -> Iterator[Example]:
        if any(isinstance(example, PairExample) and example.text_b is not None for example in sources.labelled):
            raise ConfigError([f"{LLM} writes single texts, and examples of {sources.task.name} are pairs of texts"])
        chat = Chat(url, model, key, timeout, KeptAnswers(cache_root() / LLM))
        score, replies = check_language(chat, sources)
        seen = {normalise(text) for text in shown_texts(sources, style)}
        pool = ThreadPoolExecutor(at_once)
        try:
            for label in sources.task.labels:
                sources.say(f"{model} writes texts in {display_name(sources.language)}: {label}")
                calls = [Call(label, number, size) for number, size in enumerate(sizes)]
                written = pool.map(partial(write_some, chat, sources, style), calls)
                found = list[str | None]()
                for call, (texts, answers, shown_for) in zip(calls, written, strict=True):
                    found += texts
                    replies += answers
                    yield from _examples(texts, call, sources, weight, seen, shown_for)
                if not found:
                    raise ServiceError(
                        f"{model} was asked for JSON lines with a text each, and answered "
                        f"{shown(replies[-1].text, 160)}; name a model that follows instructions"
                    )
        finally:
            pool.shutdown(cancel_futures=True)  # what fails, or is stopped, asks nothing more
        sources.record({"generator": LLM, "asked": model, **cost_of(replies), "chrf": score})

    needs = frozenset({"labelled", shown_by})
    return Generator(generate, needs=needs, kinds=frozenset({"classification"}), costly=True)


def shown_texts(sources: Sources, style: Style) -> Iterator[str]:
    """Yield all texts that a model may be shown."""
    shots = sources.shots if style.shots else ()
    yield from (example.texts[0] for example in (*sources.labelled, *shots))
    yield from (side.text_a for pair in sources.pairs for side in pair)


def check_language(chat: Chat, sources: Sources) -> tuple[float | None, list[Reply]]:
    """Return how well a model translates into the language, and its answers; without pairs nothing shows it.

    Raises:
        ServiceError: It does not write the language.
    """
    source, language = display_name(sources.task.source_language), display_name(sources.language)
    pairs = [pair for pair in sources.pairs if pair[1].origin == GOLD]
    if not pairs:
        sources.say(f"there are no translations that could show whether {chat.model} writes {language}: read its texts")
        return None, []
    chosen = sorted(pairs, key=lambda pair: rank(0, "check", pair[0].text_a))[:CHECKED]
    score, reply = refuse_unknown_language(
        chat, [(one.text_a, other.text_a) for one, other in chosen], (source, language)
    )
    sources.say(f"{chat.model} translates into {language} with a chrF of {score:.1f}")
    return round(score, 1), [reply]


def write_some(
    chat: Chat, sources: Sources, style: Style, call: Call
) -> tuple[list[str | None], list[Reply], tuple[str, ...]]:
    """Return some texts of a class, None for one that the correction left out, what the model answered and was shown.

    Args:
        chat: With the model.
        sources: Whose examples it is shown.
        style: How texts are asked for.
        call: What is asked for.
    """
    label, shown_for = call.label, set[str]()

    def some(texts: Sequence[tuple[str, Example]], purpose: str) -> list[str]:
        where = f"{LLM}/{purpose}/{label}/{call.number}"
        chosen = sorted(dict(texts), key=lambda text: rank(sources.draw, where, text))[: style.demonstrations]
        shown_for.update(example.trace for text, example in texts if text in chosen)
        return chosen

    source, language = display_name(sources.task.source_language), display_name(sources.language)
    shots = [(example.texts[0], example) for example in sources.shots if label in example.labels]
    pairs = [
        (f"{other.text_a} ({source}: {one.text_a})", other) for one, other in sources.pairs if other.origin == GOLD
    ]
    labelled = [(example.texts[0], example) for example in sources.labelled if label in example.labels]
    meant = dict[str, list[str]]()
    for text in some(labelled, "meant"):  # several source languages, each named
        meant.setdefault(display_name(dict(labelled)[text].language), []).append(text)
    meaning = f'{style.about} "{label}"'
    wanted = Wanted(language, meaning, call.count, meant, some(shots if style.shots else pairs, "written"))
    texts, reply = write_texts(chat, wanted, style.temperature, call.number)
    traces = tuple(sorted(shown_for))
    if not texts or not style.revise:
        return list(texts), [reply], traces
    corrected, second = correct_texts(chat, texts, language, meaning)
    return corrected, [reply, second], traces


def _examples(
    texts: Sequence[str | None],
    call: Call,
    sources: Sources,
    weight: float,
    seen: set[str],
    shown_for: tuple[str, ...],
) -> Iterator[Example]:
    """Yield the texts of a call that nobody wrote before, and count the others."""
    for _ in range(call.count - len(texts)):
        sources.drop("the model did not write it")
    group = f"{LLM}/{sources.draw}/{sources.language}/{call.label}/{call.number}"
    for place, text in enumerate(texts):
        if text is None:
            sources.drop("the model's correction left it out")
        elif not text or normalise(text) in seen:
            sources.drop("it repeats a text")
        else:
            seen.add(normalise(text))
            own = (f"{group}/{place}", group, sources.language, LLM, weight)
            yield PairExample(*own, shown=shown_for, text_a=text, label=call.label)
