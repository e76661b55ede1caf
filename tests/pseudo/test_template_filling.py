"""Slots, and what fills them."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from lingraft.pseudo.template_filling import fill, fillings, pieces, slots_of

SIZES = st.lists(st.integers(1, 6), min_size=0, max_size=4)


@given(SIZES, st.integers(1, 50), st.integers(0, 3))
def test_fillings_are_different_ones_of_all_there_are_as_many_as_wanted(sizes, most, draw):
    """Compared with the list of all."""
    words = {f"s{i}": [f"{i}.{j}" for j in range(size)] for i, size in enumerate(sizes)}
    made = [tuple(one.values()) for one in fillings(list(words), words, most, draw, "test")]
    every = set(product(*words.values()))
    assert len(made) == len(set(made)) == min(most, len(every))
    assert set(made) <= every
    assert made == [tuple(one.values()) for one in fillings(list(words), words, most, draw, "test")]


def test_a_number_of_fillings_that_nobody_could_list_costs_no_more_than_what_is_taken():
    """A thousand words in ten slots."""
    words = {f"s{i}": [str(j) for j in range(1000)] for i in range(10)}
    first, second = (list(fillings(list(words), words, 5, draw, "test")) for draw in (0, 1))
    assert len({tuple(one.values()) for one in first + second}) == 10


@given(st.lists(st.sampled_from(["a ", "{x}", "{y}", ". "]), max_size=8), st.text("pq ", max_size=3))
def test_a_filled_text_is_what_replacing_gives_and_places_are_where_the_words_stand(parts, word):
    """The first of each slot."""
    text = "".join(parts)
    filled, places = fill(text, {"x": word, "y": "why"})
    assert filled == text.replace("{x}", word).replace("{y}", "why")
    assert set(places) == set(slots_of(text))
    assert all(filled[slice(*place)] == {"x": word, "y": "why"}[slot] for slot, place in places.items())


def test_what_sticks_to_a_slot_is_a_word_of_its_own():
    """A full stop is in no name."""
    assert pieces("{who} ya tafi ({place}).") == ["{who}", "ya", "tafi", "(", "{place}", ")."]
