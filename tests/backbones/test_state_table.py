"""Tables of states, and batches of texts picked out of several."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.backbones.state_table import StateTable, StateView
from lingraft.core.errors import CacheError
from lingraft.core.records import States
from stored_states import make_table, whole


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_batch_out_of_several_tables_equals_a_plain_loop(dtype, data):
    """A batch holds each text's states, then zeros, and its mask says which is which."""
    lengths = data.draw(st.lists(st.lists(st.integers(0, 6), max_size=4), min_size=1, max_size=4))
    tables = [make_table(part, seed=i, dtype=dtype) for i, part in enumerate(lengths)]
    texts = [(table, row) for table in tables for row in range(len(table))]
    places = data.draw(st.permutations(texts).map(lambda found: found[: data.draw(st.integers(0, len(found)))]))
    rows = data.draw(st.lists(st.integers(0, len(places) - 1), max_size=9)) if places else []
    states = [table.tokens[table.offsets[row] : table.offsets[row + 1]] for table, row in (places[i] for i in rows)]
    longest = max(map(len, states), default=0)
    tokens, mask = torch.zeros(len(rows), longest, 5), torch.zeros(len(rows), longest, dtype=torch.int64)
    for i, text in enumerate(states):
        for t, state in enumerate(text):
            tokens[i, t] = torch.tensor(state.astype(np.float32))
            mask[i, t] = 1

    view = StateView(places, 5, 2)
    batch, pooled = view.batch(rows), view.pooled_rows(rows)

    assert (batch.layer, batch.tokens.dtype) == (2, torch.float32)
    assert torch.equal(batch.tokens, tokens)
    assert torch.equal(batch.mask, mask)
    assert pooled.tolist() == [table.pooled[row].tolist() for table, row in (places[i] for i in rows)]
    assert pooled.shape == (len(rows), 5)


def test_a_batch_may_be_changed():
    """It is a copy: writing into it leaves the table as it is."""
    table = make_table()
    whole(table).batch([0, 2]).tokens.fill_(7.0)
    whole(table).pooled_rows([0]).fill_(7.0)

    assert np.array_equal(table.tokens, make_table().tokens)
    assert np.array_equal(table.pooled, make_table().pooled)


@pytest.mark.parametrize("rows", [[-1], [5], [0, -2]])
def test_rows_that_do_not_exist_are_refused(rows):
    """A negative row does not count from the end: it would take the wrong tokens."""
    view = whole(make_table())
    for gather in (view.batch, view.pooled_rows):
        with pytest.raises(IndexError, match="table of 5 texts"):
            gather(rows)


def test_put_and_batch_are_inverse():
    """Rows written in any order are read back."""
    source = make_table()
    table = StateTable.empty(np.diff(source.offsets), width=5, layer=2)
    for rows in ([4, 1], [0, 3, 2]):
        table.put(rows, whole(source).batch(rows), whole(source).pooled_rows(rows))

    assert np.array_equal(table.tokens, source.tokens)
    assert np.array_equal(table.pooled, source.pooled)


def test_put_rounds_to_float16():
    """A float16 table stores the nearest 16-bit number and gives it back as float32."""
    tokens = torch.full((1, 2, 3), 0.1)
    table = StateTable.empty([2], width=3, layer=0, dtype="float16")
    table.put([0], States(tokens, torch.ones(1, 2), 0), torch.full((1, 3), 0.1))

    assert torch.equal(whole(table).batch([0]).tokens, tokens.half().float())
    assert torch.equal(whole(table).pooled_rows([0]), torch.full((1, 3), 0.1))


def test_put_refuses_what_float16_cannot_hold():
    """Activations beyond 65504 are refused, not stored as infinity."""
    table = StateTable.empty([1], width=1, layer=0, dtype="float16")

    with pytest.raises(CacheError, match=r"reach 7e\+04.*cache.dtype to float32"):
        table.put([0], States(torch.full((1, 1, 1), 7e4), torch.ones(1, 1), 0), torch.zeros(1, 1))


def test_put_refuses_other_lengths_and_layers():
    """A batch that is not what the table was made for is refused."""
    table = StateTable.empty([2], width=1, layer=3)
    for mask, layer in ((torch.ones(1, 1), 3), (torch.ones(1, 2), 4)):
        with pytest.raises(ValueError, match="expected texts of \\[2\\] tokens at layer 3"):
            table.put([0], States(torch.zeros(1, 2, 1), mask, layer), torch.zeros(1, 1))


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": np.array([0, 3, 2])},
        {"offsets": np.array([1, 2, 3])},
        {"offsets": np.array([0, 3])},
        {"tokens": np.zeros((3, 2))},
        {"tokens": np.zeros(3, np.float32)},
    ],
)
def test_arrays_must_fit_together(change):
    """A table is checked once, when it is made."""
    good = {
        "tokens": np.zeros((3, 2), np.float32),
        "offsets": np.array([0, 1, 3]),
        "pooled": np.zeros((2, 2), np.float32),
        "layer": 0,
    }
    StateTable(**good)

    with pytest.raises(ValueError):
        StateTable(**good | change)
