"""How right the text of an answer is: the official scores of SQuAD v1.1 and MLQA.

Both compare tokens after a normalisation that makes small things equal: case, punctuation, articles and white
space. SQuAD's (Rajpurkar et al., 2016) knows English only, and is what XQuAD and TyDiQA-GoldP are scored with
in all languages. MLQA's (Lewis et al., 2020) knows the punctuation of all scripts, the articles of seven
languages, and cuts Chinese into characters. Each is written here from the published rules, oddities
included, since a score is only worth something beside other people's scores:

- Nothing is normalised in Unicode's sense: a composed and a decomposed accent differ, and the bare letter of a
  decomposed one may be taken for an article.
- An answer of which nothing is left ("The") has an F1 of 0 even against itself, but is an exact match.
- MLQA takes the Arabic article out wherever its two letters stand, also inside a word.

The module imports no torch.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from ...core.errors import ConfigError
from . import Metric, mean_of

__all__ = [
    "NORMALISERS",
    "SQUAD_V2",
    "Normaliser",
    "answer_metrics",
    "exact_match",
    "normaliser",
    "question_metrics",
    "token_f1",
]

SQUAD_V2 = "squad_v2"

Normaliser = Callable[[str], str]
"""An answer to what is compared: tokens, joined by blanks."""


# ---- The metrics -----------------------------------------------------------------------------------


def answer_metrics(spec: str, *, unanswerable: bool = False) -> dict[str, Metric]:
    """Return F1 and exact match over questions, gold being a list of answers of which the best counts.

    Args:
        spec: ``squad``, ``squad_v2``, which is that with ``unanswerable``, or ``mlqa:LANGUAGE`` with the language *of
            the context*, which is that of the answer whatever the question's is; as MLQA writes it (``mlqa:de``) or as
            we do (``mlqa:deu-Latn``).
        unanswerable: Whether an empty answer is one, as in SQuAD v2 (Rajpurkar et al., 2018): it is right where no
            right answer has anything left after the normalisation, and agrees with nothing else.

    Returns:
        ``f1`` and ``exact_match``, both between 0 and 1.

    Raises:
        ConfigError: The normalisation is unknown.
    """
    if _name(spec) == SQUAD_V2:
        spec, unanswerable = "squad", True
    rule = normaliser(spec)
    if unanswerable:
        return {
            "f1": mean_of(partial(_best_or_none, agreement_f1, rule)),
            "exact_match": mean_of(partial(_best_or_none, exact_match, rule)),
        }
    return {"f1": mean_of(partial(_best, token_f1, rule)), "exact_match": mean_of(partial(_best, exact_match, rule))}


def question_metrics(
    normaliser: str, *, unanswerable: bool
) -> tuple[dict[str, Metric], Callable[[str], Mapping[str, Metric]] | None]:
    """Return the scores of answers, and what gives those for contexts in a language, where MLQA's rules differ."""
    if normaliser == "mlqa":
        return answer_metrics("mlqa:en", unanswerable=unanswerable), partial(_mlqa_metrics, unanswerable=unanswerable)
    return answer_metrics(normaliser, unanswerable=unanswerable), None


@cache
def _mlqa_metrics(language: str, *, unanswerable: bool) -> Mapping[str, Metric]:
    return answer_metrics(f"mlqa:{language}", unanswerable=unanswerable)


def token_f1(gold: str, predicted: str) -> float:
    """Return F1 of the tokens of two normalised answers, each counted as often as it occurs; 0 where none is common."""
    right, guessed = gold.split(), predicted.split()
    common = (Counter(right) & Counter(guessed)).total()
    return 2 * common / (len(right) + len(guessed)) if common else 0.0


def exact_match(gold: str, predicted: str) -> float:
    """Return whether two normalised answers are the same."""
    return float(gold == predicted)


def agreement_f1(gold: str, predicted: str) -> float:
    """Return F1 of the tokens of two normalised answers; where one is empty, whether both are, as in SQuAD v2."""
    return token_f1(gold, predicted) if gold and predicted else float(gold == predicted)


