"""Runs without a test set, or with one that nobody labelled."""

import shutil
from contextlib import contextmanager

import pytest
from safetensors.torch import load_file

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_csv, write_world
from lingraft.core.errors import DataError, LingraftError
from lingraft.core.files import read_lines, read_object
from lingraft.core.progress import Reporter
from lingraft.experiments.possible import check_comparison
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.comparison import blocks, read_comparison
from lingraft.results.pages import write_pages
from lingraft.results.run_files import read_run
from lingraft.runs.plan import plan
from lingraft.runs.rescore import rescore
from lingraft.serving.loading import load
from lingraft.tasks.gathering import gather
from quick_run import Stopping, content, quick_compare, run

SMALL = [
    *("train.num_train_epochs=1", "train.batch_size=8", "device=cpu", "seeds=[1]"),
    *("prompt.name=deep", "prompt.length=2", "prompt.language_length=1"),
    *("adapter.name=bottleneck", "adapter.width=4", "adapter.language_width=2"),
]
TRIAL = "kall-draw0-seed1"


def recipe(folder, checkpoint, output, *overrides, **files):
    """Labels in one language; ``files`` are those of its splits."""
    task = {"name": "classification", "language": "twi-Latn", "files": files, "data_dir": str(folder)}
    values = {"task": task, "backbone": {"checkpoint": str(checkpoint), "max_length": 32}}
    return parse_recipe(
        values, [*SMALL, f"output_dir={output}", "task.fields={id: id, text: text, label: label}", *overrides]
    )


def write(path, rows):
    """A table of examples."""
    write_csv(path, ["id", "text", "label"], rows)


@pytest.fixture(scope="module")
def twi(tmp_path_factory):
    """Labelled texts: training and development."""
    folder = tmp_path_factory.mktemp("twi")
    rows = [(f"n{i}", *row) for i, row in enumerate(labelled_texts(32))]
    write(folder / "train.csv", rows[:24])
    write(folder / "dev.csv", rows[24:])
    return folder


