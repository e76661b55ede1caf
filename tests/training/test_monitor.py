"""What goes wrong in a training is noticed, said once, and only then."""

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch

from invented import world_recipe, write_world
from lingraft.core.errors import RunError
from lingraft.model.adapters import Adapter, adapters
from lingraft.model.freezing import freezing
from lingraft.model.prompts import prompts
from lingraft.model.prompts.deep import PromptRows
from lingraft.model.prompts.split import with_rows
from lingraft.training.loop import Validation
from lingraft.training.monitor import Monitor
from quick_run import run
from small_training import EPOCHS, SOURCE, STEPS, small_model, small_settings, small_transfer, small_world, trained


@pytest.fixture(scope="module")
def stack(tiny_backbone):
    """The frozen layers."""
    return tiny_backbone.stack


@pytest.fixture(scope="module")
def world(stack):
    """Steps of an epoch."""
    return small_world(stack)


def watched(model, world, terms=None, **options):
    """Train; what was said, and the record."""
    said = []
    _, history = trained(model, world, terms, say=said.append, **options)
    return said, history


def on_source(world):
    """A development score on the source texts."""

    def validate(model):
        with torch.no_grad():
            found = torch.cat([model(source.states, SOURCE)[1].argmax(-1) for source, _ in world])
        gold = torch.cat([source.targets for source, _ in world])
        counts = Counter("ab"[i] for i in found.tolist())
        return Validation((found == gold).float().mean().item(), counts, 2)

    return validate


# ---- No alarm --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prompt",
    [
        *({"name": name, "length": 2, "language_length": 1} for name in ("deep", "gated", "reparameterised")),
        {"name": "memory"},
    ],
)
@pytest.mark.parametrize("freezing_name", ["frozen", "head_first"])
def test_an_ordinary_training_gives_no_alarm(stack, world, prompt, freezing_name):
    """Prompts that start unheard, or later than the head, are alive; a loss that wavers has not diverged."""
    model = small_model(stack, prompt=prompt)
    phases = freezing.build(freezing_name).phases(stack)
    settings = small_settings(num_train_epochs=8, prompt_learning_rate=1e-2)
    terms = small_transfer(stack, world)
    said, history = watched(
        model, world, terms, settings=settings, phases=phases, validate=on_source(world)
    )  # fmt: skip
    assert said == []
    assert all("warnings" not in row for row in history)
    assert history[-1]["dev_score"] > 0.5


def test_a_model_without_a_prompt_has_no_dead_one(stack, world):
    """There is nothing to look at."""
    assert watched(small_model(stack, prompt=None), world)[0] == []


# ---- Dead prompts ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deep", "gated"])
@pytest.mark.parametrize("freezing_name", ["frozen", "head_first"])
def test_a_prompt_that_no_text_has_is_an_error(stack, world, name, freezing_name):
    """Rows for a target language of which no text is ever passed: at the end, for its texts might have come."""
    model = small_model(stack, prompt={"name": name, "length": 0, "language_length": 2})
    phases, steps = freezing.build(freezing_name).phases(stack), []
    with pytest.raises(RunError, match=r"the prompt gets no gradient.*prompt\.init: states.*of the languages"):
        watched(model, [(source,) for source, _ in world], phases=phases, advance=steps.append)
    assert len(steps) == EPOCHS * STEPS


def test_early_stopping_does_not_hide_a_prompt_that_no_text_has(stack, world):
    """It is judged when training has ended, whenever that is, and told what ended it."""
    model, steps = small_model(stack, prompt={"name": "deep", "length": 0, "language_length": 2}), []
    ended = {"settings": small_settings(patience=1), "validate": lambda model: Validation(0.5, {"a": 1}, 1)}
    with pytest.raises(RunError, match=r"no gradient before early stopping ended the training.*train\.patience"):
        watched(model, [(source,) for source, _ in world], advance=steps.append, **ended)
    assert len(steps) == 2 * STEPS


class Detached(PromptRows):
    """Rows that are cut off from what made them."""

    def forward(self, layer, language):
        """Return rows without a gradient."""
        return super().forward(layer, language).detach()


@pytest.fixture
def broken():
    """The name of a registered prompt whose gradient goes nowhere."""

    @prompts.register("detached_of_tests")
    def detached():
        """Rows that learn nothing."""
        build = partial(Detached, carried=False)
        return with_rows(lambda stack: build, length=2, language_length=0, init="states", text=None)

    yield "detached_of_tests"
    del prompts._factories["detached_of_tests"]


