"""README says of each family of backbones what it does, and nothing that was not tried."""

import pytest

from family_table import between, render, try_all
from tiny import REPOSITORY


@pytest.fixture(scope="module")
def cells():
    """What each family does."""
    return try_all()


def test_readme_has_the_table_that_was_tried(cells):
    """If not: ``PYTHONPATH=src:tests python tests/family_table.py`` puts it there."""
    assert between((REPOSITORY / "README.md").read_text(encoding="utf-8")) == render(cells)


def test_what_a_family_cannot_do_is_seen():
    """Families that do the same share a row; one cell apart, they do not."""
    table = render({"bert": (True, False), "t5": (True, False), "llama": (True, True)})

    assert table.splitlines()[2:] == ["| `bert`, `t5` | yes | – |", "| `llama` | yes | yes |"]
