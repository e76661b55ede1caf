"""Language codes: ISO 639-3 and script, as in ``yor-Latn``, and every other way people spell them.

Files and data sets say ``sw``, ``swa``, ``swh_Latn`` or "Swahili" and mean one language. Which codes of two
and three letters are the same is known to langcodes; names, usual scripts and territories are those of the Unicode
CLDR, through Babel, which says so where no script is usual. What neither has an opinion on is one small table, from
macrolanguages to the individual language that FLORES-200 and SIB-200 (Adelani et al., 2024) chose for them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cache, lru_cache

from babel import Locale, localedata
from babel.core import get_global
from langcodes import Language

from ..core.counted import counted
from ..core.errors import DataError
from .no_language import refuse_no_language
from .private_tags import LISTED, NAME, TAG, is_private, private_spellings, wrong_part
from .text import normalise

INDIVIDUAL = {
    "ara": "arb",
    "aym": "ayr",
    "aze": "azj",
    "din": "dik",
    "fas": "pes",
    "ful": "fuv",
    "kau": "knc",
    "kur": "kmr",
    "lav": "lvs",
    "mlg": "plt",
    "mon": "khk",
    "msa": "zsm",
    "nep": "npi",
    "nor": "nob",
    "ori": "ory",
    "orm": "gaz",
    "pus": "pbt",
    "que": "quy",
    "sqi": "als",
    "swa": "swh",
    "uzb": "uzn",
    "yid": "ydd",
    # FLORES keeps these at the wider code, whichever variety a file names.
    "cmn": "zho",
    "ekk": "est",
    "fil": "tgl",
    "gug": "grn",
}
"""Macrolanguage -> the individual language of FLORES-200; last, other codes -> the one FLORES uses."""

MACROLANGUAGE = {individual: macro for macro, individual in INDIVIDUAL.items()}

SCRIPT_PARTS = {"Kore": ("Hang",), "Jpan": ("Hira", "Kana"), "Hani": ("Hans", "Hant")}
"""Scripts that are written with others beside Chinese characters, or are either form of these, and those others."""

EXTRA_NAMES = {"ayr": "Central Aymara", "nij": "Ngaju", "quy": "Ayacucho Quechua", "twi": "Twi"}
"""English names that CLDR does not have."""

REMEMBERED = 10_000
"""Names and codes whose meaning is kept at a time: a server may be asked for any."""

CODE = re.compile(
    r"(?P<language>[a-z]{2,3})(?:[-_](?P<script>[a-z]{4}))?(?:[-_](?P<territory>[a-z]{2}|\d{3}))?", re.IGNORECASE
)


@lru_cache(REMEMBERED)
def canonical(code: str) -> str:
    """Return the ISO 639-3 and script code for a code or name in any usual spelling.

    Args:
        code: ``sw``, ``swh``, ``swh_Latn``, ``sw-Latn``, ``sw-KE``, "Swahili" or "Kiswahili"; letter
            case does not matter.

    Returns:
        E.g. ``swh-Latn``. A language that no list has may have a private tag (``x-mine``, ``qaa-x-mine``,
        ``swh-x-coast``), or a name of five to eight letters that is not nearly another's; it stays as it is.

    Raises:
        DataError: The language is unknown (the nearest known one is offered), or its script must be
            given.
    """
    text = code.strip()
    if private := TAG.fullmatch(text):
        return _from_private(private["base"], private["own"])
    if (listed := _listed(text)) is not None:
        return listed
    found = CODE.fullmatch(text)
    if found and len(found["language"]) == 3:
        raise DataError(
            f"language {code!r}: its script is not known; write it with the code, such as {found['language']}-Latn"
        )
    if (own := NAME.fullmatch(text)) and not _is_nearly_known(own["name"]):
        script = _checked_script(own["script"], text) if own["script"] else None
        return "-".join(filter(None, [own["name"].lower(), script]))
    if (part := wrong_part(text)) is not None:
        raise DataError(
            f"language {code!r}: {part!r} after x- has {counted(len(part), 'character')}; expected 1 to 8, letters a "
            "to z or digits, of each part, such as x-mine or x-mine-north"
        )
    raise DataError(
        f"unknown language {code!r}; {_nearest(text)} A language that no list has is written x-NAME, such as x-mine, "
        "with 1 to 8 letters or digits"
    )


def _listed(text: str) -> str | None:
    """Return the code of a language that lists have, None where they have none.

    Raises:
        DataError: They say with it that it is no one language, or that nobody knows which.
    """
    found, key = CODE.fullmatch(text), _name_key(text)
    code = _from_code(found["language"], found["script"], found["territory"], text) if found else None
    code = code or _english_names().get(key) or _native_names().get(key)
    language = found["language"].lower() if found else (code or "")[:3]
    refuse_no_language(language, text)
    return code


def recognised(name: str) -> str | None:
    """Return the code of a language in any spelling, None for anything else.

    As :func:`canonical`, but it looks for no language that is nearly called so: that takes time, and this is asked of
    whatever stands in a file, such as each column's name. A name of one's own is recognised whatever it is near to.
    """
    text = name.strip()
    try:
        if TAG.fullmatch(text):
            return canonical(text)
        if (listed := _listed(text)) is not None:
            return listed
        own = NAME.fullmatch(text)
        script = _checked_script(own["script"], text) if own and own["script"] else None
        return "-".join(filter(None, [own["name"].lower(), script])) if own else None
    except DataError:
        return None


@lru_cache(REMEMBERED)
def display_name(code: str) -> str:
    """Return the English name of a language, with its script where that is not the usual one.

    >>> display_name("yor-Latn"), display_name("srp-Latn")
    ('Yoruba', 'Serbian (Latin)')
    """
    if is_private(canonical(code)):
        base, _, own = canonical(code).partition("-x-")
        return f"{display_name(base)} ({own})" if LISTED.fullmatch(base) else canonical(code)
    language, _, script = canonical(code).partition("-")
    names = Locale("en").languages
    name = EXTRA_NAMES.get(language) or next((names[c] for c in _cldr_codes(language) if c in names), language)
    if script == (_usual_script(language) or script):
        return str(name)
    return f"{name} ({Locale('en').scripts.get(script, script)})"


@lru_cache(REMEMBERED)
def aliases(code: str) -> tuple[str, ...]:
    """Return spellings of a language to try in file names, most specific first.

    Codes without a script are left out where the script is not the usual one: ``zh`` is no name for
    traditional Chinese.

    >>> aliases("swh-Latn")[:5]
    ('swh_Latn', 'swh-Latn', 'swh', 'sw', 'swa')
    """
    if is_private(canonical(code)):
        return private_spellings(canonical(code))
    language, _, script = canonical(code).partition("-")
    bare = _spellings(language)
    usual = script == (_usual_script(language) or script)
    scripted = [f"{c}{mark}{script}" for c in bare for mark in "_-"]
    territorial = [f"{c}{mark}{t}" for t in _territories(language, script) for c in bare for mark in "-_"]
    name = display_name(code).casefold()
    names = [name, name.replace(" ", "_")] if usual else []
    first, rest = scripted[:2], scripted[2:]
    return tuple(dict.fromkeys([*first, *(bare if usual else ()), *rest, *territorial, *names]))


@lru_cache(REMEMBERED)
def related(code: str) -> tuple[str, ...]:
    """Codes of the same language in a script that this one's contains, or that contains it.

    >>> related("kor-Hang"), related("zho-Hani"), related("zho-Hans")
    (('kor-Kore',), ('zho-Hans', 'zho-Hant'), ('zho-Hani',))
    """
    language, _, script = canonical(code).partition("-")
    wider = [whole for whole, parts in SCRIPT_PARTS.items() if script in parts]
    return tuple(f"{language}-{other}" for other in (*SCRIPT_PARTS.get(script, ()), *wider))


def among(code: str, known: Collection[str]) -> str:
    """Return the one of several codes that a language is: itself, or it in the one script that overlaps with its own.

    Args:
        code: Canonical.
        known: Canonical codes. With none of these ``code`` comes back.

    >>> among("kor-Hang", ["eng-Latn", "kor-Kore"])
    'kor-Kore'
    """
    others = [other for other in related(code) if other in known] if code not in known else []
    return others[0] if len(others) == 1 else code


@lru_cache(REMEMBERED)
def cldr_locale(code: str) -> str | None:
    """Return Babel's locale identifier for a language, such as ``yo``, or ``None`` where CLDR has none."""
    language, _, script = canonical(code).partition("-")
    if is_private(canonical(code)):
        return None
    for base in _cldr_codes(language):
        if script == _likely(base)[1] and localedata.exists(base):
            return base
        if localedata.exists(f"{base}_{script}"):
            return f"{base}_{script}"
    return None


