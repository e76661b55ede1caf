"""How a multilingual translation model's tokenizer calls the languages: ``hau_Latn``, ``__ha__``, ``<2ha>``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import ConfigError
from ...data.languages import aliases, canonical

FORMS = ("{}", "__{}__", "<2{}>")
"""Of the tokens that name a language in NLLB and mBART, in M2M-100, in MADLAD-400."""


def token_of(language: str, tokenizer: Any, codes: Mapping[str, str]) -> tuple[str, str]:
    """Return how a tokenizer calls a language, and the token that stands for it.

    Args:
        language: One of the recipe's.
        tokenizer: Of a multilingual model.
        codes: By language, what its user says; without an entry, usual spellings are tried.

    Raises:
        ConfigError: The tokenizer has no token for it.
    """
    given = {canonical(name): code for name, code in codes.items()}
    spellings = (given[language],) if language in given else aliases(language)
    vocabulary = tokenizer.get_vocab()
    for spelling in spellings:
        for form in FORMS:
            bare = form == "{}" and language not in given and "_" not in spelling  # as a word of some language may be
            if form.format(spelling) in vocabulary and not bare:
                return spelling, form.format(spelling)
    tried = "it has no token" if language in given else "none of its usual names is a token"
    raise ConfigError(
        [
            f"translator.codes: the model's tokenizer does not know {language}: {tried} ({', '.join(spellings[:4])}); "
            f"say how the model calls it, e.g. codes: {{{language}: {language.replace('-', '_')}}}"
        ]
    )
