"""Scores on the named benchmarks: run what has not been run yet, and write the page.

Each stage is a recipe of ``examples/tasks`` with some settings changed, and keeps a run folder, so
the same command continues where it stopped; ``--estimate`` says what each would cost. The page tells
what is there, and names what is not.

    python benchmarks/tasks.py              # all stages, then docs/results/tasks.md
    python benchmarks/tasks.py --page       # the page alone, from the folders that are there
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from comparison_pages import remarks
from learning_curve import Point, draw
from side_by_side import Column, table

from lingraft.core.files import read_lines, read_object
from lingraft.data.languages import display_name
from lingraft.results.findings import Estimate, Result, metrics_of, results
from lingraft.results.run_files import read_run
from lingraft.results.wording import difference

RUNS, PAGE = Path("runs/tasks"), Path("docs/results/tasks.md")
ABOUT = """# Scores on the named benchmarks

One seed, one draw, a small backbone (multilingual-e5-small, 118 M parameters, about 100 languages) and small training \
sets: these numbers say what a laptop gets from the data named, not what the benchmarks allow. Brackets hold 95 % \
bootstrap intervals over test examples, drawn in whole groups where examples share a paragraph, an article or a \
sentence. Scores lie between 0 and 1; the arrow column is the second metric, before and after.

