"""``letters.json``: what a run's languages look like."""

import json

import pytest

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_csv, write_world
from lingraft.core.errors import RunError
from lingraft.data.character_model import CharacterModel, likeliest
from lingraft.runs.letter_counts import write_letter_counts
from lingraft.serving.detecting import letters_of
from lingraft.tasks.gathering import gather


@pytest.fixture
def counted(tmp_path):
    """The letters of both languages of the invented world, of texts to learn from."""
    write_world(tmp_path)
    write_letter_counts(tmp_path, gather(world_recipe(tmp_path, parallel={"from": "task", "pairs": 20})))
    return tmp_path


def test_languages_are_known_by_the_texts_that_are_learnt_from(counted):
    """What comes back tells new texts of the two languages apart."""
    letters = letters_of(counted)
    assert set(letters) == {SOURCE, TARGET}
    new = [text for text, _ in labelled_texts(120)][-20:]
    assert [likeliest(text, letters) for text in new] == [SOURCE] * 20
    assert [likeliest(translated(text), letters) for text in new] == [TARGET] * 20


def test_texts_of_the_test_set_are_not_counted(tmp_path, counted):
    """Other test texts, the same counts."""
    before = (counted / "letters.json").read_bytes()
    write_csv(tmp_path / f"{TARGET}.test.csv", ["key", "sentence", "topic"], [("t0", "quite another text", "bird")])
    write_letter_counts(tmp_path, gather(world_recipe(tmp_path, parallel={"from": "task", "pairs": 20})))
    assert (tmp_path / "letters.json").read_bytes() == before


def test_a_language_of_few_texts_is_not_among_them(tmp_path):
    """Nobody knows it by nine."""
    write_world(tmp_path)
    write_letter_counts(tmp_path, gather(world_recipe(tmp_path, parallel={"from": "task", "pairs": 9})))
    assert set(letters_of(tmp_path)) == {SOURCE}


@pytest.mark.parametrize(
    "content",
    ["{", '{"ngrams": {"../x": {"a": 1}}}', '{"ngrams": {"yor-Latn": {"a": -1}}}', '{"ngrams": {"yor-Latn": {}}}'],
)
def test_damaged_counts_are_refused_in_one_line(tmp_path, content):
    """And none at all are nothing."""
    assert letters_of(tmp_path) == {}
    (tmp_path / "letters.json").write_text(content)
    with pytest.raises(RunError, match=r"letters\.json"):
        letters_of(tmp_path)


def test_most_frequent_n_grams_are_as_counted(counted):
    """The file has numbers of the texts, not the texts."""
    found = json.loads((counted / "letters.json").read_text(encoding="utf-8"))["ngrams"][SOURCE]
    assert max(map(len, found)) == 4
    assert letters_of(counted)[SOURCE].counts == CharacterModel(found).counts
