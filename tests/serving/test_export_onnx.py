"""A run as a graph: onnxruntime and the program beside it give the answers that the run gives."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from answering import LABELS, adapted_of
from invented import TARGET, world_recipe, write_world
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.pooling import pooled_by
from lingraft.core.errors import CheckpointError
from lingraft.core.examples import TaggedExample
from lingraft.model.adaptation import build_adaptation
from lingraft.model.ensembles import LanguageEnsemble
from lingraft.model.heads.ngrams import NgramClassifier
from lingraft.model.maps import LanguageMap
from lingraft.model.ngram_features import NgramFeatures, cut_ngrams
from lingraft.recipe.blocks import Block
from lingraft.results.metrics.spans import repair_tags
from lingraft.results.run_files import read_run
from lingraft.serving.export import Trained
from lingraft.serving.export.onnx import write_onnx
from lingraft.serving.export.predict_onnx import Exported, answer, repaired
from lingraft.serving.export.predict_onnx import cut_ngrams as cut_outside
from quick_run import run
from tiny import random_model, save_checkpoint

pytest.importorskip("onnxscript", reason="needs the extra onnx")

CODE = "yor-Latn"
TEXTS = ["ada beli", "Cora dune eli fara goma hilu iva", "fara", "ADA  beli,", "kelo"]
PROMPTS = {"deep": Block(name="deep", length=2, language_length=1), "memory": Block(name="memory"), "none": None}
ADAPTERS = {
    "bottleneck": Block(name="bottleneck", width=4, language_width=2),
    "lora": Block(name="lora", rank=2),
    "none": None,
}


def grafted(backbone, kind="classification", prompt="deep", adapter="bottleneck", **known):
    """A loaded run whose parts are random."""
    adapted = adapted_of(backbone, kind, **known)
    torch.manual_seed(1)
    parts = build_adaptation(
        prompt=PROMPTS[prompt],
        adapter=ADAPTERS[adapter],
        stack=backbone.stack,
        cut=adapted.identity.cut,
        languages=adapted.identity.languages,
        head=adapted.model.adaptation.head,
        initial=lambda how, layer, count: torch.randn(count, backbone.stack.width),
    )
    for parameter in parts.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    torch.nn.init.normal_(parts.head.weight)
    adapted.model.adaptation = parts.eval()
    return adapted


def with_ensemble(adapted):
    """The same with a map that reads n-grams, and an n-gram classifier with others."""
    draw, width = torch.Generator().manual_seed(3), adapted.backbone.stack.width
    of_map = NgramFeatures([" ad", "ada", "beli ", " co"], torch.rand(4, generator=draw) + 1)
    of_classifier = NgramFeatures(["far", " fara", "eli"], torch.rand(3, generator=draw) + 1)
    sizes = ((width,), (width,), (width, 2), (2, width), (2,))
    moving = LanguageMap(
        *(torch.randn(*size, generator=draw) for size in sizes), of_map, torch.randn(4, 2, generator=draw)
    )
    bias = torch.randn(3, generator=draw) if adapted.kind.label_logits else None
    speaking = NgramClassifier(of_classifier, torch.randn(3, 3, generator=draw), bias)
    weights = torch.tensor([0.6, 1.2])
    adapted.model.adaptation.add_ensemble(CODE, LanguageEnsemble(weights, moving, {"ngrams": speaking}))
    return adapted


def written(adapted, folder, **options):
    """The exported model of a loaded run."""
    write_onnx(Trained(folder / "no run", adapted, CODE, **options), folder)
    return Exported(folder)


@pytest.fixture(scope="module")
def whole(tiny_backbone, tmp_path_factory):
    """A loaded run with everything, and the folder of its export, with weights in 8 bits besides."""
    adapted, folder = with_ensemble(grafted(tiny_backbone)), tmp_path_factory.mktemp("whole")
    written(adapted, folder, int8=True)
    return adapted, folder


def test_map_and_ngrams_are_in_the_graph(whole):
    """With two vocabularies, for texts of any length, one or several."""
    adapted, folder = whole
    expected, exported = adapted.predict_proba(TEXTS, language=CODE).values, Exported(folder)
    assert np.abs(exported.probabilities(TEXTS) - expected).max() < 1e-5
    assert np.abs(exported.probabilities(TEXTS[1:2]) - expected[1:2]).max() < 1e-5
    assert np.ptp(expected, axis=0).max() > 0.01


@pytest.mark.parametrize(
    ("family", "prompt"),
    [(name, "deep") for name in ("xlm-roberta", "modernbert", "deberta-v2", "gemma3_text", "bloom", "umt5")]
    + [("xlm-roberta", "memory"), ("gemma3_text", "memory")],
)
def test_a_graph_answers_as_the_network_does(family, prompt, tmp_path):
    """In every family, with a prompt and an adapter."""
    save_checkpoint(tmp_path / "checkpoint", random_model(family))
    adapted = grafted(load_backbone(str(tmp_path / "checkpoint")), prompt=prompt)
    (tmp_path / "out").mkdir()
    exported = written(adapted, tmp_path / "out")
    expected = adapted.predict_proba(TEXTS, language=CODE).values
    assert np.abs(exported.probabilities(TEXTS) - expected).max() < 1e-5
    assert np.abs(exported.probabilities(TEXTS[1:2]) - expected[1:2]).max() < 1e-5
    assert np.ptp(expected, axis=0).max() > 0.01


def test_a_graph_reads_the_last_token_where_the_run_does(tmp_path):
    """Of each text of a batch of several lengths, in another place."""
    backbone = load_backbone(str(save_checkpoint(tmp_path / "checkpoint", random_model("gemma3_text"))))
    (tmp_path / "out").mkdir()
    adapted = grafted(pooled_by(backbone, "last"))
    expected = adapted.predict_proba(TEXTS, language=CODE).values
    assert np.abs(written(adapted, tmp_path / "out").probabilities(TEXTS) - expected).max() < 1e-5
    mean = grafted(backbone).predict_proba(TEXTS, language=CODE).values
    assert np.abs(mean - expected).max() > 0.01


def test_lora_is_merged_into_the_graph(tiny_backbone, tmp_path):
    """Beside a prompt."""
    adapted = grafted(tiny_backbone, adapter="lora")
    expected = adapted.predict_proba(TEXTS, language=CODE).values
    assert np.abs(written(adapted, tmp_path).probabilities(TEXTS) - expected).max() < 1e-5


def test_the_network_alone_is_exported_where_that_is_asked_for(tiny_backbone, tmp_path):
    """Without map and n-grams, and so without other answers."""
    adapted = with_ensemble(grafted(tiny_backbone, prompt="none", adapter="none"))
    both = adapted.predict_proba(TEXTS, language=CODE).values
    alone = written(adapted, tmp_path, ensembled=False).probabilities(TEXTS)
    adapted.model.adaptation.ensembles.clear()
    assert np.abs(alone - adapted.predict_proba(TEXTS, language=CODE).values).max() < 1e-5
    assert np.abs(both - alone).max() > 0.05


@pytest.mark.parametrize("complete", [with_ensemble, lambda adapted: adapted], ids=["ensemble", "network"])
def test_labels_are_given_above_the_threshold(complete, tiny_backbone, tmp_path):
    """With the probability of just these; of the program's line the labels have | between them."""
    adapted = complete(grafted(tiny_backbone, "multilabel"))
    shares = np.sort(adapted.predict_proba(TEXTS, language=CODE).values, axis=None)
    middle = np.log(shares / (1 - shares))[len(TEXTS) + 1 :][
        :2
    ].mean()  # between two texts with the label in the middle
    adapted.model.adaptation.head.threshold.fill_(middle)
    expected, exported = adapted.predict(TEXTS, language=CODE), written(adapted, tmp_path)
    found = exported.labels(TEXTS)
    assert [tuple(labels) for labels, _ in found] == [one.labels for one in expected]
    assert [share for _, share in found] == pytest.approx([one.confidence for one in expected], abs=1e-5)
    assert len({one.labels for one in expected}) > 1
    lines = [line.split("\t")[0] for line in answer(exported, [*TEXTS, ""])]
    assert lines == [*(one.value for one in expected), ""]


