"""Which file, and which of its rows, a language's split is read from."""

import json

import pytest

from lingraft.core.errors import DataError
from lingraft.recipe.parsing import parse_recipe
from lingraft.tasks import tasks

ACROSS = {"source_language": "eng-Latn", "target_languages": ["spa-Latn"]}


def built(folder, block):
    """The task of a block, as a recipe gives it."""
    recipe = parse_recipe({"task": {"name": "classification", "data_dir": str(folder), **block}})
    return tasks.build(recipe.task.name, recipe.task.options)


def table(path, *rows, header="text,label"):
    """A CSV file."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def texts(task, language, split):
    """What is read."""
    return [example.texts[0] for example in task.examples(language, split)]


@pytest.mark.parametrize("blank", [",", " , "])
def test_rows_of_delimiters_alone_are_left_out_and_counted(tmp_path, blank):
    """Spreadsheets write them below a table, and between its parts; a row with a text and no label is a mistake."""
    table(tmp_path / "a.csv", "one,a", blank, "two,b", blank, blank)
    block = {"source_language": "eng-Latn", "target_languages": [], "files": {"train": "a.csv"}}
    task = built(tmp_path, block)
    assert texts(task, "eng-Latn", "train") == ["one", "two"]
    assert list(task.notes) == ["a.csv: 3 empty rows left out, the first on line 3"]

    table(tmp_path / "a.csv", "one,a", "two,")
    with pytest.raises(DataError, match="line 3: column 'label' has no label"):
        built(tmp_path, block).examples("eng-Latn", "train")


@pytest.fixture
def apart(tmp_path):
    """A file for each language, none of them with its code where the other has it."""
    table(tmp_path / "english.csv", "one,a", "two,b")
    table(tmp_path / "valid.csv", "three,a")
    table(tmp_path / "test.es.csv", "uno,a")
    table(tmp_path / "pocos.csv", "dos,a", "tres,b")
    return tmp_path


def test_the_only_target_s_test_file_needs_no_language_in_its_path(apart):
    """Training and development files are the source's, the test file is the target's; the source has none."""
    task = built(apart, {**ACROSS, "files": {"train": "english.csv", "dev": "valid.csv", "test": "test.es.csv"}})
    assert texts(task, "eng-Latn", "train") == ["one", "two"]
    assert texts(task, "eng-Latn", "dev") == ["three"]
    assert texts(task, "spa-Latn", "test") == ["uno"]
    assert texts(task, "eng-Latn", "test") == []


def test_files_may_be_named_for_each_language(apart):
    """However their languages are spelt."""
    files = {"train": {"en": "english.csv", "Spanish": "pocos.csv"}, "test": {"spa": "test.es.csv"}}
    task = built(apart, {**ACROSS, "files": files})
    assert texts(task, "spa-Latn", "train") == ["dos", "tres"]
    assert texts(task, "spa-Latn", "test") == ["uno"]
    with pytest.raises(DataError, match=r"task\.files\.test has no file of French \(fra-Latn\); it has those of spa"):
        built(apart, {**ACROSS, "target_languages": ["fra"], "files": files}).examples("fra-Latn", "test")


def test_a_file_of_one_language_is_not_read_as_another_s(apart):
    """A target's shots from the source's file, or several targets from one test file, are refused with the ways out."""
    files = {"train": "english.csv", "test": "test.es.csv"}
    with pytest.raises(DataError, match=r"'english\.csv' has no \{language\}.*train: \{eng-Latn: …, spa-Latn: …\}"):
        built(apart, {**ACROSS, "files": files}).examples("spa-Latn", "train")
    several = {**ACROSS, "target_languages": ["spa", "fra"]}
    with pytest.raises(DataError, match=r"'test\.es\.csv' has no \{language\} in it"):
        built(apart, {**several, "files": files}).examples("fra-Latn", "test")
    with pytest.raises(DataError, match=r"'english\.csv' has no \{language\} in it"):
        built(apart, {**ACROSS, "files": dict.fromkeys(("train", "test"), "english.csv")}).examples("spa-Latn", "test")


def test_in_one_language_every_file_is_its_own(apart):
    """Nothing has to tell languages apart."""
    files = {"train": "pocos.csv", "test": "test.es.csv"}
    task = built(apart, {"language": "spa", "files": files})
    assert texts(task, "spa-Latn", "train") == ["dos", "tres"]
    assert texts(task, "spa-Latn", "test") == ["uno"]
    assert texts(built(apart, {"language": "spa", "files": "pocos.csv"}), "spa-Latn", "train") == ["dos", "tres"]


ROWS = ["en,Train,one,a", "eng,train,two,b", "en,valid,three,a", "es,train,dos,a", "ES,TEST,uno,b", "xx,test,?,a"]
BY_COLUMN = {"text": "said", "label": "is", "language": "lang", "split": "part"}


@pytest.fixture
def together(tmp_path):
    """One file with everything."""
    table(tmp_path / "all.csv", *ROWS, header="lang,part,said,is")
    return tmp_path


def test_one_file_may_hold_languages_and_splits(together):
    """By columns that the field map names; languages in any spelling, splits by any usual name."""
    task = built(together, {**ACROSS, "files": "all.csv", "fields": BY_COLUMN})
    assert texts(task, "eng-Latn", "train") == ["one", "two"]
    assert texts(task, "eng-Latn", "dev") == ["three"]
    assert texts(task, "spa-Latn", "train") == ["dos"]
    assert texts(task, "spa-Latn", "test") == ["uno"]
    assert texts(task, "eng-Latn", "test") == []


def test_either_column_may_be_there_alone(tmp_path):
    """Files for splits with a column of languages; files for languages with a column of splits; one language."""
    table(tmp_path / "train.csv", "en,one,a", "en,two,b", "es,dos,a", header="language,text,label")
    table(tmp_path / "test.csv", "es,uno,a", header="language,text,label")
    files = {"train": "train.csv", "test": "test.csv"}
    fields = {"text": "text", "label": "label", "language": "language"}
    task = built(tmp_path, {**ACROSS, "files": files, "fields": fields})
    assert (texts(task, "spa-Latn", "train"), texts(task, "spa-Latn", "test")) == (["dos"], ["uno"])
    table(tmp_path / "en.csv", "train,one,a", "train,two,b", header="split,text,label")
    table(tmp_path / "es.csv", "test,uno,a", "train,dos,b", header="split,text,label")
    split = {"split": "split"}
    task = built(tmp_path, {**ACROSS, "files": "{language}.csv", "fields": split})
    assert (texts(task, "spa-Latn", "train"), texts(task, "spa-Latn", "test")) == (["dos"], ["uno"])
    with pytest.raises(DataError, match="has the one label 'b'"):
        built(tmp_path, {"language": "spa", "files": "es.csv", "fields": split})


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([*ROWS, "en,later,four,a"], r"line 8: column 'part' \(for `split`\) holds 'later'; expected one of train, "),
        ([*ROWS, "en,,four,a"], r"line 8: column 'part' has no text"),
        ([*ROWS, ",train,four,a"], r"line 8: column 'lang' has no text"),
        (ROWS[:3], r"'lang' \(for `language`\) has no row of Spanish \(spa-Latn\); it has en \(2\), eng \(1\)"),
    ],
)
def test_columns_that_say_nothing_known_are_refused(tmp_path, rows, told):
    """With file, line and what would do."""
    table(tmp_path / "all.csv", *rows, header="lang,part,said,is")
    with pytest.raises(DataError, match=told):
        built(tmp_path, {**ACROSS, "files": "all.csv", "fields": BY_COLUMN}).examples("spa-Latn", "test")


def test_columns_of_language_and_split_are_there_for_every_kind(tmp_path):
    """Questions, choices and tagged words, beside their own fields."""
    span = {"question": "Who?", "context": "Ada met Eli.", "answers": {"text": ["Ada"], "answer_start": [0]}}
    choice = {"text": "It rained.", "alternatives": ["We got wet.", "We got dry."], "label": 0}
    tags = {"words": ["Ada", "runs"], "tags": ["B-PER", "O"]}
    marks = [{"language": "en", "split": "train"}, {"language": "es", "split": "test"}]
    for name, row in (("span_qa", span), ("choice", choice), ("tagging", tags)):
        (tmp_path / "all.jsonl").write_text("".join(json.dumps(row | mark) + "\n" for mark in marks))
        fields = {key: key for key in (*row, "language", "split")}
        task = built(tmp_path, {**ACROSS, "name": name, "files": "all.jsonl", "fields": fields})
        assert [(e.language, e.id) for e in task.examples("spa-Latn", "test")] == [("spa-Latn", "2")]
        assert [(e.language, e.id) for e in task.examples("eng-Latn", "train")] == [("eng-Latn", "1")]


def test_overlapping_scripts_find_each_other_in_columns_and_names(tmp_path):
    """As files do whose names spell the language so, and it is said once."""
    table(tmp_path / "all.csv", "en,train,one,a", "en,train,two,b", "zh-Hant,test,x,a", header="lang,part,said,is")
    block = {"source_language": "eng-Latn", "target_languages": ["zho-Hani"]}
    task = built(tmp_path, {**block, "files": "all.csv", "fields": BY_COLUMN})
    assert texts(task, "zho-Hani", "test") == ["x"]
    assert task.notes == ["zho-Hani is called zho-Hant in all.csv: the scripts overlap"]
    table(tmp_path / "en.csv", "one,a", "two,b")
    table(tmp_path / "ko.csv", "x,a")
    files = {"train": {"eng": "en.csv"}, "test": {"kor-Kore": "ko.csv"}}
    task = built(tmp_path, {**block, "target_languages": ["kor-Hang"], "files": files})
    assert texts(task, "kor-Hang", "test") == ["x"]
    assert task.notes == ["kor-Hang is called kor-Kore in task.files.test: the scripts overlap"]


def test_a_column_of_language_is_one_column(tmp_path):
    """Not a list of them, as the alternatives of a choice may be."""
    fields = {"text": "t", "alternatives": ["a", "b"], "label": "is", "language": ["c", "d"]}
    with pytest.raises(DataError, match=r"fields: `language` is \['c', 'd'\]; expected the name of one column"):
        built(tmp_path, {**ACROSS, "name": "choice", "files": "all.csv", "fields": fields})


def test_a_test_file_without_labels_is_read_of_every_kind(tmp_path):
    """Tables without the column of the labels, and a word a line."""
    span = {"question": "Who?", "context": "Ada met Eli.", "answers": {"text": ["Ada"], "answer_start": [0]}}
    choice = {"text": "It rained.", "alternatives": ["We got wet.", "We got dry."], "label": 0}
    tags = {"words": ["Ada", "runs"], "tags": ["B-PER", "O"]}
    kinds = {"span_qa": (span, "answers"), "choice": (choice, "label"), "tagging": (tags, "tags")}
    for name, (row, label) in kinds.items():
        (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
        (tmp_path / "test.jsonl").write_text(json.dumps({k: v for k, v in row.items() if k != label}) + "\n")
        files = {"train": "train.jsonl", "test": "test.jsonl"}
        task = built(tmp_path, {**ACROSS, "name": name, "files": files, "fields": {key: key for key in row}})
        (example,) = task.examples("spa-Latn", "test")
        assert (example.gold, task.examples("eng-Latn", "train")[0].gold is None) == (None, False)
    (tmp_path / "train.txt").write_text("Ada B-PER\nruns O\n")
    (tmp_path / "test.txt").write_text("Ada\nruns\n")
    task = built(tmp_path, {**ACROSS, "name": "tagging", "files": {"train": "train.txt", "test": "test.txt"}})
    assert [(e.words, e.gold) for e in task.examples("spa-Latn", "test")] == [(("Ada", "runs"), None)]
