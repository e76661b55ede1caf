"""What of a recipe cannot work with this checkpoint or this task, found before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..backbones.encoding import usual_cut
from ..core.errors import CheckpointError, ConfigError
from ..core.nearest_file import nearest_file
from ..core.records import IDS
from ..data.augmentation.switching import CAN_BE_SWITCHED
from ..data.languages import canonical
from ..model.checkpoint import adaptation_path, read_identity
from ..model.continuing import refuse_other_parts
from ..model.freezing import Strategy, strategy_of
from ..recipe.settings import Recipe
from ..tasks import Task
from ..tasks.gathering import Mine, gather, mine_nothing
from ..tasks.material import Materials
from ..tasks.switched_copies import copied_languages
from ..training.alignment import alignment
from .pseudo_data import preview_pseudo_data
from .pseudo_needs import refuse_generators


def gather_checked(
    recipe: Recipe,
    mine: Mine = mine_nothing,
    pseudo: Callable[[Materials, Recipe], Materials] = preview_pseudo_data,
    *,
    finished: bool = False,
) -> Materials:
    """Gather what a recipe learns from and is tested on, once its parts are known to suit its task.

    Args:
        recipe: The recipe.
        mine: See :func:`lingraft.tasks.gathering.gather`.
        pseudo: Adds pseudo-data to what was gathered.
        finished: Whether all that was to be made is there, so that what makes it may be gone.

    Raises:
        LingraftError: See there; or a loss or an adapter does not suit the task.
    """

    def check(task: Task) -> list[str]:
        _refuse_losses(recipe, task)
        refuse_generators(recipe, task, finished=finished)
        _refuse_copies(recipe, task)
        _refuse_layers(recipe, task)
        return _imported_adapters(recipe, task)

    return pseudo(gather(recipe, check=check, mine=mine), recipe)


def _refuse_losses(recipe: Recipe, task: Task) -> None:
    """Refuse losses that compare predictions, where the task predicts nothing for parallel sentences."""
    if task.kind.class_logits or recipe.train.max_pairs == 0:
        return
    ours = "" if recipe.preset is None else f" (preset {recipe.preset} asks for it: write the losses without it)"
    problems = [
        f"alignment.{i}: {block.name} compares the classes of two sentences, but {task.name} ({task.kind.name}) gives "
        f"a sentence no class logits; leave this loss out{ours}"
        for i, block in enumerate(recipe.alignment)
        if "predictions" in alignment.build(block.name, block.options).needs
    ]
    if problems:
        raise ConfigError(problems)


def _refuse_copies(recipe: Recipe, task: Task) -> None:
    """Refuse copies that must get the same answers where there is nothing to copy, or into.

    Raises:
        ConfigError: The task has examples of a class of its own, or a language is no target of the run.
    """
    if recipe.consistency is None:
        return
    problems = []
    if not issubclass(task.kind.example, CAN_BE_SWITCHED):
        problems.append(
            f"consistency: {task.name} ({task.kind.name}) has examples that cannot be code-switched; leave it out"
        )
    if not task.kind.head_learns:
        problems.append(
            f"consistency: {task.name} ({task.kind.name}) is answered in writing, which is no distribution that could "
            "be compared; leave it out"
        )
    if task.kind.numeric:
        problems.append(
            f"consistency: {task.name} ({task.kind.name}) is answered by a number, which is no distribution that could "
            "be compared; leave it out"
        )
    if not task.target_languages:
        problems.append(
            "consistency: the task is in one language, so nothing can be switched into another; leave it out"
        )
    if strange := [code for code in copied_languages(recipe.consistency, task) if code not in task.target_languages]:
        problems.append(
            f"consistency.languages: {strange[0]} is no target language of this run; these are "
            f"{', '.join(task.target_languages)}"
        )
    if problems:
        raise ConfigError(problems)


def _refuse_layers(recipe: Recipe, task: Task) -> None:
    """Refuse to read after fewer layers than all where answers are words, and to choose a layer without classes.

    Raises:
        ConfigError: So it is.
    """
    layers, kind = recipe.backbone.layers, task.kind
    if recipe.backbone.pooling == "last" and (kind.per_token or not kind.head_learns):
        raise ConfigError([f"backbone.pooling: {task.name} ({kind.name}) reads no text as a whole; leave it out"])
    if layers is None:
        return
    if not kind.head_learns:
        raise ConfigError(
            [f"backbone.layers: {task.name} ({kind.name}) is answered in words, which all layers make; leave it out"]
        )
    if layers == "auto" and not kind.class_logits:
        raise ConfigError(
            [
                f"backbone.layers: auto chooses by classes of whole texts, which {task.name} ({kind.name}) lacks; "
                "give a number, or leave it out"
            ]
        )


def _imported_adapters(recipe: Recipe, task: Task) -> list[str]:
    """Return which languages have no adapter where some were made elsewhere.

    Raises:
        ConfigError: One is for no language of the run, or a prompt is to start from labels where there are none.
    """
    if recipe.prompt and recipe.prompt.options.get("init") == "labels" and not task.labels:
        raise ConfigError(
            [f"prompt.init: labels needs labels, and {task.name} ({task.kind.name}) has none; take states"]
        )
    if recipe.adapter is None or recipe.adapter.name != "adapterhub":
        return []
    given = list(map(canonical, recipe.adapter.options["folders"]))
    if strange := [code for code in given if code not in task.languages]:
        raise ConfigError(
            [f"adapter.folders: {strange[0]} is no language of this run, which has {', '.join(task.languages)}"]
        )
    return [f"{code} has no imported adapter" for code in task.target_languages if code not in given]


def refuse_missing_folders(recipe: Recipe) -> None:
    """Refuse folders of trained parts that are not there, before anything is computed.

    Raises:
        ConfigError: Some are not.
        CheckpointError: There is no finished run to go on from in the folder that the recipe names.
    """
    options = recipe.adapter.options if recipe.adapter else {}
    folders = options.get("folders")
    named = {
        "train.continue_from": recipe.train.continue_from,
        "pseudo.predictor": recipe.pseudo.predictor if recipe.pseudo else None,
        "adapter.start": options.get("start"),
        **{f"adapter.folders.{code}": place for code, place in (folders.items() if isinstance(folders, dict) else ())},
    }
    places = {key: Path(place).expanduser() for key, place in named.items() if place is not None}
    if missing := {key: place for key, place in places.items() if not place.is_dir()}:
        raise ConfigError(
            [f"{key}: there is no folder {place}; {nearest_file([place])}" for key, place in missing.items()]
        )
    if recipe.train.continue_from is not None:
        read_identity(adaptation_path(recipe.train.continue_from))


def refuse_other_start(recipe: Recipe, task: Task, cut: int) -> None:
    """Refuse to go on from a run that was for something else, before anything is computed.

    Raises:
        CheckpointError: The run that the recipe names has another kind, other labels, or other parts; or its numbers
            were on another scale.
    """
    begun = recipe.train.continue_from
    if begun is None:
        return
    own = {
        "kind": task.kind.name,
        "labels": task.labels,
        "cut": cut,
        "pooling": recipe.backbone.pooling,
        "prompt": recipe.prompt.model_dump() if recipe.prompt else None,
        "adapter": recipe.adapter.model_dump(mode="json") if recipe.adapter else None,
    }
    theirs = read_identity(adaptation_path(begun))
    refuse_other_parts(begun, theirs, own)
    if task.kind.numeric and theirs.kind_options != dict(task.kind.options):
        there, here = (
            " and ".join(f"{name} {value:.6g}" for name, value in one.items())
            for one in (theirs.kind_options, task.kind.options)
        )
        raise CheckpointError(
            f"train.continue_from: the numbers that {begun} learnt from have {there}, those of this recipe {here}; go "
            "on with the same training examples of the source language, or train without continue_from"
        )


def depth_of(recipe: Recipe, num_layers: int) -> int:
    """Return after how many layers texts are read at most; see ``BackboneSettings.layers``.

    Raises:
        ConfigError: The checkpoint has fewer.
    """
    wanted = recipe.backbone.layers
    if not isinstance(wanted, int):
        return num_layers
    if wanted > num_layers:
        raise ConfigError([f"backbone.layers: {wanted} is more than the checkpoint has, which is {num_layers}"])
    return wanted


def resolve_cut(recipe: Recipe, num_layers: int) -> int:
    """Return the cut as a number; see ``BackboneSettings.cut``.

    Args:
        recipe: The recipe.
        num_layers: Of the checkpoint, or those that are left of it.

    Raises:
        ConfigError: What the recipe lets learn lies below it, nothing is left above it, or an alignment
            loss looks where nothing learns.
    """
    num_layers = depth_of(recipe, num_layers)
    strategy = strategy_of(recipe.freezing)
    highest = strategy.highest_cut(num_layers)
    if problems := _of_schedule(recipe, strategy):
        raise ConfigError(problems)
    if recipe.train.num_train_epochs == 0 and recipe.backbone.cut == "auto":
        return num_layers  # nothing above is ever computed twice
    usual = 0 if recipe.prompt and recipe.prompt.name == "input" else usual_cut(num_layers)
    cut = min(usual, highest) if recipe.backbone.cut == "auto" else recipe.backbone.cut
    if recipe.backbone.cut != "auto" and highest == IDS:
        raise ConfigError([f"backbone.cut: freezing {recipe.freezing.name} trains everything; leave the cut out"])
    if cut >= num_layers:
        raise ConfigError([f"backbone.cut: {cut} leaves nothing to train above it; there are {num_layers} layers"])
    if cut > highest:
        raise ConfigError(
            [
                f"backbone.cut: {cut} is above layer {highest + 1}, which freezing {recipe.freezing.name} trains; "
                f"set it to {highest} or leave it out"
            ]
        )
    trains = recipe.train.num_train_epochs > 0
    if problems := _without_gradient(recipe, max(0, cut), highest, num_layers) if trains else []:
        raise ConfigError(problems)
    return cut


def _of_schedule(recipe: Recipe, strategy: Strategy) -> list[str]:
    """Find what does not go with the freezing schedule."""
    name, problems = recipe.freezing.name, []
    if strategy.whole_depth is not None and recipe.train.num_train_epochs == 1:
        problems.append(f"train.num_train_epochs: freezing {name} needs two at least")
    if strategy.extracted is not None and recipe.adapter is not None:
        problems.append(
            f"adapter: freezing {name} makes an adapter of what the layers have learnt, and there can be one; set "
            f"adapter: null, not {recipe.adapter.name}"
        )
    return problems


def _without_gradient(recipe: Recipe, cut: int, unfrozen: int, num_layers: int) -> list[str]:
    """Find alignment losses at states that nothing trained has a part in; ``unfrozen`` is the last never to learn."""
    parts = recipe.prompt is not None or recipe.adapter is not None
    lowest = cut if parts else max(0, unfrozen)
    problems = []
    for i, block in enumerate(recipe.alignment):
        layer = num_layers if block.layer is None else block.layer
        if layer > num_layers:
            problems.append(f"alignment.{i}.layer: {layer}, but the checkpoint has {num_layers} layers")
        elif lowest >= num_layers and "predictions" not in alignment.build(block.name, block.options).needs:
            problems.append(
                f"alignment.{i}: nothing learns but the head, so {block.name} on states has no gradient; add a prompt "
                "or an adapter, or set alignment: []"
            )
        elif layer <= lowest < num_layers:
            why = f"the cut is {cut}" if lowest == cut else f"what learns begins at layer {lowest + 1}"
            problems.append(
                f"alignment.{i}.layer: states after layer {layer} are frozen ({why}), so a loss on them has no "
                f"gradient; choose a layer from {lowest + 1} to {num_layers}, or lower backbone.cut"
            )
    return problems
