"""Parallel text in all its formats."""

import gzip
import io

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lingraft.core.errors import ConfigError, DataError
from lingraft.core.examples import ParallelPair
from lingraft.data.parallel import read_parallel
from lingraft.recipe.parsing import parse_recipe
from tiny import SHARED_DATA

needs_shared = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the public data sets of ../shared/data are absent")

CLDR = {"name": "cldr_names", "target_languages": ["yor-Latn"]}
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t\0"), max_size=12)

PO = """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#: a.py:1
msgid "Open %s"
msgstr "Ṣí %s"

#, fuzzy
msgid "Close"
msgstr "Ṣí"

msgid "Save"
msgstr ""

msgid "one file"
msgid_plural "%d files"
msgstr[0] "fáìlì kan"
msgstr[1] "fáìlì %d"

#~ msgid "old"
#~ msgstr "àtijọ́"
"""

TMX = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
<tu tuid="u7"><tuv xml:lang="EN-US"><seg>Hello <bpt i="1">&lt;b&gt;</bpt>big<ept i="1"/> <hi>world</hi></seg></tuv>
<tuv xml:lang="fr"><seg>Bonjour</seg></tuv><tuv lang="yo-NG"><seg>Báwo ni ayé</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>Only English</seg></tuv></tu>
<tu><tuv xml:lang="yor"><seg>omi</seg></tuv><tuv xml:lang="en"><seg>water</seg></tuv></tu>
</body></tmx>"""


def write(folder, name, content):
    """Write text or bytes to a new file, and return its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path, **options):
    """Read a file as English and Yoruba."""
    return read_parallel(path, source_language="en", target_language="yo", **options)


def sides(text):
    """Source and target of all pairs."""
    return [(pair.source, pair.target) for pair in text.pairs]


def test_two_line_files(tmp_path):
    """Line N of one file belongs to line N of the other, compressed or not."""
    source = write(tmp_path, "a.en", "Water is life for us.\nI see you over there.\n")
    target = write(tmp_path, "a.yo.gz", gzip.compress("Omi ni ìyè.\r\nMo rí ọ.".encode()))
    text = read(source, target_path=target)
    assert text.kind == "lines"
    assert text.pairs == (
        ParallelPair("Water is life for us.", "Omi ni ìyè.", "eng-Latn", "yor-Latn", "1"),
        ParallelPair("I see you over there.", "Mo rí ọ.", "eng-Latn", "yor-Latn", "2"),
    )


def test_line_files_of_different_lengths_are_refused(tmp_path):
    """A file that is one line short is an error, with both counts."""
    with pytest.raises(DataError, match=r"a\.en has 3 lines, .*a\.yo 2"):
        read(write(tmp_path, "a.en", "a\nb\nc\n"), target_path=write(tmp_path, "a.yo", "x\ny\n"))


def test_duplicates_and_empty_sides_are_counted(tmp_path):
    """Pairs that repeat, by normalised text, and pairs without a side are dropped and counted."""
    text = read(write(tmp_path, "a.tsv", "Water\tomi\nwater \tOmi\n\tfoo\nfire\t \n\nwater\tomi tútù\n"))
    assert (text.read, text.duplicates, text.empty) == (6, 1, 3)
    assert sides(text) == [("Water", "omi"), ("water", "omi tútù")]


@pytest.mark.parametrize("header", ["Yoruba\tEnglish", "yo\ten", "yor-Latn\teng_Latn", "target\tsource", "tgt\tEN"])
def test_a_tsv_header_tells_the_direction(tmp_path, header):
    """Language names, codes or the words source and target put the sides right."""
    assert sides(read(write(tmp_path, "a.tsv", f"{header}\nomi\twater\n"))) == [("water", "omi")]


def test_a_first_line_of_words_is_no_header(tmp_path):
    """The name of a language among the entries of a lexicon is an entry."""
    assert sides(read(write(tmp_path, "a.tsv", "English\tgẹ̀ẹ́sì\nwater\tomi\n")))[0] == ("English", "gẹ̀ẹ́sì")


