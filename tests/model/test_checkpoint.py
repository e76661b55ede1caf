"""What is saved, and what is refused on loading."""

import json
import shutil
from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from full_disk import full_disk
from identities import identity_of
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.walk import states_at
from lingraft.core.errors import CheckpointError, WriteError
from lingraft.core.files import write_json
from lingraft.model.adaptation import build_adaptation
from lingraft.model.adapters import adapters
from lingraft.model.adapters.peft_files import export_peft
from lingraft.model.checkpoint import adaptation_path, load_adaptation, read_identity, save_adaptation
from lingraft.model.continuing import continue_from
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from lingraft.training.state import TrainingState, load_training_state, save_training_state
from tiny import random_model, save_checkpoint

PROMPT, ADAPTER = {"name": "deep", "length": 2, "language_length": 1}, {"name": "bottleneck", "width": 3}


@pytest.fixture
def identity(tiny_backbone):
    """Who the adaptation is."""
    return identity_of(
        tiny_backbone,
        text_prefix="ẹ: ",
        task="tópìkì",
        labels=("a", "b", "ọ"),
        languages=("yor-Latn", "quy-Latn"),
        prompt=PROMPT,
        adapter=ADAPTER,
    )


@pytest.fixture
def adaptation(tiny_backbone):
    """Trained parts whose numbers are all random."""
    torch.manual_seed(3)
    parts = build_adaptation(
        prompt=Block.model_validate(PROMPT),
        adapter=Block.model_validate(ADAPTER),
        stack=tiny_backbone.stack,
        cut=1,
        languages=["yor-Latn", "quy-Latn"],
        head=LinearClassifier(24, 3),
        initial=lambda how, layer, count: torch.randn(count, 24),
    )
    with torch.no_grad():
        for parameter in parts.parameters():
            parameter.add_(torch.randn_like(parameter))
    return parts.eval()


@pytest.fixture
def saved(tmp_path, adaptation, identity):
    """The adaptation's file."""
    path = tmp_path / "adaptation.safetensors"
    save_adaptation(path, adaptation, identity)
    return path


# ---- Adaptations -----------------------------------------------------------------------------------


def test_an_adaptation_comes_back_whole(saved, adaptation, identity, tiny_backbone):
    """Identity, every tensor and the logits are what they were."""
    loaded, who = load_adaptation(saved, tiny_backbone)
    assert who == identity == read_identity(saved)
    assert not loaded.training
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), adaptation.parameters(), strict=True))
    states = states_at([[1, 5, 6, 2], [1, 7, 2]], tiny_backbone.stack, 1, torch.device("cpu"))
    with torch.no_grad():
        for language in ("yor-Latn", "eng-Latn"):
            one, other = (GraftedModel(tiny_backbone.stack, parts) for parts in (adaptation, loaded))
            assert torch.equal(one(states, language)[1], other(states, language)[1])


def test_a_run_goes_on_from_another(saved, adaptation, identity, tiny_backbone, tmp_path):
    """Task part, head and known languages have the values of the run; a new language starts anew."""
    (tmp_path / "adaptation.safetensors").write_bytes(saved.read_bytes())
    torch.manual_seed(9)
    new = build_adaptation(
        prompt=Block.model_validate(PROMPT),
        adapter=Block.model_validate(ADAPTER),
        stack=tiny_backbone.stack,
        cut=1,
        languages=["yor-Latn", "hau-Latn"],
        head=LinearClassifier(tiny_backbone.stack.width, 3),
        initial=lambda how, layer, count: torch.randn(count, tiny_backbone.stack.width),
    )
    before = {name: value.clone() for name, value in new.state_dict().items()}
    continue_from(tmp_path, new, identity, tiny_backbone)
    theirs = adaptation.state_dict()
    for name, value in new.state_dict().items():
        assert torch.equal(value, before[name] if "hau-Latn" in name else theirs[name])
    with pytest.raises(CheckpointError, match=r"was trained with cut 1, this recipe has 2"):
        continue_from(tmp_path, new, replace(identity, cut=2), tiny_backbone)
    with pytest.raises(CheckpointError, match=r"was trained with pooling 'mean', this recipe has 'last'"):
        continue_from(tmp_path, new, replace(identity, pooling="last"), tiny_backbone)


