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


def gathered(folder, train, test, shots=None, **task):
    """The materials of a classification with these rows; of the target's training rows five of each class are drawn."""
    given = [("train", SOURCE, train), ("test", TARGET, test), ("train", TARGET, shots)]
    for split, language, found in given[: 2 if shots is None else 3]:
        lines = "".join(json.dumps(row) + "\n" for row in found)
        (folder / f"{split}.{language}.jsonl").write_text(lines, encoding="utf-8")
    block = {"name": "classification", "source_language": SOURCE, "target_languages": [TARGET], **task}
    files = {split: split + ".{language}.jsonl" for split in ("train", "test")}
    task = {**block, "data_dir": str(folder), "files": files}
    return gather(parse_recipe({"task": task, "shots": 0 if shots is None else 5}))


def test_classes_are_listed_with_counts_and_examples(tmp_path):
    """The largest first, three texts of each, long ones cut."""
    train = rows(["market"] * 9 + ["health"] * 16)
    train[0]["text"] = "x" * 200
    found = gathered(tmp_path, train, rows(["health"] * 2, TARGET))
    first, health, market = describe_classes(found)
    assert first == "2 classes in the English training set, with counts there and in all test sets:"
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
    """Are these numbers? What takes them is said, also where no draw can be made of them; a scale is an answer."""
    asked = "the 59 labels are all numbers (10, 11, 12, …): are they measurements or scores?"
    train, test = rows([str(10 + i * 7 % 59) for i in range(472)]), rows(["10"], TARGET)
    (warning,) = warn_of_data(gathered(tmp_path, train, test))
    assert warning.startswith(asked)
    assert "score them as a scale (`order: numbers`" in warning
    assert warn_of_data(gathered(tmp_path, train, test, order="numbers")) == []
    with pytest.raises(DataError, match=r"draw 1 leaves no labelled .*Besides, " + re.escape(asked)):
        gathered(tmp_path, train[:59], test)


def test_a_text_that_stands_twice_in_the_training_set_is_told(tmp_path):
    """However it is spelt; with another label each time, what the labels are."""
    train = rows(["market"] * 10 + ["health"] * 10)
    twice = [*train, {"text": train[3]["text"].upper(), "label": "market"}]
    (warning,) = warn_of_data(gathered(tmp_path, twice, rows(["market"], TARGET)))
    assert warning == (
        f"eng-Latn training set: 1 text stands there more than once, as “{short(train[3]['text'])}”; each copy counts"
    )
    twice += [{"text": train[5]["text"], "label": "health"}]
    (warning,) = warn_of_data(gathered(tmp_path, twice, rows(["market"], TARGET)))
    assert warning == (
        "eng-Latn training set: 2 texts stand there more than once, 1 of them with different labels, as "
        f"“{short(train[5]['text'])}” with 'market' and 'health'; every copy counts, so keep the right one"
    )


def test_near_duplicates_between_training_and_test_are_warned_of(tmp_path):
    """The number of test texts, and the two that are most alike."""
    train = rows(["market"] * 10 + ["health"] * 10)
    test = [*rows(["market", "health"], TARGET, first=40), {"text": train[3]["text"] + " !", "label": "market"}]
    (warning,) = warn_of_data(gathered(tmp_path, train, test))
    assert warning.startswith("1 of 3 yor-Latn test texts is nearly the same as a training text")
    assert f"“{short(train[3]['text'])}”" in warning


def test_near_duplicates_of_texts_that_are_not_scored_are_nobody_s_business(tmp_path):
    """Without labels there is no score that could be too good."""
    train = rows(["market"] * 10 + ["health"] * 10)
    test = [{"text": train[3]["text"] + " !"}, *({"text": row["text"]} for row in rows(["market"], TARGET, first=40))]
    assert warn_of_data(gathered(tmp_path, train, test)) == []


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


def test_a_misspelt_label_is_warned_of(tmp_path):
    """Wherever it is learnt from or scored; corrected, there is nothing to say."""
    train = rows(["market"] * 9 + ["health"] * 16 + ["marktet"])
    test = rows(["market"] * 2, TARGET)
    (warning,) = warn_of_data(gathered(tmp_path, train, test))
    assert warning == (
        "'marktet' (1 example, none in the tests) is nearly 'market' (11); a slip? correct it in the file, for each is "
        "a class of its own"
    )
    train[-1]["label"] = "market"
    assert warn_of_data(gathered(tmp_path, train, test)) == []


