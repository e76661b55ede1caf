"""What a recipe would do and cost, before it is run: the content of ``lingraft check``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..backbones.checkpoint_files import usual_prefix
from ..backbones.depth import first_layers
from ..backbones.devices import find_device
from ..backbones.loading import (
    CheckpointFacts,
    describe_checkpoint,
    empty_stack,
    load_tokenizer,
    refuse_missing_decoder,
)
from ..backbones.pooling import refuse_last
from ..backbones.precision import Rates, choose_precision, remembered_rates
from ..backbones.quantised import refuse_without_quantiser, rounded_to
from ..core.counted import counted
from ..core.errors import ConfigError, Faults
from ..core.records import Features
from ..data.augmentation.lexicon_mining import MAX_WORDS, frequent_words
from ..data.languages import display_name
from ..data.tokenizer_coverage import MANY_PIECES, Coverage, coverage
from ..recipe.settings import Recipe
from ..results.wording import listed
from ..tasks.material import FEWEST_MAPPED, Draw, Materials
from ..training.ensembling import texts_of
from ..training.legs import legs_of, lora_of
from .check_warnings import warn_of_coverage, warn_of_own_parts, warn_of_precision, warn_of_recipe
from .checks import depth_of, gather_checked, refuse_missing_folders, refuse_other_start, resolve_cut
from .data_quality import describe_classes, describe_limits, warn_of_data
from .folder import folder_problems, is_whole, trials_of
from .frozen_states import tokenise
from .growth import earlier_place
from .identity import precision_of
from .needs import disk_warnings, memory_problems, refuse_too_large, roughly_sized, states_size
from .situation import describe_situation
from .timing import STARTING, layer_rate, operations_per_token, passes_of, trial_seconds
from .workload import Workload, tokens_by_example


@dataclass(frozen=True)
class Plan:
    """Rows of a table, and sentences."""

    task: str
    trials: int
    languages: list[list[str]]
    lines: list[str]
    warnings: list[str]
    work: Workload
    """The counts that the lines tell."""


def plan(
    recipe: Recipe,
    also: Callable[[Recipe, Materials | None], object] = lambda recipe, materials: None,
    measure: Callable[[int], Rates] = remembered_rates,
    known: Sequence[str] = (),
) -> Plan:
    """Read the data, tokenise it, count, and estimate the time; no weights are loaded.

    Args:
        recipe: The recipe.
        also: Something else to check, given what was gathered, if it could be; its problems are reported with the
            others.
        measure: Gives FLOP/s of matrix products in either precision for a width.
        known: What is known to be wrong with its settings; reported with what else is wrong.

    Raises:
        LingraftError: The recipe cannot be run as it is.
    """
    facts, cut, materials = _read(recipe, also, known)
    device, rates = find_device(recipe.device), measure(facts.width)
    kept = precision_of(recipe.output_dir)
    choice = choose_precision(recipe.backbone.precision, device, facts.width, lambda width: rates, kept)
    rate = layer_rate(device, facts.width, choice.precision, rates)
    tokenizer, prefix = load_tokenizer(facts.name), recipe.backbone.text_prefix
    if prefix is None:
        prefix = usual_prefix(facts.name)
    features = tokenise(materials, tokenizer, prefix, recipe)
    covered = {code: coverage(materials.written(code), tokenizer) for code in materials.task.languages}
    depth = depth_of(recipe, facts.num_layers)
    stack = empty_stack(facts.name, writing=not materials.task.kind.head_learns)
    work = Workload(recipe, materials, features, first_layers(stack, depth), cut)
    size = states_size(features, facts.width, recipe.cache.dtype)
    if size > recipe.cache.max_gigabytes * 1e9:
        raise ConfigError(
            [
                f"cache.max_gigabytes: the states take {size / 1e9:.1f} GB, and only "
                f"{recipe.cache.max_gigabytes:g} are allowed; allow more, set cache.dtype to float16, or use fewer "
                "texts"
            ]
        )
    needs = work.needs
    refuse_too_large(needs, device)
    lines = [
        _explain_table(recipe),
        f"backbone: {facts.name}, {facts.num_layers} layers of width {facts.width}, {_read_after(recipe)}"
        + ("all frozen; " if recipe.freezing.name == "frozen" else f"freezing: {recipe.freezing.name}; ")
        + _depth(recipe, cut, depth),
        _parts(recipe, work),
        f"trials: {len(trials_of(recipe))} (shots.k [{', '.join(map(str, recipe.shots.ks))}] × "
        f"{counted(recipe.shots.draws, 'draw')} × seeds {recipe.seeds}"
        + (f" × orders {recipe.orders})" if recipe.orders else ")"),
        f"tokens: {work.tokens_encoded:,} to encode once; {sum(one.tokens for one in work.trials):,} to train on, in "
        f"{sum(one.steps for one in work.trials):,} steps; cache: {size / 1e6:,.0f} MB",
        f"precision of matrix products: {choice.precision} ({choice.why})",
        f"estimated time on this machine ({device.type}): {_readable(_estimated_seconds(recipe, work, rate))}",
        f"estimated memory: {roughly_sized(needs.host + needs.device)}"
        + (f", {roughly_sized(needs.device)} of it on {device}" if device.type != "cpu" else "")
        + f"; disk: {roughly_sized(needs.states)} of states in the cache, {roughly_sized(needs.folder)} in the run "
        "folder",
        f"run folder: {recipe.output_dir}{_room(recipe)}",
        *describe_situation(recipe, materials),
        *materials.notes,
        *_mining(recipe, materials),
        *describe_classes(materials),
    ]
    return Plan(
        materials.task.name,
        len(trials_of(recipe)),
        _rows(materials, features, covered),
        lines,
        warn_of_recipe(recipe, materials)
        + warn_of_own_parts(recipe, work)
        + warn_of_data(materials)
        + describe_limits(materials, features)
        + warn_of_coverage(covered, materials.task.target_languages)
        + list(warn_of_precision(choice, rates) if device.type == "cpu" else ())
        + memory_problems(needs, device)[1]
        + disk_warnings(needs, recipe.output_dir),
        work,
    )


def _read(
    recipe: Recipe, also: Callable[[Recipe, Materials | None], object], known: Sequence[str]
) -> tuple[CheckpointFacts, int, Materials]:
    """Read checkpoint and data, with all that is wrong of any said at once."""
    faults, cut, facts, materials = Faults(), 0, None, None
    with faults:
        facts = describe_checkpoint(recipe.backbone.checkpoint)
    with faults:
        if facts and recipe.backbone.pooling == "last":
            refuse_last(facts.model_type)
    with faults:
        _refuse_long_texts(recipe)
    with faults:
        if rounded_to(recipe.backbone.weights):
            refuse_without_quantiser()
    with faults:
        cut = resolve_cut(recipe, facts.num_layers) if facts else 0
    with faults:
        materials = gather_checked(recipe)
    with faults:
        refuse_missing_folders(recipe)
        if facts and materials:
            refuse_other_start(recipe, materials.task, cut)
    with faults:
        if facts and materials and not materials.task.kind.head_learns:
            refuse_missing_decoder(facts.name)
    with faults:
        find_device(recipe.device)
    if not known:  # half of what is compared may be among what was left out
        with faults:
            also(recipe, materials)
    problems = [*known, *faults.problems]
    problems += [f"output_dir: {one}" for one in folder_problems(recipe.output_dir, None if known else recipe)]
    if problems or facts is None or materials is None:
        raise ConfigError(problems)
    return facts, cut, materials


def _depth(recipe: Recipe, cut: int, layers: int) -> str:
    """Say which layers are computed once, and which at every step."""
    if cut >= layers:
        return f"all {layers} layers are computed once"
    below = f"layers 1–{cut} are computed once, " if cut > 0 else ""
    return f"{below}layers {max(0, cut) + 1}–{layers} are computed at every step{_whole_depth(recipe)}"


def _read_after(recipe: Recipe) -> str:
    """Say after which layer texts are read, where that is not the last, and off what, where that is not their mean."""
    layers, last = recipe.backbone.layers, recipe.backbone.pooling == "last"
    of_last = "texts are read off their last token, " if last else ""
    if layers is None:
        return of_last
    if layers == "auto":
        return f"read after half of them, two thirds or all, as development data say (all are counted here), {of_last}"
    return f"of which the first {layers} are run, {of_last}"


def _whole_depth(recipe: Recipe) -> str:
    """Say how long all layers are computed at every step, where the training ends so."""
    epochs = [leg.settings.num_train_epochs for leg in legs_of(recipe) if leg.lora is not None]
    return f", and all in the last {counted(epochs[0], 'epoch')}, with LoRA in each" if epochs else ""


def _explain_table(recipe: Recipe) -> str:
    """Say what the columns of the table are that their headings do not explain."""
    return (
        "labels, pairs: what is learnt from; cut short: texts that have more tokens than backbone.max_length "
        f"({recipe.backbone.max_length}); unknown: share of tokens that the tokenizer has only a stand-in for; tokens "
        f"per word: few where it knows the language well, above {MANY_PIECES:g} where it hardly does"
    )


def _room(recipe: Recipe) -> str:
    """Say that the run which is in the folder is finished, or what becomes of one of fewer languages."""
    if is_whole(recipe.output_dir, recipe):
        return ", where this run is finished already"
    place = earlier_place(recipe.output_dir, recipe)
    return f"; the run of fewer languages that is there moves to {place}, for all are trained anew" if place else ""


def _refuse_long_texts(recipe: Recipe) -> None:
    """Refuse texts that are longer than the checkpoint reads.

    Raises:
        LingraftError: They are, or the checkpoint cannot be read.
    """
    name, wanted = recipe.backbone.checkpoint, recipe.backbone.max_length
    longest = min(empty_stack(name).max_length, load_tokenizer(name).model_max_length)
    if wanted > longest:
        raise ConfigError([f"backbone.max_length: {wanted} is more than the checkpoint's {longest}"])


def _rows(
    materials: Materials, features: dict[tuple[str, str], list[Features]], covered: dict[str, Coverage]
) -> list[list[str]]:
    """Return language, labelled, pairs, tokens in pairs, dev, test, tokens, truncated, unknown, pieces per word."""
    draw, task = materials.draws[-1], materials.task
    rows = []
    for code in task.languages:
        found = [f for (language, _), group in features.items() if language == code for f in group]
        source = code == task.source_language
        pieces = covered[code].pieces_per_word
        rows.append(
            [
                display_name(code),
                str(len(draw.labelled) if source else len(draw.shots[code])),
                "" if source else str(len(draw.pairs[code])),
                "" if source else f"{_pair_tokens(draw, code, features):,}",
                str(len(materials.dev)) if source else "",
                str(len(materials.test[code])),
                f"{sum(len(f.input_ids) for f in found):,}",
                str(sum(f.truncated > 0 for f in found)),
                f"{covered[code].unknown_rate:.1%}",
                "" if pieces is None else f"{pieces:.1f}",
            ]
        )
    return rows


def _pair_tokens(draw: Draw, language: str, features: dict[tuple[str, str], list[Features]]) -> int:
    """Return tokens on the target side of a draw's pairs."""
    length = tokens_by_example(features[language, "learn"])
    return sum(length[pair[1].id] for pair in draw.pairs[language])