def test_a_method_of_a_comparison_is_a_run_to_go_on_from(saved, adaptation, identity, tiny_backbone, tmp_path):
    """Its parts are those of its first trial."""
    method = {"name": "m", "about": "", "trials": ["k1-draw0-seed1"], "trainable_parameters": 1, "peak_bytes": None}
    method |= {"seconds": {"k1-draw0-seed1": 1.0}, "labels": {"k1-draw0-seed1": "x"}}
    write_json(
        tmp_path / "m" / "method.json", method | {"learning_rate": {"setting": None, "value": None, "tried": {}}}
    )
    place = tmp_path / "m" / "trials" / "k1-draw0-seed1" / "adaptation.safetensors"
    place.parent.mkdir(parents=True)
    saved.rename(place)
    assert adaptation_path(tmp_path / "m") == place
    before = {name: value.clone() for name, value in adaptation.state_dict().items()}
    torch.nn.init.zeros_(adaptation.head.weight)

    continue_from(tmp_path / "m", adaptation, identity, tiny_backbone)

    assert all(torch.equal(value, before[name]) for name, value in adaptation.state_dict().items())


def test_what_has_no_trained_parts_of_its_own_is_told_apart(tmp_path):
    """A comparison names its methods, a recipe is a file; a folder whose name has a dot is a folder."""
    for name in ("b", "a"):
        write_json(tmp_path / "compared" / name / "method.json", {})
    with pytest.raises(CheckpointError, match=r"holds a comparison; give the folder of one of its methods, .* a, b$"):
        adaptation_path(tmp_path / "compared")
    (tmp_path / "recipe.yaml").touch()
    with pytest.raises(CheckpointError, match=r"recipe\.yaml is a file, .*give the folder of a finished run"):
        adaptation_path(tmp_path / "recipe.yaml")
    assert adaptation_path(tmp_path / "run.v2") == tmp_path / "run.v2" / "adaptation.safetensors"
    assert adaptation_path(tmp_path / "a.safetensors") == tmp_path / "a.safetensors"


def test_parts_that_peft_made_are_nothing_to_go_on_from(saved, adaptation, identity, tiny_backbone):
    """Its head alone would be taken, without what it was trained behind."""
    save_adaptation(saved, adaptation, replace(identity, prompt=None))
    with pytest.raises(CheckpointError, match="holds a prompt that PEFT made"):
        continue_from(saved.parent, adaptation, replace(identity, prompt=None), tiny_backbone)


@pytest.mark.parametrize(
    ("part", "cure"), [("head.bias", "make the settings of task, prompt"), ("unfrozen.x", "freeze the same layers")]
)
def test_what_a_run_lacks_to_go_on_from_is_said_with_its_cure(
    saved, adaptation, identity, tiny_backbone, tmp_path, part, cure
):
    """Of a part it is the part's settings, of a copy of the backbone's parameters the layers that are trained."""
    tensors = load_file(saved) | {"unfrozen.x": torch.zeros(1)}
    with safe_open(saved, framework="pt") as file:
        save_file({name: one for name, one in tensors.items() if name != part}, saved, metadata=file.metadata())
    adaptation.unfrozen["x"] = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(CheckpointError, match=f"has nothing for {part}; {cure}"):
        continue_from(saved.parent, adaptation, identity, tiny_backbone)


@pytest.mark.parametrize(
    ("form", "cure"),
    [
        ("lingraft-adaptation-1", "an older lingraft wrote it: run the recipe again into another output_dir"),
        ("lingraft-adaptation-3", "a newer lingraft wrote it: load it with that"),
        ("lingraft-adaptation-x", "run the recipe again: lingraft run RECIPE"),
    ],
)
def test_another_form_is_told_by_its_number(tmp_path, form, cure):
    """What an older lingraft wrote is not called newer, and what none wrote is neither."""
    path = tmp_path / "adaptation.safetensors"
    save_file({"head.bias": torch.zeros(1)}, path, metadata={"lingraft": json.dumps({"format": form})})
    with pytest.raises(CheckpointError) as caught:
        read_identity(path)
    assert str(caught.value) == f"{path}: expected the format lingraft-adaptation-2, found {form}; {cure}"