def is_listed(code: str) -> bool:
    """Return whether a language has a name in the lists that are known here."""
    return not is_private(canonical(code)) and display_name(code) != canonical(code).partition("-")[0]


def describe_unlisted(codes: Iterable[str]) -> list[str]:
    """Say which of some languages nobody has on a list: they may be misspelt, too."""
    return [
        f"{code}: no list of languages has it, so it is taken as a language of your own, spelt so in files as well"
        for code in codes
        if not is_listed(code)
    ]


def _from_private(base: str | None, own: str) -> str:
    """Return the code of a private tag: the language's own before it, where that is known."""
    own = own.replace("_", "-").lower()
    if base is None:
        return f"x{own}"
    try:
        return f"{canonical(base)}-x{own}"
    except DataError:
        if len(base) == 3:  # a code that needs no script here, for what it is written in is private as well
            return f"{base.lower()}-x{own}"
        raise


def _checked_script(script: str, text: str) -> str:
    found = script.title()
    if found not in Locale("en").scripts:
        raise DataError(f"unknown script {found!r} in language {text!r}; {_nearest_script(found)}")
    return found


def _is_nearly_known(name: str) -> bool:
    """Return whether a name is rather a slip of the pen: at most one letter in five is another."""
    known = {**_native_names(), **_english_names()}
    return bool(difflib.get_close_matches(_name_key(name), known, n=1, cutoff=0.8))


