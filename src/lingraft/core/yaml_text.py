"""YAML in and out: plain data, within bounds that no recipe comes near, or one line that says where it is wrong.

Text is measured before anything is made of it: aliases count as what they stand for, so that a few lines cannot
unfold into gigabytes, and none may stand for what it is a part of. Dates stay text, and there are no tags: what comes
out are keys and values, lists, texts, numbers, true, false and null.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.reader import ReaderError

from .errors import ConfigError, shown
from .nearest_file import suggest_file
from .yaml_mistakes import explain_mistake

STANDARD_INPUT = Path("-")

MAX_CHARACTERS = 200_000
"""The longest recipes of ours have four thousand."""

TOO_LONG = f"has more than {MAX_CHARACTERS:,} characters, which no recipe has; is this another file?"

MAX_DEPTH = 32
"""Keys within keys; a recipe has five or six."""

MAX_VALUES = 10_000
"""Keys, values and list items, aliases unfolded; a long text counts as several."""

CHARACTERS_OF_A_VALUE = 100

LONGEST_NUMBER = 100
"""Characters; no setting needs twenty."""

NOT_YAML = (YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What ruamel raises: its own errors, and those of Python's conversions, as of `-_`, which looks like a number."""


class _PlainConstructor(SafeConstructor):
    """Makes plain data: a date that nobody put into quotes was meant as text."""


_PlainConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def read_yaml_file(path: Path, suits: Callable[[Path], bool] = lambda path: True) -> Any:
    """Return what a file of YAML says, see :func:`load_yaml`; no more of it is read than the bounds allow.

    Args:
        path: The file; ``-`` is standard input.
        suits: Where there is none, which files of near names are rather meant than others.

    Raises:
        ConfigError: It cannot be read, is no UTF-8, or no YAML within the bounds.
    """
    try:
        with _opened(path) as stream:
            found = stream.read(4 * MAX_CHARACTERS + 1)
        if len(found) > 4 * MAX_CHARACTERS:
            raise ConfigError([TOO_LONG], name_of(path))
        text = found.decode("utf-8-sig")
    except FileNotFoundError:
        near = suggest_file(path, suits)
        cure = f"{near} Or write one with" if near else "write one with"
        raise ConfigError([f"there is no file {path}; {cure}: lingraft init {path}"], name_of(path)) from None
    except IsADirectoryError:
        raise ConfigError([f"{path} is a folder; give the recipe file itself"], name_of(path)) from None
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}"], name_of(path)) from None
    except UnicodeDecodeError as error:
        problem = f"{name_of(path)} is not UTF-8 (byte {error.start}); save it as UTF-8"
        raise ConfigError([problem], name_of(path)) from None
    return load_yaml(text, name_of(path))


def name_of(path: Path) -> str:
    """Return what messages call a file of YAML."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open a file, or take standard input, which stays open.

    Raises:
        ConfigError: Standard input is closed.
    """
    if path != STANDARD_INPUT:
        return path.open("rb")
    if sys.stdin is None:
        raise ConfigError(["standard input is closed; give a recipe file"], name_of(path))
    return nullcontext(sys.stdin.buffer)


def load_yaml(text: str, where: str) -> Any:
    """Return what YAML 1.2 says, in which `no` is Norwegian and not false, as plain data.

    Args:
        text: The YAML.
        where: Its file, for messages.

    Raises:
        ConfigError: It is no YAML, or beyond the bounds; with its line, and what was likely meant.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError([TOO_LONG], where)
    try:
        _measure(_yaml().parse(text))
        return _yaml().load(text)
    except _BeyondBoundsError as error:
        raise ConfigError([str(error)], where) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            [f"line {line}: has the control character {int(error.character):#04x}, which YAML refuses; remove it"],
            where,
        ) from None
    except MarkedYAMLError as error:
        raise ConfigError([explain_mistake(error, text)], where) from None
    except NOT_YAML as error:
        raise ConfigError([f"cannot be read as YAML: {shown(str(error))}"], where) from None


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    yaml.Constructor = _PlainConstructor
    yaml.composer.warn_double_anchors = False  # the last one counts, and nobody reads warnings of a library
    return yaml


class _BeyondBoundsError(Exception):
    """YAML that is larger than any recipe, or loops."""


def _measure(events: Iterable[Any]) -> None:
    """Refuse YAML, from its events, that would unfold into too much.

    Raises:
        _BeyondBoundsError: It would, or it has a tag.
    """
    total, begun = 0, list[tuple[str | None, int]]()  # anchor of each open list or mapping, values before it
    sizes: dict[str | None, int] = {}
    for event in events:
        at = f"line {event.start_mark.line + 1}: "
        if getattr(event, "tag", None) not in (None, "!"):
            raise _BeyondBoundsError(
                f"{at}has the tag {shown(str(event.tag))}; recipes have none, write the value alone"
            )
        if isinstance(event, ScalarEvent) and event.implicit[0] and len(event.value) > LONGEST_NUMBER:
            _refuse_number(at, event.value)
        if isinstance(event, CollectionEndEvent):
            anchor, before = begun.pop()
            sizes[anchor] = total - before
            continue
        if isinstance(event, AliasEvent) and any(anchor == event.anchor for anchor, _ in begun):
            raise _BeyondBoundsError(f"{at}*{event.anchor} stands for something that it is a part of; write it out")
        if isinstance(event, CollectionStartEvent):
            begun.append((event.anchor, total))
        total += _size(event, sizes)
        _refuse_large(at, len(begun), total)


def _size(event: Any, sizes: dict[str | None, int]) -> int:
    """Return how much a value counts; that of a text with an anchor is kept in ``sizes``, as those of lists are."""
    if isinstance(event, AliasEvent):
        return sizes.get(event.anchor, 1)
    if isinstance(event, ScalarEvent):
        sizes[event.anchor] = 1 + len(event.value) // CHARACTERS_OF_A_VALUE
        return sizes[event.anchor]
    return int(isinstance(event, CollectionStartEvent))


def _refuse_number(at: str, value: str) -> None:
    """Refuse what Python would not make a number of, or only in a long time, and without saying where it stood."""
    if value.strip("+-").replace("_", "").isdecimal():
        raise _BeyondBoundsError(f"{at}has a number of {len(value):,} digits; write a shorter one, or text in quotes")


def _refuse_large(at: str, depth: int, total: int) -> None:
    if depth > MAX_DEPTH:
        raise _BeyondBoundsError(f"{at}is more than {MAX_DEPTH} levels deep; a recipe has five or six")
    if total > MAX_VALUES:
        raise _BeyondBoundsError(
            f"{at}with this line there are more than {MAX_VALUES:,} values, aliases counted as what they stand for; a "
            "recipe has a hundred"
        )


def as_yaml(values: Mapping[str, Any]) -> str:
    """Return plain data as YAML 1.2, in which `no` is Norwegian and not false."""
    yaml, stream = YAML(typ="safe", pure=True), io.StringIO()
    yaml.version = (1, 2)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 120
    yaml.dump(values, stream)
    return stream.getvalue()
