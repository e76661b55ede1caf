"""Tables of random states, and names for their texts."""

import numpy as np

from lingraft.backbones.shards import text_digest, write_shard
from lingraft.backbones.state_table import StateTable, StateView

SPACE = "5" * 64


def make_table(lengths=(3, 1, 4, 0, 2), width=5, layer=2, dtype="float32", seed=0):
    """A table of random numbers."""
    rng = np.random.default_rng(seed)
    table = StateTable.empty(lengths, width=width, layer=layer, dtype=dtype)
    table.tokens[:] = rng.standard_normal(table.tokens.shape)
    table.pooled[:] = rng.standard_normal(table.pooled.shape)
    return table


def whole(table):
    """All texts of a table, in its order."""
    return StateView([(table, row) for row in range(len(table))], table.width, table.layer)


def names(count, first=0):
    """Digests of so many different texts."""
    return [text_digest((i,)) for i in range(first, first + count)]


def write(space, table, digests):
    """Write a shard and say where it is; nobody holds its table any more."""
    space.mkdir(parents=True, exist_ok=True)
    before = set(space.iterdir())
    write_shard(space, table, digests)
    (path,) = set(space.iterdir()) - before
    return path