def _from_code(language: str, script: str | None, territory: str | None, text: str) -> str | None:
    """Return the canonical code, ``None`` where the parts are no known code."""
    three, implied = _three_letters(language.lower())
    if three is None:
        return None
    script = script or implied
    three = INDIVIDUAL.get(three, three)
    if script is not None:
        script = _checked_script(script, text)
    elif territory is not None:
        script = next((s for base in _cldr_codes(three) if (s := _likely(f"{base}_{territory.upper()}")[1])), None)
    script = script or _usual_script(three)
    return f"{three}-{script}" if script else None


def _usual_script(language: str) -> str | None:
    return next((s for base in _cldr_codes(language) if (s := _likely(base)[1])), None)


def _territories(language: str, script: str) -> list[str]:
    """Return where this language is written in this script: ``TW`` for ``zho``, ``Hant``."""
    for base in _cldr_codes(language):
        for tag in (f"{base}_{script}", base):
            _, likely_script, territory = _likely(tag)
            if likely_script == script and territory:
                return [territory]
    return []


def _likely(tag: str) -> tuple[str, str | None, str | None]:
    """Return language, script and territory that CLDR supposes for a partial tag; ``None`` where unknown."""
    language, *rest = get_global("likely_subtags").get(tag, tag).split("_")
    script = next((part for part in rest if len(part) == 4), None)
    territory = next((part for part in rest if len(part) != 4), None)
    return language, script, territory


