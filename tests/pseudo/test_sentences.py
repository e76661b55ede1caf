"""Where sentences end."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.pseudo.sentences import END, sentences


def cut(text, whole=None):
    """The sentences themselves."""
    return [text[start:end] for start, end in sentences(text, whole)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First. Two! Three? «Four.» Five", ["First.", "Two!", "Three?", "«Four.»", "Five"]),
        ("Mr. Smith met J. R. Ewing in St. Louis.", ["Mr. Smith met J. R. Ewing in St. Louis."]),
        ("It cost 3.5 dollars. in all. Then the war. It ended.",
         ["It cost 3.5 dollars. in all.", "Then the war.", "It ended."]),
        ("你好。他来了！真的？", ["你好。", "他来了！", "真的？"]),
        ("यह है। वह है।", ["यह है।", "वह है।"]),
        (" a line \n\n and Mr.\nanother ", ["a line", "and Mr.", "another"]),
        ("", []),
    ],
)  # fmt: skip
def test_a_stop_ends_a_sentence_unless_it_looks_like_an_abbreviation(text, expected):
    """Too long is better than too short."""
    assert cut(text) == expected


def test_no_end_cuts_what_must_stay_whole():
    """An answer of two sentences, marked, is translated as one piece."""
    text = "Before. She said [Go. Now!] to him. After."
    assert cut(text, (text.index("["), text.index("]") + 1)) == [
        "Before.",
        "She said [Go. Now!] to him.",
        "After.",
    ]


@given(st.text(st.sampled_from("aB .!?。\n”i"), max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_sentences_hold_all_but_blanks_in_order_and_never_cut_the_piece(text, one, other):
    """Whatever the text."""
    whole = min(one, other, len(text)), min(max(one, other), len(text))
    places = sentences(text, whole)
    assert "".join("".join(text[start:end].split()) for start, end in places) == "".join(text.split())
    assert all(left[1] <= right[0] for left, right in pairwise(places))
    piece = text[slice(*whole)]
    inner = whole[0] + len(piece) - len(piece.lstrip()), whole[0] + len(piece.rstrip())
    assert inner[0] >= inner[1] or any(start <= inner[0] and inner[1] <= end for start, end in places)


PLAIN = re.compile(r"[.!?…।॥।؟]+[\"'”’»)\]]*\s+|[。！？]+[”’」』）]*\s*|\s*\n\s*")
"""Each stop of a row may begin one, and each blank: read over and over, where nothing follows."""


@given(st.text(alphabet=".!?…\"') \n\taB。！」\u3000", max_size=12))
def test_a_row_of_stops_or_of_blanks_is_one_end_however_it_is_read(text):
    """The same places as the plain pattern finds."""
    assert [found.span() for found in END.finditer(text)] == [found.span() for found in PLAIN.finditer(text)]
