"""The command line: talk to people, call the pipeline, turn errors into one clear block.

Nothing heavy is imported at the top, so ``--help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TextIO

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .errors import DataError, LingraftError

if TYPE_CHECKING:
    from .records import Prediction

app = typer.Typer(
    help="Graft a task and a language onto a frozen multilingual language model with very little data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
cache_app = typer.Typer(help="The store of frozen states.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

console = Console(soft_wrap=not sys.stdout.isatty())

RecipePath = Annotated[Path, typer.Argument(help="The recipe, a YAML file.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change, e.g. train.learning_rate=1e-3.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and warnings.")]
RunFolder = Annotated[Path, typer.Argument(help="A folder that `lingraft run` wrote.")]


def main() -> None:
    """Entry point; every error that a user can cure ends here, without a traceback."""
    # Two OpenMP threads that spin while another process works are slower than one. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app()
    except LingraftError as error:
        _say_error(str(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:  # how typer ends on Ctrl-C
            Console(stderr=True).print(
                "stopped; what a run has finished is kept, and `lingraft run` continues from there"
            )
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            _close_output()
        place = f"{error.filename}: " if error.filename else ""
        _say_error(f"{place}{error.strerror or error}")
        sys.exit(1)


def _say_error(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error[/bold red] {_escaped(text)}", highlight=False)


def _close_output() -> NoReturn:
    """The reader of our output went away, as `head` does; nothing is wrong."""
    with suppress(OSError):
        sys.stdout.close()
    sys.exit(0)


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Graft a task and a language onto a frozen multilingual language model with very little data."""
    if show:
        from .version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("recipe.yaml"),
    task: Annotated[
        Literal["classification", "sib200", "cldr_names"], typer.Option(help="What to start from.")
    ] = "classification",
    language: Annotated[list[str] | None, typer.Option(help="Target language; may be given several times.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings to start from: fast, best or paper.")] = None,
) -> None:
    """Write a commented recipe to start from."""
    from .presets import presets, with_preset
    from .template import recipe_text

    with_preset({"preset": preset})  # refuses one that nobody knows

    if path.exists():
        raise DataError(f"{path} exists already; choose another name, or delete it first")
    from .run_folder import write_text

    text = recipe_text(task, language or ["yor-Latn"], path)
    if preset is not None:
        others = ", ".join(name for name in presets() if name != preset)
        start = f"preset: {preset}   # its settings lie under those below; also {others}"
        text = text.replace("\noutput_dir:", f"\n{start}\n\noutput_dir:", 1)
    write_text(path, text)
    console.print(f"wrote {path}; edit it, then: lingraft check {path}", highlight=False)


@app.command()
def check(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Find every mistake of a recipe, and say what a run of it would do and cost."""
    from .config import read_recipe
    from .plan import plan

    found = plan(read_recipe(recipe, overrides or []))
    title = f"{found.task}, {found.trainings} training{'s' if found.trainings > 1 else ''}"
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False, collapse_padding=True
    )
    headings = ("language", "labels", "pairs", "pair tokens", "dev", "test", "tokens", "cut off", "unknown")
    for heading in (*headings, "pieces/word"):
        table.add_column(heading, justify="left" if heading == "language" else "right", overflow="fold")
    for row in found.languages:
        table.add_row(*row)
    console.print(table)
    for line in found.lines:
        console.print(line, highlight=False, markup=False)
    for line in found.warnings:
        console.print(f"[yellow]warning:[/yellow] {_escaped(line)}", highlight=False)


@app.command()
def run(recipe: RecipePath, overrides: Overrides = None, quiet: Quiet = False) -> None:
    """Run a recipe to its report, or continue where it stopped."""
    from .config import read_recipe

    settings = read_recipe(recipe, overrides or [])
    from .pipeline import run as run_recipe

    show_results(run_recipe(settings, quiet=quiet))


@app.command()
def compare(
    recipe: RecipePath,
    overrides: Overrides = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the table as a Markdown page, scores beside it.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare methods on a recipe's data, draws and passes; `compare:` in the recipe says which."""
    from .config import read_recipe

    settings = read_recipe(recipe, overrides or [])
    from .compare import compare as compare_methods
    from .comparison_page import HEADINGS, blocks, finding, read_comparison, table_rows, write_comparison_page

    command = shlex.join(["lingraft", "compare", str(recipe), *(overrides or [])])
    folder = compare_methods(settings, quiet=quiet, command=command)
    found = read_comparison(folder)
    shown = [HEADINGS.index(heading) for heading in ("method", "mean", "difference", "p", "trained", "time")]
    for block in blocks(found):
        title = f"k = {block.shots}, {len(block.units)} training{'s' if len(block.units) > 1 else ''} a method"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, collapse_padding=True)
        for i in shown:
            table.add_column(HEADINGS[i], justify="left" if i == 0 else "right", overflow="fold")
        for row in table_rows(block, found):
            table.add_row(*(_escaped(row[i]) for i in shown))
        console.print(table)
        console.print(_escaped(finding(block, found).replace("*", "").replace("`", "")), highlight=False)
    console.print(f"whole table: {folder / 'README.md'}", highlight=False)
    if markdown is not None:
        page = write_comparison_page(folder, markdown, command=command)
        console.print(str(page), highlight=False)


