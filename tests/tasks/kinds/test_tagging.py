"""Tagging words: rows, windows, loss and decoding."""

import random
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.core.errors import CheckpointError, DataError
from lingraft.core.examples import PairExample, TaggedExample
from lingraft.core.records import Features
from lingraft.data.conll import tagged_examples
from lingraft.results.metrics.spans import repair_tags
from lingraft.tasks.kinds import NO_LABEL
from lingraft.tasks.kinds.tagging import collate_tags, tag_cross_entropy, tagging_kind, windows
from tiny import USERS_CACHE, VOCABULARY, decoder_tokenizer, random_tokenizer

LABELS = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
KIND = tagging_kind(LABELS)
POS = tagging_kind(("ADJ", "NOUN", "VERB"), scheme="plain")
TOKENIZER = random_tokenizer()  # a comma or hyphen within a word is a piece of its own


@pytest.fixture(scope="module")
def e5_tokenizer():
    """The embedded checkpoint's tokenizer without its weights; mark its tests ``checkpoint``."""
    from lingraft.backbones.loading import load_tokenizer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINGRAFT_CACHE", str(USERS_CACHE))
        try:
            return load_tokenizer("bundled:multilingual-e5-small")
        except CheckpointError as error:
            pytest.skip(str(error))


def sentence(words, tags=None, id="1"):
    """An example, from words and tags that are parted by blanks."""
    tags = tags.split() if isinstance(tags, str) else tags
    words = words.split() if isinstance(words, str) else words
    return TaggedExample(id, id, "yor-Latn", words=tuple(words), tags=None if tags is None else tuple(tags))


def pieces(feature):
    """What the row says."""
    names = {i: word for word, i in VOCABULARY.items()}
    return " ".join(names[i] for i in feature.input_ids)


def numbers(feature):
    """The words that begin, where they do."""
    assert all(at is None or at[0] == at[1] for at in feature.offsets)
    return [None if at is None else at[0] for at in feature.offsets]


def one_hot(rows, labels, rng=None):
    """Logits that say the targets; other tokens say anything."""
    rng = rng or random.Random(0)
    return [
        F.one_hot(
            torch.tensor([rng.randrange(len(labels)) if c == NO_LABEL else c for c in row.target], dtype=torch.long),
            len(labels),
        ).float()
        * 20
        for row in rows
    ]


# ---- Rows ------------------------------------------------------------------------------------------


def test_first_pieces_carry_offsets_and_targets():
    """Later pieces of a word and special tokens have none."""
    (row,) = KIND.encode([sentence("ada beli-cora dune", "B-PER I-PER O")], TOKENIZER, 64, "")
    assert pieces(row) == "<s> ada beli <unk> cora dune </s>"
    assert numbers(row) == [None, 0, 1, None, None, 2, None]
    assert row.target == (NO_LABEL, 1, 3, NO_LABEL, NO_LABEL, 4, NO_LABEL)
    assert (row.part, row.truncated) == (0, 0)


def test_in_a_decoder_last_pieces_carry_offsets_and_targets():
    """The first piece has not seen the others; windows and prefix are counted as ever."""
    tokenizer = decoder_tokenizer()
    example = sentence(["ada", "beli\ncora", "dune"], "B-PER I-PER O")

    (row,) = KIND.encode([example], tokenizer, 64, "zeno: ")

    assert tokenizer.convert_ids_to_tokens(row.input_ids)[2:] == ["ada", "beli", "\n", "cora", "dune"]
    assert numbers(row) == [None, None, 0, None, None, 1, 2]
    assert row.target == (NO_LABEL, NO_LABEL, 1, NO_LABEL, NO_LABEL, 3, 4)
    one, two = KIND.encode([example], tokenizer, 5, "")
    assert (numbers(one), numbers(two)) == ([None, 0, None, None, 1], [None, 2])


def test_the_prefix_is_read_but_carries_no_tag():
    """Its words stand before the sentence, as in plain text, and are not counted."""
    (row,) = KIND.encode([sentence("ada beli", "O B-LOC")], TOKENIZER, 64, "zeno: ")
    (plain,) = KIND.encode([PairExample("p", "p", "yor-Latn", text_a="ada beli")], TOKENIZER, 64, "zeno: ")
    assert row.input_ids == plain.input_ids
    assert numbers(row) == [None, None, None, 0, 1, None]
    assert (plain.target, plain.offsets) == (None, ())


