"""A run as a merged checkpoint, and as PEFT's LoRA: loaded by those who will use it."""

import runpy
from dataclasses import replace

import pytest
import torch

from answering import adapted_of
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.pooling import pooled_by
from lingraft.core.errors import CheckpointError
from lingraft.core.examples import PairExample, SpanExample, TaggedExample
from lingraft.model.adaptation import build_adaptation
from lingraft.model.ensembles import LanguageEnsemble
from lingraft.model.maps import LanguageMap
from lingraft.recipe.blocks import Block
from lingraft.serving.export import Trained
from lingraft.serving.export.hf import write_hf
from lingraft.serving.export.peft import write_peft
from tiny import random_model, save_checkpoint

CODE = "yor-Latn"
LORA = Block(name="lora", rank=2)
WORDS = (("ada", "beli", "cora"), ("eli", "fara", "goma", "hilu", "iva"))
QUESTIONS = (("ada beli", "cora dune eli fara"), ("iva", "goma hilu"))


def grafted(backbone, kind="classification", *, prompt=None, adapter=LORA, unfrozen=(), **known):
    """A loaded run whose parts are random."""
    adapted = adapted_of(backbone, kind, **known)
    torch.manual_seed(1)
    parts = build_adaptation(
        prompt=prompt,
        adapter=adapter,
        stack=backbone.stack,
        cut=1,
        languages=(CODE,),
        head=adapted.model.adaptation.head,
        initial=lambda how, layer, count: torch.randn(count, backbone.stack.width),
        unfrozen=unfrozen,
    )
    for parameter in parts.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    adapted.model.adaptation = parts.eval()
    return adapted


def trained(adapted, folder, **options):
    """What is exported."""
    return Trained(folder / "run", adapted, CODE, **options)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "deberta-v2", "llama", "qwen3", "gpt2", "t5"])
def test_tags_come_from_the_merged_checkpoint(family, tmp_path):
    """The token classes of Hugging Face's own model are the run's tags, by their names."""
    from transformers import AutoModelForTokenClassification

    save_checkpoint(tmp_path / "base", random_model(family))
    adapted = grafted(load_backbone(str(tmp_path / "base")), "tagging")
    write_hf(trained(adapted, tmp_path), tmp_path / "out")
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    examples = [TaggedExample(str(i), str(i), CODE, words=words) for i, words in enumerate(WORDS)]
    rows = adapted.kind.encode(examples, adapted.backbone.tokenizer, 32, "")
    for row, expected in zip(rows, adapted.logits(examples, CODE), strict=True):
        with torch.no_grad():
            found = model(input_ids=torch.tensor([row.input_ids])).logits[0]
        assert (found - expected).abs().max() < 1e-4
    assert tuple(model.config.id2label.values()) == adapted.identity.labels


def test_a_pipeline_tags_words(tiny_backbone, tmp_path):
    """With the run's tags, spans aside."""
    from transformers import pipeline

    adapted = grafted(tiny_backbone, "tagging", kind_options={"scheme": "plain"})
    write_hf(trained(adapted, tmp_path), tmp_path / "out")
    tagger = pipeline("token-classification", model=str(tmp_path / "out"), ignore_labels=[])
    expected = adapted.predict([list(words) for words in WORDS], language=CODE)
    found = [[one["entity"] for one in tagger(" ".join(words))] for words in WORDS]
    assert found == [answer.value.split() for answer in expected]


def test_answers_come_from_the_merged_checkpoint(tiny_backbone, tmp_path):
    """Scores of first and last tokens, with whole layers trained beside none."""
    from transformers import AutoModelForQuestionAnswering

    weight = "layers.2.output.dense.weight"
    adapted = grafted(tiny_backbone, "span_qa", adapter=None, unfrozen=[weight])
    write_hf(trained(adapted, tmp_path), tmp_path / "out")
    model = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "out").eval()
    examples = [
        SpanExample(str(i), str(i), CODE, question=question, context=context)
        for i, (question, context) in enumerate(QUESTIONS)
    ]
    rows = adapted.kind.encode(examples, adapted.backbone.tokenizer, 32, "")
    for row, expected in zip(rows, adapted.logits(examples, CODE), strict=True):
        with torch.no_grad():
            given = model(input_ids=torch.tensor([row.input_ids]))
        found = torch.stack([given.start_logits[0], given.end_logits[0]], -1)
        assert (found - expected).abs().max() < 1e-4
    assert not torch.equal(
        model.base_model.encoder.layer[2].output.dense.weight, tiny_backbone.stack.get_parameter(weight)
    )


