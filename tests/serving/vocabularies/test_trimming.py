"""A checkpoint, or a run, with the pieces that a corpus needs: loaded by its real readers, equal to the whole one."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, MT5ForConditionalGeneration

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_world
from lingraft.backbones.checkpoint_files import usual_prefix
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.vocabulary import needed_pieces
from lingraft.core.errors import CheckpointError, DataError
from lingraft.core.files import watch_writes
from lingraft.serving.loading import load
from lingraft.serving.vocabularies.proof import prove_backbone
from lingraft.serving.vocabularies.trimming import trim
from quick_run import run
from tiny import SHARED_DATA, WORDS, random_model, save_checkpoint, states_by_hugging_face, unigram_tokenizer

TEXTS = ["ada beli cora", "beli dune", "eli ada", "cora cora fara ada"]


@pytest.fixture
def corpus(tmp_path):
    """A file of texts."""
    (tmp_path / "corpus.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return tmp_path / "corpus.txt"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["xlm-roberta", "deberta-v2", "xglm", "llama"])
def test_transformers_reads_the_smaller_checkpoint_as_the_whole_one(family, dtype, corpus, tmp_path):
    """States of the corpus's texts are equal to the bit, and the file has fewer rows and the same precision."""
    tokenizer = unigram_tokenizer()
    whole = save_checkpoint(
        tmp_path / "whole", random_model(family, vocab_size=len(tokenizer) + 3).to(dtype), tokenizer
    )

    said = trim(str(whole), [corpus], tmp_path / "small")

    for text in TEXTS:
        before, after = (states_by_hugging_face(tmp_path / name, text) for name in ("whole", "small"))
        assert before.dtype == after.dtype == dtype
        assert torch.equal(before, after)
    kept = len(AutoTokenizer.from_pretrained(tmp_path / "small"))
    assert (
        kept == load_backbone(str(tmp_path / "small")).stack.embed(torch.arange(kept)[None]).shape[1] < len(tokenizer)
    )
    assert said[0].startswith(f"pieces: {kept} of {len(tokenizer)}; files: ")
    assert any(line.startswith("proven: 9 texts are cut into the same") for line in said)
    mask = AutoTokenizer.from_pretrained(tmp_path / "small").mask_token_id
    assert mask == kept - 1


def test_what_is_not_run_is_left_out_and_named(corpus, tmp_path):
    """Of an mT5 the decoder; what is written is what AutoModelForTextEncoding and lingraft load."""
    encoder = random_model("mt5", vocab_size=len(unigram_tokenizer()))
    encoder.config.is_encoder_decoder = True
    save_checkpoint(tmp_path / "whole", MT5ForConditionalGeneration(encoder.config), unigram_tokenizer())

    said = trim(str(tmp_path / "whole"), [corpus], tmp_path / "small")

    (left_out,) = (line for line in said if line.startswith("left out"))
    assert "decoder." in left_out
    assert "encoder." not in left_out.replace("decoder.", "")
    assert any("transformers.AutoModelForTextEncoding.from_pretrained" in line for line in said)
    before, after = (states_by_hugging_face(tmp_path / name, TEXTS[0]) for name in ("whole", "small"))
    assert torch.equal(before, after)
    with pytest.raises(CheckpointError, match="has the encoder alone"):
        load_backbone(str(tmp_path / "small"), writing=True)


def test_what_goes_before_texts_is_remembered(corpus, tmp_path):
    """The name that told it is gone; the pieces of the prefix stay, and so does the prefix."""
    save_checkpoint(tmp_path / "tiny-e5", random_model("bert", vocab_size=80), unigram_tokenizer())

    trim(str(tmp_path / "tiny-e5"), [corpus], tmp_path / "small")

    whole, small = (load_backbone(str(tmp_path / name)) for name in ("tiny-e5", "small"))
    assert whole.text_prefix == small.text_prefix == usual_prefix(str(tmp_path / "small")) == "query: "
    cut = [one.tokenizer.convert_ids_to_tokens(one.tokenizer("query: ada")["input_ids"]) for one in (whole, small)]
    assert cut[0] == cut[1]


@pytest.mark.skipif(sys.platform != "linux", reason="says what a process maps")
def test_nothing_of_a_folder_is_mapped_when_it_gets_its_name(corpus, tmp_path):
    """Windows would not let it be renamed."""
    save_checkpoint(tmp_path / "model", random_model("bert", vocab_size=80), unigram_tokenizer())
    mapped = []

    def look(stage, path, temporary):
        if path == tmp_path / "small":
            lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
            mapped.append([line for line in lines if str(temporary) in line])

    with watch_writes(look):
        trim(str(tmp_path / "model"), [corpus], tmp_path / "small")
    assert mapped == [[]]


