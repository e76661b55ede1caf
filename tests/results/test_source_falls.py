"""That training cost the source language something is said, and only where it is clear."""

from dataclasses import replace
from pathlib import Path

import pytest

from lingraft.core.errors import RunError
from lingraft.core.outside import validate
from lingraft.results.caveats import warnings
from lingraft.results.run_files import RunFiles
from lingraft.results.schemas import SUMMARY
from lingraft.results.source_falls import describe_fall, is_fall, warn_of_falls

FALL = {"n": 300, "before": 0.6, "after": 0.563, "low": -0.061, "high": -0.016}


def run_of(falls, trials=("k0-draw0-seed1",)):
    """The files of a run, as far as they matter."""
    summary = {"trials": {name: {} for name in trials}, "source_falls": falls}
    data = {"source_language": "eng-Latn", "languages": {"eng-Latn": {"name": "English"}}, "metrics": {"f1": "f1"}}
    return RunFiles(Path(), "", data, (), (), summary, {})


@pytest.mark.parametrize(
    ("low", "high", "fell"),
    [(-0.06, -0.01, True), (-0.06, 0.0, False), (-0.06, 0.01, False), (0.01, 0.02, False), (None, None, False)],
)
def test_a_fall_is_one_whose_whole_interval_lies_below_zero(low, high, fell):
    """Zero is not below itself, and what has no interval is not known."""
    assert is_fall(FALL | {"low": low, "high": high}) is fell


def test_a_fall_is_told_with_its_interval():
    """Scores in percent, the difference in points with signs, and what may be done."""
    assert describe_fall("English", "span_f1", FALL).replace("\u00a0", " ") == (
        "training cost English, which the task is learnt in: development span F1 fell from 60.0 % to 56.3 % "
        "(−3.7 points [−6.1, −1.6], n = 300). Lower train.learning_rate, or the weight of what is learnt beside its "
        "labels, such as alignment losses, shots and pseudo-data"
    )


def test_the_worst_of_several_trials_is_told():
    """In how many it was so, and where most."""
    falls = {"k0-draw0-seed1": FALL, "k0-draw0-seed2": FALL | {"after": 0.5}}
    said = warn_of_falls(run_of(falls, (*falls, "k0-draw0-seed3")), "f1").replace("\u00a0", " ")
    assert said.startswith("In 2 of 3 trials, most in k0-draw0-seed2, training cost English, ")
    assert "from 60.0 % to 50.0 % (−10.0 points" in said
    alone = warn_of_falls(run_of({"k0-draw0-seed1": FALL}), "f1")
    assert alone.startswith("Training cost English, ")
    assert alone.endswith("pseudo-data.")


def test_pages_warn_of_a_fall_first():
    """Before all that may be said of the targets; and not where there is none."""
    assert warnings(run_of({"k0-draw0-seed1": FALL}), [])[0].startswith("Training cost English")
    assert warnings(run_of({}), []) == []
    assert warnings(replace(run_of({}), summary={}), []) == []


def test_what_is_no_fall_is_refused_among_the_falls():
    """A folder may come from others."""
    validate(SUMMARY, {"source_falls": {"k0-draw0-seed1": FALL}}, "summary.json", cure="mend it")
    with pytest.raises(RunError, match="high"):
        validate(SUMMARY, {"source_falls": {"k0-draw0-seed1": FALL | {"high": 0.1}}}, "summary.json", cure="mend it")
