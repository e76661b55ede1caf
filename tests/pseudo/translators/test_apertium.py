"""Apertium, for real where it is installed."""

import shutil

import pytest

from lingraft.core.errors import ServiceError
from lingraft.pseudo.translators import translators
from lingraft.pseudo.translators.apertium import installed_modes, mode_of

SPANISH = ("eng-Latn", "spa-Latn")


def test_the_mode_is_that_of_the_two_languages_in_either_spelling():
    """Older packages say it in two letters; what is missing is named."""
    assert mode_of(*SPANISH, ["spa-cat", "eng-spa", "en-es"]) == "eng-spa"
    assert mode_of(*SPANISH, ["en-es"]) == "en-es"
    with pytest.raises(ServiceError, match=r"translates eng-Latn to hau-Latn; installed are en-es.*apertium-eng-hau"):
        mode_of("eng-Latn", "hau-Latn", ["en-es"])


def test_where_it_is_not_installed_a_line_says_what_to_do(monkeypatch):
    """With the command."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServiceError, match="apertium is not installed; with Debian: apt-get install apertium"):
        translators.build("apertium").translate(["Hello"], *SPANISH)


@pytest.mark.skipif(
    shutil.which("apertium") is None or "eng-spa" not in installed_modes(), reason="apertium-eng-spa is not installed"
)
def test_english_becomes_spanish_text_by_text_and_marks_stay():
    """A text without a stop is not joined with the next one."""
    texts = ["The [cat] sleeps in the house. It is black.", "Hello", "the new year"]
    first, *rest = translators.build("apertium").translate(texts, *SPANISH)
    assert (first.startswith("El [gato] "), "negro" in first) == (True, True)
    assert rest == ["Hola", "El año nuevo"]
