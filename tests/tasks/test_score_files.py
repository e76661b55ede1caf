"""Tests of lingraft.tasks.score_files: files as others write them, and what is said of files in another shape."""

import gzip
import json

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr, spearmanr
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from lingraft.core.errors import ConfigError, DataError
from lingraft.data.squad import read_squad
from lingraft.results.metrics import macro_f1
from lingraft.results.metrics.answers import answer_metrics
from lingraft.results.resampling import resample
from lingraft.results.statistics import interval
from lingraft.tasks.score_files import FileColumns, FileScore, score_files

RIVERS = "The Ada flows past the town of Beli. The Cora, which is longer, does not."
TOWNS = "Beli has 1,200 inhabitants and a bridge."
QUESTIONS = [
    ("q1", RIVERS, "Which river flows past Beli?", ["The Ada", "Ada"]),
    ("q2", RIVERS, "Which river is longer?", ["Cora"]),
    ("q3", TOWNS, "How many live there?", ["1,200 inhabitants", "1,200"]),
    ("q4", TOWNS, "What does it have?", ["a bridge"]),
]


def squad_json(questions):
    """In the layout of SQuAD v1.1."""
    paragraphs = {}
    for key, context, question, answers in questions:
        listed = [{"text": answer, "answer_start": context.index(answer)} for answer in answers]
        paragraphs.setdefault(context, []).append({"id": key, "question": question, "answers": listed})
    return {
        "version": "1.1",
        "data": [{"title": "Beli", "paragraphs": [{"context": c, "qas": qas} for c, qas in paragraphs.items()]}],
    }


@pytest.fixture
def file(tmp_path):
    """Writes text, or anything else as JSON, and tells where."""

    def write(name, content):
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


@pytest.fixture
def gold(file):
    """A gold file of two paragraphs with two questions each."""
    return file("gold.json", squad_json(QUESTIONS))


ANSWERS = {"q1": "ada.", "q2": "the Ada", "q3": "1200 people", "q4": "a BRIDGE"}


# ---- Answers ---------------------------------------------------------------------------------------


def test_answers_by_hand(file, gold):
    """Two exact, one wrong, one with a token of two: '1200 people' against '1200'."""
    report = score_files(file("p.json", ANSWERS), gold, "squad")

    f1, exact = report.scores
    assert (f1.metric, exact.metric) == ("f1", "exact_match")
    assert f1.value == pytest.approx((1 + 0 + 2 / 3 + 1) / 4)
    assert exact.value == 0.5
    assert (report.examples, report.groups, report.missing) == (4, 2, 0)


def test_interval_draws_paragraphs(file, gold):
    """Both paragraphs hold one exact answer of two, so no resample differs: of others two say next to nothing."""
    exact = score_files(file("p.json", ANSWERS), gold, "squad").scores[1]
    other = binomtest(0, 2).proportion_ci(method="exact").high

    assert (exact.value, exact.low, exact.high) == pytest.approx((0.5, 0.5 - other / 2, 0.5 + other / 2))


def test_interval_is_that_of_statistics(file, gold):
    """The bootstrap of the mean of F1 over paragraphs."""
    f1 = score_files(file("p.json", ANSWERS), gold, "squad").scores[0]

    drawn = resample(["Beli/0", "Beli/0", "Beli/1", "Beli/1"])
    expected = interval(drawn.means([[1, 0, 2 / 3, 1]]))
    assert (f1.low, f1.high) == pytest.approx(expected)
    assert f1.low < f1.value < f1.high


def test_compressed_files_and_tables(file, gold):
    """The same from .gz, and from a table such as a run's predictions."""
    report = score_files(file("p.json", ANSWERS), gold, "squad")
    rows = "".join(json.dumps({"id": key, "gold": ["x"], "value": value}) + "\n" for key, value in ANSWERS.items())
    packed = file("gold.json.gz", squad_json(QUESTIONS))

    assert score_files(file("p.json.gz", ANSWERS), packed, "squad") == report
    assert score_files(file("p.jsonl", rows), packed, "squad") == report


