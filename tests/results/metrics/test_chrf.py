"""chrF, against the values that sacreBLEU gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.results.metrics.chrf import chrf, chrf_metric

GERMAN = "Niemand hat die Absicht, eine Mauer zu errichten"
SACREBLEU = [  # 2.6.0, CHRF().corpus_score(texts, [references]).score
    (["abcdefg"], ["hijklmnop"], 0.0),
    ([""], ["b"], 0.0),
    ([GERMAN], [GERMAN], 100.0),
    (["Niemand hat die Absicht, eine Mauer zu bauen"], [GERMAN], 79.88439065829863),
    (["Ich habe einen Hund", "Du hast zwei Katzen"], ["Ich habe eine Katze", "Du hast Katzen"], 63.31817308553467),
    (["ab", "the cat sat on the mat"], ["abcdefgh", "the cat sits on a mat"], 34.372629888200215),
    (["ọmọ náà"], ["ọmọ náà sùn"], 55.77101053281037),
]
TEXTS = st.lists(st.text("ab cd", max_size=12), min_size=1, max_size=4)


@pytest.mark.parametrize(("texts", "references", "expected"), SACREBLEU)
def test_the_values_are_those_of_sacrebleu(texts, references, expected):
    """Counts of several texts are added before anything is divided."""
    assert chrf(texts, references) == pytest.approx(expected, abs=1e-9)


@given(TEXTS, st.data())
def test_on_any_texts_the_value_is_that_of_sacrebleu(texts, data):
    """Where it is installed."""
    sacrebleu = pytest.importorskip("sacrebleu")
    references = [data.draw(st.text("ab cd", max_size=12)) for _ in texts]
    expected = sacrebleu.metrics.CHRF().corpus_score(texts, [references]).score
    assert chrf(texts, references) == pytest.approx(expected, abs=1e-9)


@given(TEXTS)
def test_it_lies_between_0_and_100_and_blanks_do_not_count(texts):
    """A text is as like itself as can be."""
    spread = [" ".join(text) for text in texts]
    assert chrf(spread, texts) == pytest.approx(chrf(texts, texts))
    assert chrf(texts, texts) == pytest.approx(100.0 if any(text.split() for text in texts) else 0.0)


@given(TEXTS, st.data())
def test_of_several_references_the_best_counts_as_in_sacrebleu(texts, data):
    """Chosen text by text, and added up before anything is divided, as intervals have it too."""
    sacrebleu = pytest.importorskip("sacrebleu")
    references = [[data.draw(st.text("abcd", min_size=1, max_size=9)) for _ in range(2)] for _ in texts]
    expected = sacrebleu.metrics.CHRF().corpus_score(texts, [list(side) for side in zip(*references, strict=True)])

    assert chrf_metric()(references, texts) == pytest.approx(expected.score / 100, abs=1e-9)
