"""Lines of answers: with the user's own columns, in order, as soon as they are there."""

import csv
import io
import json
from datetime import date

import pytest

from answering import LABELS, adapted_of
from lingraft.core.errors import DataError
from lingraft.serving.answer_lines import write_answers
from lingraft.serving.inputs import Given
from lingraft.serving.items import LARGEST


def rows_of(*rows):
    """What a table gives."""
    return [Given(f"rows, line {number}", row, row) for number, row in enumerate(rows, start=1)]


def written(given, adapted, form="jsonl", **options):
    """What is written of it."""
    stream = io.StringIO(newline="")
    write_answers(stream, given, adapted, form, **options)
    return stream.getvalue()


def objects(text):
    """JSON lines as objects."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def adapted(tiny_backbone):
    """A loaded run for topics."""
    return adapted_of(tiny_backbone)


def test_rows_keep_their_columns_and_their_order(adapted):
    """What is null stays, and an empty text has an empty label."""
    first, second = objects(written(rows_of({"id": 7, "text": "ada", "note": None}, {"text": ""}), adapted))
    assert list(first) == ["id", "text", "note", "label", "confidence"]
    assert (first["id"], first["note"], first["label"]) == (7, None, adapted.predict(["ada"])[0].value)
    assert second == {"text": "", "label": "", "confidence": 0.0}


def test_a_column_of_the_users_that_is_called_as_ours_is_kept(adapted):
    """The answer has another name then; where that is taken too, it is said."""
    once = objects(written(rows_of({"text": "ada", "label": "mine"}), adapted))
    assert once[0]["label"] == "mine"
    assert list(once[0]) == ["text", "label", "prediction", "prediction_confidence"]
    (sure,) = objects(written(rows_of({"text": "ada", "confidence": "high"}), adapted))
    assert list(sure) == ["text", "confidence", "prediction", "prediction_confidence"]
    with pytest.raises(DataError, match=r"rows, line 1: has a column 'prediction'.*rename it"):
        written(rows_of(once[0]), adapted)


def test_probabilities_and_withheld_answers_are_shown(adapted):
    """All classes by name; whether the answer was withheld in every line, once that was asked for."""
    given = rows_of({"text": "ada"}, {"text": ""})
    first, empty = objects(written(given, adapted, abstain=1.0, probabilities=True))
    (expected,) = adapted.predict_proba(["ada"]).values.tolist()
    assert (first["label"], first["abstained"]) == ("", True)
    assert list(first["probabilities"]) == list(LABELS["classification"])
    assert list(first["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
    assert (empty["abstained"], empty["probabilities"]) == (False, {})


def test_numbers_that_are_none_are_written_as_nothing(adapted):
    """JSON lines and tables may have them; other columns stay where they are."""
    given = rows_of({"id": 7, "score": float("nan"), "text": "ada", "far": [float("inf"), 2.5], "low": -float("inf")})
    line = written(given, adapted)
    assert line.startswith('{"id": 7, "score": null, "text": "ada", "far": [null, 2.5], "low": null, "label": ')
    (row,) = csv.DictReader(io.StringIO(written(given, adapted, "csv")))
    assert (row["id"], row["score"], row["far"], row["low"]) == ("7", "", "[null, 2.5]", "")


def test_csv_has_the_columns_of_all_rows(adapted):
    """Known before the first row is written, where rows may differ; cells may be JSON."""
    given = rows_of({"text": "ada, beli"}, {"id": 7, "text": "cora"})
    text = written(given, adapted, "csv", columns=["text", "id"], probabilities=True)
    first, second = csv.DictReader(io.StringIO(text))
    assert list(first) == ["text", "id", "label", "confidence", "probabilities"]
    assert (first["text"], first["id"], second["id"]) == ("ada, beli", "", "7")
    assert set(json.loads(first["probabilities"])) == set(LABELS["classification"])


def test_a_column_that_comes_too_late_for_csv_is_told(adapted):
    """What was written stays right."""
    with pytest.raises(DataError, match=r"rows, line 2: has the column 'id'.*--format jsonl"):
        written(rows_of({"text": "ada"}, {"text": "beli", "id": 7}), adapted, "csv")


def test_answers_have_their_place(tiny_backbone):
    """Those to questions in the context; none where there is no answer."""
    adapted = adapted_of(tiny_backbone, "span_qa")
    given = rows_of({"question": "ada", "context": "be cora"}, {"question": "", "context": "be"})
    first, empty = objects(written(given, adapted))
    assert "be cora"[first["start"] : first["end"]] == first["label"]
    assert (empty["start"], empty["end"]) == (None, None)


def test_entities_come_with_the_words(tiny_backbone):
    """Words that were given are not written twice."""
    adapted = adapted_of(tiny_backbone, "tagging")
    text, words = objects(written(rows_of({"text": "ada beli."}, {"words": ["ada", "beli"]}), adapted))
    assert text["words"] == ["ada", "beli", "."]
    assert list(words) == ["words", "label", "confidence", "entities"]
    for entity in text["entities"]:
        assert text["text"][entity["start"] : entity["end"]] == entity["text"]


def test_words_in_columns_come_back_with_their_tag(tiny_backbone):
    """After all columns that they had; sentences are parted as before."""
    adapted = adapted_of(tiny_backbone, "tagging")
    cells = (("ada", "X"), ("New York", "Y")), (("beli", "Z"),)
    given = [Given(f"line {i}", [row[0] for row in rows], {}, rows) for i, rows in enumerate(cells)]
    tags = [one.value.split() for one in adapted.predict([one.item for one in given])]
    expected = f"ada\tX\t{tags[0][0]}\nNew York\tY\t{tags[0][1]}\n\nbeli\tZ\t{tags[1][0]}\n\n"
    assert written(given, adapted, "conll") == expected


def test_a_sentence_keeps_the_name_that_its_file_gave_it(tiny_backbone):
    """As CoNLL-U has it, so that what reads the answers can pair them; one without a name has none."""
    adapted = adapted_of(tiny_backbone, "tagging")
    words, cells = ["Ada", "Beli"], (("1", "Ada"), ("2", "Beli"))
    given = [
        Given("a.conllu, line 2", words, {"id": "s1", "words": words}, cells),
        Given("a.conllu, line 6", words, {"words": words}, cells),
    ]
    first, second, _ = written(given, adapted, "conll").split("\n\n")
    assert first == "# sent_id = s1\n" + second


@pytest.mark.parametrize(("kind", "item"), [("classification", {"text": "ada"}), ("tagging", {"words": ["a\tb"]})])
def test_what_columns_cannot_hold_is_refused(tiny_backbone, kind, item):
    """Answers that are no tags, words with a tab in them."""
    with pytest.raises(DataError, match="use jsonl"):
        written(rows_of(item), adapted_of(tiny_backbone, kind), "conll")


def test_values_that_json_does_not_have_are_written_as_text(adapted):
    """Such as dates, which other tables have."""
    (row,) = objects(written(rows_of({"text": "ada", "day": date(2020, 2, 1)}), adapted))
    assert row["day"] == "2020-02-01"


def test_lines_are_written_while_others_are_read(adapted):
    """The first before the last is read, and no more is held than is computed together."""
    held, stream = [], io.StringIO()
    count = 2 * LARGEST + 50
    read = 0

    def given():
        nonlocal read
        while read < count:
            read += 1
            yield Given(f"line {read}", "ada", {"text": "ada"})

    write_answers(stream, given(), adapted, "jsonl", advance=lambda lines: held.append(read - len(held)))
    assert len(held) == len(stream.getvalue().splitlines()) == count
    assert held[0] <= 2
    assert max(held) <= LARGEST
