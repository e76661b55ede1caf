"""Labels that are written in two ways, and tables as `predict` writes them."""

import json

import pytest

from lingraft.core.errors import DataError
from lingraft.tasks.score_files import FileColumns, score_files
from lingraft.tasks.score_labels import match_labels


@pytest.fixture
def file(tmp_path):
    """Writes a file and tells where."""

    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    ("predicted", "right", "meant"),
    [
        ({"1.0", "0.0"}, {"1", "0"}, {"1.0": "1", "0.0": "0"}),
        ({"Positive"}, {"positive", "negative"}, {"Positive": "positive"}),
        ({"o\u0301"}, {"\u00f3"}, {"o\u0301": "\u00f3"}),
        ({"a\u200bb", "c"}, {"ab", "c"}, {"a\u200bb": "ab", "c": "c"}),
        ({"not  sure"}, {"Not sure"}, {"not  sure": "Not sure"}),
        ({"A", "a"}, {"A", "a"}, {"A": "A", "a": "a"}),
        ({"a", "b"}, {"a"}, {"a": "a", "b": "b"}),
        ({"1e1", "nan"}, {"10", "NaN"}, {"1e1": "10", "nan": "NaN"}),
        ({"01"}, {"1"}, {"01": "1"}),
        (set(), {"a"}, {}),
    ],
)
def test_labels_that_match_one_to_one_are_the_same(predicted, right, meant):
    """By number, case, normal form and invisible characters; those that are the same already stay."""
    assert match_labels(predicted, right, "files") == meant


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        ({"POS"}, {"pos", "Pos"}),
        ({"Pos", "POS"}, {"pos"}),
        ({"Pos", "pos"}, {"pos"}),
        ({"1.0", "1"}, {"1"}),
        ({"yes", "no"}, {"1", "0"}),
    ],
)
def test_labels_that_do_not_are_an_error_with_both_sets(predicted, right):
    """Whatever could be meant is not guessed."""
    with pytest.raises(DataError) as caught:
        match_labels(predicted, right, "files")
    for label in (*predicted, *right):
        assert repr(label) in str(caught.value)


def test_scores_count_labels_that_are_written_in_two_ways(file):
    """And it is said how they were read."""
    gold, given = file("g.csv", "id,label\n1,0\n2,1\n3,1\n"), file("p.csv", "id,prediction\n1,0.0\n2,1.0\n3,1.0\n")
    report = score_files(given, gold, "accuracy")
    assert report.scores[0].value == 1.0
    assert report.read_as == (("0.0", "0"), ("1.0", "1"))
    assert score_files(given, gold, "macro_f1").scores[0].value == 1.0


def test_blanks_at_the_ends_of_labels_do_not_count(file):
    """Nor what cannot be seen there."""
    gold = file("g.json", json.dumps({"1": "positive", "2": "negative"}))
    given = file("p.json", json.dumps({"1": "positive ", "2": "\u200bnegative"}))
    report = score_files(given, gold, "accuracy")
    assert (report.scores[0].value, report.read_as) == (1.0, ())


def test_labels_that_are_never_right_are_told(file):
    """They are wrong, and may be a slip."""
    gold, given = file("g.json", '{"1": "a", "2": "b"}'), file("p.json", '{"1": "a", "2": "c"}')
    report = score_files(given, gold, "accuracy")
    assert (report.scores[0].value, report.never_right) == (0.5, ("c",))


# ---- What predict writes ---------------------------------------------------------------------------


def lines(*rows):
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_the_answer_is_the_column_beside_its_confidence(file):
    """Whatever the user's own columns are called."""
    gold = file("g.csv", "id,label\n1,a\n2,b\n")
    own = {"value": "x", "answer": "y"}
    plain = [{"id": i, "value": "x", "label": label, "confidence": 0.9} for i, label in ((1, "a"), (2, "b"))]
    beside = [
        {"id": i, "label": "mine", "prediction": label, "prediction_confidence": 0.9} | own
        for i, label in ((1, "a"), (2, "b"))
    ]
    assert score_files(file("p.jsonl", lines(*plain)), gold, "accuracy").scores[0].value == 1.0
    assert score_files(file("q.jsonl", lines(*beside)), gold, "accuracy").scores[0].value == 1.0


