"""Folds: balanced, apart, and nothing of the one that is held out among what is learnt."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invented import SOURCE, TARGET, TOPICS, labelled_texts, translated, world_recipe, write_csv, write_world
from lingraft.core.examples import PairExample, SpanExample
from lingraft.data.leakage import identity_of
from lingraft.recipe.parsing import parse_recipe
from lingraft.tasks.folds import FEWEST, labelled_of, units_of, with_folds, without_fold
from lingraft.tasks.gathering import gather
from lingraft.tasks.material import Draw

ROWS = st.lists(st.tuples(st.integers(0, 25), st.sampled_from(sorted(TOPICS))), min_size=30, max_size=60).filter(
    lambda rows: len({number for number, _ in rows}) > 1
)


def materials(folder, rows, *, language=None, shots="all", folds=None):
    """What is gathered of target labels without a test set, or of labels in one language: rows of text and topic."""
    numbered = [(f"n{i}", text, topic) for i, (text, topic) in enumerate(rows)]
    if language is None:
        write_world(folder)
        write_csv(folder / f"{TARGET}.train.csv", ["key", "sentence", "topic"], numbered)
        return gather(world_recipe(folder, splits=("train", "dev"), shots={"k": shots, "folds": folds}))
    write_csv(folder / "train.csv", ["id", "text", "label"], numbered)
    write_csv(folder / "dev.csv", ["id", "text", "label"], [("d0", "dune eli", "bird"), ("d1", "dune", "stone")])
    task = {"name": "classification", "language": language, "files": {"train": "train.csv", "dev": "dev.csv"}}
    return gather(parse_recipe({"task": task | {"data_dir": str(folder)}, "shots": {"k": shots, "folds": folds}}))


def uneven(**counts):
    """Different texts, so many of each topic."""
    return [(f"{topic} {i}", topic) for topic, count in counts.items() for i in range(count)]


def test_folds_are_balanced_by_class(tmp_path):
    """Of 40, 10 and 5 examples each of five folds has 8, 2 and 1."""
    (draw,) = materials(tmp_path, uneven(bird=40, river=10, stone=5)).draws
    assert [Counter(e.label for e in fold[TARGET]) for fold in draw.folds] == [{"bird": 8, "river": 2, "stone": 1}] * 5


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The task of the invented tables."""
    return gather(world_recipe(write_world(tmp_path_factory.mktemp("world")))).task


@given(rows=ROWS)
def test_a_fold_is_never_learnt_from(task, rows):
    """Folds cover all labels once; whatever is equal to a text of one is not learnt from beside it."""
    shots = tuple(
        PairExample(f"{i}", f"{i}", TARGET, text_a=f"X{number} " * (i % 2 + 1), label=topic)
        for i, (number, topic) in enumerate(rows)
    )
    draw = with_folds(Draw("all", 0, (), {TARGET: shots}, {TARGET: ()}), task, [TARGET], None)
    assert 2 <= len(draw.folds) <= 5
    held = [e.id for fold in draw.folds for e in fold[TARGET]]
    assert sorted(held) == sorted(e.id for e in shots)
    for fold in draw.folds:
        rest = without_fold(draw, fold, task)
        here, there = ({identity_of(e) for e in examples} for examples in (fold[TARGET], rest.shots[TARGET]))
        assert here.isdisjoint(there)
        assert len(rest.shots[TARGET]) == len(shots) - len(fold[TARGET])
        assert rest.folds == ()


def test_texts_that_share_groups_and_texts_stay_together():
    """A chain of equal texts and shared groups is one unit, in whatever order its links come."""

    def example(i, group, text):
        return PairExample(f"{i}", group, TARGET, text_a=text, label="bird")

    chain = [example(0, "a", "one"), example(1, "b", "two"), example(2, "c", "one"), example(3, "c", "two")]
    assert [sorted(e.id for e in unit) for unit in units_of(chain, 0)] == [["0", "1", "2", "3"]]
    assert len(units_of([*chain[:2], example(2, "c", "three")], 0)) == 3


def labelled_on_both_sides(folder, count):
    """What is gathered of a task that is parallel by id, all of whose texts have labels in both languages."""
    write_world(folder)
    for language, say in ((SOURCE, str), (TARGET, translated)):
        rows = [(f"n{i}", say(text), topic) for i, (text, topic) in enumerate(labelled_texts(count))]
        write_csv(folder / f"{language}.train.csv", ["key", "sentence", "topic"], rows)
    changes = {"parallel": {"from": "task", "labelled": True}, "shots": "all"}
    return gather(world_recipe(folder, splits=("train", "dev"), **changes))


def test_translations_of_a_fold_are_not_learnt_from(tmp_path):
    """Neither labelled in the source language nor as pairs: the task is parallel by id."""
    found = labelled_on_both_sides(tmp_path, 60)
    (draw,) = found.draws
    count = len(draw.shots[TARGET])  # of 60, those that are not in an evaluation set
    assert len(draw.labelled) == len(draw.pairs[TARGET]) == count > 40
    for fold in draw.folds:
        rest, groups = without_fold(draw, fold, found.task), {e.group for e in fold[TARGET]}
        learnt = [*rest.labelled, *rest.shots[TARGET], *(side for pair in rest.pairs[TARGET] for side in pair)]
        assert len(groups) == len(fold[TARGET]) >= count // 5
        assert len(learnt) == 4 * (count - len(groups))
        assert groups.isdisjoint(e.group for e in learnt)


