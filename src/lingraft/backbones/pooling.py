"""What a text is read off: the mean of its tokens, or its last one."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Literal

from ..core.errors import ConfigError
from . import backbones
from .loading import Backbone


def pooled_by(backbone: Backbone, pooling: Literal["mean", "last"]) -> Backbone:
    """Return a backbone that pools texts so, which shares its modules with ``backbone``.

    Raises:
        ConfigError: The last token is asked for where it has not seen more than the others.
    """
    last = pooling == "last"
    if last:
        refuse_last(backbone.stack.configuration["model_type"])
    if backbone.stack.pooling.last == last:
        return backbone
    stack = copy(backbone.stack)
    stack.pooling = replace(stack.pooling, last=last)
    return replace(backbone, stack=stack)


def refuse_last(family: str) -> None:
    """Refuse to read texts off their last token in a family that looks ahead.

    Raises:
        ConfigError: It does.
    """
    if not backbones.build(family).facts.causal:
        raise ConfigError(
            [
                "backbone.pooling: last is for decoders, whose last token alone has seen all of a text; in this "
                f"checkpoint ({family}) every token has, so leave it out"
            ]
        )
