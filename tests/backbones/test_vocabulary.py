"""A tokenizer with the pieces that a corpus needs cuts it, and all that is made of the same words, as before."""

import random

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from lingraft.backbones.vocabulary import needed_pieces, trim_tokenizer
from lingraft.core.errors import CheckpointError
from tiny import WORDS

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
CORPUS = [" ".join(WORDS[i : i + 5]) for i in range(0, 12, 2)] + ["ADA, beli! 7 ß 中 \U0001f600"]


def words(seed):
    """Text with many more words than the corpus has, of the same letters and others."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [" ".join("".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(8)) for _ in range(200)]


def trained(kind):
    """A tokenizer of a kind, trained on more than the corpus, with markers around texts."""
    options = {"vocab_size": 700, "special_tokens": SPECIAL, "show_progress": False}
    if kind == "unigram":
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **options)
    elif kind == "wordpiece":
        backend = Tokenizer(models.WordPiece(unk_token="<unk>"))
        backend.pre_tokenizer, backend.normalizer = pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()
        trainer = trainers.WordPieceTrainer(**options)
    elif kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)
    elif kind == "bpe with bytes":
        backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        backend.normalizer = normalizers.Replace(" ", "▁")
        backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        options["special_tokens"] = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
        options["vocab_size"] = 1000
        trainer = trainers.BpeTrainer(**options)
    backend.train_from_iterator([*words(0), *CORPUS[:-1], "".join(WORDS)], trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[(token, backend.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")


KINDS = ("unigram", "wordpiece", "bytes", "bpe with bytes")


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """A tokenizer, what the corpus needs of it, and the tokenizer that has no more."""
    whole = trained(request.param)
    vocabulary = needed_pieces(whole, [*CORPUS, *(f" {text}" for text in CORPUS)])
    small = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(trim_tokenizer(whole, vocabulary)), unk_token="<unk>", pad_token="<pad>"
    )
    return whole, vocabulary, small


def same(both, texts):
    """Whether all texts are cut alike; ids are the new ones of the same pieces."""
    whole, vocabulary, small = both
    return [[vocabulary.new_id.get(piece) for piece in whole(text)["input_ids"]] for text in texts] == [
        small(text)["input_ids"] for text in texts
    ]


def test_the_corpus_is_cut_as_before_with_fewer_pieces(both):
    """Text by text, markers and unknown characters included; and every id has a piece."""
    whole, vocabulary, small = both

    assert same(both, CORPUS)
    assert same(both, [text + " " for text in CORPUS])
    assert len(small) == len(vocabulary.kept) < 0.75 * len(whole)
    assert sorted(small.get_vocab().values()) == list(range(len(small)))
    for old, new in vocabulary.new_id.items():
        assert small.convert_ids_to_tokens(new) == whole.convert_ids_to_tokens(old)


def test_other_texts_of_the_same_words_are_cut_as_before(both):
    """In any order and number, after one that began a text: without a blank before it, a word may be other pieces."""
    rng, known = random.Random(1), [word for text in CORPUS[:-1] for word in text.split()]

    assert same(both, [" ".join(["ada", *rng.choices(known, k=rng.randint(2, 12))]) for _ in range(100)])


def test_words_of_the_same_letters_are_not_unknown(both):
    """They fall apart into letters, where they were pieces before."""
    _, _, small = both
    letters = sorted({letter for text in CORPUS[:-1] for letter in text if letter != " "})

    assert small.unk_token_id not in small(" ".join("".join(letters[i:] + letters[:i]) for i in range(9)))["input_ids"]


def test_markers_of_pairs_have_their_new_ids(both):
    """Before, between and after."""
    whole, vocabulary, small = both
    pair = whole(CORPUS[0], CORPUS[1])["input_ids"]

    assert small(CORPUS[0], CORPUS[1])["input_ids"] == [vocabulary.new_id[piece] for piece in pair]


def test_the_lowest_score_stays():
    """What is unknown is scored by it: without it, an unknown piece would cost less than two letters."""
    pieces = [("<unk>", 0.0), ("a", -4.0), ("b", -4.0), ("rare", -30.0), ("c", -1.0)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    whole = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>")

    vocabulary = needed_pieces(whole, ["ab"])

    assert [pieces[number][0] for number in vocabulary.kept] == ["<unk>", "a", "b", "rare"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (models.BPE({"a": 0, "b</w>": 1}, [], end_of_word_suffix="</w>"), "BPE with end_of_word_suffix"),
        (models.BPE({"a": 0, "b": 1}, [], dropout=0.5), "BPE with dropout"),
    ],
)
def test_a_tokenizer_that_might_cut_otherwise_is_refused(model, message):
    """In one line."""
    whole = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model))
    with pytest.raises(CheckpointError, match=message):
        needed_pieces(whole, ["a"])
