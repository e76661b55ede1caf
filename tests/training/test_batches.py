"""Which texts meet in which step."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.backbones.encoding import Encoded
from lingraft.backbones.state_table import IdTable, StateTable, StateView
from lingraft.core.examples import Example
from lingraft.core.records import IDS, Features
from lingraft.recipe.settings import PseudoSettings, TrainSettings
from lingraft.tasks.kinds import NO_LABEL, kind_of
from lingraft.training.batches import BUCKET, Order, Pool, batched, count_repeats
from lingraft.training.copies import Cells
from lingraft.training.pools import Learnt, are_early, repeats_of

CPU = torch.device("cpu")

LABELS = {"classification": ("yes", "no"), "tagging": ("O", "B-PER", "I-PER")}


def encoded(count, prefix, lengths=None, target=lambda i: None):
    """Texts ``PREFIX0``, ``PREFIX1`` … whose states hold their number."""
    lengths = lengths or [1 + i % 5 for i in range(count)]
    tokens = np.concatenate([np.full((n, 2), i, np.float32) for i, n in enumerate(lengths)] or [np.zeros((0, 2), "f4")])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    pooled = np.arange(count, dtype=np.float32)[:, None].repeat(2, axis=1)
    features = tuple(Features(f"{prefix}{i}", (1,) * n, target(i)) for i, n in enumerate(lengths))
    table = StateTable(tokens, offsets, pooled, layer=1)
    return Encoded(features, StateView([(table, row) for row in range(count)], 2, 1))


def source_pool(count):
    """Labelled texts of the source language, class = number modulo 3, held to their own states."""
    ids = [f"s{i}" for i in range(count)]
    return Pool(
        "eng-Latn",
        encoded(count, "s", target=lambda i: i % 3),
        tuple(ids),
        frozenset(ids),
        {i: torch.full((2,), float(i[1:])) for i in ids},
        is_source=True,
    )


def target_pool(pairs, shots=0, language="yor-Latn", lengths=None):
    """Pairs ``t0`` …, then shots of class 1 that follow them in the table."""
    passed, labelled = [f"t{i}" for i in range(pairs)], [f"t{i}" for i in range(pairs, pairs + shots)]
    return Pool(
        language,
        encoded(pairs + shots, "t", lengths, target=lambda i: 1),
        (*passed, *labelled),
        frozenset(labelled),
        {i: torch.full((2,), 100.0 + int(i[1:])) for i in passed},
    )


def rows(batch):
    """Which texts are in a batch, read off their states."""
    return [int(row) for row in batch.states.tokens[:, 0, 0]]


def steps(source, targets, *, batch_size=4, seed=1, epoch=0):
    """The batches of an epoch."""
    return [step() for step in order(source, targets, batch_size=batch_size, seed=seed).epoch(epoch)]


SIZES = {"sources": st.integers(1, 40), "pairs": st.integers(1, 60), "batch_size": st.integers(1, 16)}


@settings(deadline=None, max_examples=60)
@given(**SIZES)
def test_every_pair_or_every_label_once_an_epoch(sources, pairs, batch_size):
    """The epoch is as long as the longer side; that side is seen once, the other evenly."""
    made = steps(source_pool(sources), [target_pool(pairs)], batch_size=batch_size)
    labelled, paired = -(-sources // batch_size), -(-pairs // batch_size)
    assert len(made) == max(labelled, paired)
    seen = Counter(row for _, target in made for row in rows(target))
    known = Counter(row for source, _ in made for row in rows(source))
    assert set(seen) == set(range(pairs))
    assert max(seen.values()) - min(seen.values()) <= (paired < labelled)
    assert max(known.values()) - min(known[i] for i in range(sources)) <= (labelled < paired)
    assert (seen == Counter(range(pairs))) or paired < labelled
    assert (known == Counter(range(sources))) or labelled < paired


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 90), st.integers(1, 4))
def test_shots_are_passed_with_the_pairs(shots, pairs, batch_size):
    """A labelled target example comes as often as a pair: once, where the target is the longer side."""
    made = steps(source_pool(1), [target_pool(pairs, shots)], batch_size=batch_size)
    assert Counter(row for _, target in made for row in rows(target)) == Counter(range(pairs + shots))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 9), st.integers(0, 60), st.integers(0, 20), st.integers(1, 8))
def test_shots_are_repeated_in_batches_of_their_own(shots, pairs, repeats, batch_size):
    """So many times more than once; a pair is still seen once, and no repeated batch holds one."""
    among = replace(target_pool(pairs, shots), repeated=tuple(f"t{pairs + i}" for i in range(shots)), repeats=repeats)
    made = [rows(target) for _, target in steps(source_pool(1), [among], batch_size=batch_size)]
    expected = Counter({row: 1 if row < pairs else 1 + repeats for row in range(pairs + shots)})
    assert Counter(row for batch in made for row in batch) == expected
    alone = sum(all(row >= pairs for row in batch) for batch in made)
    assert alone >= repeats * -(-shots // batch_size)


@pytest.mark.parametrize(
    ("kind", "pairs", "pseudo", "shots", "set_to", "repeats"),
    [
        ("tagging", 100, 0, 16, None, 7),  # seven batches of the others, one of shots
        ("tagging", 90, 70, 40, None, 3),  # ten and three
        ("tagging", 0, 0, 16, None, 0),
        ("tagging", 100, 0, 0, None, 0),
        ("tagging", 100, 0, 0, 5, 0),
        ("tagging", 100, 0, 16, 2, 2),
        ("classification", 100, 0, 16, None, 0),
        ("classification", 100, 0, 16, 4, 4),
    ],
)
def test_where_tokens_are_read_half_of_the_batches_are_labelled_by_people(kind, pairs, pseudo, shots, set_to, repeats):
    """Where nothing was set; a class of a text is seen once an epoch."""
    texts = [Example(f"x{i}", str(i), "yor-Latn") for i in range(pairs + pseudo + shots)]
    learnt = Learnt(
        "yor-Latn",
        tuple((text, text) for text in texts[:pairs]),
        tuple(texts[pairs : pairs + shots]),
        tuple(texts[pairs + shots :]),
    )
    train, ids = TrainSettings(batch_size=16, shot_repeats=set_to), tuple(text.id for text in texts[pairs:][:shots])
    often = repeats_of(learnt, kind_of(kind, LABELS[kind], {}), train)
    pool = replace(target_pool(1), repeated=ids, repeats=often)
    assert count_repeats(pool, len(learnt.ids), train.batch_size) == repeats


@pytest.mark.parametrize(
    ("kind", "shots", "pairs", "set_to", "early"),
    [
        ("tagging", 1, 0, None, True),
        ("tagging", 0, 1, None, False),
        ("classification", 1, 0, None, False),
        ("classification", 1, 0, True, True),
        ("classification", 0, 1, True, True),
        ("tagging", 0, 0, True, False),
        ("tagging", 1, 0, False, False),
    ],
)
def test_made_examples_yield_to_labels_where_tokens_are_read(kind, shots, pairs, set_to, early):
    """Unless the recipe says otherwise, and where there is something else to learn from."""
    text = Example("x", "0", "yor-Latn")
    learnt = Learnt("yor-Latn", ((text, text),) * pairs, (text,) * shots, (text,))
    assert are_early(learnt, kind_of(kind, LABELS[kind], {}), PseudoSettings(early=set_to)) == early


@pytest.mark.parametrize("order", ["joint", "sequential"])
@pytest.mark.parametrize("epochs", [1, 2, 3, 6])
def test_early_examples_are_in_the_first_half_of_the_epochs(order, epochs):
    """All else is learnt from in every epoch; a training of one epoch has them in it."""
    pool = target_pool(5, shots=3)
    pool = replace(pool, early=frozenset({"t0", "t1", "t2"}), repeated=("t5", "t6", "t7"), repeats=None)
    train = TrainSettings(batch_size=2, num_train_epochs=epochs, order=order)
    made = Order(source_pool(2), (pool,), train, 1, CPU)
    seen = [
        {row for step in made.epoch(i) for batch in step() if not batch.is_source for row in rows(batch)}
        for i in range(made.epochs)
    ]
    targets = seen if order == "joint" else seen[epochs:]
    early = -(-epochs // 2)
    assert targets == [set(range(8))] * early + [set(range(3, 8))] * (epochs - early)


@settings(deadline=None, max_examples=30)
@given(**SIZES, seed=st.integers(0, 2**32 - 1), epoch=st.integers(0, 50))
def test_the_order_is_a_function_of_seed_and_epoch(sources, pairs, batch_size, seed, epoch):
    """Asked twice, an epoch is the same to the last text."""
    one, other = (
        steps(source_pool(sources), [target_pool(pairs, 3)], batch_size=batch_size, seed=seed, epoch=epoch)
        for _ in range(2)
    )
    assert [[rows(b) for b in step] for step in one] == [[rows(b) for b in step] for step in other]


def test_epochs_and_seeds_differ():
    """Another epoch or another seed is another order."""
    orders = [
        [[rows(b) for b in step] for step in steps(source_pool(40), [target_pool(40)], seed=seed, epoch=epoch)]
        for seed, epoch in [(1, 0), (1, 1), (2, 0)]
    ]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_without_target_text_the_source_is_passed_alone():
    """Neither pairs nor shots: each labelled example once, one batch a step."""
    made = steps(source_pool(10), [])
    assert [len(step) for step in made] == [1, 1, 1]
    assert Counter(row for (source,) in made for row in rows(source)) == Counter(range(10))


def test_shots_without_pairs_join_the_source():
    """Without parallel text the few labelled examples are all that the target has."""
    made = steps(source_pool(12), [target_pool(0, 5)])
    assert len(made) == 3
    for source, target in made:
        assert len(rows(source)) == 4
        assert len(rows(target)) in (4, 1)  # five shots in batches of four
        assert (target.targets == 1).all()
        assert not target.has_teacher.any()


def test_languages_take_turns():
    """Each step has one target language; every pair of every language is passed once."""
    targets = [target_pool(8, language="yor-Latn"), target_pool(18, 2, language="quy-Latn")]
    made = steps(source_pool(4), targets)
    assert len(made) == 2 + 5
    for pool, pairs in zip(targets, (8, 18), strict=True):
        seen = [row for _, t in made if t.language == pool.language for row in rows(t) if row < pairs]
        assert Counter(seen) == Counter(range(pairs))
    assert all(source.language == "eng-Latn" for source, _ in made)


def test_a_batch_has_targets_and_teachers_where_there_are_any():
    """Pairs have a teacher and no label, shots a label and no teacher, source examples both."""
    for source, target in steps(source_pool(8), [target_pool(8, 3)]):
        assert source.targets.tolist() == [row % 3 for row in rows(source)]
        assert source.has_teacher.all()
        assert source.teacher[:, 0].tolist() == [float(row) for row in rows(source)]
        pair = torch.tensor([row < 8 for row in rows(target)])
        assert target.has_teacher.tolist() == pair.tolist()
        assert target.targets.tolist() == [NO_LABEL if is_pair else 1 for is_pair in pair]
        assert target.teacher[:, 0].tolist() == [100.0 + row if row < 8 else 0.0 for row in rows(target)]


def test_a_shot_among_the_pairs_has_both():
    """Where shots are drawn from the pairs, their rows have a label and a teacher."""
    pool = target_pool(4)
    both = Pool(pool.language, pool.encoded, pool.ids, {"t2"}, pool.teacher)
    batch = both.batch(["t1", "t2"], CPU)
    assert (batch.targets.tolist(), batch.has_teacher.tolist()) == ([NO_LABEL, 1], [True, True])


def test_a_step_reads_nothing_before_it_is_called(monkeypatch):
    """Skipping finished steps of a resumed run costs no reading."""
    reads = []
    monkeypatch.setattr(Pool, "batch", lambda self, ids, device: reads.append(self.language))
    made = order(source_pool(9), [target_pool(9)], batch_size=3).epoch(0)
    assert reads == []
    made[1]()
    assert reads == ["eng-Latn", "yor-Latn"]


def test_texts_of_similar_length_share_a_batch():
    """Eight batches are sorted by length together: within them lengths do not overlap."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 32).tolist()
    made = steps(source_pool(1), [target_pool(32, lengths=lengths)], batch_size=32 // BUCKET)
    spans = sorted((min(lengths[r] for r in rows(t)), max(lengths[r] for r in rows(t))) for _, t in made)
    assert len(spans) == BUCKET
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_no_batch_is_larger_than_asked():
    """Shots aside, a batch has at most `batch_size` texts."""
    for source, target in steps(source_pool(11), [target_pool(13, 2)], batch_size=5):
        assert len(rows(source)) <= 5
        assert len([row for row in rows(target) if row < 13]) <= 5


@pytest.mark.parametrize("ids", [["s0"], ["s4", "s1", "s4"]])
def test_a_batch_keeps_the_order_asked(ids):
    """States, targets and teachers line up with the ids."""
    batch = source_pool(5).batch(ids, CPU)
    numbers = [int(i[1:]) for i in ids]
    assert rows(batch) == numbers
    assert batch.targets.tolist() == [n % 3 for n in numbers]
    assert batch.states.mask.sum(1).tolist() == [1 + n % 5 for n in numbers]


# ---- What a loss may need beside the states ---------------------------------------------------------


def paired_pool(pairs=4, shots=1):
    """A target pool that holds the source side of its pairs, in another order, and the aligned words of some."""
    pool = target_pool(pairs, shots)
    translations = {f"t{i}": f"s{pairs - 1 - i}" for i in range(pairs)}
    links = {f"t{i}": torch.tensor([[i, i + 1], [0, 2]]) for i in range(pairs) if i != 2}
    return replace(pool, source=encoded(pairs, "s"), translations=translations, word_alignments=links)


def test_the_source_side_of_the_taught_rows_comes_along():
    """In the order of the batch, shots left out."""
    batch = paired_pool().batch(["t1", "t4", "t0", "t3"], CPU)
    assert batch.has_teacher.tolist() == [True, False, True, True]
    assert [int(row) for row in batch.source.tokens[:, 0, 0]] == [2, 3, 0]
    assert batch.source.mask.sum(1).tolist() == [3, 4, 1]


def test_word_alignments_say_which_of_the_rows_with_a_teacher_they_are_of():
    """The row counts the rows with a teacher; a pair without an entry has none."""
    batch = paired_pool().batch(["t1", "t4", "t2", "t3"], CPU)
    assert batch.word_alignment.tolist() == [[0, 1, 2], [0, 0, 2], [2, 3, 4], [2, 0, 2]]


def test_what_is_not_there_is_not_read():
    """A batch of shots alone, or a pool without translations, has neither."""
    for pool, ids in ((paired_pool(), ["t4"]), (target_pool(3), ["t0", "t1"])):
        batch = pool.batch(ids, CPU)
        assert (batch.source, batch.word_alignment) == (None, None)
    assert source_pool(3).batch(["s0"], CPU).is_source
    assert not target_pool(3).batch(["t0"], CPU).is_source


def test_a_table_of_ids_gives_ids():
    """Where embeddings learn, a batch holds token ids, padded on the right with the padding's."""
    pool = target_pool(3)
    table = IdTable(((1, 2), (3,), (4, 5, 6)), pool.encoded.table, padding_id=9)
    batch = replace(pool, encoded=Encoded(pool.encoded.features, table)).batch(["t2", "t0"], CPU)
    assert batch.states.layer == IDS
    assert batch.states.tokens.tolist() == [[4, 5, 6], [1, 2, 9]]
    assert batch.states.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.teacher.tolist() == [[102.0] * 2, [100.0] * 2]


def copy_pool(originals, language):
    """Copies ``c0`` … of source texts of these numbers, one row each."""
    copy_of = {f"s{i}": f"c{i}" for i in originals}
    cells = {i: Cells((torch.tensor([0]),), (torch.tensor([0]),), 1) for i in copy_of}
    return Pool(language, encoded(40, "c"), tuple(copy_of.values()), frozenset(), {}, copy_of=copy_of, cells=cells)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 30),
    st.integers(0, 30),
    st.integers(1, 7),
    st.sets(st.integers(0, 29)),
    st.sampled_from(["joint", "sequential"]),
)
def test_copies_are_in_the_step_of_their_originals(sources, pairs, batch_size, copied, kind):
    """Pools take turns; a step has the copies of all of its source texts that have one, and no other text moves."""
    targets = [target_pool(pairs)] if pairs else []
    given = {"batch_size": batch_size, "kind": kind}
    pools = (copy_pool(copied, "quy-Latn"), copy_pool(range(30), "gug-Latn"))
    with_copies = replace(order(source_pool(sources), targets, **given), copies=pools)
    for epoch in range(with_copies.epochs):
        plain = [step() for step in order(source_pool(sources), targets, **given).epoch(epoch)]
        for number, (before, step) in enumerate(zip(plain, with_copies.epoch(epoch), strict=True)):
            after, turn = step(), (epoch + number) % 2
            assert [(b.language, rows(b)) for b in before] == [(b.language, rows(b)) for b in after[: len(before)]]
            own = [i for b in before if b.is_source for i in rows(b)]
            wanted = [i for i in own if turn == 1 or i in copied]
            assert [(b.language, rows(b)) for b in after[len(before) :]] == (
                [(pools[turn].language, wanted)] if wanted else []
            )
            for batch in after[len(before) :]:
                cells = batch.matching.originals.squeeze(1).tolist()
                assert [own[cells.index(cell)] for cell in batch.matching.copies.squeeze(1).tolist()] == wanted
                assert not batch.labelled.any()
                assert not batch.has_teacher.any()


