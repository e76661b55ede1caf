"""Encoder-decoders that answer: losses and texts are Hugging Face's, whatever batch, cut or mode they come from."""

import json
from copy import deepcopy

import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from lingraft.backbones import backbones
from lingraft.backbones.digests import weights_digest
from lingraft.backbones.encoder_decoder import write
from lingraft.backbones.encoding import encode
from lingraft.backbones.loading import load_backbone, refuse_missing_decoder
from lingraft.backbones.walk import at_layer, pad_batch
from lingraft.core.errors import CheckpointError
from lingraft.core.records import IDS, Features
from lingraft.model.adaptation import Adaptation
from lingraft.model.heads.language_model import LanguageModelHead
from lingraft.model.network import GraftedModel
from lingraft.tasks.kinds.written import answer_loss, collate_counts
from tiny import random_model, save_checkpoint, seq2seq_tokenizer, writing_model

CPU = torch.device("cpu")
FAMILIES = ["mt5", "t5", "umt5"]


def ids(*lengths, seed=5):
    """Random texts of so many tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(5, 37, (length,), generator=generator).tolist() for length in lengths]


def padded(rows, value, *, left=False):
    """Rows of one length."""
    longest = max(map(len, rows))
    return torch.tensor(
        [[value] * (longest - len(row)) + row if left else row + [value] * (longest - len(row)) for row in rows]
    )


def answering(tmp_path, family, *, tied=True, sharpness=1):
    """A random whole model as transformers reads it, and ours, both from one folder."""
    model = writing_model(family, tied=tied, sharpness=sharpness)
    folder = str(save_checkpoint(tmp_path, model, seq2seq_tokenizer()))
    theirs = type(model).from_pretrained(folder).eval()
    theirs.config.tie_word_embeddings = tied  # transformers 5 says yes of every umT5, whose logits it would then scale
    return theirs, load_backbone(folder, writing=True)


def features(texts, answers):
    """Rows whose answers are apart."""
    pairs = zip(texts, answers, strict=True)
    return [Features(str(i), tuple(text), target=len(said), answer=tuple(said)) for i, (text, said) in enumerate(pairs)]


def our_loss(backbone, texts, answers, cut, *, training=False):
    """The loss of the frozen model, from states at the cut."""
    rows = features(texts, answers)
    encoded = encode(rows, backbone, cut=cut, dtype="float32", max_bytes=10**9, device=CPU)
    network = GraftedModel(backbone.stack, Adaptation(None, None, LanguageModelHead(8))).train(training)
    states = encoded.batch(range(len(rows)))
    _, logits = network(states, "eng-Latn")
    targets, ones = collate_counts([row.target for row in rows], 0), torch.ones(len(rows))
    return answer_loss(logits, targets, states.mask, ones, ones)


def test_a_decoder_with_fewer_layers_than_are_stored_is_refused(tmp_path):
    """By whoever asks it for answers; the encoder alone is whole."""
    folder = save_checkpoint(tmp_path, writing_model("t5"), seq2seq_tokenizer())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"num_decoder_layers": 1}), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"has fewer layers than the weights, which store decoder\.block\.1\."):
        load_backbone(str(folder), writing=True)
    assert load_backbone(str(folder)).stack.decoder is None


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_hugging_face_s(tmp_path, family, tied):
    """Texts and answers of several lengths or alone, padded on the other side there, from words and from any cut."""
    theirs, backbone = answering(tmp_path, family, tied=tied)
    for lengths, said in (((40, 7, 23), (5, 1, 8)), ((1,), (1,))):
        texts, answers = ids(*lengths), ids(*said, seed=6)
        given, labels = padded(texts, 0, left=True), padded(answers, -100)
        with torch.no_grad():
            expected = theirs(input_ids=given, attention_mask=(given != 0).long(), labels=labels).loss.item()
        for cut in range(IDS, backbone.stack.num_layers + 1):
            for training in (False, True):
                found = our_loss(backbone, texts, answers, cut, training=training).item()
                assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_hugging_face_s_in_train_mode_without_dropout(tmp_path, family):
    """Theirs in train mode; ours never leaves eval mode below what is trained."""
    theirs, backbone = answering(tmp_path, family)
    theirs.train()
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        module.dropout = (
            0.0 if isinstance(getattr(module, "dropout", None), float) else getattr(module, "dropout", None)
        )
    texts, answers = ids(12, 5), ids(4, 6, seed=6)
    given = padded(texts, 0)

    expected = theirs(input_ids=given, attention_mask=(given != 0).long(), labels=padded(answers, -100)).loss

    assert our_loss(backbone, texts, answers, 1, training=True).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_is_what_hugging_face_generates(tmp_path, family, tied):
    """Token for token, for texts of several lengths in one batch, some of which end earlier than others."""
    theirs, backbone = answering(tmp_path, family, tied=tied, sharpness=3)
    stack, texts = backbone.stack, ids(40, 7, 23, 1, 12, 30)
    given, most = padded(texts, 0), 16

    def generated(end):
        options = {"max_new_tokens": most, "do_sample": False, "eos_token_id": end}
        return theirs.generate(input_ids=given, attention_mask=(given != 0).long(), **options)[:, 1:].tolist()

    end = generated(10**6)[1][-1]  # what one of the texts is answered with
    expected = [row[: row.index(end)] if end in row else row for row in generated(end)]
    with torch.no_grad():
        states = at_layer(stack, pad_batch(texts, stack, CPU), stack.num_layers)
        final = states.__class__(stack.finish(states.tokens), states.mask, states.layer)

    found = write(stack, final, most=most, ends=lambda token: token == end)

    assert [list(one.ids) for one in found] == expected
    lengths = {len(row) for row in expected}
    assert len(lengths) > 1  # else nothing was taken out of a batch
    for one, text in zip(found, texts, strict=True):
        said = [*one.ids, end] if len(one.ids) < most else [*one.ids]
        chance = -our_loss(backbone, [text], [said], IDS).item() * len(said)
        assert one.probability == pytest.approx(torch.tensor(chance).exp().item(), rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_that_states_get_is_hugging_face_s(tmp_path, family):
    """What the decoder says goes back to the encoder's final states, and nothing else has a gradient."""
    theirs, backbone = answering(tmp_path, family)
    texts, answers = ids(8, 8), ids(3, 5, seed=6)
    mask = torch.ones(2, 8, dtype=torch.long)
    states = torch.randn(2, 8, 24, generator=torch.Generator().manual_seed(1))
    there, here = states.clone().requires_grad_(), states.clone().requires_grad_()
    labels = padded(answers, -100)
    theirs(encoder_outputs=BaseModelOutput(there), attention_mask=mask, labels=labels).loss.backward()
    encoded = pad_batch(texts, backbone.stack, CPU)
    said = labels.masked_fill(labels < 0, -1)
    final = type(encoded)(here, mask, backbone.stack.num_layers, said=said)

    logits = LanguageModelHead(8).logits(final, backbone.stack)
    (-logits.sum() / sum(map(len, answers))).backward()

    torch.testing.assert_close(here.grad, there.grad, atol=1e-6, rtol=1e-4)
    assert all(parameter.grad is None for parameter in backbone.stack.parameters())


