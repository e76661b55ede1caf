"""The character n-gram classifier: label projection from translations, and how much it and the network count."""

import math
import unicodedata
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.special import log_softmax, softmax
from sklearn.feature_extraction.text import TfidfVectorizer

from invented import SOURCE, TARGET, write_world
from lingraft.core.errors import CheckpointError
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import PairExample, from_json
from lingraft.data.augmentation.code_switching import CODE_SWITCHING
from lingraft.data.text import normalise
from lingraft.model.adaptation import Adaptation
from lingraft.model.checkpoint import load_adaptation
from lingraft.model.heads import restore_text_classifiers
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.heads.ngrams import SIZES, NgramClassifier, cut_ngrams, fit_ngram_classifier, stack_logits
from lingraft.model.network import GraftedModel
from lingraft.model.prediction import predict_rows
from lingraft.runs.plan import plan
from lingraft.runs.summary import trained_parts
from lingraft.serving.predictor import load
from lingraft.tasks.material import GIVEN, is_own
from lingraft.training.head_fits import fit_ngram_classifiers
from lingraft.training.pools import Context, learning_pools
from trained_run import PARTS, trained_run

SYLLABLES = {0: ("ba", "bo", "bi"), 1: ("ku", "ka", "ke")}


def invented_texts(count, seed):
    """Texts of two classes, told apart by the syllables of their words; and the classes."""
    generator = np.random.default_rng(seed)
    classes = generator.integers(0, 2, count)
    texts = [
        " ".join("".join(generator.choice(SYLLABLES[c], 3)) + generator.choice(["n", "m"]) for _ in range(6))
        for c in classes
    ]
    return list(dict(zip(texts, classes, strict=True))), np.asarray(
        list(dict(zip(texts, classes, strict=True)).values())
    )


def right(logits, classes):
    """The share of texts whose class has the highest logit."""
    return float((np.asarray(logits).argmax(1) == classes).mean())


# ---- The head --------------------------------------------------------------------------------------


def test_logits_are_those_of_the_definition():
    """Scaled network plus scaled tf-idf of n-grams within words, counted here one by one."""
    texts, classes = invented_texts(40, 0)
    head = fit_ngram_classifier(texts, np.eye(2)[classes], np.zeros((len(texts), 2)), 30.0)
    ngrams = list(head.columns)
    text, network = texts[3] + " zz", torch.tensor([[0.3, -1.2]])
    counts = Counter(
        piece[i : i + n]
        for piece in (f" {word} " for word in text.split())
        for n in range(2, 6)
        for i in range(len(piece) - n + 1)
    )
    documents = [
        {p[i : i + n] for p in (f" {w} " for w in t.split()) for n in range(2, 6) for i in range(len(p) - n + 1)}
        for t in texts
    ]
    values = [
        (1 + math.log(counts[g])) * (1 + math.log((1 + len(texts)) / (1 + sum(g in d for d in documents))))
        if counts[g]
        else 0.0
        for g in ngrams
    ]
    values = np.asarray(values) / np.linalg.norm(values)
    assert {g for d in documents for g in d if sum(g in other for other in documents) > 1} == set(ngrams)
    scales = head.scales.detach().numpy()
    expected = scales[0] * network.numpy() + scales[1] * (head.weight.detach().numpy() @ values)
    assert np.allclose(head([text], network).detach().numpy(), expected, atol=1e-5)


@given(st.text(max_size=40))
def test_n_grams_are_cut_as_scikit_learn_cuts_them(text):
    """What reads a text to predict is not what counted the texts to learn."""
    vectorizer = TfidfVectorizer(preprocessor=normalise, analyzer="char_wb", ngram_range=SIZES)

    assert cut_ngrams(text) == vectorizer.build_analyzer()(text)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_words_are_learned_where_the_network_knows_nothing(mode):
    """From soft targets; new texts of the same language come out right."""
    texts, classes = invented_texts(60, 1)
    new, expected = invented_texts(80, 2)
    noise = np.random.default_rng(3).normal(0, 0.1, (len(texts), 2))
    head = getattr(fit_ngram_classifier(texts, np.eye(2)[classes] * 0.8 + 0.1, noise, 30.0), mode)()
    assert right(head(new, torch.zeros(len(new), 2)).detach(), expected) > 0.95
    assert head.scales[1] > 0.5


