"""One of everything that a package of other people can add, each as small as it can be."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor, nn

import toy_kind
from lingraft.backbones import Family, LayerStack, backbones
from lingraft.backbones.bert import BertStack
from lingraft.core.examples import Example, PairExample
from lingraft.core.records import States
from lingraft.data import Source, sources
from lingraft.data.augmentation import Generator, augmentation
from lingraft.data.lexicon import Lexicon
from lingraft.model.adapters import Adapter, adapters
from lingraft.model.adapters import Build as BuildAdapter
from lingraft.model.freezing import Phase, Strategy, freezing
from lingraft.model.heads import BuildHead, Head, TextClassifier, heads, text_classifiers
from lingraft.model.maps import Evidence, FitMap, FittedMap, maps, shift_of
from lingraft.model.prompts import Build as BuildPrompt
from lingraft.model.prompts import Initial, prompts
from lingraft.pseudo import Sources
from lingraft.pseudo.filters import Filter, Setting, filters
from lingraft.pseudo.generators import Generator as PseudoGenerator
from lingraft.pseudo.generators import generators
from lingraft.pseudo.translators import Translator, translators
from lingraft.results.metrics import Formula, Metric, formulas
from lingraft.results.pages import Page, pages
from lingraft.results.run_files import RunFiles
from lingraft.serving.export import Trained, Write, formats
from lingraft.tasks import Task, tasks
from lingraft.tasks.kinds import Kind, kind_of, kinds
from lingraft.training.alignment import AlignmentLoss, View, alignment


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


class TanhHead(Head):
    """A linear layer on squashed means."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs)

    def read(self, final: States) -> Tensor:
        """Logits of each text, ``[B, C]``."""
        logits: Tensor = self.linear(final.pooled().tanh())
        return logits


@heads.register("outside_tanh")
def tanh_head() -> BuildHead:
    """A linear layer on squashed means of the states."""
    return lambda stack, outputs, per_token: TanhHead(stack.width, outputs)


class Silent(TextClassifier):
    """Says nothing: all logits are 0."""

    name = "outside_silent"
    title = "nothing"

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Zeros for one class, which are added to any number."""
        return torch.zeros(len(texts), 1)

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor]) -> Self:
        """There is nothing to restore."""
        return cls()


@text_classifiers.register("outside_silent")
def silent() -> type[TextClassifier]:
    """A text classifier without an opinion."""
    return Silent


@maps.register("outside_half")
def half_shift() -> FitMap:
    """Move half of the way from the language's mean to the source language's."""

    def fit(evidence: Evidence) -> FittedMap:
        own, source = evidence.states.mean(0), evidence.source.mean(0)
        return FittedMap(shift_of(replace(evidence, source=((own + source) / 2)[None])), None)

    return fit


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


@generators.register("outside_echo")
def echo() -> PseudoGenerator:
    """The shots, once more."""

    def generate(sources: Sources) -> Iterator[Example]:
        for shot in sources.shots:
            yield replace(shot, id=f"echo/{sources.draw}/{shot.id}", origin="outside_echo", weight=0.1)

    return PseudoGenerator(generate, needs=frozenset({"shots"}))


@translators.register("outside_backwards")
def backwards() -> Translator:
    """Texts from their end."""
    return Translator(
        lambda texts, source, target: [text[::-1] for text in texts],
        lambda source, target: {"translator": "outside_backwards"},
    )


@filters.register("outside_shouting")
def shouting() -> Filter:
    """Texts in capitals."""

    def judge(examples: Sequence[Example], setting: Setting) -> list[str]:
        return ["shouts" if any(text.isupper() for text in one.texts) else "" for one in examples]

    return Filter(judge)


@formulas.register("outside_geometric")
def geometric() -> Formula:
    """The geometric mean, of sums of logarithms and of examples."""
    return lambda sums: np.exp(sums[..., 0] / np.maximum(sums[..., 1], 1e-12))


GEOMETRIC = Metric(
    counts=lambda gold, predicted: (0.0 if gold == predicted else -1.0, 1.0),
    formula="outside_geometric",
    right=lambda gold, predicted: float(gold == predicted),
)


@kinds.register("outside_rating")
def outside_rating(labels: tuple[str, ...]) -> Kind:
    """The toy kind, with a head and a metric of this package."""
    kind = toy_kind.rating_kind(labels)
    return replace(kind, name="outside_rating", head="outside_tanh", metrics={"geometric": GEOMETRIC}, options={})


@tasks.register("outside_rating")
def outside_rating_task(
    *, source_language: str, target_languages: list[str], files: dict[str, str], data_dir: Path = Path()
) -> Task:
    """Reviews with stars, for that kind."""
    task = toy_kind.rating(
        source_language=source_language, target_languages=target_languages, files=files, data_dir=data_dir
    )
    return replace(task, name="outside_rating", kind=kind_of("outside_rating", task.labels, {}))


@backbones.register("outside-bert")
def outside_bert() -> Family:
    """A family of models whose configuration has this as its ``model_type``."""
    return BertStack


@pages.register("scores.html")
def scores() -> Page:
    """How many scores there are."""

    def write(run: RunFiles) -> str:
        return f"<p>{len(run.scores)} scores of {html.escape(run.data['words']['example'])}s</p>"

    return write


@formats.register("outside_labels")
def outside_labels() -> Write:
    """Labels alone, a line each."""

    def write(trained: Trained, folder: Path) -> list[str]:
        (folder / "labels.txt").write_text("\n".join(trained.adapted.identity.labels), encoding="utf-8")
        return [f"labels of {trained.named}"]

    return write