"""


@dataclass(frozen=True)
class Stage:
    """A run of a recipe, or the scores of a run on another benchmark."""

    section: str
    title: str
    folder: str
    command: tuple[str, ...]
    output: str | None = None
    verb: str = "run"

    @property
    def done(self) -> Path:
        """What is there when it is finished."""
        return RUNS / self.folder / (self.output or "README.md")

    def argv(self) -> list[str]:
        """The command as a shell would run it."""
        if self.output is None:
            return [self.verb, *self.command, f"output_dir={RUNS / self.folder}"]
        return ["evaluate", str(RUNS / self.folder), *self.command, "--output", str(self.done)]


def recipe(name: str, *settings: str) -> tuple[str, ...]:
    """A recipe of ``examples/tasks``, changed."""
    return (f"examples/tasks/{name}.yaml", *settings)


CURVE = "PAWS-X"


def pawsx(examples: int, translated: bool) -> Stage:
    """A point of the learning curve."""
    sources = [f"{{name: pawsx, data_dir: ../shared/data/pawsx, split: dev, hold_out: 400, examples: {examples}}}"]
    if translated:
        sources.append("{name: paws_wiki_id, data_dir: ../shared/data/paws_wiki_id, language: ind-Latn}")
    epochs = 2 if translated else 8
    return Stage(
        CURVE,
        f"{examples:,} English pairs" + (" and 7,993 machine-translated Indonesian ones" if translated else ""),
        f"pawsx-{examples}" + ("-id" if translated else ""),
        recipe("pawsx", f"task.train_from=[{', '.join(sources)}]", f"train.num_train_epochs={epochs}"),
    )


XQUAD = ["eng-Latn", "deu-Latn", "spa-Latn", "ell-Grek", "rus-Cyrl", "vie-Latn", "zho-Hans", "hin-Deva", "arb-Arab"]
SHORT_SENTENCES = (
    "task.target_languages=[deu-Latn, hin-Deva, arb-Arab]",
    "parallel={files: ../shared/data/ntrex/newstest2019-src.eng.txt, "
    "target_files: '../shared/data/ntrex/newstest2019-ref.{language}.txt', pairs: 1000}",
    "prompt={name: deep}",
    "adapter={name: bottleneck, width: 64}",
    "alignment=[{name: mse, weight: 0.5}]",
    "train.num_train_epochs=2",
    "backbone.precision=float32",
)
FROZEN = ("compare.methods=[frozen-head]", "task.target_languages=[deu-Latn]")
PEFT = ("compare.methods=[peft-lora]", "compare.learning_rates={peft-lora: [1e-3]}", "train.warm_start=false")
MLQA = (
    "--task",
    "mlqa",
    "--split",
    "dev",
    "--data-dir",
    "../shared/data/mlqa",
    "--languages",
    "en,de,es,vi,zh,ar",
    "--limit",
    "300",
)
AFRIQA = ("--task", "afriqa", "--data-dir", "../shared/data/afriqa", "--languages", "hau,yor")
STAGES = (
    Stage("XQuAD", "17 English articles, three epochs", "xquad", recipe("xquad")),
    Stage(
        "XQuAD",
        "the same questions, PEFT's LoRA in all layers, two epochs",
        "xquad-peft",
        recipe("xquad", *PEFT, "train.num_train_epochs=2"),
        verb="compare",
    ),
    Stage("XQuAD", "32 questions of Arabic, Hindi and Vietnamese besides", "xquad-shots", recipe("xquad_shots")),
    Stage(
        "XQuAD",
        "parts of each language instead, aligned on 1,000 translated sentences, two epochs",
        "xquad-aligned",
        recipe("xquad", *SHORT_SENTENCES),
    ),
    Stage(
        "XQuAD",
        "that run without its language parts, 200 questions a language",
        "xquad-aligned",
        ("--languages", "de,hi,ar", "--limit", "200", "--task-part-alone"),
        "task_part.jsonl",
    ),
    Stage(
        "MLQA (dev)",
        "a head on the frozen states, the same questions",
        "xquad-frozen",
        recipe("xquad", *FROZEN),
        verb="compare",
    ),
    Stage("MLQA (dev)", "that head", "xquad-frozen/frozen-head", MLQA, "mlqa.jsonl"),
    Stage("MLQA (dev)", "the run of XQuAD", "xquad", MLQA, "mlqa.jsonl"),
    Stage("MLQA (dev)", "PEFT's LoRA", "xquad-peft/peft-lora", MLQA, "mlqa.jsonl"),
    Stage("AfriQA", "the run of XQuAD, question in the language, context in English", "xquad", AFRIQA, "afriqa.jsonl"),
    Stage("AfriQA", "the same run, and 16 questions of each language", "afriqa", recipe("afriqa")),
    *(pawsx(examples, translated) for translated in (False, True) for examples in (200, 400, 800, 1600)),
    Stage("MasakhaNER", "2,000 English sentences of PAN-X", "masakhaner", recipe("masakhaner")),
    Stage("AfriSenti", "420 English sentences of NusaX", "afrisenti", recipe("afrisenti")),
    Stage("AmericasNLI", "2,190 English pairs of XNLI", "americasnli", recipe("americasnli")),
    Stage("XCOPA", "400 English items of COPA", "xcopa", recipe("xcopa")),
)


def main() -> None:
    """Run, estimate, or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", action="store_true", help="write the page and run nothing")
    parser.add_argument("--estimate", action="store_true", help="say what each stage would do and cost")
    parser.add_argument("--only", help="stages whose folder begins with this")
    given = parser.parse_args()
    for stage in STAGES:
        if given.page or stage.done.exists() or not stage.folder.startswith(given.only or ""):
            continue
        argv = stage.argv()
        print(f"{stage.section}: {stage.title}", flush=True)
        if given.estimate and stage.output:
            continue
        if given.estimate:
            argv[0] = "check"
        if subprocess.run([sys.executable, "-m", "lingraft", *argv], check=False).returncode:
            print(f"{stage.section} failed; the next stage begins", flush=True)
    if not given.estimate:
        write_page()


# ---- The page --------------------------------------------------------------------------------------


def introduction() -> str:
    """Return what stands above the tables: what the numbers are, and the remarks of the recipes."""
    recipes = dict.fromkeys(stage.command[0] for stage in STAGES if stage.command[0].endswith(".yaml"))
    return ABOUT + remarks(map(Path, recipes))


