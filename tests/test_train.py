"""The training loop: learns, averages, continues where it stopped."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from accelerate import Accelerator
from torch import nn

import lingraft.train
from lingraft.checkpoint import load_training_state, save_training_state
from lingraft.config import Block, TrainSettings, WeightedBlock
from lingraft.encode import frozen_pooled, states_at
from lingraft.errors import RunError
from lingraft.model import GraftedModel, build_adaptation
from lingraft.records import Batch
from lingraft.tasks.classification import NO_LABEL, cross_entropy
from lingraft.train import losses_of, train
from lingraft.transfer import Frame, Transfer

CPU = torch.device("cpu")
SOURCE, TARGET = "eng-Latn", "yor-Latn"
STEPS = 3  # an epoch
EPOCHS = 4

task_loss = partial(cross_entropy, weights=torch.ones(2))


@pytest.fixture(scope="module")
def stack(tiny_backbone):
    """The frozen layers."""
    return tiny_backbone.stack


@pytest.fixture(scope="module")
def world(stack):
    """Steps of an epoch: texts of class 0 hold words 5 to 12, of class 1 words 13 to 20, translations 16 further."""
    generator = torch.Generator().manual_seed(0)

    def texts(count, label, shift=0):
        return [
            [1, *(torch.randint(0, 8, (4,), generator=generator) + 5 + 8 * label + shift).tolist(), 2]
            for _ in range(count)
        ]

    def batch(language, ids, targets, taught):
        states = states_at(ids, stack, 1, CPU)
        source = states_at([[i - 16 if i > 20 else i for i in text] for text in ids], stack, 1, CPU)
        with torch.no_grad():
            teacher = frozen_pooled(stack, source)
        return Batch(states, language, torch.tensor(targets), teacher, torch.tensor(taught))

    steps = []
    for _ in range(STEPS):
        source = batch(SOURCE, texts(4, 0) + texts(4, 1), [0] * 4 + [1] * 4, [True] * 8)
        labels, taught = [NO_LABEL, 0, NO_LABEL, NO_LABEL], [True, False, True, True]
        target = batch(TARGET, texts(2, 0, 16) + texts(2, 1, 16), labels, taught)
        steps.append((source, target))
    return steps


@pytest.fixture
def model(stack):
    """A function that makes a fresh model, always the same one."""

    def make(dropout=0.3, prompt=True):
        torch.manual_seed(7)
        adaptation = build_adaptation(
            prompt=Block.model_validate({"name": "deep", "length": 2, "language_length": 2}) if prompt else None,
            adapter=Block.model_validate({"name": "bottleneck", "width": 4, "language_width": 4, "dropout": dropout}),
            width=stack.width,
            layers=range(1, stack.num_layers),
            languages=[TARGET],
            head=nn.Linear(stack.width, 2),
            initial=lambda layer, count: torch.randn(count, stack.width),
        )
        return GraftedModel(stack, adaptation)

    return make


@pytest.fixture
def transfer(world):
    """Squared distance in the frame of the source texts."""
    frame = Frame.of(torch.cat([source.teacher for source, _ in world]))
    return Transfer([WeightedBlock.model_validate({"name": "mse"})], frame)


def trained(model, world, transfer, *, settings=None, seed=5, **options):
    """Train, and return the parameters and the history."""
    settings = settings or TrainSettings(num_train_epochs=EPOCHS, learning_rate=1e-2, average_last=2)
    history = train(
        model,
        lambda epoch: [lambda i=(i + epoch) % STEPS: world[i] for i in range(STEPS)],
        task_loss=task_loss,
        transfer=transfer,
        settings=settings,
        seed=seed,
        accelerator=Accelerator(cpu=True),
        **options,
    )
    return parameters(model), history


def parameters(model):
    """Copies of the trained parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.adaptation.named_parameters()}


def assert_same(one, other):
    """Bit for bit."""
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


class Recorder:
    """Stands in for AdamW's step and writes down what it saw."""

    def __init__(self, monkeypatch):
        self.rates, self.decays, self.norms = [], [], []
        original = torch.optim.AdamW.step

        def step(optimizer, *args, **options):
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            self.norms.append(torch.stack([g.norm() for g in gradients]).norm().item())
            self.rates.append([group["lr"] for group in optimizer.param_groups])
            self.decays.append([group["weight_decay"] for group in optimizer.param_groups])
            return original(optimizer, *args, **options)

        monkeypatch.setattr(torch.optim.AdamW, "step", step)


