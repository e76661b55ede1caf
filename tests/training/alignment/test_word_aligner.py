"""Word alignments of translations by a frozen backbone, computed once."""

import csv
import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lingraft.backbones.kept_rows import pair_digest
from lingraft.backbones.walk import states_at
from lingraft.core.stored_states import all_shards, states_folder
from lingraft.model.word_alignment import align_tokens, aligned_layer
from lingraft.tasks.kinds.word_splitting import split_words
from lingraft.training.alignment.kept_alignments import keep_alignments
from lingraft.training.alignment.word_aligner import token_aligner, word_aligner
from tiny import WORDS

CPU = torch.device("cpu")
SPACE = "a" * 64
PAIRS = [
    ("ada beli cora dune", "goma hilu iva"),
    ("eli fara", "jora kelo luma mira nolu opa pira quna rilo sava tolu ula vero wina xilo yara zeno"),
    ("ada", "beli"),
    ("", "ada beli"),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, request):
    """What one test keeps, no other finds."""
    if request.node.get_closest_marker("checkpoint") is None:
        monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))


def rows_of(backbone, pairs=PAIRS):
    """Token ids of both sides."""
    return [tuple(backbone.tokenizer(backbone.text_prefix + text)["input_ids"] for text in pair) for pair in pairs]


# ---- What is aligned -------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "opa: "])
def test_tokens_are_aligned_by_the_states_at_two_thirds_of_the_depth(tiny_backbone, prefix):
    """Text by text, the special tokens and the prefix left out; a text that has nothing else keeps all."""
    backbone = replace(tiny_backbone, text_prefix=prefix)
    before, rows = len(backbone.tokenizer(prefix)["input_ids"]) - 1, rows_of(backbone)
    found = token_aligner(backbone, CPU)(rows)
    for pair, aligned in zip(rows, found, strict=True):
        states = [states_at([ids], backbone.stack, 2, CPU).tokens[0] for ids in pair]
        starts = [before if len(ids) > before + 1 else 0 for ids in pair]
        inner = [s[start:-1] if start else s for s, start in zip(states, starts, strict=True)]
        expected = [[a + starts[0], b + starts[1]] for a, b in align_tokens(*inner).tolist()]
        assert aligned.dtype == torch.long
        assert aligned.tolist() == expected
    assert all(len(aligned) for aligned in found)


def test_the_layer_is_two_thirds_of_the_depth():
    """Layer 8 of 12, and never the embeddings."""
    assert [aligned_layer(layers) for layers in (12, 24, 6, 3, 1)] == [8, 16, 4, 2, 1]


def test_an_alignment_does_not_depend_on_what_else_is_aligned(tiny_backbone, tmp_path, monkeypatch):
    """Alone and among others, in any order: the same."""
    rows = rows_of(tiny_backbone)
    together = token_aligner(tiny_backbone, CPU)(rows)
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "other"))
    alone = [token_aligner(tiny_backbone, CPU)([row])[0] for row in reversed(rows)]
    assert [a.tolist() for a in reversed(alone)] == [a.tolist() for a in together]


def test_nothing_to_align_is_no_mistake(tiny_backbone):
    """No pairs, no alignments, and nothing on disk."""
    assert token_aligner(tiny_backbone, CPU)([]) == []
    assert word_aligner(tiny_backbone, CPU)([]) == []
    assert all_shards(states_folder()) == []


# ---- Words -----------------------------------------------------------------------------------------


def test_words_are_aligned_where_their_tokens_are(tiny_backbone):
    """One token a word: numbers of words are positions less the opening token."""
    pairs = PAIRS[:3]
    tokens = token_aligner(tiny_backbone, CPU)(rows_of(tiny_backbone, pairs))
    words = word_aligner(tiny_backbone, CPU)(pairs)
    assert words == [[(a - 1, b - 1) for a, b in aligned.tolist()] for aligned in tokens]


def test_a_text_may_be_given_as_its_words(tiny_backbone):
    """Words that hold punctuation or blanks are one word, where `split_words` would make several."""
    pair = (["ada.beli", "cora dune"], ["goma", "hilu", "iva"])
    aligned = word_aligner(tiny_backbone, CPU)([pair])[0]
    whole = word_aligner(tiny_backbone, CPU)([("ada.beli cora dune", "goma hilu iva")])[0]
    pieces = split_words("ada.beli cora dune")
    word = [0 if end <= len("ada.beli") else 1 for _, end in pieces]
    assert aligned == sorted({(word[a], b) for a, b in whole})


@given(st.lists(st.lists(st.sampled_from([*WORDS, "?", "a-b"]), max_size=8), min_size=2, max_size=2), st.booleans())
def test_alignments_name_words_that_are_there(tiny_backbone, sides, as_words):
    """Whatever the texts are, numbers lie within them, none twice in a row's list."""
    texts = [" ".join(side) for side in sides]
    (found,) = word_aligner(replace(tiny_backbone, text_prefix="opa: "), CPU)([tuple(sides if as_words else texts)])
    counts = [len(side) if as_words else len(split_words(text)) for side, text in zip(sides, texts, strict=True)]
    assert found == sorted(set(found))
    assert all(0 <= a < counts[0] and 0 <= b < counts[1] for a, b in found)


# ---- Once ------------------------------------------------------------------------------------------


