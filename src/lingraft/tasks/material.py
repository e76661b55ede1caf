"""What a run learns from and is tested on, as records: draws, translation pairs, development and test sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..core.examples import GOLD, Example, PairExample
from ..core.shots import Shots
from ..data.augmentation.switching import Switched
from . import Task

Pair = tuple[PairExample, PairExample]
"""Source side and target side of a translation (or a sentence and a copy that was made of it), without labels."""


GIVEN = "parallel/"
"""What the ids of parallel text that the task did not give begin with."""


Fold = Mapping[str, tuple[Example, ...]]
"""Labelled examples that are held out together, by language; see :mod:`lingraft.tasks.folds`."""


@dataclass(frozen=True)
class Draw:
    """The learning material of one number of shots and one draw."""

    k: Shots
    draw: int
    labelled: tuple[Example, ...]
    shots: Mapping[str, tuple[Example, ...]]
    pairs: Mapping[str, tuple[Pair, ...]]
    pseudo: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    """Labelled examples that nobody labelled, by target language; see :mod:`lingraft.pseudo`."""
    copies: Mapping[str, tuple[tuple[Switched[Example], ...], ...]] = field(default_factory=dict)
    """Code-switched copies of the labelled examples, which are to get the same answers: by language, and in it at most
    one of each example under each number."""
    folds: tuple[Fold, ...] = ()
    """In which the labels of languages without a test set are cross-validated."""

    def labelled_in(self, language: str) -> list[Example]:
        """Return the labelled examples that are in a language: those of the source may be in several."""
        return [example for example in self.labelled if example.language == language]

    def texts(self, language: str, source: str) -> list[Example]:
        """Return everything of one language that this draw learns from, what is labelled last."""
        if language == source:
            sides = (pair[0] for pairs in self.pairs.values() for pair in pairs)
            return [*sides, *self.labelled, *self.labelled_sides(self.pairs)]
        made = (
            *(copy.example for one in self.copies.get(language, ()) for copy in one),
            *self.pseudo.get(language, ()),
        )
        return [*(pair[1] for pair in self.pairs[language]), *made, *self.shots[language]]

    def labelled_sides(self, pairs: Mapping[str, Sequence[Pair]]) -> tuple[PairExample, ...]:
        """Return the source sides of labelled translations, with their labels: a sentence and its translation agree.

        Args:
            pairs: Those that are learnt from, by target language.
        """
        found, own = dict[str, PairExample](), {example.id for example in self.labelled}
        for language, shots in self.shots.items():
            label = {shot.id: shot.label for shot in shots if isinstance(shot, PairExample)}
            for source, target in pairs.get(language, ()):
                if target.id in label and source.id not in own:
                    found.setdefault(source.id, replace(source, label=label[target.id]))
        return tuple(found.values())


FEWEST_MAPPED = 10
"""Translations, or texts of a language, that a map is fitted to at least: the mean of fewer is too far from that of the
language. With 5 pairs it gained nothing over the frozen head."""


@dataclass(frozen=True)
class Materials:
    """All draws of a run, and the development and test sets they share.

    ``unlabelled`` has the texts of ``parallel.text``, which a lexicon is mined from. Test examples of a language all
    have a label, or none has; where there are none, ``unscored`` says what is done instead, in sentences.
    """

    task: Task
    dev: tuple[Example, ...]
    test: Mapping[str, tuple[Example, ...]]
    draws: tuple[Draw, ...]
    overlap: Mapping[str, int]
    notes: tuple[str, ...]
    unlabelled: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unscored: tuple[str, ...] = ()
    unpaired: Mapping[str, tuple[PairExample, ...]] = field(default_factory=dict)
    """Some of the unlabelled texts of each language that has no translations: what its mean state is of."""

    @property
    def paired(self) -> bool:
        """Whether the task compares two texts."""
        return any(len(example.texts) > 1 for example in self.dev)

    def is_scored(self, language: str) -> bool:
        """Return whether a language has a test set with labels."""
        return is_labelled(self.test[language])

    def without_tests(self) -> Materials:
        """Return what is learnt alone: a choice made with it cannot have seen a test set, not even by accident."""
        draws = tuple(replace(draw, folds=()) for draw in self.draws)
        notes = tuple(note for note in self.notes if note not in self.unscored)
        return replace(self, test=dict.fromkeys(self.test, ()), draws=draws, notes=notes, unscored=())

    def learn(self, language: str) -> list[Example]:
        """Return all texts of a language that any draw learns from, each once, with its label if any draw has it."""
        found = [example for draw in self.draws for example in draw.texts(language, self.task.source_language)]
        found += self.unpaired.get(language, ())
        unique = {example.id: example for example in sorted(found, key=lambda example: example.gold is not None)}
        return [unique[key] for key in sorted(unique)]

    def written(self, language: str) -> list[str]:
        """Return texts that people wrote in a language, made ones left out: what its coverage is measured on."""
        dev = self.dev if language == self.task.source_language else ()
        examples = [e for e in (*self.test[language], *dev, *self.learn(language)) if e.origin == GOLD]
        own = [text for example in examples for text in example.texts]
        return [*own, *self.unlabelled.get(language, ())]


def is_labelled(examples: Sequence[Example]) -> bool:
    """Return whether there are labels."""
    return any(example.gold is not None for example in examples)


def is_own(pair: Pair) -> bool:
    """Return whether a pair is two examples of the task, not parallel text from elsewhere or a copy."""
    return not pair[0].id.startswith(GIVEN) and pair[1].origin == GOLD


def without_label(example: Example) -> PairExample:
    """Return an example as a text alone; what is not classified has one beside its labelled form."""
    if isinstance(example, PairExample):
        return replace(example, label=None)
    return PairExample(f"{example.id}/text", example.group, example.language, example.origin, text_a=example.texts[0])