def test_words_that_say_nothing_count_nothing():
    """Where the classes have nothing to do with the words, the network decides alone."""
    texts, _ = invented_texts(200, 4)
    classes = np.random.default_rng(5).integers(0, 2, len(texts))
    network = np.eye(2)[classes] * 3 + np.random.default_rng(6).normal(0, 1, (len(texts), 2))
    head = fit_ngram_classifier(texts, np.eye(2)[classes], network, 30.0)
    assert head.scales[1] < 0.1
    found = head(texts, torch.tensor(network).float()).detach().numpy()
    assert (found.argmax(1) == network.argmax(1)).mean() > 0.97


def test_a_text_of_unknown_words_is_the_network_s():
    """There is no bias that would say which class is more frequent."""
    texts, classes = invented_texts(60, 7)
    uneven = np.eye(3)[np.where(np.arange(len(texts)) < 5, 1 - classes, classes)]
    head = fit_ngram_classifier(texts, uneven, np.zeros((len(texts), 3)), 30.0)
    network = torch.tensor([[0.5, -0.5, 2.0]])
    assert torch.equal(head(["zzz xxx"], network), head.scales[0] * network)


def test_a_class_that_no_text_has_weighs_nothing():
    """And two classes out of three are still told apart."""
    texts, classes = invented_texts(60, 8)
    head = fit_ngram_classifier(texts, np.eye(3)[classes * 2], np.zeros((len(texts), 3)), 30.0)
    assert head.weight[1].abs().max() == 0
    assert torch.allclose(head.weight[0], -head.weight[2])
    assert right(head(texts, torch.zeros(len(texts), 3)).detach()[:, [0, 2]], classes) == 1.0


def test_factors_are_those_of_a_search_over_a_grid():
    """The closest to the targets of all pairs of factors, none below 0."""
    generator = np.random.default_rng(9)
    targets = softmax(generator.normal(0, 2, (80, 4)), axis=1)
    network, words = (np.log(targets) * f + generator.normal(0, s, (80, 4)) for f, s in ((0.7, 1.0), (0.5, 1.5)))

    def loss(a, b):
        return -(targets * log_softmax(a * network + b * words, axis=1)).sum(1).mean()

    a, b = stack_logits(network, words, targets)
    grid = np.arange(0, 2, 0.02)
    best = min((loss(x, y), x, y) for x in grid for y in grid)
    assert loss(a, b) <= best[0] + 1e-6
    assert np.allclose([a, b], best[1:], atol=0.02)
    assert stack_logits(network, -words, targets)[1] == 0


def test_factors_are_found_in_single_precision_too():
    """The network's logits come as float32; the search is in float64."""
    generator = np.random.default_rng(11)
    targets = softmax(generator.normal(0, 2, (80, 3)), axis=1)
    sides = [np.log(targets) * f + generator.normal(0, 1, (80, 3)) for f in (0.7, 0.5)]
    single = [np.asarray(values, dtype=np.float32) for values in (*sides, targets)]
    found = stack_logits(*single)
    assert np.allclose(found, stack_logits(*sides, targets), atol=1e-3)
    assert not np.allclose(found, [1.0, 0.1], atol=1e-2)


def test_words_are_the_same_in_any_normal_form():
    """What was learned of composed letters is known of decomposed ones, and of capitals."""
    texts, classes = invented_texts(60, 12)
    marked = [text.replace("a", "á").replace("i", "í") for text in texts]
    head = fit_ngram_classifier(marked, np.eye(2)[classes], np.zeros((len(texts), 2)), 30.0)
    network = torch.zeros(len(texts), 2)
    expected = head(marked, network)
    for form in (lambda t: unicodedata.normalize("NFD", t), str.upper):
        assert torch.equal(head([form(text) for text in marked], network), expected)


