"""Label words: as likely as Hugging Face's loss says of the same text, read once, cut where a prompt allows."""

import numpy as np
import pytest
import torch

from lingraft.backbones.loading import load_backbone
from lingraft.core.errors import DataError
from lingraft.core.examples import ChoiceExample, PairExample
from lingraft.model import label_words
from lingraft.model.label_words import calibrate_batch, put_questions, score_answers
from lingraft.tasks.kinds.choice import choice_kind
from lingraft.tasks.kinds.classification import classification_kind
from tiny import decoder_tokenizer, random_model, save_checkpoint, seq2seq_tokenizer, writing_model

CPU = torch.device("cpu")
GIGABYTE = 10**9
KIND = classification_kind(labels=["bird", "river"])
WORDS = {"bird": "zeno bako", "river": "cire"}
TEMPLATE = "{text}\nwina {label}"
TEXTS = [PairExample(str(i), str(i), "eng-Latn", text_a=text) for i, text in enumerate(["ada beli cora", "dune"])]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    """A random llama with its head, and how it is loaded."""
    model = random_model("llama", speaking=True)
    folder = save_checkpoint(tmp_path_factory.mktemp("llama"), model, decoder_tokenizer())
    return model, load_backbone(str(folder))


def asked(backbone, examples=TEXTS, kind=KIND, **options):
    """The questions of some examples."""
    given = {"template": TEMPLATE, "words": WORDS, "max_length": 64} | options
    return put_questions(examples, kind, backbone, **given)


def loss_of(model, tokenizer, before, after):
    """Hugging Face's loss of what follows, summed over its tokens."""
    beginning = tokenizer(before)["input_ids"]
    ids = torch.tensor([[*beginning, *tokenizer(after, add_special_tokens=False)["input_ids"]]])
    labels = ids.masked_fill(torch.arange(ids.shape[1]) < len(beginning), -100)
    with torch.no_grad():
        mean = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    return mean.item() * int((labels != -100).sum())


def test_a_label_scores_what_hugging_face_loses_by_it(decoder):
    """Summed over the tokens of its words, one or several."""
    model, backbone = decoder

    found = score_answers(asked(backbone), backbone, CPU, max_bytes=GIGABYTE)

    for example, scores in zip(TEXTS, found, strict=True):
        expected = [
            -loss_of(model, backbone.tokenizer, f"{example.text_a}\nwina", word) for word in ("zeno bako", "cire")
        ]
        assert scores.tolist() == pytest.approx(expected, abs=1e-4)


def test_what_stands_behind_the_label_counts_as_well(decoder):
    """Of a template whose label comes first, the likelihood of the text is compared (a noisy channel)."""
    model, backbone = decoder

    (scores,) = score_answers(
        asked(backbone, TEXTS[:1], template="wina {label} {text}"), backbone, CPU, max_bytes=GIGABYTE
    )

    expected = [-loss_of(model, backbone.tokenizer, "wina", f"{word} ada beli cora") for word in ("zeno bako", "cire")]
    assert scores.tolist() == pytest.approx(expected, abs=1e-4)


def test_alternatives_follow_the_same_text(decoder):
    """Each item has its own, as many as it likes; the question is put in words."""
    model, backbone = decoder
    items = [
        ChoiceExample("1", "1", "eng-Latn", text="ada", question="cause", alternatives=("beli", "cora dune", "eli")),
        ChoiceExample("2", "2", "eng-Latn", text="fara", alternatives=("goma", "hilu")),
    ]
    kind = choice_kind(questions={"cause": "quna"})

    questions = asked(backbone, items, kind, template="{text} {question} {alternative}")
    found = score_answers(questions, backbone, CPU, max_bytes=GIGABYTE)

    assert [len(scores) for scores in found] == [3, 2]
    expected = [-loss_of(model, backbone.tokenizer, "ada quna", one) for one in items[0].alternatives]
    assert found[0].tolist() == pytest.approx(expected, abs=1e-4)


def test_blank_questions_leave_the_texts_out_and_keep_the_wording(decoder):
    """What pointwise mutual information takes off."""
    _, backbone = decoder
    (blank,) = asked(backbone, TEXTS[:1], blank=True)

    assert backbone.tokenizer.decode(blank.beginning) == backbone.tokenizer.decode(
        backbone.tokenizer("\nwina")["input_ids"]
    )
    assert blank.answers == asked(backbone)[0].answers
    item = ChoiceExample("1", "1", "eng-Latn", text="ada", question="cause", alternatives=("beli", "cora"))
    kind, template = choice_kind(questions={"cause": "quna"}), "{text} {question} {alternative}"
    (of_choice,) = asked(backbone, [item], kind, template=template, blank=True)
    assert of_choice.beginning == tuple(backbone.tokenizer("quna")["input_ids"])