def test_a_wide_tsv_needs_its_header(tmp_path):
    """A header with both languages picks two of several columns; fields do so as well."""
    wide = write(tmp_path, "a.tsv", "id\tyo\tfr\ten\n1\tomi\teau\twater\n")
    assert sides(read(wide)) == [("water", "omi")]
    named = read(wide, fields={"source": "fr", "target": "yo", "group": "id"})
    assert [(p.source, p.target, p.group) for p in named.pairs] == [("eau", "omi", "1")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "17\tI have to go to sleep\t30\tMo ní láti lọ sùn\n18\tWe drink water\t31\tA mu omi\n"),
        ("a.csv", '17;"I have to go to sleep";30;"Mo ní láti lọ sùn"\n18;We drink water;31;A mu omi\n'),
    ],
)
def test_columns_without_a_header_have_numbers(tmp_path, name, content):
    """From 1, as people count the columns that they see."""
    text = read(write(tmp_path, name, content), fields={"source": 2, "target": 4})
    assert sides(text) == [("I have to go to sleep", "Mo ní láti lọ sùn"), ("We drink water", "A mu omi")]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("a.tsv", {"source": 2, "target": 5}, "line 1: has 4 cells; expected at least 5"),
        ("a.tsv", {"source": 0, "target": 2}, "the numbers of all from 1"),
        ("a.tsv", {"source": "2", "target": 4}, "expected the names of all, or the numbers of all"),
        ("a.jsonl", {"source": 2, "target": 4}, r"for a \.tsv or \.csv without a header"),
        ("a.tsv", {"source": 2}, "`target` is missing"),
    ],
)
def test_numbers_of_columns_that_do_not_fit(tmp_path, name, fields, message):
    """Columns are counted from 1, in tables of lines, and the two must be there."""
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, name, "17\twater\t30\tomi\n"), fields=fields)


def test_a_recipe_may_number_columns():
    """Numbers stay numbers, so that they are not taken for names."""
    block = {"files": "{language}.tsv", "fields": {"source": 2, "target": 4}}
    recipe = parse_recipe({"task": CLDR, "parallel": block})
    assert recipe.parallel.fields == {"source": 2, "target": 4}


def test_short_entries_are_a_lexicon(tmp_path):
    """A table of words is a lexicon, one of sentences is not."""
    assert read(write(tmp_path, "a.tsv", "water\tomi\nto drink up\tmu\n")).kind == "lexicon"
    assert read(write(tmp_path, "b.tsv", "I drink my water here\tMo mu omi\n")).kind == "tsv"


def test_a_text_lexicon(tmp_path):
    """Words may be separated by blanks; several translations are several pairs."""
    text = read(write(tmp_path, "a.txt", "water omi\nwater   odò\nlife\tìyè ayé\n"))
    assert (text.kind, sides(text)) == ("lexicon", [("water", "omi"), ("water", "odò"), ("life", "ìyè ayé")])


def test_csv_columns_named_after_languages(tmp_path):
    """Without fields, columns called after the two languages are found."""
    text = read(write(tmp_path, "a.csv", ',yoruba,english\n0,"Ọjọ́, dára púpọ̀ ni","A very, very good day"\n'))
    assert (text.kind, sides(text)) == ("csv", [("A very, very good day", "Ọjọ́, dára púpọ̀ ni")])


def test_jsonl_with_fields(tmp_path):
    """A field map names the columns of JSONL."""
    path = write(tmp_path, "a.jsonl", '{"s": "The water is very cold", "t": "Omi náà tutù"}\n{"s": "x", "t": null}\n')
    text = read(path, fields={"source": "s", "target": "t"})
    assert (text.kind, text.empty, sides(text)) == ("jsonl", 1, [("The water is very cold", "Omi náà tutù")])


def test_tmx(tmp_path):
    """Units of a translation memory with both languages are pairs, without mark-up codes."""
    text = read(write(tmp_path, "a.tmx", TMX))
    assert text.kind == "tmx"
    assert [(p.source, p.target, p.group) for p in text.pairs] == [
        ("Hello big world", "Báwo ni ayé", "u7"), ("water", "omi", "3"),
    ]  # fmt: skip


def test_tmx_entity_bombs_are_refused(tmp_path):
    """Entities that multiply are never expanded."""
    bomb = '<!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><tmx><body><tu>&b;</tu></body></tmx>'
    with pytest.raises(DataError, match="declares XML entities, which are refused"):
        read(write(tmp_path, "a.tmx", bomb))


def test_tmx_of_other_languages_lists_them(tmp_path):
    """A translation memory without the pair tells which languages it has."""
    with pytest.raises(DataError, match="no units in both eng-Latn and hau-Latn; its languages are EN-US, en, fr"):
        read_parallel(write(tmp_path, "a.tmx", TMX), source_language="en", target_language="ha")


