"""The training loop: learns, averages, continues where it stopped."""

from dataclasses import replace
from functools import partial

import pytest
import torch

import lingraft.training.gradient_balance
from lingraft.core.errors import RunError
from lingraft.model.freezing import Phase, freezing, unfrozen_names
from lingraft.recipe.settings import TrainSettings
from lingraft.tasks.kinds import NO_LABEL
from lingraft.training.ema_teacher import Teacher
from lingraft.training.loop import Validation
from lingraft.training.state import load_training_state, save_training_state
from small_training import (
    EPOCHS,
    SOURCE,
    STEPS,
    TARGET,
    assert_same,
    parameters,
    shaken,
    small_model,
    small_settings,
    small_transfer,
    trained,
)


@pytest.fixture
def model(stack):
    """A function that makes a fresh model, always the same one."""
    return partial(small_model, stack)


@pytest.fixture
def terms(stack, world):
    """Squared distance, standardised by the source texts."""
    return small_transfer(stack, world)


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


def test_both_losses_fall_together(model, world, terms):
    """What is learnt of the task does not undo what is learnt of the language."""
    _, history = trained(model(), world, terms, settings=TrainSettings(num_train_epochs=10, learning_rate=1e-2))
    for key in ("task_loss", "alignment_loss"):
        assert history[-1][key] < history[0][key]


def test_alignment_alone_brings_the_target_nearer(model, world, terms):
    """Without any label a target text's state approaches its translation's."""
    aligned, plain = model(dropout=0.0), model(dropout=0.0)
    unlabelled = [(source, replace(t, targets=torch.full_like(t.targets, NO_LABEL))) for source, t in world]
    settings = TrainSettings(num_train_epochs=8, learning_rate=1e-2)
    trained(aligned, unlabelled, terms, settings=settings)
    trained(plain, unlabelled, None, settings=settings)

    def distance(of):
        with torch.no_grad():
            return sum(
                (of(t.states, TARGET)[0].pooled() - t.teacher)[t.has_teacher].square().mean() for _, t in unlabelled
            )

    assert distance(aligned) < 0.7 * distance(plain)


def test_the_backbone_does_not_move(model, world, terms, tiny_backbone):
    """The digest after training is the one before."""
    from lingraft.backbones.digests import weights_digest

    trained(model(), world, terms)
    assert weights_digest(tiny_backbone.stack) == tiny_backbone.weights_digest


def test_training_repeats_itself(model, world, terms):
    """The same seed gives the same parameters to the last bit, dropout included; another seed others."""
    one, other = (trained(model(), world, terms)[0] for _ in range(2))
    assert_same(one, other)
    different = trained(model(), world, terms, seed=6)[0]
    assert any(not torch.equal(one[name], different[name]) for name in one)


def test_history_has_a_row_per_epoch(model, world, terms):
    """Numbered from 1, with losses, development score, learning rate, speed, what learnt and how losses relate."""
    history = trained(model(), world, terms, validate=lambda model: Validation(0.25, {"a": 3, "b": 1}, 2))[1]
    assert [(row["epoch"], row["step"]) for row in history] == [(i, i * STEPS) for i in range(1, EPOCHS + 1)]
    for row in history:
        assert row["loss"] == pytest.approx(row["task_loss"] + row["alignment_loss"], rel=1e-5)
        assert row["dev_score"] == 0.25
        assert row["tokens_per_second"] > 0
        assert (row["trained"], row["weights"]) == (["head", "prompt", "adapter"], [1.0])
        assert "warnings" not in row
    # Twelve steps, of which the first is measured.
    assert [row["gradient_cosine"] is None for row in history] == [False, True, True, True]
    assert -1 <= history[0]["gradient_cosine"] <= 1 and history[0]["gradient_ratio"] > 0


def test_without_alignment_nothing_is_said_of_it(model, world):
    """No weights, no cosine."""
    rows = trained(model(), world, None)[1]
    assert all(row["alignment_loss"] == 0.0 and "weights" not in row and "gradient_cosine" not in row for row in rows)


def test_validation_sees_eval_mode(model, world, terms):
    """Dropout is off while the development set is scored, and on again after it."""
    modes = []

    def validate(model):
        modes.append(model.adaptation.training)

    made = model()
    trained(made, world, terms, validate=validate)
    assert modes == [False] * EPOCHS
    assert not made.adaptation.training


def test_progress_counts_real_tokens(model, world, terms):
    """Each step is reported once, with the tokens that are not padding."""
    seen = []
    trained(model(), world, terms, advance=seen.append)
    assert [p.step for p in seen] == list(range(1, STEPS * EPOCHS + 1))
    assert {p.steps for p in seen} == {STEPS * EPOCHS}
    assert {p.tokens for p in seen} == {12 * 6}


