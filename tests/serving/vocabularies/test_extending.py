"""A checkpoint that got pieces for a script: loaded by its real readers, and all else equal to what it was."""

import pytest
import torch
from transformers import AutoTokenizer

from invented import SOURCE, TARGET, labelled_texts, translated, world_recipe, write_world
from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import CheckpointError, DataError
from lingraft.data.cldr import cldr_examples
from lingraft.data.tokenizer_coverage import coverage
from lingraft.serving.loading import load
from lingraft.serving.vocabularies.extending import extend
from quick_run import run
from tiny import WORDS, random_model, save_checkpoint, states_by_hugging_face, unigram_tokenizer

OLD = ["ada beli cora", "beli dune", "zeno ж ada"]


def in_new_script(text):
    """The same words in letters of the Deseret block."""
    return "".join(chr(0x10400 + ord(letter) - ord("a")) if letter.isalpha() else letter for letter in text)


@pytest.fixture
def corpus(tmp_path):
    """A file of texts that the tokenizer cannot read, and their translations."""
    texts = [" ".join(WORDS[at % 32] for at in (i, 3 * i, 5 * i + 1, 7 * i + 2)) for i in range(60)]
    rows = "".join(f"{text}\t{in_new_script(text)}\n" for text in texts)
    (tmp_path / "corpus.tsv").write_text("source\ttarget\n" + rows, encoding="utf-8")
    return tmp_path / "corpus.tsv"


def extended(folder, corpus, output, **options):
    """What the command says, with translations."""
    given = {"text": "target", "pairs": corpus, "language": "nqo", **options}
    return extend(str(folder), [corpus], output, **given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["bert", "deberta-v2", "xglm", "mt5"])
def test_transformers_reads_other_texts_as_before_and_the_new_script_at_last(family, dtype, corpus, tmp_path):
    """States of old texts are equal to the bit, and no piece of the new ones is unknown; rows of no piece are gone."""
    tokenizer = unigram_tokenizer()
    model = random_model(family, vocab_size=len(tokenizer) + 3).to(dtype)
    whole = save_checkpoint(tmp_path / "whole", model, tokenizer)

    said = extended(whole, corpus, tmp_path / "larger")

    for text in OLD:
        before, after = (states_by_hugging_face(tmp_path / name, text) for name in ("whole", "larger"))
        assert before.dtype == after.dtype == dtype
        assert torch.equal(before, after)
    larger = load_backbone(str(tmp_path / "larger"))
    ids = larger.tokenizer([in_new_script(word) for word in WORDS])["input_ids"]
    assert not any(larger.tokenizer.unk_token_id in word for word in ids)
    assert larger.stack.embed(torch.arange(len(larger.tokenizer))[:, None]).isfinite().all()
    with pytest.raises(IndexError):
        larger.stack.embed(torch.tensor([[len(larger.tokenizer)]]))
    assert said[0].startswith("unknown pieces: 50.0% before, 0.0% now; pieces a word: 2.0 before, ")
    assert said[2].startswith("proven: ")
    assert AutoTokenizer.from_pretrained(tmp_path / "larger").mask_token_id == tokenizer.mask_token_id


def test_words_have_the_rows_of_their_translations(corpus, tmp_path):
    """Most words of the script are one piece, whose row is nearest to that of the word that it translates."""
    save_checkpoint(tmp_path / "whole", random_model("bert", vocab_size=80), unigram_tokenizer())

    extended(tmp_path / "whole", corpus, tmp_path / "larger")

    larger = load_backbone(str(tmp_path / "larger"))
    rows = larger.stack.get_parameter("embeddings.word_embeddings.weight").float()
    known, new = (
        [larger.tokenizer(form(word), add_special_tokens=False)["input_ids"] for word in WORDS]
        for form in (str, in_new_script)
    )
    whole_words = [at for at, ids in enumerate(new) if len(ids) == 1]
    assert len(whole_words) > 20
    old = torch.stack([rows[ids[0]] for ids in known])
    alike = torch.nn.functional.normalize(torch.stack([rows[new[at][0]] for at in whole_words]) - rows[:80].mean(0))
    alike = alike @ torch.nn.functional.normalize(old - old.mean(0)).T
    right = [alike[row].argmax().item() == at for row, at in enumerate(whole_words)]
    assert sum(right) > 0.9 * len(right)


def test_new_pieces_may_take_the_place_of_rows_that_no_piece_had(corpus, tmp_path):
    """As many as there are: the matrix is as large as it was, and the proof compares the rows of the old pieces."""
    tokenizer = unigram_tokenizer()
    letters = len(set("".join(WORDS)))
    whole = save_checkpoint(tmp_path / "whole", random_model("bert", vocab_size=len(tokenizer) + letters), tokenizer)

    said = extended(whole, corpus, tmp_path / "larger", pieces=0)

    assert f"new pieces: {letters} for {letters} characters" in said[1]
    assert len(load_backbone(str(tmp_path / "larger")).tokenizer) == len(tokenizer) + letters


