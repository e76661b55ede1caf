"""Recipes that lingraft writes itself: the commented one of ``init`` and the demo's."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from ..core.errors import ConfigError, DataError
from ..core.registry import unknown
from ..core.terminal_text import printable
from ..data.cldr import coverage
from ..data.languages import aliases, canonical, display_name
from ..recipe.parsing import parse_recipe
from ..recipe.presets import preset_text, presets
from ..recipe.settings import Recipe

DEMO_PAIRS = 400
"""At most so many translated names align the demo's language."""

RECIPE = """\
# A lingraft recipe. Check it:  lingraft check $path
# Run it:                       lingraft run $path
# Settings left out have the defaults shown; all of them: lingraft schema

output_dir: runs/my-run
$seeds

backbone:
  checkpoint: $checkpoint   # or a folder, or a Hub id: `lingraft list backbones`
  # cut: auto                     # layers below are computed once and cached; auto is half of the depth
  # max_length: 128               # tokens; how many texts were cut is reported

$blocks
shots:
  k: 0                            # labelled target examples (of each class); a list runs each: [0, 5]
  # draws: 3                      # repeat with other labelled examples

$settings"""

DEFAULTS = """\
# prompt: {name: deep, length: 16, language_length: 8}     # or gated, memory, reparameterised, input, or null
# adapter: {name: bottleneck, width: 32, language_width: 16}   # or lora, scaling, adapterhub, or null
# alignment: [{name: mse, weight: 1.0}]                    # several are added up; all: lingraft list alignment
# freezing: {name: frozen}                                 # what of the backbone learns: lingraft list freezing
# train: {num_train_epochs: 6, batch_size: 32, learning_rate: 2e-3, prompt_learning_rate: 5e-3}
"""

SEEDS = "seeds: [1, 2]                     # one trial each; the report gives means and intervals"
ONE_SEED = "seeds: [1]                        # another seed would be the same trial: nothing is trained by gradient"

SOURCE = "eng-Latn"
"""Source language of all that are written."""

CHECKPOINTS = {"generation": "bundled:gemma-3-270m"}
"""Where it is not an encoder that answers."""


def starters() -> list[str]:
    """Return the names of the tasks that a recipe can be written for."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


def recipe_text(task: str, languages: Sequence[str], path: Path, preset: str | None = None) -> str:
    """Return a commented recipe for one of the :func:`starters`.

    Args:
        task: Which.
        languages: Targets.
        path: Where it will be.
        preset: What it starts from; the settings that it shows are then those of the preset.

    Raises:
        ConfigError: There is no task or preset of this name, or a target is the source language.
    """
    if task not in starters():
        raise ConfigError([unknown(task, starters(), what="task to start from")], where="init")
    codes = list(dict.fromkeys(map(canonical, languages)))
    if SOURCE in codes:
        raise ConfigError(
            [
                f"--language: {display_name(SOURCE)} is the source language of the recipe that is written; name a "
                f"target, or write `language: {SOURCE}` into the task where all of it is in {display_name(SOURCE)}"
            ],
            where="init",
        )
    names = [name for name in aliases(codes[0]) if "_" not in name][:3]
    blocks = Template(_folder().joinpath(f"{task}.yaml").read_text(encoding="utf-8")).substitute(
        languages=", ".join(codes), first=codes[0], flores=codes[0].replace("-", "_"), names=f"{', '.join(names)} …"
    )
    text = Template(RECIPE).substitute(
        path=shlex.quote(" ".join(printable(path.as_posix()).split())),
        blocks=blocks,
        checkpoint=CHECKPOINTS.get(task, "bundled:multilingual-e5-small"),
        seeds=ONE_SEED if preset == "instant" else SEEDS,
        settings=DEFAULTS if preset is None else _commented(preset),
    )
    if preset is None:
        return text
    others = ", ".join(name for name in presets() if name != preset)
    start = f"preset: {preset}   # what it sets is at the end; also {others}"
    return text.replace("\noutput_dir:", f"\n{start}\n\noutput_dir:", 1)


def _commented(preset: str) -> str:
    """Return what a preset sets, as comments that become settings of the recipe's own."""
    lines = [line for line in preset_text(preset).splitlines() if not line.startswith("#")]
    return "\n".join([f"# What `preset: {preset}` sets:", *(f"# {line}" for line in lines)]) + "\n"


def _folder() -> Traversable:
    return files("lingraft.cli") / "recipes"


def demo_recipe(language: str, output_dir: Path | None, *, instant: bool = False) -> Recipe:
    """Return names in one language, aligned by at most ``DEMO_PAIRS`` of its training names.

    Args:
        language: Any name of it.
        output_dir: The run folder; by default one of the demo's own.
        instant: Whether nothing is trained by gradient.

    Raises:
        DataError: The CLDR has too few names in the language.
    """
    code = canonical(language)
    counts = coverage(code)
    if code == SOURCE:
        raise DataError("English is the demo's source language; choose another one, see: lingraft list languages")
    if not counts.enough:
        name = display_name(code)
        called = name if name == code else f"{name} ({code})"
        raise DataError(
            f"the CLDR has too few names in {called}: {counts.country} countries and "
            f"{counts.test} test names that differ from English; choose another language, see: lingraft list languages"
        )
    in_closed_form = {"preset": "instant", "seeds": [1]}  # another seed would give the same again
    how: dict[str, Any] = in_closed_form if instant else {"alignment": [{"name": "mse"}]}
    return parse_recipe(
        {
            "output_dir": str(output_dir or Path("runs") / f"demo-{code}{'-instant' * instant}"),
            "task": {"name": "cldr_names", "target_languages": [code]},
            "parallel": {"from": "task", "pairs": DEMO_PAIRS, "labelled": True},
            **how,
        }
    )
