"""Labels that are written in two ways, and tables as `predict` writes them."""

import json

import pytest

from lingraft.core.errors import ConfigError, DataError
from lingraft.results.statistics import highest_share
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


SPELT = "id,label\n1,sport\n2,SPORT\n3,Trade\n4,trade\n5, sport\n"


def test_spellings_are_one_label_where_one_says_so(file):
    """As `labels: normalise` has it: what the gold file spells most often; otherwise it is said that they count."""
    gold, given = file("g.csv", SPELT), file("p.csv", "id,label\n1,Sport\n2,Sport\n3,Sport\n4,TRADE\n5,Sport\n")
    merged = score_files(given, gold, "accuracy", labels="normalise")
    assert (merged.scores[0].value, merged.never_right, merged.read_as) == (0.8, (), ())
    assert merged.notes == ("labels: spellings are merged: 'sport' (2), 'SPORT' (1); 'Trade' (1), 'trade' (1)",)
    exact = file("q.csv", "id,label\n1,sport\n2,sport\n3,sport\n4,trade\n5,sport\n")
    apart = score_files(exact, gold, "accuracy")
    assert apart.scores[0].value == 0.6
    assert "several ways, each of which counts as another label: 'sport' (2), 'SPORT' (1)" in apart.notes[0]
    assert "--labels normalise" in apart.notes[0]


def test_numbers_have_the_names_that_are_given(file):
    """As in a recipe; another label is told with the files."""
    gold, given = file("g.csv", "id,label\n1,0\n2,1\n"), file("p.csv", "id,label\n1,sport\n2,sport\n")
    with pytest.raises(DataError, match=r"right are '0', '1'; .*--labels NAME,NAME"):
        score_files(given, gold, "accuracy")
    assert score_files(given, gold, "accuracy", labels=["sport", "trade"]).scores[0].value == 0.5
    with pytest.raises(DataError, match=r"p\.csv and .*g\.csv: the label '2' is neither a name in `labels`"):
        score_files(given, file("g.csv", "id,label\n1,0\n2,2\n"), "accuracy", labels=["sport", "trade"])


def test_numbers_that_a_file_names_have_their_names(tmp_path, file):
    """The Hub keeps the names of classes in Parquet, and a run reads them so."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    feature = {"_type": "ClassLabel", "names": ["sport", "trade"]}
    about = {b"huggingface": json.dumps({"info": {"features": {"y": feature}}}).encode()}
    table = pyarrow.table({"id": ["a", "b"], "y": [0, 1]}).replace_schema_metadata(about)
    parquet.write_table(table, tmp_path / "g.parquet")
    given = file("p.jsonl", lines({"id": "a", "label": "sport"}, {"id": "b", "label": "sport"}))
    report = score_files(given, tmp_path / "g.parquet", "accuracy", columns=FileColumns(label="y"))
    assert report.scores[0].value == 0.5


def test_alternatives_are_named_by_number_or_text(file):
    """What is predicted of a choice is the number; without the columns it is said how to name them."""
    gold = file("g.csv", "id,a,b,label\n1,ada,beli,beli\n2,cora,eli,0\n")
    given = file("p.jsonl", lines({"id": 1, "label": "1", "confidence": 1}, {"id": 2, "label": "1", "confidence": 1}))
    columns = FileColumns(alternatives=("a", "b"))
    assert score_files(given, gold, "accuracy", columns=columns).scores[0].value == 0.5
    with pytest.raises(DataError, match="--alternatives"):
        score_files(given, file("t.csv", "id,label\n1,beli\n2,cora\n"), "accuracy")


def test_an_array_of_objects_is_a_table(file):
    """So is JSON with a row a line, whatever its suffix; truth values are labels as a recipe reads them."""
    rows = [{"id": 1, "label": True}, {"id": 2, "label": False}]
    given = file("p.json", json.dumps(rows, indent=1))
    assert score_files(given, file("g.json", lines(*rows)), "accuracy").scores[0].value == 1.0
    assert score_files(given, file("o.json", '{"1": true, "2": true}'), "accuracy").scores[0].value == 0.5


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_a_single_group_gives_no_interval(file, metric):
    """Every resample would be the same, and an interval of no width would say that the score is certain."""
    gold, given = file("g.csv", "id,label,doc\n1,a,x\n2,b,x\n"), file("p.csv", "id,label\n1,a\n2,a\n")
    report = score_files(given, gold, metric, columns=FileColumns(group="doc"))
    assert (report.groups, report.scores[0].low, report.scores[0].high) == (1, None, None)
    assert report.scores[0].value == {"accuracy": 0.5, "macro_f1": 1 / 3}[metric]


def test_groups_are_drawn_together(file):
    """Both have one right label of two, so no resample differs: what two groups say is the exact interval."""
    gold = file("g.csv", "id,label,doc\n1,a,x\n2,b,x\n3,a,y\n4,b,y\n")
    given = file("p.csv", "id,label\n1,a\n2,a\n3,a\n4,a\n")
    alone, drawn = (score_files(given, gold, "accuracy", columns=FileColumns(group=one)) for one in (None, "doc"))
    most = highest_share(2)
    bounds = drawn.scores[0].low, drawn.scores[0].high
    assert (drawn.groups, bounds) == (2, pytest.approx((0.5 - most / 2, 0.5 + most / 2)))
    assert (alone.groups, alone.scores[0].low) == (4, 0.0)
    with pytest.raises(DataError, match=r"no column 'page' .for --group.; its columns are id, label, doc"):
        score_files(given, gold, "accuracy", columns=FileColumns(group="page"))


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


def test_rows_in_another_order_are_refused(file):
    """Where all that both files have of a row differs, they do not go together; notes of one's own may."""
    gold = file("g.csv", "text,note,topic\nx,1,a\ny,2,b\n")
    rows = [{"text": text, "note": "?", "label": "a", "confidence": 1} for text in "xy"]
    columns = FileColumns(label="topic")
    assert score_files(file("p.jsonl", lines(*rows)), gold, "accuracy", columns=columns).scores[0].value == 0.5
    with pytest.raises(DataError, match=r"p\.jsonl, line 1: column 'text' is 'y', and 'x' in .*g\.csv, line 2; .*--id"):
        score_files(file("p.jsonl", lines(*rows[::-1])), gold, "accuracy", columns=columns)


