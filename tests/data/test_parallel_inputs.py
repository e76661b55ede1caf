"""What is said of the files of a recipe's parallel block."""

import pytest

from lingraft.core.errors import DataError
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


COLUMNS = "eng\tswh\thau\nThe cold rain falls now\tMvua baridi inanyesha sasa\tRuwan sanyi yana sauka\n"
MEMORY = (
    '<tmx version="1.4"><header/><body><tu><tuv xml:lang="en"><seg>Rain falls now</seg></tuv><tuv xml:lang="sw">'
    '<seg>Mvua inanyesha sasa</seg></tuv><tuv xml:lang="ha"><seg>Ruwa yana sauka</seg></tuv></tu></body></tmx>'
)
BOTH = ["swh-Latn", "hau-Latn"]


@pytest.mark.parametrize(
    ("key", "name", "content", "further"),
    [
        ("files", "all.tsv", "cold water\tmaji baridi\n", {}),
        ("files", "all.tsv", "source\ttarget\ncold water\tmaji baridi\n", {}),
        ("files", "all.csv", COLUMNS.replace("\t", ","), {"fields": {"source": "eng", "target": "swh"}}),
        ("files", "all.csv", COLUMNS.replace("\t", ",").replace("hau", "notes"), {}),
        ("files", "all.po", 'msgid "Good morning"\nmsgstr "Habari za asubuhi"\n', {}),
        ("target_files", "all.txt", "maji baridi\n", {"files": "all.{language}.txt"}),
        ("lexicon", "all.txt", "water maji\n", {}),
        ("lexicon", "all.tsv", "eng\tswh\nwater\tmaji\n", {}),
        ("text", "all.txt", "maji baridi\n", {}),
        ("text", "all.csv", "text\nmaji baridi\n", {}),
    ],
)
def test_one_file_is_not_read_as_each_of_several_languages(tmp_path, monkeypatch, key, name, content, further):
    """Where the file does not tell them apart: the same is read for one language, and refused for two."""
    monkeypatch.chdir(tmp_path)
    for file in (name, "all.swh.txt", "all.hau.txt"):
        (tmp_path / file).write_text(content, encoding="utf-8")
    settings = ParallelSettings(**{key: name}, **further)
    one = read_given(settings, "eng-Latn", BOTH[:1], [])
    assert len(one.pairs["swh-Latn"]) + len(one.entries["swh-Latn"]) + len(one.texts.get("swh-Latn", ())) == 1
    with pytest.raises(DataError) as caught:
        read_given(settings, "eng-Latn", BOTH, [])
    assert str(caught.value).startswith(
        f"parallel.{key}: '{name}' has no {{language}} in it, so swh-Latn and hau-Latn would be read from the same file"
    )


@pytest.mark.parametrize(
    ("name", "content"), [("all.tsv", COLUMNS), ("all.csv", COLUMNS.replace("\t", ",")), ("all.tmx", MEMORY)]
)
@pytest.mark.parametrize("key", ["files", "lexicon"])
def test_one_file_that_tells_languages_apart_is_read_for_each(tmp_path, key, name, content):
    """By its columns, or by what each segment of a translation memory says."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    given = read_given(ParallelSettings(**{key: str(tmp_path / name)}), "eng-Latn", BOTH, [])
    found = given.pairs if key == "files" else given.entries
    assert [pair.target.split()[0] for code in BOTH for pair in found[code]] == [
        "Mvua",
        content[content.find("Ruwa") :].split()[0],
    ]


def test_a_source_side_may_be_shared_by_all_languages(tmp_path):
    """It is in one language; its translations are a file each."""
    for name, content in (("eng", "cold water"), ("swh", "maji baridi"), ("hau", "ruwan sanyi")):
        (tmp_path / f"{name}.txt").write_text(f"{content}\n", encoding="utf-8")
    settings = ParallelSettings(files=str(tmp_path / "eng.txt"), target_files=str(tmp_path / "{language}.txt"))
    given = read_given(settings, "eng-Latn", BOTH, [])
    assert [given.pairs[code][0].target for code in BOTH] == ["maji baridi", "ruwan sanyi"]
