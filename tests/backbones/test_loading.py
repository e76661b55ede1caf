"""A checkpoint becomes a frozen backbone, or one message that names the cure."""

import hashlib
import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lingraft.backbones import backbones
from lingraft.backbones.checkpoint_files import usual_prefix
from lingraft.backbones.digests import tokenizer_digest, weights_digest
from lingraft.backbones.loading import describe_checkpoint, load_backbone, load_encoder
from lingraft.backbones.walk import at_layer
from lingraft.core.errors import CheckpointError
from lingraft.core.records import IDS, States
from posix_only import make_pipe
from tiny import PARTICULAR, VOCABULARY, random_model, random_tokenizer, save_checkpoint

BOTH = pytest.mark.parametrize("read", [load_backbone, describe_checkpoint])


@pytest.fixture
def checkpoint(tiny_checkpoint, tmp_path):
    """A copy of the tiny checkpoint that a test may damage."""
    return shutil.copytree(tiny_checkpoint, tmp_path / "model")


def edit_config(folder, **changes):
    """Overwrite entries of ``config.json``."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_loaded_backbone_is_the_saved_model(tiny_backbone, tiny_checkpoint):
    """The states of a loaded checkpoint are those of the model that was saved."""
    batch = tiny_backbone.tokenizer(["ada beli cora", "dune nowhere"], padding=True, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    hidden = tiny_backbone.stack.embed(ids)
    for i in range(tiny_backbone.stack.num_layers):
        hidden = tiny_backbone.stack.block(i, hidden, mask)

    with torch.no_grad():
        expected = random_model("bert")(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(hidden[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=0)
    assert tiny_backbone.name == str(tiny_checkpoint)
    assert (tiny_backbone.max_length, tiny_backbone.text_prefix, tiny_backbone.licence) == (64, "", "unknown")


@pytest.mark.parametrize("family", sorted(PARTICULAR))
def test_every_family_loads_from_a_folder(family, tmp_path):
    """What ``save_pretrained`` wrote comes back, for each family."""
    folder = save_checkpoint(tmp_path, random_model(family))
    backbone = load_backbone(str(folder))

    assert weights_digest(backbone.stack) == weights_digest(backbones.build(family)(random_model(family)))
    assert describe_checkpoint(str(folder)).model_type == family


def test_encoder_is_taken_out_of_a_model_with_a_head(tmp_path):
    """A masked language model's checkpoint gives its encoder, without pooler and without complaint."""
    from transformers import BertForMaskedLM

    model = BertForMaskedLM(random_model("bert").config)
    save_checkpoint(tmp_path, model)
    stack = load_backbone(str(tmp_path)).stack

    torch.testing.assert_close(stack.embeddings.word_embeddings.weight, model.bert.embeddings.word_embeddings.weight)
    assert not any("pooler" in name for name in stack.state_dict())


@pytest.mark.parametrize("family", sorted(PARTICULAR))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(tmp_path, family, dtype):
    """Word embeddings stay as they are stored and all else becomes float32; states and digest are those of float32."""
    model = random_model(family).to(dtype)
    save_checkpoint(tmp_path, model)
    words = model.get_input_embeddings().weight.clone()
    loaded = load_backbone(str(tmp_path))
    single = backbones.build(family)(load_encoder(str(tmp_path)))
    ids, mask = torch.tensor([[1, 6, 7, 8, 2], [1, 9, 2, 0, 0]]), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    kept = [p for p in loaded.stack.parameters() if p.dtype != torch.float32]

    assert [p.dtype for p in kept] == [dtype]
    assert torch.equal(kept[0], words)
    assert loaded.weights_digest == weights_digest(single)
    found, expected = (at_layer(stack, States(ids, mask, IDS), 3).tokens for stack in (loaded.stack, single))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_sharded_checkpoint_loads(tmp_path):
    """Weights in several files are the same weights; a missing one is named."""
    model = random_model("bert")
    model.save_pretrained(tmp_path, max_shard_size="8KB")
    random_tokenizer().save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1

    assert weights_digest(load_backbone(str(tmp_path)).stack) == weights_digest(backbones.build("bert")(model))
    shards[0].unlink()
    with pytest.raises(CheckpointError, match=shards[0].name):
        load_backbone(str(tmp_path))