def test_two_texts_are_left_to_the_network():
    """A benchmark of pairs may have the labels of one of texts."""
    texts, classes = invented_texts(40, 13)
    head = fit_ngram_classifier(texts, np.eye(2)[classes], np.zeros((len(texts), 2)), 30.0)
    one = PairExample("1", "1", TARGET, text_a=texts[0])
    two = replace(one, text_b="ku")
    logits = [torch.tensor([0.1, 0.2])]
    adaptation = Adaptation(None, None, LinearClassifier(3, 2))
    adaptation.add_text_classifier(TARGET, head)
    assert adaptation.ensemble([two], logits, TARGET) is logits
    assert adaptation.ensemble([one], logits, SOURCE) is logits
    (found,) = adaptation.ensemble([one], logits, TARGET)
    assert torch.equal(found, head([texts[0]], logits[0][None])[0])


@pytest.mark.parametrize("texts", [[], [f"ba bo {i}" for i in range(19)], [chr(0x4E00 + i) for i in range(30)]])
def test_too_little_teaches_nothing(texts):
    """No texts, too few of them, or none that has an n-gram in common with another."""
    targets = np.full((len(texts), 2), 0.5)
    assert fit_ngram_classifier(texts, targets, targets, 30.0) is None


def test_texts_of_one_class_teach_nothing_but_break_nothing():
    """All weights are 0."""
    texts, _ = invented_texts(30, 10)
    head = fit_ngram_classifier(texts, np.eye(2)[np.zeros(len(texts), dtype=int)], np.zeros((len(texts), 2)), 30.0)
    assert head.weight.abs().max() == 0


# ---- Files -----------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=5).filter(lambda s: s.isprintable()), min_size=1, unique=True))
def test_any_n_grams_survive_being_saved(ngrams):
    """Whatever the script, they come back in their order with their weights."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, len(ngrams), generator=generator)
    head = NgramClassifier(ngrams, torch.rand(len(ngrams), generator=generator) + 1, weight, torch.tensor([0.9, 0.4]))
    tensors = {f"text_classifiers.ngrams.abc-Latn.{name}": tensor for name, tensor in head.state_dict().items()}
    ((language, found),) = restore_text_classifiers(tensors, "a file")
    assert language == "abc-Latn"
    assert list(found.columns) == ngrams
    network = torch.zeros(len(ngrams), 3)
    assert torch.equal(found(ngrams, network), head(ngrams, network))


@pytest.mark.parametrize("part", ["ngrams", "idf", "weight", "scales", "twice", "shape", "text"])
def test_a_damaged_head_is_refused(part):
    """Something is missing, doubled, of another size, or no list of n-grams."""
    head = NgramClassifier(["ab", "cd"], torch.ones(2), torch.ones(3, 2), torch.ones(2))
    tensors = {f"text_classifiers.ngrams.abc-Latn.{name}": tensor for name, tensor in head.state_dict().items()}
    changed = {
        "twice": ("ngrams", torch.tensor(list(b'["ab","ab"]'), dtype=torch.uint8)),
        "text": ("ngrams", torch.tensor(list(b"\xff{"), dtype=torch.uint8)),
        "shape": ("weight", torch.ones(3, 5)),
    }
    if part in changed:
        name, tensor = changed[part]
        tensors[f"text_classifiers.ngrams.abc-Latn.{name}"] = tensor
    else:
        del tensors[f"text_classifiers.ngrams.abc-Latn.{part}"]
    message = r"a file: the character n-gram classifier of abc-Latn cannot be read .*run the recipe again"
    with pytest.raises(CheckpointError, match=message):
        restore_text_classifiers(tensors, "a file")


def test_a_text_classifier_of_an_unknown_kind_is_refused():
    """Made with a package that is not installed here, for example."""
    with pytest.raises(CheckpointError, match="a file holds a text classifier 'words2'; known are ngrams"):
        restore_text_classifiers({"text_classifiers.words2.abc-Latn.weight": torch.ones(1)}, "a file")


# ---- A run -----------------------------------------------------------------------------------------

FROM_TASK = {"parallel": {"from": "task"}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, with enough ids for a language's words."""
    return write_world(tmp_path_factory.mktemp("world"), train=60, dev=6, test=8, pairs=30)


@pytest.fixture(scope="module")
def runs(world, tiny_backbone, tmp_path_factory):
    """A function that runs a small recipe, with the words or without, once for each."""
    done = {}

    def run(name, *overrides, **changes):
        if name not in done:
            folder = tmp_path_factory.mktemp("runs") / name
            done[name] = trained_run(world, tiny_backbone, folder, *PARTS, "shots.k=1", *overrides, **changes)
        return done[name]

    return run


