"""What the files of trials, of a comparison's methods and of a comparison itself must be; see :mod:`.schemas`."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, TypeAdapter, model_validator

from .schemas import Count, Data, File, Model, Name, Number, SourceChange, TrialName

Inside = Annotated[str, StringConstraints(pattern=r"^(trials|predictions)(/[^/\\.\x00-\x1f][^/\\\x00-\x1f]*)+$")]
"""A file below a run folder's own folders."""

# ---- What a trial leaves ---------------------------------------------------------------------------


class TrialRecord(File):
    """``trial.json``."""

    name: str
    seconds: Number | None = None
    trained: Count | None = None
    dev_score: Number | None = None
    head_strength: Number | None = None
    head_dev_score: Number | None = None
    threshold: Number | None = None
    source_change: SourceChange | None = None
    error: str | None = None
    files: dict[Inside, Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.error is None and (self.seconds is None or self.trained is None or not self.files):
            raise ValueError("expected `seconds`, `trained` and `files` of a trial that did not fail")
        adapted = any(name.endswith("adaptation.safetensors") for name in self.files)
        if adapted and not {"dev_score", "head_dev_score"} <= self.model_fields_set:
            raise ValueError("expected the scores of an adaptation")
        return self


class Probe(Model):
    """An example, and the logits that the trained network gave of its rows."""

    example: dict[str, Any]
    logits: list[list[Any]]


class Probes(File):
    """``probe.json``."""

    tolerance: Number
    languages: dict[Name, list[Probe]]


class Memory(Model):
    """``memory.json``: the most that a method's process held."""

    peak_bytes: Count | None = None


# ---- A comparison ----------------------------------------------------------------------------------


class LearningRate(Model):
    """Which was used, and what others reached."""

    setting: str | None
    value: Number | None
    tried: dict[str, Number | None]

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.value is not None and self.setting is None:
            raise ValueError("setting: expected the name of the setting that has the value")
        return self


class MethodFacts(File):
    """``method.json``."""

    name: Name
    about: str
    impossible: str | None = None
    trials: list[TrialName] = Field(default_factory=list)
    chosen: dict[str, Any] = Field(default_factory=dict)
    trainable_parameters: Count = 0
    seconds: dict[TrialName, Number] = Field(default_factory=dict)
    peak_bytes: Count | None = None
    learning_rate: LearningRate | None = None
    steps: dict[TrialName, Count] | None = None
    labels: dict[TrialName, str] = Field(default_factory=dict)
    pairs: dict[TrialName, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.impossible is not None:
            return self
        needed = {"trials", "trainable_parameters", "seconds", "peak_bytes", "learning_rate", "labels"}
        if missing := sorted(needed - self.model_fields_set):
            raise ValueError(f"expected `{missing[0]}` of a method that is possible")
        if not self.trials or self.learning_rate is None:
            raise ValueError("expected trials and a learning rate of a method that is possible")
        for name, found in (("seconds", self.seconds), ("steps", self.steps), ("labels", self.labels)):
            if found is not None and set(found) != set(self.trials):
                raise ValueError(f"{name}: expected one of each trial")
        return self


class ComparisonFile(File):
    """``comparison.json``."""

    data: Data
    reference: str
    epochs: Number
    compare: dict[str, Any] = Field(default_factory=dict)
    methods: Annotated[list[MethodFacts], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _together(self) -> Self:
        if not (self.data.target_languages or self.data.source_language):
            raise ValueError("data.target_languages: expected one language or more")
        if unknown := [code for code in self.data.target_languages if code not in self.data.languages]:
            raise ValueError(f"data.languages: nothing about {unknown[0]}")
        return self


# ---- A search of settings --------------------------------------------------------------------------


class Combination(Model):
    """Settings that were tried."""

    name: Name
    own: bool
    values: dict[str, str | bool | int | float | None]
    seconds: Number = 0.0
    error: str | None = None
    version: str | None = None
    revision: str | None = None


class TuningFile(File):
    """``tuning.json``."""

    data: Data
    settings: dict[str, Any]
    units: Annotated[list[TrialName], Field(min_length=1, max_length=1000)]
    importance: dict[str, Number] = Field(default_factory=dict)
    trials: Annotated[list[Combination], Field(min_length=1, max_length=1000)]


TRIAL: TypeAdapter[TrialRecord] = TypeAdapter(TrialRecord)
PROBES: TypeAdapter[Probes] = TypeAdapter(Probes)
METHOD: TypeAdapter[MethodFacts] = TypeAdapter(MethodFacts)
COMPARISON: TypeAdapter[ComparisonFile] = TypeAdapter(ComparisonFile)
MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)
TUNING: TypeAdapter[TuningFile] = TypeAdapter(TuningFile)
