"""How likely a decoder finds the words of each label, or each alternative, after a prompt: no label is needed.

That of an encoder-decoder says them to what its encoder makes of the prompt.

The score of an answer is the summed log-likelihood of its tokens (Brown et al., 2020). What all answers of an example
follow is read once, and scores are kept beside the cached states, for every seed, draw and way to compare them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..backbones.causal import CausalStack
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..backbones.kept_rows import keep_rows
from ..backbones.loading import Backbone
from ..backbones.reading import Forward, Ids, frozen_forward, log_likelihoods
from ..backbones.state_cache import space_key
from ..backbones.walk import length_batches, pad_batch
from ..core.errors import DataError
from ..core.examples import Example
from ..core.prompt_template import split_at
from ..core.stored_states import states_folder
from ..tasks.kinds import Kind
from ..tasks.kinds.prompted import Question, put_question
from .heads.language_model import LanguageModelHead

METHOD = "summed log-likelihood of label words, 1"
"""Part of the key of what is kept; changes whenever scores do."""


def put_questions(
    examples: Sequence[Example],
    kind: Kind,
    backbone: Backbone,
    *,
    template: str,
    words: Mapping[str, str],
    max_length: int,
    blank: bool = False,
) -> list[Question]:
    """Fill a template with each example, and cut it into tokens; texts that are too long lose their end.

    Args:
        examples: ``N``, of a kind that can be put in words.
        kind: Theirs.
        backbone: Whose tokenizer reads.
        template: Names the field of the answer once.
        words: What stands for a label.
        max_length: Tokens at most, of prompt and longest answer together.
        blank: Leave the examples' own texts out.

    Raises:
        DataError: The rest of a template alone is too long, an answer has no token, or two labels have the same.
    """
    prompted = kind.prompted
    assert prompted is not None
    found = []
    for example in examples:
        values = dict(prompted.fields(example))
        if blank:
            values |= dict.fromkeys(prompted.texts, "")
        answers = prompted.answers(example) if prompted.answers else [words.get(label, label) for label in kind.labels]
        question = put_question(
            partial(split_at, template, prompted.answer),
            values,
            prompted.texts,
            answers,
            backbone.tokenizer,
            prefix=backbone.text_prefix,
            room=max_length,
            where=example.id,
        )
        if not all(question.answers):
            raise DataError(f"{example.id}: an answer has no token in this tokenizer; give it words that have some")
        twice = [tokens for tokens in question.answers if question.answers.count(tokens) > 1]
        if twice and not prompted.answers:
            same = [repr(words) for words, own in zip(answers, question.answers, strict=True) if own == twice[0]]
            raise DataError(
                f"the words of different labels, {' and '.join(same)}, are the same tokens in this tokenizer, and only "
                "the first would be answered; give words that it knows (compare.label_words.words)"
            )
        found.append(question)
    return found


def _digest(question: Question) -> bytes:
    """Return the name of a question's scores: 16 bytes."""
    return hashlib.blake2b(repr((question.beginning, question.answers)).encode(), digest_size=16).digest()


def score_answers(
    questions: Sequence[Question], backbone: Backbone, device: torch.device, *, max_bytes: int
) -> list[Tensor]:
    """Return the summed log-likelihood of each answer of each question, ``[answers]``; those that are kept are read.

    Args:
        questions: ``N``.
        backbone: A decoder, or an encoder-decoder that was loaded with its own.
        device: Where it computes.
        max_bytes: Bound on the store of states.

    Raises:
        CheckpointError: It has no language-model head.
    """
    stack = backbone.stack
    assert isinstance(stack, CausalStack | EncoderDecoderStack)
    run = frozen_forward(stack)
    states_there = space_key(
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        cut=stack.num_layers,
        dtype="float32",
        precision=stack.precision,
        device=device.type,
    )
    by = f"{states_there}{backbone.decoder_digest}"
    space = states_folder() / hashlib.sha256(f"{METHOD}\0{by}".encode()).hexdigest()

    def compute(missing: Sequence[Question]) -> list[Tensor]:
        found: list[Tensor] = [torch.empty(0)] * len(missing)
        for rows in length_batches([len(question.beginning) for question in missing]):
            batch = [missing[row] for row in rows]
            asked, answers = [one.beginning for one in batch], [one.answers for one in batch]
            if isinstance(stack, CausalStack):
                sums = log_likelihoods(run, stack, asked, answers)
            else:
                sums = _answer_likelihoods(run, stack, asked, answers)
            for row, values in zip(rows, sums, strict=True):
                found[row] = torch.tensor(values)[:, None]
        return found

    wanted = {_digest(question): question for question in questions}
    kept = keep_rows(space, wanted, compute, width=1, layer=stack.num_layers, max_bytes=max_bytes)
    return [kept[_digest(question)][:, 0] for question in questions]


def _answer_likelihoods(
    run: Forward, stack: EncoderDecoderStack, asked: Sequence[Ids], answers: Sequence[Sequence[Ids]]
) -> list[list[float]]:
    """Return the summed log-likelihood of each answer to each text, which the encoder reads once."""
    head, found = LanguageModelHead(1), [list[float]() for _ in asked]
    with torch.no_grad():
        final = run(pad_batch(asked, stack, next(stack.parameters()).device))
        for number in range(max(map(len, answers))):
            rows = [row for row, own in enumerate(answers) if number < len(own)]
            ids = [torch.tensor(answers[row][number]) for row in rows]
            said = pad_sequence(ids, batch_first=True, padding_value=-1).to(final.mask.device)
            sums = head.logits(replace(final.take(rows), said=said), stack)[:, 0]
            for row, value in zip(rows, sums.tolist(), strict=True):
                found[row].append(value)
    return found


def calibrate_batch(logits: Tensor) -> Tensor:
    """Take off the mean probability of each class over a batch (batch calibration: Zhou et al., 2024).

    Args:
        logits: ``[N, C]`` of texts without labels.

    Returns:
        ``log p(class | text) - log mean p(class)``, ``[N, C]``.
    """
    log_probabilities = logits.double().log_softmax(-1)
    prior = torch.logsumexp(log_probabilities, dim=0) - torch.log(torch.tensor(float(len(logits))))
    return (log_probabilities - prior).to(logits.dtype)
