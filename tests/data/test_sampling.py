"""Draws that everyone can repeat, and that never leak."""

from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.core.examples import PairExample, ParallelPair, TaggedExample
from lingraft.data.leakage import remove_groups, remove_overlap, remove_overlapping_pairs
from lingraft.data.sampling import draw_shots, split_groups

POOLS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=60)


def example(identifier, label="a", group=None, text="x", second=None):
    """An example of Yoruba."""
    return PairExample(
        id=str(identifier), group=str(group or identifier), language="yor-Latn", text_a=text, text_b=second, label=label
    )


def pool(rows):
    """Examples with the groups and labels given, numbered."""
    return [example(i, label, group=f"g{group}") for i, (group, label) in enumerate(rows)]


def shots_or_none(*args, **options):
    """The draw, ``None`` where there are too few examples."""
    try:
        return draw_shots(*args, **options)
    except DataError:
        return None


def test_split_has_the_sizes_asked_for():
    """SIB-200's 701 sentences part into 350 and 351 with none in both."""
    first, second = split_groups(map(str, range(701)), (350, 351), draw=1)
    assert (len(first), len(second), first & second) == (350, 351, frozenset())
    assert first | second == set(map(str, range(701)))


@given(st.sets(st.text(), min_size=2), st.randoms(use_true_random=False))
def test_split_does_not_depend_on_order(groups, random):
    """However the groups are listed, and how often, the same ones are drawn."""
    shuffled = list(groups) * 2
    random.shuffle(shuffled)
    size = len(groups) // 2
    assert split_groups(shuffled, (size, size), draw=3) == split_groups(sorted(groups), (size, size), draw=3)


def test_split_is_the_same_for_everyone():
    """A draw's members are fixed for good: a change here changes everybody's results."""
    first, second = split_groups(["a", "b", "c", "d", "e"], (2, 2), draw=1)
    assert (sorted(first), sorted(second)) == (["c", "d"], ["a", "e"])


def test_draws_differ():
    """Another number draws other groups."""
    groups = [str(i) for i in range(100)]
    assert split_groups(groups, (50, 50), draw=1) != split_groups(groups, (50, 50), draw=2)


def test_too_few_groups():
    """The counts are told where a split is impossible."""
    with pytest.raises(DataError, match="cannot split 3 groups into 2 and 2: 4 are needed"):
        split_groups("abc", (2, 2), draw=1)


@given(POOLS, st.integers(0, 4), st.integers(0, 5))
def test_shots_are_k_a_class_of_different_groups(rows, k, draw):
    """Every class has k shots, and no group serves twice."""
    shots = shots_or_none(pool(rows), k, draw)
    if shots is None:
        return
    assert Counter(e.label for e in shots) == Counter({label: k for _, label in rows if k})
    assert len({e.group for e in shots}) == len(shots)


@given(POOLS, st.integers(1, 5), st.integers(0, 5))
def test_smaller_draws_are_the_beginning_of_larger_ones(rows, k, draw):
    """The draw of k-1 shots is where the draw of k shots begins."""
    larger = shots_or_none(pool(rows), k, draw)
    assume(larger is not None)
    smaller = draw_shots(pool(rows), k - 1, draw)
    assert larger[: len(smaller)] == smaller


@given(POOLS, st.randoms(use_true_random=False))
def test_shots_do_not_depend_on_order(rows, random):
    """A file may be sorted in any way."""
    shuffled = pool(rows)
    random.shuffle(shuffled)
    assert shots_or_none(shuffled, 2, 1) == shots_or_none(pool(rows), 2, 1)


def test_five_shots_are_within_eight():
    """The 5-shot draw is contained in the 8-shot draw."""
    examples = [example(i, label=str(i % 7)) for i in range(701)]
    five, eight = draw_shots(examples, 5, draw=2), draw_shots(examples, 8, draw=2)
    assert (len(five), len(eight), set(five) < set(eight)) == (35, 56, True)


def test_too_few_shots_lists_every_class():
    """Each class that lacks examples is named with its count, a group that has two of it counting once."""
    examples = [*(example(i, "a") for i in range(3)), example(8, "b"), *(example(i, "c", group="x") for i in (9, 10))]
    with pytest.raises(DataError, match=r"2 shots of every class, .* fewer examples of different groups: b 1, c 1;"):
        draw_shots(examples, 2, draw=1)
    with pytest.raises(DataError, match=r"2 shots of every class, but these have fewer examples: b 1;"):
        draw_shots(examples[:4], 2, draw=1)


def test_groups_shared_by_classes_may_run_out():
    """Where classes share groups, one of them can be left without."""
    with pytest.raises(DataError, match="left once other classes took groups they share: b 1"):
        draw_shots([example(i, label, group=g) for i, (label, g) in enumerate(
            [("a", "x"), ("a", "y"), ("a", "z"), ("b", "x"), ("b", "y"), ("b", "z")]
        )], 2, draw=1)  # fmt: skip


def test_unlabelled_examples_are_no_shots():
    """A draw needs labels."""
    with pytest.raises(DataError, match="example '1' has no label"):
        draw_shots([example(1, label=None)], 1, draw=1)


def test_negative_shots():
    """Fewer than none is refused."""
    with pytest.raises(DataError, match="k begins at 0"):
        draw_shots([example(1)], -1, draw=1)


def test_examples_with_an_evaluated_text_go():
    """Texts are compared normalised, identifiers not at all."""
    training = [example(1, text="Ọjọ́ DÁRA"), example(2, text="other")]
    kept, dropped = remove_overlap(training, [example(2, text=" ọjọ́ dára ")])
    assert (kept, dropped) == ([training[1]], 1)


def test_pairs_of_texts_are_ordered():
    """Premise and hypothesis the other way round are another example."""
    training = [example(1, text="p", second="h"), example(2, text="h", second="p"), example(3, text="p")]
    kept, dropped = remove_overlap(training, [example(9, text="P", second="H")])
    assert ([e.id for e in kept], dropped) == (["2", "3"], 1)


def test_evaluated_groups_go():
    """Where groups mean the same on both sides, they are enough."""
    kept, dropped = remove_groups([example(1, group="x"), example(2, group="y")], {"x"})
    assert ([e.id for e in kept], dropped) == (["2"], 1)


def test_parallel_pairs_go_by_either_side():
    """A pair leaks if its source or its target is evaluated on, as either of two texts."""
    pairs = [ParallelPair(s, t, "eng-Latn", "yor-Latn") for s, t in [("One", "x"), ("y", "KAN"), ("two", "èjì")]]
    kept, dropped = remove_overlapping_pairs(pairs, [example(1, text="one", second="kan")])
    assert (kept, dropped) == ([pairs[2]], 2)


def test_blanks_between_tagged_words_hide_no_leak():
    """A tagged sentence is words, its translation's other side is prose."""
    tagged = TaggedExample("1", "1", "swh-Latn", words=("Juma", "alienda", ",", "Nairobi", "."), tags=("O",) * 5)
    pairs = [ParallelPair("Juma went.", "Juma alienda, Nairobi.", "eng-Latn", "swh-Latn")]
    assert remove_overlapping_pairs(pairs, [tagged]) == ([], 1)
