"""The recipe's ``tune:`` block: which settings are searched, among which values, and for how long.

A list is a choice among its values; ``{low: …, high: …}`` is a range of numbers, both ends included.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from itertools import permutations
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from .comparison import BELONG
from .stability import Levels, Number, Value, Values, Whole

if TYPE_CHECKING:
    from .settings import Recipe

MANY_TIMES = 10
"""How many times as large the upper end of a range is whose logarithm is searched, unless the recipe says."""

GIVEN = (*BELONG, "seeds", "orders", "shots", "task", "further_sources", "preset", "method", "device", "cache")
"""Settings that say what is learnt and measured, or where: a score that they change says nothing of a model."""

End = Annotated[Whole, Field(strict=True)] | Annotated[Number, Field(strict=True)]


class Range(BaseModel):
    """Numbers from `low` to `high`, both included: whole ones where both are written without a point."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    low: End
    """The lowest."""
    high: End
    """The highest."""
    log: bool | None = None
    """Whether the logarithm is searched, so that 0.001 to 0.01 is as long as 0.01 to 0.1; by default where `low` is
    above zero and `high` at least ten times as large."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low} and high {self.high}: expected a higher number there")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low}, which has no logarithm; leave `log` out")
        return self

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def logarithmic(self) -> bool:
        """Whether the logarithm is searched."""
        return self.low > 0 and self.high >= MANY_TIMES * self.low if self.log is None else self.log

    def __contains__(self, value: Any) -> bool:
        number = isinstance(value, int) or (isinstance(value, float) and not self.whole)
        return number and not isinstance(value, bool) and self.low <= value <= self.high


def _form(given: Any) -> str:
    return "range" if isinstance(given, Mapping | Range) else "choices"


Searched = Annotated[Annotated[Range, Tag("range")] | Annotated[Values, Tag("choices")], Discriminator(_form)]
"""What one setting may be: a range, or a list of choices."""

Space = Mapping[str, Searched]
"""Dotted settings of a recipe, and what each may be."""


class TuneSettings(BaseModel):
    """What `lingraft tune` tries; it ends with `trials` or `minutes`, whichever comes first."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    trials: Annotated[int, Field(ge=2, le=1_000)] = 20
    """How many combinations of settings are tried, the recipe's own first; failed ones count."""
    minutes: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    """After so many minutes of trials, those before a stop included, no further one begins."""
    seeds: Levels = 1
    """With how many of the recipe's seeds each is trained; the score is the mean."""
    settings: Annotated[dict[str, Searched], Field(min_length=1, max_length=20)] | None = None
    """Settings of the recipe, such as `prompt.length`: a list is a choice (`[4, 8, 16]`), `{low: 1e-4, high: 1e-2}` a
    range; by default the learning rates, from a fifth to five times the recipe's own, and the length of the prompt."""

    @field_validator("settings")
    @classmethod
    def _are_of_a_model(cls, settings: dict[str, Searched] | None) -> dict[str, Searched] | None:
        for key, choices in (settings or {}).items():
            if key.partition(".")[0] in GIVEN:
                raise ValueError(f"{key!r} is no setting of what is trained; leave it out")
            if isinstance(choices, list) and len(set(choices)) < len(choices):
                raise ValueError(f"{key!r} names a value twice")
        for outer, inner in permutations(settings or {}, 2):
            if inner.startswith(f"{outer}."):
                raise ValueError(f"{inner!r} lies in {outer!r}, which is searched as a whole; leave one of the two out")
        return settings


def default_space(recipe: Recipe) -> dict[str, Searched]:
    """Return what is searched where a recipe does not say; empty where nothing is trained by gradient."""
    train, prompt = recipe.train, recipe.prompt
    if train.num_train_epochs == 0:
        return {}
    rates = ["learning_rate"]
    rates += ["prompt_learning_rate"] if prompt else []
    rates += ["backbone_learning_rate"] if recipe.freezing.name != "frozen" else []
    found: dict[str, Searched] = {f"train.{rate}": _around(getattr(train, rate)) for rate in rates}
    length = prompt.options.get("length") if prompt else None
    if isinstance(length, int):
        found["prompt.length"] = list[Value](sorted({4, 8, 16, 32, length}))
    return found


def _around(rate: float) -> Range:
    return Range(low=rate / 5, high=rate * 5)


def as_fragment(values: Mapping[str, Value]) -> dict[str, Any]:
    """Return dotted settings as keys within keys: ``{"prompt.length": 4}`` as ``{"prompt": {"length": 4}}``."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        *parents, last = key.split(".")
        block = reduce(lambda at, parent: at.setdefault(parent, {}), parents, found)
        block[last] = value
    return found


def own_values(recipe: Recipe, space: Space) -> dict[str, Value]:
    """Return what the searched settings are in a recipe; those that it has nowhere are left out."""
    found: dict[str, Value] = {}
    for key in space:
        at: Any = recipe.model_dump(mode="json", by_alias=True)
        for part in key.split("."):
            at = at.get(part, _NOWHERE) if isinstance(at, Mapping) else _NOWHERE
        if at is not _NOWHERE and not isinstance(at, Mapping | list):
            found[key] = at
    return found


_NOWHERE = object()
