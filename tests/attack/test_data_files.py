"""Mutated data files of every form that is read: examples or one line of error, in little time and memory."""

import gzip
import io
import json
import random
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from attack.held import fault_of
from attack.mutations import mutated
from attack.record import record
from attack.sample import TIMES
from lingraft.data.conll import tagged_examples
from lingraft.data.example_tables import choice_examples, span_rows, tagged_rows
from lingraft.data.parallel import read_parallel
from lingraft.data.squad import read_squad
from lingraft.data.table import pair_examples
from lingraft.data.unlabelled import read_texts

pytestmark = pytest.mark.attack

EACH = 180
"""Mutations of each form, of the file as it is and of what is in it where it is compressed."""

ROWS = [
    {"message": "Bei ya mahindi imepanda wiki hii.", "topic": "market", "n": 1},
    {"message": "Mvua kubwa, na \"radi\" usiku.", "topic": "weather", "n": 2},
    {"message": "Kliniki itafunguliwa – saa 2.\nKaribu.", "topic": "health", "n": 3},
    {"message": "Ọjà ṣí lónìí 😀", "topic": "market", "n": 4},
]  # fmt: skip
CSV = 'message,topic,n\n"Bei ya mahindi, leo",market,1\n"Mvua ""kubwa"" usiku",weather,2\n"mbili\nmistari",health,3\n'
TSV = "message\ttopic\nBei ya mahindi\tmarket\nMvua kubwa\tweather\n"
CHOICES = {
    "premise": "Mvua ilinyesha",
    "question": "effect",
    "choice1": "Mto ulijaa",
    "choice2": "Jua liliwaka",
    "label": 0,
}
TAGGED = {"words": ["Juma", "anaishi", "Nairobi"], "tags": ["B-PER", "O", "B-LOC"]}
SPAN = {
    "question": "Wapi?",
    "context": "Juma anaishi Nairobi.",
    "answers": {"text": ["Nairobi"], "answer_start": [13]},
}
SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "Juma",
            "paragraphs": [
                {
                    "context": SPAN["context"],
                    "qas": [
                        {"id": "a", "question": "Wapi?", "answers": [{"text": "Nairobi", "answer_start": 13}]},
                        {"id": "b", "question": "Nani?", "answers": [{"text": "Juma", "answer_start": 0}]},
                    ],
                }
            ],
        }
    ],
}
CONLL = "# id 1\nJuma\tB-PER\nanaishi\tO\nNairobi\tB-LOC\n\nEsther\tB-PER\nalienda\tO\n"
CONLLU = "# sent_id = s1\n1-2\tJumani\t_\t_\t_\t_\t_\t_\t_\t_\n" + "".join(
    f"{i}\t{word}\t{word}\t{tag}\t_\t_\t0\troot\t_\t_\n"
    for i, (word, tag) in enumerate([("Juma", "PROPN"), ("ni", "AUX")], 1)
)
PO = """msgid ""
msgstr ""
"Language: sw\\n"
"PO-Revision-Date: 2024-01-05 10:00+0000\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=n != 1;\\n"

#: a.c:1
msgid "Open the letter that came today"
msgstr "Fungua barua iliyokuja leo"

msgctxt "menu"
msgid "%d file was saved here"
msgid_plural "%d files were saved here"
msgstr[0] "faili %d imehifadhiwa hapa"
msgstr[1] "faili %d zimehifadhiwa hapa"

#, fuzzy
#~| msgid "old"
#~ msgid "older"
#~ msgstr "zee"
"""
TMX = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en"/><body>
<tu tuid="u7"><tuv xml:lang="EN-US"><seg>Hello <bpt i="1">&lt;b&gt;</bpt>big<ept i="1"/> world</seg></tuv>
<tuv xml:lang="sw"><seg>Habari ya dunia kubwa</seg></tuv></tu>
<tu><tuv xml:lang="sw"><seg>maji ya kunywa</seg></tuv><tuv xml:lang="en"><seg>water to drink</seg></tuv></tu>
</body></tmx>"""


def compiled(text):
    """A gettext catalogue as msgfmt compiles it."""
    stream = io.BytesIO()
    write_mo(stream, read_po(io.StringIO(text.replace("#~| msgid", "#~ #"))))
    return stream.getvalue()


def parquet():
    """A table with a column of lists and one of times."""
    arrow, files = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    times = arrow.array([1, 2, 3, 4], type=arrow.timestamp("us"))
    sink = io.BytesIO()
    files.write_table(arrow.table({**columns, "words": [TAGGED["words"]] * 4, "times": times}), sink)
    return sink.getvalue()


def spreadsheet():
    """A table as people save it."""
    book = pytest.importorskip("openpyxl").Workbook()
    for row in [list(ROWS[0]), *(list(row.values()) for row in ROWS)]:
        book.active.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def pairs(path):
    """Read parallel text."""
    return read_parallel(path, source_language="eng", target_language="swh")


def labelled(path):
    """Read texts with labels."""
    return pair_examples(path, fields={"text": "message", "label": "topic"}, language="swh")


def choices(path):
    """Read choices among alternatives."""
    fields = {"text": "premise", "question": "question", "alternatives": ["choice1", "choice2"], "label": "label"}
    return choice_examples(path, fields=fields, language="swh")


def tagged(path):
    """Read tagged sentences of a table."""
    return tagged_rows(path, fields={"words": "words", "tags": "tags"}, language="swh")


def spans(path):
    """Read questions of a table."""
    fields = {name: name for name in ("question", "context", "answers")}
    return span_rows(path, fields=fields, language="swh")


def sentences(path):
    """Read words in columns."""
    return tagged_examples(path, language="swh")


def questions(path):
    """Read SQuAD's JSON."""
    return read_squad(path, language="swh")