def test_a_recipe_trains_on_it(tmp_path):
    """And the run that it gives tells apart what was one unknown piece."""
    save_checkpoint(tmp_path / "tiny-e5", random_model("bert", vocab_size=80), unigram_tokenizer())
    write_world(tmp_path)
    texts = [in_new_script(translated(text)) for text, _ in labelled_texts(3, 3)]
    (tmp_path / "corpus.txt").write_text("\n".join(texts), encoding="utf-8")
    extend(str(tmp_path / "tiny-e5"), [tmp_path / "corpus.txt"], tmp_path / "larger")
    backbone = {"checkpoint": str(tmp_path / "larger"), "cut": 1, "max_length": 32}

    folder = run(
        world_recipe(tmp_path, [f"output_dir={tmp_path / 'run'}", "train.num_train_epochs=1"], backbone=backbone)
    )

    model = load(folder)
    assert model.backbone.text_prefix == "query: "
    assert len({one.confidence for one in model.predict(texts, language=TARGET)}) > 1
    assert len(model.predict(["ada"], language=SOURCE)) == 1


def test_what_is_known_is_not_extended(tmp_path, command):
    """The command says the share of unknown pieces in one line, and nothing is written."""
    save_checkpoint(tmp_path / "whole", random_model("bert", vocab_size=80), unigram_tokenizer())
    (tmp_path / "known.txt").write_text(" ".join([*WORDS, "ж"]) + "\n", encoding="utf-8")

    failed = command(
        "extend", str(tmp_path / "whole"), "--corpus", str(tmp_path / "known.txt"), "-o", str(tmp_path / "larger")
    )

    assert failed.code == 1
    assert "2.9% of the pieces of these texts are unknown, and only with more than 5%" in failed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["known.txt", "whole"]


def test_the_command_says_what_it_wrote(corpus, tmp_path, command):
    """Shares, pieces, proof and how to load it."""
    save_checkpoint(tmp_path / "whole", random_model("bert", vocab_size=80), unigram_tokenizer())
    given = ("extend", str(tmp_path / "whole"), "--text", "target", "--pieces", "20", "-o", str(tmp_path / "larger"))

    failed = command(*given, "--corpus", str(tmp_path / "none.tsv"))
    done = command(*given, "--corpus", str(corpus))

    assert failed.code == 1
    assert "no such file" in failed.err
    assert (done.code, done.err) == (0, "")
    said = dict(line.split(": ", 1) for line in done.out.splitlines())
    kept = ["proven", "left out, as it is not run", "load with", "before you use it", "written"]
    assert list(said) == ["unknown pieces", "new pieces", *kept]
    assert "rows of 0 by 0 translations" in said["new pieces"]


def test_what_cannot_be_extended_is_one_line_and_no_folder(corpus, tmp_path):
    """A folder that is there, no texts, translations of no language, characters that are in longer pieces alone."""
    (tmp_path / "there").mkdir()
    with pytest.raises(CheckpointError, match=r"--output: .* is there already"):
        extend("anything", [corpus], tmp_path / "there")
    with pytest.raises(DataError, match="no such file"):
        extend("anything", [tmp_path / "nowhere.txt"], tmp_path / "larger")
    with pytest.raises(DataError, match="--pairs: say the language"):
        extend("anything", [corpus], tmp_path / "larger", pairs=corpus)
    with pytest.raises(CheckpointError, match="there is no folder"):
        extend(str(tmp_path / "nothing"), [corpus], tmp_path / "larger", text="target")
    assert not (tmp_path / "larger").exists()


@pytest.mark.checkpoint
def test_the_embedded_checkpoint_reads_nko(tmp_path):
    """Half of its pieces are unknown in N'Ko; of names that were not learnt from, none is afterwards."""
    english = {one.id: one.text_a for one in cldr_examples("eng-Latn", "train")}
    names = [one for one in cldr_examples("nqo-Nkoo", "train") if one.id in english]
    rows = "".join(f"{english[one.id]}\t{one.text_a}\n" for one in names)
    (tmp_path / "names.tsv").write_text("source\ttarget\n" + rows, encoding="utf-8")

    said = extended("bundled:multilingual-e5-small", tmp_path / "names.tsv", tmp_path / "larger")

    assert said[0].startswith("unknown pieces: 49.")
    assert "proven: " in said[2]
    larger = load_backbone(str(tmp_path / "larger"))
    held_out = coverage([one.text_a for one in cldr_examples("nqo-Nkoo", "test")], larger.tokenizer)
    assert held_out.unknown_rate < 0.001
    assert held_out.pieces_per_word < 4.5
    assert larger.text_prefix == "query: "