def test_a_text_that_is_too_long_loses_its_end(decoder):
    """Until prompt and longest answer fit; the template stays whole."""
    _, backbone = decoder
    long = PairExample("1", "1", "eng-Latn", text_a=" ".join(["ada", "beli", "cora"] * 5))

    (question,) = asked(backbone, [long], max_length=10)

    expected = backbone.tokenizer("ada beli cora ada beli\nwina")["input_ids"]
    assert list(question.beginning) == expected
    assert len(expected) + 2 == 10


def test_a_template_that_is_too_long_itself_is_refused(decoder):
    """There is nothing left to cut."""
    _, backbone = decoder
    with pytest.raises(DataError, match="and the longest answer alone take 5 tokens, and there is room for 4"):
        asked(backbone, max_length=4)


def test_an_answer_without_a_token_is_refused(decoder):
    """Nothing could be likely."""
    _, backbone = decoder
    with pytest.raises(DataError, match="an answer has no token"):
        asked(backbone, words={"bird": " ", "river": "cire"})


def test_labels_of_the_same_tokens_are_refused(decoder):
    """As words that a tokenizer does not know are: all but the first would never be answered."""
    _, backbone = decoder
    with pytest.raises(DataError, match="the words of different labels, 'Vogel' and 'Fluss', are the same tokens"):
        asked(backbone, words={"bird": "Vogel", "river": "Fluss"})


def test_a_prompt_without_a_token_begins_as_a_text_does(tmp_path):
    """With the marker that begins texts, where the tokenizer itself puts none."""
    folder = save_checkpoint(tmp_path, random_model("qwen3", speaking=True), decoder_tokenizer(""))
    (question,) = asked(load_backbone(str(folder)), TEXTS[:1], template="{label}")

    assert question.beginning == (1,)


@pytest.mark.parametrize("family", ["mt5", "t5", "umt5"])
def test_the_decoder_of_an_encoder_decoder_scores_what_hugging_face_loses_by_a_label(family, tmp_path):
    """With what stands behind it; the text takes all of the room."""
    model = writing_model(family)
    backbone = load_backbone(str(save_checkpoint(tmp_path, model, seq2seq_tokenizer())), writing=True)
    long = PairExample("9", "9", "eng-Latn", text_a=" ".join(["ada", "beli"] * 9))
    questions = asked(backbone, [*TEXTS, long], template="{text}\nwina {label} dune", max_length=12)

    found = score_answers(questions, backbone, CPU, max_bytes=GIGABYTE)

    tokenizer = seq2seq_tokenizer()
    for text, scores in zip((*(one.text_a for one in TEXTS), " ".join(["ada", "beli"] * 5)), found, strict=True):
        given = torch.tensor([tokenizer(f"{text} wina")["input_ids"]])
        assert given.shape[1] <= 12
        expected = []
        for word in WORDS.values():
            labels = torch.tensor([tokenizer(f"{word} dune", add_special_tokens=False)["input_ids"]])
            with torch.no_grad():
                expected.append(-model(input_ids=given, labels=labels).loss.item() * labels.shape[1])
        assert scores.tolist() == pytest.approx(expected, abs=1e-4)


def test_scores_are_kept(decoder, monkeypatch, tmp_path):
    """What was asked before is read, and only the rest computed."""
    monkeypatch.setenv("LINGRAFT_CACHE", str(tmp_path))
    _, backbone = decoder
    questions = asked(backbone)
    first = score_answers(questions[:1], backbone, CPU, max_bytes=GIGABYTE)
    counted = []
    whole = label_words.log_likelihoods

    def counting(run, stack, beginnings, answers):
        counted.extend(beginnings)
        return whole(run, stack, beginnings, answers)

    monkeypatch.setattr(label_words, "log_likelihoods", counting)

    again = score_answers([*questions, questions[0]], backbone, CPU, max_bytes=GIGABYTE)

    assert counted == [questions[1].beginning]
    assert torch.equal(again[0], first[0])
    assert torch.equal(again[2], first[0])


def test_batch_calibration_takes_off_the_mean_probability():
    """As a loop over texts and classes has it; a class that all texts favour no longer wins by that."""
    logits = torch.tensor([[3.0, 1.0, 0.0], [4.0, 3.5, 0.0], [3.0, 0.0, 1.0]])
    probabilities = [[np.exp(x) / sum(np.exp(y) for y in row) for x in row] for row in logits.tolist()]
    means = [sum(row[c] for row in probabilities) / 3 for c in range(3)]
    expected = [[np.log(row[c]) - np.log(means[c]) for c in range(3)] for row in probabilities]

    found = calibrate_batch(logits)

    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert logits.argmax(-1).tolist() == [0, 0, 0]
    assert found.argmax(-1).tolist() == [0, 1, 2]