@pytest.mark.parametrize(
    ("family", "pooling"),
    [("bert", "mean"), ("llama", "mean"), ("llama", "last"), ("gpt2", "mean"), ("t5", "mean")],
)
def test_peft_loads_the_adapter_and_the_lines_beside_it_the_head(family, pooling, tmp_path):
    """Logits of texts and of pairs are the run's, prefix included; a decoder's mean leaves out what opens a text."""
    pytest.importorskip("peft")
    save_checkpoint(tmp_path / "base", random_model(family))
    adapted = grafted(pooled_by(load_backbone(str(tmp_path / "base")), pooling), text_prefix="luma ")
    write_peft(trained(adapted, tmp_path), tmp_path / "out")
    texts = ["ada beli", "cora dune eli fara"]
    loaded = runpy.run_path(str(tmp_path / "out" / "load.py"))
    examples = [PairExample(str(i), str(i), CODE, text_a=text) for i, text in enumerate(texts)]
    with torch.no_grad():
        found = loaded["logits"](texts)
    assert (found - torch.stack(adapted.logits(examples, CODE))).abs().max() < 1e-4
    pairs = [PairExample(one.id, one.group, CODE, text_a=one.text_a, text_b="goma iva") for one in examples]
    with torch.no_grad():
        found = loaded["logits"](texts, ["goma iva"] * 2)
    assert (found - torch.stack(adapted.logits(pairs, CODE))).abs().max() < 1e-4
    assert tuple(loaded["LABELS"]) == adapted.identity.labels


@pytest.mark.parametrize("write", [write_hf, write_peft])
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"prompt": Block(name="deep", length=2)}, "has the prompt deep, which"),
        ({"adapter": Block(name="bottleneck", width=4)}, "has the adapter bottleneck, which"),
    ],
)
def test_a_part_that_a_format_cannot_hold_is_refused(write, parts, message, tiny_backbone, tmp_path):
    """By its name, never left out."""
    described = {name: {"name": block.name} for name, block in parts.items()}
    adapted = grafted(tiny_backbone, "tagging", **parts)
    adapted = replace(adapted, identity=replace(adapted.identity, **described))
    with pytest.raises(CheckpointError, match=message):
        write(trained(adapted, tmp_path), tmp_path / "out")


def test_what_answers_beside_the_network_is_refused_unless_it_may_be_left_out(tiny_backbone, tmp_path):
    """A language's map is not in PEFT's format; the network alone is, when asked for."""
    pytest.importorskip("peft")
    adapted, width = grafted(tiny_backbone), tiny_backbone.stack.width
    sizes = ((width,), (width,), (width, 2), (2, width), (2,))
    moving = LanguageMap(*(torch.randn(*size) for size in sizes))
    adapted.model.adaptation.add_ensemble(CODE, LanguageEnsemble(torch.ones(1), moving, {}))
    with pytest.raises(CheckpointError, match="ensembles a map or character n-grams with the network"):
        write_peft(trained(adapted, tmp_path), tmp_path / "out")
    write_peft(trained(adapted, tmp_path, ensembled=False), tmp_path / "out")
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()


def test_classes_of_texts_are_refused_as_a_checkpoint(tiny_backbone, tmp_path):
    """Hugging Face's classifiers read another token; the way out is named."""
    with pytest.raises(CheckpointError, match=r"answers come from the mean of all tokens.*use --to onnx"):
        write_hf(trained(grafted(tiny_backbone), tmp_path), tmp_path / "out")


@pytest.mark.parametrize("family", ["modernbert", "xglm"])
def test_a_head_that_is_no_linear_layer_is_refused(family, tmp_path):
    """ModernBERT's token classifier has a layer more than a run's head, XGLM has none."""
    save_checkpoint(tmp_path / "base", random_model(family))
    adapted = grafted(load_backbone(str(tmp_path / "base")), "tagging", adapter=None)
    with pytest.raises(CheckpointError, match=f"is more than one linear layer for {family} models, or there is none"):
        write_hf(trained(adapted, tmp_path), tmp_path / "out")
