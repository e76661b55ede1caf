"""All labels as they are, and labels in one language and no other."""

from collections import Counter

import pytest

from invented import SOURCE, TARGET, labelled_texts, world_recipe, write_csv, write_world
from lingraft.core.errors import ConfigError, DataError
from lingraft.recipe.parsing import parse_recipe
from lingraft.tasks.gathering import gather

UNEVEN = {"bird": 55, "river": 38, "stone": 7}


@pytest.fixture
def world(tmp_path):
    """The invented tables, with 100 target labels of which seven are of one class."""
    write_world(tmp_path)
    rows = [(f"n{i}", f"x{i}", label) for i, label in enumerate(Counter(UNEVEN).elements())]
    write_csv(tmp_path / f"{TARGET}.train.csv", ["key", "sentence", "topic"], rows)
    return tmp_path


def classes(examples):
    """How many there are of each."""
    return Counter(example.label for example in examples)


def test_all_shots_are_all_labels_whatever_their_balance(world):
    """55, 38 and 7 are 100 labelled examples; per class seven would be the most."""
    (draw,) = gather(world_recipe(world, shots={"k": "all"})).draws
    assert classes(draw.shots[TARGET]) == UNEVEN
    (draw,) = gather(world_recipe(world, shots={"k": 7})).draws
    assert classes(draw.shots[TARGET]) == dict.fromkeys(UNEVEN, 7)
    with pytest.raises(DataError, match="stone 7"):
        gather(world_recipe(world, shots={"k": 8}))


def test_all_shots_may_lack_a_class(world):
    """What nobody labelled there is learnt from the source language."""
    rows = [(f"n{i}", f"x{i}", "bird") for i in range(3)]
    write_csv(world / f"{TARGET}.train.csv", ["key", "sentence", "topic"], rows)
    (draw,) = gather(world_recipe(world, shots="all")).draws
    assert classes(draw.shots[TARGET]) == {"bird": 3}


def one_language(folder, **changes):
    """A recipe for labels in one language."""
    files = {"train": "train.csv", "dev": "dev.csv", "test": "test.csv"}
    task = {"name": "classification", "language": "twi-Latn", "files": files, "data_dir": str(folder)}
    return parse_recipe({"task": task} | changes)


@pytest.fixture
def twi(tmp_path):
    """Labelled texts in one language."""
    texts = labelled_texts(60)
    for split, some in (("train", texts[:30]), ("dev", texts[30:40]), ("test", texts[40:])):
        write_csv(tmp_path / f"{split}.csv", ["text", "label"], some)
    return tmp_path


def test_a_task_in_one_language_learns_from_it_and_is_tested_in_it(twi):
    """No other language is asked for, read or named."""
    found = gather(one_language(twi))
    (draw,) = found.draws
    assert (found.task.languages, found.task.tested_languages) == (("twi-Latn",), ("twi-Latn",))
    assert ([len(draw.labelled), len(found.dev)], {k: len(v) for k, v in found.test.items()}) == (
        [30, 10],
        {"twi-Latn": 20},
    )
    assert (draw.k, dict(draw.shots), dict(draw.pairs)) == ("all", {}, {})
    assert {e.language for e in [*draw.labelled, *found.dev, *found.test["twi-Latn"]]} == {"twi-Latn"}


def test_shots_of_one_language_are_of_its_labels(twi):
    """So a curve over numbers of labels can be drawn; each draw draws others."""
    draws = gather(one_language(twi, shots={"k": [2, "all"], "draws": 2})).draws
    assert [(draw.k, draw.draw, len(draw.labelled)) for draw in draws] == [
        (2, 0, 6), (2, 1, 6), ("all", 0, 30), ("all", 1, 30),
    ]  # fmt: skip
    assert set(classes(draws[0].labelled).values()) == {2}
    assert {e.id for e in draws[0].labelled} != {e.id for e in draws[1].labelled}


def test_no_shots_leave_nothing_in_one_language(twi):
    """There is no other language to learn from."""
    with pytest.raises(ConfigError, match=r"shots\.k: 0 leaves nothing to learn from"):
        gather(one_language(twi, shots={"k": 0}))


def test_what_the_recipe_names_of_one_language_must_be_there(twi):
    """Its test file is no matter of taste, as that of a source language is."""
    (twi / "test.csv").rename(twi / "tests.csv")
    with pytest.raises(
        DataError, match=r"no file for Twi \(twi-Latn\): .*/test\.csv is not there; did you mean .*/tests\.csv"
    ):
        gather(one_language(twi))


def test_a_source_language_needs_no_test_file(tmp_path):
    """As before: only targets must have one."""
    write_world(tmp_path)
    (tmp_path / f"{SOURCE}.test.csv").unlink()
    assert gather(world_recipe(tmp_path)).test[SOURCE] == ()
