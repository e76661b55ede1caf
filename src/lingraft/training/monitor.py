"""What goes wrong in a training while it still can be stopped: dead parts, one answer for all, a rising loss.

Each finding is said once, in a sentence that says what to do; a prompt or an adapter that gets no gradient ends the
training, for it would be saved as if it had been trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ..core.errors import RunError

RISEN = 3.0
"""A mean loss of an epoch this many times the lowest so far has diverged."""

CURES = {
    "prompt": (
        "the prompt gets no gradient, neither its rows nor a gate, so it would stay as it began: start it from states "
        "(prompt.init: states), give texts or pairs of the languages that it has rows for, or leave it out (prompt: "
        "null); a prompt of your own must return what its parameters make"
    ),
    "adapter": (
        "the adapter gets no gradient, so it would stay as it began: give texts or pairs of the languages that it has "
        "parts for, or leave it out (adapter: null); an adapter of your own must compute with its parameters"
    ),
    **{
        f"{part}.decoder": (
            f"what the {part} has in the decoder gets no gradient, so it would stay as it began: give examples with "
            f"answers, or leave it out ({part}.decoder: false)"
        )
        for part in ("prompt", "adapter")
    },
}
"""What is said of a part that would be saved as it began, and what to do."""

USUAL = 1.0
"""What a first step may cost without anybody taking notice: cross-entropy and alignment are of order one."""


class Monitor:
    """Collects findings during a training.

    Args:
        say: Called with each new one.
        state: What :meth:`state` gave, to continue.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.say = say
        known = state or {}
        self.said: list[str] = list(known.get("said", ()))
        self.moved: dict[str, bool] = dict(known.get("moved", {}))
        """Whether a part has had a gradient, of those that learn by now."""
        self.lowest: dict[tuple[str, tuple[str, ...]], float] = {
            (what, tuple(languages)): value for what, languages, value in known.get("lowest", ())
        }

    def state(self) -> dict[str, Any]:
        """Return all that a resumed training needs, as plain data."""
        lowest = [[what, list(languages), value] for (what, languages), value in self.lowest.items()]
        return {"said": list(self.said), "moved": dict(self.moved), "lowest": lowest}

    def watch_gradients(self, parameters: Mapping[str, Tensor], *, warm: bool) -> None:
        """Look at the gradients of prompt, adapter, and what that has in a decoder; a part that gets none is an error.

        Args:
            parameters: All that is trained, by name.
            warm: Whether the warm-up is over, by when a part that languages share has had one; one of a language
                alone has time until :meth:`end`, for its texts may come late.

        Raises:
            RunError: A part has had none.
        """
        parts: dict[str, dict[str, Tensor]] = {}
        for name, one in parameters.items():
            part, _, inner = name.partition(".")
            part += ".decoder" if inner.startswith("decoder.") else ""
            if part in CURES and one.requires_grad and not self.moved.get(part):
                parts.setdefault(part, {})[name] = one
        for part, found in parts.items():
            self.moved[part] = any(one.grad is not None and bool(one.grad.any()) for one in found.values())
            if not self.moved[part] and warm and any(".language." not in name for name in found):
                raise RunError(CURES[part])

    def end(self, *, early: bool) -> None:
        """Look at the parts once more, when training has ended.

        Args:
            early: Whether early stopping ended it.

        Raises:
            RunError: One learnt, and has had no gradient.
        """
        for part, moved in self.moved.items():
            if not moved:
                raise _stopped_too_early(part) if early else RunError(CURES[part])

    def watch_predictions(self, counts: Mapping[str, int], classes: int) -> None:
        """Look at how often each class is predicted on the development set, of which ``classes`` occur there."""
        if classes > 1 and len(counts) == 1:
            (label,) = counts
            self._found(
                f"collapsed: every development example is called {label!r}; lower the learning rates, or give more "
                "labelled examples of the language that the task is learnt in"
            )

    def watch_loss(
        self, mean: float, languages: Sequence[str] = (), *, what: str = "loss", first: float | None = None
    ) -> None:
        """Look at an epoch's mean loss; only epochs over the same languages are compared.

        Args:
            mean: Of the epoch.
            languages: Of the epoch.
            what: Which loss, for people.
            first: That of the epoch's first step, which the first epoch is compared with.
        """
        begun = mean if first is None else max(USUAL, first)
        lowest = self.lowest.get((what, tuple(languages)), begun)
        if mean > RISEN * lowest + 1e-6:
            self._found(f"the {what} diverged: {mean:.3g} in this epoch, {lowest:.3g} before; lower the learning rates")
        self.lowest[what, tuple(languages)] = min(lowest, mean)

    def _found(self, sentence: str) -> None:
        if sentence.split(":")[0] not in {earlier.split(":")[0] for earlier in self.said}:
            self.said.append(sentence)
            self.say(sentence)


def _stopped_too_early(part: str) -> RunError:
    """Return the error of a part that would be saved as it began, because training ended before its texts came."""
    whole, _, decoder = part.partition(".")
    what, leave_out = (
        f"the {whole}" + (" in the decoder" if decoder else ""),
        f"{part}: {'false' if decoder else 'null'}",
    )
    return RunError(
        f"{what} got no gradient before early stopping ended the training, so it would stay as it began: let more "
        "epochs pass without a better development score (train.patience), learn source and targets together "
        f"(train.order: joint), or leave it out ({leave_out})"
    )
