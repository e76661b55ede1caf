"""What ``benchmarks.yaml`` says of a benchmark: its kind, its files, its copy on the Hub."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Layout(BaseModel):
    """Files of one way to lay a benchmark out, by split.

    ``where`` picks rows of a file that holds all languages. ``mark`` is put before the groups of a split whose
    numbers mean something else than those of the other splits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: str | None = None
    dev: str | None = None
    test: str | None = None
    fields: dict[str, Any] | None = None
    where: dict[str, str] | None = None
    mark: dict[str, str] = {}


class Hub(BaseModel):
    """A copy on the Hugging Face Hub.

    ``labels`` are the names of its numbered classes; ``codes`` how it calls languages that it does not call by
    ``spelling``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    revision: str
    config: str
    splits: dict[str, str]
    fields: dict[str, Any]
    spelling: Literal[2, 3, "name", "flores"] = 2
    codes: dict[str, str] = {}
    labels: list[str] | None = None
    where: dict[str, str] | None = None


class Benchmark(BaseModel):
    """An entry of ``benchmarks.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    about: str
    kind: Literal["classification", "span_qa", "tagging", "choice"]
    reader: Literal["table", "squad", "mlqa", "afriqa", "conll", "choice"]
    languages: list[str]
    sizes: dict[str, int]
    layouts: list[Layout]
    licence: str
    citation: str
    options: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    hub: Hub | None = None
    spellings: dict[str, str] = {}
    """Names in the files of languages that nobody else calls so."""
    parallel: bool = False
    global_groups: bool = False
    """Whether the same group is the same text in every split; numbers that begin anew in each are not."""
    evaluation_only: bool = False
    languages_of: str = ""
    """Whose languages it has, where they are too many to name."""
    context_language: str | None = None
    placeholder: str | None = None
    """A text (blank: none at all) that stands for one that was not translated; such rows are left out, and counted."""
    shared_texts: list[Literal["text_a", "text_b"]] = []
    """Examples of the source language that share one of these texts are one group."""
    tenth_for_test: bool = False
    """Where there is no test file, every tenth training example is for testing."""
