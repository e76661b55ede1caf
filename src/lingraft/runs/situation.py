"""Which situation of data a recipe is in, language by language, and what is done with what there is."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.counted import counted
from ..core.examples import GOLD
from ..data.languages import canonical, display_name
from ..model.heads.ngrams import FEWEST_TEXTS
from ..recipe.settings import Recipe
from ..results.wording import listed
from ..tasks.material import FEWEST_MAPPED, Materials, is_own
from ..training.ensembling import texts_of
from ..training.pools import Learnt, are_early, learnt_languages, pairs_to_learn, repeats_of
from .pseudo_data import build_generators, made_languages

TAUGHT = "so the language is read with what the source language taught"


def describe_situation(recipe: Recipe, materials: Materials) -> list[str]:
    """Say of each target language what there is to learn from, and what is done with it; of the largest draw.

    Args:
        recipe: Says what is trained and fitted.
        materials: What was gathered.
    """
    task, draw = materials.task, materials.draws[-1]
    source, example = display_name(task.source_language), task.kind.words.example
    if not task.target_languages:
        labels = counted(len(draw.labelled), f"labelled {example}")
        trained = recipe.train.num_train_epochs > 0
        done = "the task's part is trained on them" if trained else "a head on frozen states learns from them"
        return [f"situation: labels in {source} and no other language ({labels}); {done} and nothing is transferred"]
    lines = []
    if recipe.further_sources:
        names = ", ".join(display_name(canonical(code)) for code in recipe.further_sources)
        lines.append(
            f"situation: several source languages; {source} is the one that others are aligned with, and labels of "
            f"{names} are learnt from as its own"
        )
    alike: dict[str, list[str]] = {}
    for language in task.target_languages:
        there = ", ".join(_there(recipe, materials, language))
        done = "; ".join(_done(recipe, materials, language)) or _too_little(recipe, materials)
        alike.setdefault(f"{there}. {done[:1].upper()}{done[1:]}", []).append(display_name(language))
    return lines + [f"situation of {listed(languages)}: {situation}" for situation, languages in alike.items()]


def _there(recipe: Recipe, materials: Materials, language: str) -> Iterator[str]:
    """Yield what there is of a language; no labels and no translations are said as well."""
    draw, example = materials.draws[-1], materials.task.kind.words.example
    shots, texts = len(draw.shots[language]), len(materials.unlabelled.get(language, ()))
    written = sum(pair[1].origin == GOLD for pair in draw.pairs[language])
    yield counted(written, "translation") if written else "no translations"
    yield counted(shots, f"labelled {example}") if shots else "no labels"
    if (recipe.parallel and recipe.parallel.lexicon) or language in (*draw.copies, *_switched(recipe, materials)):
        yield "a lexicon"
    if texts:
        yield counted(texts, "unlabelled text")


def _switched(recipe: Recipe, materials: Materials) -> list[str]:
    """Return the languages that have a lexicon for pseudo-data."""
    return made_languages(recipe, materials.task) if recipe.pseudo and recipe.pseudo.lexicon else []


def _done(recipe: Recipe, materials: Materials, language: str) -> Iterator[str]:
    """Yield what is done with it."""
    draw = materials.draws[-1]
    pairs, shots = pairs_to_learn(draw, language, recipe.train.max_pairs), draw.shots[language]
    trains = recipe.train.num_train_epochs > 0
    if trains and recipe.alignment and any(pair[1].origin == GOLD for pair in pairs):
        yield "training aligns each translation with its source side"
    if trains and any(pair[1].origin != GOLD for pair in pairs):
        yield "training aligns copies of source sentences, in which words are translated, with the originals"
    elif trains and language in materials.unlabelled:
        yield "a lexicon is mined from the texts, and training aligns copies of source sentences with the originals"
    yield from _made(recipe, materials, language)
    if shots:
        sides = draw.labelled_sides({language: pairs})
        also = f", and are those of {counted(len(sides), 'translation')} in it" if sides else ""
        yield f"the labels are learnt from beside the source's{also}{_repeated(recipe, materials, language)}"
    if later := _later(recipe, materials, language):
        yield f"what {' and '.join(later)} will make is learnt from{_until(recipe, materials, language)}"
    yield from _fitted(recipe, materials, language)
    learnt = pairs or shots or draw.pseudo.get(language) or _later(recipe, materials, language)
    if not learnt and language not in (*materials.unlabelled, *draw.copies):
        yield "there is nothing to learn the language from, so it is read with what the source language taught"


def _too_little(recipe: Recipe, materials: Materials) -> str:
    """Say that nothing is done with what there is, and what or how much would do."""
    kind, untrained = materials.task.kind, not recipe.train.num_train_epochs
    if untrained and (materials.paired or not kind.fitted):
        takes = "what is fitted to a language takes single texts with a class, labels or a number each"
        return f"nothing is trained by gradient, and {takes}, {TAUGHT}"
    if untrained and recipe.map is None:
        return f"nothing is trained by gradient, and no map is fitted (map: null), {TAUGHT}"
    takes = f" (a map takes {FEWEST_MAPPED} translations, or as many texts)"
    fits = recipe.map and kind.fitted and not materials.paired
    return f"that is too little to fit anything to{takes if fits else ''}, {TAUGHT}"


def _repeated(recipe: Recipe, materials: Materials, language: str) -> str:
    """Say how often a labelled example is seen, where that is more than once."""
    train = recipe.train
    repeats = repeats_of(_learnt(recipe, materials, language), materials.task.kind, train)
    if not train.num_train_epochs or repeats == 0:
        return ""
    return f", each {repeats + 1} times an epoch" if repeats else ", in at least half of the language's batches"


def _until(recipe: Recipe, materials: Materials, language: str) -> str:
    """Say for how long pseudo-data are learnt from, where that is not to the end."""
    trains = recipe.train.num_train_epochs
    early = are_early(_learnt(recipe, materials, language), materials.task.kind, recipe.pseudo)
    return ", in the first half of the epochs alone" if trains and early else ""


def _learnt(recipe: Recipe, materials: Materials, language: str) -> Learnt:
    """Return what a language is learnt from in the last draw; what a run will make is not among it yet."""
    found = learnt_languages(materials.draws[-1], materials.task, recipe.train.max_pairs, also=(language,))
    return next(one for one in found if one.language == language)


def _made(recipe: Recipe, materials: Materials, language: str) -> Iterator[str]:
    """Yield what is done with labelled examples that nobody wrote in the language."""
    draw, example = materials.draws[-1], materials.task.kind.words.example
    if made := draw.pseudo.get(language):
        verb, whose = ("is", "its") if len(made) == 1 else ("are", "their")
        until = _until(recipe, materials, language)
        yield f"{counted(len(made), f'made {example}')} (pseudo-data) {verb} learnt from by {whose} weight{until}"
    if language in draw.copies:
        yield f"code-switched copies of the source's labelled {example}s must get the answers of their originals"


def _later(recipe: Recipe, materials: Materials, language: str) -> list[str]:
    """Return the generators that make examples of a language in the run, and not where it is only checked."""
    if recipe.pseudo is None or language not in made_languages(recipe, materials.task):
        return []
    built = zip(recipe.pseudo.generators, build_generators(recipe), strict=False)
    return [block.name for block, generator in built if generator.costly]


def _fitted(recipe: Recipe, materials: Materials, language: str) -> Iterator[str]:
    """Yield what is fitted in closed form."""
    texts = texts_of(materials.draws[-1], language, materials, recipe)
    if texts and texts.mapped and recipe.map:
        yield f"a {recipe.map.name} map is fitted to {counted(len(texts.mapped), 'translation')}"
    if texts and texts.unpaired:
        yield (
            f"mean and spread of the states of {counted(len(texts.unpaired), 'text')} become the source's, which helps "
            "where they are of the task's own domain"
        )
    if texts and texts.texts:
        yield "a character n-gram classifier learns what the model predicts of the translations"
    elif few := _too_few_for_ngrams(recipe, materials, language):
        yield few


def _too_few_for_ngrams(recipe: Recipe, materials: Materials, language: str) -> str:
    """Say that translations are too few for an n-gram classifier; nothing where there are none, or none is wanted."""
    draw, kind = materials.draws[-1], materials.task.kind
    wanted = recipe.train.ngram_classifier and kind.projects_labels and not materials.paired
    own = sum(is_own(pair) for pair in pairs_to_learn(draw, language, recipe.train.max_pairs)) if wanted else 0
    shots = len(draw.shots[language])
    return (
        f"no character n-gram classifier: that takes {FEWEST_TEXTS} different texts, and there are {own + shots}"
        if own
        else ""
    )