@pytest.mark.parametrize("ids", [True, False])
def test_a_row_with_another_text_is_said(file, ids):
    """It is scored, for texts may be written anew; which one, of how many, and where, is told."""
    head, keys = ("id,", ["1,", "2,", "3,"]) if ids else ("", ["", "", ""])
    labels, given_texts = ["x", "y", "x"], ["a b c", "another", "g h i"]
    gold_rows = zip(keys, ["a b c", "d e f", "g h i"], labels, strict=True)
    given_rows = zip(keys, given_texts, labels, strict=True)
    gold = file("g.csv", f"{head}text,Topic\n" + "".join(f"{key}{text},{x}\n" for key, text, x in gold_rows))
    given = file("p.csv", f"{head}text,Topic,label\n" + "".join(f"{key}{t},{x},{x}\n" for key, t, x in given_rows))
    (note,) = score_files(given, gold, "accuracy", columns=FileColumns(label="Topic")).notes
    assert note.startswith("1 of 3 rows has another 'text' than was predicted for, first in ")
    assert "g.csv, line 3: 'd e f' instead of 'another'" in note
    assert not score_files(given, given, "accuracy", columns=FileColumns(label="Topic")).notes


def test_rows_that_lack_the_text_have_no_other_one(file):
    """Only where both files have it can it differ."""
    rows = [{"id": name, "text": text, "label": "x"} for name, text in (("1", "a b c"), ("2", "d e f"))]
    gold = file("g.jsonl", lines(*rows))
    given = file("p.jsonl", lines(rows[0], {"id": "2", "label": "x"}))
    assert not score_files(given, gold, "accuracy").notes
    assert not score_files(gold, given, "accuracy").notes


def test_a_named_column_that_is_not_there_is_met_with_the_nearest(file):
    """Not with what it might have been called."""
    gold, given = file("g.csv", "text,Topic\na,x\n"), file("p.csv", "text,label\na,x\n")
    with pytest.raises(DataError, match=r"no column 'topic' \(for --label\); did you mean 'Topic'\?"):
        score_files(given, gold, "accuracy", columns=FileColumns(label="topic"))


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
        ({"words": ["Ada"], "label": "O O"}, "has 1 word, 'label' is 'O O'; expected a tag for each"),
        ({"words": ["Ada"], "label": "PER"}, "line 1, word 'Ada': 'PER' is not a BIO tag"),
    ],
)
def test_lines_of_another_shape_are_told(file, row, told):
    """With file and line."""
    with pytest.raises(DataError, match=r"p\.jsonl, line 1.*" + told.removeprefix("line 1")):
        score_files(file("p.jsonl", lines(row)), file("g.conll", "Ada O\n"), "span_f1")


