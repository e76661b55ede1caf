"""SetFit (Tunstall et al., 2022), by its own library: what most people do who have a few labels.

The checkpoint is a sentence encoder (the mean over tokens). Pairs of labelled texts, alike or not, teach it which
are close (cosine similarity, mean squared error); on what it then makes of the texts stands scikit-learn's logistic
regression. All is at the library's defaults.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.errors import DataError
from ...core.progress import Advance
from .libraries import Classifier, Given, Texts, budget, follow, name_padding, trained_parameters, workplace


def count_steps(targets: Sequence[int], *, batch_size: int, epochs: int) -> int:
    """Return the steps of so many epochs over all pairs, the rarer kind of which is repeated until both are as many."""
    counts, total = Counter(targets).values(), len(targets)
    alike = sum(count * (count + 1) // 2 for count in counts)  # a text is paired with itself, too
    different = total * (total + 1) // 2 - alike
    return epochs * math.ceil(2 * max(alike, different) / batch_size)


def train(given: Given, advance: Advance) -> Classifier:
    """Train SetFit on labelled texts.

    Args:
        given: What a user would give; one text each.
        advance: Told of each step.

    Raises:
        DataError: There are labels of one class alone.
    """
    if len(set(given.targets)) < 2:
        raise DataError("setfit needs labelled texts of two classes or more; here all have the same label")
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression

    with workplace() as folder:
        model: Any = SetFitModel(model_body=sentence_encoder(given), model_head=LogisticRegression())
        steps = count_steps(given.targets, batch_size=given.batch_size, epochs=given.epochs)
        arguments = TrainingArguments(
            output_dir=folder,
            body_learning_rate=given.learning_rate,
            batch_size=given.batch_size,
            num_epochs=given.epochs,
            max_steps=budget(steps, given.max_steps),
            seed=given.seed,
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
        )
        labelled = Dataset.from_dict({"text": [text for (text,) in given.texts], "label": list(given.targets)})
        trainer: Any = Trainer(model=model, args=arguments, train_dataset=labelled)
        follow(trainer.st_trainer, advance)
        trainer.train()
    head = model.model_head

    def logits(texts: Sequence[Texts]) -> Tensor:
        found = model.predict_proba([text for (text,) in texts], as_numpy=True, show_progress_bar=False)
        return log_of_classes(found, head.classes_, given.classes)

    trained = trained_parameters(model.model_body) + head.coef_.size + head.intercept_.size
    return Classifier(logits, trainer.st_trainer.state.global_step, trained)


def sentence_encoder(given: Given) -> Any:
    """Return the checkpoint as a sentence encoder: the mean over its last states, as where it is none yet.

    It is put together from its parts, for what a folder says of such parts may name any code, and its head any pickle.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    safe = {"trust_remote_code": False, "local_files_only": True}
    transformer = Transformer(
        str(given.folder),
        model_kwargs={"dtype": torch.float32, "use_safetensors": True, **safe},
        processor_kwargs=safe,
        config_kwargs=safe,
        max_seq_length=given.max_length,
    )
    name_padding(transformer.processor)
    width = transformer.get_embedding_dimension()
    return SentenceTransformer(modules=[transformer, Pooling(width, "mean")], device=str(given.device))


def log_of_classes(found: Any, known: Sequence[int], classes: int) -> Tensor:
    """Return logits ``[N, C]`` of probabilities of the classes that had a labelled text; the others have next to none.

    Args:
        found: ``[N, K]`` probabilities.
        known: ``K`` classes.
        classes: ``C``.
    """
    every = np.zeros((len(found), classes))
    every[:, np.asarray(known, dtype=int)] = found
    return torch.from_numpy(np.log(every.clip(min=1e-30))).float()
