"""A run as a component of a spaCy pipeline: ``nlp.add_pipe("lingraft", config={"run": "runs/my-run"})``.

What is classified comes as ``doc.cats``, names as ``doc.ents``, tags of single words as ``token.tag_``. The pipeline's
configuration holds the folder of the run, and nothing of the run itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from spacy.language import Language
from spacy.tokens import Doc, Span, Token

from ..core.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from ..serving.predictor import Adapted

BATCH = 64
"""Documents that are answered together."""


@Language.factory("lingraft", default_config={"run": "", "language": None, "backbone": None})
def create(nlp: Language, name: str, run: str, language: str | None = None, backbone: str | None = None) -> Component:
    """Make the component, as spaCy asks for it.

    Args:
        nlp: The pipeline that it becomes part of.
        name: What it is called there.
        run: Folder of a finished run, or its name on the Hub.
        language: Of all documents; by default the run's only target.
        backbone: The checkpoint that the run was trained on, where that is elsewhere now.

    Raises:
        LingraftError: The run does not load, or is of a kind that a document has no place for.
    """
    from ..serving.loading import load

    if not run:
        raise ConfigError([f"{name}: run is missing; give the folder of one, config={{'run': 'runs/my-run'}}"], "spaCy")
    return Component(load(run, backbone=backbone), language)


class Component:
    """Writes a run's answers into documents.

    Args:
        adapted: A loaded run.
        language: Of all documents; by default the run's only target.

    Raises:
        CheckpointError: Its answers have no place in a document.
    """

    def __init__(self, adapted: Adapted, language: str | None = None) -> None:
        if adapted.kind.name not in ("classification", "multilabel", "tagging") or adapted.identity.paired:
            what = "pairs of texts" if adapted.identity.paired else adapted.kind.name
            raise CheckpointError(
                f"a document of spaCy has no place for answers of {what}; use lingraft.load(…).predict"
            )
        self.adapted, self.language = adapted, language

    def __call__(self, doc: Doc) -> Doc:
        """Answer one document."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], batch_size: int = BATCH) -> Iterator[Doc]:
        """Answer documents, as many at a time as ``batch_size`` says; those without a word are left as they are."""
        rest = iter(stream)
        while docs := list(islice(rest, batch_size)):
            spoken = [doc for doc in docs if _words(doc)]
            if self.adapted.kind.name == "tagging":
                self._tag(spoken)
            else:
                self._classify(spoken)
            yield from docs

    def _classify(self, docs: list[Doc]) -> None:
        found = self.adapted.predict_proba([doc.text for doc in docs], language=self.language) if docs else None
        for doc, row in zip(docs, [] if found is None else found.values, strict=True):
            assert found is not None
            doc.cats = {**doc.cats, **dict(zip(found.classes, map(float, row), strict=True))}

    def _tag(self, docs: list[Doc]) -> None:
        """Tag the tokens that are no blanks, as spaCy parts them."""
        words = [_words(doc) for doc in docs]
        answers = self.adapted.predict(
            [{"words": [str(word) for word in one]} for one in words], language=self.language
        )
        for doc, tokens, answer in zip(docs, words, answers, strict=True):
            if self.adapted.kind.options["scheme"] == "plain":
                for token, tag in zip(tokens, answer.value.split(), strict=True):
                    token.tag_ = tag
                continue
            begins, ends = _bounds([str(token) for token in tokens])
            doc.set_ents(
                [
                    Span(doc, tokens[begins[one.start]].i, tokens[ends[one.end]].i + 1, label=one.label)
                    for one in answer.entities
                ],
                default="unmodified",
            )


def _words(doc: Doc) -> list[Token]:
    """Return the tokens that are no blanks."""
    return [token for token in doc if not token.is_space]


def _bounds(words: Sequence[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the word that begins, and the one that ends, at a character of the sentence with a blank between words."""
    ends = list(accumulate(len(word) + 1 for word in words))
    begins = [end - len(word) - 1 for end, word in zip(ends, words, strict=True)]
    return {at: i for i, at in enumerate(begins)}, {at - 1: i for i, at in enumerate(ends)}
