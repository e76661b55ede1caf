"""What a word is in a text that nobody split."""

import pytest

from lingraft.tasks.kinds.word_splitting import split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Juma anaishi Nairobi.", ["Juma", "anaishi", "Nairobi", "."]),
        ("Ng'ombe wa Dar-es-Salaam, (1,200.50)!!", ["Ng'ombe", "wa", "Dar-es-Salaam", ",", "(", "1,200.50", ")", "!!"]),
        ("«Ọ̀yọ́»: o\u0300ke\u0301", ["«", "Ọ̀yọ́", "»", ":", "o\u0300ke\u0301"]),
        ("wa ’yan Kano’s", ["wa", "’", "yan", "Kano’s"]),
        ("我住在Nairobi市。", ["我", "住", "在", "Nairobi", "市", "。"]),
        ("iPhone16でtest", ["iPhone16", "で", "test"]),
        ("नई दिल्ली में।", ["नई", "दिल्ली", "में", "।"]),
        ("ความรัก", ["ค", "วา", "ม", "รั", "ก"]),
        ("เขาไป ๕๐", ["เขา", "ไป", "๕๐"]),
        ("ភ្នំពេញ។", ["ភ្នំ", "ពេ", "ញ", "។"]),
        ("မြန်မာ၊", ["မြ", "န်", "မာ", "၊"]),
        ("قال: نعم؟", ["قال", ":", "نعم", "؟"]),
        ("👩🏽\u200d💻 🇰🇪 ok", ["👩🏽\u200d💻", "🇰🇪", "ok"]),
        ("a\u200bb\ufeffc", ["a", "b", "c"]),
        ("\u0301a -- b", ["\u0301a", "--", "b"]),
        ("10:30 saa 4.", ["10:30", "saa", "4", "."]),
        (" \t\n", []),
        ("", []),
    ],
)
def test_words_are_split_by_script_and_punctuation_stands_apart(text, words):
    """Nothing but blanks is lost."""
    places = split_words(text)
    assert [text[first:last] for first, last in places] == words
    assert "".join(words) == "".join(text.replace("\u200b", "").replace("\ufeff", "").split())
