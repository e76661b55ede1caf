"""Small random backbones and a word-level tokenizer over invented words: everything offline, in memory or seconds."""

import os

# For this process before anything imports transformers, and for those that it starts.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

from pathlib import Path

import torch

from lingraft.backbones import backbones
from lingraft.core.files import cache_root

torch.set_num_threads(1)  # two processes test side by side, and a small matrix gains nothing from a second thread

REPOSITORY = Path(__file__).parents[1]
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
USERS_CACHE = cache_root()  # where the converted checkpoint is, before a test looks elsewhere

# fmt: off
WORDS = [
    "ada", "beli", "cora", "dune", "eli", "fara", "goma", "hilu", "iva", "jora", "kelo",
    "luma", "mira", "nolu", "opa", "pira", "quna", "rilo", "sava", "tolu", "ula", "vero",
    "wina", "xilo", "yara", "zeno", "bako", "cire", "dilo", "fuma", "gera", "hano",
]
# fmt: on
SPECIAL_TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL_TOKENS, *WORDS])}

# What every family's configuration takes, and what is particular to one.
COMMON = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 24,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,  # ten times the usual: attention that attends, differences that show
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5 = {"d_ff": 32, "d_kv": 16, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 20}
PARTICULAR = {
    "bert": {"type_vocab_size": 2},
    "roberta": {"type_vocab_size": 1},
    "xlm-roberta": {"type_vocab_size": 1},
    "modernbert": {"local_attention": 8, "cls_token_id": 1, "sep_token_id": 2},
    "deberta-v2": {
        "relative_attention": True,
        "position_buckets": 8,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
    },
    "gpt2": {"n_inner": 32},
    "llama": {"num_key_value_heads": 1},
    "mistral": {"num_key_value_heads": 1, "sliding_window": 9},
    "qwen2": {"num_key_value_heads": 1, "use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1},
    "qwen3": {"num_key_value_heads": 1, "head_dim": 16, "layer_types": ["full_attention"] * 3},
    "gemma3_text": {
        "num_key_value_heads": 1,
        "head_dim": 16,
        "query_pre_attn_scalar": 20,
        "sliding_window": 9,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    },
    "bloom": {"intermediate_size": 96, "seq_length": 64},
    "xglm": {"ffn_dim": 32},
    "t5": T5 | {"feed_forward_proj": "relu"},
    "mt5": T5,
    "umt5": T5,
}


def random_model(model_type, *, seed=0, speaking=False, **options):
    """A random small Hugging Face encoder of a family, in eval mode; options go to its configuration.

    One that is ``speaking`` is a decoder with its language-model head.
    """
    import transformers

    config = transformers.AutoConfig.for_model(model_type, **{**COMMON, **PARTICULAR.get(model_type, {}), **options})
    torch.manual_seed(seed)
    name = "AutoModelForCausalLM" if speaking else backbones.build(model_type).facts.auto_class
    model = getattr(transformers, name).from_config(config)
    with torch.no_grad():  # biases and norms start at constants, which would hide one that is left out
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def writing_model(model_type, *, seed=0, tied=True, sharpness=1, **options):
    """A random small encoder-decoder of a family as transformers has it, in eval mode, with its language-model head.

    One whose attention is not sharp answers all texts alike, most of them by one word.
    """
    import transformers

    given = {**COMMON, **PARTICULAR[model_type], "num_decoder_layers": 2, "decoder_start_token_id": 0, **options}
    config = transformers.AutoConfig.for_model(model_type, **given, tie_word_embeddings=tied)
    torch.manual_seed(seed)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
            if "Attention" in name:
                parameter.mul_(sharpness)
        if not tied:
            model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))
    return model.eval()


def random_tokenizer():
    """A word-level tokenizer over the invented vocabulary, with ``<s>`` and ``</s>`` around a text."""
    from tokenizers.pre_tokenizers import Whitespace

    special = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return _word_level(VOCABULARY, Whitespace(), "<s> $A </s>", "<s> $A </s> $B </s>", **special)


def decoder_tokenizer(opening="<s>"):
    """As decoders have them: one marker in front or none, nothing between two texts or after them, no padding token.

    A line break is a token, in the place of the mask.
    """
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Sequence, Split

    vocabulary = {"\n" if word == "<mask>" else word: i for word, i in VOCABULARY.items()}
    words = Sequence([Split(Regex(" +"), "removed"), Split("\n", "isolated")])
    return _word_level(vocabulary, words, f"{opening} $A".strip(), f"{opening} $A $B".strip())


def seq2seq_tokenizer():
    """As T5 and mT5 have it: nothing in front of a text, and the same marker after each."""
    from tokenizers.pre_tokenizers import Whitespace

    return _word_level(VOCABULARY, Whitespace(), "$A </s>", "$A </s> $B </s>", pad_token="<pad>")


def unigram_tokenizer():
    """As XLM-R has it: pieces with scores, a blank before each word, a mask at the very end."""
    pieces = [("<pad>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(f"▁{word}", -5.0 - i / 10) for i, word in enumerate(WORDS)]
    pieces += [(letter, -9.0) for letter in sorted(set("".join(WORDS)))] + [("▁", -8.0), ("<mask>", 0.0)]
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    backend = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.add_special_tokens(["<pad>", "<s>", "</s>", "<unk>", "<mask>"])
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1))
    special = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return _fast(backend, **special)


def states_by_hugging_face(folder, text):
    """Last states of a text, as transformers loads tokenizer and model."""
    import transformers

    family = transformers.AutoConfig.from_pretrained(folder).model_type
    loader = getattr(transformers, backbones.build(family).facts.auto_class)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        given = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        return loader.from_pretrained(folder).eval()(**given).last_hidden_state


def _fast(backend, **special):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=COMMON["max_position_embeddings"],
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        **special,
    )


def _word_level(vocabulary, pre_tokenizer, single, pair, **special):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.processors import TemplateProcessing

    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizer
    backend.add_special_tokens([token for token in SPECIAL_TOKENS if token in vocabulary])
    backend.post_processor = TemplateProcessing(
        single=single, pair=pair, special_tokens=[(token, vocabulary[token]) for token in ("<s>", "</s>")]
    )
    return _fast(backend, **special)


def save_checkpoint(folder, model, tokenizer=None):
    """Write a model and a tokenizer, by default the encoders', the way ``save_pretrained`` does."""
    model.save_pretrained(folder)
    (tokenizer or random_tokenizer()).save_pretrained(folder)
    return folder
