"""How likely a text is in a language, by its letters."""

import csv
import gzip
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.data.character_model import FEWEST, KEPT, CharacterModel, likeliest

YORUBA = ["ọmọ náà lọ sí ọjà", "ọba ti dé", "ohun tí mo fẹ́ ni omi", "ilé ìwé wà ní ìlú", "àwọn ọmọ ń ṣeré"]
ENGLISH = ["the child went to the market", "the king has come", "what i want is water", "the school is in town"]


def test_n_grams_are_counted_within_texts_and_at_their_ends():
    """By hand, of two texts: a blank stands before and behind each."""
    counts = CharacterModel.of_texts(["ab", "b"]).counts
    assert counts == {
        " ": 4, "a": 1, "b": 2, " a": 1, "ab": 1, "b ": 2, " b": 1, " ab": 1, "ab ": 1, " b ": 1, " ab ": 1,
    }  # fmt: skip


def test_probabilities_of_letters_add_up_to_at_most_one():
    """After any context, known or not, over all letters that there are and one for the unknown."""
    model = CharacterModel.of_texts(YORUBA)
    letters = {letter for text in YORUBA for letter in f" {text.lower()}"}
    for context in ("", "o", "ti ", "xyz"):
        total = sum(model.probability(context, letter) for letter in letters)
        assert 0.2 < total <= 1.0 + 1e-9
    assert model.log_likelihood("ọmọ ti ọba") > model.log_likelihood("ọbm tio ạọ")


@given(st.text(max_size=40))
def test_any_text_is_likely_somewhere(text):
    """Of two languages one is found, whatever the letters; and case says nothing."""
    models = {"yor-Latn": CharacterModel.of_texts(YORUBA), "eng-Latn": CharacterModel.of_texts(ENGLISH)}
    assert likeliest(text, models) in models
    assert models["yor-Latn"].log_likelihood(text) == pytest.approx(models["yor-Latn"].log_likelihood(text.casefold()))


@pytest.mark.parametrize("beside", ["🙏🔥😂🎉👍", "这是一个关于健康的句子请看这里谢谢", "https://t.co/xkq9zbw8"])
def test_what_is_of_no_language_says_nothing(beside):
    """Neither for the language that there is least text of: an English text stays English, the others theirs."""
    models = {"eng-Latn": CharacterModel.of_texts(ENGLISH * 100), "yor-Latn": CharacterModel.of_texts(YORUBA)}
    assert likeliest(f"the school {beside}", models) == "eng-Latn"
    assert likeliest(f"ọmọ náà {beside}", models) == "yor-Latn"


@pytest.mark.parametrize("text", ["", " ", "🙏", "这是", "\u200b", "\x00"])
def test_a_text_without_a_known_letter_is_in_the_first_language(text):
    """Which of a run is the source."""
    english, yoruba = CharacterModel.of_texts(ENGLISH * 100), CharacterModel.of_texts(YORUBA)
    assert likeliest(text, {"eng-Latn": english, "yor-Latn": yoruba}) == "eng-Latn"
    assert likeliest(text, {"yor-Latn": yoruba, "eng-Latn": english}) == "yor-Latn"


def test_blanks_in_front_hide_no_text():
    """However many there are."""
    models = {"eng-Latn": CharacterModel.of_texts(ENGLISH), "yor-Latn": CharacterModel.of_texts(YORUBA)}
    assert likeliest("\n" * 600 + YORUBA[0], models) == "yor-Latn"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("codes", "least"),
    [
        (("eng", "yor", "quy", "wol", "ibo", "xho", "ayr", "lug", "swh"), 0.98),
        (("eng", "ace", "min", "ban", "sun"), 0.95),
    ],
    ids=["far from each other", "Austronesian"],
)
def test_twenty_sentences_of_a_language_are_enough_to_know_it(shared_data, codes, least):
    """SIB-200: fifty test sentences of each language, of which the frequent n-grams are kept."""

    def texts(code, split):
        (path,) = (shared_data / "sib200").glob(f"{code}_Latn.{split}.tsv*")
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            return [row["text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]

    models = {
        code: CharacterModel(
            dict(CharacterModel.of_texts(islice(texts(code, "train"), FEWEST)).counts.most_common(KEPT))
        )
        for code in codes
    }
    told = [likeliest(text, models) == code for code in codes for text in texts(code, "test")[:50]]
    assert sum(told) / len(told) >= least
