"""Data that is given in Python beside a recipe, as settings of the recipe that name it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..core.errors import ConfigError
from ..core.registry import unknown
from ..data.memory import SUFFIX, lend, name_tables
from ..tasks.files import SPLITS

PARALLEL = "parallel"

MISSING = "task.files: is missing"

HINT = '; data in Python are given at every call: lingraft.run(recipe, data={"train": …, "test": …})'
"""For whoever goes on with a run of data in memory, and gives none."""


@contextmanager
def given_data(data: Mapping[str, Any] | None) -> Iterator[list[str]]:
    """Let a recipe read data that is in memory; gives the settings that name it, as of the command line.

    Args:
        data: ``train``, ``dev``, ``test`` (as other names of splits) and ``parallel``: each a table, see
            :func:`lingraft.data.memory.rows_of`, or tables by language. None gives nothing.

    Raises:
        ConfigError: There are other keys; or, of the recipe, that it names no files, where none are given either.
        DataError: Something is no table.
    """
    if not isinstance(data, Mapping | None):
        raise ConfigError([f'data: expected a mapping such as {{"train": …, "test": …}}, got {type(data).__name__}'])
    tables, files, settings = dict[str, Any](), dict[str, Any](), list[str]()
    for key, table in (data or {}).items():
        if key == PARALLEL:
            found, names = name_tables(PARALLEL, table)
            pattern = names if isinstance(names, str) else f"{PARALLEL}-{{language}}{SUFFIX}"
            settings.append(f"parallel.files={json.dumps(pattern)}")
        elif str(key).casefold() in SPLITS:
            found, files[SPLITS[str(key).casefold()]] = name_tables(str(key).casefold(), table)
        else:
            known = ["train", "dev", "test", PARALLEL]
            raise ConfigError([f"data: {unknown(str(key), known, what='key')}; each is a table, or tables by language"])
        tables |= found
    if files:
        settings.append(f"task.files={json.dumps(files)}")
    with lend(tables):
        try:
            yield settings
        except ConfigError as error:
            if files or not any(problem.startswith(MISSING) for problem in error.problems):
                raise
            told = [f"{one}{HINT if one.startswith(MISSING) else ''}" for one in error.problems]
            raise ConfigError(told, where=error.where) from None
