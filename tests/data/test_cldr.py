"""Names of the CLDR as examples of a task."""

from collections import Counter

import pytest
from babel import localedata

from lingraft.core.errors import DataError
from lingraft.data import cldr
from lingraft.data.cldr import MIN_COUNTRIES, MIN_TEST, SPLITS, cldr_examples, coverage
from lingraft.data.text import normalise

SOME = ["yor-Latn", "zho-Hans", "srp-Latn", "amh-Ethi", "tur-Latn", "quy-Latn"]


def names(language, *splits):
    """Id -> name in all splits, or in some."""
    return {e.id: e.text_a for split in splits or SPLITS for e in cldr_examples(language, split)}


def test_an_example_is_a_name_with_its_class():
    """Yoruba's Nigeria is a country, with the same id in all languages."""
    example = next(e for split in SPLITS for e in cldr_examples("yo", split) if e.id == "country:NG")
    assert (example.group, example.language, example.label) == ("country:NG", "yor-Latn", "country")
    assert normalise(example.text_a) == normalise(localedata.load("yo")["territories"]["NG"])


def test_cities_are_derived_from_zones_in_english():
    """English names few cities; the others come from the zone's identifier."""
    english = names("en")
    assert (english["city:Africa/Abidjan"], english["city:Asia/Kolkata"]) == ("Abidjan", "Kolkata")
    assert english["city:America/New_York"] == "New York"


def test_all_classes_occur_in_english():
    """English has names of every class in every split."""
    for split in SPLITS:
        assert set(Counter(e.label for e in cldr_examples("en", split))) == set(cldr.CLASSES)


def test_a_thing_is_in_one_split_in_all_languages():
    """Keys are split alike everywhere."""
    split_of = {}
    for language in [*SOME, "eng-Latn"]:
        for split in SPLITS:
            for key in names(language, split):
                assert split_of.setdefault(key, split) == split


def test_things_that_share_an_english_name_go_together():
    """Singapore the city is in no other split than Singapore the country."""
    assert cldr._split_of("city:Asia/Singapore") == cldr._split_of("country:SG")
    assert cldr._split_of("language:ar") == cldr._split_of("script:Arab")


@pytest.mark.parametrize("language", SOME)
def test_no_tested_name_is_seen_in_training(language):
    """No test name occurs among the training names of the language or of English."""
    seen = {normalise(n) for lang in (language, "eng-Latn") for n in names(lang, "train", "dev").values()}
    assert not seen & {normalise(n) for n in names(language, "test").values()}


@pytest.mark.parametrize("language", SOME)
def test_names_differ_from_english(language):
    """A name that is spelt as in English teaches nothing and is left out."""
    english = names("en")
    assert not [k for k, n in names(language).items() if k in english and normalise(n) == normalise(english[k])]


@pytest.mark.parametrize("language", [*SOME, "eng-Latn"])
def test_no_name_is_a_code_or_ambiguous(language):
    """Every name says something, and means one class only."""
    classes = {}
    for key, name in names(language).items():
        label, _, code = key.partition(":")
        assert normalise(name) != normalise(code)
        assert classes.setdefault(normalise(name), label) == label


def test_inherited_names_do_not_count():
    """What a locale takes over from its parent is not its own."""
    own = localedata.load("zh_Hant", merge_inherited=False)["territories"]
    assert all(key.partition(":")[2] in own for key in names("zh-Hant") if key.startswith("country:"))


def test_sizes_for_yoruba():
    """The splits have roughly two fifths, a twentieth and the rest of the names."""
    sizes = [len(cldr_examples("yo", split)) for split in SPLITS]
    assert [size / sum(sizes) for size in sizes] == pytest.approx([0.38, 0.06, 0.56], abs=0.03)
    assert sizes[2] >= MIN_TEST


def test_too_few_names_are_told_with_counts():
    """A language that the CLDR hardly knows is refused with what it has and what is needed."""
    with pytest.raises(DataError, match=r"too few names in Guarani \(grn-Latn\): \d+ countries and \d+ test names"):
        cldr_examples("gn", "test")


def test_a_language_unknown_to_the_cldr_has_none():
    """Without a locale all counts are zero."""
    assert (coverage("ban-Latn").country, coverage("ban-Latn").test) == (0, 0)


def test_unknown_splits_are_refused():
    """The splits are listed."""
    with pytest.raises(DataError, match="no split 'validation'; expected one of train, dev, test"):
        cldr_examples("yo", "validation")


def test_supported_languages_have_enough_names():
    """Well over a hundred languages qualify, English and regional variants not among them."""
    supported = cldr.supported()
    assert len(supported) > 120
    assert {"yor-Latn", "quy-Latn", "zho-Hans", "zho-Hant", "uzn-Cyrl"} <= set(cldr.languages())
    assert "eng-Latn" not in supported
    assert all(counts.country >= MIN_COUNTRIES and counts.test >= MIN_TEST for counts in supported.values())