def test_loading_says_nothing(tiny_checkpoint, capfd):
    """No progress bar and no load report reaches the terminal."""
    load_backbone(str(tiny_checkpoint))

    assert capfd.readouterr() == ("", "")


@BOTH
def test_pickle_is_refused_with_the_command_that_converts_it(checkpoint, read):
    """Weights that can run code are not read; the message gives the way out."""
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")

    with pytest.raises(CheckpointError, match=r"pickle.*\n.*python -c .*save_pretrained"):
        read(str(checkpoint))


def test_command_that_converts_a_pickle_works(checkpoint, tmp_path, monkeypatch):
    """The program of the printed command gives a folder that loads."""
    expected = load_backbone(str(checkpoint)).weights_digest
    torch.save(load_file(checkpoint / "model.safetensors"), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError) as refusal:
        load_backbone(str(checkpoint))
    *python, program = shlex.split(str(refusal.value).splitlines()[1])
    assert python == ["python", "-c"]
    monkeypatch.chdir(tmp_path)

    exec(program, {})

    assert load_backbone(str(tmp_path / "model-safetensors")).weights_digest == expected


@BOTH
def test_unsupported_architecture_lists_the_supported(checkpoint, read):
    """A family that nobody wrote yet is refused with the list of those that exist."""
    edit_config(checkpoint, model_type="opt")

    with pytest.raises(CheckpointError, match="'opt'.*" + ", ".join(backbones.names())):
        read(str(checkpoint))


@BOTH
def test_truncated_weights_are_noticed(checkpoint, read):
    """An unfinished download is called that, with the file's name."""
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged.*fetch it again"):
        read(str(checkpoint))


@BOTH
@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no model.safetensors"),
        ("tokenizer.json", "has no tokenizer.json"),
    ],
)
def test_incomplete_folder_says_what_is_missing(checkpoint, read, absent, expected):
    """Each missing file is named, and how it would get there."""
    (checkpoint / absent).unlink()

    with pytest.raises(CheckpointError, match=expected):
        read(str(checkpoint))


@BOTH
@pytest.mark.parametrize("path", ["./nowhere", "/no/such/folder", "~/no-such-folder", "a/b/c", "two words", ""])
def test_missing_folder_is_not_taken_for_a_hub_id(path, read):
    """What looks like a path is a path."""
    with pytest.raises(CheckpointError, match=f"there is no folder '{path}'"):
        read(path)


@BOTH
def test_file_instead_of_a_folder(checkpoint, read):
    """Naming the weights file itself leads to its folder."""
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        read(str(checkpoint / "model.safetensors"))


@BOTH
def test_hub_id_without_network_is_one_clear_line(read):
    """No traceback through the hub's client: what was asked, and what to do."""
    with pytest.raises(CheckpointError) as refusal:
        read("someone/some-model")

    message = str(refusal.value)
    assert "\n" not in message
    where = f"neither a folder in {Path.cwd()} nor in the local cache"
    assert message.startswith(f"cannot find the checkpoint someone/some-model: it is {where}")
    assert refusal.value.__suppress_context__


