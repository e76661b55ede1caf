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


def greedy(folder, text, length):
    """The translation of one text, a word at a time by the network's own logits."""
    from transformers import BartForConditionalGeneration

    network, tokenizer = BartForConditionalGeneration.from_pretrained(folder).eval(), random_tokenizer()
    words, made = tokenizer(text, return_tensors="pt")["input_ids"], [1]
    for _ in range(length):
        with torch.inference_mode():
            logits = network(input_ids=words, decoder_input_ids=torch.tensor([made])).logits
        made.append(int(logits[0, -1].argmax()))
        if made[-1] == 2:
            break
    return tokenizer.decode(made, skip_special_tokens=True)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_translations_are_what_the_network_says_word_by_word_in_batches_of_any_size(bart, batch_size):
    """Padding, sorting by length and batches change nothing; texts come back in order."""
    options = {"model": str(bart), "beams": 1, "batch_size": batch_size, "max_length": 9}
    made = translators.build("transformers", options).translate(TEXTS, *LANGUAGES)
    assert made == [greedy(bart, text, 9) for text in TEXTS]
    assert len(set(made)) > 1


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


def test_ctranslate2_translates_as_transformers_does(bart, tmp_path):
    """Greedily; their beams end by different rules. Where it is installed."""
    converters = pytest.importorskip("ctranslate2.converters", reason="ctranslate2 is not installed")
    converters.TransformersConverter(str(bart)).convert(str(tmp_path / "converted"))
    options = {"beams": 1, "max_length": 9}
    converted = {"model": str(tmp_path / "converted"), "tokenizer": str(bart), **options}
    expected = translators.build("transformers", {"model": str(bart), **options}).translate(TEXTS, *LANGUAGES)
    assert translators.build("ctranslate2", converted).translate(TEXTS, *LANGUAGES) == expected


def test_a_folder_that_was_not_converted_is_refused_with_the_command_that_converts(bart):
    """Before anything is loaded."""
    made = translators.build("ctranslate2", {"model": bart, "tokenizer": str(bart)})
    with pytest.raises(CheckpointError, match=r"has no model.bin; .*ct2-transformers-converter --model"):
        made.identity(*LANGUAGES)
