"""A run folder as pages for people: one self-contained ``report.html``, and the model card ``README.md``.

Both are made from the files of the run folder alone, so yesterday's run becomes a report on a
laptop without torch. The page loads nothing: styles and charts are inside it, and there is no
script. Each section opens with what was found; a file that is missing costs its section one line.
"""

from __future__ import annotations

import re
from io import StringIO

from markupsafe import Markup
from ruamel.yaml import YAML

from ...core.files import Row
from ...core.licences import notice_of
from ...core.shots import shots_in
from ...core.terminal_text import printable
from .. import caveats, charts, findings, wording
from ..findings import Result
from ..metrics.calibration import expected_calibration_error
from ..retention_wording import describe_retention
from ..run_files import RunFiles, is_right
from ..saved_trial import describe_trial
from ..schemas import ALL_LAYERS
from ..words import words_of
from . import Page, pages
from .escaping import describe_notes, identifier
from .mistakes import readable
from .pseudo_section import pseudo_data
from .templating import Context, fill_template
from .training_sections import learning, network, record, retained


@pages.register("report.html")
def report() -> Page:
    """Write the report: one self-contained page of everything that a run found out."""

    def write(run: RunFiles) -> str:
        found = findings.results(run)
        sections = {
            "instant": any(result.instant for result in found),
            "results_chart": Markup(charts.before_after(found)) if found else None,
            "learning": learning(run),
            "network": network(run),
            "states": _states(run),
            "retention": retained(run),
            "pseudo": pseudo_data(run),
            "predictions": _predictions(run),
            "data": _data(run),
        }
        return fill_template("report.html.j2", _overview(run, found) | sections)

    return write


@pages.register("README.md")
def model_card() -> Page:
    """Write the model card, in the form that the Hugging Face Hub reads."""

    def write(run: RunFiles) -> str:
        context = _overview(run, findings.results(run)) | {
            "front_matter": Markup(_front_matter(run)),
            "data": _data(run),
        }
        return fill_template("model_card.md.j2", context)

    return write


# --- Sections ---------------------------------------------------------------------------------------


def _overview(run: RunFiles, found: list[Result]) -> Context:
    """Return what both documents open with: the headline is about the targets at the shots that were saved."""
    source = (run.source_language, None)
    targets = [r for r in found if r.language not in source or r.context_language not in source] or found
    main = _main_results(run, targets)
    return {
        "run": run,
        "notes": Markup("\n".join(describe_notes(run.notes))),
        "summary": run.summary,
        "backbone": run.summary.get("backbone", {}),
        "notice": notice_of(str(run.summary.get("backbone", {}).get("licence", ""))),
        "task": run.data.get("task", "an unnamed task"),
        "source": run.name(run.source_language),
        "headline": "Nothing was scored" if run.data.get("unscored") and not main else wording.headline(main),
        "main": [
            {"result": result, "sentence": wording.sentence(result), "trust": wording.trust(result)} for result in main
        ],
        "warnings": caveats.warnings(run, targets),
        "noticed": wording.training_warnings(run),
        "record": record(run),
        "development": wording.describe_development(run),
        "kept": describe_retention(run),
        "lora": any(part["part"] == ALL_LAYERS for part in run.summary.get("parameters", ())),
        "unfrozen": any(part["part"] == "backbone" for part in run.summary.get("parameters", ())),
        "results": found,
        "results_title": wording.results_title(main),
        "several_draws": any(len(result.draw_means) > 1 for result in found),
        "words": words_of(run.data),
        "saved": describe_trial(run.selected_trial, run.summary.get("trials", ()), words_of(run.data)),
        "metrics": [wording.metric_name(metric) for metric in findings.metrics_of(run.data)],
    }


def _main_results(run: RunFiles, targets: list[Result]) -> list[Result]:
    """Return one result per language: at the shots of the saved trial, else at the most."""
    saved = shots_in(run.selected_trial)
    chosen: dict[str, Result] = {}
    for result in targets:  # shots ascend
        kept = chosen.get(result.name)
        if kept is None or result.shots == saved or kept.shots != saved:
            chosen[result.name] = result
    return list(chosen.values())


