"""Which items are kept of each class, and how far classes have moved."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.pseudo.class_shares import drift, surest_of_each

ITEMS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.2, 0.5, 0.5001, 0.9])), max_size=30)


def test_a_class_of_unsure_items_keeps_its_surest():
    """One threshold for all would leave the class out."""
    classes, confidences = ["sure", "unsure", "sure", "unsure", "sure"], [0.99, 0.3, 0.98, 0.4, 0.97]
    assert surest_of_each(classes, confidences, 0.5) == [0, 2, 3]


@settings(deadline=None)
@given(ITEMS, st.floats(0.01, 1.0))
def test_what_is_kept_of_a_class_is_its_share_and_surer_than_what_is_not(items, share):
    """For any classes, confidences with ties, and share."""
    classes, confidences = [one for one, _ in items], [sure for _, sure in items]
    kept = set(surest_of_each(classes, confidences, share))
    counts, taken = Counter(classes), Counter(classes[number] for number in kept)
    for one, count in counts.items():
        assert share * count - 1e-6 <= taken[one] < share * count + 1
    left = set(range(len(items))) - kept
    assert not any(
        confidences[number] > confidences[other]
        for number in left
        for other in kept
        if classes[number] == classes[other]
    )


@pytest.mark.parametrize(
    ("first", "now", "moved"),
    [("aabb", "ab", 0.0), ("aabb", "aaab", 0.25), ("aa", "bb", 1.0), ("", "", 0.0), ("ab", "", 1.0)],
)
def test_classes_move_by_half_the_sum_of_their_differences(first, now, moved):
    """Numbers by hand."""
    assert drift(first, now) == pytest.approx(moved)