def test_without_ids_rows_go_with_rows(file):
    """As many as there are in the other file, and no less."""
    gold, given = (
        file("g.csv", "text,topic\nx,a\ny,b\nz,b\n"),
        [{"text": t, "label": "b", "confidence": 1} for t in "xyz"],
    )
    columns = FileColumns(label="topic")
    assert score_files(file("p.jsonl", lines(*given)), gold, "accuracy", columns=columns).scores[0].value == 2 / 3
    with pytest.raises(DataError, match=r"has 2 rows and .* has 3; without a column of ids"):
        score_files(file("q.jsonl", lines(*given[:2])), gold, "accuracy", columns=columns)


def test_columns_may_be_named(file):
    """And the message about one that is missing says how."""
    gold = file("g.csv", "tweet_id,topic\n1,a\n2,b\n")
    given = file("p.csv", "tweet_id,mine\n1,a\n2,a\n")
    columns = FileColumns(id="tweet_id", label="topic", prediction="mine")
    assert score_files(given, gold, "accuracy", columns=columns).scores[0].value == 0.5
    with pytest.raises(DataError, match="there are tweet_id, topic; say which with --id and --label"):
        score_files(given, gold, "accuracy", columns=FileColumns(id="tweet_id"))


def test_empty_predictions_are_missing(file):
    """Of an empty text, or withheld: wrong if one says so."""
    gold = file("g.csv", "id,label\n1,a\n2,b\n")
    given = file("p.csv", "id,label,confidence\n1,a,0.9\n2,,0.0\n")
    with pytest.raises(DataError, match=r"1 of 2 ids in .* have no prediction: '2'"):
        score_files(given, gold, "accuracy")
    report = score_files(given, gold, "accuracy", missing_is_wrong=True)
    assert (report.scores[0].value, report.missing) == (0.5, 1)


GOLD = "Ada NNP I-NP B-PER\nlives VB I-VP O\nKano NNP I-NP B-LOC\n\nBeli NNP I-NP B-PER\n"


def test_gold_of_four_columns_is_read_where_one_says(file):
    """Otherwise it is said how."""
    gold, given = file("g.conll", GOLD), file("p.conll", "Ada B-PER\nlives O\nKano O\n\nBeli B-PER\n")
    with pytest.raises(DataError, match=r"g\.conll: has 4 columns, .*--columns 0,3"):
        score_files(given, gold, "span_f1")
    report = score_files(given, gold, "span_f1", columns=FileColumns(words=(0, 3)))
    assert report.scores[0].value == pytest.approx(0.8)


def test_tags_are_read_from_the_last_column_and_from_json_lines(file):
    """Both are what `predict` writes."""
    gold = file("g.conll", GOLD)
    columns = FileColumns(words=(0, 3))
    tags = ["B-PER", "O", "O", "", "B-PER"]
    wide = "".join(f"{line} {tag}\n".lstrip(" ") for line, tag in zip(GOLD.splitlines(), tags, strict=True))
    rows = [
        {"words": ["Ada", "lives", "Kano"], "tags": ["O", "O", "O"], "label": "B-PER O O", "confidence": 0.9},
        {"text": "", "words": [], "label": "", "confidence": 0.0},
        {"words": ["Beli"], "label": "B-PER", "confidence": 0.9},
    ]
    for given in (file("p.conll", wide), file("p.jsonl", lines(*rows))):
        assert score_files(given, gold, "span_f1", columns=columns).scores[0].value == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"label": "O"}, "expected `words`, a list"),
        ({"words": ["Ada"]}, "and their tags in `label`; there are words"),
        ({"words": ["Ada"], "label": "O O"}, "has 1 words, 'label' is 'O O'; expected a tag for each"),
        ({"words": ["Ada"], "label": "PER"}, "line 1, word 'Ada': 'PER' is not a BIO tag"),
    ],
)
def test_lines_of_another_shape_are_told(file, row, told):
    """With file and line."""
    with pytest.raises(DataError, match=r"p\.jsonl, line 1.*" + told.removeprefix("line 1")):
        score_files(file("p.jsonl", lines(row)), file("g.conll", "Ada O\n"), "span_f1")
