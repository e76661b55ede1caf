"""Classification of texts and pairs whose code-switched copies get the same classes; and what is refused before."""

import pytest

from invented import SOURCE, TARGET, translated, world_recipe, write_world
from lingraft.core.errors import ConfigError, DataError
from lingraft.recipe.parsing import parse_recipe
from lingraft.results.run_files import read_run
from lingraft.runs.checks import gather_checked
from lingraft.tasks.material import Draw
from quick_run import run
from tiny import WORDS

SMALL = [
    *("train.num_train_epochs=4", "train.batch_size=8", "train.learning_rate=1e-2", "seeds=[1]", "device=cpu"),
    *("prompt.length=2", "prompt.language_length=0", "adapter.width=4", "adapter.language_width=0"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The invented tables, pairs of texts that are the same or not, and a lexicon of the words that topics show in."""
    folder = write_world(tmp_path_factory.mktemp("world"))
    entries = [f"{word}\t{translated(word)}" for word in WORDS[:12]]
    (folder / f"lexicon.{TARGET}.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    for language, say in ((SOURCE, str), (TARGET, translated)):
        for split in ("train", "dev", "test"):
            rows = (folder / f"{language}.{split}.csv").read_text(encoding="utf-8").splitlines()[1:]
            texts = [row.split(",")[1] for row in rows]
            others = [text if i % 2 else say(" ".join(WORDS[i % 12 : i % 12 + 3])) for i, text in enumerate(texts)]
            lines = [f"{split}{i},{a},{b},{'yn'[a != b]}" for i, (a, b) in enumerate(zip(texts, others, strict=True))]
            text = "\n".join(["key,one,two,same", *lines]) + "\n"
            (folder / f"{language}.{split}.pairs.csv").write_text(text, encoding="utf-8")
    return folder


def wanted(world, checkpoint="a tiny one", *overrides, **consistency):
    """A recipe with copies."""
    lexicon = str(world / "lexicon.{language}.tsv")
    return world_recipe(
        world,
        [*SMALL, *overrides],
        backbone={"checkpoint": str(checkpoint), "max_length": 32, "cut": 1},
        consistency={"lexicon": lexicon} | consistency,
    )


PAIRS = ["task.files.train={language}.train.pairs.csv", "task.files.dev={language}.dev.pairs.csv",
         "task.files.test={language}.test.pairs.csv",
         "task.fields={text_a: one, text_b: two, label: same, id: key}"]  # fmt: skip


@pytest.mark.parametrize("task", [[], PAIRS], ids=["texts", "pairs"])
@pytest.mark.parametrize("order", ["joint", "sequential"])
def test_copies_get_the_classes_of_their_originals(task, order, world, tiny_checkpoint, tmp_path):
    """The heavier the loss, the more alike the predictions, whichever way source and target are ordered."""

    def learnt(output, weight):
        given = [*task, f"train.order={order}", f"output_dir={tmp_path / output}"]
        return read_run(run(wanted(world, tiny_checkpoint, *given, weight=weight))).training

    heavy, light = learnt("heavy", 10.0), learnt("light", 1e-3)
    assert 0 < heavy[-1]["consistency_loss"] / 10.0 < light[-1]["consistency_loss"] / 1e-3
    for row in (*heavy, *light):
        assert row["loss"] == pytest.approx(row["task_loss"] + row["consistency_loss"], rel=1e-5)


def test_copies_are_of_what_is_learnt_from_with_labels(world):
    """Each has its original's label and group, and is no text that is evaluated on; more copies are other ones."""
    draw = gather_checked(wanted(world, copies=3, ratio=0.4)).draws[0]
    assert isinstance(draw, Draw)
    known = {example.id: example for example in draw.labelled}
    (rounds,) = draw.copies.values()
    assert len(rounds) == 3
    for copies in rounds:
        assert len({copy.original.id for copy in copies}) == len(copies) > 20
        for copy in copies:
            original = known[copy.original.id]
            assert (copy.example.label, copy.example.group) == (original.label, original.group)
            assert copy.example.text_a != original.text_a
    texts = [{copy.original.id: copy.example.text_a for copy in copies} for copies in rounds]
    assert texts[0] != texts[1]
    ids = [copy.example.id for copies in rounds for copy in copies]
    assert len(set(ids)) == len(ids)


def test_a_copy_that_is_evaluated_on_is_left_out(world, tmp_path):
    """A text all of whose words are replaced may be the target's test text."""
    rows = (world / f"{SOURCE}.train.csv").read_text(encoding="utf-8").splitlines()
    texts = [row.split(",")[1] for row in rows[1:]]
    entries = [f"{word}\t{translated(word)}" for word in WORDS[:16]]
    (tmp_path / "all.yor-Latn.tsv").write_text("\n".join(entries) + "\n", encoding="utf-8")
    lines = ["key,sentence,topic", *(f"t{i},{translated(text)},bird" for i, text in enumerate(texts[:5]))]
    (tmp_path / f"{TARGET}.test.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in (f"{SOURCE}.train", f"{SOURCE}.dev", f"{SOURCE}.test", f"{TARGET}.train"):
        (tmp_path / f"{name}.csv").write_text((world / f"{name}.csv").read_text(encoding="utf-8"), encoding="utf-8")
    recipe = wanted(tmp_path, lexicon=str(tmp_path / "all.{language}.tsv"), ratio=1.0)
    draw = gather_checked(recipe).draws[0]
    ((copies,),) = draw.copies.values()
    assert {copy.original.text_a for copy in copies} == set(texts[5:])


REFUSED = [
    (
        {"languages": ["quy-Latn"]},
        "consistency.languages: quy-Latn is no target language of this run; these are yor-Latn",
    ),
    ({"ratio": 0}, "consistency.ratio: expected a number greater than 0 (got 0)"),
    ({"ratio": 1.5}, "consistency.ratio: expected a number of at most 1 (got 1.5)"),
    ({"lexikon": "x"}, "consistency.lexikon: unknown key 'lexikon'; did you mean 'lexicon'?"),
]


@pytest.mark.parametrize(("consistency", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused(consistency, message, world):
    """With the key and what is allowed."""
    with pytest.raises(ConfigError) as error:
        gather_checked(wanted(world, **consistency))
    assert message in str(error.value)


def test_copies_without_training_are_refused(world):
    """Closed form alone has no such loss."""
    with pytest.raises(
        ConfigError, match=r"consistency: nothing is trained with train\.num_train_epochs: 0; leave it out"
    ):
        wanted(world, "a tiny one", "train.num_train_epochs=0")


def test_a_lexicon_that_is_not_there_is_named(world):
    """As any other file."""
    with pytest.raises(DataError, match=r"nothere\.yor-Latn\.tsv"):
        gather_checked(wanted(world, lexicon=str(world / "nothere.{language}.tsv")))


def test_a_task_in_one_language_has_nothing_to_switch_into(world):
    """It is said before a lexicon is read."""
    recipe = parse_recipe(
        {
            "task": {
                "name": "classification",
                "source_language": SOURCE,
                "target_languages": [],
                "files": {split: f"{{language}}.{split}.csv" for split in ("train", "test")},
                "fields": {"text": "sentence", "label": "topic", "id": "key"},
                "data_dir": str(world),
            },
            "consistency": {"lexicon": str(world / "lexicon.{language}.tsv")},
        }
    )
    with pytest.raises(ConfigError, match="consistency: the task is in one language, so nothing can be switched"):
        gather_checked(recipe)


def test_a_lexicon_of_other_words_is_refused(world, tmp_path):
    """There would be no copy, and nothing would be said of it."""
    (tmp_path / f"other.{TARGET}.tsv").write_text("zebra\tketenyanyan\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="consistency: the lexicon of yor-Latn knows no word of what is labelled"):
        gather_checked(wanted(world, lexicon=str(tmp_path / "other.{language}.tsv")))


def test_copies_whose_texts_become_the_same_are_left_out_and_counted(tmp_path):
    """Two words with one translation: what said of two texts that they differ would be said of one."""
    write_world(tmp_path)
    for language in (SOURCE, TARGET):
        for split in ("train", "dev", "test"):
            said = [
                (f"{split} {word} big", f"{split} {word} {('large', 'big')[i % 2]}") for i, word in enumerate(WORDS)
            ]
            lines = [f"{split}{i},{a},{b},{'yn'[a != b]}" for i, (a, b) in enumerate(said)]
            text = "\n".join(["key,one,two,same", *lines]) + "\n"
            (tmp_path / f"{language}.{split}.pairs.csv").write_text(text, encoding="utf-8")
    (tmp_path / f"lexicon.{TARGET}.tsv").write_text("big\tkubwa\nlarge\tkubwa\n", encoding="utf-8")
    materials = gather_checked(wanted(tmp_path, "a tiny one", *PAIRS, copies=2, ratio=1.0))
    (rounds,) = materials.draws[0].copies.values()
    of_differing = sum(example.label == "n" for example in materials.draws[0].labelled)
    assert of_differing > 3
    assert {copy.original.label for copies in rounds for copy in copies} == {"y"}
    assert any(
        f"({2 * of_differing} left out: two texts that its label tells apart become the same)" in note
        for note in materials.notes
    )
    for split in ("train", "dev"):
        file = tmp_path / f"{SOURCE}.{split}.pairs.csv"
        rows = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join(row.replace(" big", " near", 2) if row.endswith("y") else row for row in rows) + "\n")
    with pytest.raises(ConfigError, match=f"nothing is left of what the lexicon of {TARGET} copies: two texts that"):
        gather_checked(wanted(tmp_path, "a tiny one", *PAIRS, copies=2, ratio=1.0))