def test_unknown_tags_have_no_target():
    """None at all, or, where only one tag is unseen, none for its word, while gold keeps it."""
    example = sentence("ada beli", "B-DATE O")
    unknown, unseen = KIND.encode([sentence("ada beli"), example], TOKENIZER, 64, "")
    assert unknown.target is None
    assert unseen.target == (NO_LABEL, NO_LABEL, 4, NO_LABEL)
    assert KIND.metrics["span_f1"]([example.gold], ["O O"]) == 0.0


def test_rows_keep_the_order_of_mixed_examples():
    """Sentences and plain texts come out as they went in."""
    examples = [
        PairExample("a", "a", "yor-Latn", text_a="ada"),
        sentence("beli", "O", id="b"),
        PairExample("c", "c", "yor-Latn", text_a="cora"),
    ]
    assert [row.example_id for row in KIND.encode(examples, TOKENIZER, 64, "")] == ["a", "b", "c"]


def test_too_few_tags_are_an_error():
    """The error names the sentence."""
    with pytest.raises(DataError, match=r"yor-Latn, id 1: 1 tags for 2 words"):
        KIND.encode([sentence("ada beli", "O")], TOKENIZER, 64, "")


def test_no_room_for_words_is_an_error():
    """The prefix fills the window."""
    with pytest.raises(DataError, match="leave no room"):
        KIND.encode([sentence("ada beli", "O O")], TOKENIZER, 4, "zeno yara ")


def test_byte_level_tokenizers_see_words_apart():
    """A vocabulary that knows words by the blank before them reads a list of words as it reads the text."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(BPE({"a": 0, "b": 1, "Ġ": 2, "Ġa": 3, "<pad>": 4}, [("Ġ", "a")]))
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")
    (row,) = KIND.encode([sentence("ab a ba", "O O O")], tokenizer, 64, "a ")
    assert list(row.input_ids) == tokenizer("a ab a ba")["input_ids"]
    assert numbers(row) == [None, None, 0, 1, None, None, 2]  # no marker closes a text, as in decoders


# ---- Windows ---------------------------------------------------------------------------------------


@given(sizes=st.lists(st.integers(0, 9), max_size=40), room=st.integers(1, 12))
def test_windows_cover_every_word_once(sizes, room):
    """In order, none longer than the room unless it is one word (and words of no pieces)."""
    runs = windows(sizes, room)
    assert [i for a, b in runs for i in range(a, b)] == list(range(len(sizes)))
    for a, b in runs:
        held = [size for size in sizes[a:b] if size]
        assert sum(held) <= room or len(held) == 1
        assert held or not any(sizes)


def test_windows_are_of_similar_length():
    """The last one is not a remnant."""
    assert windows([1] * 11, 10) == [(0, 6), (6, 11)]


WORD = st.lists(st.sampled_from(["ada", "beli", "cora", "dune"]), max_size=6).map("-".join)


@settings(max_examples=40, deadline=None)
@given(
    sentences=st.lists(st.lists(WORD, max_size=25), min_size=1, max_size=4),
    max_length=st.integers(5, 20),
    prefix=st.sampled_from(["", "zeno "]),
    seed=st.integers(0, 99),
)
def test_what_is_encoded_is_decoded(sentences, max_length, prefix, seed):
    """Each word that is read begins in exactly one window, and gold logits give gold tags, whatever the windows."""
    rng = random.Random(seed)
    examples = [
        sentence(words, [rng.choice(POS.labels) for _ in words], id=str(i)) for i, words in enumerate(sentences)
    ]
    rows = POS.encode(examples, TOKENIZER, max_length, prefix)
    assert all(len(row.input_ids) == len(row.offsets) == len(row.target) <= max_length for row in rows)
    for example in examples:
        own = [row for row in rows if row.example_id == example.id]
        assert [row.part for row in own] == list(range(len(own)))
        begun = [number for row in own for number in numbers(row) if number is not None]
        assert begun == [i for i, word in enumerate(example.words) if word]
        room = max_length - 2 - bool(prefix)
        sizes = [len(word.replace("-", " - ").split()) for word in example.words]
        assert sum(row.truncated for row in own) == sum(max(0, size - room) for size in sizes)
    found = POS.decode(examples, rows, one_hot(rows, POS.labels, rng))
    expected = [
        " ".join(tag if word else POS.labels[0] for word, tag in zip(e.words, e.tags, strict=True)) for e in examples
    ]
    assert [p.value for p in found] == expected


# ---- Learning --------------------------------------------------------------------------------------


def test_collated_targets_are_padded():
    """A row without tags has no target anywhere."""
    found = collate_tags([(NO_LABEL, 2), None, (1,)], 3)
    assert found.tolist() == [[NO_LABEL, 2, NO_LABEL], [NO_LABEL] * 3, [1, NO_LABEL, NO_LABEL]]
    assert found.dtype == torch.long


def plain_loss(logits, targets, weights):
    """Token after token."""
    total, mass = 0.0, 0.0
    for row, classes in zip(logits.tolist(), targets.tolist(), strict=True):
        for scores, c in zip(row, classes, strict=True):
            if c != NO_LABEL:
                total -= weights[c].item() * torch.tensor(scores).log_softmax(0)[c].item()
                mass += weights[c].item()
    return total / mass


def test_loss_is_the_weighted_mean_over_first_pieces():
    """Against a loop over tokens; what padding holds has no influence."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 4, 5, generator=generator)
    targets = collate_tags([(NO_LABEL, 2, 4, 4), None, (0, NO_LABEL)], 4)
    weights = torch.tensor([0.5, 1.0, 2.0, 1.0, 0.25])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]])
    found = tag_cross_entropy(logits, targets, mask, weights, torch.ones(3))
    assert found.item() == pytest.approx(plain_loss(logits, targets, weights), rel=1e-5)
    logits[mask == 0] = float("nan")
    assert tag_cross_entropy(logits, targets, mask, weights, torch.ones(3)).item() == found.item()


