"""Gains of a method by how much its test sentences have in common with the pairs, in thirds.

    python benchmarks/overlap.py runs/closed_form/sib200/instant

A benchmark that is split at random has sentences of one article on both sides. For each test sentence this takes the
largest share of words (Jaccard) that it has in common with a target side of the trial's pairs, and scores the third
with the least, the middle third and the rest apart: the frozen head, the method, and the paired difference with its
95 % interval over sentences, all languages and trials of k = 0 together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lingraft.core.files import read_lines
from lingraft.data.text import normalise
from lingraft.recipe.parsing import read_recipe
from lingraft.results.resampling import resample
from lingraft.tasks.gathering import gather

THIRDS = ("least in common", "middle", "most in common")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a run, or a method of a comparison")
    folder = parser.parse_args().folder
    materials = gather(read_recipe(folder / "recipe.yaml"))
    rows = []
    for draw in materials.draws:
        for trial in sorted((folder / "predictions").glob(f"k0-draw{draw.draw}-*")) if draw.k == 0 else ():
            for language, pairs in draw.pairs.items():
                known = [words_of(target.texts[0]) for _, target in pairs]
                for line in read_lines(trial / f"{language}.jsonl"):
                    own = words_of(line["text"])
                    nearest = max(len(own & other) / len(own | other) for other in known)
                    rows.append((nearest, line["group"], line["before_right"], line["right"]))
    nearest = np.array([row[0] for row in rows])
    edges = np.quantile(nearest, [1 / 3, 2 / 3])
    print("| test sentences | words in common | frozen head | method | difference | n |\n|---|--:|--:|--:|---|--:|")
    for third, name in enumerate(THIRDS):
        chosen = [row for row, place in zip(rows, np.searchsorted(edges, nearest), strict=True) if place == third]
        before, after = (np.array([float(row[column]) for row in chosen]) for column in (2, 3))
        drawn = resample([str(row[1]) for row in chosen])
        apart = drawn.metric(
            lambda sums: sums[..., 0] / sums[..., 1], np.stack([after - before, np.ones_like(after)], axis=-1)[None]
        )
        low, high = np.quantile(apart, [0.025, 0.975])
        print(
            f"| {name} | {np.mean([row[0] for row in chosen]):.2f} | {100 * before.mean():.1f} | "
            f"{100 * after.mean():.1f} | {100 * (after - before).mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] | "
            f"{len(chosen):,} |"
        )


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text in one normal form."""
    return frozenset(normalise(text).split())


if __name__ == "__main__":
    main()
