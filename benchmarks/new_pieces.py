"""What ``lingraft extend`` gives and takes: closed form on names in N'Ko, before and after it.

The names of the CLDR that the training part has in N'Ko and in English are corpus and translations of the extension;
``preset: instant`` then learns from the same ones on either checkpoint. One draw, no labels of the language.

    python benchmarks/new_pieces.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lingraft
from lingraft.core.files import read_lines
from lingraft.core.version import source_revision
from lingraft.recipe.parsing import parse_recipe
from lingraft.serving.vocabularies.extending import extend
from lingraft.tasks.gathering import gather

CHECKPOINT, LANGUAGE = "bundled:multilingual-e5-small", "nqo-Nkoo"
METHODS = {"frozen-head": "frozen head", "lingraft": "instant"}


def main() -> None:
    """Extend, learn on both, and print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with TemporaryDirectory() as place:
        folder = Path(place)
        names, larger = folder / "names.tsv", folder / "larger"
        (draw,) = gather(parse_recipe(recipe(CHECKPOINT, folder / "none"))).draws
        pairs = [(source.texts[0], target.texts[0]) for source, target in draw.pairs[LANGUAGE]]
        names.write_text("source\ttarget\n" + "".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
        print(f"revision {source_revision()}, {len(pairs):,} translated names", flush=True)
        for line in extend(CHECKPOINT, [names], larger, text="target", pairs=names, language=LANGUAGE):
            print(line.replace(str(folder), "."), flush=True)
        columns = [scores(recipe(one, folder / name)) for one, name in ((CHECKPOINT, "a"), (str(larger), "b"))]
    print("\n| accuracy | before | extended |\n|---|---|---|")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")


def recipe(checkpoint: str, output: Path) -> dict[str, Any]:
    """Return the recipe of a run in closed form on a checkpoint, as plain data."""
    return {
        "output_dir": str(output),
        "preset": "instant",
        "backbone": {"checkpoint": checkpoint, "text_prefix": "query: "},
        "task": {"name": "cldr_names", "target_languages": [LANGUAGE]},
        "parallel": {"from": "task", "pairs": 600, "labelled": True},
        "seeds": [1],
    }


def scores(wanted: dict[str, Any]) -> dict[str, str]:
    """Run a recipe, and return its scores with their intervals, by what the table calls them."""
    rows = list(read_lines(lingraft.run(wanted, quiet=True) / "scores.jsonl"))
    found = {}
    for row in rows:
        if row["metric"] == "accuracy":
            name = f"{METHODS[row['method']]}, {row['language']} ({row['n']:,} names)"
            found[name] = f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    return found


if __name__ == "__main__":
    main()
