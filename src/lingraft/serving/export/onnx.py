"""ONNX: one graph of all that a run computes, for onnxruntime on any machine, and a short program that answers with it.

The graph is traced from the parts of one language; batch and length may be any. What the run ensembles with the
network (a language's map, its character n-gram classifier) is part of it; only cutting texts into tokens and n-grams is
left to the program, :mod:`.predict_onnx`, which is written beside. The test texts of the run are answered by it before
anything is written, and how many answers are the run's own is said.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from ...core.errors import CheckpointError
from ...results.run_files import read_run
from ...tasks.kinds.tagging import blank_before_words
from . import Trained, Write, formats, refuse_comparison
from .answer_graph import AnswerGraph, vocabularies
from .predict_onnx import Exported

GRAPH, GRAPH_INT8, PROGRAM = "model.onnx", "model.int8.onnx", "predict.py"

NEEDED = ("onnx", "onnxscript", "onnxruntime")

KINDS = ("classification", "multilabel", "tagging")

TRIED = 1_000
"""Test texts that are answered at most, to compare."""


@formats.register("onnx")
def onnx_format() -> Write:
    """Graph for onnxruntime, tokenizer and a short program: classes, labels and tags, map and n-grams included."""
    return write_onnx


def write_onnx(trained: Trained, folder: Path) -> list[str]:
    """Write graph, tokenizer, program and what it needs to know, and return what came of the run's test texts.

    Args:
        trained: What is exported.
        folder: Where to; there, and empty.

    Raises:
        CheckpointError: A package is missing, or the run is of a kind, or has a part, that cannot be exported.
    """
    adapted = trained.adapted
    identity, tokenizer = adapted.identity, adapted.backbone.tokenizer
    _refuse(trained)
    ensembles = adapted.model.adaptation.ensembles
    ensemble: Any = ensembles[trained.language] if trained.ensembled and trained.language in ensembles else None
    graph, features = AnswerGraph(adapted.model, trained.language, ensemble).eval(), vocabularies(ensemble)
    adapted.backbone.stack.precision = graph.stack.precision = "float32"  # what all processors have
    _write_graph(graph, sum(len(one.columns) for one in features), folder / GRAPH)
    about = {
        "kind": identity.kind,
        "labels": identity.labels,
        "language": trained.language,
        "paired": identity.paired,
        "scheme": identity.kind_options.get("scheme"),
        "text_prefix": identity.text_prefix,
        "max_length": identity.max_length,
        "padding_id": adapted.backbone.stack.padding_id,
        "blank": blank_before_words(tokenizer) if identity.kind == "tagging" else "",
        "vocabularies": [{"ngrams": list(one.columns), "idf": one.idf.tolist()} for one in features],
    }
    (folder / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name("predict_onnx.py"), folder / PROGRAM)
    said = [f"{GRAPH}: {_compare(trained, folder, GRAPH)}"]
    if trained.int8:
        _quantize(folder)
        said.append(f"{GRAPH_INT8}, weights in 8 bits: {_compare(trained, folder, GRAPH_INT8)}")
    if identity.kind == "tagging":
        said.append(f"{PROGRAM} takes words that blanks part, punctuation too; a run parts a text by itself")
    return [*said, f"answer with: python {PROGRAM} texts.txt (needs onnxruntime, tokenizers and numpy)"]


def _refuse(trained: Trained) -> None:
    """Refuse what cannot be written.

    Raises:
        CheckpointError: With the reason, and what to do.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise CheckpointError(f"ONNX needs {' and '.join(missing)}: pip install 'lingraft[onnx]'")
    identity = trained.adapted.identity
    if identity.kind not in KINDS:
        raise CheckpointError(
            f"{trained.folder} is a run for {identity.kind}; what is exported to ONNX gives labels to each text, "
            f"pair of texts or word ({', '.join(KINDS)})"
        )
    refuse_comparison(trained)
    if getattr(trained.adapted.backbone.tokenizer, "backend_tokenizer", None) is None:
        raise CheckpointError(
            f"the tokenizer of {identity.checkpoint} is written in Python, and the program beside a graph has none of "
            "it; save the checkpoint with a tokenizer.json (AutoTokenizer.from_pretrained(..., use_fast=True))"
        )


def _write_graph(graph: AnswerGraph, width: int, path: Path) -> None:
    """Trace a graph, for any batch and length."""
    limit = graph.stack.max_length
    example = torch.ones(3, min(7, limit), dtype=torch.long)
    mask = example.clone()
    mask[0, -2:] = 0
    given: dict[str, Any] = {"input_ids": example, "attention_mask": mask}
    batch, length = torch.export.Dim("batch", min=1), torch.export.Dim("length", min=2, max=limit)
    shapes: dict[str, Any] = {name: {0: batch, 1: length} for name in given}
    if width:
        given["ngrams"], shapes["ngrams"] = torch.zeros(3, width), {0: batch}
    with torch.no_grad(), _quietly():
        torch.onnx.export(
            graph,
            kwargs=given,
            f=path,
            input_names=list(given),
            output_names=["logits"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _quantize(folder: Path) -> None:
    """Write the graph with matrices rounded to 8 bits, by column, whose products have inputs of 8 bits as well."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(folder / GRAPH)
    graph.graph.ClearField("value_info")  # shapes of transposed weights among these stop shape inference
    with _quietly():
        quantize_dynamic(graph, folder / GRAPH_INT8, per_channel=True, weight_type=QuantType.QUInt8)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep what libraries print and warn of to themselves: how they work is not the user's concern."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _compare(trained: Trained, folder: Path, model: str) -> str:
    """Say how many test texts are answered as the run did, and how many rightly."""
    run = read_run(trained.folder) if (trained.folder / "summary.json").is_file() else None
    rows = run.predictions(run.selected_trial, trained.language)[:TRIED] if run else []
    if not rows:
        return f"the run has no test texts in {trained.named} to compare answers on"
    answers = list(_answers(Exported(folder, model), rows))
    same = sum(answer == row["value"] for answer, row in zip(answers, rows, strict=True))
    said = f"{same:,} of {len(rows):,} test texts in {trained.named} are answered as by the run"
    gold = [_as_answer(row["gold"]) for row in rows]
    if any(gold) and (right := sum(map(str.__eq__, answers, gold))) is not None:
        ours = sum(row["value"] == one for row, one in zip(rows, gold, strict=True))
        said += f", {right:,} rightly (the run: {ours:,})"
    return said


def _as_answer(gold: Any) -> str:
    return gold if isinstance(gold, str) else " ".join(gold or ())


def _answers(model: Exported, rows: Sequence[Any], batch: int = 32) -> Iterator[str]:
    """Yield the answers of an exported model to test texts, as the run's files have them."""
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        if model.about["kind"] == "tagging":
            yield from (" ".join(tags) for tags in model.tags([row["text"].split() for row in some]))
            continue
        if model.about["kind"] == "multilabel":
            yield from ("|".join(labels) for labels, _ in model.labels([row["text"] for row in some]))
            continue
        texts = [(row["text"], row["text_b"]) if row.get("text_b") is not None else row["text"] for row in some]
        yield from (model.about["labels"][best] for best in model.probabilities(texts).argmax(-1))
