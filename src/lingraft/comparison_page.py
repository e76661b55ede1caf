"""The table of a comparison, from the files of its folder alone: who is best, by how much, at what cost.

The interval of a mean over languages comes from test sentences that are drawn once for all
languages, draws and seeds, where the test sets are the same sentences; so does the paired
difference of a method to ours. P-values are two-sided and corrected for their number (Holm, 1979).
Methods are compared on the trainings that all of them have; those that have more are compared once
more among themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile

import numpy as np
from numpy.typing import NDArray

from .errors import RunError
from .findings import Estimate, metrics_of
from .folders import write_atomically
from .metrics import of_sums
from .run_files import Row, counts_of, read_lines, read_object
from .statistics import Difference, holm, joint_difference, joint_interval
from .wording import capital, count, duration, metric_name, noun_of

Tested = tuple[str, str, str]
"""Id, group and right answer of a test example."""

Answers = NDArray[np.float64]
"""What each answer adds to the sums that the metric is made of: ``[U, N, K]``."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison left in its folder."""

    folder: Path
    about: Row
    methods: tuple[Row, ...]

    @property
    def reference(self) -> str:
        """What the others are tested against."""
        return str(self.about["reference"])

    @property
    def targets(self) -> list[str]:
        """Target languages, in the order of the recipe."""
        return list(self.about["data"]["target_languages"])

    def language(self, code: str) -> str:
        """Its English name."""
        return str(self.about["data"]["languages"][code]["name"])

    def has(self, method: str, unit: str, language: str) -> bool:
        """Whether a method was tested in a language."""
        return self._path(method, unit, language).is_file()

    def answers(self, method: str, units: Sequence[str], language: str) -> tuple[Answers, tuple[Tested, ...]]:
        """Counts ``[U, N, K]`` in the order of the examples' ids, and what was asked ``[N]``.

        Raises:
            RunError: Two trainings were tested on different examples.
        """
        rows = [
            sorted(read_lines(self._path(method, unit, language)), key=lambda row: str(row["id"])) for unit in units
        ]
        examples = {tuple((str(row["id"]), str(row["group"]), str(row["gold"])) for row in unit) for unit in rows}
        if len(examples) != 1:
            raise RunError(
                f"{self.folder / method}: not all trainings were tested on the same {language} examples; delete that "
                "folder and run the comparison again"
            )
        right = np.array([[counts_of(row) for row in unit] for unit in rows])
        return right, examples.pop()

    def _path(self, method: str, unit: str, language: str) -> Path:
        return self.folder / method / "predictions" / unit / f"{language}.jsonl"


@dataclass(frozen=True)
class Result:
    """One row: a method on the trainings and languages of its block; ``difference`` is method minus reference."""

    method: Row
    mean: Estimate
    languages: dict[str, float]
    difference: Difference | None
    p_value: float | None
    seconds: float
    steps: float | None

    @property
    def name(self) -> str:
        """Of the method."""
        return str(self.method["name"])

    @property
    def worst(self) -> str:
        """The language with the lowest score."""
        return min(self.languages, key=lambda code: self.languages[code])


@dataclass(frozen=True)
class Block:
    """Methods that have all the same trainings, best first."""

    shots: int
    units: tuple[str, ...]
    languages: tuple[str, ...]
    examples: int
    results: tuple[Result, ...]


def read_comparison(folder: Path) -> Comparison:
    """Read the folder of a finished comparison.

    Raises:
        RunError: There is none.
    """
    about = read_object(folder / "comparison.json")
    if not about:
        raise RunError(f"{folder} is no comparison that came to its end; finish it with: lingraft compare RECIPE")
    return Comparison(folder, about, tuple(about["methods"]))


