"""``init``, ``check``, ``run`` and ``demo``: from a recipe to a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.counted import counted
from ..core.errors import DataError, problems_in
from ..core.progress import Reporter
from .tables import Column, print_table
from .terminal import Overrides, Quiet, RecipePath, console, print_warning

if TYPE_CHECKING:
    from ..recipe.settings import Recipe
    from ..results.findings import Estimate
    from ..tasks.material import Materials


def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("recipe.yaml"),
    task: Annotated[
        str, typer.Option(help="What to start from: your own data of a kind, or sib200 or cldr_names.")
    ] = "classification",
    language: Annotated[list[str] | None, typer.Option(help="Target language; may be given several times.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings to start from: fast, instant, best or paper.")] = None,
) -> None:
    """Write a commented recipe to start from."""
    from .starters import recipe_text

    if path.exists():
        raise DataError(f"{path} exists already; choose another name, or delete it first")
    from ..core.files import write_text

    text = recipe_text(task, language or ["yor-Latn"], path, preset)
    write_text(path, text)
    console.print(f"wrote {path}; edit it, then: lingraft check {path}")


def check(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Find every mistake of a recipe, and say what a run of it would do and cost."""
    from ..core.yaml_text import name_of
    from ..recipe.parsing import draft_recipe

    left_out, planned = dict[str, str](), list[str]()

    def experiments(settings: Recipe, materials: Materials | None) -> None:
        from ..experiments.planned import check_experiments

        without, lines = check_experiments(settings, materials)
        left_out.update(without)
        planned.extend(lines)

    with problems_in(name_of(recipe)):
        settings, known = draft_recipe(recipe, overrides or [])
        from ..runs.plan import plan  # heavy, and not needed where there is no recipe

        found = plan(settings, experiments, known=known)
    title = f"{found.task}, {counted(found.trials, 'trial')}"
    columns = [
        Column("language", justify="left"),
        Column("labels"),
        Column("pairs"),
        Column("tokens in pairs", 7),
        Column("dev", 3),
        Column("test"),
        Column("tokens", 4),
        Column("cut short", 2),
        Column("unknown", 5),
        Column("tokens per word", 6),
    ]
    print_table(title, columns, found.languages)
    for line in [*found.lines, *planned]:
        console.print(line)
    if left_out:
        from ..experiments.possible import describe_left_out

        console.print(describe_left_out(left_out))
    for line in found.warnings:
        print_warning(line)


def run(recipe: RecipePath, overrides: Overrides = None, quiet: Quiet = False) -> None:
    """Run a recipe to its report, or continue where it stopped."""
    from ..core.yaml_text import name_of
    from ..recipe.parsing import read_recipe

    settings = read_recipe(recipe, overrides or [])
    from ..distributed.launch import run_among
    from ..distributed.ranks import joined

    with problems_in(name_of(recipe)), joined() as ranks:
        folder = run_among(ranks, settings, Reporter(quiet=quiet))
    if folder is not None:
        show_results(folder)


def demo(
    language: Annotated[
        str, typer.Option(help="Any of 143 languages: yo, Quechua, zul-Latn … (lingraft list languages)")
    ] = "yo",
    output_dir: Annotated[Path | None, typer.Option(help="The run folder.")] = None,
    instant: Annotated[bool, typer.Option("--instant", help="Train nothing by gradient: all in closed form.")] = False,
    quiet: Quiet = False,
) -> None:
    """Watch a pretrained model learn a language: names of countries, languages, currencies, scripts and cities."""
    from .starters import demo_recipe

    settings = demo_recipe(language, output_dir, instant=instant)
    from ..runs.pipeline import run as run_recipe

    show_results(run_recipe(settings, reporter=Reporter(quiet=quiet)))


def show_results(folder: Path) -> None:
    """Show the before-and-after table of a finished run, and where its report is."""
    from ..results.findings import metrics_of, results
    from ..results.run_files import read_run
    from ..results.wording import metric_name

    found = read_run(folder)
    names = [metric_name(metric) for metric in metrics_of(found.data)][:2]  # of which results have numbers
    shown = names[0] + (f" ({names[1]})" if len(names) > 1 else "")
    beside = f"({names[-1]})".replace(", ", ",\n")
    columns = [
        Column("language", justify="left"),
        Column("shots"),
        Column("frozen\nhead", 1),
        Column("95 %", 5),
        Column(beside, 6),
        Column("instant", 1),
        Column("95 %", 5),
        Column("lingraft"),
        Column("95 %", 3),
        Column(beside, 4),
        Column("saved\ntrial", 1),
        Column("gain"),
        Column("95 %"),
        Column("over\ninstant", 2),
        Column("95 %", 4),
        Column("n", 2),
    ]
    everything = results(found)
    rows = [
        [
            row.name,
            str(row.shots),
            *_estimate(row.before, row.second_before),
            *_estimate(row.instant, None)[:2],
            *_estimate(row.after, row.second_after),
            "" if row.saved is None else f"{row.saved:.3f}",
            *_gain(row.before, row.after, row.gain),
            *_gain(row.instant, row.after, row.over_instant),
            str(row.n),
        ]
        for row in everything
    ]
    if rows:
        print_table(f"{found.data.get('task', 'an unnamed task')}: {shown}, 95 % intervals", columns, rows)
    if any(row.instant is not None for row in everything):
        console.print("instant: in closed form, nothing trained by gradient (lingraft list presets)")
    if any(row.saved is not None for row in everything):
        console.print(
            f"lingraft: mean over draws and seeds; saved trial: {found.selected_trial}, which `lingraft predict` and "
            "`lingraft evaluate` use",
        )
    for sentence in found.data.get("unscored", ()):
        console.print(sentence)
    console.print(f"report: {folder / 'report.html'}")


def _estimate(estimate: Estimate | None, second: float | None) -> tuple[str, str, str]:
    """Return a number, its interval, and the second metric's."""
    if estimate is None:
        return "", "", ""
    interval = f"[{estimate.low:.3f}, {estimate.high:.3f}]" if estimate.low is not None else ""
    return f"{estimate.value:.3f}", interval, f"({second:.3f})" if second is not None else ""


def _gain(before: Estimate | None, after: Estimate | None, gain: Estimate | None) -> tuple[str, str]:
    """Return the gain, rounded once, and its interval."""
    from ..results.wording import difference

    if gain is None or before is None or after is None:
        return "", ""
    interval = f"[{gain.low:+.3f}, {gain.high:+.3f}]" if gain.low is not None else ""
    return f"{difference(before.value, after.value, 3):+f}", interval
