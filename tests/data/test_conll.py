"""Words with tags, in the layouts that name tagging and treebanks come in."""

import gzip
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.core.examples import TaggedExample
from lingraft.data.conll import describe_comments, tagged_examples
from lingraft.results.metrics.spans import check_tag

NER = {f"{mark}-{what}" for mark in "BI" for what in ("PER", "ORG", "LOC", "DATE")} | {"O"}
UPOS = {
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
}  # fmt: skip


def write(folder, content, name="a.txt"):
    """Write a file, and return its path."""
    path = folder / name
    content = content.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read(folder, content, name="a.txt", **options):
    """Words and tags of a file with this content."""
    return [(e.words, e.tags) for e in tagged_examples(write(folder, content, name), language="yo", **options)]


@pytest.mark.parametrize("name", ["a.txt", "a.tsv.gz"])
@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sentences_of_words_and_tags(tmp_path, name, separator, end):
    """Tabs or blanks, compressed or not, on whichever system it was written."""
    lines = ["Adé B-PER", "ń O", "lọ O", "", "", "Èkó B-LOC"]
    path = write(tmp_path, "".join(line.replace(" ", separator) + end for line in lines), name)
    assert tagged_examples(path, language="yo") == [
        TaggedExample(id="1", group="1", language="yor-Latn", words=("Adé", "ń", "lọ"), tags=("B-PER", "O", "O")),
        TaggedExample(id="2", group="2", language="yor-Latn", words=("Èkó",), tags=("B-LOC",)),
    ]


def test_marks_between_documents_are_left_out(tmp_path):
    """A -DOCSTART- line ends a sentence and is none."""
    assert read(tmp_path, "-DOCSTART- -X-\n\nAdé B-PER\n-DOCSTART- O\nÈkó B-LOC") == [
        (("Adé",), ("B-PER",)), (("Èkó",), ("B-LOC",)),
    ]  # fmt: skip


def test_words_are_kept_as_they_are(tmp_path):
    """Blanks within a word, no-break spaces and lone invisible characters are the file's business."""
    assert read(tmp_path, "New York\tB-LOC\n\u200c\tI-LOC\n \tO\n10\u00a0000\tO\n#\tO\nword \tO \n") == [
        (("New York", "\u200c", " ", "10\u00a0000", "#", "word"), ("B-LOC", "I-LOC", "O", "O", "O", "O"))
    ]
    assert read(tmp_path, "10\u00a0000 O\n\u200c O\n\u00a0 O\nword   O \n") == [
        (("10\u00a0000", "\u200c", "\u00a0", "word"), ("O", "O", "O", "O"))
    ]


def test_the_prefix_of_the_language_is_taken_off(tmp_path):
    """Only if every word has it, and only the language's own."""
    assert read(tmp_path, "yo:Adé\tB-PER\nyo::\tO\nyo:\tO\n") == [(("Adé", ":", "yo:"), ("B-PER", "O", "O"))]
    assert read(tmp_path, "yo:Adé\tB-PER\nlọ\tO\n") == [(("yo:Adé", "lọ"), ("B-PER", "O"))]
    assert read(tmp_path, "de:Adé\tB-PER\n") == [(("de:Adé",), ("B-PER",))]
    assert read(tmp_path, "yo\tO\n") == [(("yo",), ("O",))]


COMMENTED = "# id 1\tdomain=news\nJuma _ _ B-PER\nalilala _ _ O\n\n# id 2\tdomain=news\n# _ _ O\n1 _ _ O\n"


def test_comments_before_a_sentence_are_left_out(tmp_path):
    """They are told by their columns, as a word may be ``#`` too."""
    assert read(tmp_path, COMMENTED, columns=(0, 3)) == [
        (("Juma", "alilala"), ("B-PER", "O")),
        (("#", "1"), ("O", "O")),
    ]


def test_comments_are_counted(tmp_path):
    """What was left out is said, of files that have words in columns."""
    assert describe_comments(write(tmp_path, COMMENTED)) == "a.txt: 2 comments (# before a sentence) left out"
    assert describe_comments(write(tmp_path, "#\tO\nJuma\tO\n")) is None
    assert describe_comments(write(tmp_path, "# a\n", "a.jsonl")) is None


@pytest.mark.parametrize("separator", ["\t", " "])
def test_a_word_that_begins_with_a_number_sign_is_a_word(tmp_path, separator):
    """Wherever it stands in its sentence, alone in it too."""
    content = f"#{separator}O\nno{separator}O\n#1{separator}O\n\n#{separator}O\n\n#mvua{separator}O\n"
    found = read(tmp_path, content)
    assert [words for words, _ in found] == [("#", "no", "#1"), ("#",), ("#mvua",)]


def test_a_comment_within_a_sentence_is_a_faulty_row(tmp_path):
    """There it may as well be a word whose tag is missing."""
    with pytest.raises(DataError, match="line 2: has 4 columns, expected 2"):
        read(tmp_path, "Juma O\n# what is this\nalilala O\n")


def test_other_columns(tmp_path):
    """The columns that hold word and tag are counted from 0, or from the end."""
    content = "Adé NNP I-NP B-PER\nlọ VB I-VP O\n"
    assert read(tmp_path, content, columns=(0, 3)) == read(tmp_path, content, columns=(0, -1))
    assert read(tmp_path, content, columns=(0, 1)) == [(("Adé", "lọ"), ("NNP", "VB"))]


