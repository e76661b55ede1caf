"""Translation memories are read in whatever encoding they say, and no further than a memory goes."""

import pytest

from lingraft.core.errors import DataError
from lingraft.data.bounds import LINE_BYTES
from lingraft.data.translation_memories import DEPTH, translation_units

BODY = """<tmx version="1.4"><header/><body><tu tuid="7"><tuv xml:lang="en"><seg>Good morning</seg></tuv>
<tuv xml:lang="zh"><seg>{}</seg></tuv></tu></body></tmx>"""


def units(path):
    """The units of English and Chinese."""
    sides = {"en": "source", "zh": "target"}
    return list(translation_units(path, lambda names: {name: sides.get(name) for name in names}, "en and zh"))


@pytest.mark.parametrize(
    ("encoding", "declared", "text"),
    [
        ("gb2312", "GB2312", "早上好"),
        ("shift_jis", "Shift_JIS", "おはよう"),
        ("euc_jp", "EUC-JP", "おはよう"),
        ("big5", "Big5", "早上好"),
        ("latin-1", "ISO-8859-1", "olé"),
        ("utf-8", "UTF-8", "早上好"),
        ("utf-8-sig", "UTF-8", "早上好"),
        ("utf-16", "UTF-16", "早上好"),
        ("utf-16-le", "UTF-16LE", "早上好"),
    ],
)
def test_text_is_decoded_as_it_is_declared(tmp_path, encoding, declared, text):
    """Also where the parser itself knows nothing of the encoding."""
    path = tmp_path / "a.tmx"
    path.write_bytes((f'<?xml version="1.0" encoding="{declared}"?>\n' + BODY.format(text)).encode(encoding))
    assert units(path) == [("7", "Good morning", text)]


@pytest.mark.parametrize("declared", ["nonsense", "rot13", "hex", "zip", "undefined"])
def test_what_is_no_encoding_of_text_is_refused(tmp_path, declared):
    """In one line, which names it."""
    path = tmp_path / "a.tmx"
    path.write_text(f'<?xml version="1.0" encoding="{declared}"?><tmx/>')
    with pytest.raises(DataError, match=f"a\\.tmx: is (declared to be|not) in the encoding '{declared}'"):
        units(path)


@pytest.mark.parametrize("declared", ["utf-7", "utf-32", "ascii", "GB2312"])
def test_text_that_is_not_in_its_encoding_is_refused(tmp_path, declared):
    """Or has nothing to read in it."""
    path = tmp_path / "a.tmx"
    path.write_bytes(f'<?xml version="1.0" encoding="{declared}"?><tmx>\xff\xfe</tmx>'.encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.tmx: (is not in the encoding|has no translation units)"):
        units(path)


def test_elements_are_not_nested_without_end(tmp_path):
    """Mark-up within a segment has its place, thousands of levels have not."""
    path = tmp_path / "a.tmx"
    path.write_text(BODY.format("<hi>" * (DEPTH - 10) + "x" + "</hi>" * (DEPTH - 10)))
    assert units(path) == [("7", "Good morning", "x")]
    path.write_text("<tmx>" + "<a>" * 3000 + "</a>" * 3000 + "</tmx>")
    with pytest.raises(DataError, match=f"has elements {DEPTH} deep in each other"):
        units(path)


@pytest.mark.parametrize(
    "long", ['<tmx x="{}"/>', "<tmx>{}</tmx>", "<tmx><!-- > {} --></tmx>", "<tmx><tu>{}</tu></tmx>"]
)
def test_a_tag_has_an_end(tmp_path, long):
    """A parser looks at an unfinished one anew with every piece."""
    path = tmp_path / "a.tmx"
    path.write_text(long.format("y" * 3 * LINE_BYTES))
    with pytest.raises(DataError, match=f"has a tag, text or unit of more than {LINE_BYTES:,} bytes"):
        units(path)
