"""Answer texts with an exported model: onnxruntime, tokenizers and numpy, nothing else.

    python predict.py texts.txt > answers.txt     # or standard input; a text a line

A pair of texts is a line with a tab between them; the words of a sentence to tag are parted by blanks. Each line that
comes out has the answer and its probability, or a tag for each word; that of an empty line is empty. Of several labels
for each text, those given have ``|`` between them, and the probability is that of just these.
``--model model.int8.onnx`` takes another file. Words beyond the longest input get no tag of their own, which is said.
"""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 32
"""Texts that are computed together."""


class Exported:
    """A model that `lingraft export --to onnx` wrote.

    Args:
        folder: What was written.
        model: Name of the file with the graph.
    """

    def __init__(self, folder: Path, model: str = "model.onnx") -> None:
        from onnxruntime import InferenceSession
        from tokenizers import Tokenizer

        self.about: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        self.cut = 0
        """Sentences that were longer than the longest input."""
        self.session = InferenceSession(str(folder / model), providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(self.about["max_length"])
        self.tokenizer.enable_padding(pad_id=self.about["padding_id"])
        self.columns = [{ngram: at for at, ngram in enumerate(one["ngrams"])} for one in self.about["vocabularies"]]
        self.idf = [np.array(one["idf"]) for one in self.about["vocabularies"]]

    def probabilities(self, texts: Sequence[str | tuple[str, ...]]) -> np.ndarray[Any, Any]:
        """Return the probability of each class of ``N`` texts, or pairs of texts: ``[N, C]``."""
        prefix = self.about["text_prefix"]
        rows = [prefix + one if isinstance(one, str) else (prefix + one[0], one[1]) for one in texts]
        return softmax(
            self._logits(self.tokenizer.encode_batch(rows), [t if isinstance(t, str) else t[0] for t in texts])
        )

    def labels(self, texts: Sequence[str]) -> list[tuple[list[str], float]]:
        """Return the labels of each text, in sorted order, and the probability of just these."""
        rows = [self.about["text_prefix"] + text for text in texts]
        outputs = self._logits(self.tokenizer.encode_batch(rows), texts).astype(float)
        given = outputs[:, :-1] > outputs[:, -1:]
        shares = np.exp(-np.logaddexp(0, np.where(given, -1, 1) * outputs[:, :-1]).sum(-1))
        names = (sorted(label for label, one in zip(self.about["labels"], row, strict=True) if one) for row in given)
        return list(zip(names, shares.tolist(), strict=True))

    def tags(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return a tag for each word of some sentences; words beyond the longest input have the first label or O."""
        before, labels, blank = self.about["text_prefix"].split(), self.about["labels"], self.about["blank"]
        rows = [[blank + word if i else word for i, word in enumerate([*before, *words])] for words in sentences]
        encodings = self.tokenizer.encode_batch(rows, is_pretokenized=True)
        best = self._logits(encodings, []).argmax(-1)
        found, self.cut = [], self.cut + sum(bool(one.overflowing) for one in encodings)
        for words, encoding, classes in zip(sentences, encodings, best, strict=True):
            tags, last = ["O" if "O" in labels else labels[0]] * len(words), None
            for word, label in zip(encoding.word_ids, classes, strict=True):
                if word is not None and word != last and word >= len(before):
                    tags[word - len(before)] = labels[label]
                last = word
            found.append(repaired(tags) if self.about["scheme"] == "bio" else tags)
        return found

    def _logits(self, encodings: Sequence[Any], texts: Sequence[str]) -> np.ndarray[Any, Any]:
        given = {
            "input_ids": np.array([one.ids for one in encodings], dtype=np.int64),
            "attention_mask": np.array([one.attention_mask for one in encodings], dtype=np.int64),
        }
        if self.columns:
            given["ngrams"] = np.stack([self._ngrams(text) for text in texts])
        found: np.ndarray[Any, Any] = self.session.run(["logits"], given)[0]
        return found

    def _ngrams(self, text: str) -> np.ndarray[Any, Any]:
        """Return tf-idf features of a text's character n-grams, those of each vocabulary of length 1: ``[V]``."""
        cut, blocks = Counter(cut_ngrams(text)), []
        for columns, idf in zip(self.columns, self.idf, strict=True):
            block = np.zeros(len(idf))
            for ngram in cut.keys() & columns.keys():
                block[columns[ngram]] = 1.0 + np.log(cut[ngram])
            block *= idf
            blocks.append(block / max(np.linalg.norm(block), np.finfo(float).tiny))
        return np.concatenate(blocks).astype(np.float32)


def cut_ngrams(text: str) -> Iterator[str]:
    """Yield the n-grams of 3 to 5 characters of a text's words, with a blank at either end; short words whole."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    for word in folded.split():
        padded = f" {word} "
        for size in range(3, min(5, len(padded) - 1) + 1):
            yield from (padded[start : start + size] for start in range(len(padded) - size + 1))
        if len(padded) <= 5:
            yield padded


def repaired(tags: Sequence[str]) -> list[str]:
    """Return tags in which every span begins with ``B-``."""
    found, before = [], "O"
    for tag in tags:
        begins = tag.startswith("I-") and before not in (tag, f"B-{tag[2:]}")
        before = f"B-{tag[2:]}" if begins else tag
        found.append(before)
    return found


def softmax(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return probabilities of logits ``[N, C]``."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    shares: np.ndarray[Any, Any] = powers / powers.sum(-1, keepdims=True)
    return shares


def answer(model: Exported, lines: Iterable[str]) -> Iterator[str]:
    """Yield the answer to each line, as what is printed; a :class:`ValueError` names a line that is no pair."""
    left = enumerate(lines, start=1)
    while some := list(islice(left, BATCH)):
        asked = [(number, line) for number, line in some if line.split("\t", 1)[0].strip()]
        found = dict(zip((number for number, _ in asked), _answered(model, asked), strict=True))
        tags = model.about["kind"] == "tagging"
        yield from (found.get(number, "" if tags else "\t0.0000") for number, _ in some)


def _answered(model: Exported, asked: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Yield the answers to some lines, none of them empty."""
    if not asked:
        return
    if model.about["kind"] == "tagging":
        yield from (" ".join(tags) for tags in model.tags([line.split() for _, line in asked]))
        return
    if model.about["kind"] == "multilabel":
        found = model.labels([line for _, line in asked])
        yield from (f"{'|'.join(labels)}\t{share:.4f}" for labels, share in found)
        return
    texts: list[str | tuple[str, ...]] = []
    for number, line in asked:
        pair = tuple(line.split("\t", 1))
        if model.about["paired"] and len(pair) < 2:
            raise ValueError(f"line {number}: expected two texts with a tab between them")
        texts.append(pair if model.about["paired"] else line)
    for row in model.probabilities(texts):
        yield f"{model.about['labels'][row.argmax()]}\t{row.max():.4f}"


def main() -> None:
    """Answer the lines of a file or of standard input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="texts, a line each; default: standard input")
    parser.add_argument("--model", default="model.onnx", help="the file with the graph")
    given = parser.parse_args()
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    if not (Path(__file__).parent / given.model).is_file():
        parser.error(f"--model: there is no {given.model} beside this program")
    try:
        text = (given.file.read_bytes() if given.file else sys.stdin.buffer.read()).decode("utf-8-sig")
        model = Exported(Path(__file__).parent, given.model)
        for line in answer(model, text.removesuffix("\n").replace("\r\n", "\n").split("\n") if text else ()):
            sys.stdout.write(f"{line}\n")
    except (OSError, ValueError) as error:  # a file that is not there, is not UTF-8, or has no pairs
        parser.error(f"{given.file or 'standard input'}: {error}")
    if model.cut:
        sys.stderr.write(
            f"{model.cut} sentences are longer than one input: their last words have no tag of their own\n"
        )


if __name__ == "__main__":
    main()
