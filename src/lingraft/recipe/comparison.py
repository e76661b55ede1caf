"""The recipe's ``compare:`` block: which methods, under which names, with which tuning budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..core.amounts import Rate, Rounds, Steps
from ..core.errors import ConfigError
from ..core.wrong_values import say_wrong
from .label_words import LabelWordsSettings

METHODS = (
    "frozen-head",
    "prototype",
    "label-words",
    "instant",
    "peft-prompt",
    "peft-prefix",
    "peft-lora",
    "bottleneck",
    "top-k",
    "full-sequential",
    "full-joint",
    "hf-trainer",
    "setfit",
    "lora+alignment",
    "full+alignment",
    "paper",
    "lingraft",
)
"""What a comparison can name, in the order of its table; ``baselines/methods.yaml`` says what each is."""

RESERVED = ("tuning", "mined", "README.md", "scores.jsonl", "comparison.json", "recipe.yaml")
"""Folders and files of a comparison that belong to no method."""

DEVICES = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?")
"""Names that Windows keeps for devices, whatever comes behind a dot."""

OURS = "lingraft"
"""What the others are tested against."""

BELONG = ("output_dir", "notes", "compare", "stability", "shot_curve", "source_choice", "tune")
"""Settings of the whole, which no variant has of its own."""


class CompareSettings(BaseModel):
    """What `lingraft compare` runs on the recipe's data and draws, for as many epochs."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    methods: list[Literal[METHODS]] = Field(default=list(METHODS))  # type: ignore[valid-type]
    """Built-in methods; what each is, `baselines/methods.yaml` says."""
    variants: dict[str, dict[str, Any]] = {}
    """Further methods: name -> keys laid over the recipe, and optionally `method`, the built-in to start from (default:
    `lingraft`), `preset`, which lies under the variant's own keys, and `label_words`, laid over what all are asked. A
    variant with the name of a built-in method takes its place."""
    learning_rates: dict[str, Annotated[list[Rate], Field(min_length=1, max_length=3)]] = {}
    """By method: with more than one, each is tried on the first trial, and the best on the source language's
    development set is used; the target is not looked at."""
    tuning_epochs: Rounds = 4
    """Epochs for which each learning rate is tried."""
    max_steps: dict[str, Steps] = {}
    """By method, `setfit`, `hf-trainer` or a variant of one: steps of the optimiser at most; by default 500 for
    `setfit`, which would take thousands to see each pair of labelled texts, and as many for `hf-trainer` as its epochs
    have."""
    prototype: Literal["centroid", "knn"] = "centroid"
    """What `prototype` compares a text with: the centres of the classes, or its nearest labelled texts."""
    neighbours: Rounds = 5
    """How many texts `prototype: knn` asks."""
    label_words: LabelWordsSettings | None = None
    """What `label-words` asks a decoder; without it the method is left out."""

    @field_validator("variants")
    @classmethod
    def _names(cls, variants: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, fragment in variants.items():
            if not re.fullmatch(r"[A-Za-z0-9]([\w.+-]*[\w+-])?", name) or name.casefold() in map(
                str.casefold, RESERVED
            ):
                raise ValueError(
                    f"{name!r} names a folder: letters, digits, and . _ + - in between; not {' or '.join(RESERVED)}"
                )
            if DEVICES.fullmatch(name):
                raise ValueError(f"{name!r} names a folder, which cannot have the name of a device of Windows")
            if twin := next(
                (one for one in (*METHODS, *variants) if one != name and one.casefold() == name.casefold()), ""
            ):
                raise ValueError(f"{name!r} and {twin!r} name folders, which are one where case does not count")
            if fragment.get("method", OURS) not in METHODS:
                raise ValueError(f"variant {name!r} starts from an unknown method; known: {', '.join(METHODS)}")
            for key in BELONG:
                if key in fragment:
                    raise ValueError(f"variant {name!r} sets `{key}`, which belongs to the comparison; leave it out")
        return variants

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.names:
            raise ValueError("name at least one method or variant")
        return self

    @property
    def names(self) -> list[str]:
        """All methods to run, in the order of the table: ours last."""
        found = list(dict.fromkeys([*self.methods, *self.variants]))
        return sorted(found, key=lambda name: name == OURS)


def with_variants(compared: CompareSettings, more: Mapping[str, dict[str, Any]], key: str) -> CompareSettings:
    """Return a comparison with further variants.

    Args:
        compared: What the recipe compares.
        more: Variants by name.
        key: The setting that they come from, for messages.

    Raises:
        ConfigError: The recipe has a variant of such a name already, or one of them is none.
    """
    if twice := sorted(compared.variants.keys() & more.keys()):
        raise ConfigError([f"{key}: compare.variants has {twice[0]} already; leave one of the two out"])
    try:
        return CompareSettings.model_validate(compared.model_dump() | {"variants": {**compared.variants, **more}})
    except ValidationError as error:
        raise ConfigError([f"compare: {say_wrong(one)}" for one in error.errors()]) from None
