"""Parts that kill their process once, in the middle of its work: as often as there are files to be taken away.

Importing this registers them, so only the processes of the cluster and the tests of it do.
"""

import os
import signal
from contextlib import suppress
from itertools import count
from pathlib import Path

from pydantic import PositiveInt
from torch import nn

from kill_order import ORDER
from lingraft.model.adapters import Adapter, adapters
from lingraft.training.alignment import AlignmentLoss, alignment


def obey(folder: Path) -> None:
    """Take the order out of the folder, if there is one, and die of it."""
    with suppress(FileNotFoundError):
        (folder / ORDER).unlink()  # of two processes one gets it
        os.kill(os.getpid(), signal.SIGKILL)


@alignment.register("killing")
def killing(*, folder: Path, step: PositiveInt = 2) -> AlignmentLoss:
    """Squared distance of the pooled states, whose computing ends in a kill at a step."""
    steps = count(1)

    def loss(source, target):
        if next(steps) == step:
            obey(folder)
        return (target.states.pooled() - source.states.pooled()).square().mean()

    return AlignmentLoss(loss)


class Harmless(Adapter):
    """Adds nothing, and is killed on the way."""

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__()
        self.task = nn.ParameterDict()
        self.folder, self.steps, self.step = folder, count(1), step

    def forward(self, layer, language, hidden):
        """The states as they are."""
        if next(self.steps) == self.step:
            obey(self.folder)
        return hidden


@adapters.register("killing")
def killing_adapter(*, folder: Path, step: PositiveInt = 2):
    """No adapter at all, in whose place the process is killed at a step."""
    return lambda stack, layers, languages: Harmless(folder, step)
