"""Which trial answers is said where there are several, with draws counted from 1."""

import json

import pytest

from invented_run import write_run
from lingraft.core.errors import RunError
from lingraft.results.run_files import read_run
from lingraft.results.saved_trial import describe_saved, describe_trial, explain_saved
from lingraft.results.words import NEUTRAL, Words

LABELS = Words(shot="shot", per=" per label")


@pytest.mark.parametrize(
    ("name", "others", "words", "said"),
    [
        ("k5-draw0-seed1", ["k0-draw0-seed1"], LABELS, "5 shots per label (draw 1 of 1, seed 1)"),
        ("k5-draw2-seed7", ["k5-draw0-seed7", "k5-draw1-seed7"], NEUTRAL, "5 labelled examples (draw 3 of 3, seed 7)"),
        ("kall-draw0-seed1", ["k5-draw0-seed1", "k5-draw1-seed1"], LABELS, "all shots (draw 1 of 1, seed 1)"),
        ("k0-draw0-seed2", ["k0-draw0-seed1"], LABELS, "no target labels (draw 1 of 1, seed 2)"),
        ("k5-draw0-seed1", [], LABELS, ""),
        ("", ["k5-draw0-seed1", "k0-draw0-seed1"], LABELS, ""),
    ],
)
def test_a_trial_is_said_in_words(name, others, words, said):
    """Where there is no choice, nothing is said."""
    assert describe_trial(name, [name, *others], words) == said


def test_the_saved_trial_is_that_of_the_summary(tmp_path):
    """A folder without one says nothing; a damaged one is named."""
    assert describe_saved(tmp_path, LABELS) == ""
    facts = {"trials": {"k0-draw0-seed1": {}, "k2-draw0-seed1": {}}, "selected_trial": "k2-draw0-seed1"}
    (tmp_path / "summary.json").write_text(json.dumps(facts), encoding="utf-8")
    assert describe_saved(tmp_path, LABELS) == "2 shots per label (draw 1 of 1, seed 1)"
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"summary\.json"):
        describe_saved(tmp_path, LABELS)


@pytest.mark.parametrize(
    ("shots", "draws", "seeds", "said"),
    [
        ((5,), 3, 2, "The mean is of 6 trials, each with another draw of the examples or another seed. The saved trial "
         "is one of them: 5 shots per label (draw 3 of 3, seed 2), the best on English development data."),
        ((1, 5), 2, 1, "The mean is of 2 trials, each"),
        ((1, 5), 1, 1, ""),
        ((5,), 1, 1, ""),
    ],
)  # fmt: skip
def test_the_saved_trial_is_explained_beside_a_mean(tmp_path, shots, draws, seeds, said):
    """A mean is over trials of as many shots; where there is one such trial, there is nothing to explain."""
    run = read_run(write_run(tmp_path, shots=shots, draws=draws, seeds=seeds, texts=10))
    explained = explain_saved(run)
    assert explained.startswith(said)
    assert bool(explained) == bool(said)
