"""Do three trials still give the numbers that they gave before a change? Record them, change, compare.

    python benchmarks/same_numbers.py record /tmp/before --shared ../shared/data
    python benchmarks/same_numbers.py record /tmp/after --shared ../shared/data
    python benchmarks/same_numbers.py compare /tmp/before /tmp/after

Recorded are the demo in Yoruba (two seeds), one trial of SIB-200 in Hausa without target labels, and one trial of
XQuAD in German on two hundred questions, all in float32 on the CPU. Compared are every line of every file of
predictions, and every score; the exit status tells whether all are equal. Without the data sets the demo is
recorded alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from pathlib import Path
from typing import Any

QUESTIONS = 200
TOLERANCE = 1e-6
"""Of a number, as a share of its size: another order of the same sums."""


def recipes(shared: Path | None, data: Path) -> dict[str, dict[str, Any]]:
    """The trials by name; ``data`` takes the questions that are asked."""
    common = {"backbone": {"cut": 6, "precision": "float32"}, "device": "cpu"}
    found: dict[str, dict[str, Any]] = {
        "demo": {
            **common,
            "task": {"name": "cldr_names", "target_languages": ["yor-Latn"]},
            "parallel": {"from": "task", "pairs": 400, "labelled": True},
            "alignment": [{"name": "mse"}],
        }
    }
    if shared is None:
        return found
    found["sib200"] = {
        **common,
        "seeds": [1],
        "task": {"name": "sib200", "target_languages": ["hau-Latn"], "data_dir": str(shared / "sib200")},
        "parallel": {"from": "task", "pairs": 351},
    }
    for language in ("en", "de"):
        some_questions(shared / "xquad" / f"xquad.{language}.json.gz", data / f"xquad.{language}.json")
    source = {"name": "squad", "data_dir": str(shared / "squad_en"), "hold_out": 100, "examples": QUESTIONS}
    found["xquad"] = {
        "backbone": {"cut": 6, "precision": "float32", "max_length": 320},
        "device": "cpu",
        "seeds": [1],
        "task": {"name": "xquad", "target_languages": ["deu-Latn"], "data_dir": str(data), "train_from": source},
        "prompt": {"name": "deep", "length": 16, "language_length": 0},
        "adapter": {"name": "lora", "rank": 16},
        "alignment": [],
        "train": {"num_train_epochs": 2, "batch_size": 16, "average_last": 1},
    }
    return found


def some_questions(path: Path, target: Path) -> None:
    """The first paragraphs of a SQuAD file, with ``QUESTIONS`` questions."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    left, kept = QUESTIONS, []
    for paragraph in (one for article in articles for one in article["paragraphs"]):
        asked = paragraph["qas"][:left]
        left -= len(asked)
        if asked:
            kept.append({**paragraph, "qas": asked})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"data": [{"title": "", "paragraphs": kept}]}), encoding="utf-8")


def record(folder: Path, shared: Path | None) -> None:
    """Run the trials into ``folder``."""
    import lingraft

    for name, recipe in recipes(shared, folder / "data").items():
        lingraft.run(recipe | {"output_dir": str(folder / name)})


def compare(before: Path, after: Path) -> int:
    """Print what differs; 0 where nothing does."""
    different = 0
    for old in sorted([*before.glob("*/predictions/*/*.jsonl"), *before.glob("*/scores.jsonl")]):
        name = old.relative_to(before)
        new = after / name
        if not new.is_file():
            print(f"{name}: is not there any more")
            different += 1
            continue
        pairs = [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in (old, new)]
        changed = [changes for changes in map(differences, *pairs) if changes]
        uneven = abs(len(pairs[0]) - len(pairs[1]))
        keys = sorted({key for changes in changed for key in changes})
        print(f"{name}: {len(pairs[0])} lines, {len(changed) + uneven} differ" + (f" in {keys}" if keys else ""))
        different += bool(changed or uneven)
    return min(1, different)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The keys of the old line whose values are others now."""
    return [key for key in old if not same(old[key], new.get(key))]


def same(old: Any, new: Any) -> bool:
    """Equal, numbers within rounding."""
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(old == new)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recorder = commands.add_parser("record", help="Run the trials.")
    recorder.add_argument("folder", type=Path)
    recorder.add_argument("--shared", type=Path, help="The folder of public data sets.")
    comparer = commands.add_parser("compare", help="Compare two recordings.")
    comparer.add_argument("before", type=Path)
    comparer.add_argument("after", type=Path)
    wanted = parser.parse_args()
    if wanted.command == "record":
        record(wanted.folder, wanted.shared)
    else:
        sys.exit(compare(wanted.before, wanted.after))


if __name__ == "__main__":
    main()
