"""Many methods on one recipe's data and draws, for as many epochs: ``lingraft compare``.

Each method is a variant of the recipe, works in a process of its own and keeps a folder of its own,
so a comparison that was killed continues with the training it was at. Cheap methods come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..backbones.loading import describe_checkpoint
from ..core.errors import RunError
from ..core.files import announce, read_lines, read_object, write_json, write_lines, write_text
from ..core.progress import Advance, Reporter
from ..recipe.comparison import OURS, CompareSettings
from ..recipe.settings import Recipe
from ..results.comparison import Block, Comparison, blocks, read_comparison
from ..results.method_schemas import METHOD
from ..results.pages.comparison_markdown import page_text
from ..results.pages.experiment_page import files_of, write_report
from ..results.pages.experiment_report import comparison_report
from ..results.schemas import DATA, FORMAT, SCORE
from ..runs.folder import changed_settings, open_run_folder, trials_of
from ..training.finished import is_finished
from .cost import Estimate, describe_each, describe_total, doubts_of, estimates, one_per_encoding
from .methods import Method, built_in_methods, list_methods
from .possible import describe_left_out, settle_methods
from .processes import Start, start_worker, work
from .tuning_study import STUDY

PAGES = ("stability.md", "shots.md", *(file for name in ("compare", "stability", "shots") for file in files_of(name)))
"""What is written beside the table; of other trials than there are now they would tell lies."""

Tell = Callable[[Sequence[Block], Comparison], None]
"""Writes what there is to say of a comparison into its folder, beside ``README.md``."""

Train = Callable[[Sequence[Estimate], Recipe, Reporter, Advance], Mapping[str, str]]
"""Trains what is left of some methods' trials into their folders, or notes that a method is impossible; returns what
went wrong, by the method's name."""


