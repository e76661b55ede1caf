"""Tests of lingraft.results.metrics.answers: golden cases by hand from the published rules of SQuAD v1.1 and MLQA."""

import re
import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.errors import ConfigError
from lingraft.data.languages import canonical
from lingraft.results.metrics.answers import ARTICLES, NORMALISERS, answer_metrics, exact_match, normaliser, token_f1

GOLDEN = [
    # SQuAD: case, ASCII punctuation, English articles as whole words, white space.
    ("squad", "The  Eiffel-Tower!", "eiffeltower"),
    ("squad", "a man, an apple; the theory", "man apple theory"),
    ("squad", "the-end", "theend"),  # punctuation goes first, so no article is left to see
    ("squad", "U.S.A. $5", "usa 5"),
    ("squad", "“quoted” – 20 °C", "“quoted” – 20 °c"),  # other punctuation than ASCII's stays
    ("squad", "der Hund", "der hund"),
    ("squad", "a\u00a0b\u3000c", "b c"),  # every white space of Unicode parts
    ("squad", "The", ""),
    # MLQA, language by language.
    ("mlqa:en", "“The” end – an end…", "end end"),
    ("mlqa:en", "der Hund", "der hund"),
    ("mlqa:de", "Der Hund, das Tier und eines Derwischs", "hund tier und derwischs"),
    ("mlqa:de", "„Einem“ the", "the"),
    ("mlqa:de", "Straße", "straße"),  # lower case, not case folding
    ("mlqa:es", "¿La casa de los Ángeles?", "casa de ángeles"),
    ("mlqa:es", "una lasaña del señor", "lasaña del señor"),
    ("mlqa:vi", "Những cái nhà của tôi là lài", "nhà tôi lài"),
    ("mlqa:vi", "«một»", "một"),
    ("mlqa:hi", "भारत।  दिल्ली॥", "भारत दिल्ली"),  # dandas are punctuation, vowel signs are not
    ("mlqa:hi", "the १९४७", "the १९४७"),
    ("mlqa:ar", "الكتاب، والبيت؟", "كتاب و بيت"),  # the article goes wherever its letters stand
    ("mlqa:ar", "في المدينة", "في مدينة"),
    ("mlqa:zh", "《红楼梦》。", "红 楼 梦"),
    ("mlqa:zh", "iPhone 12手机，很OK的", "iphone 12 手 机 很 ok 的"),
    ("mlqa:zh", "the 你", "the 你"),
    ("mlqa:zh", "㐀龦鿿", "㐀龦鿿"),  # outside of 4E00 to 9FA5 nothing is cut
    ("mlqa:zh", "\u4e00\u9fa5", "\u4e00 \u9fa5"),
    ("mlqa:zh", "カタカナ東京", "カタカナ 東 京"),
    ("mlqa:en", "$5 + 5^2 = `30`", "5 52 30"),  # ASCII symbols count as punctuation
    ("mlqa:en", "5 € ± 3", "5 € ± 3"),  # other symbols do not
]


@pytest.mark.parametrize(("spec", "text", "expected"), GOLDEN)
def test_normalised_by_the_published_rules(spec, text, expected):
    """One case of one rule each."""
    assert normaliser(spec)(text) == expected


@pytest.mark.parametrize("spec", sorted(NORMALISERS))
def test_composed_and_decomposed_accents_differ(spec):
    """The official scripts do not normalise Unicode; nor do we, or scores would not compare."""
    composed, decomposed = (unicodedata.normalize(form, "Việt Nam") for form in ("NFC", "NFD"))
    scores = {name: metric([[composed]], [decomposed]) for name, metric in answer_metrics(spec).items()}

    assert scores["exact_match"] == 0.0
    assert scores["f1"] == 0.5  # "nam"


def test_a_decomposed_letter_may_be_taken_for_an_article():
    """A combining mark is no letter to the pattern, so the bare letter before it is a word."""
    assert normaliser("squad")("a\u0301 la carte") == "\u0301 la carte"
    assert normaliser("squad")("\u00e1 la carte") == "\u00e1 la carte"
    assert normaliser("mlqa:vi")("la\u0300") == "la\u0300"
    assert normaliser("mlqa:vi")("l\u00e0") == ""


def test_f1_by_hand():
    """Gold: 'quick brown fox'; predicted 'brown fox jumps over': 2 of 4 and 2 of 3."""
    f1 = answer_metrics("squad")["f1"]

    assert f1([["the quick brown fox"]], ["brown fox jumps over"]) == pytest.approx(2 * (1 / 2) * (2 / 3) / (7 / 6))


def test_repeated_tokens_count_as_often_as_in_both():
    """The token "new" twice, not three times; "york" not at all."""
    assert token_f1("new york new york", "new new new") == pytest.approx(2 * 2 / 7)


def test_best_of_several_right_answers_counts():
    """The maximum is taken for each metric on its own."""
    metrics = answer_metrics("squad")
    gold = [["Denver Broncos", "The Broncos", "Broncos of Denver"]]

    assert metrics["f1"](gold, ["broncos"]) == 1.0
    assert metrics["exact_match"](gold, ["broncos"]) == 1.0
    assert metrics["f1"](gold, ["Denver"]) == pytest.approx(2 / 3)
    assert metrics["exact_match"](gold, ["Denver"]) == 0.0


