"""Graft a task and a language onto a frozen multilingual language model with very little data.

Two functions do what the command line does: :func:`run` trains and reports, :func:`load` uses the
result. Importing lingraft imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .core.version import __version__

if TYPE_CHECKING:
    from .integrations.pipeline import Pipeline
    from .integrations.scikit_learn import LingraftClassifier, LingraftRegressor
    from .serving.predictor import Adapted

__all__ = ["LingraftClassifier", "LingraftRegressor", "__version__", "load", "pipeline", "run"]


def __getattr__(name: str) -> Any:
    """Return what imports scikit-learn, where it is asked for."""
    if name in ("LingraftClassifier", "LingraftRegressor"):
        from .integrations import scikit_learn

        return getattr(scikit_learn, name)
    raise AttributeError(f"module 'lingraft' has no attribute {name!r}")


def run(
    recipe: Path | str | Mapping[str, Any],
    *overrides: str,
    data: Mapping[str, Any] | None = None,
    quiet: bool = False,
    callbacks: Sequence[Callable[[Mapping[str, Any]], object]] = (),
) -> Path:
    """Run a recipe to its report, or continue where it stopped.

    Args:
        recipe: A YAML file, or the same as plain data.
        overrides: Settings to change, e.g. ``"train.learning_rate=1e-3"``.
        data: Tables in the place of the recipe's files: ``train``, ``dev``, ``test`` and ``parallel``, each a list of
            dicts, a ``DataFrame`` of pandas or polars, an Arrow table or a ``datasets.Dataset``, or such tables by
            language. The recipe's ``fields`` name their columns.
        quiet: Say nothing but warnings.
        callbacks: Each is called with every event of the run as a record (docs/extending.md): messages and warnings,
            steps and epochs of training, scores of each trial. What one raises ends the run, which can be continued.

    Returns:
        The run folder; ``report.html`` and ``scores.jsonl`` are in it.

    Raises:
        LingraftError: With one message that says what was expected, what came, where, and what to do.
    """
    from .core.errors import RECIPE, ConfigError, problems_in, shown
    from .core.progress import Reporter
    from .recipe.parsing import parse_recipe, read_recipe
    from .runs.given import given_data
    from .runs.pipeline import run as run_recipe

    if not isinstance(recipe, str | PathLike | Mapping):
        raise ConfigError([f"expected a YAML file, or the same as a mapping, got {shown(recipe)}"])
    if wrong := [one for one in overrides if not isinstance(one, str)]:
        raise ConfigError([f"expected settings such as 'seeds=[1]' after the recipe, got {shown(wrong[0])}"])
    with given_data(data) as settings:
        changed = (*settings, *overrides)
        values = isinstance(recipe, Mapping)
        with problems_in(RECIPE if values else str(recipe)):
            parsed = parse_recipe(recipe, changed) if values else read_recipe(Path(str(recipe)), changed)
            return run_recipe(parsed, reporter=Reporter(quiet=quiet, callbacks=callbacks))


def pipeline(folder: Path | str, *, language: str | None = None, device: str | None = None) -> Pipeline:
    """Load a finished run as a callable that answers like ``transformers.pipeline``: the same items, the same dicts.

    Args:
        folder: As for :func:`load`.
        language: Of the items; by default the run's only target.
        device: Where to compute; by default where the run's recipe says.

    Raises:
        CheckpointError: There is no finished run, or transformers has no pipeline for its kind of task.
    """
    from .integrations.pipeline import Pipeline
    from .serving.loading import load as load_run

    return Pipeline(load_run(folder, device=device), language)


def load(folder: Path | str, *, backbone: Path | str | None = None) -> Adapted:
    """Load a finished run; ``load(folder).predict(texts)`` labels texts, in the run's only target language.

    ``predict_proba(texts)`` gives the probabilities of all classes, ``answers(named_texts)`` a stream of answers.
    ``load("owner/name")`` loads a run from the Hugging Face Hub, where there is no such folder.

    Args:
        folder: What :func:`run` returned.
        backbone: Where the checkpoint is now that the run was trained on; by default where it was.

    Raises:
        CheckpointError: There is no finished run, or its backbone is not the one it was trained on.
    """
    from .serving.loading import load as load_run

    return load_run(folder, backbone=backbone)
