"""Language codes and their many spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lingraft.core.errors import DataError
from lingraft.data.languages import (
    INDIVIDUAL,
    aliases,
    among,
    canonical,
    cldr_locale,
    describe_unlisted,
    display_name,
    is_listed,
    recognised,
    related,
)


@pytest.mark.parametrize(
    "spelling", ["sw", "swa", "swh", "swh_Latn", "swh-Latn", "sw-Latn", "SW", "sw-KE", "Swahili", "kiswahili"]
)
def test_every_spelling_of_swahili_is_one_code(spelling):
    """Codes of two and three letters, with script or territory, and names mean one language."""
    assert canonical(spelling) == "swh-Latn"


@pytest.mark.parametrize(
    ("spelling", "code"),
    {
        "yo": "yor-Latn", "qu": "quy-Latn", "ar": "arb-Arab", "et": "est-Latn", "lv": "lvs-Latn", "ms": "zsm-Latn",
        "ne": "npi-Deva", "or": "ory-Orya", "fa": "pes-Arab", "ps": "pbt-Arab", "uz": "uzn-Latn", "az": "azj-Latn",
        "sq": "als-Latn", "mn": "khk-Cyrl", "yi": "ydd-Hebr", "mg": "plt-Latn", "om": "gaz-Latn", "ku": "kmr-Latn",
        "ay": "ayr-Latn", "gn": "grn-Latn", "no": "nob-Latn", "nb": "nob-Latn", "nn": "nno-Latn", "tl": "tgl-Latn",
        "zh": "zho-Hans", "cmn": "zho-Hans", "zh-TW": "zho-Hant", "zho-CN": "zho-Hans", "sh": "srp-Latn",
        "iw": "heb-Hebr", "ger": "deu-Latn", "mo": "ron-Latn", "tw": "twi-Latn", "quz": "quz-Latn", "ja": "jpn-Jpan",
        "ko": "kor-Kore", "am": "amh-Ethi", "toba_batak": "bbc-Latn", "Yorùbá": "yor-Latn", "日本語": "jpn-Jpan",
        "Traditional Chinese": "zho-Hant", "Ayacucho Quechua": "quy-Latn", "uz-Cyrl": "uzn-Cyrl",
    }.items(),
)  # fmt: skip
def test_codes_follow_flores(spelling, code):
    """Macrolanguages become the individual language of FLORES-200, old codes today's."""
    assert canonical(spelling) == code


@pytest.mark.parametrize("code", ["quy-Latn", "ayr-Latn", "ban-Latn", "ace-Arab", "wol-Latn", "qaa-Latn", "oto-Latn"])
def test_a_code_with_its_script_is_taken_as_it_is(code):
    """Three letters and a script suffice, also where the CLDR has never heard of the language."""
    assert canonical(code) == code


def test_every_canonical_code_is_canonical():
    """The table's languages map to themselves, once they have their code."""
    for macro in INDIVIDUAL:
        assert canonical(canonical(macro)) == canonical(macro)


def test_an_unknown_code_asks_for_the_script():
    """Where no script is known, the message shows how to write it."""
    with pytest.raises(DataError, match=r"'xyz': its script is not known.*xyz-Latn"):
        canonical("xyz")


@pytest.mark.parametrize("text", ["und-Latn", "und", "zxx", "mul_Cyrl", "mis-Latn", "Unknown language"])
def test_a_code_of_no_language_asks_for_a_language_or_a_name_of_its_own(text):
    """Two languages that nobody could name would be one, and nothing that lists know of one is true of it."""
    with pytest.raises(DataError, match=r"is no language \((und|zxx|mul|mis): .*such as x-mine"):
        canonical(text)
    assert recognised(text) is None


def test_a_misspelt_name_meets_its_neighbour():
    """The nearest name is offered with its code."""
    with pytest.raises(DataError, match=r"did you mean Swahili \(swh-Latn\)"):
        canonical("swahilli")


def test_an_unknown_script_is_refused():
    """Four letters are not yet a script."""
    with pytest.raises(DataError, match=r"unknown script 'Latm'.*did you mean Latn"):
        canonical("yor-Latm")


