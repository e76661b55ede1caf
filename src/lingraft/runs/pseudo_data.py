"""The pseudo-data of a run: made once for each language and draw, and kept in its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.counted import counted
from ..core.errors import DataError, MissingFileError, RunError, shown
from ..core.examples import Example, as_json
from ..core.files import digest_of
from ..core.json_text import to_json
from ..data.languages import among, canonical
from ..data.leakage import identity_of
from ..data.lexicon import Lexicon, lexicon_of
from ..data.parallel_inputs import read_entries, read_unlabelled, refuse_shared_pairs, refuse_shared_text
from ..model.checkpoint import adaptation_path
from ..pseudo import Sources, say_nothing
from ..pseudo.aligned_lexicon import aligned_lexicon
from ..pseudo.filters import Filter, filters
from ..pseudo.from_files import generators_of_files
from ..pseudo.generators import Generator, generators
from ..pseudo.kept import Lot, read_lots, write_lots
from ..pseudo.label_noise import add_label_noise
from ..pseudo.making import Made, make
from ..recipe.settings import PseudoSettings, Recipe
from ..tasks import Task
from ..tasks.material import Draw, Materials
from .made_enough import refuse_too_little

NAME = "pseudo.jsonl"
"""The file in a run's folder; what was made of what is beside it, in ``pseudo.json``."""

USUAL = ("length", "duplicates", "overlap", "language", "source-copies")
"""The filters of a recipe that names none, in their order: those that need no model."""


OF_MODEL = ("backbone", "prompt", "adapter", "map", "freezing", "train", "seeds")
"""Blocks of a recipe that the model follows which labels pseudo-data."""

OfModel = Callable[[Materials, Draw], Mapping[str, Any]]
"""Gives what generators ask a model for: fields of :class:`lingraft.pseudo.Sources` that are functions."""


def no_model(materials: Materials, draw: Draw) -> dict[str, Any]:
    """Return nothing: there is no model to ask."""
    return {}


def make_pseudo_data(
    materials: Materials,
    recipe: Recipe,
    path: Path,
    say: Callable[[str], None] = say_nothing,
    of_model: OfModel = no_model,
    warn: Callable[[str], None] = say_nothing,
) -> Materials:
    """Return materials with their pseudo-data, which are made where they are not kept already.

    Args:
        materials: What was gathered.
        recipe: Whose ``pseudo`` block says what makes them.
        path: Where they are kept.
        say: Told what is made.
        of_model: What generators ask a model for.
        warn: Told of which language nothing was made, and why.

    Raises:
        RunError: What is kept was made of something else.
    """
    if recipe.pseudo is None:
        return materials
    built, maker = build_generators(recipe), _Maker(materials, recipe, build_chain(recipe), of_model)
    found = read_lots(path, materials.task.kind.example)
    for lot, draw in lots_of(materials, recipe, built):
        made_of = maker.digest(lot, draw)
        _refuse_other(path, lot, found, made_of)
        if lot in found:
            _refuse_leaked(path, lot, found[lot], maker.evaluation)
        else:
            say(f"making pseudo-data for {lot.language}, draw {lot.draw}")
            found[lot] = replace(maker.make(lot, draw, built, say), made_of=made_of)
            write_lots(path, found)
        if not found[lot].examples:
            warn(f"{describe_lot(lot, found[lot])}; draw {lot.draw} learns nothing of what the recipe makes")
    made = _with_lots(materials, found, built, maker.notes)
    refuse_too_little(made, recipe)
    return made


def read_pseudo_data(materials: Materials, recipe: Recipe, path: Path) -> Materials:
    """Return materials with the pseudo-data that a run has made, which are kept; nothing is made.

    Raises:
        RunError: They were made of something else than what there is now.
    """
    if recipe.pseudo is None:
        return materials
    built, maker = build_generators(recipe), _Maker(materials, recipe, build_chain(recipe))
    found = read_lots(path, materials.task.kind.example)
    predictor = recipe.pseudo.predictor
    if predictor is None or adaptation_path(predictor.expanduser()).exists():  # what is gone cannot have changed
        for lot, draw in lots_of(materials, recipe, built):
            _refuse_other(path, lot, found, maker.digest(lot, draw))
    return _with_lots(materials, found, built, ())


def _refuse_other(path: Path, lot: Lot, found: Mapping[Lot, Made], made_of: str) -> None:
    """Refuse a lot that is kept and was made of something else."""
    if lot in found and found[lot].made_of != made_of:
        raise RunError(
            f"{path}: what is there for {lot.language} in draw {lot.draw} was made with other settings, or of other "
            "examples, pairs, texts or lexicons; choose another name, or another output_dir, or delete what is there"
        )


