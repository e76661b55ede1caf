"""What each part of a trained ensemble answers rightly, and what labels of the target languages change.

    python benchmarks/ensemble_parts.py runs/closed_form/labels/lingraft

For each trial of a method, the mean over target languages of its test accuracy: as it answers; the network alone, by
its head, without map and n-grams; the head on mapped states and the n-grams added up as they are instead of by the
weights that were learnt. Then the accuracy as it answers at each number of shots less that at none, trials of the same
draw and seed paired, with the 95 % interval over test texts, which are drawn once for all languages.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from lingraft.core.examples import Example
from lingraft.core.files import read_lines
from lingraft.core.records import Trial
from lingraft.recipe.parsing import read_recipe
from lingraft.results.resampling import resample
from lingraft.results.statistics import interval
from lingraft.runs.folder import trials_of
from lingraft.serving.loading import load
from lingraft.serving.predictor import Adapted
from lingraft.tasks.gathering import gather

Tests = Mapping[str, Sequence[Example]]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a method of a comparison")
    folder = parser.parse_args().folder
    recipe = read_recipe(folder / "recipe.yaml")
    materials = gather(recipe)
    tests = {code: materials.test[code] for code in materials.task.target_languages}
    print("| trial | as it answers | network alone | added up as they are |\n|---|--:|--:|--:|")
    for trial in trials_of(recipe):
        cells = " | ".join(f"{100 * one:.1f}" for one in parts_of(folder, trial, tests))
        print(f"| {trial.name} | {cells} |", flush=True)
    print("\n| shots | accuracy less that without labels | in each language |\n|---|---|---|")
    for shots in recipe.shots.ks:
        if shots:
            pairs = [(one, replace(one, k=0)) for one in trials_of(recipe) if one.k == shots]
            print(f"| {shots} | {apart(folder, pairs, list(tests))} |")


def parts_of(folder: Path, trial: Trial, tests: Tests) -> tuple[float, float, float]:
    """Return the accuracies of a trial: as it answers, of the network alone, and with equal weights."""
    adapted = load(folder / "trials" / trial.name / "adaptation.safetensors")
    answers, alone = (accuracy(adapted, tests, ensembled=one) for one in (True, False))
    for ensemble in adapted.model.adaptation.ensembles.values():
        with torch.no_grad():
            ensemble.weights.fill_(1.0)
    return answers, alone, accuracy(adapted, tests, ensembled=True)


def accuracy(adapted: Adapted, tests: Tests, *, ensembled: bool) -> float:
    """Return the mean over languages of the share of right answers."""
    found = []
    for language, examples in tests.items():
        answers = adapted.predict_examples(examples, language, ensembled=ensembled)
        found.append(fmean(one.value == example.gold for one, example in zip(answers, examples, strict=True)))
    return fmean(found)


def apart(folder: Path, pairs: Sequence[tuple[Trial, Trial]], languages: Sequence[str]) -> str:
    """Return the mean difference of paired trials with its interval, and that in each language."""
    sums = defaultdict[str, list[float]](list)
    found = []
    for language in languages:
        of_language = []
        for new, old in pairs:
            (before, after) = (right_answers(folder, trial, language) for trial in (old, new))
            for text, right in after.items():
                sums[text].append(right - before[text])
                of_language.append(right - before[text])
        found.append(f"{language} {100 * fmean(of_language):+.1f}")
    values = np.array([fmean(one) for one in sums.values()])
    low, high = interval(resample(len(values)).means(values[None]))
    return f"{100 * values.mean():+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] | {', '.join(found)}"


def right_answers(folder: Path, trial: Trial, language: str) -> dict[str, float]:
    """Return whether each test text was answered rightly, by the group of its translations."""
    lines = read_lines(folder / "predictions" / trial.name / f"{language}.jsonl")
    return {str(line["group"]): float(line["right"]) for line in lines}


if __name__ == "__main__":
    main()
