"""All pages of comparisons again, from their recipes: each is run, or continued where it stopped, then told.

    python benchmarks/results.py                    # all of them: many hours; the same command continues
    python benchmarks/results.py tokens pseudo      # some pages
    python benchmarks/results.py --quick            # one comparison a page, in one language, one draw, one epoch

With ``--quick`` nothing of it is a result: it shows in minutes that every page can be made again, in ``build/results``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from comparison_pages import SECTIONS, command_of, introduction, settings_of, write_page

from lingraft.recipe.parsing import read_recipe
from lingraft.recipe.settings import Recipe

QUICK = {
    "knowledge_transfer": "sib200",
    "closed_form": "shots",
    "pairs": "pawsx_400",
    "pseudo": "study_topics",
    "tokens": "ud",
    "decoders": "sib200_encoder",
    "stability": "sib200",
    "shots": "sib200",
}
"""A comparison of each page that is soon done."""

FEWEST = {
    "stability": ["stability.draws=1", "stability.seeds=2"],
    "shots": ["shot_curve={k: [0, 1], draws: 1, pairs: [all]}"],
}
"""How little a command can do that crosses trials."""

CUT_DOWN = (
    "One comparison in one language, one draw, one epoch: no result, but a sign that the page can be made again.\n"
)


def main() -> None:
    """Run, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *SECTIONS], help="pages; all where none is named")
    parser.add_argument("--quick", action="store_true", help="one language, one draw, one epoch, into build/results")
    given, failed = parser.parse_args(), list[str]()
    for name in given.names or SECTIONS:
        runs = Path("build/results" if given.quick else "runs") / name
        for part in [QUICK[name]] if given.quick else SECTIONS[name]:
            command = compare_command(name, part, runs / part if given.quick else None)
            print(f"{name}, {part}", flush=True)
            if subprocess.run([sys.executable, "-m", "lingraft", *command], check=False).returncode:
                failed.append(f"{name}/{part}")
        page = Path("build/results" if given.quick else "docs/results") / f"{name.replace('_', '-')}.md"
        write_page(name, runs, page, CUT_DOWN if given.quick else introduction(name))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the same command tries them again")


def compare_command(name: str, part: str, quick: Path | None = None) -> list[str]:
    """Return the arguments of the command that makes a comparison.

    Args:
        name: Of the page.
        part: Of the comparison.
        quick: The folder of a comparison that is cut down; None for the whole one.
    """
    recipe = Path("examples") / name / f"{part}.yaml"
    command = [command_of(name), str(recipe), *settings_of(part)]
    if quick is None:
        return command
    return [*command, *_cut_down(read_recipe(recipe, settings_of(part)), quick), *FEWEST.get(command_of(name), [])]


def _cut_down(recipe: Recipe, folder: Path) -> list[str]:
    """Return overrides for one language, one draw, one epoch and three methods."""
    language = recipe.task.options["target_languages"][0]
    return [
        f"output_dir={folder}",
        f"task.target_languages=[{language}]",
        f"shots.k={recipe.shots.ks[0]}",
        "shots.draws=1",
        "seeds=[1]",
        f"train.num_train_epochs={min(1, recipe.train.num_train_epochs)}",
        "compare.methods=[frozen-head, instant, lingraft]",
        "compare.variants={}",
        "compare.learning_rates={}",
        "compare.max_steps={}",
    ]


if __name__ == "__main__":
    main()
