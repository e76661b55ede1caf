"""Ways out: a trained run in the formats of other tools.

A factory of ``formats`` takes no options and returns what writes a folder: ``write(trained, folder)``, which gives back
lines that say what was written. What a format cannot express is refused, with what can be done instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import CheckpointError
from ...core.registry import Registry
from ...data.languages import display_name
from ..predictor import Adapted


@dataclass(frozen=True)
class Trained:
    """What is exported.

    Attributes:
        folder: Of the run, which names it and has its test texts.
        adapted: The loaded run.
        language: Whose parts are exported; formats have one language each.
        ensembled: Whether answers are those of the language's map and character n-grams too, as the run's are; else of
            the network alone.
        int8: Whether weights are rounded to 8 bits, too.
    """

    folder: Path
    adapted: Adapted
    language: str
    ensembled: bool = True
    int8: bool = False

    @property
    def named(self) -> str:
        """The language in plain English."""
        return display_name(self.language)


Write = Callable[[Trained, Path], list[str]]

formats = Registry("lingraft.formats", "lingraft.serving.export")


def refuse_comparison(trained: Trained) -> None:
    """Refuse what answers with a comparison classifier of pairs: boosted trees, which no other format here holds.

    Raises:
        CheckpointError: It does, and nobody said that the network alone will do.
    """
    if trained.ensembled and trained.adapted.model.adaptation.comparison is not None:
        raise CheckpointError(
            f"{trained.folder} ensembles a comparison classifier with the network, which cannot be exported; "
            "--network-alone exports the network without it, whose answers are others"
        )


def refuse_ensemble(trained: Trained, format: str) -> None:
    """Refuse what is ensembled with the network, where a format holds the network alone.

    Raises:
        CheckpointError: The answers are not the network's alone, and nobody said that these will do.
    """
    refuse_comparison(trained)
    if trained.ensembled and trained.language in trained.adapted.model.adaptation.ensembles:
        raise CheckpointError(
            f"{trained.folder} ensembles a map or character n-grams with the network in {trained.named}, which "
            f"{format} cannot hold; --to onnx can, or --network-alone exports the network without them, whose answers "
            "are others"
        )
