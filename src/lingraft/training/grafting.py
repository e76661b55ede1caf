"""The network of a trial at its start, and what is written down of it so that it can be loaded again."""

from __future__ import annotations

import torch

from ..backbones.checkpoint_files import lasting_name
from ..backbones.quantised import rounded_to
from ..core.errors import ConfigError
from ..core.version import __version__
from ..model.adaptation import build_adaptation
from ..model.checkpoint import Identity
from ..model.continuing import continue_from
from ..model.heads import build_head
from ..model.network import GraftedModel
from ..model.prompts.initialisers import prompt_initialiser
from .frozen_head import Before
from .legs import extracted_of, lora_of, unfrozen_of
from .pools import Context, TrialPools


def graft(context: Context, pools: TrialPools, head: Before | None) -> GraftedModel:
    """Make a model at its start: frozen stack, new prompts and adapters, the frozen head (random if not wanted)."""
    recipe, task, stack = context.recipe, context.materials.task, context.backbone.stack
    source, seed = pools.source, pools.trial.seed
    languages = tuple(pool.language for pool in pools.targets)
    torch.manual_seed(seed)
    device = next(stack.parameters()).device
    some = source.encoded.table.batch([source.encoded.row[i] for i in source.ids[:32]]).to(device)
    new = build_head(task.kind, stack)
    unfrozen = unfrozen_of(recipe, stack)
    if not task.kind.head_learns and "words.weight" in unfrozen:
        raise ConfigError(
            [
                f"freezing.name: {recipe.freezing.name} trains the word embeddings, and {task.kind.name} speaks by "
                "those of the frozen model; choose top_layers, or an adapter"
            ]
        )
    if recipe.train.warm_start and head is not None:
        head.write_to(new)
    adaptation = build_adaptation(
        prompt=recipe.prompt,
        adapter=recipe.adapter,
        stack=stack,
        cut=context.cut,
        languages=languages,
        head=new,
        initial=prompt_initialiser(context.backbone, some, task.labels, torch.Generator().manual_seed(seed)),
        unfrozen=unfrozen,
    )
    if recipe.train.continue_from is not None:
        continue_from(recipe.train.continue_from, adaptation, identity(context, languages), context.backbone)
    return GraftedModel(stack, adaptation, checkpointing=recipe.train.gradient_checkpointing)


def identity(context: Context, languages: tuple[str, ...]) -> Identity:
    """Describe an adaptation with parts for ``languages``: what using it needs, and what refuses another backbone."""
    recipe, backbone, task = context.recipe, context.backbone, context.materials.task
    lora, adapter = lora_of(recipe), recipe.adapter or extracted_of(recipe)
    return Identity(
        checkpoint=lasting_name(recipe.backbone.checkpoint),
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        text_prefix=backbone.text_prefix,
        cut=context.cut,
        max_length=recipe.backbone.max_length,
        task=task.name,
        kind=task.kind.name,
        labels=task.labels,
        source_language=task.source_language,
        languages=languages,
        prompt=recipe.prompt.model_dump() if recipe.prompt else None,
        adapter=adapter.model_dump(mode="json") if adapter else None,
        version=__version__,
        paired=context.materials.paired,
        kind_options=dict(task.kind.options),
        precision=backbone.stack.precision,
        lora=lora.model_dump() if lora else None,
        layers=backbone.stack.num_layers if backbone.checkpoint_digest else None,
        decoder_digest=backbone.decoder_digest,
        pooling="last" if backbone.stack.pooling.last else "mean",
        rounded=rounded_to(backbone.weights),
    )
