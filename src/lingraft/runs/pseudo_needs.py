"""What generators of pseudo-data need, and where a recipe says it: found missing before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from ..core.errors import ConfigError, LingraftError
from ..data.languages import among, canonical
from ..model.checkpoint import adaptation_path, read_identity
from ..pseudo.filters import Filter
from ..pseudo.generators import Generator
from ..recipe.settings import Recipe
from ..tasks import Task
from .pseudo_data import build_chain, build_generators, lexicon_pattern, made_languages

Need = tuple[Callable[[Recipe], object], str]

ALWAYS: Need = (lambda recipe: True, "")

NEEDS: dict[str, Need] = {
    "predict": ALWAYS,
    "align": ALWAYS,
    "lexicon": (
        lambda recipe: lexicon_pattern(recipe) or has_pairs(recipe),
        "a lexicon; name its files in pseudo.lexicon (or parallel.lexicon), or translations that give one in parallel",
    ),
    "pairs": (
        lambda recipe: has_pairs(recipe),
        "translations; name them in parallel.files, or say parallel.from: task",
    ),
    "shots": (lambda recipe: any(k != 0 for k in recipe.shots.ks), "labelled examples of the language; set shots.k"),
    "second_view": (
        lambda recipe: (recipe.pseudo and recipe.pseudo.predictor) or _fits_second_view(recipe),
        "a map or n-grams, whose answers are compared with the network's; name translations or text that these can be "
        "fitted to in `parallel`, and leave `map: null` out",
    ),
    "texts": (
        lambda recipe: (recipe.pseudo and recipe.pseudo.text) or (recipe.parallel and recipe.parallel.text),
        "text of the language; name its files in pseudo.text",
    ),
}
"""Fields of :class:`lingraft.pseudo.Sources` that not every recipe fills: whether this one does, and how to."""


def _fits_second_view(recipe: Recipe) -> bool:
    """Return whether a model that is fitted first gets a map or n-grams of the language."""
    parallel = recipe.parallel
    if parallel is None:
        return False
    mapped = recipe.map is not None and bool(has_pairs(recipe) or parallel.text)
    return mapped or (recipe.train.ngram_classifier and parallel.from_ is not None)


NEVER: Need = (lambda recipe: False, "{what}, which a run does not give")


def has_pairs(recipe: Recipe) -> bool:
    """Return whether there are translations."""
    return recipe.parallel is not None and bool(recipe.parallel.files or recipe.parallel.from_)


def refuse_generators(recipe: Recipe, task: Task, *, finished: bool = False) -> None:
    """Refuse generators that make nothing for this kind of task, or lack what they are made from.

    Args:
        recipe: Whose ``pseudo`` block names them.
        task: What examples are made for.
        finished: Whether all is made: models and programs are no longer needed then.

    Raises:
        ConfigError: There are some; with all that is wrong of them.
    """
    if problems := [*_problems(recipe, task), *(() if finished else _absent(recipe, task))]:
        raise ConfigError(problems)


def _problems(recipe: Recipe, task: Task) -> Iterator[str]:
    if recipe.pseudo is None:
        return
    if not task.target_languages:
        yield "pseudo: is made for target languages, of which the task has none; leave it out"
        return
    if recipe.pseudo.label_noise and not task.kind.classes:
        what = f"{task.name} ({task.kind.name}) has none"
        yield f"pseudo.label_noise: is for examples with one class each, and {what}; leave it out"
    for number, (name, one) in enumerate(build_chain(recipe)):
        yield from _lacking(recipe, one.needs, f"pseudo.filters.{number}: {name}")
    yield from _strange_languages(recipe, task)
    blocks = zip(recipe.pseudo.generators, build_generators(recipe), strict=False)
    for number, (block, generator) in enumerate(blocks):
        path = f"pseudo.generators.{number}: {block.name}"
        if generator.kinds and task.kind.name not in generator.kinds:
            yield f"{path} makes examples of {' and '.join(sorted(generator.kinds))}; {task.name} is {task.kind.name}"
        yield from _lacking(recipe, generator.needs - {"labelled"}, path)


def _lacking(recipe: Recipe, needs: Collection[str], path: str) -> Iterator[str]:
    """Yield what a recipe lacks of what one of its blocks needs."""
    for what in sorted(needs):
        given, said = NEEDS.get(what, NEVER)
        if not given(recipe):
            yield f"{path} needs {said.format(what=what)}"


def _absent(recipe: Recipe, task: Task) -> Iterator[str]:
    """Yield what generators and filters lack on this machine: models and programs."""
    if recipe.pseudo is None:
        return
    if recipe.pseudo.predictor is not None:
        yield from _problems_of_predictor(recipe.pseudo.predictor.expanduser(), task)
    blocks = zip(recipe.pseudo.generators, build_generators(recipe), strict=False)
    named: list[tuple[str, Generator | Filter]] = [
        *((f"generators.{number}: {block.name}", one) for number, (block, one) in enumerate(blocks)),
        *((f"filters.{number}: {name}", one) for number, (name, one) in enumerate(build_chain(recipe))),
    ]
    for path, part in named:
        try:
            for language in made_languages(recipe, task):
                part.refuse_absent(task.source_language, language)
        except LingraftError as error:
            yield f"pseudo.{path}: {error}"


def _problems_of_predictor(folder: Path, task: Task) -> Iterator[str]:
    """Yield why a run cannot give labels of the task.

    Raises:
        CheckpointError: There is no finished run.
    """
    found = read_identity(adaptation_path(folder))
    strange = sorted(set(found.labels) - set(task.labels))
    if found.kind != task.kind.name:
        yield f"pseudo.predictor: {folder} is a run of {found.kind}, and {task.name} is {task.kind.name}; name another"
    elif strange:
        yield f"pseudo.predictor: {folder} gives {strange[0]!r}, which is no label of {task.name}; name another run"


def _strange_languages(recipe: Recipe, task: Task) -> Iterator[str]:
    if strange := [code for code in made_languages(recipe, task) if code not in task.target_languages]:
        known = ", ".join(task.target_languages)
        yield f"pseudo.languages: {strange[0]} is no target language of this run; these are {known}"
    texts = recipe.pseudo.text if recipe.pseudo and isinstance(recipe.pseudo.text, dict) else ()
    if strange := [
        code for code in map(canonical, texts) if among(code, task.target_languages) not in task.target_languages
    ]:
        known = ", ".join(task.target_languages)
        yield f"pseudo.text: {strange[0]} is no target language of this run; these are {known}"
