"""What a text is read off: which tokens are averaged, and the last one in decoders."""

import pytest
import torch

from lingraft.backbones import backbones
from lingraft.backbones.encoding import encode
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.pooling import pooled_by
from lingraft.backbones.walk import at_layer, frozen_pooled, states_at
from lingraft.core.errors import ConfigError
from lingraft.core.records import Features, Pooling, States
from stacks import build, texts
from tiny import decoder_tokenizer, random_model, save_checkpoint

CPU = torch.device("cpu")
DECODERS = [name for name in backbones.names() if backbones.build(name).facts.causal]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (Pooling(), [[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]),
        (Pooling(opening=1), [[0, 1, 1, 0], [1, 0, 0, 0], [0, 1, 1, 1]]),
        (Pooling(opening=3), [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]),
        (Pooling(opening=1, last=True), [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.long, torch.bool])
def test_which_tokens_count(pooling, expected, dtype):
    """Of texts of three, one and four tokens; what opens a text counts where there is nothing else."""
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], dtype=dtype)
    assert pooling.weights(mask).long().tolist() == expected


def test_virtual_tokens_are_never_the_last():
    """They stand before the text, and padding behind it."""
    tokens = torch.arange(10.0).reshape(1, 5, 2)
    states = States(tokens, torch.tensor([[1, 1, 1, 1, 0]]), 3, prompt_length=2, pooling=Pooling(last=True))
    assert states.pooled().tolist() == [[6.0, 7.0]]


@pytest.mark.parametrize("family", DECODERS)
def test_last_states_are_hugging_face_s(family):
    """Of every family of decoders: the last hidden state of each text's last token."""
    model, stack = build(family)
    ids, mask = texts(9, 5)
    stack.pooling = Pooling(opening=1, last=True)

    found = frozen_pooled(stack, states_at([ids[0].tolist(), ids[1, :5].tolist()], stack, 0, CPU))

    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found, torch.stack([expected[0, 8], expected[1, 4]]), atol=1e-5, rtol=0)


def test_kept_states_of_one_pooling_are_not_taken_for_those_of_the_other(tmp_path):
    """The whole backbone keeps its own; what is pooled by the last token is in a space of its own."""
    backbone = load_backbone(str(save_checkpoint(tmp_path, random_model("llama"), decoder_tokenizer())))
    features = [Features("a", (5, 9, 30, 17)), Features("b", (19, 6))]

    def pooled(one):
        return encode(features, one, cut=1, dtype="float32", max_bytes=10**9, device=CPU).pooled(["a", "b"])

    mean, last, again = pooled(backbone), pooled(pooled_by(backbone, "last")), pooled(backbone)

    assert torch.equal(mean, again)
    final = at_layer(backbone.stack, states_at([one.input_ids for one in features], backbone.stack, 0, CPU), 3)
    normed = backbone.stack.finish(final.tokens)
    torch.testing.assert_close(last, torch.stack([normed[0, 3], normed[1, 1]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(mean, torch.stack([normed[0, 1:].mean(0), normed[1, 1]]), atol=1e-5, rtol=0)
    assert not torch.allclose(mean[0], last[0], atol=1e-3)
    assert not pooled_by(pooled_by(backbone, "last"), "mean").stack.pooling.last


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_models_that_look_ahead_are_refused(family, tmp_path):
    """Every token of theirs has seen the text."""
    backbone = load_backbone(str(save_checkpoint(tmp_path, random_model(family))))
    with pytest.raises(ConfigError, match=rf"pooling: last is for decoders, .* \({family}\) every token has"):
        pooled_by(backbone, "last")
    assert pooled_by(backbone, "mean") is backbone
