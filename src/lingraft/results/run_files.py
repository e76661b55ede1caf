"""What a finished run left in its folder, read back as plain data.

The report needs nothing else: no model, no data set, no torch. Files that a run did not write are
empty here, and the part of the report that wanted them says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from ..core.errors import RunError
from ..core.files import Row, read_lines, read_object
from ..core.nearest_file import suggest_folder
from ..core.outside import parse_object, read_bytes, refuse_links, validate
from ..core.records import Score, name_of_trial
from ..core.terminal_text import printable
from ..core.written_recipe import CURE, read_notes, run_again
from ..core.written_recipe import NAME as RECIPE
from . import schemas
from .finished_run import refuse_changed
from .pseudo_schemas import PSEUDO
from .retention_schemas import RETENTION
from .schemas import DATA, EPOCH, PREDICTION, SCORE, STATES, SUMMARY

SCORE_FIELDS = {column.name for column in fields(Score)}

MARK = "run.json"
"""The file that proves a folder to be a run's; written first."""

COLUMNS = {"before": "before_", "instant": "instant_", "after": ""}
"""How the columns of a prediction begin: of the frozen head, in closed form, and after adaptation."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The files of one run folder, predictions excepted, which are read when asked for."""

    folder: Path
    recipe: str
    data: Row
    scores: tuple[Score, ...]
    training: tuple[Row, ...]
    summary: Row
    states: Row
    retention: Row = field(default_factory=dict)
    pseudo: Row = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Remarks of the recipe, in Markdown."""

    def predictions(self, trial: str, language: str) -> list[Row]:
        """Return predictions of one trial in one language; empty where the file is missing."""
        return read_predictions(self.folder / "predictions" / trial / f"{language}.jsonl")

    @property
    def trials(self) -> dict[str, list[Row]]:
        """Epochs of each trial's training, in their order."""
        found: dict[str, list[Row]] = {}
        for row in self.training:
            found.setdefault(str(row["trial"]), []).append(row)
        return found

    @property
    def source_language(self) -> str:
        """The language that the task part was learnt in."""
        return str(self.data.get("source_language", ""))

    @property
    def languages(self) -> list[str]:
        """Every language with a score: targets in the recipe's order, then others, the source last."""
        targets = list(self.data.get("target_languages", ()))
        others = sorted({score.language for score in self.scores} - {*targets, self.source_language})
        return [*targets, *others, *([self.source_language] if self.source_language else [])]

    @property
    def selected_trial(self) -> str:
        """The trial that was saved for use; without a summary, the first one scored."""
        selected = self.summary.get("selected_trial")
        return str(selected) if selected else next(map(trial_of, self.scores), "")

    def name(self, language: str) -> str:
        """Return the language's English name, or its code, as it may stand in a sentence."""
        return printable(str(self.data.get("languages", {}).get(language, {}).get("name") or language))


def trial_of(score: Score) -> str:
    """Return shots, draw and seed, as folders of predictions are named."""
    return name_of_trial(score.shots, score.draw, score.seed, score.order)


def read_mark(folder: Path) -> Row:
    """Return what marks a folder as a run's, a comparison's or a method's; nothing where nothing does.

    Raises:
        RunError: It is damaged, or of a newer lingraft.
    """
    path = folder / MARK
    try:
        found = parse_object(read_bytes(path, cure=CURE), str(path), cure=CURE)
    except FileNotFoundError:
        return {}
    if not found.get("meaning"):
        return {}
    validate(schemas.MARK, found, str(path), cure=CURE)
    return found


def read_run(folder: Path) -> RunFiles:
    """Read a run folder.

    Raises:
        RunError: There is none, or a file of it is not what a run leaves.
    """
    if not folder.is_dir():
        near = suggest_folder(folder, "summary.json")
        raise RunError(f"there is no folder {folder}; give one that `lingraft run` wrote{near}")
    refuse_links(folder)
    read_mark(folder)
    refuse_changed(folder)
    notes, written = read_notes(folder), folder / RECIPE
    return RunFiles(
        folder=folder,
        recipe=written.read_text(encoding="utf-8") if written.exists() else "",
        data=read_object(folder / "data.json", DATA),
        scores=tuple(
            Score(**{key: value for key, value in row.items() if key in SCORE_FIELDS})
            for row in read_lines(folder / "scores.jsonl", SCORE)
        ),
        training=tuple(read_lines(folder / "training.jsonl", EPOCH)),
        summary=read_object(folder / "summary.json", SUMMARY),
        states=read_object(folder / "states.json", STATES),
        retention=read_object(folder / "retention.json", RETENTION),
        pseudo=read_object(folder / "pseudo.json", PSEUDO),
        notes=notes,
    )


def read_predictions(path: Path) -> list[Row]:
    """Read the predictions of one trial in one language; none where the file is missing.

    Raises:
        RunError: A line lacks what it adds to the sums of the metric, is damaged, or has other columns than the first.
    """
    rows, cure = list[Row](), run_again(path)
    for number, row in enumerate(read_lines(path), start=1):
        where = f"{path}:{number}"
        if "counts" not in row or "right" not in row:
            raise RunError(
                f"{where}: expected the columns `counts` and `right`, found {', '.join(row)}; an older version "
                "wrote it: run the recipe again, into another folder"
            )
        validate(PREDICTION, row, where, cure=cure)
        if rows and _columns(row) != _columns(rows[0]):
            raise RunError(f"{where}: expected the columns and counts of the first line, found others; {cure}")
        rows.append(row)
    return rows


def _columns(row: Row) -> tuple[object, ...]:
    """Return what all predictions of a file have alike."""
    return (
        len(row["counts"]),
        *(row.get(f"{start}{what}") is None for start in ("before", "instant") for what in ("", "_counts")),
        "group" in row,
        isinstance(row["gold"], list),
    )


def counts_of(row: Row, when: str = "after") -> tuple[float, ...]:
    """Return what one prediction adds to the sums that the metric is made of: ``K`` numbers."""
    return tuple(float(number) for number in row[f"{COLUMNS[when]}counts"])


def share_right(row: Row, when: str = "after") -> float:
    """Return how much of a prediction is right: of a tagged sentence the share of its words, else all or nothing.

    That is what the confidence is of: the mean of the words' probabilities, or the chance of the one answer.
    """
    return float(row[f"{COLUMNS[when]}right"])


def is_right(row: Row, when: str = "after") -> bool:
    """Return whether a prediction is wholly right."""
    return share_right(row, when) == 1
