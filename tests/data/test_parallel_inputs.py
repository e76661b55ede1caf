"""What is said of the files of a recipe's parallel block."""

import pytest

from lingraft.core.examples import PairExample
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


def evaluated(language, text):
    """A text that is scored."""
    return PairExample(f"{language}/{text}", text, language, text_a=text)


SCORED = [evaluated("swh-Latn", "Habari za leo asubuhi ?"), evaluated("eng-Latn", "We all drink cold water")]


def note_of(folder, content, **settings):
    """What is said of a file of pairs, and how many pairs are given."""
    (folder / "swh.tsv").write_text(content, encoding="utf-8")
    files = {kind: str(folder / "{language}.tsv") for kind in ("files", "lexicon") if settings.pop(kind, False)}
    given = read_given(ParallelSettings(**files, **settings), "eng-Latn", ["swh-Latn"], SCORED)
    return given.notes[0], len(given.pairs["swh-Latn"]), given.dropped


PAIRS = "".join(f"The {i} red birds sing\tNdege {i} wekundu huimba\n" for i in range(4))


def test_pairs_that_are_all_used_are_counted_once(tmp_path):
    """Nothing is said of what is nought; one pair is one."""
    assert note_of(tmp_path, PAIRS, files=True) == ("swh-Latn: 4 pairs from swh.tsv (tsv)", 4, 0)
    one = note_of(tmp_path, PAIRS.splitlines()[0], files=True)
    assert one[0] == "swh-Latn: 1 pair from swh.tsv (tsv)"


def test_messages_of_a_catalogue_that_are_no_pairs_are_not_said_to_be_empty(tmp_path):
    """An obsolete one has both sides."""
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    content = head + 'msgid "The birds sing"\nmsgstr "Ndege huimba"\n\n#~ msgid "Shut it"\n#~ msgstr "Funga"\n'
    (tmp_path / "swh.po").write_text(content, encoding="utf-8")
    settings = ParallelSettings(files=str(tmp_path / "{language}.po"))
    notes = read_given(settings, "eng-Latn", ["swh-Latn"], SCORED).notes
    assert notes[0] == "swh-Latn: 1 pair from swh.po (gettext; 2 read, 1 without a side, unfinished or obsolete)"


def test_what_becomes_of_pairs_that_are_not_used_is_said_in_one_place(tmp_path):
    """How many were read, and why others went: repeats, empty sides, evaluation texts of either language, a draw."""
    content = PAIRS + "Hello to all of you\t\n" + PAIRS + "How are you this morning?\tHabari za leo asubuhi?\n"
    read = "10 read, 4 repeated, 1 with an empty side, 1 left out because a side is in the Swahili test set"
    assert note_of(tmp_path, content, files=True) == (f"swh-Latn: 4 pairs from swh.tsv (tsv; {read})", 4, 1)
    drawn, count, _ = note_of(tmp_path, content, files=True, pairs=3)
    assert (drawn, count) == (f"swh-Latn: 3 pairs from swh.tsv (tsv; {read}, 3 of 4 drawn)", 3)
    both = PAIRS + "We all drink cold water\tSote tunakunywa maji\nGood day\tHabari za leo asubuhi ?\n"
    assert note_of(tmp_path, both, files=True)[0].endswith(
        "(tsv; 6 read, 2 left out because a side is in the Swahili test set or the English development or test set)"
    )


def test_entries_and_texts_that_are_left_out_are_counted_as_pairs_are(tmp_path):
    """Of lexicons and unlabelled text, too."""
    words = "bird\tndege\nbird\tndege\nWe all drink cold water\tmaji\n"
    assert note_of(tmp_path, words, lexicon=True)[0] == (
        "swh-Latn: 1 entry of a lexicon from swh.tsv (3 read, 1 repeated, 1 left out because a side is in the English "
        "development or test set)"
    )
    (tmp_path / "swh.txt").write_text("Ndege huimba\nHabari za leo asubuhi ?\nNdege huimba\n", encoding="utf-8")
    settings = ParallelSettings(text=str(tmp_path / "{language}.txt"))
    given = read_given(settings, "eng-Latn", ["swh-Latn"], SCORED)
    assert given.notes == (
        "swh-Latn: 1 unlabelled text from swh.txt (1 left out because it is in the Swahili test set)",
    )
