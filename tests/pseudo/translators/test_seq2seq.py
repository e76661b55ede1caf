"""Models with encoder and decoder, tiny and random: what matters is that nothing around them changes what they say."""

import pytest
import torch

from lingraft.core.errors import CheckpointError, ConfigError
from lingraft.pseudo.translators import translators
from lingraft.pseudo.translators.language_codes import token_of
from tiny import VOCABULARY, random_tokenizer

TEXTS = ["ada beli", "cora", "dune eli fara goma hilu iva", "jora kelo luma"]
LANGUAGES = ("eng-Latn", "yor-Latn")


@pytest.fixture(scope="module")
def bart(tmp_path_factory):
    """A folder with a random BART of one layer a side, and the word-level tokenizer."""
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(0)
    config = BartConfig(
        vocab_size=len(VOCABULARY),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=64,
        init_std=1.0,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        forced_eos_token_id=None,
        normalize_before=False,  # which CTranslate2 asks for
        normalize_embedding=True,
    )
    folder = tmp_path_factory.mktemp("tiny-bart")
    BartForConditionalGeneration(config).eval().save_pretrained(folder)
    random_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def m2m(tmp_path_factory):
    """A folder with a random M2M-100 of one layer a side, and a tokenizer of letters as NLLB's."""
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    letters = ["<s>", "<pad>", "</s>", "<unk>", "▁", *sorted(set("".join(TEXTS)) - {" "})]
    tokenizer = NllbTokenizer(vocab={letter: number for number, letter in enumerate(letters)})
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        encoder_layerdrop=0.0,
        decoder_layerdrop=0.0,
        max_position_embeddings=64,
        init_std=1.0,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        normalize_before=True,  # which CTranslate2 asks for
    )
    folder = tmp_path_factory.mktemp("tiny-m2m")
    M2M100ForConditionalGeneration(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def greedy(folder, words, tokenizer, begin, length):
    """The translation of the ids of one text, a token at a time by the network's own logits."""
    from transformers import AutoModelForSeq2SeqLM

    network, made = AutoModelForSeq2SeqLM.from_pretrained(folder).eval(), list(begin)
    for _ in range(length):
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([words]), decoder_input_ids=torch.tensor([made])).logits
        made.append(int(logits[0, -1].argmax()))
        if made[-1] == 2:
            break
    return tokenizer.decode(made, skip_special_tokens=True).strip()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_translations_are_what_the_network_says_word_by_word_in_batches_of_any_size(bart, batch_size):
    """Padding, sorting by length and batches change nothing; texts come back in order."""
    options = {"model": str(bart), "beams": 1, "batch_size": batch_size, "max_length": 9}
    made = translators.build("transformers", options).translate(TEXTS, *LANGUAGES)
    tokenizer = random_tokenizer()
    assert made == [greedy(bart, tokenizer(text)["input_ids"], tokenizer, [1], 9) for text in TEXTS]
    assert len(set(made)) > 1


def test_a_multilingual_model_reads_the_source_s_token_first_and_writes_the_target_s(m2m):
    """Two targets have two translations."""
    from transformers import NllbTokenizer

    tokenizer = NllbTokenizer.from_pretrained(m2m, src_lang="yor_Latn")
    found = {}
    for target, token in (("hau-Latn", "hau_Latn"), ("spa-Latn", "spa_Latn")):
        options = {"model": str(m2m), "beams": 1, "max_length": 9}
        found[target] = translators.build("transformers", options).translate(TEXTS, "yor-Latn", target)
        begin = [2, tokenizer.convert_tokens_to_ids(token)]
        ids = [tokenizer(text, truncation=True, max_length=9)["input_ids"] for text in TEXTS]
        assert all(tokenizer.convert_ids_to_tokens(row)[0] == "yor_Latn" for row in ids)
        assert found[target] == [greedy(m2m, row, tokenizer, begin, 8) for row in ids]
    assert found["hau-Latn"] != found["spa-Latn"]


def test_the_identity_is_of_the_weights_and_needs_no_network(bart, tmp_path):
    """Another model in the same folder has translations of its own; the batch size decides nothing."""
    from safetensors.torch import load_file, save_file

    for file in bart.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = translators.build("transformers", {"model": str(tmp_path)}).identity(*LANGUAGES)
    assert before == translators.build("transformers", {"model": str(bart), "batch_size": 2}).identity(*LANGUAGES)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, tmp_path / "model.safetensors")
    assert translators.build("transformers", {"model": str(tmp_path)}).identity(*LANGUAGES) != before


class Named:
    """A tokenizer with names of languages among its tokens."""

    def __init__(self, *names):
        self.names = dict.fromkeys(names, 3)

    def get_vocab(self):
        """Names, with a number for each."""
        return self.names


@pytest.mark.parametrize(
    ("tokens", "codes", "expected"),
    [
        (["hau_Latn", "ha"], {}, ("hau_Latn", "hau_Latn")),
        (["__ha__", "hau"], {}, ("ha", "__ha__")),
        (["<2ha>"], {}, ("ha", "<2ha>")),
        (["ha_XX"], {"hau": "ha_XX"}, ("ha_XX", "ha_XX")),
    ],
)
def test_languages_are_called_as_nllb_m2m_madlad_and_mbart_call_them(tokens, codes, expected):
    """A bare `hau` may be a word."""
    assert token_of("hau-Latn", Named(*tokens), codes) == expected


def test_a_language_that_the_model_does_not_know_is_an_error_that_says_how_to_name_it():
    """One line, with the key."""
    with pytest.raises(ConfigError, match=r"translator.codes: .*know hau-Latn.*codes: \{hau-Latn: hau_Latn\}"):
        token_of("hau-Latn", Named("hau", "yor_Latn"), {})


def test_what_is_no_model_that_translates_is_refused(tiny_checkpoint):
    """BERT has no decoder."""
    with pytest.raises(CheckpointError, match="cannot be loaded as a model that translates"):
        translators.build("transformers", {"model": str(tiny_checkpoint)}).translate(["ada"], *LANGUAGES)


@pytest.mark.parametrize("model", ["bart", "m2m"])
def test_ctranslate2_translates_as_transformers_does(model, request, tmp_path):
    """Greedily; their beams end by different rules. Where it is installed."""
    converters = pytest.importorskip("ctranslate2.converters", reason="ctranslate2 is not installed")
    folder = str(request.getfixturevalue(model))
    converters.TransformersConverter(folder).convert(str(tmp_path / "converted"))
    options = {"beams": 1, "max_length": 9}
    converted = {"model": str(tmp_path / "converted"), "tokenizer": folder, **options}
    expected = translators.build("transformers", {"model": folder, **options}).translate(TEXTS, *LANGUAGES)
    assert translators.build("ctranslate2", converted).translate(TEXTS, *LANGUAGES) == expected


def test_a_folder_that_was_not_converted_is_refused_with_the_command_that_converts(bart):
    """Before anything is loaded."""
    made = translators.build("ctranslate2", {"model": bart, "tokenizer": str(bart)})
    with pytest.raises(CheckpointError, match=r"has no model.bin; .*ct2-transformers-converter --model"):
        made.identity(*LANGUAGES)
