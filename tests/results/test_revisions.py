"""What a page says of the versions that its trials come from."""

from lingraft.core.files import write_lines
from lingraft.results.revisions import describe_revisions

ROW = {
    "task": "sib200", "method": "lingraft", "language": "yor-Latn", "metric": "accuracy", "value": 0.5, "n": 8,
    "shots": 0, "draw": 0, "seed": 1, "run": "run",
}  # fmt: skip
FIRST = {"version": "0.1.0", "revision": "a" * 12}


def described(folder, *made):
    """The lines on trials that were made by these."""
    write_lines(folder / "scores.jsonl", [ROW | one for one in made])
    return describe_revisions(folder)


def test_one_revision_is_named_once(tmp_path):
    """Or the version alone where the package was installed."""
    assert described(tmp_path, FIRST, FIRST) == [f"All trials are of lingraft 0.1.0, revision {'a' * 12}.", ""]
    assert described(tmp_path, FIRST | {"revision": None}) == ["All trials are of lingraft 0.1.0.", ""]


def test_several_are_said_loudly(tmp_path):
    """In the order in which they come."""
    (line, _) = described(tmp_path, FIRST, FIRST | {"revision": "b" * 12}, FIRST)
    assert line == (
        f"**The trials are of several versions: lingraft 0.1.0, revision {'a' * 12} and lingraft 0.1.0, revision "
        f"{'b' * 12}.**"
    )


def test_older_scores_say_nothing(tmp_path):
    """And neither does the page."""
    assert described(tmp_path, {}) == []
