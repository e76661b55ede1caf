"""A run folder as pages for people: one self-contained ``report.html``, and the model card ``README.md``.

Both are made from the files of the run folder alone, so yesterday's run becomes a report on a
laptop without torch. The page loads nothing: styles, charts, predictions and the script that searches them are
inside it. Each part opens with what was found; a file that is missing costs its part one line.
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
from ..retention_wording import describe_retention
from ..run_files import RunFiles
from ..saved_trial import describe_trial, explain_saved
from ..schemas import ALL_LAYERS
from ..units import unit_of
from ..words import words_of
from . import Page, pages
from .escaping import describe_notes, identifier
from .predictions import LONGEST, classes_of, describe_kept, predictions_of, searched
from .pseudo_section import pseudo_data
from .templating import Context, fill_template, script_of
from .training_sections import learning, network, record, retained


@pages.register("report.html")
def report() -> Page:
    """Write the report: one self-contained page of everything that a run found out."""

    def write(run: RunFiles) -> str:
        found = findings.results(run)
        predictions = predictions_of(run)
        confident = any(part["ece_after"] is not None for part in predictions)
        sections = {
            "instant": any(result.instant for result in found),
            "charts": [Markup(charts.before_after(found, narrow=narrow)) for narrow in (False, True) if found],
            "saved_of_several": explain_saved(run),
            "predictions": predictions,
            "confident": confident,
            "calibration": confident or not predictions,
            "left_out": list(filter(None, map(describe_kept, predictions))),
            "searched": searched(predictions),
            "longest": LONGEST,
            "classes": classes_of(predictions),
            "recipe_title": _describe_making(run),
            "confusions": [part for part in predictions if part["confusion"]],
            "learning": learning(run),
            "network": network(run),
            "states": _states(run),
            "retention": retained(run),
            "pseudo": pseudo_data(run),
            "data": _data(run),
        }
        parts = {"parts": number_parts(sections)}
        return fill_template("report.html.j2", _overview(run, found) | sections | parts | script_of("predictions.js"))

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


PARTS = {
    "numbers": "All numbers",
    "predictions": "Predictions",
    "confusions": "Confusions",
    "calibration": "Confidence",
    "data": "Data",
    "learning": "Training",
    "network": "What was trained, what was frozen",
    "states": "How sentences moved",
    "retention": "Retention",
    "pseudo": "Pseudo-data",
    "recipe": "Recipe, versions, timings",
}
"""Parts of the report by their place in it; what a reader of the result needs comes first."""

OPTIONAL = ("confusions", "calibration", "retention", "pseudo")
"""Parts that are left out where nothing is in them."""


def number_parts(sections: Context) -> dict[str, str]:
    """Return the titles of the parts that a report has, numbered from 1."""
    there = [part for part in PARTS if part not in OPTIONAL or sections[part]]
    return {part: f"{number} · {PARTS[part]}" for number, part in enumerate(there, start=1)}


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
            {
                "result": result,
                "headline": wording.headline([result]),
                "sentence": wording.sentence(result),
                "particulars": wording.particulars(result),
                "trust": wording.trust(result),
            }
            for result in main
        ],
        "warnings": caveats.warnings(run, targets),
        "noticed": wording.training_warnings(run),
        "record": record(run),
        "development": wording.describe_development(run),
        "kept": describe_retention(run),
        "lora": any(part["part"] == ALL_LAYERS for part in run.summary.get("parameters", ())),
        "unfrozen": any(part["part"] == "backbone" for part in run.summary.get("parameters", ())),
        "results": found,
        "several_draws": any(len(result.draw_means) > 1 for result in found),
        "words": words_of(run.data),
        "saved": describe_trial(run.selected_trial, run.summary.get("trials", ()), words_of(run.data)),
        "metrics": [wording.metric_name(metric) for metric in findings.metrics_of(run.data)],
        "units": [unit_of(metric) for metric in findings.metrics_of(run.data)],
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
    pictures, nearer = [], 0
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
        pictures.append({"title": _describe_distance(names[1], *apart), "charts": drawn})
        nearer += _moved_together(*apart)
    if not pictures:
        return None
    title = pictures[0]["title"]
    if len(pictures) > 1:
        title = f"Translations moved together in {nearer} of {len(pictures)} languages"
    return {"axes": run.states.get("axes", ""), "languages": pictures, "title": title}


def _moved_together(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after < before


def _describe_distance(name: str, before: float | None, after: float | None) -> str:
    """Say of a language whether translations moved together, by :func:`findings.pair_distance`."""
    if before is None or after is None:
        return name
    moved = "moved together" if _moved_together(before, after) else "did not move together"
    path = f"from {wording.percent(before)} to {wording.percent(after)}"
    return f"{name}: translations {moved}, {path} of the distance between arbitrary sentences"


def _describe_making(run: RunFiles) -> str:
    if (total := run.summary.get("seconds", {}).get("total")) is None:
        return "How to make it again"
    version = run.summary.get("lingraft", "")
    return f"{wording.duration(total)} of computing states and training, with lingraft {version}"


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
        "limits": run.data.get("limits", []),
        "max_length": run.data.get("max_length"),
    }


# --- Front matter -----------------------------------------------------------------------------------


OF_HUB = {"spearman": "spearmanr", "pearson": "pearsonr", "mean_absolute_error": "mae"}
"""What the Hub calls metrics, where it calls them otherwise."""


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
        "metrics": list(map(_hub_metric, findings.metrics_of(run.data))),
    }
    text = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({key: value for key, value in fields.items() if value}, text)
    return printable(text.getvalue())


def _hub_metric(metric: str) -> str:
    return "f1" if metric.endswith("f1") else OF_HUB.get(metric, metric)


def _hub_name(checkpoint: str) -> str:
    """Return a checkpoint's name; nothing where it is a path that the Hub could not have."""
    name = checkpoint.removeprefix("bundled:")
    return name if re.fullmatch(r"[\w./-]+", name) else ""


def _licence_fields(licences: list[str]) -> Row:
    """Return the one licence of data and backbone; where they differ, the Hub's ``other`` and both names."""
    if len(licences) == 1:
        return {"license": identifier(licences[0])}
    return {"license": "other", "license_name": "-and-".join(map(identifier, licences))}