def test_language_of_the_normaliser(file):
    """The danda is punctuation to MLQA, and Chinese is cut into characters only as Chinese."""
    context = "दिल्ली भारत में है। 北京很大"
    gold = file("gold.json", squad_json([("1", context, "?", ["दिल्ली"]), ("2", context, "?", ["北京很大"])]))
    given = file("p.json", {"1": "दिल्ली।", "2": "北京"})

    assert [s.value for s in score_files(given, gold, "mlqa:hi").scores] == [0.5, 0.5]
    assert [s.value for s in score_files(given, gold, "mlqa:zho-Hans").scores] == [pytest.approx((1 + 2 / 3) / 2), 0.5]
    assert [s.value for s in score_files(given, gold, "squad").scores] == [0.0, 0.0]


def test_missing_answers_are_refused_with_the_cure(file, gold):
    """How many, the first ones, both files, and the option."""
    given = file("p.json", {"q1": "Ada", "q3": "1,200"})

    with pytest.raises(DataError, match=r"p\.json: 2 of 4 ids in .*gold\.json .*: 'q2', 'q4'; .*--missing-is-wrong"):
        score_files(given, gold, "squad")


def test_missing_answers_may_count_as_wrong(file):
    """Also where an empty answer would be an exact match: nothing is left of "The"."""
    gold = file("gold.json", squad_json([*QUESTIONS, ("q5", RIVERS, "?", ["The"])]))

    report = score_files(file("p.json", ANSWERS), gold, "squad", missing_is_wrong=True)

    assert report.missing == 1
    assert [s.value for s in report.scores] == [pytest.approx((1 + 2 / 3 + 1) / 5), 2 / 5]


def test_answers_to_other_questions_are_refused(file, gold):
    """More answers than questions is a mix-up of files."""
    given = file("p.json", {**ANSWERS, "q9": "x"})

    with pytest.raises(DataError, match=r"p\.json: 1 of 5 ids are not in .*gold\.json: 'q9'; give the gold file"):
        score_files(given, gold, "squad", missing_is_wrong=True)


def test_files_of_different_data_sets_are_told_apart(file, gold):
    """Nothing in common is not "all missing"."""
    given = file("p.json", {"a": "x"})

    with pytest.raises(DataError, match=r"none of its ids \('a'\) .* \('q1', 'q2', 'q3', …\); are these files of"):
        score_files(given, gold, "squad", missing_is_wrong=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"p\.json: is not JSON .*expected one object"),
        ('["Ada"]', r"p\.json: is a list; expected one object"),
        ("{}", "says nothing of any id"),
        ('{"q1": "Ada", "q1": "Cora"}', r"the id 'q1' occurs twice; keep one"),
        ('{"q3": 1200}', r"the answer of 'q3' is int 1200; expected a text in quotes"),
        ('{"q3": null}', r"the answer of 'q3' is null; expected a text"),
        ('{"q3": {"text": "x"}}', r"the answer of 'q3' is an object; expected a text"),
        (json.dumps(squad_json(QUESTIONS)), "is a file of questions, not of predictions"),
    ],
)
def test_predictions_in_another_shape(file, gold, content, said):
    """File, id and cure are named."""
    with pytest.raises(DataError, match=said):
        score_files(file("p.json", content), gold, "squad")


def test_table_without_the_columns(file, gold):
    """The line and the columns that are there are named."""
    with pytest.raises(
        DataError, match=r"p\.jsonl, line 1: expected the columns `id` and one of value, .*are id, text"
    ):
        score_files(file("p.jsonl", '{"id": "q1", "text": "Ada"}\n'), gold, "squad")