# ---- It learns -------------------------------------------------------------------------------------


def test_a_learnable_problem_is_learnt(model, world):
    """The task loss falls to a fifth, and the source texts are told apart."""
    learnt = model(dropout=0.0)
    _, history = trained(learnt, world, None, settings=TrainSettings(num_train_epochs=30, learning_rate=1e-2))
    assert history[-1]["task_loss"] < 0.2 * history[0]["task_loss"]
    with torch.no_grad():
        right = [(learnt(source.states, SOURCE)[1].argmax(-1) == source.targets).float().mean() for source, _ in world]
    assert sum(right) / len(right) > 0.9


def test_both_losses_fall_together(model, world, transfer):
    """What is learnt of the task does not undo what is learnt of the language."""
    _, history = trained(model(), world, transfer, settings=TrainSettings(num_train_epochs=10, learning_rate=1e-2))
    for key in ("task_loss", "alignment_loss"):
        assert history[-1][key] < history[0][key]


def test_alignment_alone_brings_the_target_nearer(model, world, transfer):
    """Without any label a target text's state approaches its translation's."""
    aligned, plain = model(dropout=0.0), model(dropout=0.0)
    unlabelled = [(source, replace(t, targets=torch.full_like(t.targets, NO_LABEL))) for source, t in world]
    settings = TrainSettings(num_train_epochs=8, learning_rate=1e-2)
    trained(aligned, unlabelled, transfer, settings=settings)
    trained(plain, unlabelled, None, settings=settings)

    def distance(of):
        with torch.no_grad():
            return sum(transfer(of(t.states, TARGET)[0], t.teacher).item() for _, t in unlabelled)

    assert distance(aligned) < 0.7 * distance(plain)


def test_the_backbone_does_not_move(model, world, transfer, tiny_backbone):
    """The digest after training is the one before."""
    from lingraft.backbones.loading import weights_digest

    trained(model(), world, transfer)
    assert weights_digest(tiny_backbone.stack) == tiny_backbone.weights_digest


def test_training_repeats_itself(model, world, transfer):
    """The same seed gives the same parameters to the last bit, dropout included; another seed others."""
    one, other = (trained(model(), world, transfer)[0] for _ in range(2))
    assert_same(one, other)
    different = trained(model(), world, transfer, seed=6)[0]
    assert any(not torch.equal(one[name], different[name]) for name in one)


def test_history_has_a_row_per_epoch(model, world, transfer):
    """Numbered from 1, with losses, development score, learning rate and speed."""
    history = trained(model(), world, transfer, validate=lambda model: 0.25)[1]
    assert [(row["epoch"], row["step"]) for row in history] == [(i, i * STEPS) for i in range(1, EPOCHS + 1)]
    for row in history:
        assert row["loss"] == pytest.approx(row["task_loss"] + row["alignment_loss"], rel=1e-5)
        assert row["dev_accuracy"] == 0.25
        assert row["tokens_per_second"] > 0


def test_validation_sees_eval_mode(model, world, transfer):
    """Dropout is off while the development set is scored, and on again after it."""
    modes = []

    def validate(model):
        modes.append(model.adaptation.training)

    made = model()
    trained(made, world, transfer, validate=validate)
    assert modes == [False] * EPOCHS
    assert not made.adaptation.training


def test_progress_counts_real_tokens(model, world, transfer):
    """Each step is reported once, with the tokens that are not padding."""
    seen = []
    trained(model(), world, transfer, advance=seen.append)
    assert [p.step for p in seen] == list(range(1, STEPS * EPOCHS + 1))
    assert {p.steps for p in seen} == {STEPS * EPOCHS}
    assert {p.tokens for p in seen} == {12 * 6}


# ---- The mean of the last epochs -------------------------------------------------------------------


@pytest.mark.parametrize("last", [1, 2, EPOCHS, 99])
def test_the_result_is_the_mean_of_the_last_epochs(model, world, transfer, last):
    """Parameters after each epoch, added up one by one and divided."""
    after = []
    made = model()
    settings = TrainSettings(num_train_epochs=EPOCHS, learning_rate=1e-2, average_last=last)
    result, _ = trained(made, world, transfer, settings=settings, validate=lambda model: after.append(parameters(made)))
    used = after[-last:]
    assert len(after) == EPOCHS
    for name, value in result.items():
        torch.testing.assert_close(value, torch.stack([epoch[name] for epoch in used]).mean(0))
    if last == 1:
        assert_same(result, after[-1])


