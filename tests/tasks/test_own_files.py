"""Questions, tagged sentences and choices from one's own files, by a block of a recipe."""

import gzip
import json

import pytest

from lingraft.core.errors import ConfigError, DataError
from lingraft.core.examples import Answer, ChoiceExample, SpanExample, TaggedExample
from lingraft.recipe.parsing import parse_recipe
from lingraft.tasks import tasks

LANGUAGES = {"source_language": "eng-Latn", "target_languages": ["yor-Latn"]}
BOTH = ("eng-Latn", "yor-Latn")


def write(path, text):
    """A file, compressed if its name says so."""
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def built(folder, block):
    """The task of a block, as a recipe gives it: checked, with defaults, out of YAML-like data."""
    recipe = parse_recipe({"task": {**LANGUAGES, "data_dir": str(folder), **block}})
    return tasks.build(recipe.task.name, recipe.task.options)


def lines(*rows):
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


# ---- Questions -------------------------------------------------------------------------------------

ROW = {"uid": "q1", "asked": "Who?", "passage": "Ada met Eli.", "answer": "Eli", "start": 8, "doc": "d1"}
MAP = {"question": "asked", "context": "passage", "answer": "answer", "answer_start": "start", "id": "uid"}
QUESTIONS = {"name": "span_qa", "files": {s: s + ".{language}.jsonl" for s in ("train", "test")}, "fields": MAP}


def questions(folder, **changes):
    """A task on a row in each file; ``changes`` are made to the target's test row."""
    for split in ("train", "test"):
        for language in BOTH:
            row = ROW | (changes if (split, language) == ("test", "yor-Latn") else {})
            write(folder / f"{split}.{language}.jsonl", lines({k: v for k, v in row.items() if v is not None}))
    return built(folder, QUESTIONS)


def test_questions_are_read_through_a_field_map(tmp_path):
    """Anyone's columns, with a group of its own where the map names one; contexts may be in another language."""
    questions(tmp_path)
    block = {**QUESTIONS, "fields": {**MAP, "group": "doc"}, "context_language": "de", "title": "mine"}
    task = built(tmp_path, block | {"normaliser": "mlqa", "stride": 32, "licence": "CC0"})
    assert task.examples("yor-Latn", "test") == [
        SpanExample(
            "q1", "d1", "yor-Latn", question="Who?", context="Ada met Eli.", context_language="deu-Latn",
            answers=(Answer("Eli", 8),),
        )
    ]  # fmt: skip
    assert (task.name, task.kind.name, task.labels, task.licence) == ("mine", "span_qa", (), "CC0")
    assert task.kind.options == {"normaliser": "mlqa", "stride": 32, "max_answer_length": 30}


def test_a_normaliser_that_does_not_know_the_language_is_refused_at_once(tmp_path):
    """MLQA has rules for seven languages; Yoruba is none of them, and nothing is trained in vain."""
    questions(tmp_path)
    with pytest.raises(ConfigError, match=r"task\.normaliser: .*'mlqa:yor-Latn'.*; squad takes any"):
        built(tmp_path, QUESTIONS | {"normaliser": "mlqa"})


def test_squad_json_needs_no_field_map(tmp_path):
    """A `.json.gz` is read as SQuAD writes it."""
    answers = [{"text": "Ada", "answer_start": 0}]
    paragraph = {"context": "Ada met Eli.", "qas": [{"id": "q", "question": "Who?", "answers": answers}]}
    for language in BOTH:
        text = json.dumps({"data": [{"title": "T", "paragraphs": [paragraph]}]})
        write(tmp_path / f"{language}.json.gz", text)
    task = built(tmp_path, {"name": "span_qa", "files": {"train": "{language}.json", "test": "{language}.json"}})
    (example,) = task.examples("yor-Latn", "test")
    assert (example.group, example.gold) == ("T/0", ["Ada"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"start": 7}, r"test\.yor-Latn\.jsonl, line 1, question 'q1'.*'Eli' should start at character 7.*found at 8"),
        ({"answer": "Eve"}, "line 1, question 'q1'.*the context does not contain it; correct the answer"),
        ({"uid": None}, r"test\.yor-Latn\.jsonl, line 1: .*'uid'"),
        ({"uid": ""}, r"test\.yor-Latn\.jsonl, line 1: column 'uid' has no text"),
        ({"answer": None}, r"test\.yor-Latn\.jsonl, line 1: .*'answer'"),
        ({"passage": " "}, "line 1: column 'passage' has no text"),
    ],
    ids=["offset", "answer elsewhere", "no id", "empty id", "no answer", "no context"],
)
def test_a_faulty_question_is_named(tmp_path, changes, told):
    """File, line, question and cure."""
    task = questions(tmp_path, **changes)
    with pytest.raises(DataError, match=told):
        task.examples("yor-Latn", "test")