def test_gold_in_another_shape(file):
    """What the reader of questions refuses is refused here."""
    given = file("p.json", ANSWERS)
    moved = squad_json(QUESTIONS)
    moved["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] += 1

    with pytest.raises(DataError, match=r"gold\.json.*'q2'.*should start at character"):
        score_files(given, file("gold.json", moved), "squad")
    with pytest.raises(DataError, match=r"gold\.json: .*`data`"):
        score_files(given, file("gold.json", {"q1": "Ada"}), "squad")


def test_questions_without_answer_are_refused(file):
    """SQuAD v2 has a score of its own."""
    second = squad_json(QUESTIONS)
    second["data"][0]["paragraphs"][0]["qas"][0].update(is_impossible=True, answers=[])

    with pytest.raises(DataError, match=r"1 of 4 questions have no answer, as in SQuAD v2"):
        score_files(file("p.json", ANSWERS), file("gold.json", second), "squad")


def test_squad_v2_scores_questions_without_an_answer(file):
    """An empty answer is right of them and wrong of the others; one that is missing is wrong of both."""
    second = squad_json(QUESTIONS)
    for paragraph in second["data"][0]["paragraphs"]:
        paragraph["qas"][0].update(is_impossible=True, answers=[])
    first, other = (paragraph["qas"] for paragraph in second["data"][0]["paragraphs"])
    right = {one["id"]: one["answers"][0]["text"] if one["answers"] else "" for one in (*first, *other)}
    path = file("gold.json", second)
    for given, value in (
        (right, 1.0),
        (right | {first[0]["id"]: "Ada"}, 0.75),
        (right | {first[1]["id"]: ""}, 0.75),
        (dict.fromkeys(right, ""), 0.5),
        ({key: text for key, text in right.items() if key != other[0]["id"]}, 0.75),
    ):
        report = score_files(file("p.json", given), path, "squad_v2", missing_is_wrong=True)
        assert [(score.metric, score.value) for score in report.scores] == [("f1", value), ("exact_match", value)]


def test_unknown_metric_lists_all(file, gold):
    """The plainest first, once each, with the nearest; or the normalisers."""
    listed = (
        "known are accuracy, macro_f1, multilabel, regression, span_f1, tag_accuracy, squad, squad_v2 and "
        "mlqa:LANGUAGE (the language of the context)"
    )
    for metric, said in {
        "zzzz": "unknown metric 'zzzz'; ",
        "acc": "unknown metric 'acc'; did you mean 'accuracy'? ",
        "F1_macro": "unknown metric 'F1_macro'; did you mean 'macro_f1'? ",
        "micro_f1": "unknown metric 'micro_f1'; did you mean 'multilabel'? ",
        "Pearson": "unknown metric 'Pearson'; did you mean 'regression'? ",
        "": "is missing; ",
    }.items():
        with pytest.raises(ConfigError) as caught:
            score_files(file("p.json", ANSWERS), gold, metric)
        assert caught.value.problems == [said + listed]
    with pytest.raises(ConfigError, match=r"'mlqa:ru'; known: squad, mlqa:ar"):
        score_files(file("p.json", ANSWERS), gold, "mlqa:ru")


def test_missing_file_says_so(file, gold):
    """Before anything else is told about it."""
    with pytest.raises(DataError, match="no such file"):
        score_files(gold.with_name("p.json"), gold, "squad")


@pytest.mark.shared
@pytest.mark.parametrize("language", ["ar", "de", "es", "vi", "zh"])
def test_real_answers_of_mlqa_are_right(file, shared_data, language):
    """A gold answer scores 1 but for those of which nothing is left; one with a token more scores less."""
    path = shared_data / "mlqa" / f"dev-context-{language}-question-{language}.json.gz"
    examples = read_squad(path, language=language).examples
    exact = {example.id: example.answers[0].text for example in examples}
    longer = {key: f"{text} qq" for key, text in exact.items()}

    f1, em = score_files(file("p.json", exact), path, f"mlqa:{language}").scores
    worse_f1, worse_em = score_files(file("q.json", longer), path, f"mlqa:{language}").scores

    contexts = len({example.group for example in read_squad(path, language=language).examples})
    lowest = binomtest(contexts, contexts).proportion_ci(method="exact").low
    assert (em.metric, em.value, em.low, em.high) == ("exact_match", 1.0, pytest.approx(lowest), 1.0)
    left = np.mean([answer_metrics(f"mlqa:{language}")["f1"]([[t]], [t]) for t in exact.values()])
    assert f1.value == pytest.approx(left)
    assert f1.value > 0.99
    assert worse_em.value == 0.0
    assert 0.6 < worse_f1.value < f1.value


# ---- Tags ------------------------------------------------------------------------------------------

GOLD_TAGS = "Ada B-PER\nlives O\nin O\nBeli B-LOC\n\nCora B-PER\nEli I-PER\n"
SOME_TAGS = "Ada\tI-PER\nlives\tO\nin\tO\nBeli\tB-PER\n\n\nCora\tB-PER\nEli\tI-PER\n\n"


def test_spans_by_hand(file):
    """Two of three right, three predicted; separators and empty lines may differ."""
    report = score_files(file("p.tsv", SOME_TAGS), file("gold.txt", GOLD_TAGS), "span_f1")

    assert report.scores[0].value == pytest.approx(2 / 3)
    assert (report.scores[0].low, report.scores[0].high) == (0.5, 1.0)
    assert (report.examples, report.groups) == (2, 2)


def test_tags_by_hand(file):
    """The repaired I is still another tag than the B."""
    report = score_files(file("p.tsv", SOME_TAGS), file("gold.txt", GOLD_TAGS), "tag_accuracy")

    assert report.scores[0].value == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        (GOLD_TAGS.replace("Beli", "beli"), r"sentence 1, word 4: expected 'Beli', found 'beli'; predict one tag"),
        (GOLD_TAGS.replace("Eli I-PER\n", ""), r"sentence 2 \(Cora Eli\): expected 2 words, found 1"),
        (GOLD_TAGS.replace("\n\n", "\n"), r"has 1 sentence, .*gold\.txt has 2; .*sentence 1 .*4 words, found 6"),
        (GOLD_TAGS + "\nAda O\n", r"has 3 sentences, .* has 2; .*part at the end of the shorter file"),
        (GOLD_TAGS.replace("B-LOC", "NOUN"), r"p\.txt, line 4, word 'Beli': 'NOUN' is not a BIO tag"),
        (GOLD_TAGS.replace("Ada B-PER", "Ada\tB PER"), r"p\.txt, line 1, word 'Ada': the tag 'B PER' has a blank"),
        (GOLD_TAGS.replace("Ada B-PER", "Ada X B-PER"), r"p\.txt, line 2: has 2 columns, the first row has 3"),
    ],
)
def test_tags_in_another_shape(file, predicted, said):
    """Where the two files part, or which tag is none."""
    with pytest.raises(DataError, match=rf"p\.txt.*{said}" if not said.startswith("p") else said):
        score_files(file("p.txt", predicted), file("gold.txt", GOLD_TAGS), "span_f1")


