"""The small training that most tests of this folder look at."""

import pytest

from small_training import small_world


@pytest.fixture(scope="session")
def stack(tiny_backbone):
    """The frozen layers."""
    return tiny_backbone.stack


@pytest.fixture(scope="session")
def world(stack):
    """Steps of an epoch."""
    return small_world(stack)
