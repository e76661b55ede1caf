"""A run by all processes of a launch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..core.progress import Reporter
from ..recipe.settings import Recipe
from ..runs.pipeline import run
from ..runs.preparation import load
from ..training.trial import NetworkFactory
from .ranks import Ranks
from .shared_layers import Computer, encoded_by, grafted_by


def run_among(ranks: Ranks | None, recipe: Recipe, reporter: Reporter) -> Path | None:
    """Run a recipe to its end, or continue where it stopped.

    Args:
        ranks: The processes; None where this is the only one.
        recipe: The recipe.
        reporter: What reports how it goes, on rank 0.

    Returns:
        The run folder; None on the other ranks, which compute until rank 0 has ended.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    if ranks is None:
        return run(recipe, reporter=reporter)
    if ranks.leads:
        reporter.say(
            f"{ranks.size} processes of this launch share the work: the texts to encode, and the rows of every batch"
        )
        factory = NetworkFactory(build=partial(grafted_by, ranks))
        return run(recipe, reporter=reporter, factory=factory, encode_batches=encoded_by(ranks))
    ranks.serve(Computer(*load(recipe, Reporter(quiet=True))))
    return None