# ---- Labels ----------------------------------------------------------------------------------------

LABELS = {"1": "a", "2": "b", "3": "b", "4": "c"}
GUESSED = {"4": "c", "3": "a", "2": "b", "1": "a"}


@pytest.mark.parametrize(("metric", "value"), [("accuracy", 0.75), ("macro_f1", (2 / 3 + 2 / 3 + 1) / 3)])
def test_labels_by_hand(file, metric, value):
    """Ids bring the two together, whatever the order and format."""
    rows = "".join(json.dumps({"id": int(key), "label": label}) + "\n" for key, label in LABELS.items())
    report = score_files(file("p.json", GUESSED), file("gold.json", LABELS), metric)

    assert report.scores[0].value == pytest.approx(value)
    assert report.scores[0].low < value < report.scores[0].high
    assert (
        score_files(file("p.tsv", "id\tprediction\n4\tc\n3\ta\n2\tb\n1\ta\n"), file("g.jsonl", rows), metric) == report
    )


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_four_right_labels_of_four_do_not_promise_a_fifth(file, metric):
    """The interval is the exact one; a label that a resample does not draw costs nothing."""
    lowest = binomtest(4, 4).proportion_ci(method="exact").low
    assert score_files(file("p.json", LABELS), file("gold.json", LABELS), metric).scores == (
        FileScore(metric, 1.0, pytest.approx(lowest), 1.0),
    )


def test_missing_labels(file):
    """They are wrong, without being a label of their own."""
    given, gold = file("p.json", {"1": "a", "2": "b"}), file("gold.json", LABELS)

    with pytest.raises(DataError, match=r"2 of 4 ids in .* have no prediction: '3', '4'"):
        score_files(given, gold, "accuracy")
    accuracy = score_files(given, gold, "accuracy", missing_is_wrong=True)
    f1 = score_files(given, gold, "macro_f1", missing_is_wrong=True)

    assert (accuracy.scores[0].value, accuracy.missing) == (0.5, 2)
    assert f1.scores[0].value == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert f1.scores[0].value == macro_f1("abc")(["a", "b", "b", "c"], ["a", "b", "", ""])