@app.command()
def demo(
    language: Annotated[
        str, typer.Option(help="Any of 143 languages: yo, Quechua, zul-Latn … (lingraft list languages)")
    ] = "yo",
    output_dir: Annotated[Path | None, typer.Option(help="The run folder.")] = None,
    quiet: Quiet = False,
) -> None:
    """Watch a pretrained model learn a language: names of countries, languages, currencies, scripts and cities."""
    from .template import demo_recipe

    settings = demo_recipe(language, output_dir)
    from .pipeline import run as run_recipe

    show_results(run_recipe(settings, quiet=quiet))


@app.command()
def evaluate(
    folder: RunFolder,
    languages: Annotated[
        str | None,
        typer.Option(help="Comma-separated (of contexts, for questions); default: the languages of the run."),
    ] = None,
    split: Annotated[Literal["dev", "test"], typer.Option(help="Which examples.")] = "test",
    task: Annotated[str | None, typer.Option(help="Another benchmark of the same kind: lingraft list tasks")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Its folder; default: data/TASK.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only so many examples of each language.")] = None,
    task_part_alone: Annotated[
        bool, typer.Option("--task-part-alone", help="Leave out what was learned for each language.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Also write the scores as JSON lines.")] = None,
    quiet: Quiet = False,
) -> None:
    """Score a trained run on its task or another of its kind, also in languages that it never saw."""
    from .rescore import rescore

    asked = languages.split(",") if languages else None
    scores = rescore(
        folder,
        asked,
        split,
        task_name=task,
        data_dir=data_dir,
        limit=limit,
        task_part_alone=task_part_alone,
        quiet=quiet,
    )
    crossed = any(s.context_language not in (None, s.language) for _, s in scores)
    table = Table()
    for heading in ("language", *(["context"] if crossed else []), "part", "metric", "value", "95 % interval", "n"):
        table.add_column(heading, justify="right" if heading in ("value", "n") else "left")
    for part, s in scores:
        context = [s.context_language or ""] if crossed else []
        table.add_row(s.language, *context, part, s.metric, f"{s.value:.3f}", f"{s.low:.3f} to {s.high:.3f}", str(s.n))
    console.print(table)
    if output is not None:
        from dataclasses import asdict

        from .run_folder import write_lines

        write_lines(output, [asdict(one) for _, one in scores])


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="What was predicted: {question id: answer}, tags, or labels.")],
    gold: Annotated[Path, typer.Argument(help="What is right: SQuAD JSON, words with tags, or labels.")],
    metric: Annotated[
        str, typer.Option(help="squad, mlqa:LANGUAGE (of the context), span_f1, tag_accuracy, accuracy or macro_f1.")
    ],
    missing_is_wrong: Annotated[
        bool, typer.Option("--missing-is-wrong", help="Count what has no prediction as wrong.")
    ] = False,
) -> None:
    """Score anybody's predictions by the official rules, with intervals."""
    from .score_files import score_files

    found = score_files(predictions, gold, metric, missing_is_wrong=missing_is_wrong)
    table = Table()
    for heading in ("metric", "value", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for one in found.scores:
        table.add_row(one.metric, f"{one.value:.4f}", f"{one.low:.4f} to {one.high:.4f}")
    console.print(table)
    drawn = "" if found.groups == found.examples else f", drawn in {found.groups:,} groups for the intervals"
    missed = f"; {found.missing:,} without a prediction count as wrong" if found.missing else ""
    console.print(f"{found.examples:,} examples{drawn}{missed}", highlight=False)


@app.command()
def predict(
    folder: RunFolder,
    file: Annotated[
        Path | None, typer.Argument(help=".txt (one text a line), .jsonl, .csv or .tsv; default: standard input.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language of the texts.")] = None,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    text_b: Annotated[str | None, typer.Option(help="Column of the second text of a pair.")] = None,
    output: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="Output format.")] = "jsonl",
) -> None:
    """What a trained run says of texts (questions, choices); JSON lines or CSV on standard output, with confidence.

    Questions are rows with columns question and context, choices rows with text, alternatives and perhaps question.
    """
    from .data.texts import read_items, read_texts
    from .serve import load, needed_columns

    columns = needed_columns(folder)
    items: list[Any] = read_items(file, columns) if columns else read_texts(file, text=text, text_b=text_b)
    adapted = load(folder)
    if language is None and len(adapted.identity.languages) == 1:
        language = adapted.identity.languages[0]
    if language is None:
        known = ", ".join(adapted.identity.languages)
        print(f"no --language given, the run knows {known}: using the task part alone", file=sys.stderr)  # noqa: T201
    warnings.showwarning = lambda message, *rest, **more: print(message, file=sys.stderr)  # noqa: T201
    write_predictions(sys.stdout, items, adapted.predict(items, language=language), output)


