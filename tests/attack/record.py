"""What the attack tests tried and what held of it, noted for the table of docs/robustness.md.

A test says it in one call, ``record("recipes with a mutated byte", tried=2000, held=2000)``. The name is a literal, so
that the test of the page can find it in the source; several calls with one name are one row.
"""

import json
import os
from pathlib import Path

VARIABLE = "LINGRAFT_ATTACK_RECORD"
"""Names the file of what was tried, one JSON object a line; nothing is noted without it."""


def record(attack, *, tried, held):
    """Note how often something was tried, and how often what must hold did."""
    if place := os.environ.get(VARIABLE):
        line = json.dumps({"attack": attack, "tried": tried, "held": held}, ensure_ascii=False)
        with Path(place).open("a", encoding="utf-8") as notes:  # several processes may test at once; a line is short
            notes.write(line + "\n")