def blocks(comparison: Comparison) -> list[Block]:
    """For each number of shots all methods on what they share, then those with more on what they share."""
    found = []
    possible = [method for method in comparison.methods if method.get("units")]
    for shots in sorted({_shots(unit) for method in possible for unit in method["units"]}):
        units = {str(m["name"]): {unit for unit in m["units"] if _shots(unit) == shots} for m in possible}
        for names, shared in _sharing({name: held for name, held in units.items() if held}):
            here = [method for method in possible if method["name"] in names]
            found.append(_block(comparison, here, shots, sorted(shared)))
    return found


def _sharing(units: dict[str, set[str]]) -> Iterator[tuple[set[str], set[str]]]:
    """Methods with what all of them have; then those that share more; then those that share nothing with the first."""
    if not units:
        return
    held = Counter(unit for names in units.values() for unit in sorted(names))
    most = max(held, key=lambda unit: held[unit])
    here = {name: names for name, names in units.items() if most in names}
    rest = {name: names for name, names in units.items() if most not in names}
    shared = set.intersection(*here.values())
    yield set(here), shared
    while len(here := {name: names for name, names in here.items() if len(names) > len(shared)}) > 1:
        if len(more := set.intersection(*here.values())) > len(shared):
            yield set(here), more
        else:
            break
        shared = more
    yield from _sharing(rest)


def _shots(unit: str) -> int:
    return int(unit.partition("-")[0].removeprefix("k"))


def _block(comparison: Comparison, methods: Sequence[Row], shots: int, units: Sequence[str]) -> Block:
    languages = [
        code
        for code in comparison.targets
        if all(comparison.has(str(m["name"]), unit, code) for m in methods for unit in units)
    ]
    if not languages:
        raise RunError(f"{comparison.folder}: the methods have no target language in common, so there is no table")
    answers = {str(m["name"]): [comparison.answers(str(m["name"]), units, code) for code in languages] for m in methods}
    reference = answers.get(comparison.reference)
    asked = {name: [tested for _, tested in found] for name, found in answers.items()}
    first, groups = next(iter(asked.items()))
    for name, theirs in asked.items():
        if theirs != groups:
            raise RunError(
                f"{comparison.folder}: {name} was tested on other examples, or other right answers, than {first}; the "
                "files of the task have changed in between: delete the folder of the older one"
            )
    results = [_result(method, answers[str(method["name"])], reference, languages, units) for method in methods]
    tested = [
        (i, r.difference.p_value) for i, r in enumerate(results) if r.difference and r.name != comparison.reference
    ]
    corrected = dict(zip([i for i, _ in tested], holm([p for _, p in tested]), strict=True))
    results = [
        replace(r, difference=r.difference if i in corrected else None, p_value=corrected.get(i))
        for i, r in enumerate(results)
    ]
    results.sort(key=lambda result: -result.mean.value)
    return Block(shots, tuple(units), tuple(languages), sum(map(len, groups)), tuple(results))


def _result(
    method: Row,
    answers: Sequence[tuple[Answers, tuple[Tested, ...]]],
    reference: Sequence[tuple[Answers, tuple[Tested, ...]]] | None,
    languages: Sequence[str],
    units: Sequence[str],
) -> Result:
    right, groups = [one for one, _ in answers], [[group for _, group, _ in tested] for _, tested in answers]
    means = [float(of_sums(one.sum(1)).mean()) for one in right]
    steps = method.get("steps")  # older folders do not have it
    return Result(
        method=method,
        mean=Estimate(float(np.mean(means)), *joint_interval(right, groups)),
        languages=dict(zip(languages, means, strict=True)),
        difference=None if reference is None else joint_difference(right, [one for one, _ in reference], groups),
        p_value=None,
        seconds=float(np.mean([method["seconds"][unit] for unit in units])),
        steps=float(np.mean([steps[unit] for unit in units])) if steps else None,
    )


# ---- The page --------------------------------------------------------------------------------------