def test_a_run_of_other_shapes_is_nothing_to_go_on_from(saved, adaptation, identity, tiny_backbone, tmp_path):
    """Whatever made them differ, the tensor is named with both."""
    adaptation.head = LinearClassifier(24, 4)
    with pytest.raises(CheckpointError, match=r"head\.weight of shape \(3, 24\), and this recipe one of \(4, 24\)"):
        continue_from(saved.parent, adaptation, identity, tiny_backbone)


def test_only_trained_tensors_are_in_the_file(saved, adaptation, tiny_backbone):
    """Neither a name nor a number of the backbone is stored."""
    tensors = load_file(saved)
    assert set(tensors) == {name for name, _ in adaptation.named_parameters()}
    assert {name.partition(".")[0] for name in tensors} == {"prompt", "adapter", "head"}
    size = sum(t.numel() * 4 for t in tensors.values())
    assert size <= saved.stat().st_size < size + 6000
    frozen = {tuple(p.flatten()[:8].tolist()) for p in tiny_backbone.stack.parameters()}
    assert not frozen & {tuple(t.flatten()[:8].tolist()) for t in tensors.values()}


def test_the_same_adaptation_is_the_same_file(tmp_path, adaptation, identity):
    """Saved again, the file is equal to the last byte: it can be compared, and has one digest."""
    contents = set()
    for i in range(12):
        save_adaptation(tmp_path / f"{i}.safetensors", adaptation, identity)
        contents.add((tmp_path / f"{i}.safetensors").read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("prompt", [PROMPT, None])
@pytest.mark.parametrize("adapter", [ADAPTER, None])
def test_parts_that_were_left_out_stay_out(tmp_path, tiny_backbone, identity, prompt, adapter):
    """Any combination of prompt and adapter is rebuilt as it was."""
    parts = build_adaptation(
        prompt=Block.model_validate(prompt) if prompt else None,
        adapter=Block.model_validate(adapter) if adapter else None,
        stack=tiny_backbone.stack, cut=1, languages=identity.languages, head=LinearClassifier(24, 3),
        initial=lambda how, layer, count: torch.randn(count, 24),
    )  # fmt: skip
    path = tmp_path / "a.safetensors"
    save_adaptation(path, parts, replace(identity, prompt=prompt, adapter=adapter))
    loaded, _ = load_adaptation(path, tiny_backbone)
    assert (loaded.prompt is None, loaded.adapter is None) == (prompt is None, adapter is None)
    assert loaded.state_dict().keys() == parts.state_dict().keys()


def test_another_backbone_is_refused_with_both_digests(saved, identity, tmp_path):
    """Weights that differ, be it in one number, are not what was trained on."""
    folder = tmp_path / "other"
    folder.mkdir()
    other = load_backbone(str(save_checkpoint(folder, random_model("bert", seed=9))))
    with pytest.raises(CheckpointError) as caught:
        load_adaptation(saved, other)
    for part in ("another backbone", identity.weights_digest, other.weights_digest, identity.checkpoint):
        assert part in str(caught.value)


def test_another_tokenizer_is_refused_with_both_digests(saved, tiny_backbone):
    """The same weights with other words are another model."""
    with pytest.raises(CheckpointError, match=f"another tokenizer .*{tiny_backbone.tokenizer_digest} there, xyz here"):
        load_adaptation(saved, replace(tiny_backbone, tokenizer_digest="xyz"))


def test_a_missing_file_is_reported(tmp_path, tiny_backbone):
    """A folder without a finished run is named."""
    with pytest.raises(CheckpointError, match=r"there is no .*nothing\.safetensors; give the folder of a finished run"):
        load_adaptation(tmp_path / "nothing.safetensors", tiny_backbone)


@pytest.mark.parametrize("keep", [0, 4, 100, -8])
def test_a_damaged_file_is_reported(saved, tiny_backbone, keep):
    """Cut off anywhere, the file is refused in one sentence."""
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_adaptation(saved, tiny_backbone)


def test_someone_else_s_file_is_reported(tmp_path, tiny_backbone):
    """Safetensors without our format are not an adaptation."""
    save_file({"weight": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="expected the format lingraft-adaptation-2, found None"):
        load_adaptation(tmp_path / "a.safetensors", tiny_backbone)


def test_missing_tensors_are_reported(saved, tiny_backbone, adaptation, identity):
    """A file that lacks part of what its recipe promises is refused, and the part named."""
    del adaptation.head.bias
    adaptation.head.register_parameter("bias", None)
    save_adaptation(saved, adaptation, identity)
    with pytest.raises(CheckpointError, match=r"(?s)does not hold the tensors that its recipe promises.*head\.bias"):
        load_adaptation(saved, tiny_backbone)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unfrozen.x", "holds 'unfrozen.x', a copy of a parameter that .* does not have"),
        ("unfrozen.layers/9/output/weight", "'unfrozen.layers/9/output/weight', a copy of a parameter"),
        ("head.third", "holds 'head.third', which no part that its recipe promises has"),
        ("x" * 5000, "holds 'x+…x+', which no part"),
    ],
)
def test_a_tensor_that_nothing_has_is_reported_by_its_name(saved, tiny_backbone, name, said):
    """One that no parameter of the backbone and no part is called by."""
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    save_file(load_file(saved) | {name: torch.zeros(2)}, saved, metadata=metadata)
    with pytest.raises(CheckpointError, match=said) as caught:
        load_adaptation(saved, tiny_backbone)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("change", [{"no_such_field": 1}, {"labels": None}, {"labels": ["a", "a", "b"]}, None])