@pytest.fixture(scope="module")
def crossed(twi, tiny_checkpoint, tmp_path_factory):
    """A cross-validated run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    return run(recipe(twi, tiny_checkpoint, folder, "shots.folds=3", train="train.csv", dev="dev.csv"))


def test_every_label_is_predicted_once_and_scored(crossed):
    """The scores are those of all predictions together."""
    rows = list(read_lines(crossed / "predictions" / TRIAL / "twi-Latn.jsonl"))
    assert sorted(row["id"] for row in rows) == sorted(f"train/n{i}" for i in range(24))
    assert sorted({row["fold"] for row in rows}) == [0, 1, 2]
    scores = {(s.method, s.metric): s for s in read_run(crossed).scores}
    for method, column in (("frozen-head", "before"), ("lingraft", "value")):
        found = scores[method, "accuracy"]
        assert (found.value, found.n) == (sum(row[column] == row["gold"] for row in rows) / 24, 24)


@pytest.mark.parametrize("changes", [[], ["freezing.name=frozen_then_lora", "train.num_train_epochs=2"]])
def test_a_fold_is_predicted_as_by_a_run_that_has_it_as_its_test_set(changes, twi, tiny_checkpoint, tmp_path):
    """Trained on the other folds alone, to the last digit; also where all layers are adapted in the end."""
    given = ["shots.folds=3", *changes]
    crossed = run(recipe(twi, tiny_checkpoint, tmp_path / "crossed", *given, train="train.csv", dev="dev.csv"))
    rows = list(read_lines(crossed / "predictions" / TRIAL / "twi-Latn.jsonl"))
    table = {row["id"]: (row["id"].removeprefix("train/"), row["text"], row["gold"]) for row in rows}
    held = {row["id"] for row in rows if row["fold"] == 1}
    for name, wanted in (("train", table.keys() - held), ("test", held)):
        write(tmp_path / f"{name}.csv", [one for key, one in table.items() if key in wanted])
    (tmp_path / "dev.csv").write_bytes((twi / "dev.csv").read_bytes())
    files = {split: f"{split}.csv" for split in ("train", "dev", "test")}
    alone = run(recipe(tmp_path, tiny_checkpoint, tmp_path / "run", *changes, **files))
    found = {row["text"]: row for row in read_lines(alone / "predictions" / TRIAL / "twi-Latn.jsonl")}
    for row in rows:
        if row["fold"] == 1:
            other = found[row["text"]]
            assert [row[key] for key in ("value", "before")] == [other[key] for key in ("value", "before")]
            assert row["confidence"] == pytest.approx(other["confidence"], abs=1e-5)


def test_a_fold_is_not_among_the_unlabelled_texts_that_a_map_is_fitted_to(tiny_checkpoint, tmp_path):
    """Texts that hold the labelled ones, too: each fold is predicted as by a run that has it as its test set."""
    write_world(tmp_path)
    texts = [(f"n{i}", translated(text), topic) for i, (text, topic) in enumerate(labelled_texts(36, seed=5))]
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for _, text, _ in texts), encoding="utf-8")

    def answers(name, train, test=()):
        folder = tmp_path / name
        shutil.copytree(tmp_path, folder, ignore=shutil.ignore_patterns("crossed", "alone", f"{TARGET}.*"))
        for split, rows in (("train", train), *([("test", test)] if test else [])):
            write_csv(folder / f"{TARGET}.{split}.csv", ["key", "sentence", "topic"], rows)
        made = {"backbone": {"checkpoint": str(tiny_checkpoint), "max_length": 32}, "preset": "instant"}
        blocks = {"parallel": {"text": str(tmp_path / "texts.txt")}, "shots": {"k": "all", "folds": 3}}
        wanted = world_recipe(
            folder,
            [f"output_dir={folder / 'run'}", "device=cpu"],
            splits=("train", "dev", "test") if test else ("train", "dev"),
            **made,
            **blocks,
        )
        return {row["text"]: row for row in read_lines(run(wanted) / "predictions" / TRIAL / f"{TARGET}.jsonl")}

    crossed = answers("crossed", texts)
    held = {text for text, row in crossed.items() if row["fold"] == 1}
    alone = answers("alone", [r for r in texts if r[1] not in held], [r for r in texts if r[1] in held])
    assert len(held) == len(alone) == 12
    for text in held:
        assert crossed[text]["value"] == alone[text]["value"]
        assert crossed[text]["confidence"] == pytest.approx(alone[text]["confidence"], abs=1e-5)


def test_the_saved_model_learns_from_all(crossed, twi, tiny_checkpoint, tmp_path):
    """It is that of a run that does not cross-validate, bit for bit."""
    files = {"train": "train.csv", "dev": "dev.csv"}
    plain = run(recipe(twi, tiny_checkpoint, tmp_path / "run", "shots.folds=0", **files))
    ours, theirs = (load_file(folder / "adaptation.safetensors") for folder in (crossed, plain))
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert read_run(plain).scores == ()
    assert load(plain).predict(["ada beli"], language="twi-Latn")[0].value in ("bird", "river", "stone")


def test_a_damaged_fold_is_learnt_again(crossed, twi, tiny_checkpoint, tmp_path):
    """Its file has a digest; what was stopped continues to the same files otherwise."""
    wanted = recipe(twi, tiny_checkpoint, tmp_path / "run", "shots.folds=3", train="train.csv", dev="dev.csv")
    with pytest.raises(KeyboardInterrupt):
        run(wanted, reporter=Stopping(8), save_every=0.0)
    damaged = tmp_path / "run" / "trials" / TRIAL / "folds" / "0.json"
    text = damaged.read_text(encoding="utf-8")
    damaged.write_text(text.replace('"value": "bird"', '"value": "stone"').replace('"seconds": 0.0', '"seconds": 9.0'))
    assert content(run(wanted)) == content(crossed)


class Counting(Reporter):
    """Counts the steps of all trainings."""

    def __init__(self):
        super().__init__(quiet=True, clock=lambda: 0.0)
        self.steps = 0

    @contextmanager
    def task(self, title, total):
        """Count."""

        def advance(amount=1, note=""):
            self.steps += amount if title.startswith("training") else 0

        yield advance


def test_check_counts_the_steps_of_all_folds(twi, tiny_checkpoint, tmp_path):
    """What is announced is what is done."""
    wanted = recipe(twi, tiny_checkpoint, tmp_path / "run", "shots.folds=3", train="train.csv", dev="dev.csv")
    found = plan(wanted, measure=lambda width: {"float32": 1e9, "bfloat16": 1e9})
    counting = Counting()
    run(wanted, reporter=counting)
    assert [one.steps for one in found.work.trials] == [counting.steps] == [3 * 2 + 3]
    assert any("cross-validated in 3 folds" in line for line in found.lines)


def test_test_texts_without_labels_are_predicted(tiny_checkpoint, tmp_path):
    """By the trial that is saved; the frozen head's scores and the gain are nowhere."""
    world = write_world(tmp_path)
    write_csv(world / f"{TARGET}.test.csv", ["key", "sentence"], [("a", "tolu ula"), ("b", "vero")])
    small = [*SMALL, f"output_dir={tmp_path / 'run'}"]
    backbone = {"checkpoint": str(tiny_checkpoint), "max_length": 32}
    folder = run(world_recipe(world, small, backbone=backbone))
    answers = list(read_lines(folder / f"answers.{TARGET}.jsonl"))
    assert [(row["id"], row["text"]) for row in answers] == [("a", "tolu ula"), ("b", "vero")]
    with pytest.warns(UserWarning, match="the part that all languages share"):
        predicted = load(folder).predict(["tolu ula", "vero"])
    assert [row["value"] for row in answers] == [one.value for one in predicted]
    assert {score.language for score in read_run(folder).scores} == {SOURCE}
    assert read_object(folder / "data.json")["unscored"] == [
        "Yoruba (yor-Latn): the 2 test examples have no labels, so nothing is scored at 0 shots: no labels of it are "
        "learnt from; what is predicted for them is in answers.yor-Latn.jsonl of the run folder"
    ]


