"""Events of a run, and what writes their numbers elsewhere."""

from collections import Counter

import pytest

import lingraft
from invented import TARGET, world_recipe, write_world
from lingraft.core.files import read_lines
from lingraft.integrations.trackers import numbers_of, to_tensorboard, to_trackio

SMALL = ["train.num_train_epochs=2", "train.batch_size=8", "device=cpu", "seeds=[1]", "adapter.width=4"]


def small_recipe(folder, checkpoint):
    """A recipe of one trial of two epochs, as plain data."""
    (folder / "world").mkdir()
    backbone = {"checkpoint": str(checkpoint), "max_length": 32}
    recipe = world_recipe(write_world(folder / "world"), [*SMALL, f"output_dir={folder / 'run'}"], backbone=backbone)
    return recipe.model_dump(mode="json", exclude_none=True)


@pytest.fixture(scope="module")
def told(tiny_checkpoint, tmp_path_factory):
    """The events of a run, and its folder."""
    folder, events = tmp_path_factory.mktemp("told"), []
    recipe = small_recipe(folder, tiny_checkpoint)
    return lingraft.run(recipe, quiet=True, callbacks=[events.append]), events


def test_every_step_epoch_and_trial_is_an_event(told):
    """With what the run's files have of it, in order; the end comes last."""
    folder, events = told
    (trial,) = (folder / "trials").iterdir()
    rows = [{**row, "event": "epoch"} for row in read_lines(trial / "training.jsonl")]
    assert [event for event in events if event["event"] == "epoch"] == rows
    steps = [event["step"] for event in events if event["event"] == "step"]
    assert steps == list(range(1, rows[-1]["step"] + 1))
    (done,) = (event for event in events if event["event"] == "trial")
    assert [one["value"] for one in done["scores"]] == [row["value"] for row in read_lines(folder / "scores.jsonl")]
    assert done["name"] == trial.name
    assert events[-1] == {"event": "finished", "folder": folder}
    assert any(event["event"] == "message" and "comparing with the frozen model" in event["text"] for event in events)


def test_steps_of_several_members_are_numbered_on(tiny_checkpoint, tmp_path):
    """A member begins anew, and its steps do not."""
    events = []
    recipe = small_recipe(tmp_path, tiny_checkpoint)
    recipe["train"]["ensemble"] = 2
    folder = lingraft.run(recipe, quiet=True, callbacks=[events.append])
    (trial,) = (folder / "trials").iterdir()
    *_, last = read_lines(trial / "training.jsonl")
    steps = [(event["step"], event["steps"]) for event in events if event["event"] == "step"]
    assert steps == [(number, last["step"]) for number in range(1, last["step"] + 1)]


def test_what_a_callback_raises_ends_the_run_which_goes_on_later(tiny_checkpoint, tmp_path):
    """With no step taken twice."""

    def stop(event):
        if event["event"] == "epoch":
            raise KeyError("enough")

    recipe, later = small_recipe(tmp_path, tiny_checkpoint), []
    with pytest.raises(KeyError, match="enough"):
        lingraft.run(recipe, quiet=True, callbacks=[stop])
    lingraft.run(recipe, quiet=True, callbacks=[later.append])
    steps = [event["step"] for event in later if event["event"] == "step"]
    assert steps == list(range(steps[0], steps[-1] + 1))
    assert steps[0] > 1


def test_numbers_are_written_under_the_name_of_their_trial(told):
    """Losses of each step, what an epoch has, test scores by language and method."""
    _, events = told
    written = []

    class Writer:
        def add_scalar(self, tag, scalar_value, global_step):
            written.append((tag, scalar_value, global_step))

    logged = []
    for event in events:
        to_tensorboard(Writer())(event)
        to_trackio(lambda numbers, step: logged.extend((name, value, step) for name, value in numbers.items()))(event)
    assert written == logged  # each event by a callback of its own, so that none knows of a step before
    steps = [event for event in events if event["event"] == "step"]
    trial = steps[0]["trial"]
    assert [one for one in written if one[0] == f"{trial}/loss"] == [
        (f"{trial}/loss", event["loss"], event["step"]) for event in steps
    ]
    names = Counter(name for name, _, _ in written)
    assert names[f"{trial}/epoch/dev_score"] == sum(event["event"] == "epoch" for event in events)
    assert any(name.startswith(f"{trial}/test/{TARGET}/") for name in names)


def test_steps_that_are_logged_never_fall(told):
    """A second trial goes on where the first ended, whose test scores are of its last step: wandb drops the rest."""
    _, events = told
    again = [event | {key: "other" for key in ("trial", "name") if key in event} for event in events]
    logged = []
    callback = to_trackio(lambda numbers, step: logged.append((step, *numbers)))
    for event in [*events, *again]:
        callback(event)
    steps = [step for step, *_ in logged]
    last = max(event["step"] for event in events if event["event"] == "step")
    assert steps == sorted(steps)
    assert steps[-1] == 2 * last
    assert {step for step, name, *_ in logged if "/test/" in name} == {last, 2 * last}


def test_other_events_have_no_numbers():
    """Messages are for people."""
    assert numbers_of({"event": "message", "text": "loading"}) == ({}, 0)


def test_tensorboard_reads_what_is_written(told, tmp_path):
    """Its own reader finds the same numbers."""
    board = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no TensorBoard here")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        for event in told[1]:
            to_tensorboard(writer)(event)
    found = board.EventAccumulator(str(tmp_path)).Reload()
    steps = [event for event in told[1] if event["event"] == "step"]
    scalars = found.Scalars(f"{steps[0]['trial']}/loss")
    assert [one.step for one in scalars] == [event["step"] for event in steps]
    assert [one.value for one in scalars] == pytest.approx([event["loss"] for event in steps])