def test_pairs_are_read_as_pairs(tiny_backbone, tmp_path):
    """The prefix stands before the first text."""
    adapted = grafted(tiny_backbone, paired=True, text_prefix="luma ")
    pairs = [("ada beli", "cora"), ("dune", "eli fara goma")]
    expected = adapted.predict_proba(pairs, language=CODE).values
    assert np.abs(written(adapted, tmp_path).probabilities(pairs) - expected).max() < 1e-5


def test_words_get_their_tags(tiny_backbone, tmp_path):
    """One each, in BIO, whatever the prefix."""
    adapted = grafted(tiny_backbone, "tagging", text_prefix="luma ", kind_options={"scheme": "bio"})
    sentences = [["ada", "beli", "cora"], ["dune"], ["eli", "fara", "goma", "hilu", "iva"]]
    examples = [TaggedExample(str(i), str(i), CODE, words=tuple(words)) for i, words in enumerate(sentences)]
    with torch.no_grad():  # so that no tag is the likeliest of all words
        adapted.model.adaptation.head.bias -= torch.cat(adapted.logits(examples, CODE)).mean(0)
    expected = [one.value.split() for one in adapted.predict(sentences, language=CODE)]
    assert written(adapted, tmp_path).tags(sentences) == expected
    assert len({tag for tags in expected for tag in tags}) > 1