def _mining(recipe: Recipe, materials: Materials) -> list[str]:
    """Return what will be tried with unlabelled texts; what it gives shows when the weights are loaded."""
    if not materials.unlabelled or recipe.train.num_train_epochs == 0:
        return []
    texts = [example.texts[0] for example in materials.learn(materials.task.source_language)]
    ours = len(frequent_words(texts, max_words=MAX_WORDS))
    copies = recipe.parallel.copies if recipe.parallel else 1
    return [
        f"{language}: a lexicon is mined during the run, {ours:,} words against {theirs:,}; it gives at most "
        f"{counted(copies, 'more pair')} per source sentence, which are not counted here"
        for language, unlabelled in materials.unlabelled.items()
        for theirs in [len(frequent_words(unlabelled, max_words=MAX_WORDS))]
    ]


def _parts(recipe: Recipe, work: Workload) -> str:
    """Say what is trained, in numbers; the largest of the trials where they differ."""
    counts = sorted({trial.trained for trial in work.trials})
    most = f"{counts[-1]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    parts = f"prompt: {_name(recipe.prompt)}, adapter: {_name(recipe.adapter)}, head"
    line = f"trained by gradient: {most} parameters ({parts})"
    if recipe.train.num_train_epochs == 0:
        line = "trained by gradient: nothing" + (", but the head" if work.trials[0].head_steps else "")
    by_parts: dict[str, list[str]] = {}
    for language in work.materials.task.target_languages:
        if fitted := _closed_form(recipe, work.materials, language):
            by_parts.setdefault(" and ".join(fitted), []).append(display_name(language))
    if by_parts:
        said = (f"{fitted} for {listed(languages)}" for fitted, languages in by_parts.items())
        line += f"; in closed form: {', '.join(said)}"
    elif work.compares:
        line += "; a comparison classifier is fitted to the labelled pairs"
    elif recipe.train.num_train_epochs == 0:
        line += "; a head on frozen states is all"
        if work.materials.task.target_languages:  # a single language has nothing to be mapped to
            line += (
                ": a map needs single texts with classes, labels or numbers (not tags, questions or alternatives), "
                f"and {FEWEST_MAPPED} translations or unlabelled texts"
            )
    return line