@app.command()
def report(
    folder: RunFolder,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write the results as a Markdown page, scores beside it.")
    ] = None,
    command: Annotated[str | None, typer.Option(help="The command that the page names.")] = None,
) -> None:
    """Write the report and the model card of a run again, from its files."""
    from .errors import RunError
    from .report import write_model_card, write_report

    if not (folder / "summary.json").is_file():
        raise RunError(f"{folder} is no run that came to its end; finish it with: lingraft run RECIPE")
    if (folder / "README.md").is_file():
        write_model_card(folder)  # it marks a run as finished, so only a finished one gets it again
    console.print(str(write_report(folder)), highlight=False)
    if markdown is not None:
        from .results_page import write_results_page

        written = write_results_page(folder, markdown, command=command or f"lingraft run {folder / 'recipe.yaml'}")
        console.print(str(written), highlight=False)


@app.command(name="list")
def list_(
    kind: Annotated[
        Literal[
            "tasks",
            "prompts",
            "adapters",
            "alignment",
            "freezing",
            "methods",
            "presets",
            "backbones",
            "sources",
            "languages",
        ],
        typer.Argument(help="What to list."),
    ] = "tasks",
) -> None:
    """List what a recipe can name."""
    from .listing import rows_of

    headings, rows = rows_of(kind)
    table = Table(*headings)
    for row in rows:
        table.add_row(*map(_escaped, row))
    console.print(table)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a recipe, for editors."""
    import json

    from .config import schema as recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=2))


@cache_app.command("info")
def cache_info() -> None:
    """Show where the cache is and how large."""
    from .cache import info, states_folder

    found = info()
    console.print(f"{states_folder()}: {found.entries} entries, {found.bytes / 1e6:,.1f} MB", highlight=False)
    if found.newest:
        console.print(f"last used between {found.oldest:%Y-%m-%d} and {found.newest:%Y-%m-%d}", highlight=False)


@cache_app.command("prune")
def cache_prune(
    max_gigabytes: Annotated[float, typer.Option(min=0, help="Keep this much, most recently used first.")] = 0.0,
) -> None:
    """Remove cached states, least recently used first; they are computed again when needed."""
    from .cache import prune

    removed, freed = prune(max_bytes=int(max_gigabytes * 1e9))
    console.print(f"removed {removed} entries, {freed / 1e6:,.1f} MB", highlight=False)


def show_results(folder: Path) -> None:
    """The before-and-after table of a finished run, and where its report is."""
    from .findings import metrics_of, results
    from .run_files import read_run
    from .wording import metric_name

    found = read_run(folder)
    names = [metric_name(metric) for metric in metrics_of(found.data)]
    shown = names[0] + (f" ({names[1]})" if len(names) > 1 else "")
    table = Table(title=f"{found.data['task']}: {shown}, 95 % intervals", title_justify="left")
    for heading in ("language", "shots", "frozen head", "lingraft", "gain", "n"):
        table.add_column(heading, justify="left" if heading == "language" else "right")
    for row in results(found):
        table.add_row(
            row.name,
            str(row.shots),
            _estimate(row.before, row.second_before),
            _estimate(row.after, row.second_after),
            _gain(row.gain),
            str(row.n),
        )
    console.print(table)
    console.print(f"report: {folder / 'report.html'}", highlight=False)


def write_predictions(stream: TextIO, texts: list[Any], predictions: list[Prediction], output: str) -> None:
    """One line per text: the text, the label, its probability."""
    import csv
    import json

    rows: Callable[[dict[str, Any]], Any]
    if output == "csv":
        given = [text for text in texts if isinstance(text, dict)]
        named = list(dict.fromkeys(key for text in given for key in text)) if given else ["text", "text_b"]
        writer = csv.DictWriter(stream, list(dict.fromkeys([*named, "label", "confidence"])))
        writer.writeheader()
        rows = writer.writerow
    else:
        rows = lambda row: print(json.dumps(row, ensure_ascii=False), file=stream)  # noqa: E731
    for text, prediction in zip(texts, predictions, strict=True):
        a, b = (text, None) if isinstance(text, str | dict) else text
        row = dict(a) if isinstance(a, dict) else {"text": a, "text_b": b}
        row |= {"label": prediction.value, "confidence": round(prediction.confidence, 4)}
        rows({key: value for key, value in row.items() if value is not None})


def _estimate(estimate: Any, second: float | None) -> str:
    if estimate is None:
        return ""
    interval = f" [{estimate.low:.3f}, {estimate.high:.3f}]" if estimate.low is not None else ""
    return f"{estimate.value:.3f}" + (f" ({second:.3f})" if second is not None else "") + _escaped(interval)


def _gain(estimate: Any) -> str:
    if estimate is None:
        return ""
    interval = f" [{estimate.low:+.3f}, {estimate.high:+.3f}]" if estimate.low is not None else ""
    return f"{estimate.value:+.3f}" + _escaped(interval)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