def write_comparison_page(folder: Path, page: Path, *, command: str) -> Path:
    """Write ``page`` and, in a folder of the same name beside it, ``scores.jsonl``.

    Raises:
        RunError: The comparison did not come to its end.
    """
    text = page_text(read_comparison(folder), command=command)
    scores = page.with_suffix("") / "scores.jsonl"
    write_atomically(scores, lambda temporary: _copied(folder / "scores.jsonl", temporary))
    text += f"\nAll scores: [`{scores.relative_to(page.parent)}`]({scores.relative_to(page.parent)}).\n"
    write_atomically(page, lambda temporary: _written(temporary, text))
    return page


def page_text(comparison: Comparison, *, command: str | None = None) -> str:
    """The comparison in Markdown; the first paragraph says who wins, also where it is not us.

    Args:
        comparison: What was compared.
        command: How the page came about; None where nobody knows.
    """
    found, name = blocks(comparison), comparison.about["data"]["task"]
    lines = [f"# {name}: {len(comparison.methods)} methods", ""]
    seen = set[int]()
    for block in found:
        if block.shots not in seen:
            lines.append(f"- {finding(block, comparison)}")
        seen.add(block.shots)
    if command is None:
        lines += ["", "Generated by `lingraft compare` from the settings in `recipe.yaml` and `comparison.json`.", ""]
    else:
        lines += ["", "Generated by", "", *(f"    {line}" for line in command.splitlines()), ""]
    lines += [
        f"{capital(metric_name(metrics_of(comparison.about['data'])[0]))} on the test sets after "
        f"{comparison.about['passes']} passes for every method that is trained. A pass is "
        "over the pairs (over the labelled examples where there are more of these, or no pairs): methods with pairs "
        "repeat the labelled source examples to fill it, so they take more steps. *Steps* says how many. Brackets: "
        f"95 % bootstrap interval over test {noun_of(_kind(comparison))}s, which are drawn once for all languages, "
        "draws and seeds where the test sets share them. "
        f"*Difference* is paired, method minus `{comparison.reference}`; *p* is two-sided, "
        "corrected for the number of methods (Holm). *Trained* counts the head. *Time* is that of one training, all "
        "languages together; computing the frozen states below the cut, once for all methods, is not included "
        "(methods that train or wrap the whole model read none). *Memory* is the peak of the method's own process "
        "while it trains and predicts.",
    ]
    for block in found:
        lines += [
            "",
            f"## {_heading(block, found, _kind(comparison))}",
            "",
            *_table(block, comparison),
            "",
            *_languages(block, comparison),
        ]
    return "\n".join([*lines, "", *_notes(comparison)]) + "\n"


def _kind(comparison: Comparison) -> str:
    return str(comparison.about["data"].get("kind") or "classification")


def finding(block: Block, comparison: Comparison) -> str:
    """One sentence or two on who is best."""
    best, k = block.results[0], f"k = {block.shots}"
    ours = next((result for result in block.results if result.name == comparison.reference), None)
    if ours is None:
        return f"**{k}: `{best.name}` has the highest mean, {_percent(best.mean.value)}.**"
    others = [result for result in block.results if result is not ours]
    above = [result for result in others if result.mean.value > ours.mean.value]
    if above:
        told = ", ".join(f"`{result.name}` by {_points(result.difference, sign=False)}" for result in above)
        return f"**{k}: `{ours.name}` ({_percent(ours.mean.value)}) does not win: above it are {told} points.**"
    level = [result for result in others if result.mean.value == ours.mean.value]
    shared = f"shares the highest mean with {', '.join(f'`{result.name}`' for result in level)}"
    text = f"**{k}: `{ours.name}` {shared if level else 'has the highest mean'}, {_percent(ours.mean.value)}.**"
    if others and not level:
        text += f" Next is `{others[0].name}` ({_points(others[0].difference)} points)."
    unclear = [r.name for r in others if r.difference and r.difference.low <= 0 <= r.difference.high]
    if unclear:
        text += f" The interval of the difference includes 0 for {', '.join(f'`{name}`' for name in unclear)}."
    return text


