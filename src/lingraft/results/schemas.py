"""What each file of a run folder, of a method's folder and of a comparison's must be: the schemas of the door.

A folder may come from others, so what is read of it is checked once, on reading, and trusted afterwards. Columns
that a schema does not name are let through and not looked at. Files carry the number of this format; what has none
was written before there was one, and is read like the first.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    field_validator,
    model_validator,
)

FORMAT = 1
"""Number of the form that files of run folders have; raised when an older lingraft would misread a newer one's."""

MOST = 1e15

Number = Annotated[float, Field(ge=-MOST, le=MOST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=int(MOST))]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(pattern=r"^[^/\\.\x00-\x1f][^/\\\x00-\x1f]*$", max_length=200)]
"""A language or a method, which names a file or a folder: nothing that leads elsewhere."""
TrialName = Annotated[
    str, StringConstraints(pattern=r"^k([0-9]{1,9}|all)-draw[0-9]{1,9}-seed-?[0-9]{1,20}(-order[0-9]{1,10})?$")
]


Said = Annotated[str, StringConstraints(max_length=64)]


class Model(BaseModel):
    """Exactly the types that are said; further columns do no harm."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class File(Model):
    """A file with an object of its own."""

    format: int = FORMAT

    @field_validator("format")
    @classmethod
    def _known(cls, number: int) -> int:
        if not 1 <= number <= FORMAT:
            raise ValueError(
                f"expected at most {FORMAT}, found {number}: a newer lingraft wrote this file; read it with that"
                if number > FORMAT
                else f"expected 1 to {FORMAT}, found {number}, which no lingraft wrote"
            )
        return number


# ---- A run -----------------------------------------------------------------------------------------


class Mark(File):
    """``run.json``."""

    lingraft: str
    meaning: int


class Language(Model):
    """Counts of one language in ``data.json``."""

    name: str = ""
    texts: dict[str, Count] = {}
    shots: Count | None = None
    pairs: Count | None = None
    pseudo: Count | None = None
    truncated: Count | None = None
    tokens: Count | None = None
    unknown_rate: Share = 0.0


class Data(File):
    """``data.json``."""

    task: str
    words: dict[str, str] | None = None
    metrics: dict[str, str] | list[str] | None = None
    licence: str | None = None
    citation: str | None = None
    labels: list[str] = []
    classes: list[str] = []
    source_language: Name = ""
    target_languages: list[Name] = []
    languages: dict[Name, Language] = {}
    overlap_removed: dict[str, Count] = {}
    notes: list[str] = []
    limits: list[str] = []
    unscored: list[str] = []
    max_length: Count | None = None


class ScoreRow(Model):
    """A line of ``scores.jsonl``."""

    task: str
    method: str
    language: Name
    metric: str
    value: Number
    n: Count
    shots: Count | Literal["all"]
    draw: Count
    seed: int
    run: str
    context_language: Name | None = None
    low: Number | None = None
    high: Number | None = None
    order: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.+!-]{1,40}$")] | None = None
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}[+]?$")] | None = None
    recipe: Said | None = None
    data: Said | None = None
    backbone: Said | None = None
    device: Said | None = None
    precision: Said | None = None
    threads: Count | None = None


class Epoch(Model):
    """A line of ``training.jsonl``; older ones lack much of it."""

    trial: TrialName
    epoch: Count
    step: Count
    loss: float | None = None
    task_loss: float | None = None
    alignment_loss: float | None = None
    consistency_loss: float | None = None
    dev_score: float | None = None
    gradient_cosine: float | None = None
    gradient_ratio: float | None = None
    tokens_per_second: Number | None = None
    trained: list[str] | None = None
    weights: list[Number] | None = None
    warnings: list[str] | None = None

    @field_validator(
        "loss", "task_loss", "alignment_loss", "consistency_loss", "dev_score", "gradient_cosine", "gradient_ratio"
    )
    @classmethod
    def _drawable(cls, number: float | None) -> float | None:
        if number is not None and MOST**2 < abs(number) < float("inf"):
            raise ValueError(f"expected a number below {MOST**2:g}, found {number:g}")
        return number


class Backbone(Model):
    """The frozen model in ``summary.json``."""

    name: str
    weights_digest: str
    digest_after: str | None = None
    parameters: Count | None = None
    licence: str | None = None
    layers: Annotated[int, Field(ge=1, le=1000)] = 1
    cut: Annotated[int, Field(ge=-1, le=1000)] = 0


ALL_LAYERS = "all layers"
"""The ``part`` of what is in all layers, those below the cut as well."""


class Part(Model):
    """What was trained, or stayed frozen, and how much it is."""

    part: str
    name: str
    count: Count
    trained: bool = True


class FrozenPart(Model):
    """What stayed frozen."""

    name: str
    count: Count


class Calibration(Model):
    """The expected calibration error of a language."""

    before: Share | None = None
    after: Share | None = None


class SourceChange(Model):
    """The source language's development score after training, against that of where it began.

    ``low`` and ``high`` bound the difference; they are missing where all development examples are one group.
    """

    n: Count
    before: Number
    after: Number
    low: Number | None = None
    high: Number | None = None


class SourceFall(SourceChange):
    """One that fell by more than chance explains."""

    low: Number
    high: Annotated[float, Field(ge=-MOST, lt=0)]


class TrialFacts(Model):
    """What a finished trial is said to be."""

    name: str = ""
    seconds: Number = 0.0
    dev_score: Number | None = None
    trained: Count = 0
    head_strength: Number | None = None
    head_dev_score: Number | None = None
    threshold: Number | None = None
    source_change: SourceChange | None = None


class Verification(Model):
    """How far what was saved is from what was trained."""

    max_difference: Number
    texts: Count


class Summary(File):
    """``summary.json``; pages do without what is missing."""

    backbone: Backbone | None = None
    parameters: list[Part] = []
    frozen: list[FrozenPart] = []
    calibration: dict[Name, Calibration] = {}
    seconds: dict[str, Number] = {}
    selected_trial: TrialName | None = None
    trials: dict[TrialName, TrialFacts] = {}
    source_falls: dict[TrialName, SourceFall] = {}
    verification: Verification | None = None


Point = Annotated[list[Number], Field(min_length=2, max_length=2)]
Cloud = Annotated[list[Point], Field(max_length=2000)]


class Clouds(Model):
    """Sentences and their translations at one moment."""

    source: Cloud
    target: Cloud


class Moved(Model):
    """The same before and after."""

    before: Clouds
    after: Clouds


class States(File):
    """``states.json``."""

    axes: str = ""
    languages: dict[Name, Moved]


class PredictionRow(Model):
    """A line of a file of predictions."""

    id: str | int
    group: str | int | None = None
    text: str = ""
    text_b: str | None = None
    gold: str | list[str] | None
    value: str
    confidence: Share | None = None
    before: str | None = None
    before_confidence: Share | None = None
    counts: Annotated[list[Number], Field(min_length=1, max_length=100_000)]
    right: Share
    before_counts: list[Number] | None = None
    before_right: Share | None = None
    instant: str | None = None
    instant_confidence: Share | None = None
    instant_counts: list[Number] | None = None
    instant_right: Share | None = None
    alternatives: list[str] | None = None
    language: str | None = None
    context_language: str | None = None

    @model_validator(mode="after")
    def _together(self) -> Self:
        for name, counts, right in (
            ("before", self.before_counts, self.before_right),
            ("instant", self.instant_counts, self.instant_right),
        ):
            if counts is not None and (len(counts) != len(self.counts) or right is None):
                raise ValueError(f"{name}_counts: expected as many as `counts`, and `{name}_right` beside them")
        for number in (self.gold, self.value, self.before, self.instant) if self.alternatives else ():
            if number is not None and str(number) not in map(str, range(len(self.alternatives or ()))):
                raise ValueError(f"alternatives: {number!r} is the number of none of them")
        return self


class DevelopmentRow(Model):
    """A line of a trial's ``development.jsonl``: what the answer to a development example adds to the metric's sums."""

    id: str | int
    group: str | int
    counts: Annotated[list[Number], Field(min_length=1, max_length=100_000)]


Ngram = Annotated[str, StringConstraints(min_length=1, max_length=8)]


class Letters(Model):
    """``letters.json``: how often each character n-gram occurs in the texts of each language."""

    ngrams: dict[Name, Annotated[dict[Ngram, Annotated[Count, Field(ge=1)]], Field(min_length=1, max_length=100_000)]]


MARK: TypeAdapter[Mark] = TypeAdapter(Mark)
DATA: TypeAdapter[Data] = TypeAdapter(Data)
SCORE: TypeAdapter[ScoreRow] = TypeAdapter(ScoreRow)
EPOCH: TypeAdapter[Epoch] = TypeAdapter(Epoch)
SUMMARY: TypeAdapter[Summary] = TypeAdapter(Summary)
STATES: TypeAdapter[States] = TypeAdapter(States)
PREDICTION: TypeAdapter[PredictionRow] = TypeAdapter(PredictionRow)
DEVELOPMENT: TypeAdapter[DevelopmentRow] = TypeAdapter(DevelopmentRow)
LETTERS: TypeAdapter[Letters] = TypeAdapter(Letters)
