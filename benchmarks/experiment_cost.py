"""What a stability study costs: twenty seeds of ours beside one run of prompt tuning, each a command of its own.

All of them have the same data for as many epochs: topics (SIB-200), 350 labels in English, five a class in Yoruba, and
351 pairs, which prompt tuning has no use for. The study is ``lingraft stability`` at the settings of
``examples/stability/sib200.yaml``; ``instant`` is the same study of the closed form. Each command starts with nothing
in the cache, so that it pays for its own frozen states, and all that it does counts: start, data, encoding, training,
predictions, pages.

Seconds of the processor are those of the command and of all processes that it started. They say the same as seconds on
the wall where nothing else computes, and still say it where something does.

    python benchmarks/experiment_cost.py --json docs/results/experiment_cost.json
    python benchmarks/experiment_cost.py --quick    # few seeds, and what twenty would cost by them: no result
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from footprint import CHECKPOINT, DATA, FOLDER, Usage, say, spend

from lingraft.core.files import cache_root

SEEDS, FEW = 20, (2, 4)
"""Of a study, and of the two studies by which ``--quick`` counts."""

AIM = 3.0
"""How many times as long as one run of prompt tuning the study may take."""

LANGUAGE = "yor-Latn"

Spend = Callable[[Sequence[str], Path], Usage]


@dataclass(frozen=True)
class Cost:
    """Seconds of a command, on the wall and of the processor."""

    seconds: float
    cpu_seconds: float


def recipe_of(data: Path, **blocks: Any) -> dict[str, Any]:
    """Return what all commands have in common, as a recipe in plain data, with further blocks."""
    return {
        "backbone": {"checkpoint": CHECKPOINT},
        "task": {"name": "sib200", "target_languages": [LANGUAGE], "data_dir": str(data)},
        "shots": {"k": 5},
        "parallel": {"from": "task", "pairs": 351},
        "device": "cpu",
    } | blocks


def study(method: str, seeds: int, data: Path) -> dict[str, Any]:
    """Return the recipe of a stability study of one method, on one draw."""
    return recipe_of(data, stability={"draws": 1, "seeds": seeds}, compare={"methods": [method]})


def single_run(data: Path) -> dict[str, Any]:
    """Return the recipe of one run of prompt tuning, by PEFT."""
    return recipe_of(data, seeds=[1], compare={"methods": ["peft-prompt"]})


def measure(command: str, recipe: dict[str, Any], weights: Path, spend: Spend) -> Cost:
    """Run a command of lingraft to its end, with nothing in its cache but the weights.

    Args:
        command: Its name.
        recipe: As plain data.
        weights: The folder of converted checkpoints.
        spend: Runs a Python process, with a cache.
    """
    with tempfile.TemporaryDirectory() as place:
        cache, path = Path(place) / "cache", Path(place) / "recipe.yaml"
        cache.mkdir()
        (cache / "backbones").symlink_to(weights)
        path.write_text(json.dumps(recipe | {"output_dir": str(Path(place) / "run")}), encoding="utf-8")  # JSON is YAML
        usage = spend(["-m", "lingraft", command, str(path), "--quiet"], cache)
    say(f"  {usage.seconds:,.0f} s, {usage.cpu_seconds:,.0f} s of the processor")
    return Cost(usage.seconds, usage.cpu_seconds)


def measure_study(method: str, quick: bool, data: Path, weights: Path, spend: Spend) -> Cost:
    """Measure a study of all seeds, or of few, and count what all would cost if each cost the same."""
    costs = []
    for seeds in FEW if quick else (SEEDS,):
        say(f"a study of {seeds} seeds, {method}")
        costs.append(measure("stability", study(method, seeds, data), weights, spend))
    return extrapolate(*costs) if quick else costs[0]


def extrapolate(less: Cost, more: Cost) -> Cost:
    """Return what a study of all seeds would cost by two of few: what begins it, and so much for each seed."""
    fewest, most = FEW

    def at_all(one: float, other: float) -> float:
        return one + (SEEDS - fewest) * (other - one) / (most - fewest)

    return Cost(at_all(less.seconds, more.seconds), at_all(less.cpu_seconds, more.cpu_seconds))


def compare_costs(quick: bool, data: Path, weights: Path, spend: Spend = spend) -> dict[str, Any]:
    """Measure the study, the run and ``instant``, and print them."""
    found = {"study": measure_study("lingraft", quick, data, weights, spend)}
    say("one run of peft-prompt")
    found["peft-prompt"] = measure("compare", single_run(data), weights, spend)
    found["instant"] = measure_study("instant", quick, data, weights, spend)
    told = {"study": f"{SEEDS} seeds of lingraft", "instant": f"{SEEDS} seeds of instant"}
    for name, cost in found.items():
        by_few = f", by {FEW[0]} and {FEW[1]}" if quick and name in told else ""
        title = told.get(name, f"one run of {name}") + by_few
        print(f"{title:<36} {cost.seconds:8,.0f} s, {cost.cpu_seconds:8,.0f} s of the processor")
    study, run = found["study"], found["peft-prompt"]
    ratios = {"ratio": study.seconds / run.seconds, "cpu_ratio": study.cpu_seconds / run.cpu_seconds}
    print(
        f"a study of {SEEDS} seeds takes {ratios['ratio']:.2f} times one run of peft-prompt, of the processor "
        f"{ratios['cpu_ratio']:.2f} times (aim: at most {AIM:g}){'; extrapolated, no result' if quick else ''}"
    )
    return {"seeds": SEEDS, **{name: vars(cost) for name, cost in found.items()}, **ratios}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; see the top of this file."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], epilog="It takes about a quarter of an hour on two cores."
    )
    parser.add_argument("--data-dir", type=Path, default=DATA, help="SIB-200: LANGUAGE.train.tsv and so on")
    parser.add_argument("--quick", action="store_true", help="few seeds, and an extrapolation; no result")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(arguments)
    if not options.data_dir.is_dir():
        parser.error(f"there is no folder {options.data_dir}; give the one with SIB-200's files with --data-dir")
    if options.quick and options.json:
        parser.error("--json is for measured results, which --quick has none of; leave one of the two out")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    weights = Path(spend(["-c", FOLDER, CHECKPOINT], cache_root()).printed.strip()).parent  # converts it, if need be
    result = {"load_average": load, **compare_costs(options.quick, options.data_dir.resolve(), weights)}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
