"""Names of countries, languages, currencies, scripts and cities in 143 languages, from the Unicode CLDR.

A task whose data every installation has: say of a name what it names. Babel carries the CLDR, whose
names people of each language contributed; they are the same things in all languages, so they are
parallel text as well. Only what a locale says itself counts, never what it inherits, and never a
name it spells as English does.

Nothing tested is seen in training, in any language: a thing belongs to ``train``, ``dev`` or ``test``
by a hash of its key, in all languages alike, and things that share an English name ("Singapore", city
and country) go together. Where one language calls two things alike, or as English calls another, the
later split loses the name. (Different things of the same name in two other languages remain, some 3 in
1,000: :func:`lingraft.data.sampling.remove_overlap` is for those.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from babel import localedata
from babel.core import get_global

from ..core.errors import DataError
from ..core.examples import PairExample
from . import languages as codes
from .no_language import NO_LANGUAGE
from .text import normalise

CLASSES = ("country", "language", "currency", "script", "city")
SPLITS = ("train", "dev", "test")
SHARES = (36, 6, 58)
"""Percentages of the keys in ``SPLITS``."""

MIN_COUNTRIES = 150
MIN_TEST = 200

NO_COUNTRY = frozenset({"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"})
NOT_ONE = {*NO_LANGUAGE, "root"}
NO_CURRENCY = frozenset({"XTS", "XXX"})
NO_SCRIPT = frozenset({"Zinh", "Zmth", "Zsye", "Zsym", "Zxxx", "Zyyy", "Zzzz"})
"""Keys that name a grouping, a placeholder or nothing, not one thing of the class."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many names a language has.

    By class, those that differ from English; by split, those of them that can be used, being of one
    class only and seen in no earlier split.
    """

    country: int
    language: int
    currency: int
    script: int
    city: int
    train: int
    dev: int
    test: int

    @property
    def enough(self) -> bool:
        """Whether the language can be evaluated on."""
        return self.country >= MIN_COUNTRIES and self.test >= MIN_TEST


def cldr_examples(language: str, split: str) -> list[PairExample]:
    """Return the names of one split in one language, labelled with their class.

    ``id`` and ``group`` are ``<class>:<key>``, such as ``country:NG``, the same in all languages.

    Args:
        language: Any spelling that :func:`languages.canonical` knows.
        split: ``train``, ``dev`` or ``test``.

    Raises:
        DataError: There is no such split, or the CLDR has too few names in the language.
    """
    if split not in SPLITS:
        raise DataError(f"the CLDR names have no split {split!r}; expected one of {', '.join(SPLITS)}")
    code = codes.canonical(language)
    counts = coverage(code)
    if not counts.enough:
        raise DataError(
            f"the CLDR has too few names in {codes.display_name(code)} ({code}): {counts.country} countries and "
            f"{counts.test} test names that differ from English, {MIN_COUNTRIES} and {MIN_TEST} are needed; use "
            "another task or another language"
        )
    return [
        PairExample(id=key, group=key, language=code, text_a=name, label=key.partition(":")[0])
        for key, name in _split_names(code)[split].items()
    ]


def coverage(language: str) -> Counts:
    """Count the names of a language; all zero where the CLDR does not know it."""
    code = codes.canonical(language)
    splits = _split_names(code)
    labels = [key.partition(":")[0] for key in _names(code)]
    return Counts(
        **{label: labels.count(label) for label in CLASSES}, **{split: len(splits[split]) for split in SPLITS}
    )


@cache
def supported() -> Mapping[str, Counts]:
    """Return the languages with enough names, except English, with their counts; reads every locale once."""
    found = {}
    for code in sorted({c for locale in localedata.locale_identifiers() if (c := _own_code(locale))}):
        counts = coverage(code)
        if counts.enough:
            found[code] = counts
    return MappingProxyType(found)


def languages() -> list[str]:
    """Return canonical codes of the languages with enough names, sorted."""
    return list(supported())


def _own_code(locale: str) -> str | None:
    """Return the code that a locale is the data of; ``None`` for regional variants and for English."""
    language, _, rest = locale.partition("_")
    if language == "en" or (rest and len(rest) != 4):
        return None
    try:
        code = codes.canonical(locale)
    except DataError:
        return None
    return code if codes.cldr_locale(code) == locale else None


@cache
def _split_names(code: str) -> Mapping[str, Mapping[str, str]]:
    """Split -> key -> name in a language, without ambiguous names."""
    splits: dict[str, dict[str, str]] = {split: {} for split in SPLITS}
    for key, name in _unambiguous(_names(code)).items():
        splits[_split_of(key)][key] = name
    # Two things may share a name in one language only ("Kongo"): what was seen is not tested on.
    seen: set[str] = set()
    for split in SPLITS:
        foreign = set() if split == "train" else _english_seen(split)
        splits[split] = {k: n for k, n in splits[split].items() if normalise(n) not in seen | foreign}
        seen.update(normalise(n) for n in splits[split].values())
    return splits


@cache
def _english_seen(split: str) -> frozenset[str]:
    """Return the English names of the splits before ``split``."""
    before = SPLITS[: SPLITS.index(split)]
    return frozenset(normalise(name) for key, name in _english().items() if _split_of(key) in before)


@cache
def _names(code: str) -> Mapping[str, str]:
    """Return key -> name: the locale's own and unlike English; for English all there are."""
    english = _english()
    if code == "eng-Latn":
        return english
    locale = codes.cldr_locale(code)
    own = () if locale is None else _own_names(locale)
    return {k: name for k, name in own if k in english and normalise(name) != normalise(english[k])}