@given(st.lists(st.text(), max_size=30), st.integers(1, 9))
def test_batched_cuts_and_loses_nothing(ids, size):
    """Groups of the size asked, the last one shorter."""
    groups = list(batched(ids, size))
    assert [i for group in groups for i in group] == ids
    assert all(len(group) == size for group in groups[:-1])
    assert all(groups)


# ---- The order of a whole training ------------------------------------------------------------------


def order(source, targets, *, epochs=2, batch_size=4, kind="joint", seed=1):
    """The steps of a training."""
    train = TrainSettings(num_train_epochs=epochs, batch_size=batch_size, order=kind)
    return Order(source, tuple(targets), train, seed, CPU)


def passed(batches):
    """How often each text of each language was passed."""
    seen = Counter()
    for batch in batches:
        seen.update((batch.language, row) for row in rows(batch))
    return seen


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(1, 25), st.integers(0, 9), st.integers(1, 7), st.integers(1, 4))
def test_one_after_the_other_each_text_is_passed_as_often(sources, pairs, others, batch_size, epochs):
    """`sequential`: every text once in each of its language's epochs, the source's first, languages never joined."""
    targets = [target_pool(pairs, 1)] + ([target_pool(others, language="quy-Latn")] if others else [])
    made = order(source_pool(sources), targets, epochs=epochs, batch_size=batch_size, kind="sequential")
    assert made.epochs == 2 * epochs
    read = [[step() for step in made.epoch(epoch)] for epoch in range(made.epochs)]
    assert sum(map(len, read)) == made.steps
    for epoch, steps in enumerate(read):
        assert all(len(step) == 1 for step in steps)
        seen = passed(batch for step in steps for batch in step)
        wanted = Counter(("eng-Latn", i) for i in range(sources))
        if epoch >= epochs:
            wanted = Counter(("yor-Latn", i) for i in range(pairs + 1)) + Counter(
                ("quy-Latn", i) for i in range(others)
            )
        assert seen == wanted


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 7), st.integers(1, 4))
def test_joined_the_longer_side_is_passed_once_an_epoch(sources, pairs, batch_size, epochs):
    """`joint`: each text of the longer side as often as there are epochs, none of the other more rarely."""
    made = order(source_pool(sources), [target_pool(pairs)], epochs=epochs, batch_size=batch_size)
    assert made.epochs == epochs
    seen = passed(batch for epoch in range(epochs) for step in made.epoch(epoch) for batch in step())
    labelled, paired = -(-sources // batch_size), -(-pairs // batch_size)
    least = {code: min(n for (of, _), n in seen.items() if of == code) for code in ("eng-Latn", "yor-Latn")}
    most = {code: max(n for (of, _), n in seen.items() if of == code) for code in ("eng-Latn", "yor-Latn")}
    longer = "eng-Latn" if labelled >= paired else "yor-Latn"
    assert least[longer] == most[longer] == epochs
    assert min(least.values()) >= epochs
    assert Counter(code for code, _ in seen) == {"eng-Latn": sources, "yor-Latn": pairs}


def test_a_joint_order_is_that_of_its_epochs():
    """Nothing else decides than seed and epoch."""
    made = order(source_pool(9), [target_pool(20)], epochs=3, seed=8)
    for epoch in range(3):
        expected = steps(source_pool(9), [target_pool(20)], seed=8, epoch=epoch)
        assert [[rows(b) for b in step()] for step in made.epoch(epoch)] == [[rows(b) for b in s] for s in expected]


def test_random_numbers_of_a_joint_epoch_are_drawn_in_one_order():
    """Batches of the targets, which of them comes when, batches of the source: drawn otherwise, results would move."""
    rng = np.random.default_rng([8, 2])

    def drawn(count):
        ids = sorted(rng.permutation(count), key=lambda i: 1 + i % 5)
        batches = [ids[at : at + 2] for at in range(0, count, 2)]
        return [batches[i] for i in rng.permutation(len(batches))]

    targets = drawn(5)
    when = [*rng.permutation(3), *rng.permutation(3)][:4]
    expected = [[ids, targets[i]] for ids, i in zip(drawn(7), when, strict=True)]

    found = steps(source_pool(7), [target_pool(5)], batch_size=2, seed=8, epoch=2)

    assert [[rows(batch) for batch in step] for step in found] == expected


def test_epochs_of_a_sequential_order_differ_and_repeat():
    """Another order in each epoch, the same one when asked again; a source language alone has its epochs only."""
    made = order(source_pool(20), [target_pool(20)], kind="sequential", epochs=2, batch_size=3)
    found = [[[rows(b) for b in step()] for step in made.epoch(epoch)] for epoch in (0, 1, 2, 3, 0)]
    assert found[0] == found[4]
    assert found[0] != found[1] and found[2] != found[3]
    assert order(source_pool(5), [], kind="sequential", epochs=3).epochs == 3


# ---- Several rows for an example -------------------------------------------------------------------


def windowed(counts, target=lambda example, part: None):
    """Examples ``e0`` … of so many rows each; the states of a row hold its number, its targets what is told."""
    features = [
        Features(f"e{i}", (1,) * (2 + part), target(i, part), part=part)
        for i, count in enumerate(counts)
        for part in range(count)
    ]
    lengths = [len(feature.input_ids) for feature in features]
    tokens = np.concatenate([np.full((n, 2), row, np.float32) for row, n in enumerate(lengths)])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    pooled = np.arange(len(features), dtype=np.float32)[:, None].repeat(2, axis=1)
    table = StateTable(tokens, offsets, pooled, layer=1)
    return Encoded(tuple(features), StateView([(table, row) for row in range(len(features))], 2, 1))


def windowed_pool(counts, labelled=None, teacher=None, **options):
    """All examples passed, each row's target its example and part."""
    ids = tuple(f"e{i}" for i in range(len(counts)))
    encoded = windowed(counts, lambda i, part: (i, part))
    known = frozenset(ids if labelled is None else labelled)
    return Pool("eng-Latn", encoded, ids, known, teacher or {}, is_source=True, collate=collate_pairs, **options)


def collate_pairs(targets, length):
    """Rows of two, negative where there is no target."""
    return torch.tensor([(NO_LABEL, NO_LABEL) if target is None else target for target in targets])


def test_all_rows_of_an_example_stay_together():
    """One after the other, each with its own target; batches count examples and not rows."""
    pool = windowed_pool([1, 3, 2])
    batch = pool.batch(["e2", "e1"], CPU)
    assert rows(batch) == [4, 5, 1, 2, 3]
    assert batch.targets.tolist() == [[2, 0], [2, 1], [1, 0], [1, 1], [1, 2]]
    assert batch.states.mask.sum(1).tolist() == [2, 3, 2, 3, 4]
    assert batch.labelled.tolist() == [True] * 5


def test_the_rows_of_what_is_not_labelled_have_no_target():
    """None of them, though the features know it."""
    batch = windowed_pool([2, 2], labelled=["e1"]).batch(["e0", "e1"], CPU)
    assert batch.targets.tolist() == [[NO_LABEL] * 2, [NO_LABEL] * 2, [1, 0], [1, 1]]
    assert batch.labelled.tolist() == [False, False, True, True]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=20), st.integers(1, 6), st.integers(0, 9))