def confidences(run, language):
    """Of all predictions in a language."""
    trial = "k1-draw0-seed1"
    return [row["confidence"] for row in read_lines(run.folder / "predictions" / trial / f"{language}.jsonl")]


def test_a_run_adds_its_words_in_the_target_language_alone(runs):
    """Everything else is what it is without them, and what is predicted is the head's sum."""
    plain, both = runs("plain", "train.ngram_classifier_strength=null", **FROM_TASK), runs("both", **FROM_TASK)
    assert confidences(plain, SOURCE) == confidences(both, SOURCE)
    assert confidences(plain, TARGET) != confidences(both, TARGET)
    path = both.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors"
    theirs, ours = (load_file(run.folder / "trials" / "k1-draw0-seed1" / path.name) for run in (plain, both))
    assert set(ours) - set(theirs) == {
        f"text_classifiers.ngrams.{TARGET}.{part}" for part in ("ngrams", "idf", "weight", "scales")
    }
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    adaptation, _ = load_adaptation(path, both.backbone)
    examples = both.materials.test[TARGET]
    network, _ = predict_rows(
        GraftedModel(both.backbone.stack, adaptation), both.pools[TARGET, "test"], [e.id for e in examples], TARGET
    )
    head = adaptation.text_classifiers["ngrams"][TARGET]
    expected = head([e.text_a for e in examples], torch.stack(network)).softmax(1).max(1).values
    assert confidences(both, TARGET) == pytest.approx(expected.tolist(), abs=1e-5)
    count = read_object(both.folder / "trials" / "k1-draw0-seed1" / "trial.json")["trained"]
    assert count == read_object(plain.folder / "trials" / "k1-draw0-seed1" / "trial.json")["trained"] + (
        head.weight.numel() + head.scales.numel()
    )


def test_the_words_learn_what_the_model_makes_of_the_translations(runs):
    """The source side of the pairs, read by the adapted model; a shot counts with its label."""
    run = runs("both", **FROM_TASK)
    path = run.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors"
    adaptation, _ = load_adaptation(path, run.backbone)
    model, (draw,) = GraftedModel(run.backbone.stack, adaptation), run.materials.draws
    projected, known = {}, {}
    for source, target in draw.pairs[TARGET]:
        (logits,), _ = predict_rows(model, run.pools[SOURCE, "learn"], [source.id], SOURCE)
        projected[target.text_a], known[target.text_a] = logits.softmax(0).numpy(), target
    for shot in draw.shots[TARGET]:
        projected[shot.text_a] = np.eye(3, dtype=np.float32)[run.materials.task.labels.index(shot.label)]
        known[shot.text_a] = shot
    network, _ = predict_rows(model, run.pools[TARGET, "learn"], [e.id for e in known.values()], TARGET)
    expected = fit_ngram_classifier(
        list(projected), np.stack(list(projected.values())), torch.stack(network).numpy(), 30.0
    )
    for name, tensor in expected.state_dict().items():
        assert torch.allclose(
            adaptation.text_classifiers["ngrams"][TARGET].state_dict()[name].float(), tensor.float(), atol=1e-4
        ), name


