"""What every prompt of ours is made of: a part that all languages share, and one per target language."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn

Make = Callable[[int], Tensor]
"""Layer to the initial value of a parameter there."""


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
        """What there is for a layer and a language, the task part first."""
        owners = [self.task]
        if language in self.language:
            owners.append(self.language[language])  # type: ignore[arg-type]
        return [owner[str(layer)] for owner in owners if str(layer) in owner]