def test_a_broken_prompt_ends_a_run_with_one_line(tmp_path, tiny_checkpoint, broken):
    """A part of one's own whose rows are detached: after warm-up, with what to do, and nothing is saved as trained."""
    write_world(tmp_path)
    recipe = world_recipe(
        tmp_path,
        [f"prompt.name={broken}", f"output_dir={tmp_path / 'run'}"],
        backbone={"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32},
    )
    with pytest.raises(RunError, match="a prompt of your own must return what its parameters make"):
        run(recipe)
    assert not list((tmp_path / "run").rglob("adaptation.safetensors"))


def parameter(*gradient):
    """A parameter with this gradient."""
    found = torch.nn.Parameter(torch.zeros(len(gradient)))
    found.grad = torch.tensor(gradient) if gradient else None
    return found


def test_one_gradient_is_a_sign_of_life():
    """Rows behind a closed gate have none, the gate has: the prompt lives; and it is not looked at again."""
    said = []
    monitor = Monitor(said.append)
    monitor.watch_gradients(
        {"prompt.task.1": parameter(0.0, 0.0), "prompt.gate.task.1": parameter(0.0, 1e-9)}, warm=False
    )
    monitor.watch_gradients({"prompt.task.1": parameter(0.0), "prompt.gate.task.1": parameter(0.0)}, warm=True)
    assert said == []


def test_a_prompt_is_given_time():
    """Until it is warm nothing is said; other parts' gradients do not count for it."""
    said = []
    monitor = Monitor(said.append)
    found = {"prompt.task.1": parameter(0.0), "prompt.task.2": parameter(), "adapter.task.1": parameter(1.0)}
    for _ in range(3):
        monitor.watch_gradients(found, warm=False)
    assert said == []
    with pytest.raises(RunError, match="the prompt gets no gradient"):
        monitor.watch_gradients(found, warm=True)


def test_rows_of_a_language_wait_for_its_texts():
    """Which may all come after those of the source; at the end it is too late, also for a continued training."""
    monitor, found = Monitor(print), {"prompt.language.yor-Latn.1": parameter()}
    monitor.watch_gradients(found, warm=True)
    for one in (monitor, Monitor(print, monitor.state())):
        with pytest.raises(RunError, match="the prompt gets no gradient"):
            one.end(early=False)


def test_a_prompt_that_does_not_learn_yet_is_not_dead():
    """While the head learns alone, prompts have no gradient by design."""
    said = []
    waiting = parameter()
    waiting.requires_grad_(False)
    monitor = Monitor(said.append)
    monitor.watch_gradients({"prompt.task.1": waiting}, warm=True)
    monitor.end(early=True)
    assert said == []


class Deaf(Adapter):
    """Adds what it has learnt, cut off from what made it."""

    def __init__(self, width):
        super().__init__()
        self.task = torch.nn.ParameterDict({"1": torch.nn.Parameter(torch.zeros(width))})

    def forward(self, layer, language, hidden):
        """Shift states without a gradient."""
        return hidden + self.task["1"].detach()


def test_a_broken_adapter_ends_a_run_with_one_line(tmp_path, tiny_checkpoint):
    """As a broken prompt does, beside a prompt that learns."""
    write_world(tmp_path)
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 32}
    settings = ["adapter.name=deaf_of_tests", f"output_dir={tmp_path / 'run'}"]
    with adapters.temporarily():
        adapters.register("deaf_of_tests")(lambda: lambda stack, layers, languages: Deaf(stack.width))
        with pytest.raises(RunError, match="an adapter of your own must compute with its parameters"):
            run(world_recipe(tmp_path, settings, backbone=backbone))
    assert not list((tmp_path / "run").rglob("adaptation.safetensors"))


@pytest.mark.parametrize(
    ("dead", "cure"),
    [
        ("adapter.task.1.A", r"the adapter gets no gradient.*adapter: null"),
        ("prompt.decoder.gate.task.0", r"what the prompt has in the decoder gets no gradient.*prompt\.decoder: false"),
        ("adapter.decoder.task.0.A", r"what the adapter has in the decoder gets no gradient.*adapter\.decoder: false"),
    ],
)
def test_each_part_must_live_by_itself(dead, cure):
    """What prompt, adapter and the adapter's part in a decoder hear counts for none of the others."""
    monitor = Monitor(print)
    others = {"prompt.task.1": parameter(1.0), "adapter.task.1.A": parameter(1.0), "head.weight": parameter(1.0)}
    others |= {"prompt.decoder.task.0": parameter(1.0), "adapter.decoder.task.0.A": parameter(1.0)}
    alike = [name for name in others if name.split(".")[:2] == dead.split(".")[:2]]
    found = {name: one for name, one in others.items() if name not in alike} | {dead: parameter(0.0)}
    monitor.watch_gradients(found, warm=False)
    with pytest.raises(RunError, match=cure):
        monitor.watch_gradients(found, warm=True)
    with pytest.raises(RunError, match=cure):
        Monitor(print, json.loads(json.dumps(monitor.state()))).end(early=False)
    with pytest.raises(RunError, match=r"got no gradient before early stopping ended the training"):
        monitor.end(early=True)


