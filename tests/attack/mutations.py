"""Mutations of bytes that know nothing of what the bytes mean: what transport, editors and enemies do to a file.

Every one is a pure function of the content and a seeded generator, so that a failure is seen again under its number.
"""

import codecs
import gzip
import re

HOSTILE = [
    *(
        b"\0",
        b"\0" * 5000,
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\x1b[31m",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b"\t\t",
        b"\\",
    ),
    *(
        b'"',
        b'""',
        b"'",
        b",",
        b";",
        b"|",
        b"#",
        b"#~| ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"<",
        b">",
        b"&",
        b"%",
        b"=",
        b":",
        b"-",
    ),
    *(
        codecs.BOM_UTF8,
        codecs.BOM_UTF16_LE,
        codecs.BOM_UTF32_BE,
        "\u2028\x85\x0b\x0c\x1c\u200b".encode(),
        b"\\ud800",
        b"\\u0000",
    ),
    *(b"9" * 5000, b"-1", b"1e400", b"NaN", b"Infinity", b"-0", b"99999999", b"0x7fffffffffffffff", b"0" * 300, b"1_0"),
    *(b"null", b"true", b"[]", b"{}", b'"x"', b"[[1]]", b'{"a": {"a": 1}}', b"-DOCSTART-", b"\n\n\n"),
    *(
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"<seg>" * 50_000,
        b"(" * 10_000,
        b"x" * 3_000_000,
        b"a\n" * 100_000,
        b"\t" * 100_000,
    ),
    *(
        b'<!ENTITY a "aaaaaaaaaa">',
        b"&a;",
        b"&#0;",
        b"&#x110000;",
        b"<![CDATA[",
        b"<!--",
        b"<?xml version='1.0' encoding='hex'?>",
    ),
    *(
        b"nplurals=99999999; plural=",
        b"charset=hex\\n",
        b"charset=nonsense\\n",
        b"n" + b"**n" * 50,
        b"msgid_plural ",
        b"msgstr[99999999] ",
    ),
]
"""Pieces that stand for something where they stand, or are large, or are none at all."""

HOSTILE += [separator.join(b"c%d" % i for i in range(60_000)) for separator in (b",", b"\t", b" ", b'": 1, "')]

ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-32",
    "latin-1",
    "cp1252",
    "cp037",
    "gb18030",
    "shift_jis",
    "utf-7",
    "utf-8-sig",
)


def mutated(content, rng):
    """The content after one to three mutations."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(MUTATIONS)(content, rng)
    return content


def flip_bits(content, rng):
    """Up to five bits turned."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 5) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content, rng):
    """An end that is missing, or a beginning."""
    at = rng.randint(0, len(content))
    return content[:at] if rng.random() < 0.7 else content[at:]


def remove(content, rng):
    """A piece from the middle that is missing."""
    start, end = sorted((rng.randint(0, len(content)), rng.randint(0, len(content))))
    return content[:start] + content[min(end, start + rng.choice((1, 5, 100))) :]


def repeat(content, rng):
    """A piece, or all, that is there again, perhaps many times."""
    if rng.random() < 0.2:
        return content * rng.choice((2, 2, 30))
    start, end = sorted((rng.randint(0, len(content)), rng.randint(0, len(content))))
    return content[:end] + content[start:end] * rng.choice((1, 1, 10)) + content[end:]


def insert(content, rng):
    """A hostile piece somewhere, often at the beginning or the end of something."""
    edges = [found.end() for found in re.finditer(rb'[\s",:;=|>\[{]', content[:20_000])]
    at = rng.choice(edges) if edges and rng.random() < 0.7 else rng.randint(0, len(content))
    return content[:at] + rng.choice(HOSTILE) + content[at:]


def replace_word(content, rng):
    """A word or number that is a hostile piece now."""
    words = list(re.finditer(rb"[\w.+-]+", content[:20_000]))
    if not words:
        return rng.choice(HOSTILE)
    word = rng.choice(words)
    return content[: word.start()] + rng.choice(HOSTILE) + content[word.end() :]


def swap_lines(content, rng):
    """Two lines, each in the other's place."""
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def change_line_ends(content, rng):
    """Line ends of another system, or of none."""
    return content.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\r\r\n", b"\x85", b"\0", b"")))


def change_encoding(content, rng):
    """The text in another encoding, with whatever that cannot write left out."""
    return content.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "ignore")


def change_separator(content, rng):
    """Columns that are separated otherwise."""
    return content.replace(rng.choice((b",", b"\t", b" ")), rng.choice((b";", b"|", b"\t", b",", b" ", b"")))


def compress(content, rng):
    """Compressed once more than its name says."""
    return gzip.compress(content, mtime=0)


MUTATIONS = (
    *(flip_bits, flip_bits, cut, remove, repeat, insert, insert, insert, replace_word, replace_word, swap_lines),
    *(change_line_ends, change_encoding, change_separator, compress),
)
"""Those that find more are drawn more often."""
