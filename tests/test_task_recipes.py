"""The recipes of ``examples/tasks``: they are read, and say how they are run."""

from pathlib import Path

import pytest

from lingraft.recipe.parsing import read_recipe
from tiny import REPOSITORY

FOLDER = REPOSITORY / "examples" / "tasks"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_read_and_says_how_it_is_run(path):
    """Into a folder of its own, by the command in its comment."""
    recipe = read_recipe(path, [])
    assert recipe.output_dir == Path("runs/tasks") / path.stem.replace("_", "-")
    assert f"#   lingraft run examples/tasks/{path.name}" in path.read_text(encoding="utf-8")