UNANSWERED = {
    "lists": ({"answers": {"text": [], "answer_start": []}}, {"answers": {"text": ["Eli"], "answer_start": [8]}}),
    "columns": ({"answer": "", "start": None}, {"answer": "Eli", "start": 8}),
}


@pytest.mark.parametrize("shape", UNANSWERED)
def test_unanswerable_questions_of_a_table_are_counted_or_kept(tmp_path, shape):
    """As in SQuAD JSON: left out with a word of it, or learnt and scored where that is asked for."""
    without, answered = UNANSWERED[shape]
    base = {"asked": "Who?", "passage": "Ada met Eli."}
    for language in BOTH:
        for split in ("train", "test"):
            rows = ({"uid": "q1"} | base | answered, {"uid": "q2"} | base | without)
            write(tmp_path / f"{split}.{language}.jsonl", lines(*rows))
    answers = {"answers": "answers"} if shape == "lists" else {"answer": "answer", "answer_start": "start"}
    fields = {"question": "asked", "context": "passage", "id": "uid", **answers}
    block = {"name": "span_qa", "files": QUESTIONS["files"], "fields": fields}
    task = built(tmp_path, block)
    assert [example.id for example in task.examples("yor-Latn", "test")] == ["q1"]
    assert (
        "test.yor-Latn.jsonl: 1 of 2 questions have no answer and are left out; `unanswerable: keep`" in task.notes[1]
    )
    task = built(tmp_path, block | {"unanswerable": "keep"})
    assert [example.gold for example in task.examples("yor-Latn", "test")] == [["Eli"], [""]]
    assert task.notes[1] == (
        "test.yor-Latn.jsonl: 1 of 2 questions have no answer; that is learnt and scored, as in SQuAD v2"
    )
    assert (task.kind.head, task.kind.options["unanswerable"]) == ("no_answer", True)


def test_the_length_of_answers_is_set_by_the_recipe(tmp_path):
    """In tokens; 30 where nothing is said."""
    assert questions(tmp_path).kind.options["max_answer_length"] == 30
    assert built(tmp_path, QUESTIONS | {"max_answer_length": 59}).kind.options["max_answer_length"] == 59


def test_one_id_for_two_questions_is_refused(tmp_path):
    """Scores are counted by id."""
    task = questions(tmp_path)
    write(tmp_path / "test.yor-Latn.jsonl", lines(ROW, ROW))
    with pytest.raises(DataError, match=r"line 2: the id 'q1' \(column 'uid'\) occurs on line 1 already"):
        task.examples("yor-Latn", "test")


# ---- Tags ------------------------------------------------------------------------------------------

TAGS = {"name": "tagging", "files": {s: s + ".{language}.txt" for s in ("train", "dev", "test")}}


def tagged(folder, test="Ada B-PER\nruns O\n", *, train="Ada B-PER\nruns O\n", **options):
    """A task on one sentence in each file; ``test`` is the target's."""
    for language in BOTH:
        write(folder / f"train.{language}.txt", train)
        write(folder / f"test.{language}.txt", test if language == "yor-Latn" else train)
    return built(folder, TAGS | options)


def test_tagged_words_are_read(tmp_path):
    """Columns parted by a blank; labels are those of the source's training set; `dev` may be without files."""
    task = tagged(tmp_path)
    assert task.examples("yor-Latn", "test") == [
        TaggedExample("1", "1", "yor-Latn", words=("Ada", "runs"), tags=("B-PER", "O"))
    ]
    assert (task.labels, task.kind.per_token, task.kind.options) == (("B-PER", "O"), True, {"scheme": "bio"})
    assert task.examples("eng-Latn", "dev") == []


def test_fields_of_a_table_are_no_columns_of_words(tmp_path):
    """The file is one with a word a line, where columns have numbers; it says so instead of asking for a table."""
    with pytest.raises(ConfigError, match=r"train\.eng-Latn\.txt: task\.fields names the columns of a table"):
        tagged(tmp_path, fields={"words": "word", "tags": "tag"})