def test_an_identity_that_is_not_understood_is_reported(tmp_path, saved, tiny_backbone, change):
    """Metadata of another release, or edited by hand, is refused without a traceback."""
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    for key, text in metadata.items():
        if text.startswith("{"):
            values = json.loads(text)
            inner = values.get("identity", values)
            inner = json.loads(inner) if isinstance(inner, str) else inner
            changed = "{" if change is None else json.dumps(inner | change)
            if "identity" in values:
                changed = json.dumps(values | {"identity": inner | (change or {"cut": "x" * 3, "extra": 1})})
            metadata[key] = changed
    save_file(load_file(saved), saved, metadata=metadata)
    with pytest.raises(CheckpointError):
        load_adaptation(saved, tiny_backbone)


def test_a_full_disk_keeps_what_was_saved(saved, adaptation, identity):
    """Saving fails with the cure; the previous file is whole and no half one is left."""
    before = saved.read_bytes()
    with full_disk(), pytest.raises(WriteError, match=r"could not write .*untouched, .* Free some space and run"):
        save_adaptation(saved, adaptation, identity)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


# ---- Training states -------------------------------------------------------------------------------


@pytest.fixture
def state():
    """A state amid training."""
    names = ["prompt.task.1", "adapter.language.yor-Latn.1.up.weight", "head.bias"]

    def moments():
        return {"step": torch.tensor(17.0), "exp_avg": torch.randn(3, 2), "exp_avg_sq": torch.rand(3, 2)}

    return TrainingState(
        step=17,
        parameters={name: torch.randn(3, 2) for name in names},
        optimizer={name: moments() for name in names[:2]},
        averaged={names[0]: torch.randn(3, 2)},
        teacher={name: torch.randn(3, 2) for name in names},
        meter={"loss": 1 / 3, "steps": 2.0},
        balance={"weights": [1 / 3, 2.0], "norms": [], "cosines": [-0.1], "ratios": [1e-30]},
        history=[{"epoch": 1, "loss": 0.1, "dev_score": None}, {"epoch": 2, "loss": 1 / 3, "dev_score": 0.5}],
    )


def test_a_training_state_comes_back_whole(tmp_path, state):
    """Step, parameters, moments, means, teacher, balance and history, to the last bit."""
    save_training_state(tmp_path / "t.safetensors", state)
    found = load_training_state(tmp_path / "t.safetensors")
    assert (found.step, found.history) == (state.step, state.history)
    assert (found.meter, found.balance) == (state.meter, state.balance)
    for kind in ("parameters", "averaged", "teacher"):
        one, other = getattr(found, kind), getattr(state, kind)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert found.optimizer.keys() == state.optimizer.keys()
    for name, moments in state.optimizer.items():
        assert found.optimizer[name].keys() == moments.keys()
        assert all(torch.equal(found.optimizer[name][key], value) for key, value in moments.items())


