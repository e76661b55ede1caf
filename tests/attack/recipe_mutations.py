"""Mutations of a recipe as plain data: wrong kinds, numbers without bounds, depth, strange keys, strange texts."""

import copy
import datetime
import json
import math


def _deep(levels):
    found = "end"
    for _ in range(levels):
        found = {"a": [found]}
    return found


def _endless():
    found = []
    found.append(found)
    return found


NUMBERS = [
    *(0, 1, -1, 2, 3.7, 0.5, -0.0, 1e-300, 1e300, -1e300, 2**31, 2**63, -(2**63), 10**400, -(10**400), 10**5000),
    *(math.nan, math.inf, -math.inf, 99, 1000, 65_536),
]
TEXTS = [
    *("", " ", "x", "auto", "null", "all", "1e5", "-1", "x" * 5000, "\ud800", "a\udcffb", "\0", "\x1b[31m", "[/b]"),
    *("<script>", "{language}", "{language", "{0}", "%s", "../..", "/dev/zero", "/dev/null", "~nobody/x", "a" * 300),
    *("input", "lora", "eng-Latn", "yor-Latn", "xx", "zzz-Zzzz", "classification", "tagging", "span_qa", "choice"),
    *("bundled:", "bundled:x", "cuda", "float16", "2001-01-01", "é" * 100, "\u202eabc", "\n", "a\nb: c", "*x", "&x"),
]
SHAPES = [
    *(None, True, False, [], [[]], {}, [None], {"name": None}, {"name": []}, {"name": "x"}, [{"name": "mse"}] * 50),
    *(_deep(5), _deep(40), _deep(100), list(range(2000)), {str(i): i for i in range(2000)}, {"": ""}, ["x"] * 300),
]
OBJECTS = [b"bytes", datetime.date(2001, 1, 1), {1, 2}, object(), _endless(), (1, 2), {None: 1}, {(1, 2): 3}, 1j, len]
"""What only Python can give."""


def places(values, path=()):
    """Paths of all that is in a recipe, keys and list items; what contains itself ends somewhere."""
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items if len(path) < 60 else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def mutated_values(values, rng, *, objects=False):
    """A copy of a recipe with one to three values, keys or blocks that are something else."""
    found = copy.deepcopy(values)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if known := list(places(found)):
            rng.choice(CHANGES)(found, rng.choice(known), rng, objects)
    return found


def strange(rng, objects):
    """Something that is rarely what was meant."""
    kinds = [NUMBERS, NUMBERS, TEXTS, TEXTS, SHAPES, *([OBJECTS] * objects)]
    return copy.deepcopy(rng.choice(rng.choice(kinds)))


def parent_of(values, path):
    """What holds the value at the end of a path."""
    for key in path[:-1]:
        values = values[key]
    return values


def replace_value(values, path, rng, objects):
    """A value that is another."""
    parent_of(values, path)[path[-1]] = strange(rng, objects)


def remove_value(values, path, rng, objects):
    """A value that is missing."""
    del parent_of(values, path)[path[-1]]


def wrap_value(values, path, rng, objects):
    """A value that is in a list, or under a key."""
    holder = parent_of(values, path)
    holder[path[-1]] = rng.choice(([holder[path[-1]]] * rng.choice((1, 2, 500)), {"name": holder[path[-1]]}))


def rename_key(values, path, rng, objects):
    """A key that nobody knows, or one of elsewhere."""
    holder = parent_of(values, path)
    if isinstance(holder, dict):
        key = rng.choice((f"{path[-1]}x", str(path[-1])[:-1], *TEXTS, rng.choice(list(places(values)))[-1], "name"))
        holder[key] = holder.pop(path[-1])


def add_key(values, path, rng, objects):
    """A key more."""
    holder = parent_of(values, path)
    if isinstance(holder, dict):
        key = rng.choice((rng.choice(list(places(values)))[-1], *TEXTS, "layer", "start", "folders", "text", "init"))
        holder[key] = strange(rng, objects)


def move_value(values, path, rng, objects):
    """A value that is somewhere else as well."""
    other = rng.choice(list(places(values)))
    parent_of(values, path)[path[-1]] = copy.deepcopy(parent_of(values, other)[other[-1]])


CHANGES = (replace_value, replace_value, replace_value, remove_value, wrap_value, rename_key, add_key, move_value)


def as_yaml(values):
    """Plain data as YAML, of which JSON is a part, with numbers that JSON has not."""
    text = json.dumps(values, skipkeys=True)
    return text.replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")
