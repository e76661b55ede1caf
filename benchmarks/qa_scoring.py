"""Scoring question answering end to end, beside the bare forward passes over the same windows, in one run.

End to end is what ``lingraft evaluate --task xquad`` does for a language: read the file, cut questions
and contexts into windows, forward passes from the words up, best spans, official scores with their
bootstrap intervals. Bare are the forward passes alone, over the same windows in the same batches. The
two take turns, and each counts with its fastest round: another process that wakes up slows, and never
speeds up.

    python benchmarks/qa_scoring.py --language hi --json docs/results/qa_scoring.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from lingraft.backbones.encoding import usual_cut
from lingraft.backbones.loading import Backbone, load_backbone
from lingraft.backbones.walk import length_batches, states_at
from lingraft.core.records import Features, Trial
from lingraft.data.languages import canonical
from lingraft.data.squad import squad_examples
from lingraft.model.adaptation import build_adaptation
from lingraft.model.checkpoint import Identity
from lingraft.model.heads.linear import LinearClassifier
from lingraft.model.network import GraftedModel
from lingraft.recipe.blocks import Block
from lingraft.serving.predictor import Adapted
from lingraft.tasks import Task
from lingraft.tasks.scores import score

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "xquad"
MAX_LENGTH = 320


def adapted(backbone: Backbone, language: str) -> Adapted:
    """An untrained model with the default parts: as fast as a trained one."""
    torch.manual_seed(0)
    stack, cut = backbone.stack, usual_cut(backbone.stack.num_layers)
    parts = build_adaptation(
        prompt=Block.model_validate({"name": "deep"}),
        adapter=Block.model_validate({"name": "bottleneck"}),
        stack=stack,
        cut=cut,
        languages=[language],
        head=LinearClassifier(stack.width, 2, per_token=True),
        initial=lambda how, layer, count: torch.randn(count, stack.width),
    )
    identity = Identity(
        checkpoint=backbone.name,
        weights_digest=backbone.weights_digest,
        tokenizer_digest=backbone.tokenizer_digest,
        text_prefix=backbone.text_prefix,
        cut=cut,
        max_length=MAX_LENGTH,
        task="xquad",
        kind="span_qa",
        labels=(),
        source_language="eng-Latn",
        languages=(language,),
        prompt=None,
        adapter=None,
        version="",
    )
    return Adapted(backbone, GraftedModel(stack, parts).eval(), identity)


def end_to_end(model: Adapted, path: Path, language: str, questions: int | None) -> float:
    """Seconds from the file to its scores."""
    started = time.perf_counter()
    examples = squad_examples(path, language=language)[:questions]
    predicted = [prediction.value for prediction in model.predict_examples(examples, language)]
    task = Task("xquad", model.kind, "eng-Latn", (language,), lambda *_: examples, "", "")
    score(
        [example.gold for example in examples],
        predicted,
        task,
        [example.group for example in examples],
        method="lingraft",
        language=language,
        trial=Trial(0, 0, 0),
        run="benchmark",
    )
    return time.perf_counter() - started


def bare(model: Adapted, features: list[Features], language: str) -> float:
    """Seconds of the forward passes alone."""
    ids = [feature.input_ids for feature in features]
    started = time.perf_counter()
    with torch.no_grad():
        for rows in length_batches([len(text) for text in ids]):
            states = states_at(
                [ids[row] for row in rows], model.backbone.stack, model.identity.cut, torch.device("cpu")
            )
            model.model(states, language)
    return time.perf_counter() - started


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--language", default="hi")
    parser.add_argument("--data-dir", type=Path, default=DATA)
    parser.add_argument("--questions", type=int, help="only the first so many")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    language = canonical(given.language)
    path = next(p for p in (given.data_dir / f"xquad.{given.language}.json{z}" for z in ("", ".gz")) if p.is_file())
    model = adapted(load_backbone("bundled:multilingual-e5-small"), language)
    examples = squad_examples(path, language=language)[: given.questions]
    features = model.kind.encode(examples, model.backbone.tokenizer, MAX_LENGTH, model.identity.text_prefix)
    tokens = sum(len(feature.input_ids) for feature in features)
    bare(model, features[:32], language)  # memory is allocated, pages are touched
    whole, passes = [], []
    for _ in range(given.rounds):
        passes.append(bare(model, features, language))
        whole.append(end_to_end(model, path, language, given.questions))
    found = {
        "language": language,
        "questions": len(examples),
        "windows": len(features),
        "tokens": tokens,
        "threads": torch.get_num_threads(),
        "bare_seconds": min(passes),
        "end_to_end_seconds": min(whole),
        "ratio": min(whole) / min(passes),
    }
    print(f"{language}: {len(examples):,} questions, {len(features):,} windows, {tokens:,} tokens")
    print(f"bare forward passes {min(passes):.1f} s, end to end {min(whole):.1f} s: {found['ratio']:.2f} times")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
