"""The composition root: from a recipe to a finished run folder, one function per stage.

data -> encode -> for each (shots, draw, seed): train, save, evaluate -> finish. A stage that is
done is not repeated: the cache keeps the states, and each training keeps its folder.
"""

from __future__ import annotations

from pathlib import Path

from ..core.errors import RunError
from ..core.files import write_json
from ..core.progress import Reporter
from ..recipe.settings import Recipe
from ..results.pages import write_pages
from ..training.trial import run_unit
from .data_card import refuse_other_data
from .folder import opened, units
from .preparation import prepare
from .retention import retention
from .state_picture import picture
from .summary import summarise, verify_in_fresh_process


def run(recipe: Recipe, *, quiet: bool = False) -> Path:
    """Run a recipe to its end, or continue where it stopped; returns the run folder.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter = Reporter(quiet=quiet)
    with opened(recipe.output_dir, recipe) as folder:
        if next(folder.glob("*/method.json"), None) or (folder / "comparison.json").exists():
            raise RunError(f"{folder} holds a comparison; give the run a folder of its own: output_dir=…")
        if (folder / "README.md").exists():  # written last, after the check of what was saved
            reporter.say(f"{folder} is finished already; delete it to run the recipe anew")
            return folder
        prepared, card, encoding = prepare(recipe, reporter)
        refuse_other_data(folder, card)
        write_json(folder / "data.json", card)
        backbone, accelerator = prepared.backbone, prepared.accelerator
        for unit in units(recipe):
            if not (folder / "units" / unit.name / "unit.json").exists():
                run_unit(unit, folder, prepared, reporter)
        summarise(folder, recipe, backbone, prepared.cut, encoding)
        reporter.say("comparing with the frozen model, and loading in a fresh process what was saved")
        shown = (folder, recipe, prepared.materials, backbone, prepared.pools, accelerator.device)
        write_json(folder / "states.json", picture(*shown))
        write_json(folder / "retention.json", retention(*shown))
        verify_in_fresh_process(folder)
        write_pages(folder)
    return folder