def test_chinese_is_scored_by_character():
    """Two of three characters; with spaces alone there would be one token."""
    metrics = answer_metrics("mlqa:zh")

    assert metrics["f1"]([["北京市"]], ["北京"]) == pytest.approx(2 * 2 / 5)
    assert metrics["exact_match"]([["北京。"]], ["《北京》"]) == 1.0
    assert answer_metrics("squad")["f1"]([["北京市"]], ["北京"]) == 0.0  # one token each


def test_scripts_without_spaces_are_one_token_elsewhere():
    """Thai is not in MLQA, and SQuAD cuts nothing but at white space."""
    assert answer_metrics("mlqa:en")["f1"]([["กรุงเทพมหานคร"]], ["กรุงเทพ"]) == 0.0
    assert answer_metrics("squad")["f1"]([["กรุงเทพ ๑"]], ["กรุงเทพ"]) == pytest.approx(2 / 3)


def test_language_of_the_context_decides():
    """An article of the context's language does no harm, one of another language does."""
    assert answer_metrics("mlqa:de")["exact_match"]([["Hund"]], ["der Hund"]) == 1.0
    assert answer_metrics("mlqa:en")["exact_match"]([["Hund"]], ["der Hund"]) == 0.0


def test_nothing_left_is_an_exact_match_without_f1():
    """As in both scripts: no common token is an F1 of 0, though the two are equal."""
    for spec in ("squad", "mlqa:en"):
        metrics = answer_metrics(spec)
        assert metrics["exact_match"]([["The"]], ["a"]) == 1.0
        assert metrics["f1"]([["The"]], ["a"]) == 0.0


def test_empty_prediction_is_wrong():
    """No answer gets nothing."""
    assert answer_metrics("squad")["f1"]([["Paris"]], [""]) == 0.0
    assert answer_metrics("squad")["exact_match"]([["Paris"]], [""]) == 0.0


def test_metrics_are_means_over_questions():
    """F1 comes first: it is the one that counts."""
    metrics = answer_metrics("mlqa:es")
    gold, predicted = [["Madrid"], ["el río Ebro"], ["1492"]], ["madrid.", "Ebro", "1493"]

    assert list(metrics) == ["f1", "exact_match"]
    assert metrics["f1"](gold, predicted) == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert metrics["exact_match"](gold, predicted) == pytest.approx(1 / 3)


@pytest.mark.parametrize("answers", [[], "Paris"])
def test_gold_is_a_list_of_answers(answers):
    """A text would be taken for a list of letters."""
    with pytest.raises(ValueError, match="list of right answers"):
        answer_metrics("squad")["f1"]([answers], ["Paris"])


@pytest.mark.parametrize(
    ("spec", "same"),
    [(f"mlqa:{spelling}", f"mlqa:{code}") for code in ARTICLES for spelling in (code.upper(), canonical(code))]
    + [("mlqa:deu_Latn", "mlqa:de"), ("mlqa:ara", "mlqa:ar"), ("mlqa:cmn-Hant", "mlqa:zh"), ("SQuAD", "squad")],
)
def test_languages_in_our_spelling(spec, same):
    """ISO 639-3 and script, macrolanguages and capitals lead to the same rule."""
    assert normaliser(spec) is NORMALISERS[same]


@pytest.mark.parametrize("spec", ["mlqa", "mlqa:", "mlqa:ru", "mlqa:hin-Latn", "squad:en", "squad2", "", "f1"])
def test_unknown_normaliser_lists_what_is_known(spec):
    """There are few, so all are told."""
    with pytest.raises(ConfigError, match=r"known: squad, mlqa:ar, mlqa:de"):
        answer_metrics(spec)


@settings(deadline=None)
@given(st.sampled_from(sorted(NORMALISERS)), st.text(max_size=40))
def test_normalised_text_is_tokens_joined_by_single_blanks(spec, text):
    """Whatever the text: no ASCII punctuation is left, and more of it changes nothing."""
    result = normaliser(spec)(text)

    assert result == " ".join(result.split())
    assert not [c for c in result if c in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
    assert exact_match(result, normaliser(spec)(f" {text}.")) == 1.0 or spec == "mlqa:ar"


@settings(deadline=None)
@given(st.text("aă 北京,。ال\u0301", max_size=15), st.text("aă 北京,。ال\u0301", max_size=15))
def test_mlqa_equals_a_slow_reference(gold, predicted):
    """The published procedure, step by step, in Chinese and Arabic."""

    def reference(text, language):
        text = "".join(c for c in text.lower() if unicodedata.category(c)[0] != "P")
        if language == "ar":
            return re.sub("\\sال^|ال", " ", text).split()
        tokens, piece = [], ""
        for c in text:
            if "\u4e00" <= c <= "\u9fa5":
                tokens += [*piece.split(), c]
                piece = ""
            else:
                piece += c
        return tokens + piece.split()

    for language in ("zh", "ar"):
        right, guessed = reference(gold, language), reference(predicted, language)
        same = sum((Counter(right) & Counter(guessed)).values())
        precision, recall = same / max(1, len(guessed)), same / max(1, len(right))
        f1 = 2 * precision * recall / (precision + recall) if same else 0.0
        metrics = answer_metrics(f"mlqa:{language}")

        assert metrics["f1"]([[gold]], [predicted]) == pytest.approx(f1)
        assert metrics["exact_match"]([[gold]], [predicted]) == (right == guessed)