def _best_or_none(
    score: Callable[[str, str], float], rule: Normaliser, answers: Sequence[str], predicted: str
) -> float:
    """Return the best score; right answers of which nothing is left are none, as in the script of SQuAD v2."""
    if isinstance(answers, str) or not answers:
        raise ValueError(f"expected a list of right answers, at least one, not {answers!r}")
    guess = rule(predicted)
    right = [answer for answer in map(rule, answers) if answer]
    return max(score(answer, guess) for answer in right or [""])


def _best(score: Callable[[str, str], float], rule: Normaliser, answers: Sequence[str], predicted: str) -> float:
    if isinstance(answers, str) or not answers:
        raise ValueError(f"expected a list of right answers, at least one, not {answers!r}")
    guess = rule(predicted)
    return max(score(rule(answer), guess) for answer in answers)


# ---- Normalisation ---------------------------------------------------------------------------------


def squad(text: str) -> str:
    """Write in lower case, without ASCII punctuation and English articles, white space collapsed."""
    kept = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(_without(ENGLISH, kept).split())


def mlqa(text: str, language: str) -> str:
    """Write in lower case, without punctuation of any script and the language's articles, cut into tokens.

    The order is the official one: "the-end" loses its hyphen before "the" could be seen to be an article.
    """
    kept = "".join(character for character in text.lower() if not _is_punctuation(character))
    # The published pattern for Arabic, '\sال^|ال', has an alternative that never matches; this is what remains.
    kept = kept.replace("ال", " ") if language == "ar" else _without(ARTICLES[language], kept)
    if language == "zh":
        kept = HAN.sub(r" \g<0> ", kept)
    return " ".join(kept.split())


ENGLISH = ("a", "an", "the")

ARTICLES: Mapping[str, Sequence[str]] = {
    "ar": (),
    "de": ("ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"),
    "en": ENGLISH,
    "es": ("un", "una", "unos", "unas", "el", "la", "los", "las"),
    "hi": (),
    "vi": ("của", "là", "cái", "chiếc", "những"),
    "zh": (),
}
"""What MLQA takes out as words of their own. Not all of it is articles (Vietnamese has none), and not all
articles are there."""

HAN = re.compile("[\u4e00-\u9fa5]")
"""Characters that are tokens of their own in MLQA's Chinese: those of Unicode 1.1."""


def _without(words: Sequence[str], text: str) -> str:
    return re.sub(rf"\b(?:{'|'.join(words)})\b", " ", text) if words else text


@cache
def _is_punctuation(character: str) -> bool:
    # Unicode counts some of ASCII's, such as $ and +, among the symbols.
    return character in string.punctuation or unicodedata.category(character).startswith("P")


# ---- Names -----------------------------------------------------------------------------------------

NORMALISERS: Mapping[str, Normaliser] = {
    "squad": squad,
    **{f"mlqa:{language}": partial(mlqa, language=language) for language in ARTICLES},
}
"""How answers can be compared, by name."""

CODES: Mapping[str, str] = {
    "ara": "ar",
    "arb": "ar",
    "cmn": "zh",
    "deu": "de",
    "eng": "en",
    "hin": "hi",
    "spa": "es",
    "vie": "vi",
    "zho": "zh",
}
SCRIPTS: Mapping[str, Sequence[str]] = {"ar": ("arab",), "hi": ("deva",), "zh": ("hans", "hant", "hani")}
"""In which MLQA's rules for a language work; Latin for the others."""


def normaliser(spec: str) -> Normaliser:
    """Return the normalisation called ``spec``, see :func:`answer_metrics`.

    Raises:
        ConfigError: There is none; all that are known are listed.
    """
    name = _name(spec)
    if name not in NORMALISERS:
        raise ConfigError(
            [f"answers cannot be compared by {spec!r}; known: {', '.join(NORMALISERS)} (the language of the context)"],
            where="metric",
        )
    return NORMALISERS[name]


def _name(spec: Any) -> str:
    """Spell a normalisation's language as it is known: ``mlqa:deu_Latn`` is ``mlqa:de``; what is unknown stays."""
    kind, _, language = str(spec).strip().lower().partition(":")
    code, _, script = language.replace("_", "-").partition("-")
    code = CODES.get(code, code)
    if not script or script in SCRIPTS.get(code, ("latn",)):
        language = code
    return f"{kind}:{language}" if language else kind