# ---- The mean of the last epochs -------------------------------------------------------------------


@pytest.mark.parametrize("last", [1, 2, EPOCHS, 99])
def test_the_result_is_the_mean_of_the_last_epochs(model, world, terms, last):
    """Parameters after each epoch, added up one by one and divided."""
    after = []
    made = model()
    settings = TrainSettings(num_train_epochs=EPOCHS, learning_rate=1e-2, average_last=last)
    result, _ = trained(made, world, terms, settings=settings, validate=lambda model: after.append(parameters(made)))
    used = after[-last:]
    assert len(after) == EPOCHS
    for name, value in result.items():
        torch.testing.assert_close(value, torch.stack([epoch[name] for epoch in used]).mean(0))
    if last == 1:
        assert_same(result, after[-1])


# ---- Continuing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "patience", "epochs", "best"),
    [
        ([0.1, 0.3, 0.2, 0.3, 0.9, 1.0], 2, 4, 2),  # as good again is no better
        ([0.1, 0.3, 0.2, 0.4, 0.4, 0.3], 2, 6, 4),
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.0], 1, 2, 1),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 1, 6, 6),
    ],
)
@pytest.mark.parametrize("killed", [False, True])
def test_training_stops_when_the_development_score_no_longer_rises(
    stack, world, terms, tmp_path, scores, patience, epochs, best, killed
):
    """The parameters of the best epoch are kept, and it is said; also where a process died after its last epoch."""
    said = []
    settings = small_settings(num_train_epochs=len(scores), patience=patience, average_last=3)
    model, given, after, saved = small_model(stack), iter(scores), [], tmp_path / "training.safetensors"

    def validate(model):
        after.append(parameters(model))
        return Validation(next(given), {"a": 1}, 1)

    hooks = {"validate": validate, "save": partial(save_training_state, saved), "save_every": 1e9, "say": said.append}
    kept, history = trained(model, world, terms, settings=settings, **hooks)
    if killed:
        kept, history = trained(
            small_model(stack), world, terms, settings=settings, state=load_training_state(saved), **hooks
        )
    assert len(history) == len(after) == epochs
    assert_same(kept, after[best - 1])
    ended = f"stopped after epoch {epochs} of {len(scores)}: " if epochs < len(scores) else ""
    kept_said = f"the development score was best after epoch {best}, whose parameters are kept (train.patience)"
    assert [one for one in said if "kept" in one] == [f"{ended}{kept_said}"] * (2 if killed else 1)


def test_without_a_development_score_patience_never_ends(model, world, terms):
    """All epochs are trained, and the last one's parameters are kept."""
    _, history = trained(model(), world, terms, settings=small_settings(patience=1))
    assert len(history) == EPOCHS


def test_any_saved_state_leads_to_the_same_end(model, world, terms, tmp_path):
    """Killed after any step, also amid an epoch and with dropout, training ends on the same bits."""
    paths = []

    def save(state):
        paths.append(tmp_path / f"{len(paths)}.safetensors")
        save_training_state(paths[-1], state)

    options = {"save_every": -1.0, "clock": lambda: 0.0}
    expected, history = trained(model(), world, terms, save=save, **options)
    assert len(paths) == STEPS * EPOCHS
    for number, path in enumerate(paths, start=1):
        state = load_training_state(path)
        assert state.step == number
        again, rows = trained(model(), world, terms, state=state, **options)
        assert_same(again, expected)
        assert rows == history


def test_a_continued_epoch_reports_the_whole_epoch(model, world, terms, tmp_path):
    """The learning curve of a run that was killed amid an epoch is that of one that was not."""
    saved = []

    def save(state):
        saved.append(tmp_path / f"{len(saved)}.safetensors")
        save_training_state(saved[-1], state)

    _, history = trained(model(), world, terms, save=save, save_every=-1.0)
    _, again = trained(model(), world, terms, state=load_training_state(saved[1]))
    assert [row["loss"] for row in again] == pytest.approx([row["loss"] for row in history])


def test_states_are_saved_now_and_then_and_after_each_epoch(model, world, terms):
    """A short training saves once an epoch."""
    steps = []
    trained(model(), world, terms, save=lambda state: steps.append(state.step))
    assert steps == [STEPS * i for i in range(1, EPOCHS + 1)]


def test_continuing_reads_no_finished_step(model, world, terms, tmp_path):
    """Batches of steps that are done are not read again."""
    states = []

    def save(state):
        save_training_state(tmp_path / "state.safetensors", state)
        states.append(load_training_state(tmp_path / "state.safetensors"))

    trained(model(), world, terms, save=save)
    seen = []
    trained(model(), world, terms, state=states[1], advance=lambda p: seen.append(p.step))
    assert seen == list(range(2 * STEPS + 1, EPOCHS * STEPS + 1))


