"""Catalogues of gettext are read for their messages alone."""

import io

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from lingraft.core.errors import DataError
from lingraft.data.gettext_catalogues import FORMS, catalogue_entries

HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"{}\\n"

"""
MESSAGE = """#: a.c:1
msgid "Open"
msgstr "Fungua"
"""


def entries(folder, text):
    """Sources and translations."""
    path = folder / "a.po"
    path.write_text(text, encoding="utf-8")
    return [(source, target) for _, source, target in catalogue_entries(path)]


@pytest.mark.parametrize(
    "header",
    [
        "PO-Revision-Date: ",
        "PO-Revision-Date: yesterday",
        "POT-Creation-Date: 2009-11-31 99:99",
        "Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;",
        "Plural-Forms: nplurals=99999999; plural=0;",
        "Language: no such language",
        "Content-Type: text/plain; charset=CHARSET",
    ],
)
def test_the_header_is_nobody_s_business(tmp_path, header):
    """Whatever stands in it, the messages are read."""
    assert entries(tmp_path, HEADER.format(header) + MESSAGE) == [("Open", "Fungua")]


def test_obsolete_entries_are_left_out_and_counted(tmp_path):
    """With the previous texts that some programs keep of them."""
    old = '#~| msgid "Shut"\n#~ msgid "Close"\n#~ msgstr "Funga"\n\n#~ msgid "Cut"\n#~ msgstr "Kata"\n'
    assert entries(tmp_path, HEADER.format("X: y") + MESSAGE + "\n" + old) == [("Open", "Fungua"), ("", ""), ("", "")]


@pytest.mark.parametrize(("translated", "last"), [("e", "e"), ("", "")])
def test_a_plural_has_as_many_forms_as_the_file_says_by_its_messages(tmp_path, translated, last):
    """The singular goes with the first, the plural with the last, also where that is unfinished."""
    forms = "".join(f'msgstr[{i}] "{form}"\n' for i, form in enumerate(["a", "b", "c", "d", translated]))
    found = entries(tmp_path, HEADER.format("X: y") + 'msgid "cat"\nmsgid_plural "cats"\n' + forms)
    assert found == [("cat", "a"), ("cats", last)]


def test_no_language_has_so_many_plurals(tmp_path):
    """What would make room for millions of forms is refused."""
    text = 'msgid "cat"\nmsgid_plural "cats"\nmsgstr[0] "a"\nmsgstr[99999998] "b"\n'
    with pytest.raises(DataError, match=f"has a message with 99,999,999 plural forms; expected at most {FORMS}"):
        entries(tmp_path, text)


@pytest.mark.parametrize("header", ["PO-Revision-Date: never", "Plural-Forms: nplurals=INTEGER; plural=x;"])
def test_compiled_headers_are_nobody_s_business_either(tmp_path, header):
    """A compiled catalogue with such a header holds the same messages."""
    good = read_po(io.StringIO(HEADER.format("PO-Revision-Date: 2020-01-01 00:00+0000") + MESSAGE))
    buffer = io.BytesIO()
    write_mo(buffer, good)
    key, _, value = header.partition(": ")
    data = buffer.getvalue()
    start = data.index(b"PO-Revision-Date: ")
    end = data.index(b"\n", start)
    changed = f"{key}: {value}".encode().ljust(end - start)[: end - start]
    path = tmp_path / "a.mo"
    path.write_bytes(data[:start] + changed + data[end:])
    assert [(source, target) for _, source, target in catalogue_entries(path)] == [("Open", "Fungua")]


@pytest.mark.parametrize("line", ['msgid "ada', 'msgstr "beli', 'msgid "', '"cora'])
def test_a_quote_that_is_left_open_is_an_error(tmp_path, line):
    """What is in it would be cut, or the message dropped."""
    path = tmp_path / "a.po"
    path.write_text(f'msgid "one"\nmsgstr "moja"\n\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.po, line 4: is not gettext \(a quote is left open\)"):
        list(catalogue_entries(path))


def test_a_message_in_many_pieces_is_no_longer_than_a_text(tmp_path):
    """Its lines are counted together, with or without remarks between them; those of two messages are not."""
    path = tmp_path / "a.po"
    piece = '"' + "a" * 300_000 + '"\n'
    path.write_text('msgid ""\n' + piece * 2 + 'msgstr ""\n' + piece * 3)
    assert [len(left) for _, left, _ in catalogue_entries(path)] == [600_000]
    path.write_text('msgid ""\n' + piece * 2 + "# a remark\n" + piece * 2 + 'msgstr "b"\n')
    with pytest.raises(DataError, match=r"a\.po, line 6: a message is longer than 1,000,000 characters; expected one"):
        list(catalogue_entries(path))