@given(st.text(max_size=12))
def test_any_text_is_a_code_or_a_clear_error(text):
    """Nothing but DataError comes out of a bad spelling, and results are stable."""
    try:
        code = canonical(text)
    except DataError:
        return
    assert canonical(code) == code


def test_display_names_are_english():
    """Names are the CLDR's, the script added only where it is unusual."""
    assert [display_name(c) for c in ("yo", "quy", "sr-Latn", "zh", "zh-Hant", "oto-Latn")] == [
        "Yoruba", "Ayacucho Quechua", "Serbian (Latin)", "Chinese", "Chinese (Traditional)", "oto",
    ]  # fmt: skip


def test_aliases_go_from_specific_to_vague():
    """The full code comes first, then bare codes, the macrolanguage's among them."""
    assert aliases("sw")[:5] == ("swh_Latn", "swh-Latn", "swh", "sw", "swa")


def test_aliases_know_territories_and_names():
    """Files called after a country's code or an English name are found as well."""
    assert {"zho-CN", "cmn", "zh"} <= set(aliases("zho-Hans"))
    assert {"batak_toba", "bbc"} <= set(aliases("bbc-Latn"))


def test_bare_codes_do_not_stand_for_an_unusual_script():
    """A file called zh is no traditional Chinese."""
    assert "zh" not in aliases("zho-Hant")
    assert {"zho_Hant", "zh-TW"} <= set(aliases("zho-Hant"))


@pytest.mark.parametrize("code", ["yor-Latn", "arb-Arab", "nob-Latn", "tgl-Latn", "als-Latn", "uzn-Cyrl"])
def test_aliases_never_repeat_and_mean_the_language(code):
    """Each alias occurs once, and stands for the language it is an alias of."""
    assert len(set(aliases(code))) == len(aliases(code))
    assert {canonical(alias) for alias in aliases(code)} == {code} or code == "uzn-Cyrl"


@pytest.mark.parametrize(
    ("code", "locale"),
    [("yor-Latn", "yo"), ("quy-Latn", "qu"), ("zho-Hans", "zh"), ("zho-Hant", "zh_Hant"), ("srp-Latn", "sr_Latn"),
     ("nob-Latn", "no"), ("tgl-Latn", "fil"), ("ban-Latn", None)],
)  # fmt: skip
def test_cldr_locales(code, locale):
    """A code leads to the locale that holds its data, or to none."""
    assert cldr_locale(code) == locale


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("kor-Hang", ("kor-Kore",)), ("ko", ("kor-Hang",)), ("ja", ("jpn-Hira", "jpn-Kana")),
        ("jpn-Hira", ("jpn-Jpan",)), ("zho-Hani", ("zho-Hans", "zho-Hant")), ("zh", ("zho-Hani",)),
        ("zho-Hant", ("zho-Hani",)), ("yor-Latn", ()), ("uzn-Cyrl", ()),
    ],
)  # fmt: skip
def test_scripts_that_contain_each_other_are_related(code, others):
    """Hangul is a part of how Korean is written; simplified and traditional characters are no part of each other."""
    assert related(code) == others


@pytest.mark.parametrize(
    ("withdrawn", "code"), [("ppr", "lcq-Latn"), ("kzj", "dtp-Latn"), ("mol", "ron-Latn"), ("prs", "prs-Arab")]
)
def test_withdrawn_codes_are_their_successors(withdrawn, code):
    """Those that ISO 639-3 merged into another, not those that are a variety of one elsewhere."""
    assert canonical(withdrawn) == code


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("x-mine", "x-mine"), ("qaa-x-mine", "qaa-x-mine"), ("QAA_x_Mine", "qaa-x-mine"),
        ("sw-x-coast", "swh-Latn-x-coast"),
        ("qtz-Latn-x-a-b1", "qtz-Latn-x-a-b1"), ("mylang", "mylang"), ("MyLang", "mylang"),
        ("mylang-arab", "mylang-Arab"),
        ("ourtongu", "ourtongu"),
    ],
)  # fmt: skip
def test_a_language_of_one_s_own_is_taken_as_it_is(spelling, code):
    """Private tags, and names that are nobody else's; they are files' names, too."""
    assert canonical(spelling) == canonical(canonical(spelling)) == code
    assert not is_listed(spelling)
    assert code in aliases(spelling)
    assert code.replace("-", "_") in aliases(spelling)
    assert (related(spelling), cldr_locale(spelling)) == ((), None)


