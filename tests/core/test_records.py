"""The records that stages hand each other."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.examples import Answer, ChoiceExample, PairExample, SpanExample, TaggedExample
from lingraft.core.records import Batch, Prediction, States


def slow_pooled(states):
    """Mean over the real tokens, one text and one token at a time."""
    means = []
    for row, mask in zip(states.tokens, states.mask, strict=True):
        real = [row[t] for t in range(states.prompt_length, len(row)) if mask[t]]
        means.append(sum(real) / len(real))
    return torch.stack(means)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 4), st.integers(0, 99))
def test_pooled_is_the_mean_of_real_tokens(batch, length, prompt, seed):
    """Neither padding nor virtual tokens take part."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (batch, 1), generator=generator)
    mask = torch.cat([torch.ones(batch, prompt), (torch.arange(length) < lengths).float()], dim=1).long()
    tokens = torch.randn(batch, prompt + length, 3, generator=generator)
    states = States(tokens, mask, layer=2, prompt_length=prompt)
    torch.testing.assert_close(states.pooled(), slow_pooled(states))


def test_padding_and_prompt_may_hold_anything(random_states):
    """Whatever stands in padding or in virtual rows leaves the pool as it is."""
    states = replace(random_states(batch=5), prompt_length=0)
    noisy = replace(states, tokens=torch.where(states.mask.bool().unsqueeze(-1), states.tokens, 1e6))
    assert torch.equal(noisy.pooled(), states.pooled())
    prompted = States(
        torch.cat([torch.full((5, 2, 8), 7e5), states.tokens], dim=1),
        torch.cat([torch.ones(5, 2, dtype=torch.long), states.mask], dim=1),
        layer=0,
        prompt_length=2,
    )
    assert torch.equal(prompted.pooled(), states.pooled())
    assert torch.equal(prompted.without_prompt().tokens, states.tokens)
    assert torch.equal(prompted.without_prompt().mask, states.mask)
    assert prompted.without_prompt().prompt_length == 0


def test_a_text_without_tokens_pools_to_zero():
    """An all-padding row gives zeros, not a division by zero."""
    states = States(torch.ones(1, 2, 3), torch.zeros(1, 2, dtype=torch.long), layer=0)
    assert torch.equal(states.pooled(), torch.zeros(1, 3))


def test_pooling_has_no_gradient_into_padding():
    """What is not pooled is not trained."""
    tokens = torch.randn(1, 4, 3, requires_grad=True)
    States(tokens, torch.tensor([[1, 1, 1, 0]]), layer=0, prompt_length=1).pooled().sum().backward()
    assert torch.equal(tokens.grad[0, :, 0], torch.tensor([0.0, 0.5, 0.5, 0.0]))


def test_without_prompt_of_no_prompt_is_the_same_object(random_states):
    """Nothing is copied where nothing is virtual."""
    states = random_states()
    assert states.without_prompt() is states


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_take_gives_rows_in_the_order_asked(rows):
    """Rows may repeat and come in any order; layer and prompt length stay."""
    tokens = torch.arange(4.0).view(4, 1, 1).expand(4, 2, 3)
    mask = torch.tensor([[1, 0], [1, 1], [1, 0], [1, 1]])
    taken = States(tokens, mask, layer=5, prompt_length=1).take(rows)
    assert taken.tokens[:, 0, 0].tolist() == [float(row) for row in rows]
    assert taken.mask.tolist() == [mask[row].tolist() for row in rows]
    assert (taken.layer, taken.prompt_length) == (5, 1)


def test_records_do_not_change(random_states):
    """Stages cannot alter what they were handed."""
    with pytest.raises(FrozenInstanceError):
        random_states().layer = 3
    with pytest.raises(FrozenInstanceError):
        PairExample("1", "1", "yor-Latn").label = "a"


def test_a_batch_moves_as_a_whole(random_states):
    """All five parts of a batch go to the device."""
    batch = Batch(random_states(), "yor-Latn", torch.zeros(4), torch.zeros(4, 8), torch.zeros(4, dtype=torch.bool))
    moved = batch.to(torch.device("meta"))
    parts = (moved.states.tokens, moved.states.mask, moved.targets, moved.teacher, moved.has_teacher)
    assert {part.device.type for part in parts} == {"meta"}


def test_examples_tell_their_texts_and_what_they_are_known_by():
    """What is written in them, what leakage is judged on, and what is right, as plain data."""
    text = PairExample("1", "1", "yor-Latn", text_a="ada", label="bird")
    pair = replace(text, text_b="beli", label=None)
    assert (text.texts, text.identity, text.gold) == (("ada",), ("ada",), "bird")
    assert (pair.texts, pair.identity, pair.gold) == (("ada", "beli"), ("ada", "beli"), None)

    answers = (Answer("cora", 4), Answer("ada", 0))
    asked = SpanExample("1", "g", "yor-Latn", question="dune", context="ada cora", answers=answers)
    assert (asked.texts, asked.identity, asked.gold) == (("dune", "ada cora"), ("ada cora",), ["cora", "ada"])
    assert replace(asked, question="another").identity == asked.identity
    assert replace(asked, answers=()).gold is None

    tagged = TaggedExample("1", "g", "yor-Latn", words=("ada", "beli"), tags=("B-PER", "O"))
    assert (tagged.texts, tagged.identity, tagged.gold) == (("ada beli",), ("ada beli",), "B-PER O")
    assert replace(tagged, tags=None).gold is None

    item = ChoiceExample("1", "g", "yor-Latn", text="ada", question="cause", alternatives=("beli", "cora"), label=0)
    assert (item.texts, item.identity, item.gold) == (("ada", "beli", "cora"), ("ada", "beli", "cora"), "0")
    assert replace(item, label=None).gold is None


def test_a_row_with_one_known_token_is_labelled():
    """Classes, spans and tags: any target that is not negative will do."""

    def labelled(targets):
        states = States(torch.zeros(3, 2, 4), torch.ones(3, 2), layer=0)
        return Batch(states, "x", torch.tensor(targets), torch.zeros(3, 4), torch.zeros(3)).labelled.tolist()

    assert labelled([0, -100, 2]) == [True, False, True]
    assert labelled([[0, 0], [-100, -100], [3, 4]]) == [True, False, True]
    assert labelled([[-100, 1], [-100, -100], [0, -100]]) == [True, False, True]


def test_a_prediction_shows_what_it_has():
    """A label is not followed by what spans and tags have; what is shown makes the same prediction again."""
    plain = Prediction("0", "yor-Latn", "", 0.0)
    assert repr(plain) == "Prediction(example_id='0', language='yor-Latn', value='', confidence=0.0)"
    full = replace(plain, start=0, end=3, words=("ada",), scores=(0.5,), probabilities=(0.0, 1.0), abstained=True)
    assert repr(full) == (
        "Prediction(example_id='0', language='yor-Latn', value='', confidence=0.0, start=0, end=3, words=('ada',), "
        "scores=(0.5,), probabilities=(0.0, 1.0), abstained=True)"
    )
    assert [eval(repr(one)) for one in (plain, full)] == [plain, full]
