"""A whole run, from tables to report; killed amid training, and continued."""

import json
from dataclasses import fields
from html.parser import HTMLParser

import pytest
import torch
from safetensors.torch import load_file

import lingraft
from invented import SOURCE, TARGET, TOPICS, labelled_texts, translated, world_recipe, write_csv, write_world
from killed_run import killed_run
from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import CheckpointError, ConfigError, RunError
from lingraft.core.examples import PairExample
from lingraft.core.files import read_lines, read_object
from lingraft.core.records import IDS, Score
from lingraft.core.stored_states import info
from lingraft.recipe.parsing import parse_recipe, read_recipe
from lingraft.results.run_files import read_run
from lingraft.runs.checks import resolve_cut
from lingraft.runs.folder import trials_of
from lingraft.runs.frozen_states import tokenise
from lingraft.runs.plan import plan
from lingraft.serving.loading import load
from lingraft.serving.verification import verify
from lingraft.tasks.gathering import gather
from quick_run import run
from tiny import save_checkpoint

SMALL = [
    "train.num_train_epochs=3",
    "train.batch_size=8",
    "train.learning_rate=1e-2",
    "prompt.name=deep",
    "prompt.length=2",
    "prompt.language_length=1",
    "adapter.name=bottleneck",
    "adapter.width=4",
    "adapter.language_width=2",
    "device=cpu",
]


