"""Whole runs of the kinds of task that are not classification, on invented data: from files to report and back."""

import json
import re
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file

import lingraft
import lingraft.experiments.compare
from invented import SOURCE, TARGET, translated
from invented_kinds import SIZES, SUFFIXES, write_kinds
from lingraft.core.errors import CheckpointError, ConfigError, DataError
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.experiments import worker as compare_worker
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.findings import formula_of
from lingraft.results.pages import write_pages
from lingraft.results.run_files import read_run
from lingraft.runs.checks import gather_checked
from lingraft.runs.plan import plan
from lingraft.runs.preparation import prepare
from lingraft.runs.rescore import rescore
from lingraft.serving.answer_file import Request, open_file
from lingraft.serving.loading import load
from lingraft.serving.verification import verify
from lingraft.tasks.gathering import gather
from lingraft.tasks.score_files import FileColumns, score_files
from lingraft.training.state import load_training_state
from quick_run import Stopping, quick_compare, run
from tiny import WORDS

KINDS = ("span_qa", "tagging", "choice")
METRICS = {
    "span_qa": ["f1", "exact_match"],
    "tagging": ["span_f1", "tag_accuracy"],
    "choice": ["accuracy"],
}
MAX_LENGTH = 20
SMALL = [
    *("train.num_train_epochs=2", "train.batch_size=4", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Files of every kind in both languages, and pairs of other sentences."""
    return write_kinds(tmp_path_factory.mktemp("kinds"))


def recipe(kind, world, checkpoint, output, *overrides, **changes):
    """A small recipe; mse and both losses on aligned words, one of which holds the source's tokens."""
    fields = {"text": "premise", "alternatives": ["one", "two"], "label": "label", "id": "key"}
    values = {
        "task": {
            "name": kind,
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.{SUFFIXES[kind]}" for split in SIZES},
            "data_dir": str(world / kind),
            **({"fields": fields} if kind == "choice" else {}),
            **({"stride": 4} if kind == "span_qa" else {}),
        },
        "backbone": {"checkpoint": str(checkpoint), "max_length": MAX_LENGTH, "text_prefix": "ada "},
        "parallel": {"files": str(world / "pairs.{language}.tsv")},
        "alignment": [
            {"name": "mse"},
            {"name": "words", "layer": 3},
            {"name": "contrastive_words", "layer": 2, "anchor": 0.5},
        ],
    }
    return parse_recipe(values | changes, [*SMALL, f"output_dir={output}", *overrides])


@pytest.fixture(scope="module", params=KINDS)
def finished(request, world, tiny_checkpoint, tmp_path_factory):
    """The kind, and a run of 0 and of 2 shots."""
    folder = tmp_path_factory.mktemp(f"run-{request.param}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(folder / "cache"))
        wanted = recipe(request.param, world, tiny_checkpoint, folder / "run", "shots.k=[0,2]")
        return request.param, run(wanted, pages=write_pages)


TRIALS = ("k0-draw0-seed1", "k2-draw0-seed1")


def lines(folder, trial, language):
    """The predictions of a training."""
    return list(read_lines(folder / "predictions" / trial / f"{language}.jsonl"))


# ---- What a run leaves -----------------------------------------------------------------------------


def test_scores_are_those_of_the_predictions(finished):
    """Every metric, before and after, both languages, each in its interval; the first one is made of the counts."""
    kind, folder = finished
    scores = read_run(folder).scores
    made = formula_of(read_object(folder / "data.json"))
    assert len(scores) == len(set(scores)) == 2 * 2 * 2 * len(METRICS[kind])
    assert {score.metric for score in scores} == set(METRICS[kind])
    for score in scores:
        assert score.n == SIZES["test"]
        assert 0 <= score.low <= score.value + 1e-12
        assert score.value <= score.high + 1e-12
        assert score.context_language == (score.language if kind == "span_qa" else None)
    for score in [one for one in scores if one.metric == METRICS[kind][0]]:
        rows = lines(folder, f"k{score.shots}-draw0-seed1", score.language)
        column = "counts" if score.method == "lingraft" else "before_counts"
        sums = torch.tensor([row[column] for row in rows], dtype=torch.float64).sum(0).numpy()
        assert score.value == pytest.approx(float(made(sums)))


@pytest.mark.parametrize("kind", KINDS)
def test_translated_source_examples_are_learnt_from(kind, world, tiny_checkpoint, tmp_path):
    """Words of the target language, with the answers, tags and numbers of what they were made from."""
    entries = [f"{word}\t{translated(word)}" for word in WORDS[:16]]
    (tmp_path / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    pseudo = {
        "generators": [{"name": "word-translation", "weight": 0.5}],
        "lexicon": str(tmp_path / "lexicon.{language}.tsv"),
        "filters": [],  # one sentence is far longer than the others
    }
    folder = run(recipe(kind, world, tiny_checkpoint, tmp_path / "run", pseudo=pseudo))
    made = list(read_lines(folder / "pseudo.jsonl"))
    assert len(made) == SIZES["train"]
    said = {word for row in made for text in (row.get("context"), row.get("text"), *row.get("words", ())) if text
            for word in text.split()}  # fmt: skip
    kept = set(WORDS[:16]) if kind == "span_qa" else set()  # words that are questions of the test set are no entries
    assert said & set(WORDS[16:])
    assert said - set(WORDS[16:]) <= kept
    for row in made:
        assert [row["context"][a["start"] :].startswith(a["text"]) for a in row.get("answers", ())] == [
            True for _ in row.get("answers", ())
        ]
        assert len(row.get("tags", ())) == len(row.get("words", ()))
    trained = {row["language"] for row in read_lines(folder / "scores.jsonl")}
    assert trained == {SOURCE, TARGET}


def check_span_qa(row):
    """A piece of the context; a question names its answer."""
    assert row["gold"] == [row["text"]]
    assert row["language"] == row["context_language"] == TARGET


def check_tagging(row):
    """One tag for each word."""
    words = row["text"].split()
    assert len(row["value"].split()) == len(row["before"].split()) == len(row["gold"].split()) == len(words)
    assert set(row["value"].split()) <= {"B-BIRD", "I-BIRD", "B-RIVER", "I-RIVER", "O"}


def check_choice(row):
    """The number of an alternative."""
    assert {row["gold"], row["value"], row["before"]} <= {"0", "1"}
    assert len(row["alternatives"]) == 2


CHECKS = {"span_qa": check_span_qa, "tagging": check_tagging, "choice": check_choice}
COUNTS = {"span_qa": 2, "tagging": 3, "choice": 2}
GROUPS = {"span_qa": SIZES["test"] // 2, "tagging": SIZES["test"], "choice": SIZES["test"]}
"""Two questions on one paragraph are one group."""


def test_predictions_are_answers_of_the_kind(finished):
    """Pieces of the context, one tag for each word, the number of an alternative; with groups and probabilities."""
    kind, folder = finished
    for trial in TRIALS:
        for row in lines(folder, trial, TARGET):
            assert 0 <= row["confidence"] <= 1
            assert 0 <= row["before_confidence"] <= 1
            assert len(row["counts"]) == len(row["before_counts"]) == COUNTS[kind]
            CHECKS[kind](row)
    assert len({row["group"] for row in lines(folder, TRIALS[0], TARGET)}) == GROUPS[kind]


def test_shots_are_counted_in_examples(finished):
    """Two questions, sentences or items, whatever their tags."""
    kind, folder = finished
    data = read_run(folder).data
    assert data["kind"] == kind
    assert (data["languages"][TARGET]["shots"], data["languages"][TARGET]["pairs"]) == (2, 10)
    assert data["labels"] == (["B-BIRD", "B-RIVER", "I-BIRD", "I-RIVER", "O"] if kind == "tagging" else [])


def test_a_run_is_proven(finished):
    """What was saved gave back the logits; the backbone is as it was; alignment took place."""
    _, folder = finished
    summary = read_run(folder).summary
    assert summary["verification"]["texts"] == 2 * 2 * SIZES["test"]
    assert summary["verification"]["max_difference"] <= 1e-3
    assert summary["backbone"]["weights_digest"] == summary["backbone"]["digest_after"]
    assert all(row["alignment_loss"] > 0 for row in read_run(folder).training)
    assert {row["epoch"] for row in read_run(folder).training} == {1, 2}


def test_the_report_speaks_of_the_kind(finished):
    """Metrics and examples by their names, and nothing of labels where there are none."""
    kind, folder = finished
    page, card = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "README.md"))
    noun = {"span_qa": "question", "tagging": "sentence", "choice": "item"}[kind]
    metric = {"span_qa": "F1", "tagging": "Span F1", "choice": "Accuracy"}[kind]
    for text in (page, card):
        assert f"{metric} before" in text
        assert f"2 labelled {noun}s" in text
        assert f"6 test {noun}s" in text
        assert "per label" not in text
        assert "None" not in text
        rest = re.sub("tag[ _]accuracy|accuracy against confidence", "", text.lower())
        assert ("accuracy" in rest) == (kind == "choice")
    assert f"| Labelled {noun}s |" in card
    assert {"span_qa": "question-answering", "tagging": "token-classification", "choice": "multiple-choice"}[
        kind
    ] in card
    assert ("among its" in card) == (kind == "tagging")
    assert ('"context"' in card) == (kind == "span_qa")
    assert "[&#39;" not in page  # answers are shown as text, not as a list


def test_retention_has_the_metric_of_the_task(finished):
    """The source's development score is in the metric that counts, and so are the words about it."""
    kind, folder = finished
    kept = read_object(folder / "retention.json")
    assert (kept["source_score"]["metric"], kept["source_score"]["n"]) == (METRICS[kind][0], SIZES["dev"])
    assert kept["adapters_disabled"]["max_difference"] <= kept["adapters_disabled"]["tolerance"]
    assert kept["retrieval"][TARGET]["n"] == 10


# ---- Using it --------------------------------------------------------------------------------------


def items_of(kind, rows, world):
    """What a user would ask."""
    if kind == "span_qa":
        about = json.loads((world / kind / f"{TARGET}.test.json").read_text(encoding="utf-8"))["data"][0]
        return [
            {"question": asked["question"], "context": paragraph["context"]}
            for paragraph in about["paragraphs"]
            for asked in paragraph["qas"]
        ]
    if kind == "tagging":
        return [row["text"].split() for row in rows]
    return [{"text": row["text"], "alternatives": row["alternatives"]} for row in rows]


def test_a_loaded_run_answers_the_same(finished, world):
    """Every test item, asked as a user does, computed from the words up."""
    kind, folder = finished
    trial = read_run(folder).selected_trial
    assert trial == TRIALS[1]
    rows, adapted = lines(folder, trial, TARGET), lingraft.load(folder)
    found = adapted.predict(items_of(kind, rows, world), language=TARGET)
    assert [one.value for one in found] == [row["value"] for row in rows]
    assert [one.confidence for one in found] == pytest.approx([row["confidence"] for row in rows], abs=1e-4)
    assert adapted.predict([], language=TARGET) == []
    as_text = [rows[1]["text"]] if kind == "tagging" else items_of(kind, rows, world)[1:2]  # split at blanks
    assert adapted.predict(as_text, language=TARGET)[0].value == rows[1]["value"]


SCORED = {"span_qa": ("squad", {}), "tagging": ("span_f1", {}), "choice": ("accuracy", {"id": "key"})}


def test_files_of_the_run_are_answered_and_scored_as_they_are(finished, world, tmp_path):
    """What a run is tested on, given to `predict`, gives its own predictions; and given to `score`, its scores."""
    kind, folder = finished
    gold = world / kind / f"{TARGET}.test.{SUFFIXES[kind]}"
    written = tmp_path / f"answers.{'conll' if kind == 'tagging' else 'jsonl'}"
    with written.open("w", encoding="utf-8") as stream:
        open_file(folder, gold, Request()).answer()(stream)
    rows = lines(folder, TRIALS[1], TARGET)
    text = written.read_text(encoding="utf-8")
    if kind == "tagging":
        found = [" ".join(line.split()[-1] for line in one.splitlines()) for one in text.strip().split("\n\n")]
    else:
        name = "prediction" if kind == "choice" else "label"
        found = [json.loads(line)[name] for line in text.splitlines()]
    assert found == [row["value"] for row in rows]
    metric, columns = SCORED[kind]
    (score,) = [
        one["value"]
        for one in read_lines(folder / "trials" / TRIALS[1] / "scores.jsonl")
        if (one["language"], one["metric"], one["method"]) == (TARGET, METRICS[kind][0], "lingraft")
    ]
    assert score_files(written, gold, metric, columns=FileColumns(**columns)).scores[0].value == pytest.approx(score)


WRONG = {
    "span_qa": [
        ("ula", "text 2 of 2: span_qa takes objects with question and context, got 'ula'"),
        ({"question": "ula"}, "context is 'None', expected a text"),
        ({"question": 5, "context": "ula"}, "question is '5', expected a text"),
    ],
    "tagging": [
        (["ula", 5], "tagging takes a text or a list of words"),
        (5, "tagging takes a text or a list of words, got '5'"),
        ({"tokens": ["ula"]}, "text 2 of 2: there is no column 'text' (for `text`); its columns are tokens"),
    ],
    "choice": [
        (("a", "b"), "text 2 of 2: choice takes objects with text and alternatives"),
        ({"text": "ula", "alternatives": "yara"}, "a list of two or more texts; got 'yara'"),
        ({"text": "ula", "alternatives": ["yara"]}, "a list of two or more texts"),
        ({"text": "ula", "alternatives": ["yara", 5]}, "a list of two or more texts"),
        ({"alternatives": ["yara", "vero"]}, "there is no column 'premise' (for `text`); its columns are alternatives"),
        ({"text": "a", "alternatives": ["b", "c"], "question": 5}, "question is '5', expected a text"),
    ],
}
FINE = {
    "span_qa": {"question": "ula", "context": "ula vero"},
    "tagging": "ula vero",
    "choice": {"text": "ula", "alternatives": ("yara", "vero", "ula"), "question": "cause"},
}


def test_items_of_another_shape_are_reported(finished):
    """Which item, what is taken, and what came."""
    kind, folder = finished
    adapted = load(folder)
    assert len(adapted.predict([FINE[kind]], language=TARGET)) == 1
    for wrong, told in WRONG[kind]:
        with pytest.raises(DataError) as caught:
            adapted.predict([FINE[kind], wrong], language=TARGET)
        assert str(caught.value).startswith("text 2 of 2: ")
        assert told in str(caught.value)


# ---- After a stop ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_run_ends_on_the_same_bits(kind, world, tiny_checkpoint, tmp_path, monkeypatch):
    """Stopped amid the first epoch and started again, a run ends as one that was never stopped."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    wanted = recipe(kind, world, tiny_checkpoint, tmp_path / "stopped", "shots.k=2")
    with pytest.raises(KeyboardInterrupt):
        run(wanted, reporter=Stopping(4, of="training"), save_every=-1.0)
    trial = tmp_path / "stopped" / "trials" / TRIALS[1]
    assert load_training_state(trial / "training.safetensors").step == 3

    continued = run(wanted)
    whole = run(recipe(kind, world, tiny_checkpoint, tmp_path / "whole", "shots.k=2"))
    assert (continued / "adaptation.safetensors").read_bytes() == (whole / "adaptation.safetensors").read_bytes()
    for language in (SOURCE, TARGET):
        assert lines(continued, TRIALS[1], language) == lines(whole, TRIALS[1], language)
    scores = [[{**row, "run": ""} for row in read_lines(folder / "scores.jsonl")] for folder in (continued, whole)]
    assert scores[0] == scores[1]
    assert verify(continued)["texts"] == 2 * SIZES["test"]


# ---- The same answers for code-switched copies ----------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_copies_get_the_answers_of_their_originals(kind, world, tiny_checkpoint, tmp_path, monkeypatch):
    """The heavier the loss, the more alike the answers; a stopped run ends on the same bits; the report shows it."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    entries = [f"{word}\t{translated(word)}" for word in WORDS[:12]]
    (tmp_path / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")

    def wanted(output, weight):
        copies = {"lexicon": str(tmp_path / "lexicon.{language}.tsv"), "copies": 2, "weight": weight}
        alone = {"parallel": None, "alignment": [], "consistency": copies}
        return recipe(kind, world, tiny_checkpoint, tmp_path / output, "train.num_train_epochs=4", **alone)

    with pytest.raises(KeyboardInterrupt):
        run(wanted("stopped", 5.0), reporter=Stopping(6, of="training"), save_every=-1.0)
    stopped, whole = run(wanted("stopped", 5.0)), run(wanted("whole", 5.0), pages=write_pages)
    assert (stopped / "adaptation.safetensors").read_bytes() == (whole / "adaptation.safetensors").read_bytes()
    rows, light = read_run(whole).training, read_run(run(wanted("light", 1e-3))).training
    assert 0 < rows[-1]["consistency_loss"] / 5.0 < light[-1]["consistency_loss"] / 1e-3
    for row in (*rows, *light):
        assert row["loss"] == pytest.approx(row["task_loss"] + row["consistency_loss"], rel=1e-5)
        assert row["alignment_loss"] == 0.0
    assert "consistency" in (whole / "report.html").read_text(encoding="utf-8")
    (note,) = [one for one in read_run(whole).data["notes"] if "code-switched" in one]
    count = {"span_qa": 24, "tagging": 22, "choice": 24}[kind]  # a sentence of two fillers has no word to replace
    assert (
        note == f"{TARGET}: {count} code-switched copies of 12 labelled examples, to be answered as the originals are"
    )


CARRIED = {
    "span_qa": lambda row: (
        [row["context"][a["start"] :][: len(a["text"])] == a["text"] for a in row["answers"]] == [True]
    ),
    "tagging": lambda row: len(row["tags"]) == len(row["words"]) > 0,
    "choice": lambda row: (len(row["alternatives"]), row["label"]) in ((2, 0), (2, 1)),
}
"""Whether an example that was made has its answer where it should be."""


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_learnt_from_with_their_answers(kind, world, tiny_checkpoint, tmp_path, monkeypatch):
    """Code-switched examples of every kind are made, kept, and seen in training as labelled ones of the target."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    entries = [f"{word}\t{translated(word)}" for word in WORDS[:12]]
    (tmp_path / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    made = {"generators": [{"name": "code-switching"}], "lexicon": str(tmp_path / "lexicon.{language}.tsv")}
    alone = {"parallel": None, "alignment": [], "pseudo": made | {"filters": []}}
    folder = run(recipe(kind, world, tiny_checkpoint, tmp_path / "run", **alone))

    rows = list(read_lines(folder / "pseudo.jsonl"))
    assert len(rows) == {"span_qa": 12, "tagging": 11, "choice": 12}[kind]
    assert all(CARRIED[kind](row) for row in rows)
    assert all(TARGET in row["languages"] for row in read_lines(folder / "training.jsonl"))


# ---- Questions without an answer ----------------------------------------------------------------


def test_questions_without_an_answer_are_learnt_and_scored(world, tiny_checkpoint, tmp_path, monkeypatch):
    """A stopped run chooses the same threshold, which is saved: what is loaded says nothing where the run did."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    for path in sorted((world / "span_qa").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for paragraph in document["data"][0]["paragraphs"]:
            paragraph["qas"][1] |= {"answers": [], "is_impossible": True}
        (tmp_path / path.name).write_text(json.dumps(document), encoding="utf-8")

    def wanted(output):
        found = recipe("span_qa", world, tiny_checkpoint, tmp_path / output)
        block = {"name": "span_qa", **found.task.options, "data_dir": str(tmp_path), "unanswerable": "keep"}
        return recipe("span_qa", world, tiny_checkpoint, tmp_path / output, task=block)

    with pytest.raises(KeyboardInterrupt):
        run(wanted("stopped"), reporter=Stopping(4, of="training"), save_every=-1.0)
    stopped, folder = run(wanted("stopped")), run(wanted("whole"), pages=write_pages)
    saved = (folder / "adaptation.safetensors").read_bytes()
    assert (stopped / "adaptation.safetensors").read_bytes() == saved
    assert load_file(folder / "adaptation.safetensors")["head.threshold"].item() != 0.0
    rows = lines(folder, TRIALS[0], TARGET)
    assert [row["gold"] == [""] for row in rows] == [False, True] * (SIZES["test"] // 2)
    assert all(row["right"] == (row["value"] in row["gold"]) for row in rows)
    document = json.loads((tmp_path / f"{TARGET}.test.json").read_text(encoding="utf-8"))
    items = [
        {"question": asked["question"], "context": paragraph["context"]}
        for paragraph in document["data"][0]["paragraphs"]
        for asked in paragraph["qas"]
    ]
    predicted = load(folder).predict(items, language=TARGET)
    assert [one.value for one in predicted] == [row["value"] for row in rows]
    assert verify(folder)["texts"] > 0
    note = f"of {SIZES['test']} questions have no answer; that is learnt and scored, as in SQuAD v2"
    assert note in (folder / "report.html").read_text(encoding="utf-8")


# ---- Other recipes ---------------------------------------------------------------------------------


def test_without_a_warm_start_nothing_comes_before(world, tiny_checkpoint, tmp_path):
    """No frozen head is trained, and report and model card say that there is no baseline."""
    wanted = recipe("span_qa", world, tiny_checkpoint, tmp_path / "run", "train.warm_start=false")
    folder = run(wanted, pages=write_pages)
    assert {row["method"] for row in read_lines(folder / "scores.jsonl")} == {"lingraft"}
    assert not any("before" in key for row in lines(folder, TRIALS[0], TARGET) for key in row)
    assert read_object(folder / "retention.json")["source_score"] is None
    for name in ("report.html", "README.md"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "there is no baseline to compare with" in text
        assert "None" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_on_classes_is_refused_before_anything_is_computed(kind, world, tiny_checkpoint, tmp_path):
    """With its place and its reason; where nothing is aligned, it does no harm."""
    wanted = recipe(kind, world, tiny_checkpoint, tmp_path, alignment=[{"name": "mse"}, {"name": "prediction"}])
    for ask in (gather_checked, plan, run):
        with pytest.raises(ConfigError) as caught:
            ask(wanted)
        assert caught.value.problems == [
            f"alignment.1: prediction compares the classes of two sentences, but {kind} ({kind}) gives a "
            "sentence no class logits; leave this loss out"
        ]
    assert gather_checked(wanted.model_copy(update={"train": wanted.train.model_copy(update={"max_pairs": 0})}))


def test_a_non_commercial_licence_is_said(world, tmp_path):
    """Before anything is loaded; a free one is not worth a word."""
    said, reporter = [], Reporter()
    reporter.say = said.append
    for licence in ("CC BY-NC 4.0", "CC BY 4.0"):
        wanted = recipe("choice", world, tmp_path / "nothing", tmp_path / "run", f"task.licence={licence}")
        with pytest.raises(CheckpointError, match="there is no folder"):
            prepare(wanted, reporter)
    warned = [sentence for sentence in said if "commercially" in sentence]
    assert warned == ["the data of choice may not be used commercially: CC BY-NC 4.0"]


def test_all_windows_are_counted_in_a_plan(world, tiny_checkpoint, tmp_path):
    """Tokens to train on are those of all rows of an example, and the frozen head's training takes its time."""
    wanted = recipe("span_qa", world, tiny_checkpoint, tmp_path / "run")
    found = plan(wanted)
    assert (found.task, found.trials) == ("span_qa", 1)
    narrow = plan(recipe("span_qa", world, tiny_checkpoint, tmp_path / "run", "backbone.max_length=40"))

    def learnt(one):
        (line,) = (line for line in one.lines if line.startswith("tokens: "))
        return int(line.split("once; ")[1].split(" to train")[0].replace(",", ""))

    assert learnt(found) > learnt(narrow)  # windows overlap, and repeat the question


def test_a_cache_that_is_too_small_is_refused(world, tiny_checkpoint, tmp_path):
    """Before anything is computed, with what to do."""
    wanted = recipe("tagging", world, tiny_checkpoint, tmp_path / "run", "cache.max_gigabytes=1e-5")
    with pytest.raises(ConfigError, match=r"cache.max_gigabytes: the states take .* GB, and only 1e-05 are allowed"):
        plan(wanted)


# ---- Against other methods -------------------------------------------------------------------------


def test_methods_are_compared_on_questions(world, tiny_checkpoint, tmp_path, monkeypatch):
    """Frozen head, PEFT and ours on the same questions; prototypes are those of classes, of which there are none.

    Ours alone has copies that must get the same answers.
    """
    entries = [f"{word}\t{translated(word)}" for word in WORDS[:12]]
    (tmp_path / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    names = ["frozen-head", "prototype", *(["peft-lora"] if find_spec("peft") else []), "lingraft"]
    wanted = recipe(
        "span_qa", world, tiny_checkpoint, tmp_path / "out", "shots.k=2", "train.num_train_epochs=1",
        compare={"methods": names}, consistency={"lexicon": str(tmp_path / "lexicon.{language}.tsv")},
    )  # fmt: skip
    folder = quick_compare(wanted)
    losses = {
        name: "consistency_loss" in next(read_lines(folder / name / "trials" / TRIALS[1] / "training.jsonl"))
        for name in names[2:]
    }
    assert losses == {name: name == "lingraft" for name in names[2:]}
    methods = {facts["name"]: facts for facts in read_object(folder / "comparison.json")["methods"]}
    assert methods["prototype"]["impossible"] == "prototypes score classes, which the outputs of span_qa are not"
    assert methods["frozen-head"]["trainable_parameters"] == 2 * 24 + 2
    assert "trained by gradient" in methods["frozen-head"]["about"]
    assert len({json.dumps(facts["labels"]) for facts in methods.values() if "labels" in facts}) == 1

    rows = list(read_lines(folder / "scores.jsonl"))
    assert {(row["method"], row["metric"]) for row in rows} == {
        (name, metric) for name in names if name != "prototype" for metric in ("f1", "exact_match")
    }
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert "F1 on the test sets after 1 epoch for" in page
    assert "2 labelled questions in the target language" in page
    assert "over test questions" in page
    assert "ccuracy" not in page
    shown = [f"{100 * row['value']:.1f}" for row in rows if row["metric"] == "f1" and row["language"] == TARGET]
    assert [number for number in shown if number not in page] == []

    # A method's folder serves like a run's.
    written = {(row["method"], row["language"], row["metric"]): row["value"] for row in rows}
    for name in set(names) - {"prototype"}:
        again = {(s.method, s.language, s.metric): s.value for _, s in rescore(folder / name, None, "test", quiet=True)}
        assert again == {key: pytest.approx(value) for key, value in written.items() if key[0] == name}


def test_the_frozen_head_of_a_comparison_is_the_one_before(world, tiny_checkpoint, tmp_path, monkeypatch):
    """Trained once, as what a run reports as "before" is, where all labels count alike."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    own = ["shots.k=2", "train.shot_weight=1.0"]
    wanted = recipe(
        "choice", world, tiny_checkpoint, tmp_path / "out", *own, compare={"methods": ["frozen-head", "lingraft"]}
    )
    for one in lingraft.experiments.compare.list_methods(wanted):
        compare_worker.run_method(one, wanted)
    alone, ours = (lines(tmp_path / "out" / name, TRIALS[1], TARGET) for name in ("frozen-head", "lingraft"))
    assert [row["value"] for row in alone] == [row["before"] for row in ours]
    assert [row["confidence"] for row in alone] == pytest.approx([row["before_confidence"] for row in ours], abs=1e-5)
    assert "before" not in alone[0]
    tensors = load_file(tmp_path / "out" / "frozen-head" / "trials" / TRIALS[1] / "adaptation.safetensors")
    assert set(tensors) == {"head.weight", "head.bias"}


# ---- Windows in training ---------------------------------------------------------------------------


def test_every_window_is_held_to_its_own_state(world, tiny_checkpoint, tiny_backbone, tmp_path):
    """The source's windows keep their own frozen states; sentences of pairs have one."""
    from lingraft.runs.checks import resolve_cut
    from lingraft.runs.frozen_states import encode_all, tokenise
    from lingraft.training.pools import Context, learning_pools

    wanted = recipe("span_qa", world, tiny_checkpoint, tmp_path / "run")
    materials, cpu = gather(wanted), torch.device("cpu")
    features = tokenise(materials, tiny_backbone.tokenizer, "ada ", wanted)
    cut = resolve_cut(wanted, 3)
    pools = encode_all(features, replace(tiny_backbone, text_prefix="ada "), wanted, cut, cpu, Reporter(quiet=True))
    context = Context(wanted, materials, tiny_backbone, cut, pools, torch.device("cpu"))
    source, (target,) = learning_pools(materials.draws[0], context)
    several = [i for i in source.ids if len(source.encoded.rows[i]) > 1]
    assert several
    batch = source.batch(several, cpu)
    rows = [row for i in several for row in source.encoded.rows[i]]
    assert batch.has_teacher.all()
    torch.testing.assert_close(batch.teacher, source.encoded.table.pooled_rows(rows))
    assert not torch.equal(batch.teacher[0], batch.teacher[1])
    assert {len(target.encoded.rows[i]) for i in target.teacher} == {1}