def write_page() -> None:
    """Write the page and, beside it, the scores of all that was run."""
    lines = [introduction().rstrip()]
    rows, absent = list[dict[str, Any]](), list[Stage]()
    for section in dict.fromkeys(stage.section for stage in STAGES):
        stages = [stage for stage in STAGES if stage.section == section and stage.done.exists()]
        absent += [stage for stage in STAGES if stage.section == section and not stage.done.exists()]
        if not stages:
            continue
        lines += ["", f"## {section}"]
        if section == CURVE:
            lines += list(_curve(stages))
            rows += [
                {"stage": stage.folder, "section": section} | row
                for stage in stages
                for row in read_lines(RUNS / stage.folder / "scores.jsonl")
            ]
            continue
        for stage in stages:
            lines += [
                "",
                f"{stage.title[:1].upper()}{stage.title[1:]}:",
                "",
                "    lingraft " + " ".join(map(_quoted, stage.argv())),
                "",
            ]
            found = list(read_lines(RUNS / stage.folder / (stage.output or "scores.jsonl")))
            rows += [{"stage": stage.folder, "section": section} | row for row in found]
            lines += list(
                _evaluated(found) if stage.output else _compared(stage) if stage.verb == "compare" else _trained(stage)
            )
        lines += list(_together(section))
    if absent:
        lines += ["", "## Not run", ""]
        lines += [f"- {stage.section}: {stage.title}." for stage in absent]
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    beside = PAGE.with_suffix("") / "scores.jsonl"
    beside.parent.mkdir(exist_ok=True)
    beside.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(PAGE)


def _curve(stages: Sequence[Stage]) -> Iterator[str]:
    """Accuracy by how much was learned from, a row for each training."""
    yield from ["", f"    lingraft {' '.join(map(_quoted, stages[-1].argv()))}", ""]
    yield "and likewise with other numbers of `examples`, and without the second source and with eight epochs."
    found = {stage: {one.name: one for one in results(read_run(RUNS / stage.folder))} for stage in stages}
    languages = list(next(iter(found.values())))
    picture = PAGE.with_suffix("") / "pawsx.svg"
    points = [
        Point(int(stage.folder.split("-")[1]), stage.folder.endswith("-id"), {n: one.after for n, one in by.items()})
        for stage, by in found.items()
    ]
    majority = {name: one.majority for name, one in next(iter(found.values())).items()}
    draw(points, majority, picture, ("alone", "with 7,993 Indonesian pairs"))
    yield from ["", f"![Accuracy by number of English pairs](tasks/{picture.name})"]
    yield from ["", f"| learned from | {' | '.join(languages)} | mean |", "|---" * (len(languages) + 2) + "|"]
    for stage, by_language in found.items():
        cells = [_with_interval(by_language[name].after) for name in languages]
        mean = fmean(one.after.value for one in by_language.values() if one.after)
        yield f"| {stage.title} | {' | '.join(cells)} | {mean:.3f} |"
    for stage, by_language in found.items():
        cells = [_with_interval(by_language[name].before) for name in languages]
        mean = fmean(one.before.value for one in by_language.values() if one.before)
        yield f"| frozen head, {stage.title} | {' | '.join(cells)} | {mean:.3f} |"
    most = [f"{by_language[name].majority:.3f}" for name in languages]
    yield f"| always the most frequent class | {' | '.join(most)} | |"
    yield from ["", f"Test pairs: {', '.join(f'{name} {by_language[name].n:,}' for name in languages)}."]
    for note in read_run(RUNS / stages[-1].folder).data.get("notes", ()):
        yield from ["", f"{note}."]