def recipe(world, checkpoint, output, *overrides, **changes):
    """A small recipe on the tiny checkpoint."""
    changes = {"parallel": {"files": str(world / "pairs.{language}.tsv")}} | changes
    return world_recipe(
        world,
        [*SMALL, f"output_dir={output}", *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32, "text_prefix": "ada "},
        **changes,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def finished(world, tiny_checkpoint, tmp_path_factory):
    """A run of 0 and 1 shots and two seeds, as anybody starts it: verified in a fresh process."""
    folder = tmp_path_factory.mktemp("runs")
    wanted = recipe(world, tiny_checkpoint, folder / "run", "shots.k=[0,1]", "seeds=[1,2]")
    (folder / "recipe.yaml").write_text(wanted.to_yaml(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(folder / "cache"))
        return lingraft.run(folder / "recipe.yaml", quiet=True)


# ---- What a run leaves -----------------------------------------------------------------------------


def test_a_run_folder_is_complete(finished):
    """Recipe, data card, adaptation, predictions, scores, curves, summary, digests, picture, report and model card."""
    names = {path.name for path in finished.iterdir()}
    assert names == {
        ".lock", "recipe.yaml", "data.json", "adaptation.safetensors", "predictions", "scores.jsonl",
        "training.jsonl", "summary.json", "states.json", "retention.json", "letters.json", "report.html", "README.md",
        "trials", "run.json", "finished.json",
    }  # fmt: skip
    trials = ["k0-draw0-seed1", "k0-draw0-seed2", "k1-draw0-seed1", "k1-draw0-seed2"]
    for folder in ("trials", "predictions"):
        assert sorted(path.name for path in (finished / folder).iterdir()) == trials
    for trial in trials:
        assert {path.name for path in (finished / "trials" / trial).iterdir()} == {
            "adaptation.safetensors", "identity.json", "probe.json", "scores.jsonl", "training.jsonl", "trial.json",
            "development.jsonl",
        }  # fmt: skip
        assert {path.stem for path in (finished / "predictions" / trial).iterdir()} == {SOURCE, TARGET}


def test_check_says_of_a_finished_run_that_it_is(finished, world, tiny_checkpoint):
    """And of the same recipe with another folder nothing of the kind."""
    wanted = read_recipe(finished / "recipe.yaml")
    other = wanted.model_copy(update={"output_dir": finished.parent / "other"})
    (here,), (elsewhere,) = (
        [line for line in plan(one).lines if line.startswith("run folder: ")] for one in (wanted, other)
    )
    assert here == f"run folder: {finished}, where this run is finished already"
    assert elsewhere == f"run folder: {finished.parent / 'other'}"


def test_no_half_written_file_is_left(finished):
    """Temporary files are gone."""
    assert [path for path in finished.rglob(".*") if path.name != ".lock"] == []


def test_scores_are_complete(finished):
    """Three methods, two metrics, two languages, four trials; each value inside its interval."""
    known = {field.name for field in fields(Score)}
    rows = read_lines(finished / "scores.jsonl")
    scores = [Score(**{key: value for key, value in row.items() if key in known}) for row in rows]
    assert len(scores) == len(set(scores)) == 3 * 2 * 2 * 4
    assert {(s.method, s.metric) for s in scores} == {
        (method, metric) for method in ("frozen-head", "instant", "lingraft") for metric in ("accuracy", "macro_f1")
    }
    for score in scores:
        assert (score.n, score.run) == (12, finished.name)
        assert 0 <= score.low <= score.value <= score.high <= 1
    assert tuple(scores) == read_run(finished).scores


def test_scores_are_those_of_the_predictions(finished):
    """Accuracy before and after, counted from the predictions by hand."""
    for score in read_run(finished).scores:
        if score.metric != "accuracy":
            continue
        trial = f"k{score.shots}-draw{score.draw}-seed{score.seed}"
        rows = list(read_lines(finished / "predictions" / trial / f"{score.language}.jsonl"))
        key = {"frozen-head": "before", "instant": "instant", "lingraft": "value"}[score.method]
        assert score.value == sum(row[key] == row["gold"] for row in rows) / len(rows)
        assert [row["id"] for row in rows] == [f"test{i}" for i in range(12)]
        assert all(0 < row["confidence"] <= 1 and 0 < row["before_confidence"] <= 1 for row in rows)
        assert all(0 < row["instant_confidence"] <= 1 for row in rows)


def test_calibration_is_that_of_the_predictions(finished):
    """Mean over the trials of the error of each, bin by bin, as the report's diagram cuts them."""
    stated = read_object(finished / "summary.json")["calibration"][TARGET]
    for start, column, when in (("before_", "before", "before"), ("", "value", "after")):
        errors = []
        for path in sorted((finished / "predictions").glob(f"*/{TARGET}.jsonl")):
            rows, gap = list(read_lines(path)), 0.0
            for k in range(10):
                inside = [row for row in rows if k / 10 < row[f"{start}confidence"] <= (k + 1) / 10]
                gap += abs(sum(row[f"{start}confidence"] - (row[column] == row["gold"]) for row in inside))
            errors.append(gap / len(rows))
        assert len(errors) == 4
        assert stated[when] == pytest.approx(sum(errors) / 4)


def test_the_frozen_head_does_not_depend_on_the_seed(finished):
    """What "before" means is the same in every training of the same shots."""
    before = {}
    for score in read_run(finished).scores:
        if score.method == "frozen-head":
            before.setdefault((score.shots, score.language, score.metric), set()).add(score.value)
    assert {len(values) for values in before.values()} == {1}


def test_the_learning_curve_has_every_epoch(finished):
    """Three epochs of four trials."""
    rows = read_run(finished).training
    assert [(row["trial"], row["epoch"]) for row in rows] == [
        (trial.name, epoch) for trial in trials_of(read_recipe(finished / "recipe.yaml")) for epoch in (1, 2, 3)
    ]
    assert all(row["alignment_loss"] > 0 for row in rows)


def test_the_data_card_counts(finished):
    """Texts, pairs, shots and tokens of each language."""
    data = read_run(finished).data
    assert (data["labels"], data["overlap_removed"]) == (sorted(TOPICS), {"train": 0, "parallel": 0})
    assert data["languages"][SOURCE]["texts"] == {"train": 24, "dev": 9, "test": 12, "parallel": 0}
    assert data["languages"][TARGET]["texts"] == {"train": 0, "dev": 0, "test": 12, "parallel": 24}
    assert (data["languages"][TARGET]["shots"], data["languages"][TARGET]["pairs"]) == (3, 24)
    assert data["languages"][TARGET]["name"] == "Yoruba"
    assert {language["unknown_rate"] for language in data["languages"].values()} == {0.0}


def test_the_summary_proves_the_backbone_frozen(finished, tiny_backbone):
    """Digests before and after, counts of all parameters, and the check of the reloaded run.

    It was made in another process, which refuses a backbone or a tokenizer whose digest it does not find the same.
    """
    summary = read_run(finished).summary
    assert summary["backbone"]["weights_digest"] == summary["backbone"]["digest_after"] == tiny_backbone.weights_digest
    assert sum(part["count"] for part in summary["frozen"]) == summary["backbone"]["parameters"]
    tensors = load_file(finished / "adaptation.safetensors")
    kept = ("centre", "target", "offset", "listed", "idf")  # means, and what the n-grams are: nothing is fitted there
    counted = [tensor.numel() for name, tensor in tensors.items() if not name.endswith(kept)]
    assert sum(part["count"] for part in summary["parameters"]) == sum(counted)
    assert summary["verification"]["texts"] == 4 * 2 * 8
    assert summary["verification"]["max_difference"] <= 1e-3


def test_the_chosen_training_has_most_shots_and_the_best_source_score(finished):
    """Target scores have no say in which training is saved for use."""
    facts = read_run(finished).summary["trials"]
    chosen = read_run(finished).summary["selected_trial"]
    best = max(fact["dev_score"] for name, fact in facts.items() if name.startswith("k1"))
    assert chosen.startswith("k1")
    assert facts[chosen]["dev_score"] == best
    trial = finished / "trials" / chosen / "adaptation.safetensors"
    assert trial.read_bytes() == (finished / "adaptation.safetensors").read_bytes()
    assert load(finished).trial == chosen


class Links(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.loaded = []

    def handle_starttag(self, tag, attrs):
        """Note what a tag loads."""
        for key, value in attrs:
            if key in ("src", "srcset", "data", "poster", "action") or (key == "href" and tag not in ("a", "use")):
                self.loaded.append(value)


def test_the_report_is_self_contained(finished):
    """The page loads nothing, and runs the one script that it brings along."""
    page = (finished / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert [link for link in links.loaded if not link.startswith(("data:", "#"))] == []
    assert page.count("<script>") == 1
    assert "@import" not in page
    assert "url(http" not in page
    assert "Yoruba" in page


def test_the_written_recipe_runs_the_same(finished):
    """The resolved recipe reads back as the one that was run."""
    again = read_recipe(finished / "recipe.yaml")
    assert again.output_dir == finished
    assert again.to_yaml() == (finished / "recipe.yaml").read_text(encoding="utf-8")


# ---- Using it --------------------------------------------------------------------------------------


def examples(count):
    """Texts as the run reads them."""
    return [PairExample(str(i), str(i), SOURCE, text_a=text) for i, (text, _) in enumerate(labelled_texts(count))]


def test_a_reloaded_run_predicts_the_same(finished):
    """Label and confidence of every test text are those of the run, in both languages."""
    adapted = load(finished)
    trial = read_run(finished).selected_trial
    for language in (SOURCE, TARGET):
        rows = list(read_lines(finished / "predictions" / trial / f"{language}.jsonl"))
        found = adapted.predict([row["text"] for row in rows], language=language)
        assert [p.value for p in found] == [row["value"] for row in rows]
        assert [p.confidence for p in found] == pytest.approx([row["confidence"] for row in rows], abs=1e-4)


def test_a_backbone_at_hand_serves_as_well(finished, tiny_backbone):
    """Given a loaded backbone with another text prefix, the run still reads texts as it was trained to."""
    texts = examples(5)
    expected = load(finished).logits(texts, TARGET)
    assert tiny_backbone.text_prefix != "ada "
    torch.testing.assert_close(load(finished, backbone=tiny_backbone).logits(texts, TARGET), expected)


def test_languages_without_a_part_use_the_task_part(finished):
    """The source language and one never trained for are answered alike."""
    adapted = load(finished)
    assert [adapted.knows(language) for language in ("yo", "en", "sw")] == [True, True, False]
    source, unknown, target = (torch.stack(adapted.logits(examples(4), code)) for code in (SOURCE, "swh-Latn", TARGET))
    assert torch.equal(source, unknown)
    assert not torch.equal(source, target)


def test_a_text_without_a_language_is_in_the_only_target(finished):
    """Which is what somebody has who trained for one language."""
    adapted, texts = load(finished), [example.text_a for example in examples(4)]
    assert adapted.predict(texts) == adapted.predict(texts, language="yo")
    assert adapted.predict(texts) != adapted.predict(texts, language="en")


def test_an_empty_text_has_an_empty_answer_in_its_place(finished):
    """An empty list has no answers."""
    adapted = load(finished)
    assert adapted.predict([], language="yo") == []
    first, empty, last = adapted.predict(["ada", "  ", "beli"])
    expected = [(one.value, one.confidence) for one in adapted.predict(["ada", "beli"])]
    assert [(one.value, one.confidence) for one in (first, last)] == expected
    assert (empty.value, empty.confidence) == ("", 0.0)


def test_verification_notices_a_change(finished, tmp_path):
    """Logits that differ from those of the training are told, with the training and the language."""
    (tmp_path / "trials").mkdir()
    source = finished / "trials" / "k0-draw0-seed1"
    place = tmp_path / "trials" / source.name
    place.mkdir()
    (place / "adaptation.safetensors").write_bytes((source / "adaptation.safetensors").read_bytes())
    probe = json.loads((source / "probe.json").read_text(encoding="utf-8"))
    (place / "probe.json").write_text(json.dumps(probe), encoding="utf-8")
    assert verify(tmp_path)["texts"] == 16
    probe["languages"][TARGET][0]["logits"][0][0] += 0.01
    (place / "probe.json").write_text(json.dumps(probe), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"k0-draw0-seed1, yor-Latn: logits differ by 0\.01"):
        verify(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path):
    """There is nothing to load."""
    with pytest.raises(CheckpointError, match="give the folder of a finished run"):
        load(tmp_path)


# ---- Again, and after a kill -----------------------------------------------------------------------


def snapshot(folder):
    """Content and time of every file."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_running_again_changes_nothing(finished):
    """A finished run is left as it is."""
    before = snapshot(finished)
    assert run(read_recipe(finished / "recipe.yaml")) == finished
    assert snapshot(finished) == before


def test_a_finished_training_is_not_repeated(world, tiny_checkpoint, tmp_path):
    """Where the report is missing, it is made again from the trials at hand."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "seeds=[1]", "train.num_train_epochs=1")
    folder = run(wanted)
    (folder / "README.md").unlink()
    trained = folder / "trials" / "k0-draw0-seed1" / "adaptation.safetensors"
    before, when = (folder / "scores.jsonl").read_bytes(), trained.stat().st_mtime_ns
    run(wanted)
    assert (folder / "README.md").exists()
    assert ((folder / "scores.jsonl").read_bytes(), trained.stat().st_mtime_ns) == (before, when)


def test_a_killed_run_ends_on_the_same_bits(world, tiny_checkpoint, tmp_path, monkeypatch):
    """Killed with SIGKILL amid the second epoch and started again, a run ends as one that was never killed."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    wanted = recipe(world, tiny_checkpoint, tmp_path / "killed", "seeds=[1]", "shots.k=1")
    path = tmp_path / "recipe.yaml"
    path.write_text(wanted.to_yaml(), encoding="utf-8")
    killed_run(path, step=6)
    trial = tmp_path / "killed" / "trials" / "k1-draw0-seed1"
    assert sorted(p.name for p in trial.iterdir()) == ["identity.json", "training.safetensors"]

    continued = run(wanted)
    whole = run(recipe(world, tiny_checkpoint, tmp_path / "whole", "seeds=[1]", "shots.k=1"))
    one, other = (load_file(folder / "adaptation.safetensors") for folder in (continued, whole))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (continued / "adaptation.safetensors").read_bytes() == (whole / "adaptation.safetensors").read_bytes()
    scores = [[{**row, "run": ""} for row in read_lines(f / "scores.jsonl")] for f in (continued, whole)]
    assert scores[0] == scores[1]
    assert not (trial / "training.safetensors").exists()


def test_seeds_share_the_cache(world, tiny_checkpoint, tmp_path, monkeypatch):
    """Whatever the number of seeds and shots, texts are encoded once: a second run adds nothing."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    run(recipe(world, tiny_checkpoint, tmp_path / "a", "shots.k=[0,1]", "train.num_train_epochs=1"))
    stored = info()
    assert stored.shards == 5  # one per language and purpose
    run(recipe(world, tiny_checkpoint, tmp_path / "b", "shots.k=[0,1]", "train.num_train_epochs=2"))
    assert (info().shards, info().bytes) == (stored.shards, stored.bytes)


# ---- Other shapes of a run -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        ["prompt.name=input", "parallel.from=task", "cache.dtype=float16"],
        ["prompt=", "adapter=", "parallel=", "alignment=[]", "shots.k=1"],
        ["backbone.cut=0", "alignment=[{name: contrastive}, {name: cosine, weight: 0.5}]", "train.balance=1"],
        ["freezing.name=full", "alignment=[{name: mse, layer: 1}, {name: mse}]"],
        ["freezing.name=gradual", "freezing.layers=2", "prompt.name=gated", "alignment=[{name: prediction}]"],
        ["train.order=sequential", "alignment=[{name: words, layer: 3}]", "adapter={name: lora}"],
        ["freezing.name=frozen_then_lora", "train.num_train_epochs=2", "alignment=[{name: mse}, {name: words}]"],
        ["freezing={name: extract, rank: 30}", "adapter=", "backbone.cut=auto"],
    ],
    ids=[
        "input-half-from-task",
        "head-alone",
        "no-cut-two-losses",
        "full",
        "gradual",
        "sequential-lora",
        "thaw",
        "extract",
    ],
)
def test_other_recipes_run_and_verify(world, tiny_checkpoint, tmp_path, overrides):
    """Whatever is switched on or off, the saved run gives back the logits that its training ended with."""
    changes = {"parallel": {}} if "parallel.from=task" in overrides else {}
    overrides = ["seeds=[1]", "train.num_train_epochs=1", *overrides]
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", *overrides, **changes)
    folder = run(wanted)
    assert verify(folder)["texts"] == 16
    assert (folder / "README.md").exists()


def test_draws_of_a_parallel_task_are_trained_apart(world, tiny_checkpoint, tmp_path):
    """Each draw of pairs from the task is a training, and its scores say which."""
    wanted = recipe(
        world, tiny_checkpoint, tmp_path / "run", "seeds=[1]", "shots.draws=2", "shots.k=1", "train.num_train_epochs=1",
        parallel={"from": "task"},
    )  # fmt: skip
    folder = run(wanted)
    assert {score.draw for score in read_run(folder).scores} == {0, 1}
    one, other = (load_file(folder / "trials" / f"k1-draw{d}-seed1" / "adaptation.safetensors") for d in (0, 1))
    assert not torch.equal(one["head.weight"], other["head.weight"])
    assert read_run(folder).data["languages"][TARGET]["pairs"] == 12


def test_pairs_of_texts_beside_parallel_sentences(tmp_path, tiny_checkpoint):
    """Where the task compares two texts, single parallel sentences do not make it forget the second."""
    for split, seed in (("train", 1), ("test", 2)):
        for language, say in ((SOURCE, str), (TARGET, translated)):
            texts = [text for text, _ in labelled_texts(16, seed)]
            rows = [(say(texts[i]), say(texts[i + 8]), "yes" if i % 2 else "no") for i in range(8)]
            write_csv(tmp_path / f"{language}.{split}.csv", ["premise", "hypothesis", "gold"], rows)
    parallel = "\n".join(f"{text}\t{translated(text)}" for text, _ in labelled_texts(6, 3))
    (tmp_path / f"pairs.{TARGET}.tsv").write_text(f"source\ttarget\n{parallel}\n", encoding="utf-8")
    wanted = recipe(
        tmp_path, tiny_checkpoint, tmp_path / "run",
        "task.fields={text: premise, text_b: hypothesis, label: gold}", "task.parallel=false", splits=("train", "test"),
    )  # fmt: skip
    materials, backbone = gather(wanted), load_backbone(str(tiny_checkpoint))
    features = tokenise(materials, backbone.tokenizer, "", wanted)
    by_id = {f.example_id: f for f in features[SOURCE, "learn"]}
    for example in materials.draws[0].labelled:
        expected = backbone.tokenizer(example.text_a, example.text_b)["input_ids"]
        assert by_id[example.id].input_ids == tuple(expected)
    for pair, _ in materials.draws[0].pairs[TARGET]:
        assert by_id[pair.id].input_ids == tuple(backbone.tokenizer(pair.text_a)["input_ids"])


@pytest.mark.parametrize(
    ("cut", "prompt", "expected"), [("auto", "deep", 6), ("auto", "input", 0), (0, "input", 0), (5, "deep", 5)]
)
def test_the_cut_becomes_a_number(cut, prompt, expected):
    """Half of the depth, or 0 under an input prompt, or what was asked for."""
    task = {"name": "cldr_names", "target_languages": ["yo"]}
    wanted = parse_recipe({"task": task, "prompt": {"name": prompt}, "backbone": {"cut": cut}})
    assert resolve_cut(wanted, 12) == expected


@pytest.mark.parametrize(
    ("freezing", "prompt", "expected"),
    [
        ({"name": "frozen"}, "deep", 6),
        ({"name": "top_layers", "layers": 2}, "deep", 6),
        ({"name": "top_layers", "layers": 8}, "deep", 4),
        ({"name": "gradual", "layers": 7}, "deep", 5),
        ({"name": "head_first"}, "deep", 6),
        ({"name": "head_first", "layers": 12}, "deep", 0),
        ({"name": "biases_and_norms"}, "deep", 0),
        ({"name": "top_layers", "layers": 2}, "input", 0),
        ({"name": "full"}, "deep", IDS),
        ({"name": "full"}, "input", IDS),
        ({"name": "frozen_then_lora"}, "deep", 6),
    ],
)
def test_the_cut_is_below_all_that_learns(freezing, prompt, expected):
    """Lower than usual where a layer below it is unfrozen; token ids where the embeddings are."""
    assert resolve_cut(cut_recipe(freezing=freezing, prompt={"name": prompt}), 12) == expected


def cut_recipe(alignment=(), **blocks):
    """A recipe with these blocks."""
    task = {"name": "cldr_names", "target_languages": ["yo"]}
    parallel = {"parallel": {"from": "task"}, "alignment": [dict(block) for block in alignment]} if alignment else {}
    return parse_recipe({"task": task, **parallel, **blocks})


@pytest.mark.parametrize(
    ("freezing", "cut", "sentence"),
    [
        (
            {"name": "top_layers", "layers": 6},
            7,
            "7 is above layer 7, which freezing top_layers trains; set it to 6 or",
        ),
        ({"name": "biases_and_norms"}, 1, "1 is above layer 1, which freezing biases_and_norms trains; set it to 0 or"),
        ({"name": "full"}, 0, "freezing full trains everything; leave the cut out"),
        ({"name": "full"}, 8, "freezing full trains everything; leave the cut out"),
    ],
)
def test_a_cut_above_what_learns_is_refused(freezing, cut, sentence):
    """Cached states would be a lie: told with what is trained and what to set."""
    with pytest.raises(ConfigError) as caught:
        resolve_cut(cut_recipe(freezing=freezing, backbone={"cut": cut}), 12)
    (problem,) = caught.value.problems
    assert problem.startswith(f"backbone.cut: {sentence}")


@pytest.mark.parametrize(("blocks", "cut"), [({}, 6), ({"backbone": {"cut": 3}}, 3)])
def test_a_loss_on_frozen_states_is_refused(blocks, cut):
    """At or below the cut nothing can learn from it, above the top there are no states: each is told with a way out."""
    layers = [cut - 1, cut, cut + 1, 12, 13]
    with pytest.raises(ConfigError) as caught:
        resolve_cut(cut_recipe([{"name": "mse", "layer": layer} for layer in layers], **blocks), 12)
    below = (
        "alignment.{}.layer: states after layer {} are frozen (the cut is {}), so a loss on them has no gradient; "
        "choose a layer from {} to 12, or lower backbone.cut"
    )
    assert caught.value.problems == [
        below.format(0, cut - 1, cut, cut + 1),
        below.format(1, cut, cut, cut + 1),
        "alignment.4.layer: 13, but the checkpoint has 12 layers",
    ]


@pytest.mark.parametrize(
    ("layer", "freezing", "said"),
    [
        (
            9,
            {"name": "top_layers", "layers": 2},
            "alignment.0.layer: states after layer 9 are frozen (what",
        ),
        (0, {"name": "full"}, "alignment.0.layer: states after layer 0 are frozen (the cut is 0)"),
        (None, {"name": "frozen"}, "alignment.0: nothing learns but the head, so mse on states has no gradient"),
    ],
)
def test_a_loss_below_all_that_learns_is_refused(layer, freezing, said):
    """Without prompt and adapter it is the unfrozen layers that count; where there are none, states do not move."""
    blocks = {"prompt": None, "adapter": None, "freezing": freezing}
    with pytest.raises(ConfigError) as caught:
        resolve_cut(cut_recipe([{"name": "mse", "layer": layer}], **blocks), 12)
    (problem,) = caught.value.problems
    assert problem.startswith(said)
    assert resolve_cut(cut_recipe([{"name": "prediction"}], **blocks), 12) <= 12


def test_losses_above_the_cut_are_fine():
    """Every layer that learns may be looked at; all of them where embeddings learn."""
    assert resolve_cut(cut_recipe([{"name": "mse", "layer": layer} for layer in (7, 12)]), 12) == 6
    everywhere = [{"name": "mse", "layer": layer} for layer in range(1, 13)]
    assert resolve_cut(cut_recipe(everywhere, freezing={"name": "full"}), 12) == IDS


def test_a_cut_at_the_top_is_refused(world, tiny_checkpoint, tmp_path):
    """A cut that leaves nothing to train is told with the number of layers."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "backbone.cut=3")
    with pytest.raises(ConfigError, match="cut: 3 leaves nothing to train above it; there are 3 layers"):
        run(wanted)


def test_a_length_beyond_the_checkpoint_is_refused(world, tiny_checkpoint, tmp_path):
    """Positions that the checkpoint does not have are told."""
    wanted = recipe(world, tiny_checkpoint, tmp_path / "run", "backbone.max_length=65")
    with pytest.raises(ConfigError, match="max_length: 65 is more than the checkpoint's 64"):
        run(wanted)


def test_another_checkpoint_does_not_continue_a_run(world, tiny_checkpoint, tmp_path):
    """Weights exchanged under the same name between two parts of a run are noticed."""
    from tiny import random_model

    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_checkpoint(folder, random_model("bert"))
    wanted = recipe(world, folder, tmp_path / "run", "seeds=[1]", "train.num_train_epochs=1")
    run(wanted)
    (tmp_path / "run" / "README.md").unlink()
    save_checkpoint(folder, random_model("bert", seed=5))
    with pytest.raises(RunError, match="these have changed: backbone"):
        run(wanted)