def test_labels_of_a_fold_do_not_come_back_by_its_translations(tmp_path):
    """What the source side of a pair is known to be is forgotten with the target side."""
    task = gather(world_recipe(write_world(tmp_path))).task
    shots = tuple(PairExample(f"t{i}", f"{i}", TARGET, text_a=f"ta {i}", label="bird") for i in range(2))
    pairs = tuple(
        (PairExample(f"s{i}", f"{i}", SOURCE, text_a=f"sa {i}"), replace(shot, label=None))
        for i, shot in enumerate(shots)
    )
    draw = Draw("all", 0, (), {TARGET: shots}, {TARGET: pairs})
    assert [one.id for one in draw.labelled_sides(draw.pairs)] == ["s0", "s1"]
    left = without_fold(draw, {TARGET: shots[:1]}, task)
    assert [one.id for one in left.labelled_sides(left.pairs)] == ["s1"]


def test_pairs_with_a_text_of_a_fold_are_not_learnt_from(tmp_path):
    """They have no labels, but they would no longer be new."""
    rows = [(translated(text), topic) for text, topic in labelled_texts(40, seed=5)]
    found = materials(tmp_path, rows)
    (draw,) = found.draws
    one = draw.folds[0][TARGET][0]
    sides = [
        PairExample("parallel/x", "g", code, text_a=text) for code, text in ((SOURCE, "ada"), (TARGET, one.text_a))
    ]
    with_pair = replace(draw, pairs={TARGET: (tuple(sides),)})
    assert without_fold(with_pair, draw.folds[0], found.task).pairs[TARGET] == ()
    assert len(without_fold(with_pair, draw.folds[1], found.task).pairs[TARGET]) == 1


def test_what_was_made_after_a_text_of_a_fold_is_not_learnt_from(tmp_path):
    """A shot, a labelled translation of it, or a pair with it: whatever goes takes along what it led to."""
    found = labelled_on_both_sides(tmp_path, 30)
    (draw,) = found.draws
    learnt = [*draw.labelled, *draw.shots[TARGET], *(side for pair in draw.pairs[TARGET] for side in pair)]
    made = tuple(
        PairExample(f"m{i}", f"llm/{i}", TARGET, "llm", 0.3, text_a=f"made {i}", label="bird", shown=("x/y", e.trace))
        for i, e in enumerate(learnt)
    )
    draw = replace(draw, pseudo={TARGET: made})
    for fold in draw.folds:
        groups = {e.group for e in fold[TARGET]}
        left = without_fold(draw, fold, found.task).pseudo[TARGET]
        assert len(groups) > 1
        assert [e.id for e in left] == [m.id for m, e in zip(made, learnt, strict=True) if e.group not in groups]


def test_a_passage_with_a_text_of_a_fold_is_not_learnt_from(tmp_path):
    """Passages are joined of unlabelled texts, a line each, and some of these may be held out."""
    task = gather(world_recipe(write_world(tmp_path))).task
    shots = tuple(SpanExample(f"t{i}", f"{i}", TARGET, question="ta", context=f"omi {i}") for i in range(2))
    made = tuple(
        SpanExample(f"m{i}", f"m{i}", TARGET, "passages", question="ki", context=f"ilé\nOmi  {i}\nyára")
        for i in range(3)
    )
    draw = Draw("all", 0, (), {TARGET: shots}, {TARGET: ()}, pseudo={TARGET: made})
    assert [e.id for e in without_fold(draw, {TARGET: shots[:1]}, task).pseudo[TARGET]] == ["m1", "m2"]


@pytest.mark.parametrize(
    ("rows", "folds", "number", "told"),
    [
        (uneven(bird=20, river=20, stone=20), None, 5, "its 60 labelled examples are cross-validated in 5 folds"),
        (uneven(bird=20, river=20, stone=3), None, 3, "cross-validated in 3 folds"),
        (uneven(bird=20, river=20, stone=20), 4, 4, "cross-validated in 4 folds"),
        (uneven(bird=20, river=20, stone=20), 0, 0, r"60 labelled examples are not cross-validated (shots.folds: 0)"),
        (uneven(bird=20, river=20, stone=1), None, 0, "leave 'stone' without any, were one of them held out; give two"),
        (uneven(bird=3, river=3, stone=3), None, 0, f"9 labelled examples are fewer than the {FEWEST}"),
    ],
    ids=["usual", "rare class", "asked for", "refused", "one of a class", "few"],
)
def test_in_one_language_each_class_stays_learnt(tmp_path, rows, folds, number, told):
    """And what is done, or why nothing is, is said."""
    found = materials(tmp_path, rows, language="twi-Latn", folds=folds)
    (draw,) = found.draws
    assert len(draw.folds) == number
    (said,) = found.unscored
    assert said.startswith("Twi (twi-Latn): there is no test set, so ")
    assert told in said
    for fold in draw.folds:
        rest = without_fold(draw, fold, found.task)
        assert {e.label for e in labelled_of(rest, "twi-Latn", "twi-Latn")} == set(TOPICS)


def test_a_language_with_a_test_set_is_not_cross_validated(tmp_path):
    """Nothing changes for it."""
    found = gather(world_recipe(write_world(tmp_path), shots="all"))
    assert (found.draws[0].folds, found.unscored) == ((), ())
