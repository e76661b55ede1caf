"""One of everything that a package of other people can add, each as small as it can be."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

import toy_kind  # its kind and its task, registered on import
from lingraft.backbones import Builder, LayerStack, backbones
from lingraft.backbones.bert import BertStack
from lingraft.core.records import PairExample
from lingraft.data import Source, sources
from lingraft.data.augmentation import Generator, augmentation
from lingraft.data.lexicon import Lexicon
from lingraft.model.adapters import Adapter, adapters
from lingraft.model.adapters import Build as BuildAdapter
from lingraft.model.freezing import Phase, Strategy, freezing
from lingraft.model.prompts import Build as BuildPrompt
from lingraft.model.prompts import Initial, prompts
from lingraft.results.pages import Page, pages
from lingraft.results.run_files import RunFiles
from lingraft.training.alignment import AlignmentLoss, View, alignment

__all__ = ["toy_kind"]


@alignment.register("outside_l1")
def l1(*, power: float = 1.0) -> AlignmentLoss:
    """Absolute distance of the pooled states."""

    def loss(source: View, target: View) -> Tensor:
        return (target.states.pooled() - source.states.pooled()).abs().pow(power).mean()

    return AlignmentLoss(loss)


class OneRow(nn.Module):
    """The same row before the text at every layer, whatever the language."""

    carried = False

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.task = nn.ParameterDict({"0": nn.Parameter(first)})

    def forward(self, layer: int, language: str) -> Tensor:
        """The row, ``[1, H]``."""
        return self.task["0"]


@prompts.register("outside_row")
def one_row() -> BuildPrompt:
    """One virtual token, shared by all layers."""

    def build(stack: LayerStack, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        return OneRow(initial("states", layers[0], 1))

    return build


class Shift(Adapter):
    """Adds one vector to the states after each block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.task = nn.ParameterDict({"0": nn.Parameter(torch.zeros(width))})

    def forward(self, layer: int, language: str, hidden: Tensor) -> Tensor:
        """Shifted states."""
        return hidden + self.task["0"]


@adapters.register("outside_shift")
def shift() -> BuildAdapter:
    """A vector that is added after each block."""
    return lambda stack, layers, languages: Shift(stack.width)


@freezing.register("outside_all_frozen")
def all_frozen() -> Strategy:
    """Nothing of the backbone learns."""
    return Strategy(lambda num_layers: num_layers, lambda stack: (Phase(),))


@sources.register("stars")
def stars() -> Source:
    """A review a line, its stars before it: ``**  a text``."""

    def read(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            given, _, review = line.partition(" ")
            yield number, {"review": review, "stars": len(given)}

    return read


@augmentation.register("outside_reversal")
def reversal(*, least: PositiveInt = 2) -> Generator:
    """Texts read backwards; those of fewer words than ``least`` are left alone."""

    def make(example: PairExample, lexicon: Lexicon, language: str, *, draw: int, copy: int) -> PairExample | None:
        words = example.text_a.split()
        if len(words) < least or words == words[::-1]:
            return None
        name = f"reversed/{draw}/{language}/{copy}/{example.id}"
        return replace(
            example, id=name, language=language, origin="outside_reversal", text_a=" ".join(words[::-1]), label=None
        )

    return Generator(make)


@backbones.register("outside-bert")
def outside_bert() -> Builder:
    """A family of models whose configuration has this as its ``model_type``."""
    return BertStack


@pages.register("scores.html")
def scores() -> Page:
    """How many scores there are."""

    def write(run: RunFiles) -> str:
        return f"<p>{len(run.scores)} scores of {html.escape(run.data['words']['example'])}s</p>"

    return write