@pytest.mark.parametrize("target", [None, (0, 4, NO_LABEL)], ids=["nothing known", "something"])
def test_gradients_are_finite(target):
    """Also where nothing has a target, and the loss is 0."""
    logits = (torch.randn(2, 3, 5) * 1e3).requires_grad_()
    targets = collate_tags([target, None], 3)
    loss = tag_cross_entropy(logits, targets, torch.ones(2, 3), torch.ones(5), torch.ones(2))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert bool(logits.grad.any()) is (target is not None)
    assert (logits.grad[1] == 0).all()


# ---- Decoding --------------------------------------------------------------------------------------


def test_tags_with_their_mean_probability():
    """Word by word, over windows; other tokens take no part; the first of equals is taken."""
    examples = [sentence("ada beli cora", id="a"), sentence("dune", id="b")]
    rows = [
        Features("a", (1, 5, 6, 2), offsets=(None, (0, 0), (1, 1), None)),
        Features("a", (1, 7, 2), part=1, offsets=(None, (2, 2), None)),
        Features("b", (8,), offsets=((0, 0),)),
    ]
    logits = [torch.zeros(4, 3), torch.zeros(3, 3), torch.zeros(1, 3)]
    logits[0][0] = torch.tensor([0.0, 0.0, 9.0])  # not a word
    logits[0][1] = torch.tensor([0.0, 3.0, 1.0])
    logits[1][1] = torch.tensor([0.0, 1.0, 2.0])
    first, second = POS.decode(examples, rows, logits)
    assert (first.value, first.example_id, first.language) == ("NOUN ADJ VERB", "a", "yor-Latn")
    assert (second.value, second.example_id) == ("ADJ", "b")
    best = [logits[0][1].softmax(0)[1], torch.tensor(1 / 3), logits[1][1].softmax(0)[2]]
    assert first.confidence == pytest.approx(torch.stack(best).mean().item())
    assert second.confidence == pytest.approx(1 / 3)


def test_spans_are_repaired():
    """A span that begins with I begins with B; plain tags are left."""
    example = sentence("ada beli cora dune", "O I-PER I-PER I-LOC")
    for kind, expected in ((KIND, "O B-PER I-PER B-LOC"), (tagging_kind(LABELS, scheme="plain"), example.gold)):
        rows = kind.encode([example], TOKENIZER, 64, "")
        assert kind.decode([example], rows, one_hot(rows, LABELS))[0].value == expected


