"""A file, or standard input, that a trained run is to answer: opened, checked, and written as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ..core.errors import LingraftError
from ..results.saved_trial import describe_saved
from .answer_lines import Format, write_answers
from .inputs import Given, Shape, checked_first, column_names, read_given, shape_of
from .loading import kind_at, load
from .own_names import OwnNames, own_names
from .predictor import check_abstain, checked_threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """How a file is to be answered; None leaves it to the run and the file."""

    shape: Shape | None = None
    """How what is read is laid out."""
    form: Format | None = None
    """Of the lines that are written."""
    language: str | None = None
    text: str | None = None
    """Column of the text."""
    text_b: str | None = None
    abstain: float | None = None
    """Probability below which an answer is withheld."""
    probabilities: bool = False
    """Whether those of all classes are written."""
    backbone: Path | None = None
    """Where the checkpoint is now that the run was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file that is open to be answered by a run; the run's model is not loaded yet."""

    folder: Path
    file: Path | None
    request: Request
    """What was asked, with how the file is read and written."""
    given: Iterator[Given]
    names: OwnNames

    def answer(self) -> Callable[..., None]:
        """Load the model, and return :func:`write_answers`, which wants the stream, and perhaps what counts lines.

        Raises:
            CheckpointError: The backbone is not the one that the run was trained on.
        """
        asked, columns = self.request, tuple[str, ...]()
        if asked.form == "csv" and self.file is not None and asked.shape is not None:
            columns = tuple(column_names(self.file, asked.shape))
        return partial(
            write_answers,
            given=self.given,
            adapted=replace(load(self.folder, backbone=asked.backbone), names=self.names),
            form=asked.form or "jsonl",
            columns=columns,
            language=asked.language,
            abstain=asked.abstain,
            probabilities=asked.probabilities,
        )


def open_file(
    folder: Path, file: Path | None, request: Request, say: Callable[[str], None] = lambda text: None
) -> Opened:
    """Open what a run is to answer; what is wrong with the first row is told before the model is loaded.

    Args:
        folder: The run.
        file: None reads standard input.
        request: How it is to be answered.
        say: Told what lines are taken for, where they could be something else, and which of several trials answers.

    Raises:
        CheckpointError: There is no finished run.
        DataError: The file cannot be read, or its first row is not what the task takes; or the threshold is none.
    """
    checked_threshold(request.abstain)
    kind, identity = kind_at(folder)
    check_abstain(kind, request.abstain)
    names = own_names(folder).choose(text=request.text, text_b=request.text_b)
    shape = request.shape or shape_of(file, kind, names)
    if (
        request.shape is None
        and shape == "conll"
        and (file is None or file.suffix.lower() not in (".conll", ".conllu"))
    ):
        say(
            f"{file or 'standard input'}: read as a word a line, with an empty line between sentences; if each line is "
            "a text, say so with --input-format text"
        )
    code = request.language or (names.targets[0] if names.targets else identity.source_language)
    guessed, paired = request.shape is None and file is None, identity.paired
    given = read_given(file, shape, kind, names=names, language=code, paired=paired, guessed=guessed)
    given = checked_first(given, kind, names, paired=paired)
    with suppress(LingraftError):  # which trial it was is a remark; what is damaged of the summary stops nobody
        if saved := describe_saved(folder.expanduser(), kind.words):
            say(f"the trial that answers: {saved}")
    form = request.form or ("conll" if shape == "conll" else "jsonl")
    settled = replace(request, shape=shape, form=form)
    return Opened(folder=folder, file=file, request=settled, given=given, names=names)
