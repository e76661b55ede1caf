"""Which languages a pattern has files of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.data.language_files import languages_of
from lingraft.data.languages import aliases


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("{language}.train.tsv", ["sw.train.tsv", "yor_Latn.train.tsv.gz", "notes.txt", "train.tsv"]),
        ("data/{language}/train.tsv", ["data/swh_Latn/train.tsv", "data/yo/train.tsv", "data/yo/test.tsv"]),
        ("{language}/{language}.csv", ["sw/sw.csv", "yor/yor.csv", "hau/sw.csv"]),
        ("[x] {language}-*.csv", ["[x] sw-1.csv", "[x] yor-final.csv", "x hau-1.csv"]),
    ],
)
def test_names_of_files_tell_languages(tmp_path, pattern, files):
    """However they are spelt; what does not fit the pattern is none."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    assert languages_of(pattern, tmp_path) == ["swh-Latn", "yor-Latn"]
    assert languages_of(str(tmp_path / pattern)) == ["swh-Latn", "yor-Latn"]


def test_a_pattern_without_a_language_names_none(tmp_path):
    """Nor does a folder that is not there."""
    assert languages_of("train.tsv", tmp_path) == []
    assert languages_of("{language}.tsv", tmp_path / "nowhere") == []


@given(st.sampled_from(["swh-Latn", "srp-Latn", "zho-Hans", "yor-Latn"]), st.data())
def test_each_spelling_in_a_name_is_found(tmp_path_factory, code, data):
    """Every one that a file would be found by."""
    folder = tmp_path_factory.mktemp("files")
    spelling = data.draw(st.sampled_from(aliases(code)))
    (folder / f"{spelling}.csv").write_text("", encoding="utf-8")
    assert languages_of("{language}.csv", folder) == [code]
