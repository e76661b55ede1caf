"""Names of classes in the schema of a Parquet file, as the Hub writes them."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from lingraft.core.errors import DataError
from lingraft.data.example_tables import tagged_rows
from lingraft.data.stored_names import names_in
from lingraft.data.table import pair_examples

TAGS = ["O", "B-PER", "I-PER"]
LABEL = {"names": ["market", "health"], "_type": "ClassLabel"}


def about(features):
    """What ``datasets`` keeps in a schema."""
    return json.dumps({"info": {"features": features}}).encode()


def write(path, columns, features=None):
    """A Parquet file with the names of its columns' numbers."""
    table = pyarrow.table(columns)
    metadata = {b"huggingface": about(features)} if features else None
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize(
    "feature",
    [
        {"feature": {"names": TAGS, "_type": "ClassLabel"}, "_type": "Sequence"},
        {"feature": {"names": TAGS, "_type": "ClassLabel"}, "length": -1, "_type": "List"},
        [{"names": TAGS, "_type": "ClassLabel"}],
    ],
    ids=["sequence", "list", "a list of one"],
)
def test_numbers_of_tags_have_the_names_that_the_file_stores(tmp_path, feature):
    """However the version of ``datasets`` that wrote the file describes a list."""
    path = write(tmp_path / "a.parquet", {"tokens": [["Ada", "ran"]], "ner": [[1, 0]]}, {"ner": feature})
    (example,) = tagged_rows(path, fields={"words": "tokens", "tags": "ner"}, language="yo")
    assert example.tags == ("B-PER", "O")


def test_numbers_of_classes_have_the_names_that_the_file_stores(tmp_path):
    """A class by its name; a column that is no ClassLabel keeps its numbers."""
    path = write(tmp_path / "a.parquet", {"text": ["a", "b"], "topic": [1, 0], "other": [1, 0]}, {"topic": LABEL})
    labels = [
        [example.label for example in pair_examples(path, fields={"text": "text", "label": column}, language="yo")]
        for column in ("topic", "other")
    ]
    assert labels == [["health", "market"], ["1", "0"]]


def test_names_that_are_given_come_before_those_that_are_stored(tmp_path):
    """A recipe's `tags` is what somebody meant."""
    feature = {"feature": {"names": TAGS, "_type": "ClassLabel"}, "_type": "Sequence"}
    path = write(tmp_path / "a.parquet", {"words": [["Ada"]], "tags": [[1]]}, {"tags": feature})
    fields = {"words": "words", "tags": "tags"}
    assert tagged_rows(path, fields=fields, language="yo", names=["O", "B-LOC"])[0].tags == ("B-LOC",)


def test_numbers_without_names_are_refused_with_the_cure(tmp_path):
    """What they mean must be said, and each must have a name."""
    path = write(tmp_path / "a.parquet", {"words": [["Ada"]], "tags": [[3]]})
    fields = {"words": "words", "tags": "tags"}
    with pytest.raises(DataError, match=r"line 1, word 'Ada': the tag is the number 3; .*tags: \[O, B-PER, I-PER\]"):
        tagged_rows(path, fields=fields, language="yo")
    with pytest.raises(DataError, match="the tag is 3; expected the number of one of 3 tags, from 0"):
        tagged_rows(path, fields=fields, language="yo", names=TAGS)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b"{", b'{"info": 3}', b'{"info": {"features": []}}', about({"a": 1, "b": [1, 2], "c": None}),
     about({"a": {"_type": "ClassLabel"}}), about({"a": {"_type": "ClassLabel", "names": [1]}}), b"[" * 100_000],
)  # fmt: skip
def test_metadata_of_another_shape_name_nothing(content):
    """They come from outside: whatever they are, they are no error."""
    assert names_in(content) == {}


def test_a_label_that_is_withheld_is_none(tmp_path):
    """The Hub writes -1 for it; fractions are what pandas makes of numbers where one is missing."""
    path = write(tmp_path / "a.parquet", {"text": ["a", "b", "c"], "topic": [-1.0, 1.0, None]}, {"topic": LABEL})
    read = pair_examples(path, fields={"text": "text", "label": "topic"}, language="yo", labelled=False)
    assert [example.label for example in read] == [None, "health", None]


def test_names_of_classes_that_are_given_come_first(tmp_path):
    """As those of tags do."""
    path = write(tmp_path / "a.parquet", {"text": ["a", "b"], "topic": [0, 1]}, {"topic": LABEL})
    read = pair_examples(path, fields={"text": "text", "label": "topic"}, language="yo", names=["soko", "afya"])
    assert [example.label for example in read] == ["soko", "afya"]


def test_a_column_of_classes_may_be_text(tmp_path):
    """Where a text is expected, a class is its name."""
    path = write(tmp_path / "a.parquet", {"text": [1]}, {"text": {"names": ["ada", "beli"], "_type": "ClassLabel"}})
    (example,) = pair_examples(path, fields={"text": "text"}, language="yo", labelled=False)
    assert example.text_a == "beli"