@pytest.fixture
def hub_cache(monkeypatch, tmp_path):
    """A local cache of the Hub, with a function that puts a folder into it under an id."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(folder, name):
        repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("0" * 40)
        shutil.copytree(folder, repository / "snapshots" / ("0" * 40))

    return put


def test_hub_id_in_the_local_cache_loads_offline(tiny_backbone, hub_cache):
    """What was downloaded once needs no network again."""
    hub_cache(tiny_backbone.name, "someone/some-model")
    backbone = load_backbone("someone/some-model")

    assert backbone.weights_digest == tiny_backbone.weights_digest
    assert backbone.name == "someone/some-model"
    assert describe_checkpoint("someone/some-model").width == 24


def test_hub_repository_of_pickles_is_refused(checkpoint, hub_cache):
    """Only safetensors are fetched; a repository without them gets the command that converts it."""
    (checkpoint / "model.safetensors").unlink()
    hub_cache(checkpoint, "someone/pickles")

    with pytest.raises(CheckpointError, match=r"offers no model.safetensors.*\n.*from_pretrained\('someone/pickles'\)"):
        load_backbone("someone/pickles")


def test_missing_weights_are_not_made_up(checkpoint):
    """A tensor that the file lacks is an error and not a random number."""
    weights = load_file(checkpoint / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})

    with pytest.raises(CheckpointError, match=r"no values for 1 of .*encoder.layer.1.output.dense.bias"):
        load_backbone(str(checkpoint))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vocab_size": 50}, r"word_embeddings.weight is stored as \(37, 24\), the configuration expects \(50, 24\)"),
        ({"num_attention_heads": 5}, "multiple of the number of attention heads"),
        ({"hidden_act": "nonsense"}, "nonsense"),
    ],
)
def test_configuration_of_another_model_is_refused(checkpoint, change, expected):
    """Shapes that do not fit are reported in a line."""
    edit_config(checkpoint, **change)

    with pytest.raises(CheckpointError, match=expected):
        load_backbone(str(checkpoint))


@pytest.mark.parametrize(
    ("family", "setting"), [("bert", "num_hidden_layers"), ("gpt2", "n_layer"), ("deberta-v2", "num_hidden_layers")]
)
def test_a_configuration_with_fewer_layers_than_are_stored_is_refused(family, setting, tmp_path):
    """It would run silently on a part of the model; where that is wanted there is a setting."""
    model = random_model(family)
    save_checkpoint(tmp_path, model)
    edit_config(tmp_path, **{setting: model.config.num_hidden_layers - 1})
    told = r"has fewer layers than the weights, which store \S+ besides \(\d+ such tensors\); .*backbone.layers"
    with pytest.raises(CheckpointError, match=told) as refused:
        load_backbone(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_tokenizer_of_another_model_is_refused(tmp_path):
    """Ids that the model has no embedding for are found before they crash."""
    save_checkpoint(tmp_path, random_model("bert", vocab_size=20))

    with pytest.raises(CheckpointError, match=f"knows {len(VOCABULARY)} tokens.*embeddings for 20 only"):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize("content", ["not json", "{}"])
def test_damaged_tokenizer_is_reported(checkpoint, content):
    """What the tokenizers library throws becomes one message of ours."""
    (checkpoint / "tokenizer.json").write_text(content)

    with pytest.raises(CheckpointError, match="tokenizer"):
        load_backbone(str(checkpoint))


@BOTH
def test_damaged_config_is_reported(checkpoint, read):
    """A configuration that is not JSON, or says too little, is named."""
    (checkpoint / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="num_hidden_layers, hidden_size, vocab_size"):
        read(str(checkpoint))

    (checkpoint / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="expected JSON"):
        read(str(checkpoint))


def test_code_of_a_checkpoint_is_never_run(checkpoint):
    """A custom class that a checkpoint brings along is ignored in favour of the library's."""
    (checkpoint / "modeling_evil.py").write_text("raise SystemExit('evil code ran')\n")
    edit_config(checkpoint, auto_map={"AutoModel": "modeling_evil.Evil", "AutoConfig": "modeling_evil.EvilConfig"})

    assert load_backbone(str(checkpoint)).stack.num_layers == 3


def test_facts_come_without_weights(checkpoint):
    """Layers, width, vocabulary, size and licence, from headers alone."""
    (checkpoint / "README.md").write_text("---\nlanguage: yo\nlicense: cc-by-4.0\n---\n# Card\nlicense: other\n")
    facts = describe_checkpoint(str(checkpoint))

    stored = sum(tensor.numel() for tensor in load_file(checkpoint / "model.safetensors").values())
    assert (facts.model_type, facts.num_layers, facts.width, facts.vocabulary) == ("bert", 3, 24, len(VOCABULARY))
    assert (facts.parameters, facts.licence) == (stored, "cc-by-4.0")
    assert load_backbone(str(checkpoint)).licence == "cc-by-4.0"