# ---- Ids, alternatives and options -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        ({"id": 1, "label": "a"}, {"id": 1.0, "label": "a"}),
        ({"id": 1.0, "label": "a"}, {"id": "1", "label": "a"}),
        ({"id": "1.00", "label": "a"}, {"id": 1, "label": "a"}),
    ],
)
def test_an_id_is_the_same_whole_number_however_it_is_written(file, given, gold):
    """Libraries of tables make 1.0 of 1 where another row has no id."""
    others = [{"id": "x", "label": "b"}]
    report = score_files(file("p.jsonl", lines(given, *others)), file("g.jsonl", lines(gold, *others)), "accuracy")
    assert report.scores[0].value == 1.0


def test_ids_that_differ_as_written_stay_apart_where_the_gold_file_has_both(file):
    """Sections 1 and 1.0 are two; two predictions for one id are refused."""
    gold = file("g.json", '{"1": "a", "1.0": "b"}')
    assert score_files(file("p.json", '{"1.0": "b", "1": "a"}'), gold, "accuracy").scores[0].value == 1.0
    with pytest.raises(DataError, match=r"p\.json: the id '1' occurs twice, written in two ways"):
        score_files(file("p.json", '{"1.0": "b", "1": "a"}'), file("g.json", '{"1": "a"}'), "accuracy")


def test_floats_have_the_names_of_whole_numbers(file):
    """A column of labels with a gap is one of floats."""
    gold, given = file("g.jsonl", lines({"label": 0.0}, {"label": 1.0})), file("p.csv", "label\nsport\nsport\n")
    assert score_files(given, gold, "accuracy", labels=["sport", "trade"]).scores[0].value == 0.5


def test_names_that_are_not_different_are_refused_as_the_option_that_they_are(file):
    """There is no recipe here."""
    gold = file("g.csv", "label\n0\n1\n")
    with pytest.raises(ConfigError, match=r"^--labels: 1 problem\n  - names: \['a', 'a'\] are not two or more") as told:
        score_files(gold, gold, "accuracy", labels=["a", "a"])
    assert "task." not in str(told.value)


def test_alternatives_may_be_predicted_by_their_text(file):
    """Of the gold file's row; numbers stay numbers, and a text that is none is never right."""
    gold = file("g.csv", "id,a,b,label\n1,ada,beli,beli\n2,cora,eli,0\n3,ada,dune,1\n4,ada,dune,1\n")
    given = file("p.csv", "id,label\n1,beli\n2,eli\n3,1.0\n4,goma\n")
    report = score_files(given, gold, "accuracy", columns=FileColumns(alternatives=("a", "b")))
    assert (report.scores[0].value, report.never_right) == (0.5, ("goma",))


def test_a_text_of_two_alternatives_is_not_guessed(file):
    """It is said what to write."""
    gold = file("g.csv", "id,a,b,label\n1,ada,ada,0\n")
    with pytest.raises(DataError, match=r"p\.json: predicts 'ada' of '1', which several alternatives are; write the"):
        score_files(file("p.json", '{"1": "ada"}'), gold, "accuracy", columns=FileColumns(alternatives=("a", "b")))


@pytest.mark.parametrize(
    ("metric", "columns", "options", "unused"),
    [
        ("accuracy", FileColumns(words=(0, 1)), {}, ["--columns changes nothing: 'accuracy' scores labels"]),
        ("accuracy", FileColumns(id="id", label="label"), {"missing_is_wrong": True}, []),
        ("accuracy", FileColumns(prediction="label", label="label"), {"given": "p.json"}, ["--prediction changes"]),
        (
            "squad",
            FileColumns(alternatives=("a",)),
            {"labels": "normalise"},
            ["--labels changes nothing: 'squad' scores answers to questions", "--alternatives changes nothing"],
        ),
        (
            "tag_accuracy",
            FileColumns(group="g", words=("words", "label")),
            {"missing_is_wrong": True},
            ["--missing-is-wrong changes nothing: 'tag_accuracy' scores tags", "--group changes nothing"],
        ),
    ],
)
def test_an_option_in_vain_is_said_to_be(file, metric, columns, options, unused):
    """Who gave it believes that it was used."""
    gold = file("g.jsonl", lines({"id": "1", "words": "ada", "context": "ada", "label": "ada"}))
    file("p.json", '{"1": "ada"}')
    given = gold.with_name(options.pop("given", "g.jsonl"))
    notes = score_files(given, gold, metric, columns=columns, **options).notes
    assert len(notes) == len(unused)
    assert all(note.startswith(start) for note, start in zip(notes, unused, strict=True))
