"""Templates: labelled texts made of sentences with slots and words that the user writes.

A speaker of the language writes ten sentences and a few lists of words in an hour; these say how a label is expressed
where nobody has labelled anything. Everything is in the recipe:

    {name: templates, templates: [{text: "Ina son {thing}", label: positive}], words: {thing: [shinkafa, kifi]}}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from ...core.amounts import Rounds
from ...core.errors import ConfigError, shown
from ...core.examples import Answer, Example, PairExample, SpanExample, TaggedExample
from ...core.registry import unknown
from ...data.languages import among, canonical
from ...recipe.blocks import Settings
from ...tasks import Task
from .. import Sources, Weight
from ..template_filling import SLOT, fill, fillings, pieces, slots_of
from . import Generator, generators

TEMPLATES = "templates"
"""The origin of what is made."""

Filling = Mapping[str, str]
"""Slots and the words in them."""

Make = Callable[[Filling], Example]


class Template(Settings):
    """A text, two, words to tag, or a question; what is in braces is a slot."""

    text: str | None = None
    """Of texts and sentences."""
    text_b: str | None = None
    """The second text of a pair."""
    label: str | None = None
    """Of texts."""
    tags: str | None = None
    """Of sentences: a tag for each word, a slot being one; by default words are outside of everything."""
    question: str | None = None
    context: str | None = None
    answer: str | None = None
    """Of questions: the name of the slot of the context that is the answer."""

    @property
    def texts(self) -> list[str]:
        """All that has slots."""
        return [text for text in (self.text, self.text_b, self.question, self.context) if text is not None]


Templates = Annotated[list[Template], Field(min_length=1)]
WordLists = dict[str, Annotated[list[str], Field(min_length=1)]]


@generators.register(TEMPLATES)
def templates(
    *,
    templates: Templates,
    words: WordLists | None = None,
    slot_tags: dict[str, str] | None = None,
    language: str | None = None,
    most: Rounds = 100,
    weight: Weight = 0.5,
) -> Generator:
    """Your own sentences with slots, filled with your own words: texts, pairs, tagged sentences, questions.

    Args:
        templates: `{text: "Ina son {thing}", label: positive}`; with `text_b` for pairs; `{text: "{who} yana {place}"}`
            for tags; `{question: …, context: …, answer: place}` for questions.
        words: What each slot may be filled with.
        slot_tags: Of words to tag, what each slot is: `{who: PER, place: LOC}`.
        language: That they are written in, where a recipe has several target languages.
        most: Fillings of a template, at most.
        weight: How much each counts, where what people labelled counts 1.
    """
    lists = {slot: list(dict.fromkeys(found)) for slot, found in (words or {}).items()}
    problems = [
        f"templates.{number}: {unknown(slot, lists, what='slot')}"
        for number, template in enumerate(templates)
        for slot in slots_of(*template.texts)
        if slot not in lists
    ]
    problems += [f"slot_tags: {unknown(slot, lists, what='slot')}" for slot in slot_tags or {} if slot not in lists]
    problems += _left_over([text for template in templates for text in template.texts], lists)
    if problems:
        raise ConfigError(problems)

    def generate(sources: Sources) -> Iterator[Example]:
        if not _is_theirs(language, sources):
            return
        for number, template in enumerate(templates):
            _refuse_other_keys(template, f"templates.{number}", sources.task)
            make = OF_KINDS[sources.task.kind.name](template, f"templates.{number}", sources, slot_tags or {})
            ways = fillings(slots_of(*template.texts), lists, most, sources.draw, f"{TEMPLATES}/{number}")
            for count, filling in enumerate(ways):
                place = f"{TEMPLATES}/{sources.draw}/{sources.language}/{number}/{count}"
                group = f"{TEMPLATES}/{sources.language}/{number}"
                yield replace(make(filling), id=place, group=group, origin=TEMPLATES, weight=weight)

    return Generator(generate, kinds=frozenset(OF_KINDS))


def _left_over(texts: Sequence[str], lists: Mapping[str, Sequence[str]]) -> list[str]:
    """Find braces that belong to no slot, and words for slots that no template has."""
    used = set(slots_of(*texts))
    problems = [
        f"templates: {shown(text)} has a brace that belongs to no slot; slots are written {{thing}}"
        for text in texts
        if set("{}") & set(SLOT.sub("", text))
    ]
    return problems + [f"words.{slot}: no template has such a slot" for slot in lists if slot not in used]


def _is_theirs(language: str | None, sources: Sources) -> bool:
    """Return whether the templates are in the language that is asked for.

    Raises:
        ConfigError: Nobody says which of several languages they are in, or they are in none of them.
    """
    targets = sources.task.tested_languages
    if language is None and len(sources.languages or targets) == 1:
        return True
    named = language and among(canonical(language), targets)
    if named not in targets:
        came = "is missing" if language is None else f"got {shown(language)}"
        raise ConfigError([f"templates.language: {came}; they are in one language of {', '.join(targets)}"])
    return named == sources.language


def _texts(template: Template, where: str, sources: Sources, slot_tags: Mapping[str, str]) -> Make:
    """Return what makes a text, or a pair of texts, with the template's label."""
    text, label = _needed(template.text, where, "text"), _needed(template.label, where, "label")
    _refuse_unknown(label, f"{where}.label", sources.task)

    def make(filling: Filling) -> Example:
        text_b = None if template.text_b is None else fill(template.text_b, filling)[0]
        return PairExample("", "", sources.language, text_a=fill(text, filling)[0], text_b=text_b, label=label)

    return make