def test_digest_changes_with_name_dtype_shape_and_value():
    """Anything that makes it another model makes it another digest; the order of creation does not."""
    weight = torch.arange(6.0).reshape(2, 3)

    def digest(**parameters):
        frozen = {name: torch.nn.Parameter(values) for name, values in parameters.items()}
        return weights_digest(torch.nn.ParameterDict(frozen))

    both = digest(a=weight, b=weight + 1)
    assert digest(b=weight + 1, a=weight) == both
    assert digest(a=weight.bfloat16(), b=weight + 1) == both  # computed with in float32
    others = [
        digest(a=weight + 1, b=weight),
        digest(a=weight, c=weight + 1),
        digest(a=weight.reshape(3, 2), b=weight + 1),
        digest(a=weight.double(), b=weight + 1),
        digest(a=weight),
    ]
    assert len({both, *others}) == 1 + len(others)


def test_digest_is_what_it_says():
    """Written out by hand for one parameter."""
    values = torch.tensor([1.0, -2.0])
    expected = hashlib.sha256(b"w\0torch.float32\0(2,)\0" + values.numpy().tobytes())

    assert weights_digest(torch.nn.ParameterDict({"w": torch.nn.Parameter(values)})) == expected.hexdigest()


def test_tokenizer_digest_ignores_the_last_call():
    """Padding and truncation leave traces in the tokenizer, not in its digest; another token does."""
    tokenizer = random_tokenizer()
    before = tokenizer_digest(tokenizer)
    tokenizer(["ada", "ada beli cora"], padding=True, truncation=True, max_length=3)
    assert tokenizer_digest(tokenizer) == before

    tokenizer.add_tokens(["zulu"])
    assert tokenizer_digest(tokenizer) != before


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bundled:multilingual-e5-small", "query: "),
        ("intfloat/multilingual-e5-base", "query: "),
        ("/models/e5-large/", "query: "),
        ("C:\\models\\e5-large", "query: "),
        ("C:\\e5\\other-model", ""),
        ("intfloat/multilingual-e5-large-instruct", ""),
        ("FacebookAI/xlm-roberta-base", ""),
        ("someone/base5", ""),
    ],
)
def test_prefix_follows_the_models_training(name, expected):
    """E5 models get the prefix they were trained with, and nobody else does."""
    assert usual_prefix(name) == expected


def test_prefix_can_be_chosen(tiny_checkpoint):
    """A recipe's prefix wins, also the empty one."""
    assert load_backbone(str(tiny_checkpoint), text_prefix="passage: ").text_prefix == "passage: "


# ---- From outside ----------------------------------------------------------------------------------


@pytest.fixture
def copied(tiny_checkpoint, tmp_path):
    """A folder with the tiny checkpoint, to be changed."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copied"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "model.safetensors.index.json: expected JSON"),
        ("{}", "expected weight_map with the name of a file in this folder for each tensor, found None"),
        ('{"weight_map": {}}', "expected weight_map with the name of a file"),
        ('{"weight_map": {"a": 5}}', "expected weight_map with the name of a file"),
        ('{"weight_map": {"a": "../x.safetensors"}}', "expected weight_map with the name of a file in this folder"),
    ],
)
def test_a_damaged_index_is_reported(copied, content, said):
    """What it lists lies in its own folder."""
    (copied / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError) as refused:
        load_backbone(str(copied))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_configuration_of_a_far_larger_model_takes_no_memory(copied):
    """Parameters are counted before room is made for them."""
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    (copied / "config.json").write_text(json.dumps(config | {"intermediate_size": 10**7}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="1,470,010,080 parameters, and its files hold 15,384"):
        load_backbone(str(copied))


def test_a_tokenizer_whose_parts_do_not_fit_is_refused_when_it_is_loaded(copied):
    """Not when it is used for the first time: here it knows no token for what it does not know."""
    tokenizer = json.loads((copied / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["model"]["unk_token"] = "<nothing>"
    (copied / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot cut a text into tokens"):
        load_backbone(str(copied))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "vocab.txt"])
def test_a_pipe_in_a_checkpoint_is_refused(copied, name):
    """Whoever reads it would wait for ever."""
    (copied / name).unlink(missing_ok=True)
    make_pipe(copied / name)
    with pytest.raises(CheckpointError, match="expected a regular file, found a pipe"):
        load_backbone(str(copied))
