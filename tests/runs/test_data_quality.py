"""What a user is told of the data before a run."""

import json
import re
import unicodedata

import pytest

from lingraft.core.errors import DataError
from lingraft.recipe.parsing import parse_recipe
from lingraft.runs.data_quality import describe_classes, describe_limits, warn_of_data
from lingraft.tasks.gathering import gather

SOURCE, TARGET = "eng-Latn", "yor-Latn"
WORDS = ("amber", "basket", "candle", "donkey", "ember", "forest", "garden", "harbour", "island", "jungle", "kettle")


def sentence(number, language=SOURCE):
    """A text like no other."""
    return " ".join(f"{WORDS[(number * k + k) % 11]}{number * k}" for k in range(1, 8)) + f" {language}"


def rows(labels, language=SOURCE, first=0):
    """Texts with these labels."""
    return [{"text": sentence(first + i, language), "label": label} for i, label in enumerate(labels)]


def gathered(folder, train, test, **task):
    """The materials of a classification with these rows."""
    for split, language, found in (("train", SOURCE, train), ("test", TARGET, test)):
        lines = "".join(json.dumps(row) + "\n" for row in found)
        (folder / f"{split}.{language}.jsonl").write_text(lines, encoding="utf-8")
    block = {"name": "classification", "source_language": SOURCE, "target_languages": [TARGET], **task}
    files = {split: split + ".{language}.jsonl" for split in ("train", "test")}
    return gather(parse_recipe({"task": {**block, "data_dir": str(folder), "files": files}}))


def test_classes_are_listed_with_counts_and_examples(tmp_path):
    """The largest first, three texts of each, long ones cut."""
    train = rows(["market"] * 9 + ["health"] * 16)
    train[0]["text"] = "x" * 200
    found = gathered(tmp_path, train, rows(["health"] * 2, TARGET))
    first, health, market = describe_classes(found)
    assert first == "2 classes in the eng-Latn training set, with counts there and in all test sets:"
    assert health == "  'health': 16 and 2; " + ", ".join(f"“{short(train[i]['text'])}”" for i in (9, 10, 11))
    assert market.startswith("  'market': 9 and 0; “" + "x" * 59 + "…”, ")


def short(text):
    """A text of at most 60 characters."""
    return text if len(text) <= 60 else text[:59].rstrip() + "…"


def test_many_classes_are_counted_and_some_listed(tmp_path):
    """A line for each of thirty, and one for the rest."""
    labels = [f"c{i:02}" for i in range(33) for _ in range(2)]
    lines = describe_classes(gathered(tmp_path, rows(labels), rows(["c00"], TARGET)))
    assert len(lines) == 32
    assert lines[-1] == "  … and 3 more"


def test_spellings_of_one_class_are_warned_of(tmp_path):
    """Case and normal form, with the counts of each spelling and the cure; merged, there is nothing to say."""
    other = unicodedata.normalize("NFD", "Salud pública")
    train = rows(["salud pública"] * 9 + ["Salud pública"] * 5 + [other] * 4 + ["clima"] * 9)
    test = rows(["salud pública"], TARGET)
    (warning,) = warn_of_data(gathered(tmp_path, train, test))
    assert "'salud pública' (10), 'Salud pública' (5), 'Salud pu\\u0301blica' (4)" in warning
    assert "`labels: normalise`" in warning
    assert warn_of_data(gathered(tmp_path, train, test, labels="normalise")) == []


def test_numbers_as_labels_are_asked_about(tmp_path):
    """Are these numbers? There is no kind that takes them, and that is said; also where no draw can be made of them."""
    asked = "the 59 labels are all numbers (10, 11, 12, …): are they measurements or scores?"
    train, test = rows([str(10 + i * 7 % 59) for i in range(472)]), rows(["10"], TARGET)
    (warning,) = warn_of_data(gathered(tmp_path, train, test))
    assert warning.startswith(asked)
    assert "no kind of task takes numbers yet" in warning
    with pytest.raises(DataError, match=r"draw 1 leaves no labelled .*Besides, " + re.escape(asked)):
        gathered(tmp_path, train[:59], test)


def test_near_duplicates_between_training_and_test_are_warned_of(tmp_path):
    """The number of test texts, and the two that are most alike."""
    train = rows(["market"] * 10 + ["health"] * 10)
    test = [*rows(["market", "health"], TARGET, first=40), {"text": train[3]["text"] + " !", "label": "market"}]
    (warning,) = warn_of_data(gathered(tmp_path, train, test))
    assert warning.startswith("1 of 3 yor-Latn test texts are nearly the same as a training text")
    assert f"“{short(train[3]['text'])}”" in warning


def test_a_test_file_that_repeats_the_training_file_is_told(tmp_path):
    """All of it leaves nothing to learn from; most of it is warned of; a class that is gone is named."""
    train = rows(["market"] * 20 + ["health"] * 20)
    with pytest.raises(DataError, match=r"the yor-Latn test file repeats 40 of 40 eng-Latn training texts; .*nothing"):
        gathered(tmp_path, train, train)
    with pytest.raises(DataError, match=r"repeats 30 of 40 eng-Latn training texts; .*so nothing of health is left"):
        gathered(tmp_path, train, train[10:])
    (warning,) = warn_of_data(gathered(tmp_path, train, train[10:34]))
    assert warning == (
        "the yor-Latn test file repeats 24 of 40 eng-Latn training texts; they are left out of what is learnt from"
    )


def test_what_any_answer_can_be_has_no_limit(tmp_path):
    """Classes can always be given."""
    found = gathered(tmp_path, rows(["market"] * 9 + ["health"] * 9), rows(["health"], TARGET, first=30))
    features = dict.fromkeys([(SOURCE, "test"), (TARGET, "test"), (SOURCE, "dev")], ())
    assert describe_limits(found, features) == []