# ---- Continuing with all that can be switched on --------------------------------------------------


def test_balance_teacher_and_phases_continue_on_the_same_bits(stack, world, tmp_path, monkeypatch):
    """Gradual unfreezing, balanced weights and an averaged teacher, killed after any step: same end, same record."""
    monkeypatch.setattr(lingraft.training.gradient_balance, "EVERY", 2)
    phases = freezing.build("gradual", {"layers": 2}).phases(stack)
    settings = small_settings(balance=0.5, ema_decay=0.8)
    blocks = {"name": "mse", "layer": 2}, {"name": "mse", "weight": 2.0}, {"name": "prediction"}, {"name": "words"}
    wanted = small_transfer(stack, world, *blocks)
    saved = []

    def save(state):
        saved.append(tmp_path / f"{len(saved)}.safetensors")
        save_training_state(saved[-1], state)

    def run(state=None, save=lambda state: None):
        made = small_model(
            stack, prompt={"name": "gated", "length": 2, "language_length": 1}, unfrozen=unfrozen_names(phases)
        )
        validate = lambda model: Validation(0.5, {"a": 1}, 2)  # noqa: E731
        return trained(
            made,
            world,
            wanted,
            settings=settings,
            phases=phases,
            state=state,
            save=save,
            validate=validate,
            save_every=-1.0,
            clock=lambda: 0.0,
        )

    expected, history = run(save=save)
    assert len(saved) == STEPS * EPOCHS
    assert history[-1]["weights"] != history[0]["weights"]
    assert [len(row.get("warnings", ())) for row in history] == [1, 0, 0, 0]
    for path in saved:
        again, rows = run(state=load_training_state(path))
        assert_same(again, expected)
        assert rows == history


# ---- The averaged teacher --------------------------------------------------------------------------


class Steps:
    """Copies of the trained parameters and of the teacher's weights after every step."""

    def __init__(self):
        self.parameters, self.teacher = [], []

    def save(self, state):
        """Take a copy of what would be saved."""
        self.parameters.append({name: tensor.clone() for name, tensor in state.parameters.items()})
        self.teacher.append({name: tensor.clone() for name, tensor in state.teacher.items()})


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_the_teacher_is_the_mean_of_the_steps(stack, world, decay):
    """It starts as the network and takes in each step's parameters; with decay 0 it is the network, to the bit."""
    made, steps = small_model(stack), Steps()
    expected = parameters(made)
    wanted = small_transfer(stack, world, {"name": "prediction"})
    trained(made, world, wanted, settings=small_settings(ema_decay=decay), save=steps.save, save_every=-1.0)
    assert len(steps.teacher) == STEPS * EPOCHS
    for now, found in zip(steps.parameters, steps.teacher, strict=True):
        expected = {name: decay * before + (1 - decay) * now[name] for name, before in expected.items()}
        assert found.keys() == expected.keys()
        for name, tensor in found.items():
            torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
        if decay == 0:
            assert_same(found, now)


def test_without_a_loss_on_predictions_there_is_no_teacher(stack, world, terms):
    """Nothing is averaged that nobody asks."""
    steps = Steps()
    trained(small_model(stack), world, terms, save=steps.save, save_every=-1.0)
    assert all(found == {} for found in steps.teacher)


def test_the_teacher_predicts_with_its_own_weights(stack, world):
    """Its logits are those of a network that has them, dropout off; the network keeps its own."""
    made, other = small_model(stack, dropout=0.5), shaken(small_model(stack, dropout=0.5))
    teacher, before = Teacher(made, 0.9, parameters(other)), parameters(made)
    source = world[0][1].source
    made.train()
    one, again = (teacher.predict(source, SOURCE) for _ in range(2))
    with torch.no_grad():
        expected = other.eval()(source, SOURCE)[1]
        assert not torch.allclose(made.eval()(source, SOURCE)[1], expected)
    assert torch.equal(one, again)
    torch.testing.assert_close(one, expected)
    assert not one.requires_grad
    assert_same(parameters(made), before)


def test_the_teacher_has_unfrozen_layers_of_its_own(stack, world):
    """Copies of the backbone's parameters are averaged like everything else that learns."""
    names = unfrozen_names(freezing.build("top_layers", {"layers": 1}).phases(stack))
    made = small_model(stack, unfrozen=names)
    other = shaken(small_model(stack, unfrozen=names), size=0.2)
    with torch.no_grad():
        expected = other.eval()(world[0][0].states, SOURCE)[1]
    torch.testing.assert_close(Teacher(made, 0.9, parameters(other)).predict(world[0][0].states, SOURCE), expected)