def _together(section: str) -> Iterator[str]:
    """The methods of a section beside each other, where several have answered the same questions."""
    ours, theirs, shots = (RUNS / name for name in ("xquad", "xquad-peft/peft-lora", "xquad-shots"))
    if section != "XQuAD" or not ((ours / "README.md").exists() and (theirs / "method.json").exists()):
        return
    columns = [Column("frozen head", ours, "before"), Column("PEFT LoRA", theirs), Column("lingraft", ours)]
    yield from ["", "### All questions, no example of the language", "", "F1 [95 % interval], exact match:", ""]
    yield from table(columns, XQUAD, (2, 1))
    if (shots / "README.md").exists():
        columns.append(Column("lingraft and 32", shots))
        yield from ["", "### 32 questions of the language", ""]
        yield "Paragraphs from which no question was drawn, the same for all methods; F1 [95 % interval], exact match:"
        yield ""
        yield from table(columns, ["arb-Arab", "hin-Deva", "vie-Latn"], (3, 2), only=shots)


def _compared(stage: Stage) -> Iterator[str]:
    """Trained parameters and time of the methods of a comparison; their scores stand beside the others'."""
    yield "| method | trained | steps | minutes | memory |"
    yield "|---|--:|--:|--:|--:|"
    for path in sorted((RUNS / stage.folder).glob("*/method.json")):
        facts = read_object(path)
        (steps,), (seconds,) = facts["steps"].values(), facts["seconds"].values()
        name, trained, memory = facts["name"], facts["trainable_parameters"], (facts["peak_bytes"] or 0) / 1e9
        yield f"| `{name}` | {trained:,} | {steps} | {seconds / 60:.0f} | {memory:.1f} GB |"


def _trained(stage: Stage) -> Iterator[str]:
    """A table of a run: frozen head and lingraft, with intervals, and the data's notes."""
    run = read_run(RUNS / stage.folder)
    found = results(run)
    metrics = metrics_of(run.data)
    yield f"| language | k | frozen head, {metrics[0]} | lingraft, {metrics[0]} | gain | {_second(metrics)} | n |"
    yield "|---|--:|---|---|---|---|--:|"
    for one in found:
        second = "" if one.second_after is None else f"{_or_dash(one.second_before)} → {one.second_after:.3f}"
        yield (
            f"| {one.name} | {one.shots} | {_with_interval(one.before)} | {_with_interval(one.after)} | {_gain(one)} | "
            f"{second} | {one.n:,} |"
        )
    majority = {one.name: one.majority for one in found if one.majority is not None}
    if majority:
        yield ""
        yield (
            "Always the most frequent class: "
            + ", ".join(f"{name} {value:.3f}" for name, value in majority.items())
            + "."
        )
    overlap = sum(run.data.get("overlap_removed", {}).values())
    notes = [
        *run.data.get("notes", ()),
        *([f"{overlap} texts that are evaluated on were taken out of training"] if overlap else []),
    ]
    for note in notes:
        yield ""
        yield f"{note}."


def _evaluated(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A table of a run scored on another benchmark: one row for each pair of languages."""
    pairs: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        pairs.setdefault((row["language"], row.get("context_language") or row["language"]), {})[row["metric"]] = row
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    yield f"| question | context | {' | '.join(metrics)} | n |"
    yield "|---|---|" + "---|" * len(metrics) + "--:|"
    for (question, context), of_metric in sorted(pairs.items(), key=lambda item: (item[0][1], item[0][0])):
        cells = [_with_interval(Estimate(row["value"], row["low"], row["high"])) for row in of_metric.values()]
        n = next(iter(of_metric.values()))["n"]
        yield f"| {display_name(question)} | {display_name(context)} | {' | '.join(cells)} | {n:,} |"


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    interval = "" if estimate.low is None else f" [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{estimate.value:.3f}{interval}"


def _gain(result: Result) -> str:
    if result.gain is None:
        return "–"
    interval = "" if result.gain.low is None else f" [{result.gain.low:+.3f}, {result.gain.high:+.3f}]"
    return f"{difference(result.before.value, result.after.value, 3):+f}{interval}"


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _second(metrics: Sequence[str]) -> str:
    return metrics[1] if len(metrics) > 1 else ""


def _quoted(argument: str) -> str:
    return f"'{argument}'" if any(character in argument for character in " {}[]") else argument


if __name__ == "__main__":
    main()
