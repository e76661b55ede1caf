"""Language adapters that the `adapters` library wrote; `tests/write_adapterhub.py` tells how."""

import json
import shlex
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lingraft.backbones import backbones
from lingraft.core.errors import CheckpointError
from lingraft.core.records import States
from lingraft.model.adaptation import Adaptation
from lingraft.model.adapters import adapters
from lingraft.model.adapters.adapterhub_files import read_adapterhub
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from tiny import REPOSITORY, random_model

WRITTEN = REPOSITORY / "tests" / "fixtures" / "adapterhub"
ARCHITECTURES = ["seq_bn_inv", "seq_bn", "no_norm_before", "no_norm_after", "skip_after_norm", "skip_after_sum"]
CODE = "swh-Latn"


@pytest.fixture(scope="module")
def expected():
    """Token ids, mask and the final states under each adapter, as the library computed them."""
    return load_file(WRITTEN / "expected.safetensors")


@pytest.fixture(scope="module")
def stack():
    """The model that the adapters were made for."""
    from transformers import AutoModel

    return backbones.build("bert")(AutoModel.from_pretrained(WRITTEN / "model", add_pooling_layer=False))


def built(folders, stack, cut=0, **options):
    """An adapter with these folders, without a task part unless its width is given."""
    options = {"width": 0, **options, "folders": {code: str(folder) for code, folder in folders.items()}}
    torch.manual_seed(0)
    return adapters.build("adapterhub", options)(stack, range(cut, stack.num_layers), list(folders))


def final(adapter, stack, expected, language=CODE):
    """States after the last layer, in our forward pass."""
    model = GraftedModel(stack, Adaptation(None, adapter, LinearClassifier(stack.width, 2))).eval()
    with torch.no_grad():
        states = States(tokens=stack.embed(expected["ids"]), mask=expected["mask"], layer=0)
        return model(states, language)[0].tokens


def assert_same(ours, theirs, expected):
    """Equal wherever there is a word."""
    words = expected["mask"].bool()
    torch.testing.assert_close(ours[words], theirs[words], rtol=1e-5, atol=1e-5)


# ---- Against the library -------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_are_those_of_the_library(architecture, stack, expected):
    """Each architecture gives what `adapters` computes, and that is not what the bare model does."""
    ours = final(built({CODE: WRITTEN / architecture}, stack), stack, expected)
    assert_same(ours, expected[architecture], expected)
    assert (expected[architecture] - expected["none"]).abs().max() > 0.1


def test_a_language_without_a_folder_is_the_bare_model(stack, expected):
    """Another language sees nothing of it."""
    adapter = built({CODE: WRITTEN / "seq_bn_inv"}, stack)
    assert_same(final(adapter, stack, expected, "yor-Latn"), expected["none"], expected)


def test_our_task_part_is_a_stacked_adapter(stack, expected):
    """With the weights of the library's task adapter, ours on top gives what its `Stack` computes."""
    adapter = built({CODE: WRITTEN / "seq_bn_inv"}, stack, width=3)
    _, tensors = read_adapterhub(WRITTEN / "task", stack, range(3))
    adapter.task.load_state_dict(tensors)
    assert_same(final(adapter, stack, expected), expected["stack"], expected)
    assert_same(final(adapter, stack, expected, "yor-Latn"), expected["task"], expected)


def test_the_command_in_the_refusal_of_a_pickle_is_one_that_converts_it(stack, expected, tmp_path, monkeypatch):
    """A pickle is refused with the command that the library ran to make a folder which is read."""
    written = json.loads((WRITTEN / "written.json").read_text(encoding="utf-8"))
    shutil.copytree(WRITTEN / "seq_bn_inv", tmp_path / "pickled", ignore=lambda *_: ["adapter.safetensors"])
    (tmp_path / "pickled" / "pytorch_adapter.bin").touch()
    assert sorted(path.name for path in (tmp_path / "pickled").iterdir()) == written["pickled"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"has its weights as a pickle \(pytorch_adapter.bin\)") as refusal:
        built({CODE: "pickled"}, stack)
    assert shlex.split(str(refusal.value).splitlines()[1]) == ["python", "-c", written["conversion"]]
    adapter = built({CODE: WRITTEN / "pickled-safetensors"}, stack)
    assert_same(final(adapter, stack, expected), expected["seq_bn_inv"], expected)


def test_other_architectures_are_refused_by_name(stack):
    """Houlsby's second adapter, after the attention, has no place in our forward pass."""
    with pytest.raises(CheckpointError, match=r"expected mh_adapter: None or False or 0, found True; .* seq_bn_inv"):
        built({CODE: WRITTEN / "double_seq_bn"}, stack)