def _refuse_leaked(path: Path, lot: Lot, made: Made, evaluation: Sequence[Example]) -> None:
    """Refuse a lot that has texts which came into an evaluation set after it was made."""
    forbidden = {identity_of(example) for example in evaluation}
    if leaked := [example for example in made.examples if identity_of(example) in forbidden]:
        raise RunError(
            f"{path}: what was made for {lot.language} in draw {lot.draw} has {counted(len(leaked), 'text')} that "
            f"{'is an evaluation text' if len(leaked) == 1 else 'are evaluation texts'} now, such as "
            f"{shown(leaked[0].texts[0])}; delete what is there, or choose another output_dir, and it is made without"
        )


def preview_pseudo_data(materials: Materials, recipe: Recipe) -> Materials:
    """Return materials with the pseudo-data that take neither a model nor a service to make, in memory."""
    if recipe.pseudo is None:
        return materials
    chain = [(name, one) for name, one in build_chain(recipe) if not one.costly]
    built, maker = build_generators(recipe), _Maker(materials, recipe, chain)
    by_model = [is_made_by_model(one, recipe) for one in built]
    cheap = [generator for generator, waits in zip(built, by_model, strict=True) if not waits]
    lots = lots_of(materials, recipe, built) if cheap else ()
    found = {lot: maker.make(lot, draw, cheap, say_nothing) for lot, draw in lots}
    made = _with_lots(materials, found, built, (*maker.notes, *describe_uncounted(recipe, materials.task)))
    if not any(by_model):
        refuse_too_little(made, recipe)
    return made


def is_made_by_model(generator: Generator, recipe: Recipe) -> bool:
    """Return whether a generator has to wait for a model: one that it asks, or one that aligns words for a lexicon."""
    return generator.costly or ("lexicon" in generator.needs and lexicon_pattern(recipe) is None)


def describe_uncounted(recipe: Recipe, task: Task) -> list[str]:
    """Say what of pseudo-data is made in the run alone, and counted nowhere before it."""
    if recipe.pseudo is None:
        return []
    built, chain = build_generators(recipe), build_chain(recipe)
    said = [
        f"pseudo-data by {block.name} are made in the run, and not counted here"
        for block, generator in zip(recipe.pseudo.generators, built, strict=False)
        if is_made_by_model(generator, recipe)
    ]
    said += [f"pseudo-data are filtered by {name} in the run, and not here" for name, one in chain if one.costly]
    needs = [*(generator.needs for generator in built), *(one.needs for _, one in chain)]
    if any("predict" in needed for needed in needs) and recipe.pseudo.predictor is None:
        said.append(
            "the model that labels pseudo-data is fitted to the source language's labels first"
            + ("" if task.kind.class_logits else ", by a training of its own, whose time is not counted here")
        )
    return said


def build_generators(recipe: Recipe) -> list[Generator]:
    """Return the generators of a recipe, in its order, and what reads its files."""
    if recipe.pseudo is None:
        return []
    built = [generators.build(block.name, block.options) for block in recipe.pseudo.generators]
    return [*built, *generators_of_files(recipe.pseudo.files)]


def build_chain(recipe: Recipe) -> list[tuple[str, Filter]]:
    """Return the filters of a recipe with their names, in its order; the usual ones where it names none."""
    if recipe.pseudo is None:
        return []
    if recipe.pseudo.filters is not None:
        return [(block.name, filters.build(block.name, block.options)) for block in recipe.pseudo.filters]
    return [(name, filters.build(name)) for name in USUAL]


def made_languages(recipe: Recipe, task: Task) -> list[str]:
    """Return the target languages that examples are made of."""
    named = recipe.pseudo.languages if recipe.pseudo else None
    known = task.target_languages
    return list(known if named is None else (among(canonical(code), known) for code in named))


def lots_of(materials: Materials, recipe: Recipe, built: Sequence[Generator]) -> Iterator[tuple[Lot, Draw]]:
    """Yield what is made together, each with a draw that it is made for; shots make a difference only if asked for."""
    by_shots, seen = _differ_by_shots(built), set[Lot]()
    for draw in materials.draws:
        for language in made_languages(recipe, materials.task):
            lot = _lot_of(draw, language, by_shots)
            if lot not in seen:
                seen.add(lot)
                yield lot, draw


