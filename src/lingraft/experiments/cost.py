"""What each method of a comparison will cost on this machine.

Methods may differ in what they learn from (pseudo-data, code-switched copies, other translations), so each is counted
on what it would itself gather.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..backbones import LayerStack, Precision
from ..backbones.checkpoint_files import usual_prefix
from ..backbones.depth import first_layers
from ..backbones.devices import find_device
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..backbones.encoding import usual_cut
from ..backbones.loading import empty_stack, load_tokenizer
from ..backbones.precision import choose_precision, remembered_rates
from ..backbones.shards import states_bytes
from ..core.errors import ConfigError
from ..core.progress import roughly
from ..core.records import IDS
from ..recipe.comparison import CompareSettings
from ..recipe.settings import Recipe
from ..results.wording import plural
from ..runs.checks import depth_of, gather_checked, resolve_cut
from ..runs.counted_work import TrialWork
from ..runs.data_quality import warn_of_data
from ..runs.folder import trials_of
from ..runs.frozen_states import tokenise
from ..runs.identity import precision_of
from ..runs.needs import PREDICTED, roughly_sized
from ..runs.pseudo_data import describe_uncounted
from ..runs.timing import STARTING, layer_rate, operations_per_token, passes_of, trial_seconds
from ..runs.workload import Tokenised, Workload
from ..tasks.material import Materials
from .label_words import count_answers, needs_decoder
from .methods import LABEL_WORDS, Method
from .peers import count_work
from .possible import refuse_untested

FITTED = 2.0
"""Seconds for what is fitted without gradients."""


@dataclass(frozen=True)
class Estimate:
    """What a method will cost."""

    method: Method
    seconds: float
    """Of all its trials."""
    encoding: float
    """Of the frozen states that it is the first to need, where the cache has none of them."""
    tokens: int
    """In the batches of all its trials, each as often as it is trained on."""
    encoded: int
    """Tokens of those frozen states."""
    disk: int
    """Bytes of those frozen states in the cache, and of what its trials leave in its folder."""
    uncounted: Sequence[str] = ()
    """What takes time as well, in sentences."""
    doubts: Sequence[str] = ()
    """What is likely not meant in the data that it reads, in sentences."""

    @property
    def share(self) -> int:
        """Of the progress bar; never nothing."""
        return max(1, round(self.seconds))


def estimates(methods: Sequence[Method], recipe: Recipe, *, tested: bool = True) -> list[Estimate]:
    """Return the seconds of each method on this machine, fitted heads first, then the cheapest.

    Args:
        methods: All of them.
        recipe: Of the comparison.
        tested: Whether trials are scored on the test sets.

    Raises:
        LingraftError: The data or the checkpoint is not as the recipe says.
    """
    checkpoint, whole = recipe.backbone.checkpoint, empty_stack(recipe.backbone.checkpoint)
    depth = depth_of(recipe, whole.num_layers)
    _check_cuts(methods, depth)
    gathered = _gather_each(methods, _with_all_trials(recipe, methods), tested=tested)
    writing = any(needs_decoder(one) or not gathered[one.name][0].task.kind.head_learns for one in methods)
    stack = first_layers(empty_stack(checkpoint, writing=True) if writing else whole, depth)
    peers = {method.is_peer for method in methods}
    speed = {peer: rate_of(recipe, stack, "float32" if peer else None) for peer in peers}
    tuning_epochs = (recipe.compare or CompareSettings()).tuning_epochs

    def estimate(method: Method) -> Estimate:
        rate, read, lengths = speed[method.is_peer], gathered[method.name], encoded[method.name]
        seconds, works = _seconds_and_works(method, tuning_epochs, *read, stack, rate)
        tested = sum(len(rows) for (_, purpose), rows in read[1].items() if purpose == "test")
        kept = 0 if method.is_peer else 4 * sum(work.trained for work in works)
        return Estimate(
            method,
            seconds,
            encoding=sum(lengths) * operations_per_token(stack, stack.num_layers) / rate,
            tokens=sum(work.tokens + work.head_tokens for work in works),
            encoded=sum(lengths),
            disk=states_bytes(lengths, width=stack.width, dtype=method.recipe.cache.dtype)
            + kept
            + PREDICTED * tested * len(trials_of(method.recipe)),
            uncounted=describe_uncounted(method.recipe, read[0].task),
            doubts=doubts[id(read[0])],
        )

    distinct = {id(materials): materials for materials, _ in gathered.values()}  # most methods read the same
    doubts = {each: warn_of_data(materials) for each, materials in distinct.items()}
    encoded = _newly_encoded(methods, gathered, stack.num_layers)
    found = [estimate(method) for method in methods]
    return sorted(found, key=lambda estimate: (estimate.method.trained, estimate.seconds))


def describe_each(planned: Sequence[Estimate]) -> list[str]:
    """Say of each method how many trials it has, how long they take, and what is left out of that."""
    lines = []
    for one in planned:
        trials = plural(len(trials_of(one.method.recipe)), "trial")
        tokens = f", {one.tokens:,} tokens to train on" if one.tokens else ""
        said = [f"{trials}{tokens}, about {roughly(one.seconds)}", *one.uncounted]
        lines.append(f"{one.method.name}: {'; '.join(said)}")
    return lines


def doubts_of(planned: Sequence[Estimate]) -> list[str]:
    """Return what is likely not meant in the data, each sentence once, whoever reads them."""
    return list(dict.fromkeys(doubt for one in planned for doubt in one.doubts))


def describe_total(planned: Sequence[Estimate]) -> str:
    """Say what all methods take together: tokens, disk and time."""
    seconds, encoding = (sum(each) for each in zip(*((one.seconds, one.encoding) for one in planned), strict=True))
    tokens, encoded, disk = (sum(getattr(one, name) for one in planned) for name in ("tokens", "encoded", "disk"))
    return (
        f"in all: {tokens:,} tokens to train on, {roughly_sized(disk)} on disk; estimated time on this machine: "
        f"about {roughly(seconds)}, and about {roughly(encoding)} for the frozen states of {encoded:,} tokens, which "
        "are computed first where the cache does not have them"
    )


def rate_of(recipe: Recipe, stack: LayerStack, precision: Precision | None = None) -> float:
    """Return the floating-point operations per second of a forward pass, where a recipe computes.

    Args:
        recipe: The recipe.
        stack: The layers of the backbone.
        precision: Of the matrix products, where that is not the recipe's.
    """
    device, rates = find_device(recipe.device), remembered_rates(stack.width)
    choice = choose_precision(
        recipe.backbone.precision, device, stack.width, lambda width: rates, precision_of(recipe.output_dir)
    )
    return layer_rate(device, stack.width, precision or choice.precision, rates)


# ---- What methods learn from -------------------------------------------------------------------------

READ = ("task", "further_sources", "parallel", "pseudo", "consistency", "map", "backbone")
"""Blocks of a recipe that decide what is gathered, besides its shots, and how it is tokenised."""

Gathered = tuple[Materials, Tokenised]


def _gather_each(methods: Sequence[Method], recipe: Recipe, *, tested: bool) -> dict[str, Gathered]:
    """Return what each method learns from and is tested on, by its name; those who read the same share it.

    Raises:
        LingraftError: The data are not as a method's recipe says.
    """
    checkpoint, found, shared = recipe.backbone.checkpoint, dict[str, Gathered](), list[tuple[Any, Gathered]]()
    tokenizer = load_tokenizer(checkpoint)
    for method in methods:
        wanted = {name: getattr(method.recipe, name) for name in READ}
        read = next((read for other, read in shared if other == wanted), None)
        if read is None:
            own = recipe.model_copy(update=wanted)
            materials = gather_checked(own)
            if tested:
                refuse_untested(materials)
            else:
                materials = materials.without_tests()
            prefix = own.backbone.text_prefix
            prefix = usual_prefix(checkpoint) if prefix is None else prefix
            read = materials, tokenise(materials, tokenizer, prefix, own)
            shared.append((wanted, read))
        found[method.name] = read
    return found


def _newly_encoded(methods: Sequence[Method], gathered: dict[str, Gathered], layers: int) -> dict[str, list[int]]:
    """Return the tokens of each text whose frozen states a method is the first to need, by its name."""
    found, seen = dict[str, list[int]](), set[tuple[Any, ...]]()
    for method in methods:
        states = states_of(method.recipe, layers) if method.needs_states else None
        rows = [] if states is None else [row for rows in gathered[method.name][1].values() for row in rows]
        new = {(states, tuple(row.input_ids)) for row in rows} - seen
        found[method.name] = [len(ids) for _, ids in new]
        seen |= new
    return found


def one_per_encoding(methods: Sequence[Method], layers: int) -> Iterator[Method]:
    """Yield one method for each set of frozen states, so that none pays for encoding what others use as well."""
    seen: list[Any] = []
    for method in methods:
        recipe = method.recipe
        key = [getattr(recipe, name) for name in READ if name != "backbone"]
        key += [recipe.shots, recipe.backbone.max_length, recipe.backbone.text_prefix, states_of(recipe, layers)]
        if method.needs_states and key not in seen:
            seen.append(key)
            yield method


def states_of(recipe: Recipe, layers: int) -> tuple[int, str]:
    """Return after which layer states are kept, and how."""
    cut = resolve_cut(recipe, layers)
    return usual_cut(layers) if cut == IDS else cut, recipe.cache.dtype


def _with_all_trials(recipe: Recipe, methods: Sequence[Method]) -> Recipe:
    """Return the recipe with every number of labels and as many draws as some method has."""
    ks = list(dict.fromkeys(k for method in methods for k in method.recipe.shots.ks))
    draws = max(method.recipe.shots.draws for method in methods)
    shots = recipe.shots.model_copy(update={"k": ks, "draws": draws})
    return recipe.model_copy(update={"shots": shots})


def _check_cuts(methods: Sequence[Method], layers: int) -> None:
    """Say which of the methods want a cut, a layer or a schedule that the checkpoint does not allow."""
    problems = []
    for method in methods:
        try:
            resolve_cut(method.recipe, layers)
        except ConfigError as error:
            problems += [f"compare, {method.name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)


def _seconds_and_works(
    method: Method, tuning_epochs: int, materials: Materials, tokenised: Tokenised, stack: LayerStack, rate: float
) -> tuple[float, list[TrialWork]]:
    """Return what all trials of a method do, with those that choose its learning rate, and the seconds of it all."""
    recipe, layers = method.recipe, stack.num_layers
    if method.is_peer:
        works = _by_library(method, tuning_epochs, materials, tokenised, stack)
        return _sum_up(works, stack, depth=layers, passes=3, rate=rate), works
    if method.network == LABEL_WORDS:
        asked = sum(
            len(row.input_ids) for (_, purpose), rows in tokenised.items() if purpose != "learn" for row in rows
        )
        said = count_answers(method, materials) if isinstance(stack, EncoderDecoderStack) else 0
        trial = trials_of(recipe)[0]  # the others read what it keeps
        work = TrialWork(trial, (), 0, 0, 0, 0, 0, asked, 0, {}, written=said)
        return _sum_up([work], stack, depth=layers, passes=1, rate=rate), [work]
    if not method.trained and materials.task.kind.fitted:
        return STARTING + FITTED * len(trials_of(recipe)), []
    whole = method.trained and method.network != "grafted"  # a library's own forward pass, from ids
    cut = 0 if whole else resolve_cut(recipe, layers)
    if not method.trained:  # a head that is trained alone: nothing comes before it
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"warm_start": False})})
    tokenised = _with_prompt(
        tokenised, method.options.get("num_virtual_tokens", 0) if method.network == "peft-prompt" else 0
    )
    works = list(Workload(recipe, materials, tokenised, stack, cut).trials)
    if len(method.rates) > 1:
        tried = method.at_rate(None, num_train_epochs=tuning_epochs).network_alone()
        first = Workload(tried, materials.without_tests(), tokenised, stack, cut).trials[0]
        works += [first] * len(method.rates)
    passes = 2 if whole else passes_of(recipe, layers)
    return _sum_up(works, stack, depth=layers - max(0, cut), passes=passes, rate=rate), works


def _sum_up(works: Sequence[TrialWork], stack: LayerStack, *, depth: int, passes: int, rate: float) -> float:
    """Return the seconds of trials, and of the process that they are in; see :func:`trial_seconds`."""
    return STARTING + sum(trial_seconds(work, stack, depth=depth, passes=passes, rate=rate) for work in works)


def _by_library(
    method: Method, tuning_epochs: int, materials: Materials, tokenised: Tokenised, stack: LayerStack
) -> list[TrialWork]:
    """Return what each trial that another library trains does, with those that choose its learning rate."""
    works = count_work(method, materials, tokenised, stack)
    if len(method.rates) > 1:
        tried = replace(method, recipe=method.at_rate(None, num_train_epochs=tuning_epochs))
        works += count_work(tried, materials, tokenised, stack)[:1] * len(method.rates)
    return works


def _with_prompt(tokenised: Tokenised, length: int) -> Tokenised:
    """Return the texts with virtual tokens before each, which a prompt at the input takes through all layers."""
    virtual = (0,) * length
    return {
        key: [replace(row, input_ids=(*virtual, *row.input_ids)) for row in rows] for key, rows in tokenised.items()
    }