def test_weights_in_8_bits_are_written_beside(whole):
    """Smaller, and near."""
    _, folder = whole
    exact, rough = (Exported(folder, name).probabilities(TEXTS) for name in ("model.onnx", "model.int8.onnx"))
    assert (folder / "model.int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size
    assert 0 < np.abs(rough - exact).max() < 0.2


def test_the_program_needs_no_lingraft(whole, tmp_path):
    """It answers lines of a file, in a process in which lingraft cannot be imported."""
    adapted, written_to = whole
    folder = shutil.copytree(written_to, tmp_path / "elsewhere")
    (folder / "lingraft.py").write_text("raise ImportError('not here')")
    (folder / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "predict.py", "texts.txt"], cwd=folder, capture_output=True, text=True, check=True
    )
    expected = adapted.predict(TEXTS, language=CODE)
    assert done.stdout.splitlines() == [f"{one.value}\t{one.confidence:.4f}" for one in expected]


def test_lines_of_the_program_stay_in_their_place(whole):
    """Whatever else looks like the end of a line; an empty one has an empty answer."""
    adapted, folder = whole
    text = "\ufeffada beli\r\n\n  \ncora\u2028dune\x0celi\u0085fara\n"
    done = subprocess.run([sys.executable, folder / "predict.py"], input=text.encode(), capture_output=True, check=True)
    first, last = adapted.predict(["ada beli", "cora\u2028dune\x0celi\u0085fara"], language=CODE)
    expected = [
        f"{first.value}\t{first.confidence:.4f}",
        "\t0.0000",
        "\t0.0000",
        f"{last.value}\t{last.confidence:.4f}",
    ]
    assert done.stdout.decode().split("\n") == [*expected, ""]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "nowhere.txt: [Errno 2] No such file"),
        (["--model", "other.onnx"], "--model: there is no other.onnx beside this program"),
        (["latin.txt"], "latin.txt: 'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_a_slip_is_a_line_of_the_program(arguments, message, whole, tmp_path):
    """And no traceback."""
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    given = [str(tmp_path / one) if one == "latin.txt" else one for one in arguments]
    done = subprocess.run([sys.executable, whole[1] / "predict.py", *given], input="", capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_line_that_is_no_pair_is_named(tiny_backbone, tmp_path):
    """With its number; the pair before it is answered."""
    adapted = grafted(tiny_backbone, paired=True, prompt="none", adapter="none")
    exported = written(adapted, tmp_path)
    (pair,) = adapted.predict([("ada", "beli")], language=CODE)
    assert list(answer(exported, ["ada\tbeli", ""])) == [f"{pair.value}\t{pair.confidence:.4f}", "\t0.0000"]
    with pytest.raises(ValueError, match="line 2: expected two texts with a tab between them"):
        list(answer(exported, ["ada\tbeli", "cora"]))


def test_sentences_that_are_cut_are_counted(tiny_backbone, tmp_path):
    """Their first words have tags."""
    adapted = grafted(tiny_backbone, "tagging", prompt="none", adapter="none", kind_options={"scheme": "plain"})
    exported = written(adapted, tmp_path)
    assert len(exported.tags([["ada"] * 50, ["beli"]])[0]) == 50
    assert exported.cut == 1


@pytest.mark.parametrize("text", ["", "a", "ab", "abc", "abcd ab", "ÀBÇ  déf\tghijkl", "e\u0301a\u0301", "ẹ̀kọ́ ﬁn"])
def test_the_program_cuts_the_ngrams_that_were_learnt(text):
    """Of any text, in any order."""
    assert sorted(cut_outside(text)) == sorted(cut_ngrams(text))


@pytest.mark.parametrize("tags", ["O I-PER I-PER O", "B-LOC I-PER I-PER", "I-LOC B-LOC I-LOC", "B-PER O I-PER"])
def test_the_program_repairs_tags_as_the_run_does(tags):
    """Each span begins with B."""
    assert repaired(tags.split()) == repair_tags(tags.split())


@pytest.mark.parametrize(("kind", "message"), [("span_qa", "is a run for span_qa"), ("choice", "is a run for choice")])
def test_a_kind_that_the_program_cannot_answer_is_refused(kind, message, tiny_backbone, tmp_path):
    """With what can be exported."""
    with pytest.raises(CheckpointError, match=message):
        written(adapted_of(tiny_backbone, kind), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_needed_beside_the_graph_is_written_down(whole):
    """Labels in the order of the logits, and the longest input."""
    about = json.loads((whole[1] / "about.json").read_text(encoding="utf-8"))
    assert (tuple(about["labels"]), about["max_length"], about["language"]) == (LABELS["classification"], 32, CODE)


# ---- The command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tiny_checkpoint, tmp_path_factory):
    """A finished run with translations of its texts, so with a map."""
    world = write_world(tmp_path_factory.mktemp("world"), train=30)
    folder = tmp_path_factory.mktemp("finished") / "run"
    settings = ["train.num_train_epochs=1", "seeds=[1]", f"output_dir={folder}"]
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 20}
    return run(world_recipe(world, settings, backbone=backbone, parallel={"from": "task"}))


def test_the_test_texts_of_a_run_are_answered_as_the_run_did(finished, command, tmp_path):
    """What is written is tried on them, and the folder is there as a whole."""
    done = command("export", str(finished), "--to", "onnx", "-o", str(tmp_path / "out"))
    predictions = read_run(finished).predictions(read_run(finished).selected_trial, TARGET)
    right = sum(row["value"] == row["gold"] for row in predictions)
    same = f"{len(predictions)} of {len(predictions)} test texts in Yoruba are answered as by the run, {right} rightly"
    assert (done.code, done.err) == (0, "")
    assert same in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "about.json", "model.onnx", "predict.py", "tokenizer.json"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "onx"], "--to: unknown format 'onx'; did you mean 'onnx'?"),
        (
            ["--to", "onnx", "--language", "ha"],
            "--language: nothing was trained for Hausa; the run has Yoruba",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(options, message, finished, command, tmp_path):
    """And nothing is written."""
    done = command("export", str(finished), "-o", str(tmp_path / "out"), *options)
    assert done.code == 1
    assert message in done.err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_left_alone(finished, command, tmp_path):
    """Another name is asked for."""
    (tmp_path / "mine.txt").write_text("mine")
    done = command("export", str(finished), "--to", "onnx", "-o", str(tmp_path))
    assert done.code == 1
    assert "is there already; name a new folder" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_target_without_anything_of_its_own_is_answered_by_what_languages_share(tiny_checkpoint, command, tmp_path):
    """By default, as by predict, and compared on its test texts."""
    settings = ["train.num_train_epochs=1", "seeds=[1]", f"output_dir={tmp_path / 'run'}"]
    backbone = {"checkpoint": str(tiny_checkpoint), "cut": 1, "max_length": 20}
    folder = run(world_recipe(write_world(tmp_path), settings, backbone=backbone))
    done = command("export", str(folder), "--to", "onnx", "-o", str(tmp_path / "out"))
    assert done.code == 0
    assert "nothing was trained for Yoruba alone: what all languages share is exported" in done.out
    assert "12 of 12 test texts in Yoruba are answered as by the run" in done.out
