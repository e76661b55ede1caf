"""Processes that torchrun or ``accelerate launch`` started together: one runs a recipe, the others compute for it.

The first (rank 0) alone reads data, keeps the run folder and learns; whatever is computed row by row it deals out, a
share to each rank and one to itself, and gathers. So there is nothing that ranks could disagree about, and what one
process would leave is left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from ..core.errors import RunError, one_line
from ..core.launcher import launched, refuse_division

PATIENCE = timedelta(days=7)
"""For what rank 0 does alone between two jobs, such as fitting maps and writing reports."""


@dataclass(frozen=True)
class Failed:
    """What came of a share that could not be computed."""

    rank: int
    reason: str


Work = Callable[[Any], Any]
"""Computes a share."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a launch, as one of them sees them."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether this is the process that runs the recipe."""
        return self.rank == 0

    def deal(self, shares: Sequence[Any], compute: Work) -> list[Any]:
        """Have every rank compute a share, rank 0 the first of them.

        Args:
            shares: One for each rank.
            compute: Computes the share of rank 0; the others have been told how by :meth:`serve`.

        Returns:
            What came of each.

        Raises:
            RunError: A rank failed, or is gone.
        """
        found: list[Any] = [None] * self.size
        try:
            distributed.scatter_object_list([None], list(shares))
            own = _try(compute, shares[0], self.rank)
            distributed.gather_object(own, found)
        except RuntimeError as error:  # of a connection
            raise RunError(
                f"one of the {self.size} processes of this launch is gone ({one_line(str(error), 200)}); what was "
                "finished is kept, and the same command again continues it"
            ) from None
        for one in found:
            if isinstance(one, Failed):
                raise RunError(f"rank {one.rank} of {self.size}: {one.reason}")
        return found

    def serve(self, compute: Work) -> None:
        """Compute what rank 0 deals out, until it has ended, or is gone."""
        while True:
            given: list[Any] = [None]
            try:
                distributed.scatter_object_list(given)
                if given[0] is None:
                    return
                distributed.gather_object(_try(compute, given[0], self.rank))
            except RuntimeError:  # of a connection: rank 0 says why the run ended, once
                return

    def dismiss(self) -> None:
        """End what the other ranks do."""
        with suppress(RuntimeError):  # of one that is gone
            distributed.scatter_object_list([None], [None] * self.size)


def _try(compute: Work, share: Any, rank: int) -> Any:
    """Compute a share; whatever goes wrong is told to rank 0, which waits for something."""
    try:
        return compute(share)
    except Exception as error:
        return Failed(rank, one_line(f"{type(error).__name__}: {error}", 500))


@contextmanager
def joined() -> Iterator[Ranks | None]:
    """Join the other processes of a launch; yields None where this is the only one.

    On a machine with GPUs, each process takes that of its local rank. Messages go through Gloo, which needs no GPU.

    Raises:
        RunError: The launcher's variables are not whole, or nobody answers; or the model is to be divided.
    """
    refuse_division()
    if launched() == 1:
        yield None
        return
    try:
        distributed.init_process_group("gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise RunError(
            f"the processes of this launch did not find each other ({one_line(str(error), 300)}); start them all "
            "with torchrun or accelerate launch"
        ) from None
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    ranks = Ranks(distributed.get_rank(), distributed.get_world_size())
    try:
        yield ranks
        if ranks.leads:  # where it was stopped, others may wait for what it computed: its end, not a word, ends them
            ranks.dismiss()
    finally:
        with suppress(RuntimeError):
            distributed.destroy_process_group()
