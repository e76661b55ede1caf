"""What ``lingraft check`` warns of: settings without effect, languages without anything, poor coverage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..backbones.precision import Choice, Rates
from ..core.counted import counted
from ..core.errors import shown
from ..data.tokenizer_coverage import MANY_PIECES, MANY_UNKNOWN, Coverage
from ..recipe.settings import Recipe
from ..results.caveats import is_non_commercial
from ..tasks.material import Materials
from ..training.alignment import names_that_need
from ..training.ensembling import are_of_one_class
from .pseudo_data import build_generators
from .workload import Workload


def warn_of_recipe(recipe: Recipe, materials: Materials) -> list[str]:
    """Say what a recipe asks for that does nothing with these data, and what of them it does not use.

    Args:
        recipe: The recipe.
        materials: What was gathered for it.
    """
    found = []
    if removed := materials.overlap["train"]:  # of other texts it is said with what was read
        are = "occurs in an evaluation set and is" if removed == 1 else "occur in an evaluation set and are"
        found.append(f"{counted(removed, 'training text')} {are} left out")
    if recipe.alignment and recipe.train.max_pairs == 0:
        found.append("train.max_pairs is 0, so nothing is aligned; leave it out, or set `alignment: []`")
    if not recipe.train.num_train_epochs and materials.task.kind.fitted and len(recipe.seeds) > 1:
        found.append(
            f"nothing is trained by gradient, so seeds {recipe.seeds} give the same trial {len(recipe.seeds)} times; "
            f"leave one of them: seeds: [{recipe.seeds[0]}]"
        )
    for draw in materials.draws[:1] if recipe.train.num_train_epochs else ():
        for language, pairs in draw.pairs.items():
            labelled = draw.shots[language] or recipe.pseudo
            if not pairs and not labelled and language not in materials.unlabelled:
                found.append(f"{language}: neither pairs nor shots, so only the task part will be trained for it")
    found += _of_one_class(materials)
    found += _without_effect(recipe)
    if is_non_commercial(materials.task.licence):
        found.append(f"licence of {materials.task.name}: {materials.task.licence}")
    return found


def _of_one_class(materials: Materials) -> Iterator[str]:
    """Say which languages have labels of one class alone, of the largest draw."""
    for language, shots in materials.draws[-1].shots.items():
        if len(shots) > 1 and are_of_one_class(shots, materials):
            yield (
                f"{language}: all {len(shots):,} labelled texts are of the class {shown(shots[0].gold)}, so they show "
                "neither what tells classes apart nor where texts of the language lie (no mean is moved by them); give "
                "labels of each class"
            )


def _without_effect(recipe: Recipe) -> list[str]:
    """Say which settings do nothing because nothing is trained by gradient."""
    if recipe.train.num_train_epochs:
        return []
    parallel, pseudo = recipe.parallel, recipe.pseudo
    makes_of_lexicon = any("lexicon" in generator.needs for generator in build_generators(recipe))
    made_of = pseudo is not None and pseudo.lexicon is None and makes_of_lexicon
    set_to = {
        "freezing": recipe.freezing.name != "frozen",
        "alignment": bool(recipe.alignment),
        "train.ensemble": recipe.train.ensemble > 1,
        "parallel.lexicon": parallel is not None and parallel.lexicon is not None and not made_of,
        "parallel.copies": parallel is not None and parallel.copies > 1,
        "pseudo.early": pseudo is not None and pseudo.early is not None,
    }
    names = [name for name, is_set in set_to.items() if is_set]
    if not names:
        return []
    return [
        f"nothing is trained by gradient, so {' and '.join(names)} {'has' if len(names) == 1 else 'have'} no effect; "
        "leave it out, or give train.num_train_epochs"
    ]


def warn_of_own_parts(recipe: Recipe, work: Workload) -> list[str]:
    """Say where words are aligned in parts that the source language's texts never pass."""
    losses = names_that_need("word_alignment", recipe.alignment)
    aligned = tuple(language for language, pairs in work.materials.draws[0].pairs.items() if pairs)
    own = work.trained_parameters(aligned) - work.trained_parameters(())
    if not losses or not own or recipe.train.max_pairs == 0:
        return []
    return [
        f"alignment: {losses[0]} moves {own:,} parameters that are a language's own, too; the source language's texts "
        "never pass these, so nothing holds them to the task. Where answers are read from tokens leave them out "
        "(prompt.language_length: 0, or prompt.language: false of memories; adapter.language_width: 0, or the adapter "
        "lora)"
    ]


def warn_of_coverage(covered: dict[str, Coverage], targets: Iterable[str]) -> list[str]:
    """Say which target languages the tokenizer hardly knows."""
    found = []
    for code in targets:
        unknown, pieces = covered[code].unknown_rate, covered[code].pieces_per_word
        if unknown > MANY_UNKNOWN:
            found.append(
                f"{code}: the tokenizer does not know {unknown:.0%} of this language's pieces: results will be poor; "
                "choose another checkpoint, or give this one pieces for the script with lingraft extend"
            )
        elif pieces is not None and pieces > MANY_PIECES:
            found.append(
                f"{code}: the tokenizer needs {pieces:.1f} pieces for a word: it hardly knows this language or its "
                "script, and results will be poor; choose another checkpoint"
            )
    return found


def warn_of_precision(choice: Choice, rates: Rates) -> Iterator[str]:
    """Warn where the processor only imitates the precision, which is slower than the usual one."""
    if rates[choice.precision] < rates["float32"]:
        yield f"backbone.precision: {choice.precision} is slower than float32 on this machine; leave it out"
