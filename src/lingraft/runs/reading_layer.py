"""After which layer texts are read, where a recipe leaves that to the data.

In decoders the last layers prepare the next word, and a text's class is often told better by states further down
(Skean et al., 2025). Of three depths, that one is taken after which the frozen head has the lowest log-loss on the
source language's development set; no test set and no target language is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..backbones.depth import pooled_after, shortened
from ..backbones.kept_rows import keep_rows
from ..backbones.loading import Backbone
from ..backbones.shards import text_digest
from ..backbones.state_cache import space_key
from ..core.errors import ConfigError
from ..core.examples import Example
from ..core.progress import Reporter
from ..core.records import Features
from ..core.stored_states import states_folder
from ..data.languages import display_name
from ..model.heads.linear import Labelled, fit_head
from ..model.standardiser import Standardiser
from ..recipe.settings import Recipe
from ..tasks.material import Materials

SHARES = (1 / 2, 2 / 3, 1.0)
"""Of the layers, after which texts may be read."""

Tokenised = Mapping[tuple[str, str], Sequence[Features]]


def choose_reading_layer(
    recipe: Recipe,
    materials: Materials,
    features: Tokenised,
    backbone: Backbone,
    device: torch.device,
    reporter: Reporter,
) -> tuple[Backbone, str]:
    """Return the backbone up to the layer that is best to read after, and a sentence on the choice.

    Without ``backbone.layers: auto``, the backbone as it is, and nothing to say.

    Args:
        recipe: Of the run.
        materials: Whose first draw's labels of the source language are learnt from.
        features: All texts as token ids, by language and purpose.
        backbone: The frozen model.
        device: Where that is.
        reporter: What reports how it goes.

    Raises:
        ConfigError: There is nothing to choose by, or no layer above the cut.
    """
    if recipe.backbone.layers != "auto":
        return backbone, ""
    layers = candidates(backbone.stack.num_layers, recipe.backbone.cut)
    reporter.say(f"reading development texts after layers {', '.join(map(str, layers))}")
    losses = development_losses(
        materials, features, backbone, layers, device, max_bytes=int(recipe.cache.max_gigabytes * 1e9)
    )
    best = min(losses, key=lambda layer: losses[layer])
    told = ", ".join(f"{loss:.3f} after layer {layer}" for layer, loss in losses.items())
    sentence = (
        f"texts are read after layer {best} of {backbone.stack.num_layers}: the frozen head's log-loss on the "
        f"development set of {display_name(materials.task.source_language)} is {told}"
    )
    reporter.say(sentence)
    return shortened(backbone, best), sentence


def candidates(num_layers: int, cut: int | str) -> list[int]:
    """Return the layers that may be read after, above the cut where that is a number.

    Raises:
        ConfigError: There is none.
    """
    lowest = cut if isinstance(cut, int) else 0
    found = sorted({max(1, round(share * num_layers)) for share in SHARES})
    if kept := [layer for layer in found if layer > lowest]:
        return kept
    raise ConfigError([f"backbone.cut: {cut} leaves nothing to train above it; there are {num_layers} layers"])


def development_losses(
    materials: Materials,
    features: Tokenised,
    backbone: Backbone,
    layers: list[int],
    device: torch.device,
    *,
    max_bytes: int,
) -> dict[int, float]:
    """Return the log-loss of the frozen head on the development set, for each layer that it may read after.

    Args:
        materials: Whose first draw's labels of the source language are learnt from.
        features: All texts as token ids, by language and purpose.
        backbone: The frozen model.
        layers: In rising order.
        device: Where the model is.
        max_bytes: Bound on the store of states, where what texts are pooled to is kept.

    Raises:
        ConfigError: The source language has no labels to learn from.
    """
    source, labels = materials.task.source_language, materials.task.labels
    sets: list[tuple[str, Sequence[Example]]] = [("learn", materials.draws[0].labelled), ("dev", materials.dev)]
    if not all(examples for _, examples in sets):
        raise ConfigError([f"backbone.layers: auto learns from labels of {source}, and there are none; give a number"])
    read = []
    for purpose, examples in sets:
        row = {feature.example_id: feature.input_ids for feature in features[source, purpose]}
        ids = [row[example.id] for example in examples]
        read.append(
            (_kept_pooled(ids, backbone, layers, device, max_bytes), [labels.index(str(one.gold)) for one in examples])
        )
    (learnt, classes), (asked, right) = read
    losses = {}
    for layer in layers:
        standardiser = Standardiser.fit(learnt[layer])
        head = fit_head(
            Labelled(learnt[layer], classes),
            Labelled(asked[layer], right),
            standardiser=standardiser,
            classes=len(labels),
            balanced=False,
        )
        losses[layer] = cross_entropy(head.logits(asked[layer]), torch.tensor(right)).item()
    return losses


def _kept_pooled(
    ids: Sequence[tuple[int, ...]], backbone: Backbone, layers: list[int], device: torch.device, max_bytes: int
) -> dict[int, Tensor]:
    """Return what :func:`pooled_after` does, computed once for all runs that ask the same."""
    stack = backbone.stack
    states = space_key(
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        cut=layers[-1],
        dtype="float32",
        precision=stack.precision,
        device=device.type,
        last=stack.pooling.last,
    )
    key = f"pooled after {layers}\0{stack.pooling.opening}\0{states}"

    def compute(missing: Sequence[tuple[int, ...]]) -> list[Tensor]:
        return list(torch.stack(list(pooled_after(missing, stack, layers, device).values()), 1))  # [N, layers, H]

    names = [text_digest(text) for text in ids]
    found = keep_rows(
        states_folder() / hashlib.sha256(key.encode()).hexdigest(),
        dict(zip(names, ids, strict=True)),
        compute,
        width=stack.width,
        layer=layers[-1],
        max_bytes=max_bytes,
    )
    return {layer: torch.stack([found[name][place] for name in names]) for place, layer in enumerate(layers)}
