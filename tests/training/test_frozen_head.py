"""The head on frozen states: a logistic regression, or trained by gradient where tokens or alternatives are scored."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lingraft.backbones.encoding import encode
from lingraft.backbones.walk import at_layer, states_at
from lingraft.core.examples import ChoiceExample, PairExample, TaggedExample
from lingraft.core.records import Features
from lingraft.model.heads.linear import Labelled, fit_head
from lingraft.model.standardiser import Standardiser
from lingraft.recipe.settings import TrainSettings
from lingraft.tasks.kinds.choice import choice_kind
from lingraft.tasks.kinds.tagging import tagging_kind
from lingraft.training.batches import Order, Pool
from lingraft.training.frozen_head import from_fitted_head, keep_labelled, train_frozen_head
from lingraft.training.loop import Validation

CPU = torch.device("cpu")
TAGS = ("LOW", "UP")


def settings(**changes):
    """Few epochs, no averaging, fast."""
    return TrainSettings(**{"num_train_epochs": 3, "batch_size": 4, "learning_rate": 1e-2, "average_last": 1} | changes)


def sentences(count, words, language="eng-Latn", prefix="s"):
    """Tagged sentences of one word of each kind, the tag of a word being a matter of the word."""
    low, up = words
    found = []
    for i in range(count):
        pair = [(low[i % len(low)], "LOW"), (up[i % len(up)], "UP")]
        pair = pair if i % 2 else pair[::-1]
        found.append(TaggedExample(f"{prefix}{i}", f"g{i}", language, words=tuple(w for w, _ in pair),
                                   tags=tuple(t for _, t in pair)))  # fmt: skip
    return found


ENGLISH = (("ada", "beli", "cora", "dune"), ("eli", "fara", "goma", "hilu"))


def states_of(backbone, kind, examples):
    """Encoded examples, cut after the first block."""
    features = kind.encode(examples, backbone.tokenizer, 32, "")
    return encode(features, backbone, cut=1, dtype="float32", max_bytes=10**9, device=CPU)


def pool_of(backbone, kind, examples, *, labelled=None, source=True, language="eng-Latn"):
    """What is learnt from; all of it labelled unless said."""
    ids = tuple(example.id for example in examples)
    return Pool(
        language, states_of(backbone, kind, examples), ids, frozenset(ids if labelled is None else labelled), {},
        is_source=source, collate=kind.collate, gold_weight=1.0 if source else TrainSettings().shot_weight,
    )  # fmt: skip


def made(backbone, kind, order, **options):
    """A trained head whose development score is the answer to everything."""
    return train_frozen_head(
        kind, backbone.stack, order, seed=order.seed, validate=lambda model: Validation(0.42, {}, 2), **options
    )


def slow_training(backbone, kind, order):
    """The same head by a plain loop: its own AdamW, the frozen states computed by hand, one batch at a time."""
    stack, wanted = backbone.stack, order.settings
    torch.manual_seed(order.seed)
    head = nn.Linear(stack.width, kind.outputs)
    steps = [step for epoch in range(order.epochs) for step in order.epoch(epoch)]
    adam = torch.optim.AdamW(
        head.parameters(), lr=10 * wanted.learning_rate, betas=(0.9, 0.98), weight_decay=wanted.weight_decay
    )
    warmup = max(1, round(wanted.warmup_share * len(steps)))
    for i, step in enumerate(steps):
        shares, losses = [], []
        for batch in step():
            with torch.no_grad():
                final = at_layer(stack, batch.states, stack.num_layers)
                tokens = stack.finish(final.tokens)
            read = tokens if kind.per_token else (tokens * final.mask[..., None]).sum(1) / final.mask.sum(1)[:, None]
            rows = torch.ones(len(final.mask))
            losses.append(kind.loss(head(read), batch.targets, final.mask, torch.ones(max(1, len(kind.labels))), rows))
            shares.append(int(batch.labelled.sum()) * (1.0 if batch.is_source else wanted.shot_weight))
        loss = sum(share / sum(shares) * one for share, one in zip(shares, losses, strict=True))
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), wanted.max_grad_norm)
        adam.param_groups[0]["lr"] = (
            10 * wanted.learning_rate * min((i + 1) / warmup, (len(steps) - i) / (len(steps) - warmup))
        )
        adam.step()
    return head


def test_the_trained_head_is_that_of_a_plain_loop(tiny_backbone):
    """Source and shots in every step, weights, warm-up and decay included."""
    kind = tagging_kind(TAGS, scheme="plain")
    source = pool_of(tiny_backbone, kind, sentences(10, ENGLISH))
    shots = pool_of(tiny_backbone, kind, sentences(3, (("ula",), ("yara",)), "yor-Latn", "t"), source=False,
                    language="yor-Latn")  # fmt: skip
    order = Order(source, keep_labelled([shots]), settings(), 7, CPU)
    before, head = made(tiny_backbone, kind, order), slow_training(tiny_backbone, kind, order)
    other = nn.Linear(tiny_backbone.stack.width, 2)
    before.write_to(other)
    torch.testing.assert_close(other.weight, head.weight, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other.bias, head.bias, rtol=1e-4, atol=1e-5)


def test_it_learns_what_can_be_told_apart(tiny_backbone):
    """Words of one kind have one tag: a line separates their frozen states."""
    kind = tagging_kind(TAGS, scheme="plain")
    examples = sentences(16, ENGLISH)
    source = pool_of(tiny_backbone, kind, examples)
    before = made(tiny_backbone, kind, Order(source, (), settings(num_train_epochs=60, learning_rate=0.02), 1, CPU))
    logits = before.logits(source.encoded, [example.id for example in examples], "eng-Latn")
    predicted = kind.decode(examples, source.encoded.features, logits)
    assert [one.value for one in predicted] == [example.gold for example in examples]
    assert (before.dev_score, before.strength) == (0.42, None)


def test_its_logits_are_those_of_the_frozen_states(tiny_backbone):
    """In the order asked, all rows of each example, from the untouched backbone."""
    kind = choice_kind()
    among = ("cora", "dune eli", "fara")
    items = [
        ChoiceExample(f"c{i}", f"g{i}", "eng-Latn", text="ada beli", alternatives=among[: 2 + i % 2], label=i % 2)
        for i in range(5)
    ]
    source = pool_of(tiny_backbone, kind, items)
    before, linear = made(tiny_backbone, kind, Order(source, (), settings(), 3, CPU)), nn.Linear(24, 1)
    before.write_to(linear)
    found = before.logits(source.encoded, ["c3", "c0"], "yor-Latn")
    rows = [row for i in ("c3", "c0") for row in source.encoded.rows[i]]
    assert len(found) == len(rows) == 5
    for row, logits in zip(rows, found, strict=True):
        ids = source.encoded.features[row].input_ids
        with torch.no_grad():
            final = states_at([ids], tiny_backbone.stack, 3, CPU)
            expected = linear(tiny_backbone.stack.finish(final.tokens)[0].mean(0))
        torch.testing.assert_close(logits, expected.detach(), rtol=1e-4, atol=1e-4)


def test_writing_copies(tiny_backbone):
    """What is trained on from there leaves the frozen head as it was."""
    kind = tagging_kind(TAGS, scheme="plain")
    examples = sentences(4, ENGLISH)
    source = pool_of(tiny_backbone, kind, examples)
    before, linear = made(tiny_backbone, kind, Order(source, (), settings(), 1, CPU)), nn.Linear(24, 2)
    before.write_to(linear)
    first = before.logits(source.encoded, ["s0"], "eng-Latn")[0]
    with torch.no_grad():
        linear.weight.add_(1.0)
    assert torch.equal(before.logits(source.encoded, ["s0"], "eng-Latn")[0], first)


def test_the_same_seed_gives_the_same_head(tiny_backbone):
    """Bit for bit; another seed gives another."""
    kind = tagging_kind(TAGS, scheme="plain")
    source = pool_of(tiny_backbone, kind, sentences(6, ENGLISH))
    heads = []
    for seed in (1, 1, 2):
        torch.rand(seed)  # whatever happened before
        linear = nn.Linear(24, 2)
        made(tiny_backbone, kind, Order(source, (), settings(), seed, CPU)).write_to(linear)
        heads.append(linear.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_progress_is_told_for_every_step(tiny_backbone):
    """As many steps as the order has, so that a bar fills."""
    kind = tagging_kind(TAGS, scheme="plain")
    order = Order(pool_of(tiny_backbone, kind, sentences(9, ENGLISH)), (), settings(), 1, CPU)
    told = []
    made(tiny_backbone, kind, order, advance=told.append)
    assert [progress.step for progress in told] == list(range(1, order.steps + 1))


def test_texts_without_labels_are_left_out(tiny_backbone):
    """Parallel sentences teach a head nothing; a language that has nothing else is not passed at all."""
    kind = tagging_kind(TAGS, scheme="plain")
    pairs = [PairExample(f"p{i}", f"p{i}", "yor-Latn", text_a="ula yara") for i in range(3)]
    shots = sentences(2, (("ula",), ("yara",)), "yor-Latn", "t")
    mixed = pool_of(tiny_backbone, kind, [*pairs, *shots], labelled=["t0", "t1"], source=False, language="yor-Latn")
    bare = pool_of(tiny_backbone, kind, pairs, labelled=[], source=False, language="swh-Latn")
    (kept,) = keep_labelled([mixed, bare])
    assert (kept.language, kept.ids, kept.labelled) == ("yor-Latn", ("t0", "t1"), frozenset(["t0", "t1"]))
    assert kept.teacher == kept.translations == {}


def test_a_logistic_regression_reads_the_cache(tiny_backbone):
    """The classifier's head needs no forward pass: cached pooled states are enough, and its own numbers come along."""
    texts = [(1, 5 + i % 4, 6 + i % 4, 2) if i % 2 else (1, 20 + i % 4, 2) for i in range(16)]
    encoded = encode(
        [Features(f"x{i}", ids) for i, ids in enumerate(texts)], tiny_backbone,
        cut=1, dtype="float32", max_bytes=10**9, device=CPU,
    )  # fmt: skip
    ids = [f"x{i}" for i in range(16)]
    pooled, labels = encoded.pooled(ids), [i % 2 for i in range(16)]
    head = fit_head(
        Labelled(pooled, labels),
        Labelled(pooled, labels),
        standardiser=Standardiser.fit(pooled),
        classes=2,
        balanced=False,
    )
    before, linear = from_fitted_head(head), nn.Linear(24, 2)
    before.write_to(linear)
    logits = torch.stack(before.logits(encoded, ids[::-1], "eng-Latn"))
    torch.testing.assert_close(
        logits, F.linear(pooled.flip(0), linear.weight, linear.bias).detach(), rtol=1e-4, atol=1e-4
    )
    assert (before.strength, before.dev_score) == (head.strength, head.dev_score)
    assert before.dev_score == pytest.approx((logits.argmax(1).flip(0) == torch.tensor(labels)).float().mean().item())