@lru_cache(REMEMBERED)
def _cldr_codes(language: str) -> tuple[str, ...]:
    """Return codes under which CLDR may file a three-letter code, best first: ``nob`` -> ``no``, ``nob``, ``nb``."""
    found = []
    for code in (MACROLANGUAGE.get(language), language):
        if code is not None:
            # `aliases` maps `swc` to `sw_CD`: only the language is of interest, unless that is a locale.
            alias = get_global("language_aliases").get(code, code)
            found += [alias, code, alias.partition("_")[0]]
    return tuple(dict.fromkeys(found))


@lru_cache(REMEMBERED)
def _three_letters(code: str) -> tuple[str | None, str | None]:
    """Return a bare code's three letters (ISO 639-2/T), None where nobody knows it; and the script that it implies.

    What replaces a code of a territory or of a script alone, as ``fa-AF`` does ``prs``, is not the same language.
    """
    modern = Language.get(code)
    if len(code) == 3 and (modern.territory or modern.script):
        return code, None
    try:
        return modern.to_alpha3(), modern.script
    except LookupError:
        return None, None


@lru_cache(REMEMBERED)
def _spellings(language: str) -> tuple[str, ...]:
    """Return bare codes of one language: its own first, then two-letter ones, then the macrolanguage's."""
    known = {language}
    replaced = get_global("language_aliases")
    for code in (*replaced, *replaced.values(), *INDIVIDUAL):
        if len(code) in (2, 3) and (found := _from_code(code, None, None, code)) and found[:3] == language:
            known.add(code)
    preferred = _cldr_codes(language)
    return tuple(sorted(known, key=lambda c: (c != language, len(c) != 2, c not in preferred, c)))


def _name_key(name: str) -> str:
    """Return a name as it is looked up: "Toba Batak" and ``batak_toba`` are one, "Yorùbá" and "Yoruba" too."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", normalise(name)) if not unicodedata.combining(c))
    return " ".join(sorted(re.findall(r"[^\W_]+", plain)))


@cache
def _english_names() -> dict[str, str]:
    return _named([*((code, name) for code, name in Locale("en").languages.items()), *EXTRA_NAMES.items()])


@cache
def _native_names() -> dict[str, str]:
    """Return each language's name for itself; reads every locale once."""
    return _named(_autonyms())


def _autonyms() -> Iterator[tuple[str, str]]:
    for locale in localedata.locale_identifiers():
        if "_" not in locale:
            name = localedata.load(locale, merge_inherited=False).get("languages", {}).get(locale)
            if isinstance(name, str):
                yield locale, name


def _named(names: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> dict[str, str]:
    candidates: dict[str, list[str]] = defaultdict(list)
    for code, name in names:
        found = CODE.fullmatch(code)
        if found and not found["territory"]:
            parsed = _from_code(found["language"], found["script"], None, code)
            if parsed:
                candidates[_name_key(name)].append(parsed)
    # A name that several languages share goes to the first, which CLDR lists under the shorter code.
    return {key: found[0] for key, found in candidates.items() if key}


def _nearest(text: str) -> str:
    known = {**_native_names(), **_english_names()}
    codes = {alias: c for c in known.values() for alias in (c[:3], c)}
    nearest = difflib.get_close_matches(_name_key(text), known, n=1, cutoff=0.7)
    if nearest:
        found = known[nearest[0]]
        return f"did you mean {display_name(found)} ({found})?"
    nearest = difflib.get_close_matches(text.casefold(), codes, n=1, cutoff=0.6)
    if nearest:
        found = codes[nearest[0]]
        return f"did you mean {found} ({display_name(found)})?"
    return "give an English name or an ISO 639-3 code with script, such as yor-Latn."


def _nearest_script(script: str) -> str:
    names = Locale("en").scripts
    nearest = difflib.get_close_matches(script, names, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]}?" if nearest else "scripts have four letters (ISO 15924), such as Latn or Arab"