def test_the_teacher_leaves_no_trace_in_a_training(stack, world, monkeypatch):
    """Neither the random numbers nor the modes of the modules are changed by a prediction."""
    made, seen, original = small_model(stack), [], Teacher.predict

    def predict(teacher, states, language):
        before = torch.get_rng_state(), [module.training for module in made.modules()]
        logits = original(teacher, states, language)
        seen.append((torch.equal(torch.get_rng_state(), before[0]), [m.training for m in made.modules()] == before[1]))
        return logits

    monkeypatch.setattr(Teacher, "predict", predict)
    trained(made, world, small_transfer(stack, world, {"name": "prediction"}))
    assert seen == [(True, True)] * (STEPS * EPOCHS)


# ---- The optimiser ---------------------------------------------------------------------------------


def test_the_learning_rate_rises_and_falls(model, world, terms, monkeypatch):
    """Linear warm-up over a quarter of the steps, linear decay to zero; prompts have their own peak and no decay."""
    recorder = Recorder(monkeypatch)
    settings = TrainSettings(
        num_train_epochs=EPOCHS, warmup_share=0.25, learning_rate=0.1, prompt_learning_rate=0.4, weight_decay=0.02
    )
    trained(model(), world, terms, settings=settings)
    total = STEPS * EPOCHS
    factors = [min((i + 1) / 3, (total - i) / (total - 3)) for i in range(total)]
    assert [rates[0] for rates in recorder.rates] == pytest.approx([0.1 * f for f in factors])
    assert [rates[1] for rates in recorder.rates] == pytest.approx([0.4 * f for f in factors])
    assert max(rates[0] for rates in recorder.rates) == pytest.approx(0.1)
    assert recorder.decays == [[0.02, 0.0]] * total


def test_gates_and_unfrozen_parameters_have_rates_of_their_own(stack, world, terms, monkeypatch):
    """Gates learn ten times as fast as prompts, copies of the backbone's parameters at their own rate."""
    recorder = Recorder(monkeypatch)
    names = unfrozen_names(freezing.build("top_layers", {"layers": 1}).phases(stack))
    made = small_model(stack, prompt={"name": "gated", "length": 2, "language_length": 1}, unfrozen=names)
    settings = small_settings(
        learning_rate=0.01, prompt_learning_rate=0.02, backbone_learning_rate=0.001, weight_decay=0.1, warmup_share=0
    )
    phases = (Phase(0.0, names),)
    trained(made, world, terms, settings=settings, phases=phases)
    assert recorder.rates[0] == pytest.approx([0.01, 0.02, 0.2, 0.001])
    assert recorder.decays[0] == [0.1, 0.0, 0.0, 0.1]
    count = {name.split(".")[1] for name in parameters(made) if name.startswith("prompt.")}
    assert count == {"task", "language", "gate"}


def test_gradients_are_clipped(model, world, terms, monkeypatch):
    """No step sees a gradient longer than allowed; a bound that is never reached changes nothing."""
    recorder = Recorder(monkeypatch)
    trained(model(), world, terms, settings=TrainSettings(num_train_epochs=2, max_grad_norm=0.01))
    assert max(recorder.norms) <= 0.01 * (1 + 1e-4)
    free = Recorder(monkeypatch)
    trained(model(), world, terms, settings=TrainSettings(num_train_epochs=2, max_grad_norm=1e6))
    assert max(free.norms) > 0.1


def test_a_loss_that_is_no_number_stops_the_run(model, world, terms):
    """A boundless learning rate is told with the step and what to lower; the broken state is not saved."""
    saved = []
    settings = TrainSettings(num_train_epochs=2).model_copy(update={"learning_rate": float("inf")})
    with pytest.raises(RunError, match=r"the loss became (nan|inf) at step \d+ of 6; lower train.learning_rate"):
        trained(model(), world, terms, settings=settings, save=lambda state: saved.append(state.step))
    assert saved == []


def test_a_last_step_that_breaks_the_parameters_stops_the_run(model, world, terms):
    """There is no loss after the last step to tell that its parameters are no numbers: they are looked at."""
    made = model()
    settings = TrainSettings(num_train_epochs=1).model_copy(update={"learning_rate": float("inf")})
    with pytest.raises(RunError):
        trained(made, world, terms, settings=settings, epochs=lambda epoch: [lambda: world[0]])


def test_a_head_alone_can_be_trained(world, stack):
    """Neither prompt nor adapter: one parameter group, no error."""
    _, history = trained(small_model(stack, prompt=None, adapter=None), world, None)
    assert history[-1]["task_loss"] < history[0]["task_loss"]