def compare(
    recipe: Recipe,
    *,
    quiet: bool = False,
    command: str | None = None,
    start: Start = start_worker,
    train: Train | None = None,
    tell: Tell | None = None,
) -> Path:
    """Run every method of a recipe's ``compare`` block, or continue where it stopped; returns the folder.

    Without one all methods are run that are possible.

    Args:
        recipe: The recipe.
        quiet: Say nothing but warnings.
        command: What was typed, for the page.
        start: Starts a process that runs one method.
        train: Trains what is left of the methods' trials elsewhere; by default they are trained here, one by one.
        tell: Writes the pages beside the table; by default the report of the comparison.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter, output = Reporter(quiet=quiet), recipe.output_dir
    recipe, left_out = settle_methods(recipe)
    methods = list_methods(recipe)
    with open_run_folder(output, recipe.model_copy(update={"compare": None})):
        if (output / "trials").exists() or (output / STUDY).exists():
            held = "a search of settings" if (output / STUDY).exists() else "a run"
            raise RunError(
                f"{output} holds {held}; give the comparison a folder of its own: output_dir={output}-compared"
            )
        if left_out:
            reporter.say(describe_left_out(left_out))
        tuning_epochs = (recipe.compare or CompareSettings()).tuning_epochs
        done = [method for method in methods if _is_done(method, tuning_epochs, reporter)]
        if len(done) < len(methods):
            (output / "README.md").unlink(missing_ok=True)  # a folder that has it is finished
            _run([method for method in methods if method not in done], recipe, reporter, start, train)
        for page in PAGES:
            (output / page).unlink(missing_ok=True)
        _collect(output, recipe, methods, left_out)
        comparison = read_comparison(output)
        found = blocks(comparison)
        write_text(output / "README.md", page_text(found, comparison, command=command))
        if tell is None:
            write_report(comparison_report(found, comparison), comparison.folder, command=command)
        else:
            tell(found, comparison)
    return output


# ---- Running ---------------------------------------------------------------------------------------


def _is_done(method: Method, tuning_epochs: int, reporter: Reporter) -> bool:
    """Return whether the method's folder is complete, and all that its trials left is as it was.

    Raises:
        RunError: It holds the results of another recipe.
    """
    folder = method.recipe.output_dir
    try:
        facts = read_object(folder / "method.json", METHOD)
    except RunError:
        reporter.say(f"{folder / 'method.json'} is damaged; this method is put together anew")
        return False
    if not facts or "impossible" in facts:  # another release of PEFT may be able to
        return False
    rate = facts["learning_rate"]["value"] if method.rates else None
    recipe = method.at_rate(rate) if rate is not None else method.recipe
    chosen, now = facts.get("chosen", {}), method.chosen(tuning_epochs)  # older folders do not have it
    changed = [
        f"{key} is {chosen[key]!r} there and {now.get(key)!r} now" for key in chosen if chosen[key] != now.get(key)
    ]
    if changed := [*changed, *changed_settings(folder, recipe)]:
        raise RunError(
            f"{folder} holds {method.name} with other settings: {changed[0]}; choose another output_dir, or delete "
            "that folder"
        )
    trials = trials_of(recipe)
    same = set(facts["trials"]) == {trial.name for trial in trials}
    return same and all(is_finished(folder, trial, reporter.say) for trial in trials)


def _run(methods: Sequence[Method], recipe: Recipe, reporter: Reporter, start: Start, train: Train | None) -> None:
    """Train and put together each method; all of them are tried before an error is raised."""
    planned = estimates(methods, recipe)
    for doubt in doubts_of(planned):
        reporter.warn(doubt)
    for line in describe_each(planned):
        reporter.say(line)
    if train is None:
        reporter.say(describe_total(planned))
        _encode(methods, recipe, reporter, start)
    for estimate in planned:
        (estimate.method.recipe.output_dir / "method.json").unlink(missing_ok=True)  # it said why it was impossible
    failed = dict[str, str]()
    units = sum(estimate.share for estimate in planned)  # seconds, as estimated
    with reporter.task("comparing", units, counted=False) as advance:
        if train is not None:
            failed |= train(planned, recipe, reporter, advance)
        for number, estimate in enumerate(planned, start=1):
            name, folder = estimate.method.name, estimate.method.recipe.output_dir
            if name in failed or (folder / "method.json").exists():  # impossible
                continue
            announce("create", recipe.output_dir / name)  # a worker would make a folder that is gone again
            failure = work(
                estimate.method,
                recipe,
                reporter,
                advance,
                estimate.share if train is None else 0,
                encode_only=False,
                start=start,
                place=f"method {number} of {len(planned)}",
            )
            if failure:
                reporter.say(f"{name}: {failure}")
                failed[name] = failure
    if failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise RunError(
            f"{len(failed)} of {len(methods)} methods failed; the others are kept, and the same command continues. "
            f"What cannot work with this recipe can be left out of compare.methods. {reasons}"
        )


def _encode(methods: Sequence[Method], recipe: Recipe, reporter: Reporter, start: Start) -> None:
    """Encode what the methods need, each set of frozen states once.

    Raises:
        RunError: That went wrong.
    """
    for first in one_per_encoding(methods, describe_checkpoint(recipe.backbone.checkpoint).num_layers):
        failure = work(first, recipe, reporter, Advance(), 0, encode_only=True, start=start)
        if failure:
            raise RunError(failure)


# ---- Results ---------------------------------------------------------------------------------------


def _collect(output: Path, recipe: Recipe, methods: Sequence[Method], left_out: Mapping[str, str]) -> None:
    """Put together what the methods left, and why others were left out: ``scores.jsonl`` and ``comparison.json``.

    Raises:
        RunError: No method was possible.
    """
    settings = recipe.compare or CompareSettings()
    facts = [read_object(method.recipe.output_dir / "method.json", METHOD) for method in methods]
    if all("impossible" in found for found in facts):
        reasons = "; ".join(f"{found['name']}: {found['impossible']}" for found in facts)
        raise RunError(f"no method is possible, so there is nothing to compare. {reasons}")
    rows = [
        row
        for method, found in zip(methods, facts, strict=True)
        for trial in found.get("trials", ())
        for row in read_lines(method.recipe.output_dir / "trials" / trial / "scores.jsonl", SCORE)
        if row["method"] == method.name
    ]
    write_lines(output / "scores.jsonl", rows)
    about = built_in_methods()
    absent = [{"name": name, "about": about[name]["about"], "impossible": why} for name, why in left_out.items()]
    data = next(filter(None, (read_object(m.recipe.output_dir / "data.json", DATA) for m in reversed(methods))), {})
    write_json(
        output / "comparison.json",
        {
            "format": FORMAT,
            "data": data,
            "reference": OURS,
            "epochs": recipe.train.num_train_epochs,
            "compare": settings.model_dump(mode="json"),
            "methods": [*facts, *absent],
        },
    )
