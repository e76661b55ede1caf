"""A model with random parts that answers at once: what predicting is tested with, where the answers do not matter."""

import torch

from identities import identity_of
from lingraft.model.adaptation import build_adaptation
from lingraft.model.heads import build_head
from lingraft.model.network import GraftedModel
from lingraft.serving.own_names import OwnNames
from lingraft.serving.predictor import Adapted
from lingraft.tasks.kinds import kind_of

LABELS = {
    "classification": ("bird", "river", "stone"),
    "multilabel": ("bird", "river", "stone"),
    "tagging": ("B-LOC", "B-PER", "I-PER", "O"),
}


def adapted_of(backbone, kind="classification", *, names=None, labels=None, seed=0, languages=("yor-Latn",), **known):
    """A loaded run of a kind of task on a backbone, with a language part for ``languages``."""
    labels = LABELS.get(kind, ()) if labels is None else labels
    identity = identity_of(backbone, kind=kind, labels=labels, languages=languages, max_length=32, **known)
    torch.manual_seed(seed)
    adaptation = build_adaptation(
        prompt=None,
        adapter=None,
        stack=backbone.stack,
        cut=identity.cut,
        languages=identity.languages,
        head=build_head(kind_of(kind, identity.labels, identity.kind_options), backbone.stack),
        initial=lambda how, layer, count: torch.zeros(count, backbone.stack.width),
    )
    for parameter in adaptation.head.parameters():
        torch.nn.init.normal_(parameter)
    model = GraftedModel(backbone.stack, adaptation).eval()
    return Adapted(backbone, model, identity, names=names or OwnNames())
