"""The HTML report of a search of settings: trials sorted, the best so far, which settings matter, what was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from ..experiment_charts import Bar, intervals
from ..findings import Estimate, metrics_of
from ..revisions import say_revisions
from ..tuning import Tuned
from ..tuning_charts import best_so_far, score_by_value, share_bars, sorted_trials
from ..tuning_tables import describe_value, importance_table, tuning_table
from ..wording import metric_name, plural
from . import tuning_markdown as pages
from .escaping import code_span, markdown_text
from .experiment_page import Chart, Report, Section


def tuning_report(found: Tuned, settings: str) -> Report:
    """Return the report of a search.

    Args:
        found: The search.
        settings: The chosen ones as YAML.
    """
    data = found.about["data"]
    table = tuning_table(found)
    return Report(
        "tune",
        pages.title(found),
        [markdown_text(said) for said in pages.findings(found)],
        [
            Section("Chosen", "The best settings", notes=["\n".join(pages.chosen_lines(settings))]),
            Section("Trials", "All trials, the best first", _trials(found), [table], [pages.describe_columns(found)]),
            *_importance(found),
        ],
        [table],
        task=data["task"],
        languages=[data["languages"][code]["name"] for code in data["target_languages"]],
        revisions=[line for line in say_revisions(found.about["trials"]) if line],
        remarks=found.notes,
    )


def _trials(found: Tuned) -> list[Chart]:
    """Draw trials by their scores, and in their order."""
    metric, unit = metric_name(metrics_of(found.about["data"])[0]), found.unit
    scored = [(one, one.score) for one in found.tried if one.score is not None]
    own = next((at for at, (one, _) in enumerate(scored) if one.own), None)
    blue = "; blue: the recipe's own settings" if own is not None else ""
    said = f"{plural(len(scored), 'trial')} by their {metric} on the development set, {unit.scale}"
    scores = {one.name: score.value for one, score in scored}
    order = [(scores.get(one["name"]), bool(one["own"])) for one in found.about["trials"]]
    first = next((at for at, (score, is_own) in enumerate(order) if is_own and score is not None), None)
    told = f"{plural(len(order), 'trial')} in the order in which they were tried; line: the best so far"
    crosses = "; crosses failed" if any(score is None for score, _ in order) else ""
    return [
        Chart(
            sorted_trials([score for _, score in scored], own, said, found.unit), f"{said}, with 95 % intervals{blue}"
        ),
        Chart(best_so_far([score for score, _ in order], first, told, found.unit), f"{told}{blue}{crosses}"),
    ]


def _importance(found: Tuned) -> list[Section]:
    """Show which settings matter, and the scores by the value of each; nothing where nothing varies."""
    shares, table = found.about["importance"], importance_table(found)
    said = "Importance of each setting"
    charts = [Chart(share_bars(list(shares.items()), said), said)] if shares else []
    charts += [chart for key in shares or found.about["settings"] for chart in _by_value(found, key)]
    if not charts:
        return []
    if not shares:
        return [Section("Settings", "Scores by setting", charts)]
    return [Section("Settings", "What matters", charts, [table], [pages.IMPORTANCE])]


def _by_value(found: Tuned, key: str) -> Iterator[Chart]:
    """Draw the scores by the values of a setting; nothing where there are no two."""
    tried = [(one, one.values[key], one.score) for one in found.tried if one.score is not None and key in one.values]
    if len({describe_value(value) for _, value, _ in tried}) < 2:
        return
    searched, name, scores = found.about["settings"][key], code_span(key), [score.value for _, _, score in tried]
    own = next((at for at, (one, _, _) in enumerate(tried) if one.own), None)
    blue = "; blue: the recipe's own" if own is not None else ""
    numbers = [value for _, value, _ in tried if isinstance(value, int | float) and not isinstance(value, bool)]
    said = f"score of each trial by {key}"
    if isinstance(searched, Mapping) and len(numbers) == len(tried):
        logarithmic = searched.get("log") is True and min(numbers) > 0
        chart = score_by_value(numbers, scores, own, said, logarithmic=logarithmic, unit=found.unit)
        scale = ", on a logarithmic scale" if logarithmic else ""
        yield Chart(chart, f"{name} across{scale}; score up, {found.unit.scale}{blue}")
        return
    choices = searched if isinstance(searched, list) else ()
    bars = _means([(describe_value(value), score) for _, value, score in tried], choices)
    chosen = describe_value(tried[own][1]) if own is not None else ""
    caption = f"{name}: mean score by value, {found.unit.scale}; small dots are trials{blue}"
    yield Chart(intervals(bars, chosen, said, unit=found.unit), caption)


def _means(tried: Sequence[tuple[str, Estimate]], choices: Sequence[object]) -> list[Bar]:
    """Return the mean score of each value, in the order of the recipe, with the trials that it is the mean of."""
    found: dict[str, list[float]] = {describe_value(value): [] for value in choices}
    for value, score in tried:
        found.setdefault(value, []).append(score.value)
    return [Bar(value, Estimate(fmean(scores)), scores) for value, scores in found.items() if scores]
