"""Whether what was made is enough where nothing else is learnt from: found before anything is fitted or trained."""

from __future__ import annotations

from ..core.errors import ConfigError, shown
from ..recipe.settings import Recipe
from ..tasks.folds import without_fold
from ..tasks.kinds import Kind
from ..tasks.material import Draw, Materials


def refuse_too_little(materials: Materials, recipe: Recipe) -> None:
    """Refuse to learn from what was made alone where that is nothing, or lacks a class that a head is fitted to.

    Shots do not complete it where a head is fitted: how much they count in it is chosen beside what is made.

    Args:
        materials: With what was made.
        recipe: Whose ``pseudo`` block may leave the source language's labels out.

    Raises:
        ConfigError: A draw has too little, or what is left of it while a fold is held out.
    """
    if recipe.pseudo is None or recipe.pseudo.gold:
        return
    for draw in materials.draws:
        held_out = [without_fold(draw, fold, materials.task) for fold in draw.folds]
        for number, left in enumerate([draw, *held_out]):
            if problem := _lack(left, materials.task.kind):
                where = f" while fold {number} of the labels is held out" if number else ""
                raise ConfigError([f"pseudo.gold: false leaves {problem}{where}; make some, or leave gold: false out"])


def _lack(draw: Draw, kind: Kind) -> str:
    """Say what a draw lacks; nothing where it has enough."""
    made, shots = ([one for found in part.values() for one in found] for part in (draw.pseudo, draw.shots))
    if not kind.fitted:
        return "" if made or shots else "what is made, and shots, to learn from, and there is none"
    classes = {label for example in made for label in example.labels}
    missing = [label for label in kind.labels if label not in classes] if kind.class_logits and made else []
    if made and not missing:
        return ""
    none = f"none of {', '.join(map(shown, missing))}" if missing else "none"
    wanted = "examples of each class" if kind.class_logits else "examples"
    return f"what is made to fit a head to, which takes {wanted}, and there are {none}"
