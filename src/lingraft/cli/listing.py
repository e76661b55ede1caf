"""What a recipe can name, as rows for a table."""

from __future__ import annotations

from itertools import takewhile

from ..core.registry import Registry
from ..experiments.methods import built_in_methods
from ..recipe.parsing import registry_of
from ..recipe.presets import preset_text, presets

Rows = tuple[list[str], list[list[str]]]

KINDS = {
    "tasks": "kinds of task for your own files, and benchmarks with their licences (task.name)",
    "prompts": "virtual tokens that are trained (prompt.name)",
    "adapters": "small layers that are trained between the frozen ones (adapter.name)",
    "maps": "closed-form maps of a language's states to those of the source language (map.name)",
    "alignment": "losses that draw translations together (alignment)",
    "augmentation": "ways to make further labelled texts (parallel.augmentation.name)",
    "generators": "ways to make labelled examples of the target languages (pseudo.generators)",
    "filters": "what takes away pseudo-data that look wrong (pseudo.filters)",
    "translators": "what the generator `translation` translates with (its option translator)",
    "freezing": "which layers of the pretrained model learn, and when (freezing.name)",
    "methods": "what `lingraft compare` can run beside lingraft (compare.methods)",
    "presets": "settings to start from (preset)",
    "formats": "formats that `lingraft export` writes a trained run in (--to)",
    "backbones": "architectures of pretrained models (those of backbone.checkpoint)",
    "sources": "formats of tables (task.files)",
    "languages": "languages that `lingraft demo` knows",
}
"""What can be listed, and where a recipe names it."""


def rows_of(kind: str | None) -> Rows:
    """Return headings and rows for ``lingraft list KIND``; without one, the kinds."""
    if kind is None:
        return ["lingraft list …", "what it is (where a recipe names it)"], [[*row] for row in KINDS.items()]
    if kind == "languages":
        return _languages()
    if kind == "methods":
        return ["name", "what it is"], [[name, str(entry["about"])] for name, entry in built_in_methods().items()]
    if kind == "presets":
        return ["name", "what it is"], [[name, _first_comment(preset_text(name))] for name in presets()]
    if kind == "tasks":
        return _tasks()
    headings = ["name", "options", "what it is"]
    return headings, [list(row) for row in _registry(kind).describe()]


def _registry(kind: str) -> Registry:
    if kind == "backbones":
        from ..backbones import backbones

        return backbones
    if kind == "formats":
        from ..serving.export import formats

        return formats
    if kind == "sources":
        from ..data import sources

        return sources
    if kind == "translators":
        from ..pseudo.translators import translators

        return translators
    blocks = {
        "tasks": "task",
        "prompts": "prompt",
        "adapters": "adapter",
        "maps": "map",
        "augmentation": "parallel.augmentation",
        "filters": "pseudo.filters",
        "generators": "pseudo.generators",
    }
    return registry_of(blocks.get(kind, kind))


def _first_comment(text: str) -> str:
    """Return the words of the comment that a file begins with."""
    comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
    return " ".join(line.lstrip("# ") for line in comment)


def _tasks() -> Rows:
    """Return kinds for one's own files, and benchmarks with languages, sizes and licence."""
    from ..tasks.benchmarks.catalogue import benchmarks

    known = benchmarks()
    rows = []
    for name, _, about in _registry("tasks").describe():
        entry = known.get(name)
        if entry is None:
            rows.append([name, about, "", "", ""])
            continue
        codes = ", ".join(sorted(entry.languages)) or f"those of {entry.languages_of}"
        sizes = ", ".join(f"{split} {size:,}" for split, size in entry.sizes.items())
        only = " (made to evaluate on)" if entry.evaluation_only else ""
        rows.append([name, f"{about}{only}", codes, sizes, entry.licence])
    return ["name", "what it is", "languages", "examples of a language", "licence"], rows


def _languages() -> Rows:
    """Return languages whose CLDR names are enough for the demo."""
    from ..data.cldr import supported
    from ..data.languages import display_name

    headings = ["code", "language", "training names", "test names"]
    return headings, [[c, display_name(c), str(n.train), str(n.test)] for c, n in supported().items()]
