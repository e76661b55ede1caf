"""Labels that are nearly another's spelling."""

import pytest

from lingraft.data.label_slips import describe_slips, likely_slips, nearest_label


@pytest.mark.parametrize(
    ("counts", "slips"),
    [
        ({"Postive": 1, "positive": 25, "Positive": 3, "negative": 20}, {"Postive": "positive"}),
        ({"sprot": 2, "sport": 20}, {"sprot": "sport"}),
        ({"politcs": 1, "politiccs": 1, "politics": 9}, {"politcs": "politics", "politiccs": "politics"}),
        ({"Salud publica": 1, "salud pública": 9}, {"Salud publica": "salud pública"}),
        ({"स्वास्थय": 1, "स्वास्थ्य": 9}, {"स्वास्थय": "स्वास्थ्य"}),
        ({"health_care": 1, "healthcare": 9}, {"health_care": "healthcare"}),
        ({"B-persn": 2, "B-person": 30, "I-person": 3}, {"B-persn": "B-person"}),
    ],
)
def test_a_rare_label_that_is_nearly_anothers_spelling_is_a_slip(counts, slips):
    """A letter too many, too few or another one, two that changed places, marks on letters, blanks."""
    assert likely_slips(counts) == slips


@pytest.mark.parametrize(
    "counts",
    [
        {"Postive": 6, "positive": 25},
        {"10": 1, "11": 30, "1.5": 1},
        {"level_10": 1, "level_11": 30},
        {"correct": 40, "incorrect": 2},
        {"B-person": 40, "I-person": 2},
        {"PROPN": 1, "PRON": 40, "SCONJ": 1, "CCONJ": 9},
        {"class I": 1, "class II": 30},
        {"positive+": 30, "positive-": 1},
        {"positive": 30, "positive-": 1},
        {"entailment": 30, "not_entailment": 1},
        {"positive": 30, "Positive": 1},
    ],
)
def test_labels_that_differ_on_purpose_are_no_slips(counts):
    """Those that are not rare; numbers, prefixes, short tags, signs; and spellings that are told elsewhere."""
    assert likely_slips(counts) == {}


def test_slips_are_told_with_counts_there_and_in_the_tests():
    """Of both labels, with what they are; without tests there is nothing to say of them."""
    counts = {"Postive": 1, "positive": 28, "negatve": 2, "negative": 1000}
    assert describe_slips(counts, {"positive": 4, "negatve": 1}) == (
        "'Postive' (1 example, none in the tests) is nearly 'positive' (28); 'negatve' (2 examples, 1 in the tests) is "
        "nearly 'negative' (1,000); a slip? correct it in the file, for each is a class of its own"
    )
    assert describe_slips({"Postive": 1, "positive": 28}, {}).startswith("'Postive' (1 example) is nearly")
    assert describe_slips({"positive": 28}, {}) == ""


def test_a_list_of_many_slips_is_cut():
    """The rarest five."""
    counts = {f"topic{letter}{letter}x": 1 for letter in "abcdefg"} | {
        f"topic{letter}{letter}": 9 for letter in "abcdefg"
    }
    assert describe_slips(counts, {}).count("is nearly") == 5
    assert "; …; a slip?" in describe_slips(counts, {})


def test_the_nearest_label_is_found_among_those_that_are_known():
    """Whatever their number of examples."""
    assert nearest_label("Postive", ["negative", "positive"]) == "positive"
    assert nearest_label("neutral", ["negative", "positive"]) is None