def test_every_row_is_passed_once_an_epoch(counts, batch_size, epoch):
    """Whatever the number of rows of each example, and in whole examples."""
    pool = windowed_pool(counts)
    made = steps(pool, [], batch_size=batch_size, epoch=epoch)
    assert len(made) == -(-len(counts) // batch_size)
    assert Counter(row for (batch,) in made for row in rows(batch)) == Counter(range(sum(counts)))
    starts = np.cumsum([0, *counts])
    for (batch,) in made:
        found = rows(batch)
        assert len({pool.encoded.features[row].example_id for row in found}) <= batch_size
        for row in found:
            own = int(np.searchsorted(starts, row, side="right")) - 1
            at = found.index(int(starts[own]))
            assert found[at : at + counts[own]] == list(range(starts[own], starts[own] + counts[own]))


def test_each_row_is_held_to_its_own_state():
    """A second window is not held to the state of the first; an example with one state has one row."""
    teacher = {"e0": torch.full((2,), 7.0), "e1": torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])}
    batch = windowed_pool([1, 3, 2], teacher=teacher).batch(["e1", "e2", "e0"], CPU)
    assert batch.has_teacher.tolist() == [True, True, True, False, False, True]
    assert batch.teacher[:, 0].tolist() == [1.0, 2.0, 3.0, 0.0, 0.0, 7.0]


def test_an_example_is_as_long_as_its_longest_row():
    """Texts of similar length share a batch, windows counted."""
    pool = windowed_pool([4, 1] * BUCKET)
    for (batch,) in steps(pool, [], batch_size=2):
        assert len({len(pool.encoded.rows[pool.encoded.features[row].example_id]) for row in rows(batch)}) == 1
