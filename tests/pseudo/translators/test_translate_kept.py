"""Translations are kept on disk."""

import pytest

from lingraft.core.errors import ServiceError
from lingraft.pseudo.kept_answers import KeptAnswers
from lingraft.pseudo.translators import AT_ONCE, Translator, translate_kept


class Counting:
    """Turns texts round, counts them, and fails at one of them."""

    def __init__(self, bad=None):
        self.seen, self.bad = [], bad

    def __call__(self, texts, source, target):
        """Translate."""
        if self.bad in texts:
            raise ServiceError("gone")
        self.seen += texts
        return [f"{target}: {text[::-1]}" for text in texts]


def translated(texts, counting, folder, target="yor-Latn", identity="one"):
    """The translations of texts, kept in a folder."""
    translator = Translator(counting, lambda source, target: {"translator": identity})
    return list(translate_kept(texts, "eng-Latn", target, translator, KeptAnswers(folder)))


def test_no_text_is_translated_twice_and_blanks_make_no_other_text(tmp_path):
    """Neither within a job nor by another."""
    counting = Counting()
    expected = ["yor-Latn: cba", "", "yor-Latn: d c", "yor-Latn: cba"]
    assert translated(["abc", " ", "c\n d", "abc"], counting, tmp_path) == expected
    assert translated(["abc", " ", "c\n d", "abc"], counting, tmp_path) == expected
    assert counting.seen == ["abc", "c d"]


def test_another_language_or_translator_is_asked_anew(tmp_path):
    """Its translations may differ."""
    counting = Counting()
    translated(["abc"], counting, tmp_path)
    assert translated(["abc"], counting, tmp_path, target="hau-Latn") == ["hau-Latn: cba"]
    translated(["abc"], counting, tmp_path, identity="two")
    assert counting.seen == ["abc"] * 3


def test_a_job_that_was_stopped_continues_after_what_it_had(tmp_path):
    """What was translated before the stop is on disk."""
    texts = [f"text {i}" for i in range(3 * AT_ONCE)]
    stopped = Counting(bad=f"text {2 * AT_ONCE}")
    with pytest.raises(ServiceError):
        translated(texts, stopped, tmp_path)
    second = Counting()
    assert translated(texts, second, tmp_path) == [f"yor-Latn: {text[::-1]}" for text in texts]
    assert (stopped.seen, second.seen) == (texts[: 2 * AT_ONCE], texts[2 * AT_ONCE :])
