"""The report's section on pseudo-data: what was made, what filters took of it, and some of either to read."""

from __future__ import annotations

from typing import Any

from .. import wording
from ..findings import metrics_of
from ..run_files import RunFiles
from ..units import unit_of

Context = dict[str, Any]


def pseudo_data(run: RunFiles) -> Context | None:
    """Return the funnel of each language in the draw of the saved trial; None where nothing was made."""
    lots = run.pseudo.get("lots", [])
    draw = _draw(run.selected_trial)
    shown = [lot for lot in lots if lot["draw"] == draw] or lots
    if not shown:
        return None
    languages = [_language(run, lot) for lot in {lot["language"]: lot for lot in shown}.values()]
    title = "; ".join(
        f"{one['name']}: {wording.count(one['came'])} made, {wording.count(one['left'])} learnt from"
        for one in languages
    )
    return {"title": title, "draw": draw, "languages": languages, "cost": _source_cost(run)}


def _draw(trial: str) -> int:
    """Return the draw of a trial, from its name: ``k5-draw0-seed1``."""
    found = trial.partition("-draw")[2].partition("-")[0]
    return int(found) if found.isdecimal() else 0


def _language(run: RunFiles, lot: Context) -> Context:
    """Return what is shown of one lot."""
    left = sum(lot["made"].values())
    return {
        "name": run.name(lot["language"]),
        "came": left + sum(step["taken"] for step in lot["funnel"]),
        "left": left,
        "made": lot["made"],
        "dropped": dict(sorted(lot["dropped"].items(), key=lambda item: -item[1])),
        "funnel": lot["funnel"],
        "survivors": [_example(one) for one in lot["survivors"]],
        "rejected": [_example(one["example"]) | {"reason": one["reason"]} for one in lot["rejected"]],
    }


def _example(row: Context) -> Context:
    """Return an example for people, whatever its kind."""
    words = " ".join(row.get("words", ()))
    texts = [row.get(name) for name in ("text_a", "text_b", "question", "context", "text")]
    shown = [*(text for text in texts if text), *([words] if words else []), *row.get("alternatives", ())]
    answers = " / ".join(answer["text"] for answer in row.get("answers", ()))
    label = row.get("label", answers or " ".join(row.get("tags", ())))
    return {"texts": shown, "label": label, "origin": row.get("origin", ""), "weight": row.get("weight", 1.0)}


def _source_cost(run: RunFiles) -> str:
    """Say what the source language scores before anything that nobody labelled is learnt from, and after."""
    change = run.summary.get("trials", {}).get(run.selected_trial, {}).get("source_change")
    if not change:
        return ""
    unit = unit_of(metrics_of(run.data)[0])
    before, after = (wording.score(change[moment], 1, unit) for moment in ("before", "after"))
    return f"{run.name(run.source_language)} development score: {before} before they were learnt from, {after} after."