def test_labels_may_be_numbers(file):
    """JSON has both 1 and "1"."""
    gold = file("gold.json", {"1": 0, "2": 1})

    assert score_files(file("p.json", {"1": "0", "2": 1}), gold, "accuracy").scores[0].value == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"1": null}', "the label of '1' is null"),
        ('{"1": "", "2": "b", "3": "b", "4": "c"}', "1 of 4 ids in .* have no prediction: '1'"),
        ('{"1": ["a"]}', "the label of '1' is a list"),
    ],
)
def test_labels_in_another_shape(file, content, said):
    """File, id and cure are named."""
    with pytest.raises(DataError, match=said):
        score_files(file("p.json", content), file("gold.json", LABELS), "accuracy")


# ---- Numbers, and several labels for each text -------------------------------------------------------


def test_numbers_are_scored_as_by_scipy(file):
    """Two tables by their rows, whatever the columns are called; drawn by group where one is named."""
    right, given = [1.0, 4.5, 3.0, 2.5, 5.0, 3.5], [2.0, 4.0, 2.5, 3.0, 4.5, 1.5]
    lines = "".join(json.dumps({"text": f"t{n}", "label": one}) + "\n" for n, one in enumerate(given))
    rows = "".join(f"t{n},{one},{n // 3}\n" for n, one in enumerate(right))
    files = file("p.jsonl", lines), file("gold.csv", f"text,number,page\n{rows}")

    report = score_files(*files, "regression")
    pages = score_files(*files, "regression", columns=FileColumns(group="page"))

    assert {one.metric: one.value for one in report.scores} == pytest.approx(
        {
            "spearman": spearmanr(right, given).statistic,
            "mean_absolute_error": np.mean([1.0, 0.5, 0.5, 0.5, 0.5, 2.0]),
            "pearson": pearsonr(right, given).statistic,
        }
    )
    assert (report.examples, report.groups, pages.groups) == (6, 6, 2)


def test_several_labels_are_scored_as_by_scikit_learn(file):
    """In any order, as texts or as lists; a text may have none, and another case is no other label."""
    right = {"1": ["a", "b"], "2": [], "3": ["c"], "4": ["a"], "5": []}
    given = {"1": ["b", "a"], "2": ["a"], "3": ["C", "b"], "4": [], "5": []}
    lists = "".join(json.dumps({"id": key, "labels": one}) + "\n" for key, one in right.items())
    rows = "".join(f"{key}\t{'|'.join(one)}\t0.5\n" for key, one in given.items())

    report = score_files(file("p.tsv", f"id\tlabel\tconfidence\n{rows}"), file("gold.jsonl", lists), "multilabel")

    marks = MultiLabelBinarizer(classes=["a", "b", "c"])
    truth, told = (marks.fit_transform([map(str.lower, one) for one in side.values()]) for side in (right, given))
    assert [(one.metric, one.value) for one in report.scores] == [
        (f"{mean}_f1", pytest.approx(f1_score(truth, told, average=mean))) for mean in ("micro", "macro")
    ]
    assert (report.examples, report.read_as, report.never_right) == (5, (("C", "c"),), ())


@pytest.mark.parametrize(
    ("kind", "predicted", "right", "said"),
    [
        (
            "regression",
            {"1": "3.5", "2": "high"},
            {"1": "3", "2": "4"},
            r"p\.json: the number of '2' is 'high'; expected",
        ),
        (
            "regression",
            {"1": "3.5", "2": "1"},
            {"1": "3", "2": "nan"},
            r"gold\.json: the number of '2' is 'nan'; expected",
        ),
        ("regression", {"1": "3.5"}, {"1": "3", "2": "4"}, r"1 of 2 ids in .* have no prediction: '2'; add them$"),
        ("regression", {"1": "1e16"}, {"1": "3"}, r"p\.json: the number of '1' is '1e16'; expected one below 1e15"),
        ("multilabel", {"1": "a"}, {"1": "a", "2": ""}, r"1 of 2 ids in .* have no prediction: '2'; add them$"),
        ("multilabel", {"1": "a|b"}, {"1": "a;b"}, r"\(with \| between the labels of a text\): no predicted label is"),
    ],
)
def test_numbers_and_labels_in_another_shape(file, kind, predicted, right, said):
    """What is wrong, and where."""
    with pytest.raises(DataError, match=said):
        score_files(file("p.json", predicted), file("gold.json", right), kind)