# ---- Continuing ------------------------------------------------------------------------------------


def test_any_saved_state_leads_to_the_same_end(model, world, transfer, tmp_path, monkeypatch):
    """Killed after any step, also amid an epoch and with dropout, training ends on the same bits."""
    monkeypatch.setattr(lingraft.train, "SAVE_EVERY", -1.0)
    paths = []

    def save(state):
        paths.append(tmp_path / f"{len(paths)}.safetensors")
        save_training_state(paths[-1], state)

    expected, history = trained(model(), world, transfer, save=save)
    assert len(paths) == STEPS * EPOCHS
    for number, path in enumerate(paths, start=1):
        state = load_training_state(path)
        assert state.step == number
        again, rows = trained(model(), world, transfer, state=state)
        assert_same(again, expected)
        assert [row["epoch"] for row in rows] == [row["epoch"] for row in history]
        assert [row["learning_rate"] for row in rows] == [row["learning_rate"] for row in history]


def test_a_continued_epoch_reports_the_whole_epoch(model, world, transfer, tmp_path, monkeypatch):
    """The learning curve of a run that was killed amid an epoch is that of one that was not."""
    monkeypatch.setattr(lingraft.train, "SAVE_EVERY", -1.0)
    saved = []

    def save(state):
        saved.append(tmp_path / f"{len(saved)}.safetensors")
        save_training_state(saved[-1], state)

    _, history = trained(model(), world, transfer, save=save)
    _, again = trained(model(), world, transfer, state=load_training_state(saved[1]))
    assert [row["loss"] for row in again] == pytest.approx([row["loss"] for row in history])


def test_states_are_saved_now_and_then_and_after_each_epoch(model, world, transfer):
    """A short training saves once an epoch."""
    steps = []
    trained(model(), world, transfer, save=lambda state: steps.append(state.step))
    assert steps == [STEPS * i for i in range(1, EPOCHS + 1)]


def test_continuing_reads_no_finished_step(model, world, transfer, tmp_path):
    """Batches of steps that are done are not read again."""
    states = []

    def save(state):
        save_training_state(tmp_path / "state.safetensors", state)
        states.append(load_training_state(tmp_path / "state.safetensors"))

    trained(model(), world, transfer, save=save)
    seen = []
    trained(model(), world, transfer, state=states[1], advance=lambda p: seen.append(p.step))
    assert seen == list(range(2 * STEPS + 1, EPOCHS * STEPS + 1))


# ---- Losses ----------------------------------------------------------------------------------------


def test_the_loss_is_task_and_alignment_by_hand(model, world, transfer):
    """Every labelled row counts alike; each language's pairs are aligned, its rows without teacher left out."""
    made, (source, target) = model().eval(), world[0]
    found = losses_of(made, (source, target), task_loss, transfer, keep_weight=0.5)
    with torch.no_grad():
        states, logits = made(source.states, SOURCE)
        others, other_logits = made(target.states, TARGET)
        n, m = len(source.targets), int((target.targets >= 0).sum())
        task = (n * task_loss(logits, source.targets) + m * task_loss(other_logits, target.targets)) / (n + m)
        rows = [0, 2, 3]
        alignment = 0.5 * transfer(states, source.teacher) + transfer(others.take(rows), target.teacher[rows])
    torch.testing.assert_close(found.task, task)
    torch.testing.assert_close(found.alignment, alignment)
    torch.testing.assert_close(found.total, task + alignment)


def test_target_pairs_count_in_full_even_if_all_are_labelled(model, world, transfer):
    """The weight of keeping is the source language's: a target batch of shots alone is aligned with weight 1."""
    source, target = world[0]
    labelled = replace(target, targets=torch.zeros_like(target.targets), taught=torch.ones_like(target.taught))
    made = model().eval()
    found = losses_of(made, (source, labelled), task_loss, transfer, keep_weight=0.0)
    with torch.no_grad():
        expected = transfer(made(labelled.states, TARGET)[0], labelled.teacher)
    torch.testing.assert_close(found.alignment, expected)


