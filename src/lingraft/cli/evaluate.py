"""``evaluate`` and ``score``: a trained run, or anybody's predictions, against what is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from ..core.counted import counted
from .tables import Column, print_table
from .terminal import Quiet, RunFolder, TrainedOn, console

if TYPE_CHECKING:
    from ..core.records import Score
    from ..tasks.labelling import Labels
    from ..tasks.score_files import FileScore


def evaluate(
    folder: RunFolder,
    languages: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated (of contexts, for questions); default: the languages of the run, or those that "
            "another benchmark names."
        ),
    ] = None,
    split: Annotated[Literal["dev", "test"], typer.Option(help="Which examples.")] = "test",
    task: Annotated[str | None, typer.Option(help="Another benchmark of the same kind: lingraft list tasks")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Its folder; default: data/TASK.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only so many examples of each language.")] = None,
    task_part_alone: Annotated[
        bool, typer.Option("--task-part-alone", help="Leave out what was learned for each language.")
    ] = False,
    backbone: TrainedOn = None,
    output: Annotated[Path | None, typer.Option(help="Also write the scores as JSON lines.")] = None,
    quiet: Quiet = False,
) -> None:
    """Score a trained run on its task or another of its kind, also in languages that it never saw."""
    from ..runs.rescore import rescore

    asked = languages.split(",") if languages else None
    if output is not None:
        _refuse_others_file(output)
    scores = rescore(
        folder,
        asked,
        split,
        task_name=task,
        data_dir=data_dir,
        limit=limit,
        task_part_alone=task_part_alone,
        backbone=backbone,
        quiet=quiet,
    )
    as_run = split == "test" and task is None and data_dir is None and limit is None and not task_part_alone
    _show(folder, scores, split, beside_run=as_run)
    if output is not None:
        from dataclasses import asdict

        from ..core.files import write_lines

        write_lines(output, [asdict(one) for _, one in scores])


def _refuse_others_file(output: Path) -> None:
    """Refuse to write scores over anything but scores.

    Raises:
        ConfigError: There is a file of something else.
    """
    import json
    from contextlib import suppress

    from ..core.errors import ConfigError

    if not output.exists():
        return
    with suppress(OSError, ValueError, AttributeError):
        with output.open(encoding="utf-8") as lines:
            first = lines.readline(10_000)
        if not first.strip() or {"metric", "value", "language"} <= json.loads(first).keys():
            return
    raise ConfigError([f"{output} is there already, and holds no scores; give another name"], where="--output")


def _show(folder: Path, scores: Sequence[tuple[str, Score]], split: str, *, beside_run: bool) -> None:
    """Print the scores of the saved trial; ``beside_run``: and the means that the run itself shows for them."""
    from ..results.findings import mean_of_trials
    from ..results.run_files import read_run, trial_of
    from ..results.saved_trial import explain_saved

    crossed = any(s.context_language not in (None, s.language) for _, s in scores)
    run = read_run(folder)
    means = [mean_of_trials(run, one) if beside_run else None for _, one in scores]
    columns = [
        Column("language", justify="left"),
        Column("context", justify="left"),
        Column("part", 1, justify="left"),
        Column("metric", justify="left"),
        Column("value"),
        Column("95 % interval"),
        Column("mean of\ntrials"),
        Column("n", 2),
    ]
    rows = [
        [
            s.language,
            (s.context_language or "") if crossed else "",
            part,
            s.metric,
            f"{s.value:.3f}",
            _interval(s, 3),
            "" if mean is None else f"{mean:.3f}",
            str(s.n),
        ]
        for (part, s), mean in zip(scores, means, strict=True)
    ]
    print_table(f"{split} examples, saved trial {trial_of(scores[0][1])}", columns, rows)
    if any(means):
        console.print(f"mean of trials: as `lingraft run` shows it. {explain_saved(run)}")


def score(
    predictions: Annotated[Path, typer.Argument(help="What was predicted: {question id: answer}, tags, or labels.")],
    gold: Annotated[Path, typer.Argument(help="What is right: SQuAD JSON, words with tags, labels, or a table.")],
    metric: Annotated[
        str,
        typer.Option(
            show_default=False,
            help="Needed: accuracy, macro_f1, multilabel, regression, span_f1, tag_accuracy, squad, squad_v2 or "
            "mlqa:LANGUAGE (of contexts).",
        ),
    ] = "",
    missing_is_wrong: Annotated[
        bool, typer.Option("--missing-is-wrong", help="Count what has no prediction as wrong.")
    ] = False,
    id_: Annotated[str | None, typer.Option("--id", help="Column of the ids of tables; default: id.")] = None,
    prediction: Annotated[str | None, typer.Option(help="Column of what was predicted.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of what is right.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(help="The gold file's columns of words and tags: numbers from 0, as 0,3, or names of a table's."),
    ] = None,
    labels: Annotated[
        str, typer.Option(help="As in a recipe: as_written, normalise, or names of numbers, from 0, as sport,trade.")
    ] = "as_written",
    alternatives: Annotated[
        str | None, typer.Option(help="Columns of the alternatives, or the one of their list, where the label is one.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of what is drawn together for intervals; of questions, the context.")
    ] = None,
) -> None:
    """Score anybody's predictions by the official rules, with intervals; what `predict` writes is read as it is."""
    from ..results.wording import describe_few
    from ..tasks.score_files import FileColumns, score_files

    one_of = tuple(alternatives.split(",")) if alternatives else ()
    named = FileColumns(id_, prediction, label, _two_columns(columns), group, one_of)
    found = score_files(
        predictions, gold, metric, missing_is_wrong=missing_is_wrong, columns=named, labels=_labels_of(labels)
    )
    shown = [Column("metric", justify="left"), Column("value"), Column("95 % interval")]
    rows = [[one.metric, f"{one.value:.4f}", _interval(one, 4)] for one in found.scores]
    print_table("", shown, rows)
    drawn = "" if found.groups == found.examples else f", drawn in {counted(found.groups, 'group')} for the intervals"
    missed = f"; {found.missing:,} without a prediction count as wrong" if found.missing else ""
    console.print(f"{counted(found.examples, 'example')}{drawn}{missed}")
    if doubt := describe_few(found.groups, "example" if found.groups == found.examples else "group"):
        _say(doubt)
    if found.read_as:
        _say("read as the same label: " + ", ".join(f"{one!r} as {other!r}" for one, other in found.read_as))
    for note in found.notes:
        _say(note)
    if found.never_right:
        _say(f"predicted, but nowhere in the gold file: {', '.join(map(repr, found.never_right))}")