def test_no_state_is_a_new_start(tmp_path):
    """Without a file training begins at the beginning, and there is nothing to tell."""
    told = []
    assert load_training_state(tmp_path / "t.safetensors", told.append) is None
    assert told == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_is_a_new_start(tmp_path, state, place, bit):
    """A disk that forgets must not change the weights: whichever bit it is, the state is told to be damaged."""
    path, told = tmp_path / "t.safetensors", []
    save_training_state(path, state)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    assert load_training_state(path, told.append) is None
    assert [("is damaged" in sentence, "starts anew" in sentence) for sentence in told] == [(True, True)]


@pytest.mark.parametrize("content", [b"", b"half", b"\xff" * 100])
def test_a_damaged_state_is_a_new_start(tmp_path, content):
    """What cannot be read is told, and training begins at the beginning."""
    path, told = tmp_path / "t.safetensors", []
    path.write_bytes(content)
    assert load_training_state(path, told.append) is None
    assert [str(path) in sentence for sentence in told] == [True]


def test_a_state_without_its_step_is_a_new_start(tmp_path):
    """Somebody else's tensors are no training state."""
    save_file({"parameter/x": torch.zeros(1)}, tmp_path / "t.safetensors", metadata={"format": "pt"})
    assert load_training_state(tmp_path / "t.safetensors") is None


def test_a_folder_that_cannot_be_made_is_reported(saved, adaptation, identity):
    """What the system refuses, not safetensors, ends in the same sentence."""
    with pytest.raises(WriteError, match=r"could not write .*File exists.*Mend that and run"):
        save_adaptation(saved / "inside.safetensors", adaptation, identity)


def test_a_full_disk_keeps_the_previous_state(tmp_path, state):
    """The run stops with the cure and can continue from the state before."""
    path = tmp_path / "t.safetensors"
    save_training_state(path, state)
    state.step = 18
    with full_disk(), pytest.raises(WriteError, match="continues where it stopped"):
        save_training_state(path, state)
    assert load_training_state(path).step == 17
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


# ---- LoRA that began as another's ------------------------------------------------------------------


@pytest.fixture
def begun(tmp_path, tiny_backbone):
    """The path of an adaptation whose LoRA began as one that PEFT could have made: of one layer, and of rank 3."""
    made = adapters.build("lora", {"rank": 3, "alpha": 5, "targets": ["query"]})(tiny_backbone.stack, range(2, 3), [])
    export_peft(made, tiny_backbone.stack, tmp_path / "lora", "some/model")
    block = {"name": "lora", "start": str(tmp_path / "lora")}
    parts = build_adaptation(
        prompt=None,
        adapter=Block.model_validate(block),
        stack=tiny_backbone.stack,
        cut=1,
        languages=["yor-Latn"],
        head=LinearClassifier(24, 2),
        initial=lambda how, layer, count: torch.zeros(count, 24),
    )
    save_adaptation(tmp_path / "begun.safetensors", parts, identity_of(tiny_backbone, adapter=block))
    return tmp_path / "begun.safetensors"


def test_a_lora_comes_back_with_the_places_and_the_rank_of_its_start(begun, tiny_backbone):
    """Which is there no more."""
    shutil.rmtree(begun.parent / "lora")
    loaded, _ = load_adaptation(begun, tiny_backbone)
    assert list(loaded.adapter.matrices()) == [(2, "attention.self.query")]
    saved = load_file(begun)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in loaded.state_dict().items())
    assert float(loaded.adapter.alpha) == 5


def test_matrices_of_other_shapes_than_a_layer_s_are_refused(begun, tiny_backbone):
    """Wherever they began: in one line."""
    tensors = load_file(begun)
    with safe_open(begun, framework="pt") as file:
        about = file.metadata()
    tensors["adapter.task.2.attention/self/query.A"] = torch.zeros(3, 23)
    save_file(tensors, begun, about)
    with pytest.raises(CheckpointError, match=r"query in layer 2 are not for one of shape \(24, 24\)"):
        load_adaptation(begun, tiny_backbone)
