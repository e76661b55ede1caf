"""Pseudo-data on disk: ``NAME.jsonl`` with an example a line, ``NAME.json`` with what was made of what.

Each language and draw is a lot, made and kept by itself, so what was stopped goes on with the next lot. The examples
of a lot have a digest in the second file, which is written last: what is not in it is not finished. Before anything is
made it is there without a lot, so that files without one are known to be somebody else's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter

from ..core.errors import RunError
from ..core.examples import Example, as_json, from_json
from ..core.files import read_lines, read_object, write_json, write_lines
from ..core.json_text import to_json
from ..core.shots import Shots
from ..results.pseudo_schemas import PSEUDO
from ..results.schemas import Count, Model
from .filtering import Rejected, Step
from .making import Made

FORMAT = 1


class Row(Model):
    """What a line says beside its example."""

    language: str
    draw: Count = 0
    k: Count | Literal["all"] | None = None


ROW: TypeAdapter[Row] = TypeAdapter(Row)


class Lot(NamedTuple):
    """What is made together: for a language in a draw; ``k`` where shots were asked for, of which there are others."""

    language: str
    draw: int
    k: Shots | None = None


def write_lots(path: Path, lots: Mapping[Lot, Made]) -> None:
    """Write all lots, examples first.

    Args:
        path: Of the examples, with the suffix ``.jsonl``.
        lots: What was made, in order.
    """
    rows = {lot: [_row(lot, example) for example in made.examples] for lot, made in lots.items()}
    about = [_about(lot, made) | {"digest": _digest(rows[lot])} for lot, made in lots.items()]
    if not path.with_suffix(".json").exists():
        write_json(path.with_suffix(".json"), {"format": FORMAT, "lots": []})
    write_lines(path, [row for own in rows.values() for row in own])
    write_json(path.with_suffix(".json"), {"format": FORMAT, "lots": about})


def refuse_others(path: Path) -> None:
    """Refuse to write where something is that :func:`write_lots` has not written.

    Raises:
        RunError: There is such a file, under the name of the examples or beside it.
    """
    there = [one for one in (path, path.with_suffix(".json")) if one.exists()]
    if there and "lots" not in read_object(path.with_suffix(".json")):
        raise RunError(f"{there[0]} is there already, and no pseudo-data were written there; choose another name")


def read_lots(path: Path, example: type[Example]) -> dict[Lot, Made]:
    """Read the lots that are finished; none where there is no file.

    Args:
        path: Of the examples.
        example: What each of them is.

    Raises:
        RunError: A lot is not what was written.
    """
    cure = f"delete {path.with_suffix('.json')} and {path.name}, and both are made anew"
    about = read_object(path.with_suffix(".json"), PSEUDO, cure=cure).get("lots", [])
    if not about:
        return {}
    rows: dict[Lot, list[dict[str, Any]]] = {}
    for row in read_lines(path, ROW, cure=cure):
        rows.setdefault(_lot(row), []).append(row)
    found = {}
    for one in about:
        lot = _lot(one)
        if _digest(rows.get(lot, [])) != one.get("digest"):
            raise RunError(
                f"{path}: what was made for {lot.language} in draw {lot.draw} is not there any more as it was made; to "
                f"learn from your own version, name a copy of it in pseudo.files; or delete {path}, and it is made anew"
            )
        examples = tuple(_example(row, example, path) for row in rows.get(lot, []))
        steps = tuple(Step(step["filter"], step["came"], step["taken"]) for step in one.get("funnel", ()))
        survivors = tuple(_example(row, example, path) for row in one.get("survivors", ()))
        rejected = tuple(
            Rejected(_example(row["example"], example, path), row["filter"], row["reason"])
            for row in one.get("rejected", ())
        )
        dropped = Counter(one.get("dropped", {}))
        records = tuple(one.get("records", ()))
        found[lot] = Made(examples, dropped, steps, survivors, rejected, str(one.get("made_of", "")), records)
    return found


def _row(lot: Lot, example: Example) -> dict[str, Any]:
    return as_json(example) | _named(lot)


def _named(lot: Lot) -> dict[str, Any]:
    return {"draw": lot.draw} | ({} if lot.k is None else {"k": lot.k})


def _lot(row: Mapping[str, Any]) -> Lot:
    return Lot(str(row.get("language")), int(row.get("draw", 0)), row.get("k"))


def _about(lot: Lot, made: Made) -> dict[str, Any]:
    counts = Counter(example.origin for example in made.examples)
    rejected = [{"filter": o.filter, "reason": o.reason, "example": as_json(o.example)} for o in made.rejected]
    return {
        "language": lot.language,
        **_named(lot),
        "made": dict(counts),
        "dropped": dict(made.dropped),
        "funnel": [{"filter": step.name, "came": step.came, "taken": step.taken} for step in made.steps],
        "survivors": [as_json(example) for example in made.survivors],
        "rejected": rejected,
        "made_of": made.made_of,
        **({"records": list(made.records)} if made.records else {}),
    }


def _example(row: Mapping[str, Any], example: type[Example], path: Path) -> Example:
    try:
        return from_json({key: value for key, value in row.items() if key not in ("draw", "k")}, example)
    except ValueError as error:
        raise RunError(f"{path}: {row.get('id')!r} is no example of this task: {error}; delete the file") from None


def _digest(rows: Sequence[Mapping[str, Any]]) -> str:
    return hashlib.sha256("".join(to_json(row) + "\n" for row in rows).encode()).hexdigest()