def _sentences(template: Template, where: str, sources: Sources, slot_tags: Mapping[str, str]) -> Make:
    """Return what makes tagged words."""
    text, task = _needed(template.text, where, "text"), sources.task
    tags = _tags(text, template.tags, where, slot_tags, task)

    def make(filling: Filling) -> Example:
        found = [_tagged(piece, tag, filling, task) for piece, tag in zip(pieces(text), tags, strict=True)]
        tagged = [pair for one in found for pair in one]  # none, where a slot is all and its word is empty
        words, of_words = (tuple(pair[side] for pair in tagged) for side in (0, 1))
        return TaggedExample("", "", sources.language, words=words, tags=of_words)

    return make


def _questions(template: Template, where: str, sources: Sources, slot_tags: Mapping[str, str]) -> Make:
    """Return what makes a question whose answer is a slot of its context."""
    question, context = _needed(template.question, where, "question"), _needed(template.context, where, "context")
    answer = _needed(template.answer, where, "answer")
    if answer not in slots_of(context):
        slots = ", ".join(slots_of(context)) or "none"
        raise ConfigError([f"{where}.answer: expected a slot of the context ({slots}), got {shown(answer)}"])

    def make(filling: Filling) -> Example:
        told, places = fill(context, filling)
        word, start = filling[answer], places[answer][0]
        right = Answer(word.strip(), start + len(word) - len(word.lstrip()))  # as readers of spans would have it
        return SpanExample(
            "",
            "",
            sources.language,
            question=fill(question, filling)[0],
            context=told,
            context_language=sources.language,
            answers=(right,),
        )

    return make


OF_KINDS = {"classification": _texts, "tagging": _sentences, "span_qa": _questions}
"""What makes examples of each kind of task."""


KEYS = {
    "classification": ("text", "text_b", "label"),
    "tagging": ("text", "tags"),
    "span_qa": ("question", "context", "answer"),
}
"""What a template of each kind of task says."""


def _refuse_other_keys(template: Template, where: str, task: Task) -> None:
    """Refuse what a kind of task would read past, e.g. the label of a sentence whose words are tagged."""
    known = KEYS[task.kind.name]
    if strange := [key for key in Template.model_fields if key in template.model_fields_set and key not in known]:
        raise ConfigError([f"{where}.{strange[0]}: {task.name} is {task.kind.name}, which has {', '.join(known)}"])


def _needed(value: str | None, where: str, key: str) -> str:
    if value is None:
        raise ConfigError([f"{where}.{key}: is missing; this kind of task needs it"])
    return value


def _refuse_unknown(label: str, where: str, task: Task) -> None:
    if label not in task.labels:
        raise ConfigError([f"{where}: {unknown(label, list(task.labels), what='label')}"])


# ---- Tags ------------------------------------------------------------------------------------------


def _tags(text: str, tags: str | None, where: str, slot_tags: Mapping[str, str], task: Task) -> list[str]:
    """Return a tag for each piece of a template; of a slot, what its span is called.

    Raises:
        ConfigError: There are more or fewer, or the task has no such tag.
    """
    found = pieces(text)
    outside = task.kind.outside if _marks_spans(task) else None
    given = tags.split() if tags is not None else [outside or ""] * len(found)
    if len(given) != len(found):
        raise ConfigError(
            [f"{where}.tags: expected {len(found)} tags, one for each of {shown(found)}, got {len(given)}"]
        )
    chosen = [slot_tags.get(piece[1:-1], tag) for piece, tag in zip(found, given, strict=True)]
    for piece, tag in zip(found, chosen, strict=True):
        if not tag:
            raise ConfigError([f"{where}.tags: are missing; {piece!r} has no tag"])
        _refuse_unknown(_first(tag, task), f"{where}.tags", task)
    return chosen


def _tagged(piece: str, tag: str, filling: Filling, task: Task) -> list[tuple[str, str]]:
    """Return the words of a piece with their tags; of a span, the first one begins it."""
    words = filling[piece[1:-1]].split() if piece.startswith("{") else [piece]
    inside = f"I-{tag}" if _first(tag, task) != tag else tag
    return [(word, _first(tag, task) if number == 0 else inside) for number, word in enumerate(words)]


def _first(tag: str, task: Task) -> str:
    """Return the tag of the first word of a span, or of a word that is in none."""
    return f"B-{tag}" if _marks_spans(task) and tag != task.kind.outside and tag[:2] not in ("B-", "I-") else tag


def _marks_spans(task: Task) -> bool:
    return task.kind.options.get("scheme") == "bio"
