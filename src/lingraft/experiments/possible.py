"""What can be compared: of all methods, where a recipe names none, those that its data and checkpoint allow."""

from __future__ import annotations

from collections.abc import Sequence

from ..backbones.loading import describe_checkpoint
from ..backbones.quantised import rounded_to
from ..core.errors import CheckpointError, ConfigError, RunError
from ..recipe.comparison import METHODS, OURS, CompareSettings
from ..recipe.settings import Recipe
from ..runs.checks import resolve_cut
from ..tasks.material import Materials
from .baselines.peft import METHODS as PEFT
from .label_words import check_words
from .methods import LABEL_WORDS, Method, lacks_packages, lacks_pairs, list_methods, make_method
from .peers import ImpossibleError, refuse_impossible


def settle_methods(recipe: Recipe) -> tuple[Recipe, dict[str, str]]:
    """Leave out of all methods those that are impossible; whoever names some gets these, or an error.

    Args:
        recipe: The recipe; a method that it varies, tunes or bounds is one that it names.

    Returns:
        The recipe with the methods to compare, and for each that is left out why.

    Raises:
        ConfigError: A named one needs a package that is not installed.
    """
    settings = recipe.compare or CompareSettings()
    if settings.methods != list(METHODS):
        _refuse_missing_packages(settings.names, settings)
        return recipe, {}
    named = {OURS, *settings.variants, *settings.learning_rates, *settings.max_steps}
    _refuse_missing_packages([name for name in settings.names if name in named], settings)
    layers = _layers(recipe)
    reasons = {name: _why_impossible(name, recipe, settings, layers) for name in METHODS if name not in named}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    rest = settings.model_copy(update={"methods": [name for name in METHODS if name not in left_out]})
    return recipe.model_copy(update={"compare": rest}), left_out


def _refuse_missing_packages(names: Sequence[str], settings: CompareSettings) -> None:
    """Refuse methods that cannot be run in this environment.

    Raises:
        ConfigError: There are some; with what to install.
    """
    lacks = {name: lacks_packages(name, settings) for name in names}
    if problems := [f"compare, {name}: {lack}, or leave the method out" for name, lack in lacks.items() if lack]:
        raise ConfigError(problems)


def check_comparison(recipe: Recipe, materials: Materials | None) -> dict[str, str]:
    """Refuse what could not be compared, before anything is computed.

    Args:
        recipe: The recipe.
        materials: What it learns from and is tested on, where that could be gathered.

    Returns:
        For each method that is left out why.

    Raises:
        LingraftError: A method does not fit the recipe, or there is nothing to compare on.
    """
    settled, left_out = settle_methods(recipe)
    methods = list_methods(settled)
    if materials is not None:
        refuse_untested(materials)
        check_words(methods, materials)
        for method in methods:
            try:
                refuse_kind(method, materials)
            except ImpossibleError as error:
                left_out[method.name] = str(error)
    return left_out


def refuse_kind(method: Method, materials: Materials) -> None:
    """Refuse a method that is nothing for a kind of task, or that would read another backbone than the rest.

    Raises:
        ImpossibleError: It is, or would.
    """
    kind = materials.task.kind
    if rounded_to(method.recipe.backbone.weights) and (method.is_peer or method.network in PEFT):
        raise ImpossibleError(
            f"{method.network} loads the checkpoint in 32 bit, and backbone.weights is {method.recipe.backbone.weights}"
        )
    if method.network == "prototype" and not kind.class_logits:
        raise ImpossibleError(f"prototypes score classes, which the outputs of {kind.name} are not")
    if method.network == LABEL_WORDS and kind.prompted is None:
        raise ImpossibleError(f"label words are of classes or alternatives, and this is {kind.name}")
    if method.network in PEFT and not kind.head_learns:
        raise ImpossibleError(f"PEFT's networks answer by a head on their states, and {kind.name} by the decoder's own")
    if method.is_peer:
        refuse_impossible(method, materials)


def refuse_untested(materials: Materials) -> None:
    """Refuse to compare where there is nothing to compare on.

    Raises:
        RunError: A language has no test set with labels.
    """
    if untested := [code for code in materials.task.tested_languages if not materials.is_scored(code)]:
        raise RunError(
            f"a comparison needs a test set with labels in {', '.join(untested)}: give files.test, or run the recipe "
            "alone, which cross-validates"
        )


def describe_left_out(left_out: dict[str, str]) -> str:
    """Say in one line what is not compared, and why."""
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason, []).append(name)
    return "not compared: " + "; ".join(f"{', '.join(found)} ({reason})" for reason, found in names.items())


def _why_impossible(name: str, recipe: Recipe, settings: CompareSettings, layers: int | None) -> str:
    """Return why a recipe cannot be run by a method; empty where it can, as far as is known before anything is read."""
    if lacks_pairs(name, recipe, settings):
        return "needs parallel text and an alignment loss"
    if lack := lacks_packages(name, settings):
        return lack
    if name == LABEL_WORDS and settings.label_words is None:
        return "needs a prompt template, compare.label_words"
    try:
        method = make_method(name, recipe, settings)
        if layers is not None:
            resolve_cut(method.recipe, layers)
    except ConfigError as error:
        return "; ".join(error.problems)
    return ""


def _layers(recipe: Recipe) -> int | None:
    """Return how many layers the checkpoint has; None where it cannot be read, which is said when it is needed."""
    try:
        return describe_checkpoint(recipe.backbone.checkpoint).num_layers
    except CheckpointError:
        return None
