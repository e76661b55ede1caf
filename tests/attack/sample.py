"""How much of what could be attacked is attacked: a seeded sample, or by LINGRAFT_ATTACKS times as much, up to all."""

import os
import random

TIMES = float(os.environ.get("LINGRAFT_ATTACKS", "1"))


def sampled(possible, count, *, seed=0):
    """``count`` of the possible attacks, the same each time, in their order."""
    possible = list(possible)
    chosen = random.Random(seed).sample(range(len(possible)), min(len(possible), max(1, round(count * TIMES))))
    return [possible[i] for i in sorted(chosen)]
