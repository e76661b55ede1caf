"""Sides of parallel text whose script overlaps with the one that is asked for."""

import pytest

from lingraft.core.errors import DataError
from lingraft.data.parallel import read_parallel

PAIRS = [("one of some words", "a b c d e"), ("two of some words", "f g h i j")]


def read(path, text, target, source="eng-Latn"):
    """The pairs of a file with that text."""
    path.write_text(text, encoding="utf-8")
    return [
        (pair.source, pair.target) for pair in read_parallel(path, source_language=source, target_language=target).pairs
    ]


def memory(*languages):
    """A translation memory whose variants are in some languages."""
    units = "".join(
        "<tu>"
        + "".join(
            f'<tuv xml:lang="{code}"><seg>{text}</seg></tuv>'
            for code, text in zip(languages, pair[: len(languages)], strict=True)
        )
        + "</tu>"
        for pair in [(*pair, "furigana") for pair in PAIRS]
    )
    return f'<?xml version="1.0"?><tmx version="1.4"><header/><body>{units}</body></tmx>'


@pytest.mark.parametrize("target", ["kor-Hang", "kor-Kore"])
def test_a_side_in_an_overlapping_script_is_found(tmp_path, target):
    """In the header of a table and in a translation memory: ko is Korean as it is usually written."""
    table = "en,ko\n" + "\n".join(",".join(pair) for pair in PAIRS) + "\n"
    assert read(tmp_path / "a.csv", table, target) == PAIRS
    assert read(tmp_path / "a.tsv", table.replace(",", "\t"), target) == PAIRS
    assert read(tmp_path / "a.tmx", memory("en", "ko"), target) == PAIRS


def test_the_script_itself_comes_first(tmp_path):
    """A column of kana beside Japanese is not the target."""
    assert read(tmp_path / "a.tmx", memory("en", "ja", "ja-Hira"), "jpn-Jpan") == PAIRS
    table = "en,ja,ja-Hira\n" + "\n".join(",".join((*pair, "x")) for pair in PAIRS) + "\n"
    assert read(tmp_path / "a.csv", table, "jpn-Jpan") == PAIRS


def test_two_scripts_that_could_be_meant_are_not_chosen_between(tmp_path):
    """Simplified and traditional characters are both a part of what is asked for."""
    with pytest.raises(DataError, match="no units in both eng-Latn and zho-Hani"):
        read(tmp_path / "a.tmx", memory("en", "zh-Hans", "zh-Hant"), "zho-Hani")


def test_words_for_the_other_side_are_not_taken(tmp_path):
    """A header of source and target says what is what, whatever the languages are."""
    table = "ko,target\n" + "\n".join(",".join(reversed(pair)) for pair in PAIRS) + "\n"
    assert read(tmp_path / "a.csv", table, "eng-Latn", source="kor-Hang") == [(b, a) for a, b in PAIRS]
