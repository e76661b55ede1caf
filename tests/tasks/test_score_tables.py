"""Questions and tagged words in tables: what a recipe's files are, and what `predict` writes for them."""

import csv
import io
import json

import pytest

from lingraft.core.errors import DataError
from lingraft.tasks.score_files import FileColumns, score_files


@pytest.fixture
def file(tmp_path):
    """Writes a file, of rows in the format of its suffix, and tells where."""

    def write(name, content):
        path = tmp_path / name
        if name.endswith(".parquet"):
            pytest.importorskip("pyarrow")
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(content), path)
        elif name.endswith(".csv"):
            stream = io.StringIO()
            writer = csv.DictWriter(stream, content[0])
            writer.writeheader()
            for row in content:
                cells = {key: one if isinstance(one, str) else json.dumps(one) for key, one in row.items()}
                writer.writerow(cells)
            path.write_text(stream.getvalue(), encoding="utf-8")
        elif isinstance(content, list):
            path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
        else:
            path.write_text(content, encoding="utf-8")
        return path

    return write


# ---- Questions -------------------------------------------------------------------------------------

RIGHT = [
    {"id": "1", "question": "?", "context": "ada beli", "answers": {"text": ["ada"], "answer_start": [0]}},
    {"id": "2", "question": "?", "context": "ada beli", "answers": {"text": [], "answer_start": []}},
    {"id": "3", "question": "?", "context": "cora eli", "answers": {"text": ["cora eli"], "answer_start": [0]}},
]
SAID = ["ada", "", "cora"]


def answered(rows):
    """As `predict` writes them."""
    return [row | {"label": said, "confidence": 0.5} for row, said in zip(rows, SAID, strict=True)]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_questions_are_scored_from_tables(file, suffix):
    """F1 of 1, 1 and 2/3; a context is drawn as a whole; what `predict` wrote is its own gold file, too."""
    gold, given = file(f"g.{suffix}", RIGHT), file("p.jsonl", answered(RIGHT))
    report = score_files(given, gold, "squad_v2")
    assert [one.value for one in report.scores] == [pytest.approx((1 + 1 + 2 / 3) / 3), pytest.approx(2 / 3)]
    assert (report.examples, report.groups) == (3, 2)
    assert score_files(file("p.csv", answered(RIGHT)), given, "squad_v2") == report


def test_questions_without_ids_go_row_by_row(file):
    """As `predict` leaves them."""
    bare = [{key: value for key, value in row.items() if key != "id"} for row in RIGHT]
    report = score_files(file("p.jsonl", answered(bare)), file("g.jsonl", bare), "squad_v2")
    assert report.scores[1].value == pytest.approx(2 / 3)


def test_answers_are_read_in_every_shape_from_the_column_that_is_named(file):
    """A text, texts, or objects as in SQuAD."""
    rows = [
        {"key": 1, "right": "ada"},
        {"key": 2, "right": ["beli", "ada"]},
        {"key": 3, "right": [{"text": "ada", "answer_start": 4}]},
    ]
    given = file("p.json", json.dumps({"1": "ada", "2": "ada", "3": "eli"}))
    columns = FileColumns(id="key", label="right")
    report = score_files(given, file("g.jsonl", rows), "squad", columns=columns)
    assert report.scores[0].value == pytest.approx(2 / 3)
    with pytest.raises(DataError, match=r"g\.jsonl, line 1: expected the right answers in gone; there are key, right"):
        score_files(given, file("g.jsonl", rows), "squad", columns=FileColumns(id="key", label="gone"))
    with pytest.raises(DataError, match="column 'right' holds 3; expected a text, a list of texts"):
        score_files(given, file("g.jsonl", [{"key": 1, "right": 3}]), "squad", columns=columns)


def test_questions_without_an_answer_need_their_own_metric(file):
    """In a table as in SQuAD's JSON; and an id occurs once."""
    given = file("p.jsonl", answered(RIGHT))
    with pytest.raises(DataError, match=r"1 of 3 questions have no answer, .*score by squad_v2"):
        score_files(given, file("g.jsonl", RIGHT), "squad")
    with pytest.raises(DataError, match=r"g\.jsonl, line 2: the id '1' occurs twice"):
        score_files(given, file("g.jsonl", [RIGHT[0], RIGHT[0]]), "squad_v2")


# ---- Tagged words ----------------------------------------------------------------------------------

