"""Mutations of JSON that know its structure: what is well-formed and not what was meant."""

import copy
import json

HOSTILE = [
    *(None, True, False, 0, 1, -1, 5, 10**18, -(10**18), 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "..", "../../outside", "/etc/passwd", "k1-draw0-seed1", "\x1b[31m", "<script>", "a" * 5000, "\ud800"),
    *([], {}, [[]], [None], [1, 2], ["x"], {"x": 1}, {"": None}, {"name": None}, [[[[[]]]]], {"a": {"b": {"c": []}}}),
]
"""Values that take the place of others."""


def paths_of(value, path=()):
    """The places within plain data, as tuples of keys and numbers; of the whole too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_of(item, (*path, key))


def mutated(value, rng):
    """Plain data with one to three places replaced, removed, repeated or renamed."""
    changed = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        path = rng.choice(list(paths_of(changed)))
        if not path:
            if rng.random() < 0.2:
                changed = copy.deepcopy(rng.choice(HOSTILE))
            continue
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        changed = _at(changed, parent, path[-1], rng)
    return changed


def _at(whole, parent, key, rng):
    """The whole, one thing in ``parent`` changed."""
    how = rng.choice(("replace", "replace", "replace", "remove", "rename", "swap"))
    if how == "replace":
        parent[key] = copy.deepcopy(rng.choice(HOSTILE))
    elif how == "remove":
        del parent[key]
    elif how == "rename" and isinstance(parent, dict):
        parent[rng.choice(("..", "../x", "", "x", "yor-Latn", "/etc/passwd"))] = parent.pop(key)
    elif isinstance(parent, list):
        parent.extend(copy.deepcopy(parent[:1]) * rng.choice((1, 100)))
    else:
        other = rng.choice(list(parent))
        parent[key], parent[other] = parent[other], parent[key]
    return whole


DEEP = b"[" * 100_000
"""Nested deeper than any stack."""


def mutated_text(text, rng):
    """The bytes of a JSON or JSONL file, changed in structure or below it."""
    how = rng.random()
    if how < 0.06:
        return rng.choice(
            (b"", b"{", b"[]", b"null", b"5", b"\xff\xfe{}", b'{"a":' * 1000, DEEP, b'{"a": 1' + b"0" * 5000 + b"}")
        )
    if how < 0.2:
        at = rng.randrange(max(1, len(text)))
        return rng.choice((text[:at], text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :], text[at:] + text[:at]))
    try:
        return _dumped(mutated(json.loads(text), rng))
    except ValueError:
        lines = text.splitlines()
        at = rng.randrange(len(lines))
        lines[at] = _dumped(mutated(json.loads(lines[at]), rng))
        return b"\n".join(lines) + b"\n"


def _dumped(value):
    """JSON as careless programs write it."""
    return json.dumps(value).encode()