def test_repair_reaches_over_windows():
    """A span that goes on in the next window is one."""
    example = sentence("ada beli cora dune", "O B-PER I-PER I-PER")
    rows = KIND.encode([example], TOKENIZER, 4, "")
    assert len(rows) == 2
    assert KIND.decode([example], rows, one_hot(rows, LABELS))[0].value == example.gold


def test_words_that_vanish_are_outside():
    """A word that the tokenizer reads as nothing is tagged all the same; with nothing read there is no confidence."""
    examples = [sentence(["ada", " ", "beli"], "B-PER B-PER B-PER", id="a"), sentence([" "], "B-PER", id="b")]
    rows = KIND.encode(examples, TOKENIZER, 64, "")
    first, second = KIND.decode(examples, rows, one_hot(rows, LABELS))
    assert (first.value, second.value, second.confidence) == ("B-PER O B-PER", "O", 0.0)


def test_rows_of_another_sentence_are_refused():
    """Rows and examples must belong together."""
    rows = KIND.encode([sentence("ada")], TOKENIZER, 64, "")
    with pytest.raises(ValueError, match="expected the rows of the tagged sentence 2, not those of 1"):
        KIND.decode([sentence("ada", id="2")], rows, [torch.zeros(3, 5)])


def test_nothing_decodes_to_nothing():
    """No examples, no rows."""
    assert KIND.encode([], TOKENIZER, 64, "") == []
    assert KIND.decode([], [], []) == []


def test_what_is_measured():
    """Spans first where tags mark spans; the scheme builds the same kind again."""
    assert (list(KIND.metrics), list(POS.metrics)) == (["span_f1", "tag_accuracy"], ["tag_accuracy"])
    assert (KIND.outputs, KIND.per_token, KIND.options, POS.options) == (
        5,
        True,
        {"scheme": "bio"},
        {"scheme": "plain"},
    )


# ---- The real tokenizer ----------------------------------------------------------------------------


@pytest.mark.checkpoint
@pytest.mark.parametrize(
    "words",
    ["Wo\u0301n n\u00ed\u0300 l\u1ecd\u0301 s\u00ed \u00c8k\u00f3 .", "አዲስ አበባ ውስጥ ።", "他 住 在 北京 。"],
    ids=["Yoruba, decomposed", "Amharic", "Chinese"],
)
def test_every_word_of_real_scripts_begins_once(e5_tokenizer, words):
    """Words are read as in plain text, combining marks and punctuation marks included, each with one first piece."""
    example = sentence(words)
    (row,) = KIND.encode([example], e5_tokenizer, 64, "query: ")
    assert list(row.input_ids) == e5_tokenizer("query: " + words)["input_ids"]
    assert [number for number in numbers(row) if number is not None] == list(range(len(example.words)))
    starts = e5_tokenizer.convert_ids_to_tokens([t for t, at in zip(row.input_ids, row.offsets, strict=True) if at])
    assert all(token.startswith("▁") for token in starts)


FILES = [
    ("masakhaner/yor.dev.txt.gz", "yo", "bio"),
    ("masakhaner/amh.dev.txt.gz", "am", "bio"),
    ("panx/my.dev.tsv", "my", "bio"),
    ("panx/te.dev.tsv.gz", "te", "bio"),
    ("ud/yo_ytb-ud-test.conllu.gz", "yo", "plain"),
]


@pytest.mark.shared
@pytest.mark.checkpoint
@pytest.mark.parametrize(("name", "language", "scheme"), FILES, ids=[name for name, _, _ in FILES])
@pytest.mark.parametrize("max_length", [256, 24])
def test_gold_logits_decode_to_gold_tags(shared_data, e5_tokenizer, name, language, scheme, max_length):
    """Every word of every sentence gets its tag back, in one window or in several: none has no pieces."""
    examples = tagged_examples(shared_data / name, language=language)
    kind = tagging_kind(tuple(sorted({tag for e in examples for tag in e.tags})), scheme=scheme)
    rows = kind.encode(examples, e5_tokenizer, max_length, "query: ")
    read = Counter((row.example_id, number) for row in rows for number in numbers(row) if number is not None)
    assert read == Counter((e.id, i) for e in examples for i in range(len(e.words)))
    found = kind.decode(examples, rows, one_hot(rows, kind.labels))
    gold = [repair_tags(e.tags) if scheme == "bio" else list(e.tags) for e in examples]
    assert [p.value.split() for p in found] == gold
