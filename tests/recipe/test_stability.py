import pytest

from lingraft.core.errors import ConfigError
from lingraft.recipe.parsing import parse_recipe

TASK = {"name": "sib200", "target_languages": ["hau-Latn"], "data_dir": "data"}


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"settings": {"prompt.length": [4, 4.0]}}, r"prompt\.length has a value twice: \[4, 4\.0\]"),
        ({"settings": {"shots.draws": [1, 2]}}, r"shots\.draws is what trials are made of; set stability\.draws"),
        ({"settings": {"seeds": [1, 2]}}, r"seeds is what trials are made of; set stability\.seeds"),
        ({"settings": {"": [1]}}, r"'' is no setting; expected keys with points between"),
        ({"draws": True}, r"stability\.draws"),
        ({"draws": "2"}, r"stability\.draws"),
    ],
)
def test_what_no_study_can_vary_is_refused(block, why):
    """With its key, before anything is planned."""
    with pytest.raises(ConfigError, match=why):
        parse_recipe({"output_dir": "runs/x", "task": TASK, "stability": block})