def test_what_lies_below_the_cut_is_refused(stack):
    """Cached states cannot know of it; the message names the setting."""
    for architecture, what in (("seq_bn_inv", "an invertible part"), ("seq_bn", "an adapter in layer 0")):
        with pytest.raises(CheckpointError, match=rf"{what}.*set backbone\.cut: 0"):
            built({CODE: WRITTEN / architecture}, stack, cut=1)


# ---- A folder made by hand: the rest needs no library --------------------------------------------------


def config(**changes):
    """What `adapter_config.json` says of a MAD-X adapter with an invertible part."""
    architecture = {
        "mh_adapter": False,
        "output_adapter": True,
        "non_linearity": "relu",
        "original_ln_before": True,
        "original_ln_after": True,
        "residual_before_ln": True,
        "inv_adapter": "nice",
    }
    top = {
        "name": "sw",
        "version": "adapters.1.3.0",
        "model_type": "bert",
        "hidden_size": 24,
        "model_name": "some-bert",
    }
    inner = {key: value for key, value in changes.items() if key not in top}
    return {**top, **{k: v for k, v in changes.items() if k in top}, "config": {**architecture, **inner}}


def shapes(layers=range(3), inverse=6):
    """Names and shapes of its tensors."""
    found = {}
    for layer in layers:
        place = f"bert.encoder.layer.{layer}.output.adapters.sw"
        found |= {f"{place}.adapter_down.0.weight": (5, 24), f"{place}.adapter_down.0.bias": (5,)}
        found |= {f"{place}.adapter_up.weight": (24, 5), f"{place}.adapter_up.bias": (24,)}
    for half in "FG":
        place = f"bert.invertible_adapters.sw.{half}"
        found |= {f"{place}.0.weight": (inverse, 12), f"{place}.0.bias": (inverse,)}
        found |= {f"{place}.2.weight": (12, inverse), f"{place}.2.bias": (12,)}
    return found


@pytest.fixture
def by_hand(tmp_path):
    """A function that writes a folder of random tensors."""

    def write(description=None, tensors=None, name="sw"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text(json.dumps(description or config()))
        generator = torch.Generator().manual_seed(1)
        save_file(
            {key: torch.randn(shape, generator=generator) * 0.3 for key, shape in (tensors or shapes()).items()},
            folder / "adapter.safetensors",
        )
        return folder

    return write


@pytest.fixture(scope="module")
def tiny():
    """A random stack of three layers, and token ids."""
    ids = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 2, 0, 0, 0]])
    return backbones.build("bert")(random_model("bert", add_pooling_layer=False)), {
        "ids": ids,
        "mask": (ids != 0).long(),
    }


def test_a_saved_adapter_needs_its_folders_no_more(by_hand, tiny):
    """The state holds weights and architecture: the same options rebuild it without the folder."""
    stack, batch = tiny
    folder = by_hand(config(non_linearity="swish", original_ln_after=False))
    options = {"width": 3}
    adapter = built({CODE: folder}, stack, **options)
    with torch.no_grad():
        adapter.task["1"].up.weight.normal_()
    saved, before = adapter.state_dict(), final(adapter, stack, batch)
    shutil.rmtree(folder)
    again = built({CODE: folder}, stack, **options)
    with pytest.raises(CheckpointError, match=r"adapter\.folders\.swh-Latn: there is no folder"):
        again.train()
    holder = nn.ModuleDict({"adapter": again})
    holder.load_state_dict({f"adapter.{name}": tensor for name, tensor in saved.items()})
    assert torch.equal(final(again, stack, batch), before)
    assert again.train().missing is None


def test_a_saved_adapter_wins_over_what_the_folder_holds_now(by_hand, tiny):
    """The folder may have been filled anew since."""
    stack, batch = tiny
    adapter = built({CODE: by_hand()}, stack)
    saved, before = adapter.state_dict(), final(adapter, stack, batch)
    other = built({CODE: by_hand(config(non_linearity="gelu", inv_adapter=None), shapes(range(1), 4))}, stack)
    other = built({CODE: by_hand(config(non_linearity="gelu"), shapes(range(2), 4))}, stack)
    assert not torch.allclose(final(other, stack, batch), before)
    other.load_state_dict(saved)
    assert torch.equal(final(other, stack, batch), before)