def test_languages_of_one_s_own_are_named_as_they_are_written():
    """After the language that they are a variety of, where they say one."""
    assert [display_name(code) for code in ("mylang", "qaa-x-mine", "x-mine", "sw-x-coast", "mylang-Arab")] == [
        "mylang", "qaa-x-mine", "x-mine", "Swahili (coast)", "mylang-Arab",
    ]  # fmt: skip
    assert "mine" in aliases("qaa-x-mine")


@pytest.mark.parametrize(
    "spelling", ["yorubaa", "hause", "spansh", "igbp", "en-x-", "x-toolongaword", "mylang-Latm", "a b c"]
)
def test_a_slip_of_the_pen_is_no_language_of_one_s_own(spelling):
    """What is nearly a known name is refused, and so is what is no tag; the message shows how to write one."""
    with pytest.raises(DataError):
        canonical(spelling)
    with pytest.raises(DataError, match=r"x-NAME, such as x-mine"):
        canonical("yorubaa")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x-toolongsubtagname", r"'toolongsubtagname' after x- has 17 characters; expected 1 to 8"),
        ("swh-x-coast-farfarnorth", r"'farfarnorth' after x- has 11 characters; expected 1 to 8"),
        ("qaa_x_é", r"'é' after x- has 1 character; expected 1 to 8, letters a to z or digits, of each part"),
        ("en-x-", r"'' after x- has 0 characters"),
        ("mylanguagename", r"x-NAME, such as x-mine, with 1 to 8 letters or digits"),
    ],
)
def test_how_long_a_name_of_one_s_own_may_be_is_told(code, said):
    """Whoever is only told to write x-NAME has done so."""
    with pytest.raises(DataError, match=said):
        canonical(code)


@pytest.mark.parametrize(
    ("code", "listed"), [("yor-Latn", True), ("sr-Latn", True), ("quy", True), ("qaa-Latn", False)]
)
def test_what_lists_have_is_known(code, listed):
    """A well-formed code may be on none."""
    assert is_listed(code) is listed


@pytest.mark.parametrize(
    ("code", "known", "found"),
    [
        ("kor-Hang", ["eng-Latn", "kor-Kore"], "kor-Kore"), ("kor-Hang", ["kor-Hang", "kor-Kore"], "kor-Hang"),
        ("zho-Hani", ["zho-Hans", "zho-Hant"], "zho-Hani"), ("zho-Hani", ["zho-Hant"], "zho-Hant"),
        ("yor-Latn", ["kor-Kore"], "yor-Latn"),
    ],
)  # fmt: skip
def test_a_language_is_found_among_others_in_its_overlapping_script(code, known, found):
    """Itself first; not where two could be meant."""
    assert among(code, known) == found


@pytest.mark.parametrize("name", ["sw", "Kiswahili", " swh_Latn ", "x-mine", "mylang", "zh-TW", "sr-Cyrl"])
def test_what_is_a_language_is_recognised(name):
    """As what it is anywhere else."""
    assert recognised(name) == canonical(name)


@pytest.mark.parametrize("name", ["", "a whole sentence", "zz-Qqqq", "swh-Xyzw", "1276", "x-"])
def test_what_is_no_language_is_none(name):
    """Without an error, and without a search for what it may have been meant to be."""
    assert recognised(name) is None


def test_a_language_of_one_s_own_is_told():
    """In a sentence each; what lists have needs none."""
    (said,) = describe_unlisted(["eng-Latn", "mylang"])
    assert said.startswith("mylang: no list of languages has it")