def test_what_was_aligned_is_not_computed_again(tmp_path):
    """Only the pair that is new is asked for, and one that is asked for twice is computed once."""
    asked = []

    def compute(pairs):
        asked.extend(pairs)
        return [torch.tensor([[len(source), len(target)]]) for source, target in pairs]

    def kept(pairs):
        return [a.tolist() for a in keep_alignments(tmp_path / SPACE, pairs, compute, layer=2, max_bytes=10**6)]

    one, two = ((1, 2), (3,)), ((1,), (2, 3))
    assert kept([one]) == [[[2, 1]]]
    assert kept([two, one, two]) == [[[1, 2]], [[2, 1]], [[1, 2]]]
    assert asked == [one, two]


def test_the_sides_of_a_pair_are_told_apart():
    """No two pairs have one name because their tokens are the same ones in a row."""
    names = {pair_digest(*pair) for pair in [((1, 2), (3,)), ((1,), (2, 3)), ((3,), (1, 2)), ((), (1, 2, 3))]}
    assert len(names) == 4


def test_pairs_without_aligned_words_are_kept_too(tmp_path):
    """An empty alignment is one."""
    empty = torch.zeros(0, 2, dtype=torch.long)
    for compute in (lambda pairs: [empty for _ in pairs], None):
        (found,) = keep_alignments(tmp_path / SPACE, [((1,), (2,))], compute, layer=2, max_bytes=10**6)
        assert (found.shape, found.dtype) == ((0, 2), torch.long)


def test_a_second_run_reads_them_from_disk(tiny_backbone, monkeypatch):
    """The backbone is not asked: here it could not answer."""
    rows = rows_of(tiny_backbone)
    first = token_aligner(tiny_backbone, CPU)(rows)
    gone = replace(tiny_backbone)
    align = token_aligner(gone, CPU)
    monkeypatch.setattr("lingraft.training.alignment.word_aligner.states_at", None)
    assert [a.tolist() for a in align(rows)] == [a.tolist() for a in first]


def test_another_backbone_or_prefix_finds_nothing_of_it(tiny_backbone):
    """What an alignment depends on besides the texts names its folder."""
    others = [
        tiny_backbone,
        replace(tiny_backbone, weights_digest="other"),
        replace(tiny_backbone, tokenizer_digest="other"),
        replace(tiny_backbone, text_prefix="opa: "),
    ]
    for backbone in others:
        token_aligner(backbone, CPU)(rows_of(tiny_backbone))
    assert len({shard.path.parent for shard in all_shards(states_folder())}) == len(others)


def test_a_damaged_file_is_computed_again(tiny_backbone, caplog):
    """One flipped bit is noticed."""
    rows = rows_of(tiny_backbone)
    first = token_aligner(tiny_backbone, CPU)(rows)
    (shard,) = all_shards(states_folder())
    content = bytearray(shard.path.read_bytes())
    content[-1] ^= 1
    shard.path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again = token_aligner(tiny_backbone, CPU)(rows)
    assert "is damaged" in caplog.text
    assert [a.tolist() for a in again] == [a.tolist() for a in first]


# ---- For real --------------------------------------------------------------------------------------


@pytest.mark.checkpoint
@pytest.mark.shared
def test_german_and_english_words_are_aligned_as_a_reader_would(e5, shared_data):
    """Three SIB-200 sentences with the multilingual checkpoint at layer 8: the pairs were checked by hand."""

    def texts(language):
        with (shared_data / "sib200" / f"{language}.dev.tsv").open(encoding="utf-8", newline="") as lines:
            return {row["index_id"]: row["text"] for row in csv.DictReader(lines, delimiter="\t", quoting=3)}

    english, german = texts("eng_Latn"), texts("deu_Latn")
    starts = ("Vatican City's population", "The Cook Islands", "If you want to learn throwing a boomerang")
    chosen = [next(i for i, text in english.items() if start in text) for start in starts]
    pairs = [(english[i], german[i]) for i in chosen]

    found = {
        tuple(text[slice(*split_words(text)[at])] for text, at in zip(pair, words, strict=True))
        for pair, aligned in zip(pairs, word_aligner(e5, CPU)(pairs), strict=True)
        for words in aligned
    }
    # fmt: off
    right = {
        ("around", "circa"), ("800", "800"), ("smallest", "kleinste"), ("independent", "unabhängige"),
        ("country", "Land"), ("world", "Welt"), ("with", "mit"), ("population", "Bevölkerungszahl"),
        ("Vatican", "Vatikanstadt"), ("City's", "Vatikanstadt"), ("country", "Inselstaat"), ("island", "Inselstaat"),
        ("Cook", "Cookinseln"), ("Islands", "Cookinseln"), ("are", "sind"), ("New", "Neuseeland"), ("free", "frei"),
        ("Zealand", "Neuseeland"), ("located", "liegen"), ("middle", "Mitte"), ("Polynesia", "Polynesien"),
        ("South", "Südpazifiks"), ("Pacific", "Südpazifiks"), ("If", "Wenn"), ("want", "wollen"), ("learn", "lernen"),
        ("boomerang", "Bumerang"), ("your", "Ihrer"), ("hand", "Hand"), ("have", "haben"), ("suitable", "geeigneten"),
        ("comes", "zurückkommt"), ("back", "zurückkommt"),
    }
    # fmt: on
    checked = {word for word, _ in right}
    of_these = {pair for pair in found if pair[0] in checked}
    assert len(right & found) >= 30
    assert len(of_these & right) / len(of_these) > 0.9
