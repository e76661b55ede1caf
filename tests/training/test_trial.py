"""One training from its draw to its scores: what each language learns from, and what is written down."""

import itertools
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from invented import SOURCE, TARGET, world_recipe, write_world
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.walk import frozen_pooled
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.core.records import Trial
from lingraft.model.checkpoint import load_adaptation
from lingraft.model.network import GraftedModel
from lingraft.model.prediction import predict_rows
from lingraft.model.standardiser import Standardiser
from lingraft.runs.checks import resolve_cut
from lingraft.runs.frozen_states import encode_all, tokenise
from lingraft.tasks.gathering import gather
from lingraft.training.alignment.word_aligner import token_aligner
from lingraft.training.batches import Order
from lingraft.training.ema_teacher import Teacher
from lingraft.training.evaluation import validation
from lingraft.training.frozen_head import from_fitted_head
from lingraft.training.grafting import graft
from lingraft.training.head_fits import closed_form_head
from lingraft.training.pools import Context, align_words_of_pairs, learning_pools, pools_of, with_translations
from lingraft.training.state import TrainingState, load_training_state, save_training_state
from lingraft.training.trial import NetworkFactory, build_alignment_terms, describe_epochs, run_trial

CPU = torch.device("cpu")
TRIAL = Trial(1, 0, 1)
SMALL = [
    *("train.num_train_epochs=2", "train.batch_size=8", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1", "shots.k=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"), train=12, dev=6, test=6, pairs=10)


@pytest.fixture
def context(world, tiny_backbone):
    """A function that makes what the trials of a run share."""

    def make(*overrides, **changes):
        changes = {"parallel": {"files": str(world / "pairs.{language}.tsv")}} | changes
        backbone = {"checkpoint": "a tiny one", "max_length": 32}
        recipe = world_recipe(world, [*SMALL, *overrides], backbone=backbone, **changes)
        materials = gather(recipe)
        features = tokenise(materials, tiny_backbone.tokenizer, "", recipe)
        cut = resolve_cut(recipe, tiny_backbone.stack.num_layers)
        pools = encode_all(features, tiny_backbone, recipe, cut, CPU, Reporter(quiet=True))
        return Context(recipe, materials, tiny_backbone, cut, pools, torch.device("cpu"))

    return make


def trained(context, folder, **options):
    """Run the trial; its facts and its record."""
    run_trial(TRIAL, folder, context, Reporter(quiet=True), **options)
    place = folder / "trials" / TRIAL.name
    return read_object(place / "trial.json"), list(read_lines(place / "training.jsonl"))


# ---- What is learnt from ---------------------------------------------------------------------------


def test_pools_hold_labels_pairs_and_shots(context):
    """The source its labels and own states, the target its pairs with their teacher, and its shots."""
    made = context()
    (draw,) = made.materials.draws
    source, (target,) = learning_pools(draw, made)
    assert (source.language, source.is_source, target.language, target.is_source) == (SOURCE, True, TARGET, False)
    labels = {example.id: made.materials.task.labels.index(example.label) for example in draw.labelled}
    assert source.ids == tuple(labels)
    assert source.targets == labels
    pairs = {theirs.id: mine.id for mine, theirs in draw.pairs[TARGET]}
    shots = {example.id: made.materials.task.labels.index(example.label) for example in draw.shots[TARGET]}
    assert (len(pairs), len(shots)) == (10, 3)
    assert target.targets == shots
    assert Counter(target.ids) == Counter({*pairs, *shots})
    english = made.pools[SOURCE, "learn"]
    for one, other in pairs.items():
        assert torch.equal(target.teacher[one], english.pooled([other])[0])
    for name in labels:
        assert torch.equal(source.teacher[name], english.pooled([name])[0])


@pytest.mark.parametrize("parallel", [None, {"from": "task"}], ids=["files", "task"])
def test_pairs_that_are_not_passed_are_kept_apart_all_the_same(context, parallel):
    """`max_pairs` learns from the same labelled texts and shots; more pairs are those of fewer and some others.

    Translations of shots have their labels where the pair is learnt from.
    """
    changes = {"parallel": parallel} if parallel else {}
    found = {}
    for count in ("null", "0", "2", "4", "99"):
        made = context(f"train.max_pairs={count}", **changes)
        found[count] = learning_pools(made.materials.draws[0], made)
    whole, (all_pairs,) = found["null"]
    for count, (source, (target,)) in found.items():
        own = [example.id for example in made.materials.draws[0].labelled]
        sides = {one.id: other.id for other, one in made.materials.draws[0].pairs[TARGET]}
        assert list(source.ids[: len(own)]) == own
        assert {*source.ids[len(own) :]} == {sides[shot] for shot in target.targets if shot in target.teacher}
        assert (whole.targets | source.targets, target.targets) == (whole.targets, all_pairs.targets)
        assert len(target.teacher) == min(len(all_pairs.teacher), 99 if count == "null" else int(count))
        assert Counter(target.ids) == Counter(target.teacher.keys() | target.targets.keys())
        assert all(torch.equal(vector, all_pairs.teacher[name]) for name, vector in target.teacher.items())
    assert found["0"][1][0].teacher.keys() < found["2"][1][0].teacher.keys() < found["4"][1][0].teacher.keys()
    assert len(all_pairs.teacher) > 4


def test_without_pairs_and_shots_the_source_is_alone(context):
    """A language of which nothing is known is not learnt from."""
    made = context("train.max_pairs=0", "shots.k=0")
    assert learning_pools(made.materials.draws[0], made)[1] == []


@pytest.mark.parametrize("freezing", ["frozen", "full"])
def test_aligned_words_are_each_pair_s_own(context, freezing):
    """As its two rows of tokens are aligned by themselves, also where batches are ids."""
    made = context(f"freezing.name={freezing}")
    draw = made.materials.draws[0]
    _, (target,) = learning_pools(draw, made)
    pairs = {theirs.id: mine.id for mine, theirs in draw.pairs[TARGET]}
    english = made.pools[SOURCE, "learn"]
    found = align_words_of_pairs(replace(target, source=english, translations=pairs), made)
    assert list(found) == list(pairs)
    texts = [
        (english.features[english.row[mine]].input_ids, target.encoded.features[target.encoded.row[theirs]].input_ids)
        for theirs, mine in pairs.items()
    ]
    expected = token_aligner(made.backbone, CPU)(texts)
    assert [aligned.tolist() for aligned in found.values()] == [aligned.tolist() for aligned in expected]
    assert sum(map(len, expected)) > 0


@pytest.mark.parametrize("count", ["null", "2", "1"])
def test_every_row_with_a_teacher_has_its_translation(context, count):
    """Also where a shot is the target side of a pair that is not learnt from: it has no teacher and no translation."""
    made = context(
        "alignment=[{name: words}, {name: prediction}]", f"train.max_pairs={count}",
        parallel={"from": "task"},
    )  # fmt: skip
    pools = pools_of(TRIAL, made)
    terms = build_alignment_terms(graft(made, pools, None), pools, made)
    targets = tuple(with_translations(pool, pools.draw, terms, made) for pool in pools.targets)
    order = Order(pools.source, targets, made.recipe.train, 1, CPU)
    seen = [batch for epoch in range(2) for step in order.epoch(epoch) for batch in step()]
    targets = [batch for batch in seen if not batch.is_source]
    assert any((batch.labelled & ~batch.has_teacher).any() for batch in targets) is (count != "null")
    aligned = [batch for batch in targets if batch.has_teacher.any()]
    assert all((batch.source is not None) == bool(batch.has_teacher.any()) for batch in targets)
    for batch in aligned:
        torch.testing.assert_close(
            frozen_pooled(made.backbone.stack, batch.source), batch.teacher[batch.has_teacher], rtol=1e-4, atol=1e-4
        )


# ---- The start -------------------------------------------------------------------------------------


def test_a_network_starts_with_the_frozen_head_or_a_random_one(context):
    """`warm_start` decides; the frozen head itself, what "before" means, is fitted either way."""
    for warm in (True, False):
        made = context(f"train.warm_start={str(warm).lower()}")
        source, targets = learning_pools(made.materials.draws[0], made)
        head = closed_form_head(source, targets, Standardiser.fit(torch.stack(list(source.teacher.values()))), made)
        network = graft(made, pools_of(TRIAL, made), from_fitted_head(head))
        pooled = made.pools[SOURCE, "dev"].pooled([example.id for example in made.materials.dev])
        assert torch.allclose(network.adaptation.head(pooled), head.logits(pooled), atol=1e-4) is warm


def test_a_network_has_copies_of_all_that_is_ever_unfrozen(context):
    """From the strategy's schedule; none by default."""
    for name, count in (("frozen", 0), ("top_layers", 16), ("full", 3 * 16 + 5)):
        made = context(f"freezing.name={name}", *(["freezing.layers=1"] if name == "top_layers" else []))
        source, targets = learning_pools(made.materials.draws[0], made)
        head = closed_form_head(source, targets, Standardiser.fit(torch.stack(list(source.teacher.values()))), made)
        assert len(graft(made, pools_of(TRIAL, made), from_fitted_head(head)).adaptation.unfrozen) == count


# ---- A whole training ------------------------------------------------------------------------------

RECIPES = {
    "defaults": [],
    "full": ["freezing.name=full", "alignment=[{name: mse, layer: 1}, {name: mse}]"],
    "gradual": ["freezing.name=gradual", "freezing.layers=1", "prompt.name=gated", "train.balance=0.5"],
    "head first": ["freezing.name=head_first", "alignment=[{name: prediction}, {name: mse}]", "train.ema_decay=0.5"],
    "words": [
        "freezing.name=top_layers",
        "freezing.layers=2",
        "alignment=[{name: words, layer: 2}, {name: transport}]",
    ],
    "sequential": ["train.order=sequential", "alignment=[{name: prediction}, {name: mse}]"],
    "no pairs": ["train.max_pairs=0", "train.warm_start=false"],
}


@pytest.mark.parametrize("overrides", RECIPES.values(), ids=RECIPES)
def test_a_training_is_written_down(context, tmp_path, overrides):
    """The backbone's digest does not change, whatever learns; each epoch has its row."""
    made = context(*overrides)
    digest = weights_digest(made.backbone.stack)
    _, rows = trained(made, tmp_path)
    assert weights_digest(made.backbone.stack) == digest
    assert [row["epoch"] for row in rows] == list(range(1, (4 if made.recipe.train.order == "sequential" else 2) + 1))
    assert all(row["loss"] == pytest.approx(row["task_loss"] + row["alignment_loss"], abs=1e-5) for row in rows)
    used = made.recipe.train.max_pairs is None
    assert all((row["alignment_loss"] > 0) is used and ("weights" in row) is used for row in rows)
    assert {len(row.get("weights", ())) for row in rows} == {len(made.recipe.alignment) if used else 0}


def test_one_after_the_other_the_teacher_reads_the_source_language(context, tmp_path, monkeypatch):
    """Also where no source batch is in the step: the target's own prompt has no say in its translation."""
    asked, original = [], Teacher.predict

    def predict(teacher, states, language):
        asked.append(language)
        return original(teacher, states, language)

    monkeypatch.setattr(Teacher, "predict", predict)
    trained(context("train.order=sequential", "alignment=[{name: prediction}]"), tmp_path)
    assert set(asked) == {SOURCE}


def test_another_method_is_scored_under_its_name(context, tmp_path):
    """What makes the network may be given, and gets what it needs."""
    seen = []

    def build(context, pools, head):
        seen.append((pools.source.language, pools.trial.seed))
        return graft(context, pools, head)

    trained(context(), tmp_path, factory=NetworkFactory("other", build))
    scores = list(read_lines(tmp_path / "trials" / TRIAL.name / "scores.jsonl"))
    assert {score["method"] for score in scores} == {"frozen-head", "instant", "other"}
    assert seen == [(SOURCE, 1)]


def test_validation_is_accuracy_on_the_development_set(context):
    """Of the source language, with the answers counted."""
    made = context()
    source, targets = learning_pools(made.materials.draws[0], made)
    head = closed_form_head(source, targets, Standardiser.fit(torch.stack(list(source.teacher.values()))), made)
    network = graft(made, pools_of(TRIAL, made), from_fitted_head(head))
    found = validation(network, context=made)
    dev = made.materials.dev
    logits, _ = predict_rows(network, made.pools[SOURCE, "dev"], [example.id for example in dev], SOURCE)
    said = [made.materials.task.labels[i] for i in torch.stack(logits).argmax(-1).tolist()]
    assert found.score == sum(a == example.label for a, example in zip(said, dev, strict=True)) / len(dev)
    assert found.predicted == Counter(said)
    assert found.classes == 3


def test_what_learnt_when_is_told_in_spans():
    """Epochs in which the same learnt share a sentence."""
    rows = [{"epoch": i, "trained": ["head"] if i < 3 else ["head", "prompt"]} for i in (1, 2, 3, 4)]
    assert describe_epochs(rows) == ["epochs 1-2 trained head", "epochs 3-4 trained head, prompt"]
    assert describe_epochs([]) == []


def test_a_language_without_pairs_and_shots_uses_the_task_part_alone(context, tmp_path):
    """A part of its own that never learnt would only disturb."""
    made = context("shots.k=0", parallel=None)
    run_trial(Trial(0, 0, 1), tmp_path, made, Reporter(quiet=True))
    path = tmp_path / "trials" / "k0-draw0-seed1" / "adaptation.safetensors"
    adaptation, identity = load_adaptation(path, made.backbone)
    assert identity.languages == ()
    assert not [name for name in adaptation.state_dict() if ".language." in name]
    model, encoded = GraftedModel(made.backbone.stack, adaptation), made.pools[TARGET, "test"]
    ids = [example.id for example in made.materials.test[TARGET]]
    torch.testing.assert_close(
        predict_rows(model, encoded, ids, TARGET)[0], predict_rows(model, encoded, ids, SOURCE)[0]
    )


class Ticking(Reporter):
    """A clock that ticks once whenever it is looked at; stops at a step, as Ctrl-C does."""

    def __init__(self, stop_at=None):
        self.ticks = itertools.count()
        super().__init__(quiet=True, clock=lambda: float(next(self.ticks)))
        self.steps_left = stop_at

    @contextmanager
    def task(self, title, total):
        """Count the steps of the training."""

        def advance(amount=1, note=""):
            if self.steps_left is not None and title.startswith("training"):
                self.steps_left -= 1
                if self.steps_left == 0:
                    raise KeyboardInterrupt

        yield advance


def test_the_seconds_before_a_stop_count_too(context, tmp_path):
    """A training that was continued took as long as both its parts."""
    made = context()
    with pytest.raises(KeyboardInterrupt):
        run_trial(TRIAL, tmp_path, made, Ticking(stop_at=3), save_every=-1.0)
    path = tmp_path / "trials" / TRIAL.name / "training.safetensors"
    state = load_training_state(path)
    save_training_state(path, replace(state, seconds=1000.0))
    run_trial(TRIAL, tmp_path, made, Ticking(), save_every=1e9)
    facts = read_object(tmp_path / "trials" / TRIAL.name / "trial.json")
    assert 0 < state.seconds < 100
    assert 1000 < facts["seconds"] < 1100


def test_a_damaged_state_is_told_and_the_trial_starts_anew(context, tmp_path):
    """One flipped bit must not continue with other weights, and is told in a quiet run too."""
    made, said = context(), []
    run_trial(TRIAL, tmp_path / "whole", made, Reporter(quiet=True))
    with pytest.raises(KeyboardInterrupt):
        run_trial(TRIAL, tmp_path / "stopped", made, Ticking(stop_at=4), save_every=-1.0)
    path = tmp_path / "stopped" / "trials" / TRIAL.name / "training.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    telling = Reporter(quiet=True)
    telling.warn = said.append
    run_trial(TRIAL, tmp_path / "stopped", made, telling)
    assert any("is damaged" in sentence and "starts anew" in sentence for sentence in said)
    ends = [tmp_path / name / "trials" / TRIAL.name / "adaptation.safetensors" for name in ("whole", "stopped")]
    assert ends[0].read_bytes() == ends[1].read_bytes()


# ---- Members ---------------------------------------------------------------------------------------

ALONE = ["map=null", "train.ngram_classifier=false", "train.last_layer_strength=null"]


def parts(folder):
    """What a trial saved."""
    return load_file(folder / "trials" / TRIAL.name / "adaptation.safetensors")


def test_what_is_saved_is_the_mean_of_the_members(context, tmp_path):
    """The first of two is what one alone gives; the second's share shows where the first's is said to be zero."""
    trained(context(*ALONE), tmp_path / "one")
    facts, rows = trained(context(*ALONE, "train.ensemble=2"), tmp_path / "two")
    zero = {name: torch.zeros_like(tensor) for name, tensor in parts(tmp_path / "one").items()}
    state = tmp_path / "second" / "trials" / TRIAL.name / "training.safetensors"
    save_training_state(state, TrainingState(member=1, members=zero))
    trained(context(*ALONE, "train.ensemble=2"), tmp_path / "second")

    one, two, half = (parts(tmp_path / name) for name in ("one", "two", "second"))
    assert one.keys() == two.keys()
    for name, tensor in two.items():
        torch.testing.assert_close(tensor, one[name] / 2 + half[name], atol=1e-6, rtol=1e-5)
    assert any(not torch.allclose(one[name], 2 * half[name], atol=1e-4) for name in one)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert facts["trained"] == sum(tensor.numel() for tensor in one.values())


@pytest.mark.parametrize("stop_at", [3, 5, 7])
def test_a_stopped_member_continues_as_if_it_had_not(context, tmp_path, stop_at):
    """In the first, and in the second, whose order is another."""
    made = context("train.ensemble=2")
    run_trial(TRIAL, tmp_path / "whole", made, Reporter(quiet=True))
    with pytest.raises(KeyboardInterrupt):
        run_trial(TRIAL, tmp_path / "stopped", made, Ticking(stop_at=stop_at), save_every=-1.0)
    run_trial(TRIAL, tmp_path / "stopped", made, Reporter(quiet=True))
    ends = [tmp_path / name / "trials" / TRIAL.name / "adaptation.safetensors" for name in ("whole", "stopped")]
    assert ends[0].read_bytes() == ends[1].read_bytes()


def test_a_frozen_head_can_weigh_shots(context):
    """With weight 1 as if they were the source's, with a tiny weight as if there were none."""
    made = context()
    (draw,) = made.materials.draws
    source, targets = learning_pools(draw, made)
    standardiser = Standardiser.fit(torch.stack(list(source.teacher.values())))
    alone = closed_form_head(source, [], standardiser, made)
    light = closed_form_head(source, targets, standardiser, made, shot_weight=1e-9)
    alike = closed_form_head(source, targets, standardiser, made)
    if light.strength == alone.strength:
        torch.testing.assert_close(light.weight, alone.weight, atol=1e-3, rtol=1e-2)
    assert not torch.allclose(alike.weight, alone.weight, atol=1e-3)