def table_rows(block: Block, comparison: Comparison) -> list[list[str]]:
    """The cells of the main table, best method first."""
    return [
        [
            result.name,
            f"{_percent(result.mean.value)} [{_number(result.mean.low)}, {_number(result.mean.high)}]",
            f"{comparison.language(result.worst)} {_number(result.languages[result.worst])}",
            _points(result.difference),
            "" if result.p_value is None else "< 0.001" if result.p_value < 0.001 else f"{result.p_value:.3f}",
            count(result.method["trainable_parameters"]),
            "–" if result.steps is None else f"{result.steps:,.0f}",
            duration(result.seconds),
            "–" if result.method["peak_bytes"] is None else f"{result.method['peak_bytes'] / 1e9:.2f} GB",
        ]
        for result in block.results
    ]


HEADINGS = ("method", "mean", "worst language", "difference", "p", "trained", "steps", "time", "memory")


def _heading(block: Block, found: Sequence[Block], kind: str) -> str:
    what = "labelled examples per class" if kind == "classification" else f"labelled {noun_of(kind)}s"
    shots = f"{block.shots} {what} in the target language"
    trainings = f"{len(block.units)} training{'s' if len(block.units) > 1 else ''}"
    first = next(one for one in found if one.shots == block.shots)
    more = "" if block is first else ", the methods with more draws or seeds"
    return f"{shots}: {trainings} a method{more}"


def _table(block: Block, comparison: Comparison) -> list[str]:
    rows = [[f"`{name}`", *cells] for name, *cells in table_rows(block, comparison)]
    return [
        *_markdown(HEADINGS, rows),
        "",
        f"n: {', '.join(block.units)}; {len(block.languages)} languages, {block.examples:,} test examples.",
    ]


def _languages(block: Block, comparison: Comparison) -> list[str]:
    names = ["method", *(comparison.language(code) for code in block.languages)]
    return _markdown(
        names,
        [[f"`{r.name}`", *(_number(r.languages[code]) for code in block.languages)] for r in block.results],
    )


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (headings, ["---"] * len(headings), *rows)]


def _notes(comparison: Comparison) -> list[str]:
    lines = ["## Methods", ""]
    labels: dict[str, set[str]] = {}
    pairs: dict[str, set[str]] = {}
    for method in comparison.methods:
        text = f"- `{method['name']}`: {method['about']}"
        if "impossible" in method:
            lines.append(f"{text}. Not possible: {method['impossible']}.")
            continue
        rate = method["learning_rate"]
        if rate["value"] is not None:
            tried = ", ".join(
                f"{value}: {'diverged' if accuracy is None else _percent(accuracy)}"
                for value, accuracy in rate["tried"].items()
            )
            text += f". {rate['setting'].removeprefix('train.')} {rate['value']:g}"
            text += f", chosen on the source language's development set ({tried})" if tried else ""
        lines.append(f"{text}.")
        for unit, digest in method["labels"].items():
            labels.setdefault(unit, set()).add(digest)
        for unit, digest in method.get("pairs", {}).items():  # older folders do not have it
            pairs.setdefault(unit, set()).add(digest)
    return lines + _material("labelled examples, source and target,", labels) + _material("pairs, used or not,", pairs)


def _material(what: str, digests: dict[str, set[str]]) -> list[str]:
    """Whether all methods had the same of it."""
    differ = sorted(unit for unit, found in digests.items() if len(found) > 1)
    if differ:
        return ["", f"Not all methods had the same {what} in {', '.join(differ)}."]
    return ["", f"All methods had the same {what} in every training they share."] if digests else []


def _number(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _points(difference: Difference | None, sign: bool = True) -> str:
    """``+1.2 [+0.3, +2.1]``."""
    if difference is None:
        return ""
    form = "+.1f" if sign else ".1f"
    mean, low, high = (f"{100 * value:{form}}" for value in (difference.mean, difference.low, difference.high))
    return f"{mean} [{low}, {high}]"


def _copied(source: Path, target: Path) -> None:
    copyfile(source, target)


def _written(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