def test_columns_and_scheme_may_be_given(tmp_path):
    """Of four columns the first and the last; parts of speech have no spans."""
    rows = "Ada\tx\ty\tNOUN\nruns\tx\ty\tVERB\n"
    task = tagged(tmp_path, rows, train=rows, columns=[0, 3], scheme="plain")
    assert task.examples("yor-Latn", "test")[0].tags == ("NOUN", "VERB")
    assert list(task.kind.metrics) == ["tag_accuracy"]


def test_no_scheme_need_be_written(tmp_path):
    """IOBES is read as BIO, and that is said; parts of speech are seen to mark no spans."""
    task = tagged(tmp_path, "Ada S-PER\nruns O\n", train="Ada B-PER\nEli E-PER\nruns O\nAfua S-PER\n")
    assert task.examples("yor-Latn", "test")[0].tags == ("B-PER", "O")
    assert (task.labels, task.kind.options) == (("B-PER", "I-PER", "O"), {"scheme": "bio"})
    assert task.notes == ["tags: IOBES is read and converted to BIO; the spans stay the same"]
    task = tagged(tmp_path, "Ada NOUN\n", train="Ada NOUN\nruns VERB\n")
    assert list(task.kind.metrics) == ["tag_accuracy"]


def test_tags_that_are_numbers_are_named_by_the_recipe(tmp_path):
    """From 0, as data sets of the Hub count them."""
    for language in BOTH:
        for split in ("train", "test"):
            write(tmp_path / f"{split}.{language}.jsonl", lines({"words": ["Ada", "runs"], "tags": [1, 0]}))
    block = TAGS | {"files": {s: s + ".{language}.jsonl" for s in ("train", "test")}}
    task = built(tmp_path, block | {"tags": ["O", "B-PER", "I-PER"]})
    assert task.examples("yor-Latn", "test")[0].tags == ("B-PER", "O")
    with pytest.raises(ConfigError, match=r"task\.tags: \['O', 'O'\] are not two or more different names"):
        built(tmp_path, block | {"tags": ["O", "O"]})


# ---- Labels ----------------------------------------------------------------------------------------

TOPICS = {"name": "classification", "files": {s: s + ".{language}.jsonl" for s in ("train", "test")}}


def labelled(folder, train, test, **options):
    """A task of texts with these labels."""
    for split, labels in (("train", train), ("test", test)):
        for language in BOTH:
            rows = [{"text": f"{language} {split} {i}", "label": label} for i, label in enumerate(labels)]
            write(folder / f"{split}.{language}.jsonl", lines(*rows))
    return built(folder, TOPICS | options)


def test_what_is_unseen_at_the_ends_is_no_part_of_a_label(tmp_path):
    """A zero-width space behind a label makes no other class, whatever is asked for."""
    task = labelled(tmp_path, ["clima", "clima\u200b", " mercado\ufeff"], ["mercado\u200b"])
    assert task.labels == ("clima", "mercado")
    assert task.examples("yor-Latn", "test")[0].label == "mercado"


def test_spellings_are_merged_where_that_is_asked_for(tmp_path):
    """The usual spelling of the training set is kept, in every split and language, and what was merged is said."""
    train = ["salud pública", "salud pública", "Salud pública", "salud pu\u0301blica", "clima"]
    task = labelled(tmp_path, train, ["SALUD PÚBLICA", "clima"], labels="normalise")
    assert task.labels == ("clima", "salud pública")
    assert [example.label for example in task.examples("yor-Latn", "test")] == ["salud pública", "clima"]
    assert task.notes == [
        r"labels: spellings are merged: 'salud pública' (2), 'Salud pública' (1), 'salud pu\u0301blica' (1)"
    ]


def test_another_spelling_in_a_test_set_is_told_from_another_label(tmp_path):
    """The cure is to spell them alike, or to merge them."""
    task = labelled(tmp_path, ["clima", "mercado"], ["Clima"])
    with pytest.raises(DataError, match=r"label 'Clima' is spelt 'clima' in the eng-Latn .*`labels: normalise`"):
        task.examples("yor-Latn", "test")


def test_labels_that_are_numbers_are_named_by_the_recipe(tmp_path):
    """A name stays a name; a number without one is refused."""
    task = labelled(tmp_path, [0, 1, "health"], [1], labels=["market", "health"])
    assert task.labels == ("health", "market")
    assert task.examples("yor-Latn", "test")[0].label == "health"
    task = labelled(tmp_path, [0, 1], [2], labels=["market", "health"])
    with pytest.raises(
        DataError,
        match=r"classification, yor-Latn test \(.*\): the label '2' is neither a name in `labels` nor .* 0 to 1",
    ):
        task.examples("yor-Latn", "test")