def _states(run: RunFiles) -> Context | None:
    """Return two pictures per language, in one frame, so that distances compare."""
    pictures = []
    for language, states in run.states.get("languages", {}).items():
        before, after = (states[moment] for moment in ("before", "after"))
        frame = [point for moment in (before, after) for side in ("source", "target") for point in moment[side]]
        if not frame or any(len(moment["source"]) != len(moment["target"]) for moment in (before, after)):
            continue
        names = (run.name(run.source_language), run.name(language))
        apart = [findings.pair_distance(moment["source"], moment["target"]) for moment in (before, after)]
        drawn = [
            Markup(charts.state_pairs(title, moment["source"], moment["target"], names, frame))
            for title, moment in (("Before", before), ("After", after))
        ]
        pictures.append({"name": run.name(language), "pairs": len(before["source"]), "apart": apart, "charts": drawn})
    return {"axes": run.states.get("axes", ""), "languages": pictures} if pictures else None


def _predictions(run: RunFiles) -> list[Context]:
    """Return mistakes, confusions and calibration of the saved trial, language by language."""
    sections = []
    for language in run.languages:
        rows = run.predictions(run.selected_trial, language)
        if not rows:
            continue
        labels = findings.labels_of(rows, run.data["classes"]) if findings.has_classes(run.data) else []
        counts = findings.confusion(rows, labels) if labels else []
        baseline = findings.confusion(rows, labels, "before") if labels and rows[0].get("before") is not None else None
        before, after = (findings.reliability(rows, when) for when in ("before", "after"))
        sections.append(
            {
                "name": run.name(language),
                "n": len(rows),
                "wrong": sum(not is_right(row) for row in rows),
                "mistakes": [readable(row) for row in findings.mistakes(rows)],
                "confusion": Markup(charts.confusion_matrix(counts, labels)) if labels else None,
                "confusion_before": Markup(charts.confusion_matrix(baseline, labels)) if baseline else None,
                "confused": _most_confused(labels, counts),
                "reliability": Markup(charts.reliability_diagram(before, after)),
                "confidence": wording.describe_confidence(after) or "No confidences to compare",
                "ece_before": expected_calibration_error(before),
                "ece_after": expected_calibration_error(after),
            }
        )
    return sections


def _most_confused(labels: list[str], counts: list[list[int]]) -> str:
    if not labels:
        return ""
    pairs = [
        (number, gold, predicted)
        for gold, line in zip(labels, counts, strict=True)
        for predicted, number in zip(labels, line, strict=True)
        if gold != predicted and number
    ]
    if not pairs:
        return "Nothing was confused"
    number, gold, predicted = max(pairs, key=lambda pair: pair[0])
    return f"Most often confused: {gold} taken for {predicted}, {number} of {sum(counts[labels.index(gold)])}"


def _data(run: RunFiles) -> Context:
    licence = str(run.data.get("licence") or "not stated")
    return {
        "licence": licence,
        "non_commercial": caveats.is_non_commercial(licence),
        "citation": run.data.get("citation", ""),
        "labels": run.data.get("labels", []),
        "languages": run.data.get("languages", {}),
        "overlap": run.data.get("overlap_removed", {}),
        "notes": run.data.get("notes", []),
        "max_length": run.data.get("max_length"),
    }


# --- Front matter -----------------------------------------------------------------------------------


def _front_matter(run: RunFiles) -> str:
    """Return what the Hub reads: languages, licence, base model, tags, metrics."""
    codes = [*run.data.get("target_languages", ()), *filter(None, [run.source_language])]
    licences = list(
        dict.fromkeys(filter(None, [run.data.get("licence"), run.summary.get("backbone", {}).get("licence")]))
    )
    fields: Row = {
        "language": list(
            dict.fromkeys(code[:3] for code in codes if code[3:4] == "-")
        ),  # the Hub knows no private ones
        **_licence_fields(licences),
        "base_model": _hub_name(str(run.summary.get("backbone", {}).get("name", ""))),
        "library_name": "lingraft",
        "pipeline_tag": words_of(run.data).pipeline_tag,
        "tags": ["lingraft", "cross-lingual-transfer", "low-resource-languages", "adapter"],
        "metrics": ["f1" if metric.endswith("f1") else metric for metric in findings.metrics_of(run.data)],
    }
    text = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({key: value for key, value in fields.items() if value}, text)
    return printable(text.getvalue())


def _hub_name(checkpoint: str) -> str:
    """Return a checkpoint's name; nothing where it is a path that the Hub could not have."""
    name = checkpoint.removeprefix("bundled:")
    return name if re.fullmatch(r"[\w./-]+", name) else ""


def _licence_fields(licences: list[str]) -> Row:
    """Return the one licence of data and backbone; where they differ, the Hub's ``other`` and both names."""
    if len(licences) == 1:
        return {"license": identifier(licences[0])}
    return {"license": "other", "license_name": "-and-".join(map(identifier, licences))}