@pytest.mark.parametrize(
    ("header", "rows", "told"),
    [
        (
            ["key", "sentence", "topic"],
            [("a", "tolu", ""), ("b", "vero", "bird")],
            "line 2: column 'topic' has no label",
        ),
        (["key", "sentence", "topics"], [("a", "tolu", "bird")], "no column 'topic'.*did you mean 'topics'"),
    ],
    ids=["some", "misspelt"],
)
def test_labels_that_were_forgotten_are_asked_for(tmp_path, header, rows, told):
    """A test file has labels or has none."""
    world = write_world(tmp_path)
    write_csv(world / f"{TARGET}.test.csv", header, rows)
    with pytest.raises(DataError, match=told):
        gather(world_recipe(world))


def test_nothing_is_scored_again_without_a_test_set(crossed):
    """The labels were learnt from."""
    with pytest.raises(DataError, match="has no test examples"):
        rescore(crossed, None, "test", quiet=True)


def test_a_comparison_needs_a_test_set(twi, tiny_checkpoint, tmp_path):
    """Methods are not cross-validated; which is said once, before any of them is begun, and by a check."""
    wanted = recipe(
        twi, tiny_checkpoint, tmp_path / "all", "compare.methods=[lingraft]", train="train.csv", dev="dev.csv"
    )
    said = "^a comparison needs a test set with labels in twi-Latn"
    with pytest.raises(LingraftError, match=said):
        quick_compare(wanted, start=lambda *rest: pytest.fail("nothing is begun"))
    with pytest.raises(LingraftError, match=said.removeprefix("^")):
        plan(wanted, check_comparison)


@pytest.mark.parametrize(
    ("folds", "headline", "said"),
    [
        (0, "# Nothing was scored", "nothing is scored: 24 labelled examples are not cross-validated (shots.folds: 0)"),
        (3, "# Twi: ", "its 24 labelled examples are cross-validated in 3 folds"),
    ],
)
def test_pages_say_what_was_done_instead_of_a_test(twi, tiny_checkpoint, tmp_path, folds, headline, said):
    """Before anything else that a reader must know; and no page speaks of another language."""
    wanted = recipe(twi, tiny_checkpoint, tmp_path / "run", f"shots.folds={folds}", train="train.csv", dev="dev.csv")
    folder = run(wanted, pages=write_pages)
    card, report = ((folder / name).read_text(encoding="utf-8") for name in ("README.md", "report.html"))
    assert headline in card
    assert card.index(said) < card.index("## How to use")
    assert said in report
    for page in (card, report):
        assert "English" not in page


def test_methods_are_compared_in_one_language(twi, tiny_checkpoint, tmp_path):
    """Its table is of that language, at all shots."""
    folder = tmp_path / "twi"
    folder.mkdir()
    write(folder / "test.csv", [(f"t{i}", *row) for i, row in enumerate(labelled_texts(40)[32:])])
    for name in ("train.csv", "dev.csv"):
        (folder / name).write_bytes((twi / name).read_bytes())
    files = {split: f"{split}.csv" for split in ("train", "dev", "test")}
    methods = "compare.methods=[frozen-head,lingraft]"
    made = quick_compare(recipe(folder, tiny_checkpoint, tmp_path / "all", methods, **files))
    (block,) = blocks(read_comparison(made))
    assert (block.shots, block.languages, block.examples) == ("all", ("twi-Latn",), 8)
    assert "all shots in Twi" in (made / "README.md").read_text(encoding="utf-8")