def _differ_by_shots(built: Sequence[Generator]) -> bool:
    """Return whether another number of shots gives other examples."""
    return any("shots" in generator.needs or generator.by_shots() for generator in built)


def _lot_of(draw: Draw, language: str, by_shots: bool) -> Lot:
    return Lot(language, draw.draw, draw.k if by_shots else None)


class _Maker:
    """Makes lots, from what they share: evaluation texts, filters, lexicons and texts."""

    def __init__(
        self,
        materials: Materials,
        recipe: Recipe,
        chain: Sequence[tuple[str, Filter]],
        of_model: OfModel = no_model,
    ) -> None:
        self.materials, self.settings, self.of_model = materials, recipe.pseudo, of_model
        self.model = _settings_of_model(recipe)
        evaluation = [*materials.dev, *(example for examples in materials.test.values() for example in examples)]
        self.evaluation, self.chain = evaluation, chain
        self.languages = made_languages(recipe, materials.task)
        self.lexicons, notes = _read_lexicons(materials, recipe, evaluation)
        self.texts, more = _read_texts(materials, recipe, evaluation)
        self.notes = (*notes, *more)

    def digest(self, lot: Lot, draw: Draw) -> str:
        """Return the digest of all that a lot is made of, the files of ``pseudo.files`` among it."""
        assert self.settings is not None
        lexicon, language = self.lexicons.get(lot.language), lot.language
        pairs = [[as_json(one), as_json(other)] for one, other in draw.pairs[language]]
        content = [
            self.settings.model_dump(mode="json", exclude={"gold", "languages"}),
            [digest_of(path) for path in _files_of(self.settings)],
            [list(map(as_json, examples)) for examples in (draw.labelled, draw.shots[language] if lot.k else ())],
            pairs,
            self.model,
            list(self.texts[language]),
            [[list(words), list(translations)] for words, translations in lexicon.entries.items()] if lexicon else [],
        ]
        return hashlib.sha256(to_json(content).encode()).hexdigest()

    def make(self, lot: Lot, draw: Draw, built: Sequence[Generator], say: Callable[[str], None]) -> Made:
        """Make a lot; without a lexicon of people, those who need one get that of the aligned words of the pairs."""
        asked, lexicon = self.of_model(self.materials, draw), self.lexicons.get(lot.language)
        if lexicon is None and "align" in asked and any("lexicon" in generator.needs for generator in built):
            lexicon = aligned_lexicon(draw.pairs[lot.language], asked["align"], self.evaluation)
            size = counted(len(lexicon), "entry", "entries")
            say(f"{lot.language}: the aligned words of the pairs give a lexicon of {size}")
        sources = Sources(
            task=self.materials.task,
            language=lot.language,
            draw=lot.draw,
            labelled=draw.labelled,
            pairs=draw.pairs[lot.language],
            languages=self.languages,
            k=lot.k,
            shots=draw.shots[lot.language] if lot.k else (),  # otherwise all numbers of shots share what is made
            texts=self.texts[lot.language],
            lexicon=lexicon,
            say=say,
            **asked,
        )
        where = "/".join(str(part) for part in lot if part is not None)
        made = make(built, self.chain, sources, self.evaluation, where)
        noise = self.settings.label_noise if self.settings else 0
        classes = self.materials.task.kind.classes
        noisy = add_label_noise(made.examples, noise, classes, lot.draw) if noise else made.examples
        learnt = {example.id: example for example in noisy}
        survivors = tuple(learnt[example.id] for example in made.survivors)
        return replace(made, examples=tuple(noisy), survivors=survivors)


def _settings_of_model(recipe: Recipe) -> dict[str, Any]:
    """Return what decides what a model says to the generators and filters of a recipe; nothing where none is asked."""
    asked = {need for _, one in build_chain(recipe) for need in one.needs}
    asked |= {need for one in build_generators(recipe) for need in one.needs}
    if "lexicon" in asked and lexicon_pattern(recipe) is None:
        asked |= {"align"}
    if asked.isdisjoint({"predict", "second_view", "align"}):
        return {}
    named = recipe.pseudo is not None and recipe.pseudo.predictor is not None  # its adaptation is among the files
    fitted = not named and not asked.isdisjoint({"predict", "second_view"})
    return recipe.model_dump(mode="json", include=set(OF_MODEL) if fitted else {"backbone"})