def test_a_test_label_that_is_misspelt_is_told_with_what_it_may_be(tmp_path):
    """The nearest label of the training set, rather than all of them."""
    train = rows(["market"] * 9 + ["health"] * 16)
    with pytest.raises(DataError, match=r"'marktet' does not occur .* set; did you mean 'market'\? correct it, add"):
        gathered(tmp_path, train, rows(["marktet"], TARGET))
    with pytest.raises(DataError, match=r"'sport' does not occur .* set, which has health, market; correct it, add"):
        gathered(tmp_path, train, rows(["sport"], TARGET))


def test_a_class_without_examples_to_draw_is_told_with_what_may_be_wrong_with_labels(tmp_path):
    """Held out, drawn as shots, or too few of them: mixed spellings and slips are shown with their cure."""
    mixed = rows(["market"] * 9 + ["health"] * 16 + ["Health"] * 4)
    test, shots = rows(["market", "health"], TARGET), rows(["market", "health"] * 6, TARGET, first=50)
    cure = r"Besides, labels that differ only in case, .*'health' \(23\), 'Health' \(4\); .*`labels: normalise`"
    with pytest.raises(DataError, match=r"no training example of Health to draw 5 shots from; .*" + cure):
        gathered(tmp_path, mixed, test, shots=shots)
    with pytest.raises(DataError, match=r"needs 5 shots of every class, .*: Health 1; .*Besides, labels that differ"):
        gathered(tmp_path, mixed, test, shots=[*shots, *rows(["Health"], TARGET, first=80)])
    slip = rows(["market"] * 9 + ["health"] * 16 + ["marktet"])
    with pytest.raises(DataError, match=r"no training example of marktet .* Besides, 'marktet' \(1 example, none in"):
        gathered(tmp_path, slip, test, shots=shots)


def with_pairs(folder, pairs):
    """Warnings of a classification in English, with texts of Yoruba to test on, and these translations."""
    english = [f"the market of the town has {n} baskets and the river has water" for n in range(30)]
    (folder / "pairs.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in pairs), encoding="utf-8")
    train = [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(english)]
    test = [{"text": f"ọjà ìlú náà ní agbọ̀n {n} àti omi odò", "label": "ab"[n % 2]} for n in range(30)]
    for name, found in ((f"train.{SOURCE}", train), (f"test.{TARGET}", test)):
        lines = "".join(json.dumps(row) + "\n" for row in found)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    files = {split: split + ".{language}.jsonl" for split in ("train", "test")}
    task = {"name": "classification", "source_language": SOURCE, "target_languages": [TARGET]}
    block = {**task, "data_dir": str(folder), "files": files}
    return warn_of_data(gather(parse_recipe({"task": block, "parallel": {"files": str(folder / "pairs.tsv")}})))


PAIRS = [(f"the water of town {n} is in the market of the river", f"omi ìlú {n} wà ní ọjà odò náà") for n in range(25)]


def test_translations_whose_sides_are_exchanged_are_warned_of(tmp_path):
    """By the letters of what is labelled; those in their place, and a few, are no matter."""
    exchanged = [pair[::-1] for pair in PAIRS]
    (said,) = with_pairs(tmp_path, exchanged)
    assert said.startswith("the translations of Yoruba seem to have their sides in each other's place: labelled texts")
    assert said.endswith("name the columns with parallel.fields: {source: …, target: …}")
    assert with_pairs(tmp_path, PAIRS) == []
    assert with_pairs(tmp_path, exchanged[:19]) == []


def test_translations_that_are_copies_are_warned_of(tmp_path):
    """Where more than half are; some names are the same in all languages."""
    copies = [(one, one) for one, _ in PAIRS]
    assert with_pairs(tmp_path, [*copies[:20], *PAIRS[20:]]) == [
        "20 of 25 translations into Yoruba are what they translate, so nothing is learnt of them; are these the right "
        "columns, or files?"
    ]
    assert with_pairs(tmp_path, [*copies[:12], *PAIRS[12:]]) == []
