"""What is closed-form in a run: map and n-gram classifier of each target language, before training and after."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from invented import SOURCE, TARGET, write_world
from lingraft.core.examples import PairExample, from_json
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import Trial
from lingraft.data.augmentation.code_switching import CODE_SWITCHING
from lingraft.model.checkpoint import load_adaptation
from lingraft.model.ensembles import stack_logits
from lingraft.model.heads.ngrams import fit_ngram_classifier
from lingraft.model.maps import Evidence, maps
from lingraft.model.network import GraftedModel
from lingraft.model.prediction import predict_rows
from lingraft.runs.plan import plan
from lingraft.runs.summary import trained_parts
from lingraft.serving.loading import load
from lingraft.tasks.material import GIVEN, is_own
from lingraft.training.ensembling import OF_LABEL, fit_ensembles, read_once
from lingraft.training.head_fits import fit_last_layer
from lingraft.training.pools import Context, pools_of
from trained_run import PARTS, trained_run

FROM_TASK = {"parallel": {"from": "task"}}
NOTHING_TRAINED = ("train.num_train_epochs=0", "train.last_layer_strength=null", "prompt=null", "adapter=null")
NAME = "k1-draw0-seed1"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, with enough ids for a language's words."""
    return write_world(tmp_path_factory.mktemp("world"), train=60, dev=6, test=8, pairs=30)


@pytest.fixture(scope="module")
def runs(world, tiny_backbone, tmp_path_factory):
    """A function that runs a small recipe, once for each name."""
    done = {}

    def run(name, *overrides, **changes):
        if name not in done:
            folder = tmp_path_factory.mktemp("runs") / name
            done[name] = trained_run(world, tiny_backbone, folder, *PARTS, "shots.k=1", *overrides, **changes)
        return done[name]

    return run


def confidences(run, language, column="confidence"):
    """Of all predictions in a language."""
    return [row[column] for row in read_lines(run.folder / "predictions" / NAME / f"{language}.jsonl")]


def adaptation_of(run):
    """Where the trial's adaptation is, and the adaptation."""
    path = run.folder / "trials" / NAME / "adaptation.safetensors"
    return path, load_adaptation(path, run.backbone)[0]


def context_of(run, **changes):
    """What the trials of a run share."""
    context = Context(run.recipe, run.materials, run.backbone, 1, run.pools, torch.device("cpu"))
    return replace(context, **changes)


def fitted(run, context):
    """The ensembles that are fitted to a run's network."""
    model = GraftedModel(run.backbone.stack, adaptation_of(run)[1])
    pools = pools_of(Trial(1, 0, 1), context)
    return fit_ensembles(partial(read_cached, model), model.adaptation.head, pools, context)


def read_cached(model, *asked):
    """Pooled states of examples."""
    return predict_rows(model, *asked)[1]


def test_what_is_trained_is_the_same_without_what_is_fitted(runs):
    """Map and n-grams add tensors of the target language and change its answers; beside them the head alone is another.

    Mapped shots count otherwise in it.
    """
    plain, both = runs("plain", "train.ngram_classifier=false", map=None, **FROM_TASK), runs("both", **FROM_TASK)
    assert confidences(plain, TARGET) != confidences(both, TARGET)
    theirs, ours = (load_file(adaptation_of(run)[0]) for run in (plain, both))
    assert all(name.startswith(f"ensembles.{TARGET}.") for name in set(ours) - set(theirs))
    assert len(ours) > len(theirs)
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs if not name.startswith("head."))


def test_answers_are_the_weighted_sum_of_the_mapped_head_and_the_n_grams(runs):
    """By hand, from the network's pooled states."""
    run = runs("both", **FROM_TASK)
    adaptation, examples = adaptation_of(run)[1], run.materials.test[TARGET]
    model, texts = GraftedModel(run.backbone.stack, adaptation), [example.text_a for example in examples]
    _, pooled = predict_rows(model, run.pools[TARGET, "test"], [example.id for example in examples], TARGET)
    ensemble = adaptation.ensembles[TARGET]
    of_head, of_ngrams = ensemble.weights
    logits = of_head * adaptation.head(ensemble.map(texts, pooled))
    logits = logits + of_ngrams * ensemble.classifiers["ngrams"](texts)
    assert confidences(run, TARGET) == pytest.approx(logits.softmax(1).max(1).values.tolist(), abs=1e-5)


