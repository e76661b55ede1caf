"""What a reader must know before believing the headline of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.files import Row
from .findings import Result, metrics_of, reliability
from .metrics.calibration import expected_calibration_error
from .run_files import RunFiles
from .source_falls import warn_of_falls
from .wording import FEW_TEXTS, POOR_CALIBRATION, count, describe_confidence, labelled_shots, percent, percents, plural
from .words import words_of

MANY_UNKNOWN = 0.01
MOST_NAMED = 8
"""So many classes are named in a sentence."""
FEWEST_PAIRS, RARELY = 20, 0.05
"""Translations that say something of all, and the share that is found again by little more than chance."""


def warnings(run: RunFiles, results: Sequence[Result]) -> list[str]:
    """Warn of everything that a reader must know before believing the headline."""
    found = [str(sentence) for sentence in run.data.get("unscored", [])]
    found.append(warn_of_falls(run, metrics_of(run.data)[0]))
    found += [_baseline_warning(result) for result in results if result.language != run.source_language]
    found += [_majority_warning(result) for result in results]
    found += [_weak_baseline_warning(result) for result in results]
    found += [
        f"{result.name} has only {plural(result.n, f'test {result.words.example}')}: its interval is wide."
        for result in results
        if 0 < result.n < FEW_TEXTS
    ]
    found += [_strange_pairs_warning(run, code) for code in run.retention.get("retrieval", {})]
    found += [_unseen_warning(run, code) for code in run.languages]
    for code, facts in run.data.get("languages", {}).items():
        found += _text_warnings(run.name(code), facts, run.data.get("max_length"))
    found += [_calibration_warning(run, code) for code in run.languages]
    found.append(_digest_warning(run.summary))
    found.append(_adapters_warning(run.retention.get("adapters_disabled", {})))
    if is_non_commercial(str(run.data.get("licence", ""))):
        found.append(f"The data may not be used commercially ({run.data['licence']}).")
    return list(dict.fromkeys(filter(None, found)))


def _baseline_warning(result: Result) -> str:
    if result.gain is None or result.verdict in ("better", "unknown"):
        return ""
    than = "worse than" if result.verdict == "worse" else "not shown to be better than"
    return f"{result.name}, {labelled_shots(result)}: the adapted model is {than} the frozen head. " + (
        "Prefer the frozen head." if result.verdict == "worse" else "The simpler frozen head may serve as well."
    )


def _majority_warning(result: Result) -> str:
    if result.majority is None or result.after is None or result.after.value > result.majority:
        return ""
    return f"{result.name}, {labelled_shots(result)}: always answering the most frequent label does at least as well."


def _weak_baseline_warning(result: Result) -> str:
    """Say where the gain is over less than no model at all."""
    if result.majority is None or result.before is None or result.before.value >= result.majority:
        return ""
    before, majority = percents(result.before.value, result.majority)
    return (
        f"{result.name}, {labelled_shots(result)}: the frozen head ({before}) is below always "
        f"answering the most frequent label ({majority}), so the gain over it says little."
    )


def _strange_pairs_warning(run: RunFiles, code: str) -> str:
    """Ask whether translations are some, where the frozen model finds hardly one of them again."""
    row = run.retention["retrieval"][code]
    n, value = row["n"], row["before"]["value"]
    if n < FEWEST_PAIRS or value > max(RARELY, 2 / n):
        return ""
    return (
        f"{run.name(code)}: of {count(n)} translations the frozen model recognises {percent(value)}. It hardly knows "
        "the language, or the sentences are not each other's translations: look whether they stand side by side."
    )


def _unseen_warning(run: RunFiles, code: str) -> str:
    """Name the classes that no test example has."""
    classes = [str(one) for one in run.data.get("classes", ())]
    seen = {str(row["gold"]) for row in run.predictions(run.selected_trial, code)}
    unseen = [one for one in classes if one not in seen] if seen else []
    if not unseen:
        return ""
    few = [*unseen[:MOST_NAMED], *(["…"] if len(unseen) > MOST_NAMED else [])]
    in_mean = ", and macro-F1 counts each as 0" if "macro_f1" in metrics_of(run.data) else ""
    example = words_of(run.data).example
    return (
        f"{run.name(code)}: no test {example} for {len(unseen)} of the {count(len(classes))} classes "
        f"({', '.join(few)}), so nothing is known of them{in_mean}."
    )


def _calibration_warning(run: RunFiles, code: str) -> str:
    """Say how far off the confidences of the saved model are, and in which direction."""
    bins = reliability(run.predictions(run.selected_trial, code), "after")
    if (expected_calibration_error(bins) or 0.0) <= POOR_CALIBRATION:
        return ""
    said = describe_confidence(bins)
    return f"{run.name(code)}: {said[:1].lower()}{said[1:]}; do not read its confidences as chances."


def _text_warnings(name: str, facts: Row, max_length: int | None) -> list[str]:
    found = []
    if facts.get("truncated"):
        limit = f" {max_length}" if max_length else ""
        found.append(f"{plural(facts['truncated'], f'{name} text')} did not fit into{limit} tokens and were truncated.")
    if facts.get("unknown_rate", 0) > MANY_UNKNOWN:
        found.append(f"The tokenizer does not know {percent(facts['unknown_rate'], 1)} of the {name} tokens.")
    return found


def _digest_warning(summary: Row) -> str:
    backbone = summary.get("backbone", {})
    before, after = backbone.get("weights_digest"), backbone.get("digest_after")
    if not (before and after) or before == after:
        return ""
    return "The backbone's weights changed during training, although they should be frozen: do not trust this run."


def _adapters_warning(adapters_disabled: Row) -> str:
    if not adapters_disabled or adapters_disabled["max_difference"] <= adapters_disabled["tolerance"]:
        return ""
    return (
        "With the adapters disabled, states differ from the base model's by "
        f"{adapters_disabled['max_difference']:.2g}, which is more than rounding: what was trained does not come off "
        "again."
    )


def is_non_commercial(licence: str) -> bool:
    """Return whether a licence's name forbids commercial use."""
    return re.search(r"\bnc\b|non-?commercial", licence, re.IGNORECASE) is not None
