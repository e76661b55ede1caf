"""A run's results as a Markdown page beside its scores: what ``docs/results`` holds.

The mean over languages gets an interval of its own: where the test sentences are the same in every
language, they are drawn once for all languages and trials, so that a sentence which is hard
everywhere counts as one.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...core.errors import RunError
from ...core.files import write_atomically
from ...core.shots import Shots, order_of_shots
from ..findings import Estimate, Result, answers_of, formula_of, metrics_of, results
from ..resampling import resample_jointly
from ..run_files import RunFiles, counts_of, read_run
from ..statistics import ends_of_difference, interval_of_groups
from ..units import Unit, unit_of
from ..wording import capital, describe_shots, difference, metric_name, plural, score
from ..words import words_of
from .escaping import describe_command, describe_notes, markdown_text
from .training_sections import retained


def write_results_page(folder: Path, page: Path, *, command: str) -> Path:
    """Write ``page`` and, in a folder of the same name beside it, ``scores.jsonl``.

    Args:
        folder: A finished run folder.
        page: The Markdown file, e.g. ``docs/results/sib200.md``.
        command: What the reader types to get these numbers again.

    Raises:
        RunError: The run has no scores.
    """
    run = read_run(folder)
    if not run.scores:
        raise RunError(f"{folder} has no scores.jsonl; run its recipe to the end first")
    _refuse_unfinished(run)
    scores = page.with_suffix("") / "scores.jsonl"
    write_atomically(scores, lambda temporary: _copy(folder / "scores.jsonl", temporary))
    text = "\n".join(_lines(run, command, scores.relative_to(page.parent).as_posix()))
    write_atomically(page, lambda temporary: _write(temporary, text))
    return page


def _refuse_unfinished(run: RunFiles) -> None:
    """Refuse a run whose files do not say all that the page does.

    Raises:
        RunError: One of them is missing, or lacks something.
    """
    if not run.data:
        raise RunError(f"{run.folder} has no data.json; run its recipe to the end first")
    for name in ("backbone", "parameters", "seconds", "trials"):
        if not run.summary.get(name) or (name == "seconds" and "train" not in run.summary[name]):
            raise RunError(f"{run.folder / 'summary.json'} says nothing of its {name}; run its recipe to the end first")


def _lines(run: RunFiles, command: str, scores: str) -> list[str]:
    found = results(run)
    source = (run.source_language, None)
    targets = [r for r in found if r.language not in source or r.context_language not in source]
    where = "the target language" if targets else run.name(run.source_language)
    targets = targets or found  # a task in one language has no other
    words = words_of(run.data)
    shots = sorted({result.shots for result in targets}, key=order_of_shots)
    draws = len({score.draw for score in run.scores})
    seeds = len({(score.seed, score.order) for score in run.scores})
    lines = [f"# {markdown_text(run.data['task'])}", "", *describe_command(command), ""]
    lines += [_finding(run, targets, k) for k in shots]
    lines += [
        "",
        *describe_notes(run.notes),
        f"{capital(metric_name(metrics_of(run.data)[0]))} on the test set, mean over {plural(draws, 'draw')} and "
        f"{plural(seeds, 'seed')}; "
        f"in brackets the 95 % bootstrap interval over test {words.example}s. *frozen head* is "
        f"{words.baseline}, with the same labels; *gain* is paired by {words.example}.",
    ]
    for k in shots:
        lines += ["", f"## {describe_shots(k, words)} in {where}", "", *_table(run, found, k)]
    lines += _retention_table(run)
    backbone, seconds = run.summary["backbone"], run.summary["seconds"]["train"] / len(run.summary["trials"])
    trained = sum(part["count"] for part in run.summary["parameters"])
    lines += [
        "",
        f"Backbone {markdown_text(backbone['name'])}, frozen throughout (weights digest "
        f"`{backbone['weights_digest'][:12]}` before and after); {trained:,} trained parameters; "
        f"{seconds:.0f} seconds a trial, all languages together. "
        f"All scores: [`{scores}`]({scores}).",
        "",
    ]
    return lines


def _finding(run: RunFiles, targets: Sequence[Result], k: Shots) -> str:
    here = [result for result in targets if result.shots == k]
    before = float(np.mean([result.before.value for result in here if result.before] or [0.0]))
    after = float(np.mean([result.after.value for result in here if result.after] or [0.0]))
    gain, unit = mean_gain(run, here, k), unit_of(metrics_of(run.data)[0])
    bounds = "" if gain is None else f" [{unit.number(gain[0], 1, plus=True)}, {unit.number(gain[1], 1, plus=True)}]"
    languages = f"mean of {plural(len(here), 'language')}"
    if not any(result.before for result in here):
        return f"- **k = {k}: {score(after, unit=unit)}, without a baseline** ({languages})."
    apart = f"{unit.apart(before, after, 1, plus=True)}{unit.points}{bounds}"
    return f"- **k = {k}: {score(before, 1, unit)} → {score(after, 1, unit)}, {apart}** ({languages})."


def _table(run: RunFiles, found: Sequence[Result], k: Shots) -> list[str]:
    second = next(iter(metrics_of(run.data)[1:]), "")
    second = metric_name(second) if second else "–"
    several = any(len(result.draw_means) > 1 for result in found if result.shots == k)
    instant = any(result.instant for result in found)
    headings = [
        "language",
        "frozen head",
        *["instant"] * instant,
        "lingraft",
        "gain",
        second,
        *["worst draw"] * several,
        "n",
    ]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for result in found:
        if result.shots != k:
            continue
        role = " (source)" if result.language == run.source_language and run.data.get("target_languages") else ""
        cells = [
            f"{markdown_text(result.name)}{role}",
            _cell(result.before),
            *([_cell(result.instant)] if instant else []),
            _cell(result.after),
            _gain_cell(result),
            "–" if result.second_before is None else f"{result.second_before:.3f} → {result.second_after:.3f}",
            *[f"{min(result.draw_means):.3f}"] * several,
            str(result.n),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _retention_table(run: RunFiles) -> list[str]:
    """Return what is kept of the model's ability (forgetting), as the report has it; nothing where nobody looked."""
    kept = retained(run)
    if not kept or not kept["scores"]:
        return []
    lines = ["", "## What is kept of the model (retention)", "", markdown_text(kept["summary"]), ""]
    lines += ["| what | language | before | after | difference | on |", "|---" * 6 + "|"]
    for row in kept["scores"]:
        unit = row["unit"]
        before, after = (_bounded(row[key], unit.number(row[key].value, 1), unit) for key in ("before", "after"))
        apart = unit.apart(row["before"].value, row["after"].value, 1, plus=True)
        moved = _bounded(row["difference"], apart, unit, plus=True)
        named = f"{row['what']} | {markdown_text(row['language'])}"
        lines.append(f"| {named} | {before} | {after} | {moved} | {row['on']} |")
    return lines