def test_gettext_po(tmp_path):
    """Translated entries are pairs, plural forms separately; unfinished and obsolete ones are counted."""
    text = read(write(tmp_path, "yo.po", PO))
    assert (text.kind, text.read, text.empty) == ("gettext", 6, 3)
    assert sides(text) == [("Open %s", "Ṣí %s"), ("one file", "fáìlì kan"), ("%d files", "fáìlì %d")]


def test_gettext_mo(tmp_path):
    """A compiled catalogue holds the same finished pairs."""
    buffer = io.BytesIO()
    write_mo(buffer, read_po(io.StringIO(PO)))
    text = read(write(tmp_path, "yo.mo", buffer.getvalue()))
    assert sorted(sides(text)) == [("%d files", "fáìlì %d"), ("Open %s", "Ṣí %s"), ("one file", "fáìlì kan")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "one\ttwo\tthree\n", "line 1: has 3 cells; expected 2"),
        ("a.tsv", "one\tkan\ntwo\n", "line 2: has 1 cell; expected 2"),
        ("a.tsv", b"one\tkan\ncaf\xe9\tx\n", "line 2: is not UTF-8"),
        ("a.tsv", "\tkan\n", r"has no pair of eng-Latn and yor-Latn \(1 read, 1 with an empty"),
        ("a.tsv", "source\ttarget\n", r"has no pair .* \(0 read"),
        ("a.txt", "three words here\n", "line 1: has 3 entries; expected a word and its translation"),
        ("a.csv", "a,b\nx,y\n", "cannot tell which columns hold eng-Latn and yor-Latn; its columns are a, b"),
        ("a.tmx", "<tmx><body>", "is not well-formed XML"),
        ("a.tmx", "<tmx><body/></tmx>", "has no translation units"),
        ("a.po", 'msgid "a"\nmsgstr "b"\nnonsense\n', "line 3: is not gettext"),
        ("a.po", b'msgid "a"\nmsgstr "caf\xe9"\n', "line 2: is not UTF-8"),
        ("a.mo", b"nonsense", "is no compiled gettext catalogue"),
        (
            "a.jsonl",
            '{"en": "water", "yo": "omi"}\n{"en": "fire", "yo": "\\ud83d"}\n',
            "line 2: column 'yo' holds half a surrogate pair at position 1",
        ),
        ("wide.tsv", "1\ta b\t2\tc d\n", r"line 1: has 4 cells; .* by number, \{source: 1, target: 2\}"),
        ("a.docx", "x", r"cannot tell the format from \.docx"),
        ("a.xls", "x", r"cannot tell the format from \.xls; expected .*line by line; save it as \.xlsx or \.csv$"),
    ],
)
def test_faulty_files_are_named(tmp_path, name, content, message):
    """Every mistake is a DataError that begins with the file."""
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sorce": "a", "target": "b"}, "unknown field 'sorce'; did you mean 'source'"),
        ({"source": "a"}, "`target` is missing"),
        ({"source": "a", "target": "c"}, r"line 1: there is no column 'c' \(for `target`\)"),
    ],
)
def test_faulty_field_maps(tmp_path, fields, message):
    """A field map is held against our names and against the header."""
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, "a.csv", "a,b\nx,y\n"), fields=fields)


def test_one_language_is_no_pair(tmp_path):
    """Source and target must differ."""
    with pytest.raises(DataError, match="are both yor-Latn"):
        read_parallel(tmp_path / "a.tsv", source_language="yo", target_language="Yoruba")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1))