def test_tagged_words_may_be_lists_of_a_table(tmp_path):
    """A row for each sentence; lists, or texts parted at blanks."""
    row = {"tokens": ["Ada", "runs"], "ner": ["B-PER", "O"]}
    for language in BOTH:
        for split in ("train", "test"):
            write(tmp_path / f"{split}.{language}.jsonl", json.dumps(row) + "\n")
    block = TAGS | {"files": {s: s + ".{language}.jsonl" for s in ("train", "test")}}
    task = built(tmp_path, block | {"fields": {"words": "tokens", "tags": "ner"}})
    assert task.examples("yor-Latn", "test") == [
        TaggedExample("1", "1", "yor-Latn", words=("Ada", "runs"), tags=("B-PER", "O"))
    ]
    row = {"words": "Ada runs", "tags": "B-PER"}
    write(tmp_path / "test.yor-Latn.jsonl", json.dumps(row) + "\n")
    write(tmp_path / "train.eng-Latn.jsonl", json.dumps(row | {"tags": "B-PER O"}) + "\n")
    with pytest.raises(DataError, match=r"test\.yor-Latn\.jsonl, line 1: has 2 words and 1 tags"):
        built(tmp_path, block).examples("yor-Latn", "test")


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("Ada B-PER\nruns very O\n", r"test\.yor-Latn\.txt, line 2: has 3 columns, expected 2.*columns: \[0, 2\]"),
        ("Ada B-PER\nruns\n", r"test\.yor-Latn\.txt, line 2: has only 'runs'"),
        (
            "Ada B-LOC\n",
            r"test \(.*test\.yor-Latn\.txt\), sentence 1: label 'B-LOC' does not.*which has B-PER, O.*unseen",
        ),
        ("Ada NOUN\n", r"test\.yor-Latn\.txt, line 1, word 'Ada': 'NOUN' is not a BIO tag; .*`scheme: plain`"),
    ],
    ids=["three columns", "no tag", "outside the set", "no BIO"],
)
def test_a_faulty_row_is_named(tmp_path, test, told):
    """File, line (or sentence) and cure."""
    task = tagged(tmp_path, test)
    with pytest.raises(DataError, match=told):
        task.examples("yor-Latn", "test")


def test_unseen_labels_may_be_allowed_in_the_target(tmp_path):
    """In tests, where they count as missed, and in shots, where they take no part in the loss."""
    task = tagged(tmp_path, "Ada B-LOC\n", allow_unseen_labels=True)
    write(tmp_path / "train.yor-Latn.txt", "Ada B-LOC\n")
    assert task.examples("yor-Latn", "test")[0].tags == task.examples("yor-Latn", "train")[0].tags == ("B-LOC",)
    assert task.kind.metrics["span_f1"](["B-LOC O"], ["O O"]) == 0.0


# ---- Choices ---------------------------------------------------------------------------------------

ITEM = {"n": 4, "premise": "It rained.", "a": "We got wet.", "b": "We got dry.", "ask": "effect", "gold": 0}
CHOICE = {
    "name": "choice",
    "files": {"train": "{language}.jsonl", "test": "test.{language}.jsonl"},
    "fields": {"id": "n", "text": "premise", "alternatives": ["a", "b"], "question": "ask", "label": "gold"},
}


def choices(folder, **changes):
    """A task on one item in each file; ``changes`` are made to the target's test."""
    for language in BOTH:
        write(folder / f"{language}.jsonl", lines(ITEM))
        write(folder / f"test.{language}.jsonl", lines(ITEM | (changes if language == "yor-Latn" else {})))
    return built(folder, CHOICE)


@pytest.mark.parametrize(("label", "right"), [(0, 0), ("1", 1), ("We got dry.", 1)])
def test_choices_are_read_with_numbers_or_texts_as_labels(tmp_path, label, right):
    """The right alternative is named by its number from 0, or by its text."""
    task = choices(tmp_path, gold=label)
    assert task.examples("yor-Latn", "test") == [
        ChoiceExample(
            "4", "4", "yor-Latn", text="It rained.", question="effect", alternatives=("We got wet.", "We got dry."),
            label=right,
        )
    ]  # fmt: skip
    assert (task.kind.name, task.labels) == ("choice", ())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gold": 2}, r"line 1: column 'gold' holds 2; expected the number.*0 to 1.*count from 0, so subtract 1"),
        ({"gold": "We slept."}, r"column 'gold' holds 'We slept\.'; expected"),
        ({"b": ""}, "line 1: column 'b' has no text"),
    ],
    ids=["out of range", "no such text", "no alternative"],
)
def test_a_faulty_choice_is_named(tmp_path, changes, told):
    """File, line, column and cure."""
    task = choices(tmp_path, **changes)
    with pytest.raises(DataError, match=told):
        task.examples("yor-Latn", "test")


