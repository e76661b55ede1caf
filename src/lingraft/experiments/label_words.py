"""The method ``label-words``: a decoder says how likely the words of each label are; no label is needed or read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from ..backbones.causal import CausalStack
from ..backbones.encoder_decoder import EncoderDecoderStack
from ..backbones.loading import load_tokenizer, refuse_missing_decoder
from ..core.errors import CheckpointError, ConfigError
from ..core.examples import ChoiceExample, Example
from ..core.prompt_template import problem_of
from ..core.records import Prediction, Trial
from ..model.label_words import calibrate_batch, put_questions, score_answers
from ..recipe.label_words import LabelWordsSettings
from ..tasks.material import Materials
from ..training.pools import Context
from .methods import LABEL_WORDS, Method
from .peers import ImpossibleError
from .scoring import score_trial


def check_words(methods: Iterable[Method], materials: Materials) -> None:
    """Refuse templates and words that do not fit a task.

    Raises:
        ConfigError: Some do not.
    """
    asking = [method for method in methods if method.network == LABEL_WORDS]
    problems = [problem for method in asking for problem in _problems(method, materials)]
    if problems:
        raise ConfigError([f"compare.label_words: {problem}" for problem in dict.fromkeys(problems)])


def _problems(method: Method, materials: Materials) -> list[str]:
    kind, settings = materials.task.kind, settings_of(method)
    if kind.prompted is None:
        return []  # the method is impossible, which is said in its place
    texts = kind.prompted.texts if materials.paired else [name for name in kind.prompted.texts if name != "text_b"]
    known = dict.fromkeys([*texts, *kind.prompted.others, kind.prompted.answer])
    problem = problem_of(settings.template, known, once=(kind.prompted.answer,))
    problems = [f"template: {problem}"] if problem else []
    if strange := [label for label in settings.words if label not in kind.labels]:
        labels = f"labels are {', '.join(kind.labels)}" if kind.labels else f"{kind.name} has no labels"
        problems.append(f"words: {strange[0]} is no label; {labels}")
    said = [" ".join(settings.words.get(label, label).split()) for label in kind.labels]
    if twice := next((words for words in said if said.count(words) > 1), None):
        same = " and ".join(label for label, words in zip(kind.labels, said, strict=True) if words == twice)
        problems.append(f"words: {same} have the same words, {twice!r}; only the first would be answered: change one")
    if settings.batch_calibration and not kind.class_logits:
        problems.append(f"batch_calibration: is about classes, which {kind.name} does not have; leave it out")
    return problems


def settings_of(method: Method) -> LabelWordsSettings:
    """Return what the method asks."""
    return LabelWordsSettings.model_validate(method.options)


def needs_decoder(method: Method) -> bool:
    """Return whether a method asks the decoder of an encoder-decoder, as far as the checkpoint has one."""
    if method.network != LABEL_WORDS:
        return False
    try:
        refuse_missing_decoder(method.recipe.backbone.checkpoint)
    except CheckpointError:
        return False
    return True


def count_answers(method: Method, materials: Materials) -> int:
    """Count the tokens of all that is said of development and test texts: the words of every label, or alternative."""
    tokenizer, words = load_tokenizer(method.recipe.backbone.checkpoint), settings_of(method).words

    @cache
    def length(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    labels = sum(length(words.get(label, label)) for label in materials.task.labels)
    examples = [*materials.dev, *(example for examples in materials.test.values() for example in examples)]
    return sum(
        sum(map(length, example.alternatives)) if isinstance(example, ChoiceExample) else labels for example in examples
    )


def refuse_speechless(context: Context) -> None:
    """Refuse a model that does not say any words.

    Raises:
        ImpossibleError: It is one.
    """
    stack = context.backbone.stack
    if context.recipe.backbone.layers is not None:
        raise ImpossibleError("label words are said by the last layer, and backbone.layers leaves it out")
    if isinstance(stack, EncoderDecoderStack) and stack.decoder is None:
        raise ImpossibleError(f"label words need a decoder, and {context.backbone.name} has its encoder alone")
    if not isinstance(stack, CausalStack | EncoderDecoderStack):
        raise ImpossibleError(
            f"label words need a decoder, and {context.backbone.name} is of the family "
            f"{stack.configuration['model_type']}"
        )


def run_label_words(trial: Trial, folder: Path, context: Context, method: Method) -> None:
    """Ask, and score; files as after a training.

    Args:
        trial: Shots, draw and seed, none of which matter.
        folder: Of the method.
        context: What all trials share; pools are not looked at.
        method: Has the template.
    """
    started, materials = time.monotonic(), context.materials
    source = materials.task.source_language
    asked = {(language, "test"): examples for language, examples in materials.test.items()}
    asked[source, "dev"] = materials.dev
    answers = {key: _answers(examples, context, method) for key, examples in asked.items()}
    facts: dict[str, Any] = {"seconds": time.monotonic() - started, "trained": 0}
    score_trial(trial, folder, context, method.name, lambda language, purpose, _: answers[language, purpose], facts)


def _answers(examples: Sequence[Example], context: Context, method: Method) -> list[Prediction]:
    """Predict examples by the likeliest words; those that are given together are calibrated together."""
    if not examples:
        return []
    settings, backbone, recipe = settings_of(method), context.backbone, context.recipe
    kind, max_length = context.materials.task.kind, recipe.backbone.max_length

    def scores(*, blank: bool) -> list[torch.Tensor]:
        questions = put_questions(
            examples,
            kind,
            backbone,
            template=settings.template,
            words=settings.words,
            max_length=max_length,
            blank=blank,
        )
        return score_answers(questions, backbone, context.device, max_bytes=int(recipe.cache.max_gigabytes * 1e9))

    found = scores(blank=False)
    if settings.pmi:
        found = [said - anyway for said, anyway in zip(found, scores(blank=True), strict=True)]
    if settings.batch_calibration:
        found = list(calibrate_batch(torch.stack(found)))
    features = kind.encode(examples, backbone.tokenizer, max_length, backbone.text_prefix)
    rows = found if kind.class_logits else [score[None] for one in found for score in one]
    return kind.decode(examples, features, rows)
