"""What every prompt of ours is made of: a part that all languages share, and one per target language."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from ...backbones import LayerStack
from . import Build, Init, Initial, beginning

Make = Callable[[int], Tensor]
"""Layer to the initial value of a parameter there."""


def with_rows(
    module: Callable[[LayerStack], Callable[[range, Iterable[str], Make | None, Make | None], nn.Module]],
    *,
    length: int,
    language_length: int,
    init: Init,
    text: str | None,
) -> Build:
    """Build what a prompt's factory returns.

    Args:
        module: For a stack, what takes layers, languages, and how the rows of the task part and of each
            language's part are made, and returns the module.
        length: Rows of the task part in a layer.
        language_length: Rows of a language's part in a layer.
        init: Where rows start.
        text: The words that they start as, with ``init="text"``.
    """
    how = beginning(init, text)

    def build(stack: LayerStack, layers: range, languages: Iterable[str], initial: Initial) -> nn.Module:
        def rows(count: int) -> Make | None:
            return (lambda layer: initial(how, layer, count)) if count else None

        return module(stack)(layers, languages, rows(length), rows(language_length))

    return build


class SplitParameters(nn.Module):
    """Parameters ``task.LAYER`` and ``language.CODE.LAYER``.

    Args:
        layers: The layers that have parameters.
        languages: The languages that have a part of their own; any other has the task part alone.
        task: Makes the task part, or ``None`` to leave it out.
        language: Makes each language's part, or ``None`` to leave them out.
    """

    def __init__(self, layers: range, languages: Iterable[str], task: Make | None, language: Make | None) -> None:
        super().__init__()

        def per_layer(make: Make | None) -> nn.ParameterDict:
            return nn.ParameterDict({str(layer): nn.Parameter(make(layer)) for layer in layers} if make else {})

        self.task = per_layer(task)
        self.language = nn.ModuleDict({code: per_layer(language) for code in languages if language})

    def parts(self, layer: int, language: str) -> list[Tensor]:
        """Return what there is for a layer and a language, the task part first."""
        owners = [self.task]
        if language in self.language:
            owners.append(self.language[language])  # type: ignore[arg-type]
        return [owner[str(layer)] for owner in owners if str(layer) in owner]