# ---- Files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "suffix"), [("span_qa", "jsonl"), ("tagging", "txt"), ("choice", "jsonl")])
def test_one_file_for_every_language_is_refused(tmp_path, name, suffix):
    """Without `{language}` every language would be the same."""
    write(tmp_path / "all.txt", "Ada B-PER\nruns O\n")
    write(tmp_path / "all.jsonl", lines(ROW | ITEM))
    fields = {"span_qa": {"fields": MAP}, "choice": {"fields": CHOICE["fields"]}}.get(name, {})
    task = built(tmp_path, {"name": name, "files": dict.fromkeys(("train", "test"), f"all.{suffix}"), **fields})
    assert len(task.examples("eng-Latn", "train")) == 1
    repeats = r"it is the training file, all of whose texts it would repeat; and 'all\.\w+' has no \{language\} in it"
    with pytest.raises(DataError, match=rf"task\.files\.test: {repeats}"):
        task.examples("yor-Latn", "test")


def test_what_the_source_lacks_is_empty_and_what_a_target_lacks_is_named(tmp_path):
    """The source language needs no test file; a target does, and the message says what was tried."""
    task = tagged(tmp_path)
    for language in BOTH:
        (tmp_path / f"test.{language}.txt").unlink()
    assert task.examples("eng-Latn", "test") == []
    with pytest.raises(DataError, match=r"no file for Yoruba.*test\.yor-Latn\.txt"):
        task.examples("yor-Latn", "test")


def test_a_development_file_that_is_named_and_not_there_is_said(tmp_path):
    """Examples are held out instead, which a slip in a name must not bring about unseen."""
    for split, language in (("train", "eng"), ("dev", "eng"), ("test", "yor")):
        write(tmp_path / f"{split}.{language}.txt", "Ada B-PER\nruns O\n")
    slip = {**TAGS, "files": {**TAGS["files"], "dev": "deev.{language}.txt"}}
    good, wrong = built(tmp_path, TAGS), built(tmp_path, slip)
    assert (len(good.examples("eng-Latn", "dev")), len(wrong.examples("eng-Latn", "dev"))) == (1, 0)
    assert good.notes == []
    (said,) = wrong.notes
    assert said.startswith("task.files.dev: no file for English (eng-Latn): ")
    assert "did you mean" in said
    assert "dev.eng.txt" in said


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({**QUESTIONS, "strid": 3}, "task.strid: unknown option of span_qa 'strid'; did you mean 'stride'"),
        ({**CHOICE, "fields": None}, "task.fields: expected keys with values"),
        ({**TAGS, "scheme": "bilou"}, "task.scheme: expected 'auto', 'bio' or 'plain'"),
        ({**TAGS, "files": {"tests": "x"}}, "task.files: expected 'train', 'dev' or 'test'"),
        ({"name": "tagging"}, "task.files: is missing; tagging needs it"),
    ],
)
def test_a_mistake_in_the_block_is_told_before_a_file_is_read(tmp_path, block, told):
    """The factory's signature is the schema of the block."""
    with pytest.raises(ConfigError, match=told):
        built(tmp_path, block)


# ---- Scripts that contain each other ---------------------------------------------------------------


def test_files_in_an_overlapping_script_are_read_and_said(tmp_path):
    """The language stays the one that was asked for; each file is named once."""
    block = {"name": "classification", "files": {s: s + ".{language}.jsonl" for s in ("train", "test")}}
    for name in ("train.eng-Latn", "train.kor-Kore", "test.kor-Kore"):
        write(tmp_path / f"{name}.jsonl", lines({"text": "Ada", "label": "a"}, {"text": "Eli", "label": "b"}))
    task = built(tmp_path, block | {"target_languages": ["kor-Hang"]})
    assert {example.language for example in task.examples("kor-Hang", "test")} == {"kor-Hang"}
    task.examples("kor-Hang", "train")
    assert task.notes == [
        f"kor-Hang is read from {split}.kor-Kore.jsonl, the file of kor-Kore: the scripts overlap"
        for split in ("test", "train")
    ]
