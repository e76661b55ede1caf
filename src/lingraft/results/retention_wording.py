"""How the report says what is kept of the model's ability (forgetting)."""

from __future__ import annotations

from ..core.files import Row
from .run_files import RunFiles
from .units import unit_of
from .wording import FEW_TEXTS, capital, digits_of, listed, metric_name, percent, plural, score


def describe_retention(run: RunFiles) -> str:
    """Say in one sentence how much of the model's ability is kept (forgetting); empty where nobody looked."""
    kept, found = run.retention.get("source_score"), run.retention.get("retrieval", {})
    texts = [_describe_source_score(run.name(run.source_language), kept)] if kept else []
    by_change: dict[str, list[str]] = {}
    for language, row in found.items():
        by_change.setdefault(_change(row["difference"]), []).append(f"{run.name(language)} ({_describe_found(row)})")
    texts += [f"{change}: {listed(by_change[change])}" for change in CHANGES if change in by_change]
    return f"{capital('; '.join(texts))}." if texts else ""


FEWER, LEVEL, MORE = CHANGES = (
    "the model recognises fewer translations than before",
    "the model still recognises translations about as well as before",
    "the model recognises more translations than before",
)


def _change(difference: Row) -> str:
    return FEWER if difference["high"] < 0 else MORE if difference["low"] > 0 else LEVEL


def _describe_found(row: Row) -> str:
    """Say how many translations are found: ``92 % → 87 % of 19 pairs; too few to tell``."""
    before, after = row["before"]["value"], row["after"]["value"]
    pairs = plural(row["n"], "pair") + (" that it was trained on" if row.get("sentences") == "learn" else "")
    unclear = before != after and _change(row["difference"]) == LEVEL
    doubt = f"; {'too few to tell' if row['n'] < FEW_TEXTS else 'no clear difference'}" if unclear else ""
    digits = digits_of(before, after)
    return f"{percent(before, digits)} → {percent(after, digits)} of {pairs}{doubt}"


def _describe_source_score(name: str, kept: Row) -> str:
    before, after = kept["before"], kept["after"]
    moved = "rose" if after > before else "fell"
    metric = kept.get("metric", "accuracy")
    old, new = (score(value, 1, unit_of(metric)) for value in (before, after))
    path = f"{moved} from {old} to {new}" if old != new else f"stayed at {new}"
    return f"{name} {metric_name(metric)} {path} on {plural(kept['n'], 'development text')}"
