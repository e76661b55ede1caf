"""How much of PAWS-X shows in what the two sentences have in common, without any model.

A logistic regression on common tokens, common neighbours and common pieces, learnt from English development pairs
and scored on the test sets of five languages. The mean of five samples of so many pairs.

    python benchmarks/pair_overlap.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lingraft.backbones.loading import load_tokenizer
from lingraft.core.examples import Example
from lingraft.model.comparison.features import in_common, share_of_inversions
from lingraft.tasks import tasks

FOLDER = "../shared/data/pawsx"
LANGUAGES = ["deu-Latn", "spa-Latn", "fra-Latn", "cmn-Hans"]
SIZES, SAMPLES = (100, 400, 1600), 5


def main() -> None:
    """Print accuracy in percent by number of English pairs."""
    train_from = {"name": "pawsx", "data_dir": FOLDER, "split": "dev"}
    task = tasks.build("pawsx", {"target_languages": LANGUAGES, "data_dir": FOLDER, "train_from": train_from})
    tokenizer = load_tokenizer("bundled:multilingual-e5-small")

    def table(examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
        sides = [tokenizer([e.texts[i] for e in examples], add_special_tokens=False)["input_ids"] for i in (0, 1)]
        rows = [_features(*pair) for pair in zip(*sides, strict=True)]
        return np.array(rows), np.array([str(example.gold) for example in examples])

    rows, labels = table(task.examples(task.source_language, "train"))
    tests = {code: table(task.examples(code, "test")) for code in task.languages}
    print("English pairs".rjust(14), *(code.rjust(9) for code in tests))
    for size in SIZES:
        found: dict[str, list[float]] = {code: [] for code in tests}
        for sample in range(SAMPLES):
            chosen = np.random.default_rng(sample).permutation(len(rows))[:size]
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2_000))
            model.fit(rows[chosen], labels[chosen])
            for code, (asked, gold) in tests.items():
                found[code].append(float((model.predict(asked) == gold).mean()))
        print(f"{size:>14,}", *(f"{100 * np.mean(scores):9.1f}" for scores in found.values()))
    shares = (100 * max((gold == label).mean() for label in set(gold)) for _, gold in tests.values())
    print("most frequent".rjust(14), *(f"{share:9.1f}" for share in shares))


def _features(first: list[int], second: list[int]) -> list[float]:
    """Return what two texts have in common, and the order in which their common tokens stand."""
    where = {token: place for place, token in enumerate(second)}
    order = [where[token] for token in dict.fromkeys(first) if token in where]
    return [*in_common(first, second), share_of_inversions(torch.tensor(order)), len(first), len(second)]


if __name__ == "__main__":
    main()