def test_without_keeping_the_source_is_not_aligned(model, world, transfer):
    """`keep_weight: 0` leaves the source side to the task loss."""
    source, _ = world[0]
    assert losses_of(model().eval(), (source,), task_loss, transfer, keep_weight=0.0).alignment.item() == 0.0


def test_without_parallel_text_there_is_the_task_loss_only(model, world):
    """No transfer, no alignment."""
    found = losses_of(model().eval(), world[0], task_loss, None, keep_weight=1.0)
    assert found.alignment.item() == 0.0
    assert torch.equal(found.total, found.task)


def test_class_weights_shift_the_loss(model, world):
    """A class of weight zero costs nothing; the mean is over weights."""
    made, (source, _) = model().eval(), world[0]
    weighted = partial(cross_entropy, weights=torch.tensor([0.0, 3.0]))
    with torch.no_grad():
        logits = made(source.states, SOURCE)[1]
    only = task_loss(logits[source.targets == 1], source.targets[source.targets == 1])
    torch.testing.assert_close(losses_of(made, (source,), weighted, None, keep_weight=1.0).task, only)


# ---- The optimiser ---------------------------------------------------------------------------------


def test_the_learning_rate_rises_and_falls(model, world, transfer, monkeypatch):
    """Linear warm-up over a quarter of the steps, linear decay to zero; prompts have their own peak and no decay."""
    recorder = Recorder(monkeypatch)
    settings = TrainSettings(
        num_train_epochs=EPOCHS, warmup_share=0.25, learning_rate=0.1, prompt_learning_rate=0.4, weight_decay=0.02
    )
    trained(model(), world, transfer, settings=settings)
    total = STEPS * EPOCHS
    factors = [min((i + 1) / 3, (total - i) / (total - 3)) for i in range(total)]
    assert [rates[0] for rates in recorder.rates] == pytest.approx([0.1 * f for f in factors])
    assert [rates[1] for rates in recorder.rates] == pytest.approx([0.4 * f for f in factors])
    assert max(rates[0] for rates in recorder.rates) == pytest.approx(0.1)
    assert recorder.decays == [[0.02, 0.0]] * total


def test_gradients_are_clipped(model, world, transfer, monkeypatch):
    """No step sees a gradient longer than allowed; a bound that is never reached changes nothing."""
    recorder = Recorder(monkeypatch)
    trained(model(), world, transfer, settings=TrainSettings(num_train_epochs=2, max_grad_norm=0.01))
    assert max(recorder.norms) <= 0.01 * (1 + 1e-4)
    free = Recorder(monkeypatch)
    trained(model(), world, transfer, settings=TrainSettings(num_train_epochs=2, max_grad_norm=1e6))
    assert max(free.norms) > 0.1


def test_a_loss_that_is_no_number_stops_the_run(model, world, transfer):
    """An infinite learning rate is told with the step and what to lower; the broken state is not saved."""
    saved = []
    settings = TrainSettings(num_train_epochs=2, learning_rate=float("inf"))
    with pytest.raises(RunError, match=r"the loss became (nan|inf) at step \d+ of 6; lower train.learning_rate"):
        trained(model(), world, transfer, settings=settings, save=lambda state: saved.append(state.step))
    assert saved == []


def test_a_last_step_that_breaks_the_parameters_stops_the_run(model, world, transfer):
    """There is no loss after the last step to tell that its parameters are no numbers: they are looked at."""
    made = model()
    settings = TrainSettings(num_train_epochs=1, learning_rate=float("inf"))
    with pytest.raises(RunError):
        train(
            made,
            lambda epoch: [lambda: world[0]],
            task_loss=task_loss,
            transfer=transfer,
            settings=settings,
            seed=1,
            accelerator=Accelerator(cpu=True),
        )


def test_a_head_alone_can_be_trained(world, stack):
    """Neither prompt nor adapter: one parameter group, no error."""
    torch.manual_seed(0)
    adaptation = build_adaptation(
        prompt=None, adapter=None, width=stack.width, layers=range(1, 3), languages=[TARGET],
        head=nn.Linear(stack.width, 2), initial=lambda layer, count: torch.zeros(count, stack.width),
    )  # fmt: skip
    _, history = trained(GraftedModel(stack, adaptation), world, None)
    assert history[-1]["task_loss"] < history[0]["task_loss"]