def texts(path):
    """Read texts without labels."""
    return read_texts(path, text="message")


def lines(rows):
    """Rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


FORMS = {
    "csv": ("a.csv", CSV, labelled),
    "tsv": ("a.tsv", TSV, labelled),
    "jsonl": ("a.jsonl", lines(ROWS), labelled),
    "json array": ("a.json", json.dumps(ROWS, indent=1), labelled),
    "parquet": ("a.parquet", parquet, labelled),
    "xlsx": ("a.xlsx", spreadsheet, labelled),
    "choices": ("a.jsonl", lines([CHOICES] * 2), choices),
    "tags of a table": ("a.jsonl", lines([TAGGED] * 2), tagged),
    "questions of a table": ("a.jsonl", lines([SPAN]), spans),
    "squad": ("a.json", json.dumps(SQUAD), questions),
    "conll": ("a.conll", CONLL, sentences),
    "conllu": ("a.conllu", CONLLU, sentences),
    "po": ("a.po", PO, pairs),
    "mo": ("a.mo", lambda: compiled(PO), pairs),
    "tmx": ("a.tmx", TMX, pairs),
    "parallel tsv": ("a.tsv", "eng\tswh\nGood morning to you all\tHabari za asubuhi wote\nwater\tmaji\n", pairs),
    "parallel csv": ("a.csv", 'eng,swh\n"Good morning, all of you","Habari, nyote hapa"\nwater,maji\n', pairs),
    "lexicon": ("a.txt", "water\tmaji\nhouse nyumba\n", pairs),
    "texts": ("a.txt", "Bei ya mahindi\n\nMvua kubwa\n", texts),
}
"""Each form that is read: a file's name, what is in it, and what reads it."""


def forget_peak():
    """Let the peak of memory begin anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def repacked(content, rng):
    """An archive one of whose members is mutated."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as other:
        chosen = rng.choice(archive.namelist())
        for name in archive.namelist():
            other.writestr(name, mutated(archive.read(name), rng) if name == chosen else archive.read(name))
    return changed.getvalue()


def attacks(content, name, rng):
    """Names and contents of mutated files: as they are, and compressed before or after the mutation."""
    for _ in range(round(EACH * TIMES)):
        how = rng.random()
        if zipfile.is_zipfile(io.BytesIO(content)) and rng.random() < 0.6:
            yield name, repacked(content, rng)
            continue
        if how < 0.7:
            yield name, mutated(content, rng)
        elif how < 0.85:
            yield f"{name}.gz", gzip.compress(mutated(content, rng), mtime=0)
        else:
            yield f"{name}.gz", mutated(gzip.compress(content, mtime=0), rng)


@pytest.mark.parametrize("form", FORMS)
def test_a_mutated_data_file_is_read_or_refused_in_one_line(form, tmp_path):
    """Whatever happened to a file, its reader gives examples or one line of error, within bounds."""
    name, content, read = FORMS[form]
    content = content() if callable(content) else content.encode()
    rng = random.Random(zlib.crc32(form.encode()))
    faults, tried = [], 0
    for number, (changed_name, changed) in enumerate(attacks(content, name, rng)):
        path = tmp_path / changed_name
        path.write_bytes(changed)
        forget_peak()
        tried += 1
        if fault := fault_of(lambda path=path: read(path)):
            faults.append(f"{number}: {fault}")
    record("mutated data files", tried=tried, held=tried - len(faults))
    assert not faults, "\n".join(faults)