def _bounded(estimate: Estimate, value: str, unit: Unit, *, plus: bool = False) -> str:
    """Return a value with its interval, where one is known."""
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{unit.number(estimate.low, 1, plus=plus)}, {unit.number(estimate.high, 1, plus=plus)}]"


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    low, high = estimate.low, estimate.high
    return f"{estimate.value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def _gain_cell(result: Result) -> str:
    """Return the gain, rounded once, and its interval."""
    if result.gain is None or result.before is None or result.after is None:
        return "–"
    low, high = result.gain.low, result.gain.high
    bounds = "" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]"
    return f"{difference(result.before.value, result.after.value, 3):+f}{bounds}"


def mean_gain(run: RunFiles, here: Sequence[Result], k: Shots) -> tuple[float, float] | None:
    """Return the interval of the gain, mean over languages; None unless all test sets hold the same sentences."""
    tables, groups = [], set()  # of each language [U, N, K] after and before; groups [N]
    names = [trial for trial in sorted(run.summary["trials"]) if trial.startswith(f"k{k}-")]
    for result in here:
        found = [answers_of(run, trial, result.language, result.context_language) for trial in names]
        rows = [sorted(trial, key=lambda row: (str(row["group"]), str(row["id"]))) for trial in found]
        groups |= {tuple(str(row["group"]) for row in trial) for trial in rows}
        if not all(trial and "before_counts" in trial[0] for trial in rows):
            return None
        tables.append(
            [np.array([[counts_of(r, when) for r in trial] for trial in rows]) for when in ("after", "before")]
        )
    if len(groups) != 1:
        return None
    made, drawn = formula_of(run.data), resample_jointly([groups.pop()])[0]
    new, old = (np.mean([drawn.metric(made, one[side]) for one in tables], axis=0) for side in (0, 1))  # [R] each
    ends = unit_of(metrics_of(run.data)[0]).ends
    return interval_of_groups(new - old, drawn.groups, ends_of_difference(ends))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