def test_a_run_answers_as_before(tmp_path):
    """Loaded from the one folder that holds the smaller checkpoint and what was trained, also under another name.

    A corpus in a table may call its texts as the run's own data do.
    """
    save_checkpoint(tmp_path / "model", random_model("bert", vocab_size=80), unigram_tokenizer())
    write_world(tmp_path)
    backbone = {"checkpoint": str(tmp_path / "model"), "cut": 1, "max_length": 32}
    folder = run(
        world_recipe(tmp_path, [f"output_dir={tmp_path / 'run'}", "train.num_train_epochs=1"], backbone=backbone)
    )
    texts = [text for text, _ in labelled_texts(3, 3)]
    (tmp_path / "corpus.txt").write_text("\n".join([*texts, *map(translated, texts)]), encoding="utf-8")

    rows = "".join(f"{n}\t{text}\n" for n, text in enumerate(map(translated, texts)))
    (tmp_path / "table.tsv").write_text(f"number\tsentence\n{rows}", encoding="utf-8")

    said = trim(str(folder), [tmp_path / "corpus.txt", tmp_path / "table.tsv"], tmp_path / "small")

    assert any(line.startswith("proven: the run's logits of ") for line in said)
    (tmp_path / "small").rename(tmp_path / "moved")
    before, after = load(folder), load(tmp_path / "moved", backbone=tmp_path / "moved")
    for language, some in ((SOURCE, texts), (TARGET, list(map(translated, texts)))):
        expected, found = (one.predict(some, language=language) for one in (before, after))
        assert [(one.value, one.confidence) for one in found] == [(one.value, one.confidence) for one in expected]
    assert len(after.backbone.tokenizer) < len(before.backbone.tokenizer)


def test_the_command_says_what_it_wrote_or_one_line(corpus, tmp_path, command):
    """Sizes, proof and how to load it; and nothing but a line where there is no such file."""
    save_checkpoint(tmp_path / "whole", random_model("bert", vocab_size=80), unigram_tokenizer())
    given = ("trim", str(tmp_path / "whole"), "-o", str(tmp_path / "small"))

    failed = command(*given, "--corpus", str(tmp_path / "none.txt"))
    done = command(*given, "--corpus", str(corpus))

    (tmp_path / "table.csv").write_text("nr,headline\n1,bako\n", encoding="utf-8")
    other = command(*given[:2], "-o", str(tmp_path / "other"), "--corpus", str(tmp_path / "table.csv"))

    assert (failed.code, other.code) == (1, 1)
    assert "no such file" in failed.err
    assert "its columns are nr, headline; say which with --text COLUMN" in other.err
    assert (done.code, done.err) == (0, "")
    said = dict(line.split(": ", 1) for line in done.out.splitlines())
    assert list(said) == ["pieces", "proven", "left out, as it is not run", "load with", "written"]
    assert said["left out, as it is not run"] == "pooler.dense.bias, pooler.dense.weight"


@pytest.mark.checkpoint
@pytest.mark.shared
def test_the_embedded_checkpoint_in_one_language_is_a_fifth_as_large(tmp_path):
    """Its vocabulary has a quarter of a million pieces; sentences in Hausa need a few thousand of them."""
    texts = SHARED_DATA / "sib200" / "hau_Latn.test.tsv"

    trim("bundled:multilingual-e5-small", [texts], tmp_path / "small")

    size = (tmp_path / "small" / "model.safetensors").stat().st_size
    assert 86e6 < size < 97e6  # 86 MB are no word embeddings
    assert load_backbone(str(tmp_path / "small")).text_prefix == "query: "


def test_a_checkpoint_that_differs_is_not_proven(tmp_path):
    """In weights, in pieces or in what it computes: each is an error."""
    tokenizer = unigram_tokenizer()
    for seed in (0, 1):
        save_checkpoint(tmp_path / str(seed), random_model("bert", seed=seed, vocab_size=80), tokenizer)
    whole, other = (load_backbone(str(tmp_path / name)) for name in "01")
    vocabulary = needed_pieces(tokenizer, WORDS)  # words alone: pieces of their letters have the same numbers
    everything = type(vocabulary)(tuple(range(80)))

    assert prove_backbone(whole, whole, everything, TEXTS)[0].startswith("proven: 4 texts")
    with pytest.raises(CheckpointError, match=r"the weights .* are others, so nothing was written"):
        prove_backbone(whole, other, everything, TEXTS)
    with pytest.raises(CheckpointError, match="the text 'ada beli cora' is cut into other pieces"):
        prove_backbone(whole, whole, type(vocabulary)((0, 1, 2, *range(4, 80), 3)), TEXTS)


def test_what_cannot_be_trimmed_is_one_line_and_no_folder(corpus, tmp_path):
    """A folder that is there, no texts, no checkpoint, a run with word embeddings of its own."""
    (tmp_path / "there").mkdir()
    with pytest.raises(CheckpointError, match=r"--output: .* is there already"):
        trim("anything", [corpus], tmp_path / "there")
    with pytest.raises(DataError, match="no such file"):
        trim("anything", [tmp_path / "nowhere.txt"], tmp_path / "small")
    with pytest.raises(CheckpointError, match="there is no folder"):
        trim(str(tmp_path / "nothing"), [corpus], tmp_path / "small")
    save_checkpoint(tmp_path / "model", random_model("bert", vocab_size=80), unigram_tokenizer())
    write_world(tmp_path)
    full = ["freezing.name=full", "prompt=null", "adapter=null", "train.num_train_epochs=1"]
    backbone = {"checkpoint": str(tmp_path / "model"), "max_length": 32}
    folder = run(world_recipe(tmp_path, [f"output_dir={tmp_path / 'run'}", *full], backbone=backbone))
    with pytest.raises(CheckpointError, match="the run has trained its own word embeddings"):
        trim(str(folder), [corpus], tmp_path / "small")
    assert not (tmp_path / "small").exists()
