"""What is proposed: the recipe's own settings first, nothing twice, and the same whether or not it was stopped."""

import pytest

from lingraft.core.errors import RunError
from lingraft.experiments.tuning_study import importance, next_proposal, note, open_study, proposals
from lingraft.recipe.tuning import Range

SPACE = {"train.rate": Range(low=1e-4, high=1e-2), "layers": Range(low=1, high=4), "choice": ["a", None, 2]}
OWN = {"choice": 2, "layers": 1}
FINITE = {"a": [1, 2, 3], "b": Range(low=1, high=3)}


def score(values):
    """The best rate is 0.003, and 2 the best choice."""
    return -abs(values.get("train.rate", 2e-3) - 3e-3) + (0.001 if values.get("choice") == 2 else 0)


def search(folder, trials, *, stops=(), failing=(), space=SPACE, own=OWN):
    """Try so many combinations, stopping while each of ``stops`` is tried; returns all proposals."""
    stops = set(stops)
    while True:
        with open_study(folder, {"space": "this"}) as study:
            while len([one for one in proposals(study) if one.done]) < trials:
                found = next_proposal(study, space, own)
                if found is None or found.number in stops:
                    stops.discard(found and found.number)
                    break
                note(study, found, None if found.number in failing else score(found.values), seconds=1.0)
            else:
                return proposals(study)
            if found is None:
                return proposals(study)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder of a search of thirty combinations."""
    folder = tmp_path_factory.mktemp("searched")
    search(folder, 30, failing={3})
    return folder


def test_own_settings_come_first(searched):
    """As far as they lie in what is searched; all others lie there whole."""
    first, *others = search(searched, 30)
    assert (first.own, dict(first.values)) == (True, OWN)
    assert all(not one.own and list(one.values) == list(SPACE) for one in others)
    assert all(value in SPACE[key] for one in others for key, value in one.values.items())
    assert {type(one.values["layers"]) for one in others} == {int}


def test_proposed_numbers_have_few_digits(searched):
    """As people write them."""
    found = [one.values["train.rate"] for one in search(searched, 30) if not one.own]
    assert found == [float(f"{rate:.3g}") for rate in found]


def test_a_search_that_was_stopped_proposes_the_same(searched, tmp_path):
    """Also where that which was being tried had to be tried again."""
    assert search(tmp_path, 14, stops={0, 4, 11}, failing={3}) == search(searched, 30)[:14]


def test_good_settings_are_found_more_often_than_by_chance(searched):
    """After the first ten, rates lie nearer to the best one."""
    found = [abs(one.values["train.rate"] - 3e-3) for one in search(searched, 30) if not one.own]
    assert sum(found[15:]) / len(found[15:]) < sum(found[:9]) / 9


def test_nothing_is_tried_twice_and_all_combinations_come_once(tmp_path):
    """The recipe's own too, where it lies in what is searched; then there is nothing more."""
    found = search(tmp_path, 50, space=FINITE, own={"a": 1, "b": 3})
    assert sorted(tuple(one.values[key] for key in "ab") for one in found) == [
        (a, b) for a in (1, 2, 3) for b in (1, 2, 3)
    ]
    assert found[0].own


def test_failed_settings_are_not_tried_again(tmp_path):
    """They count as tried, without a score."""
    found = search(tmp_path, 50, space=FINITE, own={"a": 1, "b": 3}, failing=set(range(1, 100)))
    assert len(found) == 9
    assert [one.score for one in found[1:]] == [None] * 8


def test_a_search_of_something_else_is_refused(tmp_path):
    """With what is another."""
    with open_study(tmp_path, {"space": "this"}):
        pass
    with pytest.raises(RunError, match='space is "this" there and "that" now'), open_study(tmp_path, {"space": "that"}):
        pass


def test_a_file_that_is_none_of_optunas_is_refused_in_a_line(tmp_path):
    """With what to do."""
    (tmp_path / "tuning.db").write_text("nothing" * 1000)
    with pytest.raises(RunError, match=r"tuning\.db cannot be used: .*delete"), open_study(tmp_path, {}):
        pass


def test_a_folder_may_have_any_name(tmp_path):
    """Also one that an address would read as something else."""
    folder = tmp_path / "50% of #1?x=y"
    folder.mkdir()
    search(folder, 2)
    assert [path.name for path in folder.iterdir()] == ["tuning.db"]


def test_the_setting_that_decides_matters_most(searched, tmp_path):
    """Its share of the variance is the largest, and shares add up; few trials tell nothing."""
    with open_study(searched, {"space": "this"}) as study:
        found = importance(study, SPACE)
    assert next(iter(found)) == "train.rate"
    assert sum(found.values()) == pytest.approx(1)
    search(tmp_path, 3)
    with open_study(tmp_path, {"space": "this"}) as study:
        assert importance(study, SPACE) == {}
