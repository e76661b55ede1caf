"""What a recipe can name, as rows for a table."""

from __future__ import annotations

from .config import registry_of
from .registry import Registry

Rows = tuple[list[str], list[list[str]]]


def rows_of(kind: str) -> Rows:
    """Headings and rows for ``lingraft list KIND``."""
    if kind == "languages":
        return _languages()
    headings = ["name", "options", "what it is"]
    return headings, [list(row) for row in _registry(kind).describe()]


def _registry(kind: str) -> Registry:
    if kind == "backbones":
        from .backbones import backbones

        return backbones
    if kind == "sources":
        from .data import sources

        return sources
    key = {"tasks": "task", "prompts": "prompt", "adapters": "adapter", "alignment": "alignment"}[kind]
    return registry_of(key)


def _languages() -> Rows:
    """Languages whose CLDR names are enough for the demo."""
    from .data.cldr import supported
    from .data.languages import display_name

    headings = ["code", "language", "training names", "test names"]
    return headings, [[c, display_name(c), str(n.train), str(n.test)] for c, n in supported().items()]
