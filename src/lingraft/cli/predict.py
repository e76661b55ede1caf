"""``predict``: the predictions of a trained run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from .terminal import RunFolder, TrainedOn

if TYPE_CHECKING:
    from ..core.records import Prediction


def predict(
    folder: RunFolder,
    file: Annotated[
        Path | None, typer.Argument(help=".txt (one text a line), .jsonl, .csv or .tsv; default: standard input.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language of the texts.")] = None,
    text: Annotated[str, typer.Option(help="Column of the text.")] = "text",
    text_b: Annotated[str | None, typer.Option(help="Column of the second text of a pair.")] = None,
    backbone: TrainedOn = None,
    output: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="Output format.")] = "jsonl",
) -> None:
    """Predict texts, or rows of a table, with a trained run; JSON lines or CSV on standard output, with confidence.

    The run's model card shows one item. Where that is more than a text (a question with its context, a text with
    alternatives), the file is a table that has its parts as columns.
    """
    import gc

    gc.disable()  # a hundred thousand objects are imported now, and none of them is garbage
    from ..data.unlabelled import read_items, read_texts
    from ..serving.predictor import load, needed_columns

    columns = needed_columns(folder)
    items: list[Any] = read_items(file, columns) if columns else read_texts(file, text=text, text_b=text_b)
    adapted = load(folder, backbone=backbone)
    gc.freeze()
    gc.enable()
    if language is None and len(adapted.identity.languages) == 1:
        language = adapted.identity.languages[0]
    if language is None:
        known = ", ".join(adapted.identity.languages)
        print(f"no --language given, the run knows {known}: using the task part alone", file=sys.stderr)  # noqa: T201
    warnings.showwarning = lambda message, *rest, **more: print(message, file=sys.stderr)  # noqa: T201
    write_predictions(sys.stdout, items, adapted.predict(items, language=language), output)


def write_predictions(stream: TextIO, texts: list[Any], predictions: list[Prediction], output: str) -> None:
    """Write one line per text: the text, the label, its probability.

    Args:
        stream: Written to.
        texts: What was predicted on, in order.
        predictions: One for each.
        output: ``csv`` or ``jsonl``.
    """
    import csv
    import json

    rows: Callable[[dict[str, Any]], Any]
    if output == "csv":
        given = [text for text in texts if isinstance(text, dict)]
        named = list(dict.fromkeys(key for text in given for key in text)) if given else ["text", "text_b"]
        writer = csv.DictWriter(stream, list(dict.fromkeys([*named, "label", "confidence"])))
        writer.writeheader()
        rows = writer.writerow
    else:
        rows = lambda row: print(json.dumps(row, ensure_ascii=False), file=stream)  # noqa: E731
    for text, prediction in zip(texts, predictions, strict=True):
        a, b = (text, None) if isinstance(text, str | dict) else text
        row = dict(a) if isinstance(a, dict) else {"text": a, "text_b": b}
        row |= {"label": prediction.value, "confidence": round(prediction.confidence, 4)}
        rows({key: value for key, value in row.items() if value is not None})