def _files_of(settings: PseudoSettings) -> list[Path]:
    """Return the files that pseudo-data are made of: examples, and the adaptation of the run that labels."""
    labels = [] if settings.predictor is None else [adaptation_path(settings.predictor.expanduser())]
    return [*(Path(file).expanduser() for file in settings.files), *labels]


def lexicon_pattern(recipe: Recipe) -> str | None:
    """Return where the lexicons are that generators use; None where the recipe names none."""
    named = recipe.pseudo.lexicon if recipe.pseudo else None
    return named or (recipe.parallel.lexicon if recipe.parallel else None)


def _read_lexicons(
    materials: Materials, recipe: Recipe, evaluation: Sequence[Example]
) -> tuple[dict[str, Lexicon], tuple[str, ...]]:
    """Return the lexicon of each target language, and what was read."""
    pattern, found, notes = lexicon_pattern(recipe), dict[str, Lexicon](), list[str]()
    if pattern is None:
        return {}, ()
    languages = made_languages(recipe, materials.task)
    refuse_shared_pairs("pseudo.lexicon", pattern, materials.task.source_language, languages)  # parallel's is refused
    for language in languages:
        try:
            entries, _, note = read_entries(pattern, materials.task.source_language, language, evaluation)
        except MissingFileError as error:
            others = len(materials.task.target_languages) > 1
            cure = "; or name the target languages that have one in pseudo.languages" if others else ""
            raise DataError(f"{error}{cure}") from None
        found[language] = lexicon_of(entries)
        notes += [note] if recipe.parallel is None or recipe.parallel.lexicon != pattern else []
    return found, tuple(notes)


def _text_pattern(recipe: Recipe, language: str) -> str | None:
    """Return where text of a language is that generators use; None where ``pseudo.text`` names none."""
    named = recipe.pseudo.text if recipe.pseudo else None
    if isinstance(named, dict):
        return {among(canonical(code), [language]): file for code, file in named.items()}.get(language)
    return named


def _read_texts(
    materials: Materials, recipe: Recipe, evaluation: Sequence[Example]
) -> tuple[dict[str, Sequence[str]], tuple[str, ...]]:
    """Return unlabelled texts of each target language, and what was read."""
    found, notes, languages = dict[str, Sequence[str]](), list[str](), made_languages(recipe, materials.task)
    if recipe.pseudo and isinstance(recipe.pseudo.text, str):
        each = ", ".join(f"{language}: …" for language in languages)
        refuse_shared_text("pseudo.text", recipe.pseudo.text, languages, f", or name a file of each: {{{each}}}")
    for language in languages:
        pattern = _text_pattern(recipe, language)
        found[language] = materials.unlabelled.get(language, ())
        if pattern is not None:
            found[language], _, note = read_unlabelled(pattern, materials.task.source_language, language, evaluation)
            notes.append(note)
    return found, tuple(notes)


def _with_lots(
    materials: Materials, lots: Mapping[Lot, Made], built: Sequence[Generator], notes: Sequence[str]
) -> Materials:
    """Return materials whose draws have their lots, with what is told of them."""
    by_shots = _differ_by_shots(built)
    draws, told = list[Draw](), dict[Lot, str]()
    for draw in materials.draws:
        pseudo = {}
        for language in materials.task.target_languages:
            lot = _lot_of(draw, language, by_shots)
            if lot in lots:
                pseudo[language] = lots[lot].examples
                told[lot] = describe_lot(lot, lots[lot])
        draws.append(replace(draw, pseudo=pseudo))
    first = [sentence for lot, sentence in told.items() if lot.draw == 0]
    return replace(materials, draws=tuple(draws), notes=(*materials.notes, *notes, *first))


def describe_lot(lot: Lot, made: Made) -> str:
    """Say what was made for a language, and what was not."""
    origins: dict[str, list[Example]] = {}
    for example in made.examples:
        origins.setdefault(example.origin, []).append(example)
    counts = [
        f"{counted(len(examples), 'example')} by {origin}, of weight {_mean_weight(examples):.2g}"
        for origin, examples in origins.items()
    ]
    line = f"{lot.language}: pseudo-data: {', '.join(counts) or 'none'}"
    if taken := [f"{step.taken:,} by {step.name}" for step in made.steps if step.taken]:
        line += f"; filters took {', '.join(taken)}"
    if made.dropped:
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in made.dropped.most_common())
        line += f" ({made.dropped.total():,} not made or left out: {reasons})"
    return line


def _mean_weight(examples: Sequence[Example]) -> float:
    return sum(example.weight for example in examples) / len(examples)
