"""How many tokens two languages share."""

from hypothesis import given
from hypothesis import strategies as st

from lingraft.data.token_overlap import count_shared, token_ids
from tiny import VOCABULARY, random_tokenizer

TEXTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=5)


def test_tokens_count_as_often_as_they_occur():
    """Three of the four tokens are known, one of them twice."""
    assert count_shared([[1, 1, 2], [3]], [[1, 5], [2]]) == 0.75
    assert count_shared([[]], [[1]]) is None


@given(TEXTS, TEXTS)
def test_more_text_never_has_less(target, source):
    """And what has all of it shares everything."""
    part, whole = count_shared(target, source[:1]), count_shared(target, source)
    assert part is whole is None or part <= whole
    assert count_shared(target, target) in (None, 1.0)


def test_unknown_tokens_are_no_tokens_of_both():
    """Else two languages in unknown scripts would have everything in common; nor are those around a text."""
    tokenizer = random_tokenizer()
    known = [VOCABULARY["ada"], VOCABULARY["beli"]]
    assert token_ids(["ada nobody beli", "nobody"], tokenizer) == [known, []]
    assert token_ids([], tokenizer) == []
