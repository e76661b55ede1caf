"""What each method of a comparison will cost on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..backbones.checkpoint_files import usual_prefix
from ..backbones.devices import find_device
from ..backbones.loading import CheckpointFacts, describe_checkpoint, load_tokenizer
from ..backbones.precision import choose_precision, remembered_rates
from ..core.errors import ConfigError
from ..model.freezing import freezing
from ..recipe.comparison import CompareSettings
from ..recipe.settings import Recipe
from ..runs.checks import gather_checked, resolve_cut
from ..runs.folder import trials_of
from ..runs.identity import precision_of
from ..runs.plan import EFFICIENCY, tokens_by_example
from ..runs.preparation import tokenise
from ..tasks.material import Draw, Materials
from .methods import Method

Counts = Mapping[tuple[str, str], Mapping[str, int]]
"""Tokens of each text by language and purpose, then by example id."""


@dataclass(frozen=True)
class Estimate:
    """What a method will cost."""

    method: Method
    seconds: float

    @property
    def share(self) -> int:
        """Of the progress bar; never nothing."""
        return max(1, round(self.seconds))


def estimates(methods: Sequence[Method], recipe: Recipe) -> list[Estimate]:
    """Estimate the seconds of each method on this machine, cheapest first; encoding is left out, for it is shared.

    Raises:
        LingraftError: The data or the checkpoint is not as the recipe says.
    """
    facts = describe_checkpoint(recipe.backbone.checkpoint)
    _check_cuts(methods, facts.num_layers)
    prefix = recipe.backbone.text_prefix
    prefix = usual_prefix(facts.name) if prefix is None else prefix
    materials = gather_checked(recipe)
    features = tokenise(materials, load_tokenizer(facts.name), prefix, recipe)
    counts = {key: tokens_by_example(group) for key, group in features.items()}
    wanted, device = recipe.backbone.precision, find_device(recipe.device)
    choice = choose_precision(wanted, device, facts.width, kept=precision_of(recipe.output_dir))
    rate = remembered_rates(facts.width)[choice.precision] * EFFICIENCY
    trial = (recipe.compare or CompareSettings()).tuning_epochs
    found = [Estimate(method, _seconds(method, trial, materials, counts, facts, rate)) for method in methods]
    return sorted(found, key=lambda estimate: estimate.seconds)


def _check_cuts(methods: Sequence[Method], layers: int) -> None:
    """Tell which of the methods want a cut, a layer or a schedule that the checkpoint does not allow."""
    problems = []
    for method in methods:
        try:
            resolve_cut(method.recipe, layers)
        except ConfigError as error:
            problems += [f"compare, {method.name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)


STEP_PER_PARAMETER = 3e-9
"""Seconds that AdamW takes for a parameter in a step: seven reads and writes of four bytes at 10 GB/s."""


def _seconds(
    method: Method, trial: int, materials: Materials, counts: Counts, facts: CheckpointFacts, rate: float
) -> float:
    recipe, draw, languages = method.recipe, materials.draws[-1], materials.task.languages
    layers, per_layer = facts.num_layers, 24 * facts.width**2  # multiply-adds of a block, twice, per token
    tested = sum(sum(counts.get((code, "test"), {}).values()) for code in languages)
    number = len(trials_of(recipe))
    if not method.trained and materials.task.kind.class_logits:
        return 2.0 * number
    # Where a head must be trained by gradient, that is a forward pass, with nothing but the head's own gradient.
    depth, directions, unfrozen = layers, 2.0 if method.trained else 1.0, 0.0
    if not method.trained:
        depth -= max(0, resolve_cut(recipe, layers))
    elif method.network == "grafted":
        cut = resolve_cut(recipe, layers)
        depth, whole = layers - max(0, cut), cut < 0
        learns = freezing.build(recipe.freezing.name, recipe.freezing.options).highest_cut(layers) < layers
        directions = 3.0 if learns else 2.0  # forward, gradient of the states, and that of the weights
        if learns:
            unfrozen = depth * per_layer / 2 + (facts.vocabulary * facts.width if whole else 0)
    tokens, steps = _per_epoch(method, draw, materials, counts)
    epochs = recipe.train.num_train_epochs * number + (trial * len(method.rates) if len(method.rates) > 1 else 0)
    flops = (tokens * directions * epochs + tested * number) * per_layer * depth
    return flops / rate + steps * epochs * unfrozen * STEP_PER_PARAMETER + 5.0


def _per_epoch(method: Method, draw: Draw, materials: Materials, counts: Counts) -> tuple[float, float]:
    """Count tokens and steps of an epoch."""
    source, size = materials.task.source_language, method.recipe.train.batch_size
    extra = method.options.get("num_virtual_tokens", 0) if method.network == "peft-prompt" else 0
    labelled = [counts[source, "learn"][e.id] + extra for e in draw.labelled]
    batches, texts = 0, list[int]()
    for code in materials.task.target_languages:
        ids = {e.id for e in draw.shots[code]}
        if method.recipe.train.max_pairs != 0:
            ids |= {pair[1].id for pair in draw.pairs[code]}
        texts += [counts[code, "learn"][i] + extra for i in ids]
        batches += -(-len(ids) // size)
    steps = max(batches, -(-len(labelled) // size))
    mean = sum(labelled) / len(labelled) * min(size, len(labelled))
    target = sum(texts) / batches if batches else 0.0
    return steps * (mean + target), steps