def test_a_saved_run_reads_words_again(runs):
    """Loaded in another place it says what it said, in the target language, in the source and in none."""
    run = runs("both", **FROM_TASK)
    adapted = load(run.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors", backbone=run.backbone)
    texts = [example.text_a for example in run.materials.test[TARGET]]
    found = adapted.predict(texts, language=TARGET)
    assert [p.confidence for p in found] == pytest.approx(confidences(run, TARGET), abs=1e-5)
    rows = read_object(run.folder / "trials" / "k1-draw0-seed1" / "probe.json")["languages"][TARGET]
    again = adapted.logits([from_json(row["example"], PairExample) for row in rows], TARGET)
    assert torch.stack(again).flatten().tolist() == pytest.approx([x for r in rows for x in r["logits"][0]], abs=1e-4)
    bare = adapted.model.ensemble(run.materials.test[TARGET], [torch.zeros(3)] * len(texts), SOURCE)
    assert all(logits.abs().max() == 0 for logits in bare)


@pytest.mark.parametrize(
    ("name", "overrides", "changes"),
    [
        ("files", [], {}),
        ("unpassed", ["train.max_pairs=0"], FROM_TASK),
        ("few", ["train.max_pairs=10"], FROM_TASK),
    ],
)
def test_only_translations_of_the_task_s_own_texts_teach_words(runs, name, overrides, changes):
    """Parallel text of other origin has none of the task's classes; and too few pairs teach nothing."""
    run = runs(name, *overrides, **changes)
    tensors = load_file(run.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors")
    assert not any(name.startswith("text_classifiers") for name in tensors)


def test_a_damaged_file_says_whose_words(runs, tmp_path):
    """Without the weights of its n-grams an adaptation is not whole."""
    run = runs("both", **FROM_TASK)
    path = run.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    del tensors[f"text_classifiers.ngrams.{TARGET}.idf"]
    save_file(tensors, tmp_path / "adaptation.safetensors", metadata=metadata)
    with pytest.raises(CheckpointError, match=f"the character n-gram classifier of {TARGET} cannot be read"):
        load_adaptation(tmp_path / "adaptation.safetensors", run.backbone)


def test_two_texts_have_no_words(runs):
    """What two texts have to do with each other is not in the words of either."""
    run = runs("both", **FROM_TASK)
    context = Context(run.recipe, run.materials, run.backbone, 1, run.pools, torch.device("cpu"))
    (draw,) = run.materials.draws
    path = run.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors"
    model = GraftedModel(run.backbone.stack, load_adaptation(path, run.backbone)[0])
    _, targets = learning_pools(draw, context)
    assert list(fit_ngram_classifiers(model, targets, draw, context)) == [TARGET]
    pairs = replace(run.materials, dev=tuple(replace(e, text_b="another") for e in run.materials.dev))
    assert fit_ngram_classifiers(model, targets, draw, replace(context, materials=pairs)) == {}


def test_code_switched_copies_and_given_text_are_not_the_task_s_own():
    """Only a pair of two examples of the task is."""
    own = (PairExample("train/1/text", "1", SOURCE), PairExample("train/1/text", "1", TARGET))
    copy = (own[0], replace(own[1], origin=CODE_SWITCHING))
    given = tuple(replace(side, id=f"{GIVEN}{TARGET}/1/0") for side in own)
    assert [is_own(pair) for pair in (own, copy, given)] == [True, False, False]


def test_the_words_are_counted_as_the_language_s(runs):
    """In the list of what was trained they stand under the language, by what they are."""
    run = runs("both", **FROM_TASK)
    path = run.folder / "trials" / "k1-draw0-seed1" / "adaptation.safetensors"
    adaptation, _ = load_adaptation(path, run.backbone)
    head = adaptation.text_classifiers["ngrams"][TARGET]
    counts = {(part["part"], part["name"]): part["count"] for part in trained_parts(adaptation)}
    assert counts[f"language:{TARGET}", "character n-gram classifier"] == head.weight.numel() + 2


def test_a_network_of_peft_s_learns_no_words(runs):
    """It passes pairs if told to, and is saved without."""
    run = runs("both", **FROM_TASK)
    context = Context(run.recipe, run.materials, run.backbone, 1, run.pools, torch.device("cpu"))
    (draw,) = run.materials.draws
    _, targets = learning_pools(draw, context)
    assert fit_ngram_classifiers(SimpleNamespace(adaptation=torch.nn.Linear(1, 1)), targets, draw, context) == {}


def test_check_says_that_words_come_on_top(runs, tiny_checkpoint, tmp_path):
    """Their number is known when they are learned; without them nothing is said."""
    run = runs("both", **FROM_TASK)
    backbone = run.recipe.backbone.model_copy(update={"checkpoint": str(tiny_checkpoint)})
    recipe = run.recipe.model_copy(update={"backbone": backbone, "output_dir": tmp_path / "run"})
    without = recipe.model_copy(update={"train": recipe.train.model_copy(update={"ngram_classifier_strength": None})})
    said = [
        any("a character n-gram classifier for Yoruba" in line for line in plan(r).lines) for r in (recipe, without)
    ]
    assert said == [True, False]