def _closed_form(recipe: Recipe, materials: Materials, language: str) -> list[str]:
    """Return what is fitted to the texts of a language in closed form, of any draw."""
    found = [texts for draw in materials.draws if (texts := texts_of(draw, language, materials, recipe))]
    return [
        *([f"a {recipe.map.name} map"] if recipe.map and any(texts.mapped for texts in found) else []),
        *(["a shift of the mean"] if any(texts.unpaired for texts in found) else []),
        *(["a character n-gram classifier"] if any(texts.texts for texts in found) else []),
    ]


def _estimated_seconds(recipe: Recipe, work: Workload, rate: float) -> float:
    """Return the seconds of encoding, of all trials, and of the measurements at the end."""
    stack, depth = work.stack, work.stack.num_layers - max(0, work.cut)
    passes = passes_of(recipe, stack.num_layers)
    trials = sum(trial_seconds(one, stack, depth=depth, passes=passes, rate=rate) for one in work.trials)
    encoding = work.tokens_encoded * operations_per_token(stack, stack.num_layers) / rate
    at_the_end = depth if lora_of(recipe) is None else stack.num_layers
    ending = work.tokens_at_the_end * operations_per_token(stack, at_the_end) / rate
    return 2 * STARTING + encoding + trials + ending  # the second process verifies what was saved


def _name(block: object) -> str:
    return getattr(block, "name", "none")


def _readable(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds"
    return f"about {seconds / 60:.0f} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
