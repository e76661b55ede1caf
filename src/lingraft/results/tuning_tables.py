"""The tables of a search of settings: all that was tried, and which settings matter."""

from __future__ import annotations

from .experiment_tables import bounded, scored, scored_apart
from .tables import Cell, Column, Table, name_cell
from .tuning import Tried, Tuned
from .wording import p_value


def tuning_table(found: Tuned) -> Table:
    """Return all combinations of settings, the best first and what failed last."""
    settings = list(found.about["settings"])
    columns = [
        Column("trial", ("trial",), "code"),
        Column("score", bounded("score")),
        Column("difference to the recipe's", bounded("difference")),
        Column("p", ("p",)),
        *(Column(key, (key,)) for key in settings),
        Column("time", ("seconds",)),
    ]
    rows = [
        (
            name_cell(one.name),
            scored(one.score, found.unit) if one.score else Cell("failed"),
            Cell("the recipe's own") if one.own else scored_apart(one.difference, found.unit),
            Cell() if one.p_value is None else Cell(p_value(one.p_value, found.resolution), (one.p_value,)),
            *(_setting(one, key) for key in settings),
            Cell(f"{one.seconds:.0f} s", (one.seconds,)),
        )
        for one in found.tried
    ]
    return Table(tuple(columns), tuple(rows))


def importance_table(found: Tuned) -> Table:
    """Return the share of each setting in the variance of the scores; no rows of too few trials."""
    rows = [(name_cell(key), Cell(f"{share:.0%}", (share,))) for key, share in found.about["importance"].items()]
    return Table((Column("setting", ("setting",), "code"), Column("share", ("share",))), tuple(rows))


def describe_value(value: object) -> str:
    """Write a setting as YAML has it: ``true``, ``null``, ``0.002``."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _setting(one: Tried, key: str) -> Cell:
    return Cell(describe_value(one.values[key]), (one.values[key],)) if key in one.values else Cell()
