"""What services answered is asked for once."""

from lingraft.pseudo.kept_answers import KeptAnswers


def test_an_answer_is_found_by_all_that_was_asked_whatever_its_order(tmp_path):
    """Another process finds it; another question has none."""
    KeptAnswers(tmp_path).keep({"text": "a", "model": 1}, ["x", {"y": 2}])
    assert KeptAnswers(tmp_path).find({"model": 1, "text": "a"}) == ["x", {"y": 2}]
    assert KeptAnswers(tmp_path).find({"model": 2, "text": "a"}) is None


def test_a_damaged_file_is_no_answer_and_is_written_again(tmp_path):
    """A power cut may leave half of it."""
    kept = KeptAnswers(tmp_path)
    kept.keep({"text": "a"}, "x")
    (file,) = tmp_path.rglob("*.json")
    file.write_text('{"answer": "x')
    assert kept.find({"text": "a"}) is None
    kept.keep({"text": "a"}, "y")
    assert kept.find({"text": "a"}) == "y"