# ---- Collapse --------------------------------------------------------------------------------------


def test_one_answer_for_all_is_told_once(stack, world):
    """With the answer, in the row of the first epoch in which it was seen."""
    seen = iter([{"a": 5, "b": 4}, {"b": 9}, {"b": 9}, {"a": 9}])
    said, history = watched(small_model(stack), world, validate=lambda model: Validation(0.5, next(seen), 2))
    assert [sentence.split(":")[0] for sentence in said] == ["collapsed"]
    assert said[0].endswith("or give more labelled examples of the language that the task is learnt in")
    assert "'b'" in said[0]
    assert [row.get("warnings") for row in history] == [None, said, None, None]


def test_a_first_epoch_is_compared_with_its_first_step():
    """What is many times what it began with has diverged, also if no epoch was better; each loss is told for itself."""
    said = []
    monitor = Monitor(said.append)
    monitor.watch_loss(2.9, first=0.1)  # cross-entropy is of order one
    assert said == []
    monitor = Monitor(said.append)
    monitor.watch_loss(15.9, first=0.8)
    monitor.watch_loss(12.7, what="alignment loss", first=1.5)
    assert [sentence.split(":")[0] for sentence in said] == ["the loss diverged", "the alignment loss diverged"]


def test_a_development_set_of_one_class_is_no_collapse():
    """There only one answer is right."""
    said = []
    Monitor(said.append).watch_predictions({"a": 4}, 1)
    Monitor(said.append).watch_predictions({}, 0)
    assert said == []


# ---- Divergence ------------------------------------------------------------------------------------


def test_a_loss_that_rises_is_told_once(stack, world):
    """Labels that turn round after eight epochs: the loss is many times its lowest, and training goes on."""
    right = [source for source, _ in world]
    wrong = [replace(source, targets=1 - source.targets) for source in right]
    said, history = watched(
        small_model(stack, dropout=0.0),
        world,
        settings=small_settings(num_train_epochs=10),
        epochs=lambda epoch: [lambda batch=batch: (batch,) for batch in (right if epoch < 8 else wrong)],
    )
    assert [sentence.split(":")[0] for sentence in said] == ["the loss diverged"]
    assert "lower the learning rates" in said[0]
    assert [row["epoch"] for row in history if "warnings" in row] == [9]


@pytest.mark.parametrize(
    ("means", "at"),
    [([1.0, 0.5, 1.4, 1.5], None), ([1.0, 0.5, 1.6, 9.0], 2), ([0.2, 0.7], 1), ([0.0, 0.0], None), ([5.0], None)],
)
def test_three_times_the_lowest_is_too_much(means, at):
    """Not of the last: a loss that wavers is none that diverged."""
    said, first = [], None
    monitor = Monitor(said.append)
    for i, mean in enumerate(means):
        monitor.watch_loss(mean)
        if said and first is None:
            first = i
    assert first == at
    assert len(said) <= 1


# ---- Continuing ------------------------------------------------------------------------------------


def test_what_was_said_before_a_kill_is_not_said_again():
    """And the lowest loss is remembered, that of alignment too; by way of JSON, as it is saved."""
    said = []
    before = Monitor(lambda sentence: None)
    before.watch_predictions({"a": 9}, 2)
    before.watch_loss(0.5, ["eng-Latn"])
    before.watch_loss(0.1, ["eng-Latn"], what="alignment loss")
    monitor = Monitor(said.append, json.loads(json.dumps(before.state())))
    monitor.watch_predictions({"b": 9}, 2)
    monitor.watch_loss(1.4, ["eng-Latn"])
    assert said == []
    monitor.watch_loss(1.6, ["eng-Latn"])
    monitor.watch_loss(0.4, ["eng-Latn"], what="alignment loss")
    assert [sentence.split(":")[0] for sentence in said] == ["the loss diverged", "the alignment loss diverged"]


def test_a_prompt_that_lived_before_a_kill_is_not_called_dead():
    """One gradient is enough, also where it was seen by the process that is gone."""
    said, before = [], Monitor(lambda sentence: None)
    before.watch_gradients({"prompt.task.1": parameter(0.0, 1e-9)}, warm=False)
    Monitor(said.append, before.state()).watch_gradients({"prompt.task.1": parameter(0.0, 0.0)}, warm=True)
    assert said == []