def test_counting_without_the_folder_is_refused_at_once(tmp_path, tiny):
    """On the meta device nothing will be loaded, so `lingraft check` already says it."""
    stack = backbones.build("bert")(random_model("bert")).to("meta")
    with pytest.raises(CheckpointError, match="there is no folder"):
        built({CODE: tmp_path / "nowhere"}, stack)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_language_parts_are_frozen_unless_they_learn(training, by_hand, tiny):
    """Frozen parts are no parameters; with `learn` they are, and get a gradient."""
    stack, batch = tiny
    folder = by_hand()
    frozen = built({CODE: folder}, stack, width=3).train(training)
    assert {name.split(".")[0] for name, _ in frozen.named_parameters()} == {"task"}
    learning = built({CODE: folder}, stack, learn=True).train(training)
    model = GraftedModel(stack, Adaptation(None, learning, LinearClassifier(24, 2)))
    states = States(tokens=stack.embed(batch["ids"]), mask=batch["mask"], layer=0)
    model(states, CODE)[1].sum().backward()
    gradients = {name: parameter.grad for name, parameter in learning.named_parameters()}
    assert "language.swh-Latn.0.down.weight" in gradients
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())


def test_the_task_part_starts_as_nothing(by_hand, tiny):
    """A new task bottleneck leaves the language adapter's states, and the bare model's, as they are."""
    stack, batch = tiny
    folder = by_hand()
    for language in (CODE, "yor-Latn"):
        with_task = final(built({CODE: folder}, stack, width=4), stack, batch, language)
        torch.testing.assert_close(with_task, final(built({CODE: folder}, stack), stack, batch, language))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_parallel": True}, "expected is_parallel: .* found True"),
        ({"phm_layer": True}, "phm_layer"),
        ({"inv_adapter": "glow"}, "expected inv_adapter: None or 'nice', found 'glow'"),
        ({"architecture": "lora"}, "architecture"),
        ({"scaling": "learned"}, "expected a number as scaling, found 'learned'"),
        ({"non_linearity": "wavy"}, "non_linearity 'wavy' is not known"),
        ({"version": "3.2.1"}, "adapter-transformers.*\n  python -c .*from_pretrained\\('some-bert'\\)"),
        ({"model_type": "roberta"}, "made for some-bert, with model_type roberta; this backbone has bert"),
        ({"hidden_size": 768}, "hidden_size 768; this backbone has 24"),
    ],
)
def test_what_is_not_read_is_refused(change, message, by_hand, tiny):
    """Each with what was found."""
    with pytest.raises(CheckpointError, match=message):
        built({CODE: by_hand(config(**change))}, tiny[0])


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("bert.encoder.layer.1.output.adapters.sw.adapter_up.weight", (20, 5), "expected 1.up.weight of shape"),
        ("bert.encoder.layer.1.output.adapters.sw.adapter_up.weight", None, "found none"),
        ("bert.encoder.layer.1.output.adapters.sw.adapter_down.0.bias", (), "expected 1.down.weight of shape"),
        ("bert.invertible_adapters.sw.G.2.bias", None, "expected embedded.G.2.bias of shape .*, found none"),
        ("bert.encoder.layer.9.output.adapters.sw.adapter_up.weight", (24, 5), "layer 9, and this backbone has 3"),
        ("bert.encoder.layer.0.attention.output.adapters.sw.adapter_up.bias", (24,), "only these are read"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(key, shape, message, by_hand, tiny):
    """Another shape, one missing, one too many."""
    tensors = {name: size for name, size in {**shapes(), key: shape}.items() if size is not None}
    with pytest.raises(CheckpointError, match=message):
        built({CODE: by_hand(tensors=tensors)}, tiny[0])


def test_other_folders_are_refused(by_hand, tiny):
    """PEFT's is pointed to `lora`, an empty one to `save_adapter`; a damaged file is named."""
    folder = by_hand()
    (folder / "adapter.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"adapter\.safetensors cannot be read"):
        built({CODE: folder}, tiny[0])
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(CheckpointError, match="PEFT wrote it, see the adapter `lora`"):
        built({CODE: folder}, tiny[0])
    for content in ("[]", "null", "3"):
        (folder / "adapter_config.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"expected a JSON object, .*; give a folder that save_adapter wrote"):
            built({CODE: folder}, tiny[0])
    (folder / "adapter_config.json").unlink()
    with pytest.raises(CheckpointError, match="give a folder that save_adapter wrote"):
        built({CODE: folder}, tiny[0])


def test_other_families_are_refused(by_hand):
    """ModernBERT normalises elsewhere."""
    with pytest.raises(
        CheckpointError, match="family bert or roberta or xlm-roberta, and this one is of the family modernbert"
    ):
        built({CODE: by_hand()}, backbones.build("modernbert")(random_model("modernbert")))


def test_languages_are_written_in_full():
    """A short code would silently belong to no language."""
    (problem,) = adapters.check("adapterhub", {"folders": {"sw": "somewhere"}}, "adapter")
    assert problem.startswith("adapter.folders: ")
