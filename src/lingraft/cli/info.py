"""``list``, ``schema`` and ``cache``: what there is to name, to set and to keep."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.table import Table

from ..core.amounts import MOST_GIGABYTES
from ..core.errors import ConfigError
from ..core.terminal_text import as_text, naming_output
from .terminal import console

Kind = Literal[
    "tasks",
    "prompts",
    "adapters",
    "maps",
    "alignment",
    "augmentation",
    "generators",
    "filters",
    "translators",
    "freezing",
    "methods",
    "presets",
    "formats",
    "backbones",
    "sources",
    "languages",
]


def list_(
    kind: Annotated[
        Kind | None,
        typer.Argument(help="What to list; without it, what can be listed."),
    ] = None,
) -> None:
    """List what a recipe can name."""
    from .listing import rows_of

    headings, rows = rows_of(kind)
    table = Table(*headings)
    for row in rows:
        table.add_row(*map(as_text, row))
    console.print(table)


def schema() -> None:
    """Print the JSON Schema of a recipe, for editors."""
    import json

    from ..recipe.parsing import schema as recipe_schema

    with naming_output():
        typer.echo(json.dumps(recipe_schema(), indent=2))


def cache_info() -> None:
    """Show where the cache is and how large."""
    from ..core.stored_states import info, states_folder

    found = info()
    console.print(f"{states_folder()}: {found.shards} shards, {found.bytes / 1e6:,.1f} MB")
    if found.unfinished:
        console.print(
            f"{found.unfinished / 1e6:,.1f} MB besides are being written, or were left half written by a process that "
            "was killed, and then are removed by the next that writes there, or by `lingraft cache prune`"
        )
    if found.newest:
        console.print(f"last used between {found.oldest:%Y-%m-%d} and {found.newest:%Y-%m-%d}")


def cache_prune(
    max_gigabytes: Annotated[float, typer.Option(help="Keep this much, most recently used first.")] = 0.0,
) -> None:
    """Remove cached states, least recently used first; they are computed again when needed."""
    from ..core.stored_states import prune

    if not 0 <= max_gigabytes <= MOST_GIGABYTES:
        raise ConfigError(
            [f"expected 0 to {MOST_GIGABYTES:,.0f} gigabytes, got {max_gigabytes}"], where="--max-gigabytes"
        )
    removed, freed = prune(max_bytes=int(max_gigabytes * 1e9))
    console.print(f"removed {removed} shards, {freed / 1e6:,.1f} MB")
