"""Source examples, all of whose known words are translated."""

from collections import Counter

from lingraft.pseudo.generators import generators
from pseudo.sources import LABELLED, classification_sources


def test_every_known_word_is_translated_phrases_first_and_the_label_stays():
    """The third example has no known word."""
    (first, second) = generators.build("word-translation").generate(classification_sources())
    assert first.text_a in ("The yára omi in Niu Yoki", "The kíákíá omi in Niu Yoki")
    assert (first.label, first.group, first.weight) == ("nature", "g1", 0.5)
    assert (second.label, second.group) == ("sport", "g2")


def test_copies_have_other_translations_and_what_has_no_known_word_is_counted():
    """Which translation is taken is a hash of the copy."""
    dropped = Counter()
    sources = classification_sources(labelled=(LABELLED[0], LABELLED[2]), drop=lambda why: dropped.update([why]))
    found = list(generators.build("word-translation", {"copies": 20, "weight": 0.25}).generate(sources))
    assert {example.text_a for example in found} == {"The yára omi in Niu Yoki", "The kíákíá omi in Niu Yoki"}
    assert {example.weight for example in found} == {0.25}
    assert dropped == {"the lexicon knows no word of it": 20}