def test_every_pair_read_is_kept_or_counted(tmp_path, rows):
    """Pairs, duplicates and empty ones add up to the lines read, in TSV and in line files alike."""
    table = write(tmp_path, "a.tsv", "source\ttarget\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    files = [write(tmp_path, f"a.{i}", "".join(f"{row[i]}\n" for row in rows)) for i in (0, 1)]
    for options in ({"path": table}, {"path": files[0], "target_path": files[1]}):
        try:
            text = read(**options)
        except DataError as error:
            assert "has no pair" in str(error)
            continue
        assert len(text.pairs) + text.duplicates + text.empty == text.read == len(rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.tsv", "a.txt", "a.tmx", "a.po", "a.mo"]))
def test_any_bytes_are_pairs_or_a_clear_error(tmp_path, content, name):
    """No file, however broken, raises anything but DataError."""
    try:
        read(write(tmp_path, name, content))
    except DataError as error:
        assert name in str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    lines=st.lists(
        st.sampled_from(
            ['msgid "a"', 'msgid ""', 'msgid_plural "b"', 'msgstr "c"', 'msgstr[0] "d"', 'msgstr[9] "d"', "msgstr[",
             "msgctxt", '"Plural-Forms: x\\n"', '"', "#, fuzzy", "#~ msgid", "msgstr", ""]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_any_gettext_lines_are_pairs_or_a_clear_error(tmp_path, lines):
    """No order of gettext lines raises anything but DataError."""
    try:
        read(write(tmp_path, "a.po", "\n".join(lines)))
    except DataError as error:
        assert "a.po" in str(error)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"pairs": 5}, "needs `files`, `from: task`, a `lexicon`, `text`, or an `augmentation`"),
        ({"files": "a", "copies": 2}, r"parallel\.copies: goes with a `lexicon`, with `text` or"),
        ({"lexicon": "a", "ratio": 0.3}, r"parallel: .*augmentation: \{name: code-switching, ratio: 0.3\}"),
        ({"lexicon": "a", "labelled": True}, r"parallel\.labelled: goes with `from: task`"),
        ({"lexicon": "a", "fields": {"source": "x"}}, r"parallel\.fields: goes with `files`"),
        (
            {"text": "a", "augmentation": {"name": "code-switching", "ratio": 0}},
            r"parallel\.augmentation\.ratio: expected a number greater than 0",
        ),
        (
            {"text": "a", "augmentation": {"name": "code-swapping"}},
            r"parallel\.augmentation\.name: unknown augmentation .*'code-switching'",
        ),
    ],
)
def test_faulty_combinations_are_refused(block, message):
    """What does not go together is told when the recipe is read."""
    with pytest.raises(ConfigError, match=message):
        parse_recipe({"task": CLDR, "parallel": block})


@pytest.mark.parametrize("sentences", [{}, {"files": "a"}, {"from": "task"}, {"files": "a", "from": "task"}])
@pytest.mark.parametrize("words", [{"lexicon": "b"}, {"text": "c", "copies": 2}, {"lexicon": "b", "text": "c"}])
def test_sentences_and_words_combine(sentences, words):
    """Sentences, a lexicon and unlabelled text go together, and the resolved recipe is read again."""
    recipe = parse_recipe({"task": CLDR, "parallel": sentences | words})
    assert recipe.parallel.switches
    assert parse_recipe(recipe.model_dump(mode="json", by_alias=True)) == recipe


@pytest.mark.shared
@needs_shared
def test_ntrex_line_files():
    """NTREX's two files give its 1,997 sentences, less what repeats."""
    folder = SHARED_DATA / "ntrex"
    text = read(folder / "newstest2019-src.eng.txt.gz", target_path=folder / "newstest2019-ref.yor.txt.gz")
    assert (text.kind, text.read, text.empty) == ("lines", 1997, 0)


@pytest.mark.shared
@needs_shared
def test_tatoeba_line_files():
    """Tatoeba's files have no format suffix and are read as lines."""
    folder = SHARED_DATA / "tatoeba"
    text = read_parallel(
        folder / "tatoeba.amh-eng.eng", target_path=folder / "tatoeba.amh-eng.amh",
        source_language="en", target_language="am",
    )  # fmt: skip
    assert (text.read, text.pairs[0].target_language) == (168, "amh-Ethi")


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize(("name", "language", "entries"), [("en_qu", "qu", 3861), ("en_luo", "luo", 5198)])
def test_gatitos_is_a_lexicon(name, language, entries):
    """GATITOS has a pair a line, an English word with several translations several."""
    text = read_parallel(SHARED_DATA / "gatitos" / f"{name}.tsv.gz", source_language="en", target_language=language)
    assert (text.kind, text.read) == ("lexicon", entries)


@pytest.mark.shared
@needs_shared
def test_xling_is_a_lexicon():
    """XLing-Eval's dictionaries are lexicons of 2,000 entries."""
    path = SHARED_DATA / "xling_bli" / "test.freq.2k.en-de.tsv"
    text = read_parallel(path, source_language="en", target_language="de")
    assert (text.kind, text.read) == ("lexicon", 2000)


@pytest.mark.shared
@needs_shared
def test_nusax_columns_are_found_by_language():
    """NusaX's table of thirteen languages gives any two of them."""
    path = SHARED_DATA / "nusax" / "mt" / "train.csv.gz"
    text = read_parallel(path, source_language="ind", target_language="bbc-Latn")
    assert (text.kind, text.read, text.empty) == ("csv", 500, 0)