def test_tags_may_be_withheld(tmp_path):
    """A file of words alone is read if one says so, and tags are taken where all words have them."""
    assert read(tmp_path, "Adé\nlọ\n\nÈkó\tB-LOC\n", labelled=False) == [
        (("Adé", "lọ"), None), (("Èkó",), ("B-LOC",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("Adé B-PER\nNew York B-LOC\n", {}, "line 2: has 3 columns, expected 2.*put a tab between word and tag"),
        ("Adé\tX\tB-PER\n", {}, r"line 1: has 3 columns, expected 2.*with columns: \[0, 2\]"),
        ("Adé\n", {}, "line 1: has only 'Adé', expected a word and its tag, .*add what is missing"),
        ("Adé B-PER\n O\n", {}, "line 2: has only 'O'"),
        ("Adé\tO\n\tO\n", {}, "line 2: has the tag 'O' but no word; write the word or remove the line"),
        ("Adé\t\n", {}, "line 1: the word 'Adé' has no tag; add it"),
        ("Adé\tB PER\n", {}, "line 1, word 'Adé': the tag 'B PER' has a blank in it; write it as one word"),
        ("Adé\tNOUN\n", {"check": check_tag}, "line 1, word 'Adé': 'NOUN' is not a BIO tag; .*scheme: plain"),
        ("Adé O\nlọ\n", {"labelled": False}, "line 2: the word 'lọ' has no tag; add it or remove the others' tags"),
        ("Adé A B O\nlọ A O\n", {"columns": (0, 3)}, "line 2: has 3 columns, the first row has 4; correct it"),
        ("Adé A O\n", {"columns": (0, 3)}, r"line 1: has 3 columns, so there are no columns \[0, 3\]; they count"),
        ("Adé O\n", {"columns": (1, 1)}, r"columns: \[1, 1\] are not two columns"),
        ("\n\n", {}, "has no sentences"),
        ("", {}, "is empty"),
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit(tmp_path, content, options, message):
    """File, line and cure are told."""
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, content, **options)
    assert str(tmp_path / "a.txt") in str(error.value) or message.startswith("columns")


# ---- CoNLL-U ---------------------------------------------------------------------------------------


def node(number, form, tag, xpos="_"):
    """One row of CoNLL-U."""
    return f"{number}\t{form}\t_\t{tag}\t{xpos}\t_\t0\troot\t_\t_\n"


def test_a_treebank(tmp_path):
    """Comments, ranges and empty nodes are no words; sent_id names the sentence, or its number."""
    content = (
        "# newdoc\n# sent_id = yo-7\n# text = a = b\n"
        + node("1-2", "nínú", "_") + node("1", "ní", "ADP", "P") + node("2", "inú ilé", "NOUN", "N")
        + node("2.1", "x", "X")
        + "\n# text = #\n" + node("1", "#", "SYM", "S") + "\n"
    )  # fmt: skip
    path = write(tmp_path, content, "a.conllu")
    assert tagged_examples(path, language="yo") == [
        TaggedExample(id="yo-7", group="yo-7", language="yor-Latn", words=("ní", "inú ilé"), tags=("ADP", "NOUN")),
        TaggedExample(id="2", group="2", language="yor-Latn", words=("#",), tags=("SYM",)),
    ]
    assert [e.tags for e in tagged_examples(path, language="yo", columns=(1, 4))] == [("P", "N"), ("S",)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\tAdé\tNOUN\n", "line 1: has 3 columns, CoNLL-U has 10 parted by tabs; .*name a file of other columns .tsv"),
        (node("1", "a", "X") + node("b", "b", "X"), "line 2: the word has the number 'b'; expected 1, 1-2 or 1.1"),
        (node("1", "a", "_"), "line 1: the word 'a' has no tag"),
        (node("1", "", "X"), "line 1: has the tag 'X' but no word"),
        ("# sent_id = 1\n" + node("1", "a", "X") + "\n# sent_id = 1\n" + node("1", "b", "X"),
         "line 5: the sentence '1' is on line 2 already; sent_id must be unique"),
    ],
)  # fmt: skip
def test_a_faulty_treebank(tmp_path, content, message):
    """File, line and cure are told."""
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, "a.conllu")


def test_a_treebank_without_tags(tmp_path):
    """Underscores are no tags."""
    assert read(tmp_path, node("1", "a", "_"), "a.conllu", labelled=False) == [(("a",), None)]


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), min_size=1, max_size=6).filter(
    lambda word: word == word.strip(" ") and word != "-DOCSTART-" and not word.startswith("\ufeff")
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(WORD, st.sampled_from(sorted(NER))), min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_what_is_written_is_read(tmp_path_factory, sentences):
    """Any words but those with tabs and line ends come back."""
    content = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in rows) for rows in sentences)
    found = read(tmp_path_factory.mktemp("conll"), content)
    assert [list(zip(words, tags, strict=True)) for words, tags in found] == sentences


# ---- The public data -------------------------------------------------------------------------------


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "labels"), [("masakhaner", NER), ("panx", NER), ("ud", UPOS)])
def test_public_files_have_the_sentences_their_readme_counts(shared_data, folder, labels):
    """Every file is read, to the last sentence, and has no other tags."""
    counts = re.findall(r"^\| (\S+) \| (\d+) \|", (shared_data / folder / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(counts) == {"masakhaner": 30, "panx": 20, "ud": 12}[folder]
    found = {
        name: tagged_examples(shared_data / folder / name, language=re.split("[._]", name)[0]) for name, _ in counts
    }
    assert {name: len(examples) for name, examples in found.items()} == {name: int(count) for name, count in counts}
    assert {tag for examples in found.values() for example in examples for tag in example.tags} <= set(labels)
