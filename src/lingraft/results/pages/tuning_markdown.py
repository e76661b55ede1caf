"""The page of a search of settings: what is best, whether that is more than chance, and all that was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..findings import metrics_of
from ..revisions import say_revisions
from ..tuning import Tried, Tuned
from ..tuning_tables import describe_value, importance_table, tuning_table
from ..units import Unit
from ..wording import capital, listed, metric_name, p_value, plural, score
from ..words import words_of
from .escaping import describe_command, describe_notes, markdown_text, verbatim
from .table_formats import markdown_table

TARGETS_OWN = (
    *("alignment", "parallel", "pseudo", "consistency", "map", "prompt.language_", "adapter.language_"),
    *("train.max_pairs", "train.balance", "train.shot_weight", "train.ngram_classifier", "train.source_regularisation"),
)
"""How settings begin that serve the target languages: the source language knows what they cost alone."""


def tuning_page(found: Tuned, settings: str, *, command: str | None = None) -> str:
    """Return a search in Markdown; the first line says whether the chosen settings are clearly better.

    Args:
        found: The search.
        settings: The chosen ones as YAML.
        command: How the page came about; None where nobody knows.
    """
    lines = [f"# {title(found)}", "", *(f"- {markdown_text(said)}" for said in findings(found))]
    lines += ["", *chosen_lines(settings), "", *describe_notes(found.notes)]
    lines += [*(describe_command(command) if command else []), ""]
    lines += say_revisions(found.about["trials"])
    lines += [describe_columns(found), "", *markdown_table(tuning_table(found))]
    if (shares := importance_table(found)).rows:
        lines += ["", "## What matters", "", IMPORTANCE, "", *markdown_table(shares)]
    return "\n".join(lines) + "\n"


IMPORTANCE = "Share of each setting in the variance of the scores (fANOVA); a hint, for it rests on few trials."


def title(found: Tuned) -> str:
    """Name a search by its task."""
    return f"Settings chosen on development data: {markdown_text(found.about['data']['task'])}"


def chosen_lines(settings: str) -> list[str]:
    """Return the lines that show the chosen settings, which are YAML, and say how to run them."""
    return ["```yaml", verbatim(settings), "```", "", "`lingraft run tuned.yaml` runs the recipe with them."]


def describe_columns(found: Tuned) -> str:
    """Say what the columns of the table are."""
    metric, seeds = metric_name(metrics_of(found.about["data"])[0]), plural(len(found.about["units"]), "seed")
    return (
        f"{capital(metric)} on the development set, {found.unit.scale}, with a 95 % bootstrap interval over its "
        f"examples; the difference to the recipe's own settings, {found.unit.steps}, is paired by example. *p* is "
        f"corrected for how many were tried (Holm). Trained with {seeds}."
    )


def findings(found: Tuned) -> Iterator[str]:
    """Yield what there is to say of the choice, a sentence each."""
    data = found.about["data"]
    yield _choice(found)
    if data["target_languages"]:
        yield (
            f"The score is of {_language(found)} alone, no test set was read: of the target languages it says little "
            "where differences are small."
        )
    if blind := [key for key in found.about["settings"] if key.startswith(TARGETS_OWN)]:
        yield f"Of {listed(blind)} it knows what the source language loses, and not what the target languages gain."
    if failed := [one for one in found.tried if one.error is not None]:
        yield f"{plural(len(failed), 'trial')} failed: {failed[0].name}: {failed[0].error}"


def _choice(found: Tuned) -> str:
    """Say how good the best settings are beside the recipe's own, and whether that is more than chance."""
    best, own, data, unit = found.best, found.own, found.about["data"], found.unit
    scored = [one for one in found.tried if one.score is not None]
    where = f"on {plural(found.examples, f'{_language(found)} development {words_of(data).example}')}"
    if own is None or own.score is None:
        return f"The best of {len(scored)} reaches {_score(best, unit)} {where}; the recipe's own settings failed."
    if best.own:
        return (
            f"No other of the {len(scored)} combinations is above the recipe's own settings, which reach "
            f"{_score(own, unit)} {where}: keep them."
        )
    said = (
        f"The best of {len(scored)} reaches {_score(best, unit)} {where}, the recipe's own settings {_score(own, unit)}"
    )
    if best.difference is None:
        return f"{said}; from a single group of examples nothing can be said of chance."
    said += f": {_points(best, unit)}, {_said_p(best, found)} corrected for the choice. "
    if best.clearly_better:
        return f"{said}The tuned settings are clearly better than the recipe's on this set."
    if best.difference.low > 0:
        return f"{said}The interval lies above zero, but the best of so many would: not clearly better."
    return f"{said}The interval does not exclude zero: the tuned settings are not clearly better than the recipe's."


def _language(found: Tuned) -> str:
    data = found.about["data"]
    return str(data["languages"][data["source_language"]]["name"])


def describe_values(values: Mapping[str, object]) -> str:
    """Write settings on one line: ``prompt.length 8, train.learning_rate 0.002``."""
    return ", ".join(f"{key} {describe_value(value)}" for key, value in values.items())


def _score(one: Tried, unit: Unit) -> str:
    return score(one.score.value if one.score else None, 1, unit)


def _points(one: Tried, unit: Unit) -> str:
    if (apart := one.difference) is None:
        return ""
    mean, low, high = (unit.number(value, 1, plus=True) for value in (apart.mean, apart.low, apart.high))
    return f"{mean}{unit.points} [{low}, {high}]"


def _p(one: Tried, found: Tuned) -> str:
    return "" if one.p_value is None else p_value(one.p_value, found.resolution)


def _said_p(one: Tried, found: Tuned) -> str:
    said = _p(one, found)
    return f"p {said}" if said.startswith("<") else f"p = {said}"
