"""Reading on: as likely as Hugging Face says, generated as it does, and as if all were read again at every token."""

import math

import pytest
import torch

from lingraft.backbones import backbones
from lingraft.backbones.language_head import add_language_head
from lingraft.backbones.loading import load_backbone
from lingraft.backbones.reading import (
    common_beginning,
    frozen_forward,
    generate,
    last_states,
    log_likelihoods,
    past_of,
    read,
)
from lingraft.backbones.spelling import Spelling, end_ids
from lingraft.backbones.walk import at_layer, pad_batch
from lingraft.core.errors import CheckpointError
from stacks import DECODERS, speaking
from tiny import decoder_tokenizer, random_model, save_checkpoint, seq2seq_tokenizer

CPU = torch.device("cpu")


def beginnings(*lengths, seed=5):
    """Random texts of so many tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(5, 37, (length,), generator=generator).tolist() for length in lengths]


def say_without_cache(stack, text, most):
    """The likeliest tokens after a text, all of which is read again for each of them."""
    said = []
    for _ in range(most):
        states = at_layer(stack, pad_batch([[*text, *said]], stack, CPU), stack.num_layers)
        last = stack.finish(states.tokens)[0, len(text) + len(said) - 1]
        said.append(int(stack.speak(last).argmax()))
    return said


def say(stack, texts, most, ends):
    """What is generated after some texts."""
    run = frozen_forward(stack)
    with torch.no_grad():
        return generate(run, stack, run(read(texts, CPU)), most=most, ends=ends)


def never(token):
    """Nothing ends a text."""
    return False


@pytest.mark.parametrize("family", DECODERS)
def test_greedy_decoding_is_hugging_face_s_on_texts_padded_on_the_left(family):
    """Token for token, for texts of several lengths, far beyond any window, until the same end."""
    model, stack = speaking(family)
    texts = beginnings(11, 3, 1, 20)
    longest = max(map(len, texts))
    ids = torch.tensor([[0] * (longest - len(text)) + text for text in texts])
    mask = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts])
    theirs = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=24, do_sample=False, eos_token_id=9, pad_token_id=0
    )[:, longest:].tolist()

    ours = say(stack, texts, most=24, ends=lambda token: token == 9)

    assert [list(one.ids) for one in ours] == [row[: row.index(9)] if 9 in row else row for row in theirs]


@pytest.mark.parametrize("family", DECODERS)
def test_with_keys_and_values_kept_the_tokens_are_those_of_reading_all_again(family):
    """Also beyond a window, and for texts of other lengths in the batch."""
    _, stack = speaking(family)
    texts = beginnings(14, 4, 2)

    found = say(stack, texts, most=20, ends=never)

    assert [list(one.ids) for one in found] == [say_without_cache(stack, text, 20) for text in texts]


@pytest.mark.parametrize("family", DECODERS)
def test_states_read_on_are_those_of_the_whole_text(family):
    """A beginning, two pieces that follow it, and padding behind shorter ones."""
    _, stack = speaking(family)
    run = frozen_forward(stack)
    first, second, third = beginnings(12, 5), beginnings(3, 9, seed=6), beginnings(4, 1, seed=7)

    past = past_of(run(read(first, CPU)))
    middle = run(read(second, CPU, past))
    last = run(read(third, CPU, past_of(middle)))

    for row in range(2):
        whole = [*first[row], *second[row], *third[row]]
        expected = stack.finish(at_layer(stack, pad_batch([whole], stack, CPU), stack.num_layers).tokens)[0]
        at = len(first[row])
        for states, piece in ((middle, second[row]), (last, third[row])):
            torch.testing.assert_close(
                states.tokens[row, : len(piece)], expected[at : at + len(piece)], atol=1e-5, rtol=0
            )
            at += len(piece)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", DECODERS)
def test_a_label_is_as_likely_as_hugging_face_s_loss_says(family, tied):
    """Summed over its tokens, for one token or several, after beginnings of several lengths."""
    model, stack = speaking(family, tie_word_embeddings=tied)
    texts = beginnings(13, 6)
    labels = [beginnings(1, 3, 2, seed=8), beginnings(4, 2, seed=9)]

    found = log_likelihoods(frozen_forward(stack), stack, texts, labels)

    assert [len(sums) for sums in found] == [3, 2]
    for text, own, sums in zip(texts, labels, found, strict=True):
        for label, total in zip(own, sums, strict=True):
            ids = torch.tensor([[*text, *label]])
            asked = ids.masked_fill(torch.arange(ids.shape[1]) < len(text), -100)
            with torch.no_grad():
                loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=asked).loss
            assert total == pytest.approx(-loss.item() * len(label), abs=1e-4)


def test_a_beginning_is_read_once_for_all_that_follow_it():
    """Of five labels after two texts: those of the texts once, and of the labels all tokens but the last."""
    _, stack = speaking("llama")
    run, read_tokens = frozen_forward(stack), []

    def counting(states):
        read_tokens.append(int(states.mask.sum()))
        return run(states)

    log_likelihoods(counting, stack, beginnings(13, 6), [beginnings(1, 3, 2), beginnings(4, 2)])

    assert read_tokens == [13 + 6, 3, 2 + 1, 1]


def test_the_probability_of_what_was_generated_is_that_of_its_tokens_and_its_end():
    """As if each were asked for after all before it."""
    _, stack = speaking("qwen3")
    text = beginnings(6)[0]
    said = say_without_cache(stack, text, 4)

    one = say(stack, [text], most=9, ends=lambda token: token == said[3])[0]

    assert list(one.ids) == said[: said.index(said[3])]
    whole = log_likelihoods(frozen_forward(stack), stack, [text], [[said[: said.index(said[3]) + 1]]])[0][0]
    assert one.probability == pytest.approx(math.exp(whole), rel=1e-4)


def test_a_text_ends_where_the_positions_do():
    """However long its neighbours are."""
    _, stack = speaking("gpt2")
    texts = beginnings(stack.max_length - 2, stack.max_length, 5)

    found = say(stack, texts, most=8, ends=never)

    assert [len(one.ids) for one in found] == [3, 1, 8]


@pytest.mark.parametrize("family", ["llama", "gemma3_text", "bloom"])
def test_only_what_may_follow_is_said(family):
    """Of even tokens the likeliest each time in one text, of those not said yet in another, of all in a third.

    The probability is still the model's own, of all tokens.
    """
    _, stack = speaking(family)
    texts = beginnings(9, 4, 2)

    def may_follow(row, said):
        return [range(6, 37, 2), set(range(37)) - set(said), None][row]

    run = frozen_forward(stack)
    with torch.no_grad():
        found = generate(run, stack, run(read(texts, CPU)), most=8, ends=never, may_follow=may_follow)

    for row, (text, one) in enumerate(zip(texts, found, strict=True)):
        said, total = [], 0.0
        for _ in range(8):
            states = at_layer(stack, pad_batch([[*text, *said]], stack, CPU), stack.num_layers)
            last = stack.finish(states.tokens)[0, len(text) + len(said) - 1]
            chances = stack.speak(last).log_softmax(-1)
            allowed = may_follow(row, said)
            best = max(range(37) if allowed is None else allowed, key=lambda token, of=chances: float(of[token]))
            said.append(best)
            total += float(chances[best])
        assert list(one.ids) == said
        assert one.probability == pytest.approx(math.exp(total), rel=1e-3)


def test_an_answer_ends_with_the_end_of_a_text_or_of_a_line():
    """Whichever tokens a tokenizer has for them; one with neither is refused."""
    tokenizer = decoder_tokenizer()
    assert end_ids(tokenizer) == Spelling(tokenizer).end_ids == (2, 4)
    tokenizer.eos_token = None
    assert end_ids(tokenizer) == (4,)
    encoder = seq2seq_tokenizer()
    assert end_ids(encoder) == (2,)
    encoder.eos_token = None
    with pytest.raises(CheckpointError, match="nothing that is written would end"):
        end_ids(encoder)


def test_a_text_without_a_token_is_refused():
    """There is nothing that a first token could follow."""
    with pytest.raises(ValueError, match="at least one token"):
        read([[1], []], CPU)


def test_texts_share_the_tokens_that_they_begin_with():
    """None where the first differ; all of the shortest at most."""
    assert common_beginning([[1, 2, 3], [1, 2, 4], [1, 2]]) == 2
    assert common_beginning([[1, 2], [3, 2]]) == 0
    assert common_beginning([[4, 5]]) == 2


def test_the_last_states_are_those_of_each_text():
    """Not of the padding behind a shorter one."""
    _, stack = speaking("llama")
    final = frozen_forward(stack)(read(beginnings(7, 3), CPU))

    assert torch.equal(last_states(final), torch.stack([final.tokens[0, 6], final.tokens[1, 2]]))


# ---- The matrix of the language-model head -----------------------------------------------------------


def test_the_language_head_comes_from_the_checkpoint(tmp_path):
    """Where words are tied it is the words; where they are not, it is read beside them, and is part of the digest."""
    for family in ("llama", "bloom"):
        model = random_model(family, speaking=True)
        stack = load_backbone(str(save_checkpoint(tmp_path / family, model, decoder_tokenizer()))).stack
        ids = torch.tensor([beginnings(9)[0]])
        with torch.no_grad():
            theirs = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            final = frozen_forward(stack)(read(ids.tolist(), CPU))

            torch.testing.assert_close(stack.speak(final.tokens), theirs, atol=1e-5, rtol=0)

    other = random_model("llama", speaking=True)
    other.lm_head.weight.data += 1
    digests = [
        load_backbone(str(save_checkpoint(tmp_path / name, one, decoder_tokenizer()))).weights_digest
        for name, one in (("same", random_model("llama", speaking=True)), ("other", other))
    ]
    assert load_backbone(str(tmp_path / "llama")).weights_digest == digests[0] != digests[1]


def test_words_in_16_bit_make_logits_in_float32():
    """Widened piece by piece, and the same."""
    _, stack = speaking("gpt2", tie_word_embeddings=True)
    final = torch.randn(2, 3, stack.width, generator=torch.Generator().manual_seed(0))
    stack.words.weight.data = stack.words.weight.data.bfloat16()

    found = stack.speak(final)

    torch.testing.assert_close(found, final @ stack.words.weight.float().T)


def test_a_decoder_without_a_head_says_so(tmp_path):
    """It can be trained on, and cannot speak."""
    folder = save_checkpoint(tmp_path, random_model("llama"), decoder_tokenizer())

    with pytest.raises(CheckpointError, match="no language-model head"):
        load_backbone(str(folder)).stack.speak(torch.zeros(1, 24))


def test_a_head_of_another_shape_is_refused(tmp_path):
    """Its rows would be other words."""
    folder = save_checkpoint(tmp_path, random_model("llama", speaking=True, vocab_size=50), decoder_tokenizer())
    stack = backbones.build("llama")(random_model("llama"))

    with pytest.raises(CheckpointError, match=r"\(50, 24\).*\(37, 24\)"):
        add_language_head(stack, decoder_tokenizer(), [folder / "model.safetensors"], "it")