def test_a_language_is_fitted_to_its_translations_and_shots(runs):
    """The map to states of pairs, the n-grams to predictions of the source side, weights to pairs without labels."""
    run = runs("both", **FROM_TASK)
    adaptation = adaptation_of(run)[1]
    model, (draw,) = GraftedModel(run.backbone.stack, adaptation), run.materials.draws
    read, labels = partial(predict_rows, model), run.materials.task.labels
    sides = zip(*draw.pairs[TARGET], strict=True)
    source, target = ([example.id for example in side] for side in sides)
    logits, goal = read(run.pools[SOURCE, "learn"], source, SOURCE)
    _, states = read(run.pools[TARGET, "learn"], target, TARGET)
    texts = [example.text_a for _, example in draw.pairs[TARGET]]
    found = maps.build("kernel")(Evidence(texts, states, goal, True, adaptation.head.weight.detach()))
    targets = dict(zip(texts, (row.softmax(0) for row in logits), strict=True))
    (shot,) = [s for s in draw.shots[TARGET] if s.label == labels[0]]
    for one in draw.shots[TARGET]:
        certain = torch.eye(len(labels))[labels.index(one.label)]
        targets[one.text_a] = OF_LABEL * certain + (1 - OF_LABEL) * targets[one.text_a]
    assert targets[shot.text_a][0] > OF_LABEL
    wanted = torch.stack(list(targets.values())).double().numpy()
    classifier, left_out = fit_ngram_classifier(list(targets), wanted)
    with torch.no_grad():
        parts = [adaptation.head(found.left_out).double().numpy(), left_out.double().numpy()]
    ours, shots = adaptation.ensembles[TARGET], {shot.id for shot in draw.shots[TARGET]}
    unlabelled = [row for row, example in enumerate(target) if example not in shots]
    assert len(unlabelled) == len(target) - len(labels)
    weights = stack_logits([part[unlabelled] for part in parts], wanted[unlabelled])
    torch.testing.assert_close(ours.weights.detach(), torch.tensor(weights).float(), atol=1e-3, rtol=0)
    for theirs, own in ((found.map, ours.map), (classifier, ours.classifiers["ngrams"])):
        for name, tensor in theirs.state_dict().items():
            torch.testing.assert_close(own.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


def test_a_saved_run_answers_with_its_map_again(runs):
    """Loaded in another place it says what it said, in the target language; in the source there is no ensemble."""
    run = runs("both", **FROM_TASK)
    adapted = load(adaptation_of(run)[0], backbone=run.backbone)
    texts = [example.text_a for example in run.materials.test[TARGET]]
    found = adapted.predict(texts, language=TARGET)
    assert [p.confidence for p in found] == pytest.approx(confidences(run, TARGET), abs=1e-5)
    rows = read_object(run.folder / "trials" / NAME / "probe.json")["languages"][TARGET]
    again = adapted.logits([from_json(row["example"], PairExample) for row in rows], TARGET)
    assert torch.stack(again).flatten().tolist() == pytest.approx([x for r in rows for x in r["logits"][0]], abs=1e-4)
    width = run.backbone.stack.width
    bare = adapted.model.ensemble(
        run.materials.test[TARGET], [torch.zeros(3)] * len(texts), torch.zeros(len(texts), width), SOURCE
    )
    assert all(logits.abs().max() == 0 for logits in bare)


@pytest.mark.parametrize(
    ("name", "overrides", "changes", "has"),
    [
        ("both", [], FROM_TASK, (True, True)),
        ("files", [], {}, (True, False)),
        ("few", ["train.max_pairs=12"], FROM_TASK, (True, False)),
        ("fewer", ["train.max_pairs=9"], FROM_TASK, None),
        ("unpassed", ["train.max_pairs=0"], FROM_TASK, None),
        ("no-map", [], {**FROM_TASK, "map": None}, (False, True)),
    ],
)
def test_what_is_fitted_depends_on_the_translations(runs, name, overrides, changes, has):
    """Any give a map, from ten on; the task's own texts an n-gram classifier too, from twenty on."""
    ensembles = adaptation_of(runs(name, *overrides, **changes))[1].ensembles
    found = [(one.map is not None, "ngrams" in one.classifiers) for one in ensembles.values()]
    assert found == ([has] if has else [])


def test_a_shot_that_has_a_translation_is_learnt_from_in_the_source_language(runs):
    """With its label; its mapped state has no part in the head, which the source language's states alone give."""
    run = runs("instant", *NOTHING_TRAINED, **FROM_TASK)
    context, (draw,) = context_of(run), run.materials.draws
    pools = pools_of(Trial(1, 0, 1), context)
    side = {target.id: source.id for source, target in draw.pairs[TARGET]}
    index = run.materials.task.labels.index
    added = {side[shot.id]: index(shot.label) for shot in draw.shots[TARGET]}
    assert len(added) == len(draw.shots[TARGET]) > 0
    assert pools.source.targets == {e.id: index(e.label) for e in draw.labelled} | added

    without = replace(pools, targets=tuple(replace(pool, labelled=frozenset()) for pool in pools.targets))
    model = GraftedModel(run.backbone.stack, adaptation_of(run)[1])
    found, alone = (
        fit_last_layer(partial(read_cached, model), model.adaptation.head, some, context) for some in (pools, without)
    )
    assert torch.equal(found.weight, alone.weight)


def test_pairs_that_are_not_learnt_from_give_no_labels(runs):
    """Their number is bounded by ``train.max_pairs``."""
    run = runs("both", **FROM_TASK)
    recipe = run.recipe.model_copy(update={"train": run.recipe.train.model_copy(update={"max_pairs": 0})})
    pools = pools_of(Trial(1, 0, 1), context_of(run, recipe=recipe))
    assert list(pools.source.targets) == [example.id for example in run.materials.draws[0].labelled]


def test_each_text_is_read_once_however_often_it_is_asked_for():
    """In each language of each set; what comes back is in the order that was asked."""
    asked = []

    def compute(encoded, ids, language):
        asked.append((encoded[0], tuple(ids), language))
        return torch.tensor([[float(i)] for i in ids])

    first, second = ["first"], ["second"]
    read = read_once(compute)
    assert read(first, ["1", "2", "1"], "a").flatten().tolist() == [1.0, 2.0, 1.0]
    assert read(first, ["3", "2"], "a").flatten().tolist() == [3.0, 2.0]
    assert read(first, ["2"], "b").flatten().tolist() == read(second, ["2"], "a").flatten().tolist() == [2.0]
    assert asked == [
        ("first", ("1", "2"), "a"),
        ("first", ("3",), "a"),
        ("first", ("2",), "b"),
        ("second", ("2",), "a"),
    ]


def test_texts_whose_labels_were_made_say_nothing_of_how_much_the_parts_count(runs):
    """The network has learnt them: where all have one, the parts count the same; a label of another text is nothing."""
    run = runs("both", **FROM_TASK)
    pairs, shots = run.materials.draws[0].pairs[TARGET], run.materials.draws[0].shots[TARGET]
    labels = run.materials.task.labels

    def weights(made):
        made = tuple(replace(one, id=f"pseudo/{one.id}", label=labels[0]) for one in made)
        draws = tuple(replace(draw, pseudo={TARGET: made}) for draw in run.materials.draws)
        return fitted(run, context_of(run, materials=replace(run.materials, draws=draws)))[TARGET].weights.tolist()

    other = replace(pairs[0][1], text_a="nobody wrote this")
    assert weights([other]) == weights([]) != [0.5, 0.5]
    assert weights([target for _, target in pairs] + [*shots]) == [0.5, 0.5]


def test_a_language_of_which_there_is_text_alone_has_a_map_too(runs):
    """It has no parts of its own, for nothing of it is trained on; its mean is moved all the same."""
    run = runs("both", **FROM_TASK)
    nothing, texts = {TARGET: ()}, tuple(target for _, target in run.materials.draws[0].pairs[TARGET])
    draws = tuple(replace(draw, pairs=nothing, shots=nothing) for draw in run.materials.draws)
    context = context_of(run, materials=replace(run.materials, draws=draws, unpaired={TARGET: texts}))
    (ensemble,) = fitted(run, context).values()
    shift = ensemble.map.move(torch.zeros(1, run.backbone.stack.width))
    assert shift.abs().max() > 0


def test_untrained_a_head_has_a_strength_of_frozen_states(runs):
    """What is set for adapted states has no say in it."""
    nothing = [one for one in NOTHING_TRAINED if "strength" not in one]
    set_to, chosen = runs("set", *nothing, **FROM_TASK), runs("chosen", *NOTHING_TRAINED, **FROM_TASK)
    assert confidences(set_to, TARGET) == confidences(chosen, TARGET)


def test_two_texts_have_neither_map_nor_words(runs):
    """What two texts have to do with each other is in neither."""
    run = runs("both", **FROM_TASK)
    assert list(fitted(run, context_of(run))) == [TARGET]
    pairs = replace(run.materials, dev=tuple(replace(e, text_b="another") for e in run.materials.dev))
    assert fitted(run, context_of(run, materials=pairs)) == {}


def test_a_language_without_a_test_set_has_a_map_too(runs):
    """What is saved answers as what is cross-validated, or will be tested elsewhere."""
    run = runs("both", **FROM_TASK)
    untested = replace(run.materials, test=dict.fromkeys(run.materials.test, ()))
    assert list(fitted(run, context_of(run, materials=untested))) == [TARGET]


def test_code_switched_copies_and_given_text_are_not_the_task_s_own():
    """Only a pair of two examples of the task is."""
    own = (PairExample("train/1/text", "1", SOURCE), PairExample("train/1/text", "1", TARGET))
    copy = (own[0], replace(own[1], origin=CODE_SWITCHING))
    given = tuple(replace(side, id=f"{GIVEN}{TARGET}/1/0") for side in own)
    assert [is_own(pair) for pair in (own, copy, given)] == [True, False, False]


def test_what_is_fitted_is_counted_as_the_language_s(runs):
    """In the list of what was trained it stands under the language, by what it is."""
    adaptation = adaptation_of(runs("both", **FROM_TASK))[1]
    ensemble = adaptation.ensembles[TARGET]
    counts = {(part["part"], part["name"]): part["count"] for part in trained_parts(adaptation)}
    part = f"language:{TARGET}"
    assert counts[part, "character n-gram classifier"] == ensemble.classifiers["ngrams"].weight.numel()
    assert counts[part, "map"] == sum(p.numel() for p in ensemble.map.parameters())
    assert counts[part, "weights"] == 2


def test_check_says_what_comes_in_closed_form(runs, tiny_checkpoint, tmp_path):
    """Without map and n-grams nothing is said."""
    run = runs("both", **FROM_TASK)
    backbone = run.recipe.backbone.model_copy(update={"checkpoint": str(tiny_checkpoint)})
    recipe = run.recipe.model_copy(update={"backbone": backbone, "output_dir": tmp_path / "run"})
    train = recipe.train.model_copy(update={"ngram_classifier": False})
    without = recipe.model_copy(update={"train": train, "map": None})
    said = [" ".join(line for line in plan(r).lines if "in closed form" in line) for r in (recipe, without)]
    assert said[0].endswith("; in closed form: a kernel map and a character n-gram classifier for Yoruba")
    assert said[1] == ""


# ---- Before any training ---------------------------------------------------------------------------


def test_a_run_says_what_closed_form_alone_gives(runs):
    """Scores and predictions of ``instant`` are those of a run that trains nothing."""
    run = runs("both", **FROM_TASK)
    alone = runs("alone", *NOTHING_TRAINED, **FROM_TASK)
    assert confidences(run, TARGET, "instant_confidence") == pytest.approx(confidences(alone, TARGET), abs=1e-4)
    scores = [
        {
            row["language"]: row["value"]
            for row in read_lines(one.folder / "trials" / NAME / "scores.jsonl")
            if (row["method"], row["metric"]) == (method, "accuracy")
        }
        for one, method in ((run, "instant"), (alone, "lingraft"))
    ]
    assert scores[0] == scores[1]
    assert set(scores[0]) == {SOURCE, TARGET}


def test_a_run_that_trains_nothing_is_not_compared_with_itself(runs):
    """Nor is one without maps and n-grams."""
    alone = runs("alone", *NOTHING_TRAINED, **FROM_TASK)
    plain = runs("plain", "train.ngram_classifier=false", map=None, **FROM_TASK)
    methods = [
        {row["method"] for row in read_lines(one.folder / "trials" / NAME / "scores.jsonl")} for one in (alone, plain)
    ]
    assert methods == [{"frozen-head", "lingraft"}] * 2


def test_a_head_is_not_fitted_again_where_that_changes_nothing(runs):
    """Without shots, and with nothing trained, the frozen head is what a fit would give."""
    run = runs("no shots", *NOTHING_TRAINED, "shots.k=0", **FROM_TASK)
    saved, _ = load_adaptation(run.folder / "trials" / "k0-draw0-seed1" / "adaptation.safetensors", run.backbone)
    model = GraftedModel(run.backbone.stack, saved)
    context = context_of(run)
    read = partial(read_cached, model)
    again = fit_last_layer(read, saved.head, pools_of(Trial(0, 0, 1), context), context)
    torch.testing.assert_close(saved.head.weight, again.weight)
    torch.testing.assert_close(saved.head.bias, again.bias)


def test_nothing_is_trained_where_no_epochs_are_asked_for(runs):
    """The history is empty, and nothing but the head and what is fitted is saved."""
    alone = runs("alone", *NOTHING_TRAINED, **FROM_TASK)
    assert list(read_lines(alone.folder / "trials" / NAME / "training.jsonl")) == []
    assert {name.partition(".")[0] for name in load_file(adaptation_of(alone)[0])} == {"head", "ensembles"}