def test_in_bfloat16_products_the_loss_is_nearly_the_same(tmp_path):
    """Whatever the decoder's attention adds to its scores."""
    _, backbone = answering(tmp_path, "t5")
    texts, answers = ids(12, 5), ids(4, 6, seed=6)
    exact = our_loss(backbone, texts, answers, IDS).item()
    backbone.stack.precision = "bfloat16"

    assert our_loss(backbone, texts, answers, IDS).item() == pytest.approx(exact, rel=0.05)


def test_weights_stored_in_16_bit_answer_as_their_float32_numbers_do(tmp_path):
    """Also where matrices of the encoder stay in 16 bit."""
    whole = writing_model("mt5", tied=False).to(torch.bfloat16)
    save_checkpoint(tmp_path / "narrow", whole, seq2seq_tokenizer())
    save_checkpoint(tmp_path / "wide", deepcopy(whole).float(), seq2seq_tokenizer())
    texts, answers = ids(12, 5), ids(4, 6, seed=6)
    expected = our_loss(load_backbone(str(tmp_path / "wide"), writing=True), texts, answers, IDS).item()

    for weights in ("float32", "stored"):
        backbone = load_backbone(str(tmp_path / "narrow"), weights=weights, writing=True)
        assert our_loss(backbone, texts, answers, IDS).item() == pytest.approx(expected, abs=1e-6)


def test_the_decoder_changes_neither_the_encoder_s_digest_nor_its_states(tmp_path):
    """So cached states serve both; the decoder has a digest of its own, remembered with the other."""
    _, whole = answering(tmp_path, "mt5")
    alone = load_backbone(str(tmp_path))

    assert alone.weights_digest == whole.weights_digest
    assert alone.decoder_digest == ""
    assert whole.decoder_digest == weights_digest(whole.stack.decoder) != whole.weights_digest
    with torch.no_grad():
        next(whole.stack.decoder.parameters()).add_(1)
    assert weights_digest(whole.stack.decoder) != whole.decoder_digest
    assert weights_digest(whole.stack) == whole.weights_digest


def test_an_encoder_alone_cannot_write(tmp_path):
    """Neither when weights are read, nor before, where its files are looked at."""
    checkpoint = str(save_checkpoint(tmp_path, random_model("mt5"), seq2seq_tokenizer()))
    with pytest.raises(CheckpointError, match=r"has the encoder alone \(no tensor decoder"):
        load_backbone(checkpoint, writing=True)
    with pytest.raises(CheckpointError, match="has the encoder alone"):
        refuse_missing_decoder(checkpoint)
    stack = load_backbone(checkpoint).stack
    with pytest.raises(CheckpointError, match="was loaded without its decoder"):
        stack.speak(torch.zeros(1, stack.width))


def test_a_head_that_is_missing_is_not_taken_from_the_words(tmp_path):
    """A configuration that says words are not tied, and no matrix of the head: transformers would tie them."""
    model = writing_model("mt5")
    checkpoint = save_checkpoint(tmp_path, model, seq2seq_tokenizer())
    config = checkpoint / "config.json"
    config.write_text(config.read_text().replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
    with pytest.raises(CheckpointError, match=r"lacks the language-model head \(lm_head.weight\)"):
        load_backbone(str(checkpoint), writing=True)


@pytest.mark.parametrize("start", [None, -1, 37])
def test_a_configuration_without_a_first_token_is_refused(start):
    """Or with one that is not among the 37 words: in one sentence."""
    model = writing_model("t5")
    model.config.decoder_start_token_id = start
    with pytest.raises(CheckpointError, match=rf"begins with .* a number from 0 to 36, found {start}; add"):
        backbones.build("t5")(model)