def _interval(score: Score | FileScore, digits: int) -> str:
    """Return both ends; a dash where there is none, so that the column stays."""
    if score.low is None or score.high is None:
        return "–"
    return f"{score.low:.{digits}f} to {score.high:.{digits}f}"


def _say(text: str) -> None:
    console.print(text)


def _labels_of(text: str) -> Labels:
    """Return what the setting of a recipe would be: one of its words, or names parted by commas.

    Raises:
        ConfigError: It is another word.
    """
    from ..core.errors import ConfigError

    if text in ("as_written", "normalise"):
        return cast("Labels", text)
    if "," not in text:
        raise ConfigError([f"expected as_written, normalise, or names as sport,trade; got {text!r}"], "--labels")
    return [name.strip() for name in text.split(",")]


def _two_columns(columns: str | None) -> tuple[int, int] | tuple[str, str] | None:
    """Return the two numbers, or names, that ``0,3`` or ``words,tags`` are.

    Raises:
        ConfigError: It is something else.
    """
    from ..core.errors import ConfigError

    if columns is None:
        return None
    parts = [part.strip() for part in columns.split(",")]
    if len(parts) != 2 or not all(parts):
        raise ConfigError([f"expected two columns, numbers from 0 as 0,3, or names; got {columns!r}"], "--columns")
    try:
        return int(parts[0]), int(parts[1])
    except ValueError:
        return parts[0], parts[1]
