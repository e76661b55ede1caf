"""The report's sections on what training did: to the losses, to the parameters, to the model's ability."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from markupsafe import Markup

from ...core.files import Row
from ...core.yaml_text import load_yaml
from .. import charts, wording
from .. import training_history as training_record
from ..findings import Estimate, metrics_of
from ..retention_wording import describe_retention
from ..run_files import RunFiles
from ..schemas import ALL_LAYERS
from ..units import ERROR, PERCENT, unit_of

Context = dict[str, Any]


LOSSES = ("loss", "task_loss", "alignment_loss", "consistency_loss")

# --- Learning ---------------------------------------------------------------------------------------


def learning(run: RunFiles) -> Context | None:
    """Return the loss of the saved trial, and dev score of all trials."""
    trials = run.trials
    if not trials:
        return None
    selected = _shown(run)
    curves = {trial: _curve(rows, "dev_score") for trial, rows in trials.items()}
    parts = [_curve(trials[selected], key) for key in LOSSES]
    if not any(value for _, value in parts[2]):
        parts[2] = []  # nothing was aligned
    dev, unit = curves.pop(selected), unit_of(metrics_of(run.data)[0])
    title = _describe_loss(parts[1] or parts[0])
    if dev:
        title += f"; dev score reached {wording.score(max(value for _, value in dev), unit=unit)}"
    speeds = [row["tokens_per_second"] for row in run.training if row.get("tokens_per_second")]
    return {
        "title": title,
        "trial": selected,
        "others": sum(bool(curve) for curve in curves.values()),
        "losses": Markup(charts.losses(*parts)) if any(parts) else None,
        "dev": Markup(charts.dev_score(dev, [curve for curve in curves.values() if curve], unit)) if dev else None,
        "speed": fmean(speeds) if speeds else None,
    }


def _shown(run: RunFiles) -> str:
    """Return the saved trial, or the first that has a record."""
    return run.selected_trial if run.selected_trial in run.trials else next(iter(run.trials), "")


def _describe_loss(curve: list[tuple[float, float]]) -> str:
    if not curve:
        return "No loss was recorded"
    first, last = curve[0][1], curve[-1][1]
    return f"Task loss {'fell' if last < first else 'did not fall: it went'} from {first:.2f} to {last:.2f}"


def _curve(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    return [(row["step"], row[key]) for row in rows if row.get(key) is not None and math.isfinite(row[key])]


def record(run: RunFiles) -> Context:
    """Return what learnt when in the saved trial, how task and alignment got on, and how their weights moved."""
    rows = run.trials.get(_shown(run), [])
    conflict = training_record.conflict(rows)
    stages = training_record.stages(rows)
    return {
        "stages": stages,
        "trained": wording.describe_parameters(stages),
        "conflict": wording.describe_conflict(conflict) if conflict else "",
        "weights": training_record.changed_weights(rows, _alignment_names(run.recipe)),
    }


def _alignment_names(recipe: str) -> list[str]:
    """Return the names of the alignment losses in a recipe."""
    found = load_yaml(recipe, "recipe.yaml")
    blocks = found.get("alignment") if isinstance(found, Mapping) else None
    return [str(block["name"]) for block in blocks or () if isinstance(block, Mapping) and "name" in block]


# --- What was trained, what was frozen --------------------------------------------------------------


def network(run: RunFiles) -> Context | None:
    """Return trained and frozen parameters, and the proof that the frozen ones did not move."""
    backbone = run.summary.get("backbone", {})
    trained = [part for part in run.summary.get("parameters", ()) if part.get("trained", True)]
    if not trained:
        return None
    total = sum(part["count"] for part in trained)
    whole = backbone.get("parameters") or sum(part["count"] for part in run.summary.get("frozen", ()))
    parts: dict[str, int] = {}
    for part in trained:
        parts[part["part"]] = parts.get(part["part"], 0) + part["count"]
    head, lora = parts.pop("head", 0), parts.pop(ALL_LAYERS, 0)
    shown = [(_part_name(run, part), number) for part, number in parts.items()]
    strip = ""
    if "layers" in backbone:
        cut, frozen = backbone.get("cut", 0), "backbone" not in parts
        strip = charts.layer_strip(backbone["layers"], cut, shown, head, lora=lora, frozen=frozen)
    share = (
        f"{wording.percent(total / whole, 2)} of the backbone's {wording.size(whole)}" if whole else "nothing frozen"
    )
    learnt = run.summary.get("trials", {}).get(run.selected_trial, {}).get("trained", 0)
    trained_and_kept = f"{wording.size(total)} parameters were trained"
    if learnt > total:
        trained_and_kept = f"{wording.size(learnt)} parameters were trained and {wording.size(total)} kept of them"
    return {
        "title": f"{trained_and_kept}: {share}",
        "strip": Markup(strip),
        "trained": [{**part, "part": _part_name(run, part["part"])} for part in trained],
        "total": total,
        "proof": _proof(run),
    }


def _part_name(run: RunFiles, part: str) -> str:
    kind, _, language = part.partition(":")
    return run.name(language) if language else {"task": "task, shared", "backbone": "backbone, copies"}.get(kind, kind)


def _proof(run: RunFiles) -> list[Context]:
    """Return digests of the whole backbone before and after."""
    backbone = run.summary.get("backbone", {})
    before, after = backbone.get("weights_digest"), backbone.get("digest_after")
    if not (before and after):
        return []
    return [{"what": "The backbone's weights", "before": before, "after": after, "same": before == after}]


# --- Retention --------------------------------------------------------------------------------------


def retained(run: RunFiles) -> Context | None:
    """Return scores before and after, similarities, and the model with adapters disabled; None without them."""
    kept = run.retention
    if not kept:
        return None
    source, score = run.name(run.source_language), kept.get("source_score")
    scores = []
    if score:
        metric = score.get("metric", "accuracy")
        scores.append(
            {
                "what": wording.capital(wording.metric_name(metric)),
                "unit": unit_of(metric),
                "language": source,
                "before": Estimate(score["before"]),
                "after": Estimate(score["after"]),
                "difference": Estimate(score["after"] - score["before"], score.get("low"), score.get("high")),
                "on": f"{wording.plural(score['n'], 'development text')}",
            }
        )
    for language, row in kept.get("retrieval", {}).items():
        of = {"test": "test text", "learn": "training pair"}[row["sentences"]]
        scores.append(
            {
                "what": "Translations found",
                "unit": PERCENT,
                "language": f"{source} and {run.name(language)}",
                **{key: Estimate(**row[key]) for key in ("before", "after", "difference")},
                "on": wording.plural(row["n"], of),
            }
        )
    for language, row in kept.get("bits_per_token", {}).items():
        scores.append(
            {
                "what": "Bits per token",
                "unit": ERROR,
                "language": run.name(language),
                **{key: Estimate(**row[key]) for key in ("before", "after", "difference")},
                "on": wording.plural(row["n"], "development text" if row["sentences"] == "dev" else "test text"),
            }
        )
    off = kept.get("adapters_disabled")
    return {
        "summary": describe_retention(run),
        "scores": scores,
        "bits": bool(kept.get("bits_per_token")),
        "similarity": [{"name": run.name(code), **row} for code, row in kept.get("similarity", {}).items()],
        "adapters_disabled": {**off, "same": off["max_difference"] <= off["tolerance"]} if off else None,
    }