def _unambiguous(names: Mapping[str, str]) -> dict[str, str]:
    """Leave out the names that occur under two classes."""
    classes: dict[str, set[str]] = defaultdict(set)
    for key, name in names.items():
        classes[normalise(name)].add(key.partition(":")[0])
    return {key: name for key, name in names.items() if len(classes[normalise(name)]) == 1}


@cache
def _english() -> Mapping[str, str]:
    """Return key -> English name of everything there is."""
    names = dict(_own_names("en"))
    # English names few cities; the CLDR's root and the zone's identifier give the others.
    for key, name in _own_names("root"):
        names.setdefault(key, name)
    for zone in _zones():
        names.setdefault(f"city:{zone}", zone.rpartition("/")[2].replace("_", " "))
    return MappingProxyType(dict(sorted(names.items())))


def _own_names(locale: str) -> Iterator[tuple[str, str]]:
    """Yield key and name of all that a locale itself names, sorted by key within a class."""
    data = localedata.load(locale, merge_inherited=False)
    tables: dict[str, Mapping[str, Any]] = {
        "country": {k: v for k, v in data.get("territories", {}).items() if len(k) == 2 and k not in NO_COUNTRY},
        "language": {k: v for k, v in data.get("languages", {}).items() if k.isalpha() and k not in NOT_ONE},
        "currency": {k: v for k, v in data.get("currency_names", {}).items() if k not in NO_CURRENCY},
        "script": {k: v for k, v in data.get("scripts", {}).items() if k not in NO_SCRIPT},
        "city": _cities(data.get("time_zones", {})),
    }
    for label, table in tables.items():
        for key, name in sorted(table.items()):
            # Babel's aliases point into other locales, and a name that is its own code is none.
            if isinstance(name, str) and name.strip() and normalise(name) != normalise(key):
                yield f"{label}:{key}", name.strip()


def _cities(time_zones: Mapping[str, Any]) -> dict[str, Any]:
    """Return zone -> name of its city, under the zone's present identifier (``Asia/Kolkata``)."""
    aliases = get_global("zone_aliases")
    present = {aliases.get(zone, zone): names.get("city") for zone, names in time_zones.items()}
    present |= {zone: names.get("city") for zone, names in time_zones.items() if zone not in aliases}
    return {zone: city for zone, city in present.items() if zone in _zones()}


@cache
def _zones() -> frozenset[str]:
    return frozenset(zone for zone in get_global("zone_territories") if "/" in zone and not zone.startswith("Etc/"))


def _split_of(key: str) -> str:
    share = int.from_bytes(sha256(_representative(key).encode()).digest()[:8], "big") % 100
    for split, limit in zip(SPLITS, (SHARES[0], SHARES[0] + SHARES[1]), strict=False):
        if share < limit:
            return split
    return SPLITS[-1]


def _representative(key: str) -> str:
    return _representatives().get(key, key)


@cache
def _representatives() -> Mapping[str, str]:
    """Return key -> the first of the keys that share its English name; each key has one, so no chains arise."""
    first: dict[str, str] = {}
    return {key: first.setdefault(normalise(name), key) for key, name in _english().items()}
