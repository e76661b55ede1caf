"""Full fine-tuning as the documentation of transformers has it: a model for sequence classification, and ``Trainer``.

Its defaults are kept: AdamW at 5e-5 falling linearly, dropout, batches of 8 in three epochs, a pooler and a head that
start at random, no weights for anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...core.progress import Advance
from .libraries import Classifier, Given, Texts, budget, follow, name_padding, trained_parameters, workplace


def count_steps(targets: Sequence[int], *, batch_size: int, epochs: int) -> int:
    """Return the steps of so many epochs over labelled texts."""
    return epochs * math.ceil(len(targets) / batch_size)


def train(given: Given, advance: Advance) -> Classifier:
    """Fine-tune all of a checkpoint on labelled texts, or pairs of them.

    Args:
        given: What a user would give.
        advance: Told of each step.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

    safe = {"trust_remote_code": False, "local_files_only": True}
    with workplace() as folder:
        set_seed(given.seed)
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            given.folder, num_labels=given.classes, dtype=torch.float32, use_safetensors=True, **safe
        )
        tokenizer = AutoTokenizer.from_pretrained(given.folder, **safe)
        name_padding(tokenizer)
        model.config.pad_token_id = tokenizer.pad_token_id  # a decoder's classifier looks at the last token before it

        def rows(texts: Sequence[Texts]) -> list[dict[str, Any]]:
            return [dict(tokenizer(*one, truncation=True, max_length=given.max_length)) for one in texts]

        steps = count_steps(given.targets, batch_size=given.batch_size, epochs=given.epochs)
        arguments = TrainingArguments(
            output_dir=folder,
            learning_rate=given.learning_rate,
            per_device_train_batch_size=given.batch_size,
            num_train_epochs=given.epochs,
            max_steps=budget(steps, given.max_steps),
            seed=given.seed,
            use_cpu=given.device.type == "cpu",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        labelled = [row | {"labels": target} for row, target in zip(rows(given.texts), given.targets, strict=True)]
        trainer: Any = Trainer(model=model, args=arguments, train_dataset=labelled, processing_class=tokenizer)
        follow(trainer, advance)
        trainer.train()

    def logits(texts: Sequence[Texts]) -> Tensor:
        return torch.as_tensor(trainer.predict(rows(texts)).predictions)

    return Classifier(logits, trainer.state.global_step, trained_parameters(model))