NAMES = ["O", "B-PER", "I-PER"]
TOKENS = [(["ada", "beli", "eli"], [1, 2, 0]), (["cora", "."], [1, 0])]
PREDICTED = [
    {"words": words, "tags": "O " * len(words), "label": tags, "confidence": 0.9}
    for (words, _), tags in zip(TOKENS, ["B-PER I-PER O", "O O"], strict=True)
]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_tags_that_are_numbers_are_scored_by_their_names(file, suffix):
    """Of the columns that are named; one of two spans was found."""
    gold = file(f"g.{suffix}", [{"tokens": words, "ner": tags} for words, tags in TOKENS])
    columns = FileColumns(words=("tokens", "ner"))
    for given in (file("p.jsonl", PREDICTED), file("p.csv", PREDICTED)):
        report = score_files(given, gold, "span_f1", columns=columns, labels=NAMES)
        assert report.scores[0].value == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="say what the numbers mean"):
        score_files(given, gold, "span_f1", columns=columns)
    with pytest.raises(DataError, match=r"line 1: expected `words`.*there are tokens, ner; .*--columns WORDS,TAGS"):
        score_files(given, gold, "span_f1", labels=NAMES)


def test_tags_in_cells_are_parted_at_blanks(file):
    """As a recipe reads a CSV whose header names the words; other CSVs have a word a line."""
    rows = [{"words": " ".join(words), "tags": " ".join(NAMES[tag] for tag in tags)} for words, tags in TOKENS]
    given = file("p.jsonl", PREDICTED)
    assert score_files(given, file("g.csv", rows), "span_f1").scores[0].value == pytest.approx(2 / 3)
    lines = "ada\tB-PER\nbeli\tI-PER\neli\tO\n\ncora\tB-PER\n.\tO\n"
    assert score_files(given, file("g.tsv", lines), "span_f1").scores[0].value == pytest.approx(2 / 3)


def test_tags_of_two_schemes_are_compared_as_bio(file):
    """A run answers in BIO whatever its files are in; predictions in the scheme of the gold file stay as they are."""
    gold = file("g.conll", "ada B-PER\nbeli L-PER\neli O\n\ncora U-PER\n. O\n")
    report = score_files(file("p.jsonl", PREDICTED), gold, "tag_accuracy")
    assert report.scores[0].value == 0.8
    assert report.notes == ("the gold file is tagged in BILOU and the predictions in BIO; both are read as BIO",)
    same = score_files(file("p.conll", "ada B-PER\nbeli L-PER\neli O\n\ncora O\n. O\n"), gold, "tag_accuracy")
    assert (same.scores[0].value, same.notes) == (0.8, ())


def test_spellings_of_tags_are_one_where_one_says_so(file):
    """As the recipe's `labels: normalise` does; otherwise it is said that each counts."""
    gold = file("g.conll", "ada noun\nbeli NOUN\ncora noun\neli VERB\n")
    given = file("p.conll", "ada noun\nbeli noun\ncora noun\neli verb\n")
    apart = score_files(given, gold, "tag_accuracy")
    assert (apart.scores[0].value, "'noun' (2), 'NOUN' (1)" in apart.notes[0]) == (0.5, True)
    assert score_files(given, gold, "tag_accuracy", labels="normalise").scores[0].value == 1.0


# ---- Tags by their ids -----------------------------------------------------------------------------

SENTENCES = [
    {"id": 1, "words": ["Ada", "lives"], "tags": ["B-PER", "O"]},
    {"id": 2, "words": ["in", "Beli"], "tags": ["O", "B-LOC"]},
    {"id": 3, "words": ["in", "Cora"], "tags": ["O", "B-LOC"]},
]


def predicted_tags(*ids):
    """Lines of `predict` in this order; of the third sentence it finds nothing."""
    told = {row["id"]: {**row, "label": row["tags"] if row["id"] < 3 else ["O", "O"]} for row in SENTENCES}
    return [{"id": float(name), "words": told[name]["words"], "label": told[name]["label"]} for name in ids]


def test_sentences_with_ids_may_be_in_another_order(file):
    """Ids pair them, as they pair labels and questions."""
    given = file("p.jsonl", predicted_tags(3, 1, 2))
    assert score_files(given, file("g.jsonl", SENTENCES), "tag_accuracy").scores[0].value == 5 / 6


def test_ids_that_are_those_of_documents_pair_nothing(file):
    """Several sentences have the same, so their order counts as before."""
    rows = [row | {"id": "doc"} for row in SENTENCES]
    given = file("p.jsonl", [row | {"label": row["tags"]} for row in rows])
    assert score_files(given, file("g.jsonl", rows), "tag_accuracy").scores[0].value == 1.0
    with pytest.raises(DataError, match=r"g\.jsonl: the id 'doc' occurs twice"):
        score_files(given, file("g.jsonl", rows), "tag_accuracy", columns=FileColumns(id="id"))


def test_a_sentence_without_prediction_is_told_by_its_id(file):
    """Its order would tell which words differ, not which sentence is missing."""
    with pytest.raises(DataError, match=r"p\.jsonl: 1 of 3 ids in .*g\.jsonl have no prediction: '2'; predict each"):
        score_files(file("p.jsonl", predicted_tags(1, 3)), file("g.jsonl", SENTENCES), "tag_accuracy")
