"""What is said of the files of a recipe's parallel block."""

import pytest

from lingraft.data.parallel_inputs import read_given
from lingraft.recipe.settings import ParallelSettings


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ("Good morning\tHabari za asubuhi\nGoodbye\tKwaheri\n", True),
        ("We drink water here\tTunakunywa maji hapa\n", False),
    ],
)
def test_short_entries_are_asked_about(tmp_path, monkeypatch, content, asked):
    """Greetings may be sentences or entries of a lexicon: the note says what is done, and what else could be."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swh.tsv").write_text(content)

    given = read_given(ParallelSettings(files="{language}.tsv"), "eng-Latn", ["swh-Latn"], [])

    assert len(given.pairs["swh-Latn"]) == content.count("\n")
    assert ("Sentences or words? `parallel: {files: …}`" in given.notes[0]) is asked
    assert ("`parallel: {lexicon: …}`" in given.notes[0]) is asked
