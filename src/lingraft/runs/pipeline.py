"""The composition root: from a recipe to a finished run folder, one function per stage.

data -> encode -> for each trial (shots, draw, seed): train, save, evaluate -> finish. A stage that is
done is not repeated: the cache keeps the states, and each trial keeps its folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..backbones.encoding import EncodeBatches, encode_here
from ..core.errors import RunError
from ..core.files import read_object, write_json
from ..core.progress import Reporter
from ..core.records import Trial
from ..core.version import source_revision
from ..recipe.settings import Recipe
from ..results.finished_run import NAME as FINISHED
from ..results.finished_run import note_digests
from ..results.pages import LAST, write_pages
from ..results.schemas import SUMMARY
from ..tasks.material import Materials
from ..training.finished import drop_state, is_finished
from ..training.legs import as_trained
from ..training.loop import SAVE_EVERY
from ..training.trial import NetworkFactory, run_trial
from .checks import gather_checked
from .data_quality import warn_of_data
from .folder import is_whole, open_run_folder, trials_of
from .growth import set_aside
from .identity import note_identity, refuse_changed, trial_identities
from .letter_counts import write_letter_counts
from .mined_lexicon import mined_before
from .preparation import prepare
from .pseudo_data import NAME as PSEUDO
from .pseudo_data import read_pseudo_data
from .retention import retention
from .state_picture import picture_states
from .summary import summarise, verify_in_fresh_process


def run(
    recipe: Recipe,
    *,
    reporter: Reporter | None = None,
    verify: Callable[[Path], Mapping[str, Any]] = verify_in_fresh_process,
    save_every: float = SAVE_EVERY,
    pages: Callable[[Path], object] = write_pages,
    factory: NetworkFactory | None = None,
    encode_batches: EncodeBatches = encode_here,
) -> Path:
    """Run a recipe to its end, or continue where it stopped; returns the run folder.

    Args:
        recipe: The recipe.
        reporter: What reports how it goes.
        verify: Proves that what was saved in a folder gives back what was trained.
        save_every: Seconds between two saved states of a training.
        pages: Writes the pages into a finished folder, the model card last.
        factory: Makes the network of a trial, where other processes have a part in it.
        encode_batches: Computes the frozen states that are not in the cache.

    Raises:
        LingraftError: With one clear message; what was finished stays finished.
    """
    reporter = reporter or Reporter()
    source_revision()  # the source that this process runs, whatever is committed while it does

    def make_room(folder: Path, recipe: Recipe) -> None:
        if place := set_aside(folder, recipe):
            reporter.say(f"languages are learnt together, so all are trained anew; the run of fewer is in {place}")

    with open_run_folder(recipe.output_dir, recipe, make_room) as folder:
        _refuse_comparison(folder)
        trials = trials_of(recipe)
        if is_whole(folder, recipe):
            refuse_changed(folder, trials, trial_identities(trials, recipe, _as_before(recipe)))
            reporter.say(f"{folder} is finished already; delete it to run the recipe anew")
            return folder
        (folder / LAST).unlink(missing_ok=True)
        context, card, encoding = prepare(recipe, reporter, encode_batches=encode_batches)
        for doubt in warn_of_data(context.materials):
            reporter.warn(doubt)
        identities = trial_identities(trials, recipe, context.materials, context.backbone)
        refuse_changed(folder, trials, identities)
        (folder / FINISHED).unlink(missing_ok=True)
        write_json(folder / "data.json", card)
        write_letter_counts(folder, context.materials)
        for trial in trials:
            if is_finished(folder, trial, reporter.say):
                drop_state(folder, trial)
            else:
                note_identity(folder, trial, identities[trial])
                run_trial(trial, folder, context, reporter, factory, save_every)
        _refuse_incomplete(folder, trials)
        summarise(folder, recipe, context.backbone, context.cut, encoding)
        reporter.say("comparing with the frozen model, and loading in a fresh process what was saved")
        shown = (folder, recipe, context.materials, context.backbone, as_trained(context).pools, context.device)
        with ThreadPoolExecutor(1) as beside:
            proof = beside.submit(verify, folder)
            write_json(folder / "states.json", picture_states(*shown))
            write_json(folder / "retention.json", retention(*shown))
            verified = {"verification": dict(proof.result())}
        write_json(folder / "summary.json", read_object(folder / "summary.json", SUMMARY) | verified)
        _refuse_incomplete(folder, trials)
        note_digests(folder)
        pages(folder)
    reporter.tell("finished", folder=folder)
    return folder


def _refuse_comparison(folder: Path) -> None:
    """Refuse the folder of a comparison, or of one of its methods, whose trials may be of another network.

    Raises:
        RunError: It is one.
    """
    methods = next(folder.glob("*/method.json"), None) or (folder / "comparison.json").exists()
    if methods or (folder / "method.json").exists():
        what = "a comparison" if methods else "a method of a comparison"
        raise RunError(f"{folder} holds {what}; give the run a folder of its own: output_dir=…")


def _refuse_incomplete(folder: Path, trials: Sequence[Trial]) -> None:
    """Refuse to count, or to call finished, what somebody took away or changed since it was written.

    Raises:
        RunError: A trial is not as it was left.
    """
    said: list[str] = []
    for trial in trials:
        if not is_finished(folder, trial, said.append):
            reason = said[0] if said else f"{trial.name}: {folder / 'trials' / trial.name} is missing"
            raise RunError(f"{reason.partition(';')[0]}, since this run wrote it; run the recipe again to make it anew")


def _as_before(recipe: Recipe) -> Materials:
    """Gather what a finished run would read now; what it mined and made is in its folder, so no backbone is needed."""
    folder = recipe.output_dir
    return gather_checked(
        recipe,
        lambda materials: mined_before(materials, folder),
        lambda materials, recipe: read_pseudo_data(materials, recipe, folder / PSEUDO),
        finished=True,
    )
