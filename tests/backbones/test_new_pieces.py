"""A tokenizer that got pieces for a script that it did not know cuts all other texts as before."""

import json
import random

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from lingraft.backbones.new_pieces import extend_tokenizer, learn_pieces
from lingraft.core.errors import CheckpointError
from tiny import WORDS, random_tokenizer

LETTERS = [chr(code) for code in range(0xA500, 0xA528)]  # Vai, which none of these tokenizers knows
KINDS = ("unigram", "wordpiece", "bpe")


def wrapped(backend):
    """A tokenizer of transformers, with a token that was added behind all pieces."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    tokenizer.add_tokens([AddedToken("<late>", special=True)])
    return tokenizer


def trained(kind):
    """A tokenizer of a kind without bytes to fall back to, trained on words in Latin letters."""
    options = {"vocab_size": 150, "special_tokens": ["<unk>", "<pad>"], "show_progress": False}
    if kind == "unigram":
        backend, trainer = Tokenizer(models.Unigram()), trainers.UnigramTrainer(unk_token="<unk>", **options)
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
    elif kind == "wordpiece":
        backend, trainer = Tokenizer(models.WordPiece(unk_token="<unk>")), trainers.WordPieceTrainer(**options)
        backend.pre_tokenizer, backend.normalizer = pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()
    elif kind == "bpe":
        backend, trainer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True)), trainers.BpeTrainer(**options)
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.train_from_iterator(texts_of("abcdeghiklnot, .", 0), trainer)
    return wrapped(backend)


def texts_of(letters, seed, words=6, count=80):
    """Texts of made-up words."""
    rng = random.Random(seed)
    return [" ".join("".join(rng.choices(letters, k=rng.randint(1, 7))) for _ in range(words)) for _ in range(count)]


def extended(tokenizer, new):
    """The tokenizer that has the new pieces, as transformers loads it."""
    backend = Tokenizer.from_str(extend_tokenizer(tokenizer, new))
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """A tokenizer, pieces learnt of texts in another script, and the tokenizer that has them."""
    tokenizer = trained(request.param)
    new = learn_pieces(tokenizer, [*texts_of(LETTERS[:20], 1), "ab ꔀꔁ, ꔀꔁc"], most=60)
    return tokenizer, new, extended(tokenizer, new)


def test_other_texts_are_cut_as_before(both):
    """With the same ids, also around characters that are still unknown and tokens that were added."""
    whole, _, larger = both
    texts = [*texts_of("abcdeghiklnot, .", 2), *texts_of("abcxyz中ж", 3), *texts_of("中жabc", 4), "ab <late> c<pad>"]

    assert [larger(text)["input_ids"] for text in texts] == [whole(text)["input_ids"] for text in texts]


def test_the_new_script_is_spelled_and_old_ids_stay(both):
    """Held-out words of its letters have no unknown piece; ids go on from the highest there was."""
    whole, new, larger = both
    held_out = texts_of(LETTERS[:20], 5)

    assert all(whole.unk_token_id in whole(text)["input_ids"] for text in held_out)
    assert not any(larger.unk_token_id in larger(text)["input_ids"] for text in held_out)
    assert new.first == len(whole)
    assert larger.get_vocab() == whole.get_vocab() | {piece: new.first + at for at, piece in enumerate(new.counts)}
    assert larger("ab <late>")["input_ids"] == whole("ab <late>")["input_ids"]


def test_each_new_piece_has_a_new_character(both):
    """So a text without one has no new piece."""
    _, new, _ = both

    assert new.characters == set(LETTERS[:20])
    assert all(new.characters.intersection(piece) for piece in new.counts)
    singles = {piece.removeprefix("##") for piece in new.counts}
    assert new.characters <= singles


def test_what_is_frequent_becomes_one_piece(both):
    """A word that stands in every text; and the count says how often."""
    whole, _, _ = both
    word = "".join(LETTERS[:6])

    new = learn_pieces(whole, [f"{word} {other}" for other in texts_of(LETTERS, 6)], most=40)

    pieces = extended(whole, new).tokenize(word)
    assert len(pieces) == 1
    assert new.counts[pieces[0]] >= 80


def test_no_more_sequences_are_learnt_than_asked_for(both):
    """With none, characters alone; the same texts give the same pieces."""
    whole, _, _ = both
    texts = texts_of(LETTERS[:20], 1)

    alone = learn_pieces(whole, texts, most=0)

    assert {piece.strip("#▁") for piece in alone.counts} == set(LETTERS[:20])
    assert learn_pieces(whole, texts, most=30) == learn_pieces(whole, texts, most=30)


def test_a_known_script_gives_no_pieces(both):
    """Whatever its words are."""
    whole, _, _ = both

    assert learn_pieces(whole, texts_of("abcdeghiklnot", 7), most=50).counts == {}


def test_merges_of_older_files_are_kept():
    """Which have a pair as one text with a blank in it."""
    tokenizer = trained("bpe")
    about = json.loads(tokenizer.backend_tokenizer.to_str())
    about["model"]["merges"] = [" ".join(pair) for pair in about["model"]["merges"]]
    older = wrapped(Tokenizer.from_str(json.dumps(about)))
    new = learn_pieces(older, texts_of(LETTERS, 1), most=20)

    assert (
        extended(older, new)("".join(LETTERS[:3]))["input_ids"]
        == extended(tokenizer, new)("".join(LETTERS[:3]))["input_ids"]
    )


def test_other_kinds_are_refused():
    """Whole words, and BPE with marked ends of words, say so in a line."""
    with pytest.raises(CheckpointError, match="the tokenizer is WordLevel; only Unigram, WordPiece, BPE can be extend"):
        learn_pieces(random_tokenizer(), WORDS, most=5)
    marked = wrapped(Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<unk>")))
    with pytest.raises(CheckpointError, match="BPE with end_of_word_suffix, which cannot be extended"):
        learn_pieces(marked, WORDS, most=5)
