"""The folder of a finished run, every word and number of it invented."""

import json
import random
from pathlib import Path

LABELS = ["harvest", "weather", "music", "trade", "health"]
WORDS = {
    "example": "text", "shot": "shot", "per": " per label", "pipeline_tag": "text-classification",
    "limit": "The model chooses among its labels.",
}  # fmt: skip
SYLLABLES = ["ẹ̀ka", "lọ́ru", "mbá", "sìnṣé", "ọpá", "tuyè", "zàri", "gbóna"]
NAMES = {"yor-Latn": "Yoruba", "quy-Latn": "Ayacucho Quechua", "eng-Latn": "English"}


def write_run(
    folder: Path, *, targets=("yor-Latn",), shots=(5,), draws=3, seeds=2, gain=0.28, texts=120, licence="CC-BY-SA-4.0"
) -> Path:
    """A plausible run folder, every word of it invented."""
    rng = random.Random(7)
    codes = [*targets, "eng-Latn"]
    trials = [(k, draw, seed) for k in shots for draw in range(draws) for seed in range(1, seeds + 1)]
    scores, training = [], []
    for k, draw, seed in trials:
        trial = f"k{k}-draw{draw}-seed{seed}"
        training += invented_training(rng, trial)
        for position, code in enumerate(codes):
            right = 0.3 + 0.02 * position
            rows = invented_predictions(rng, code, texts, right, right + gain + 0.015 * (draw - 1) + 0.004 * k)
            write_lines(folder / "predictions" / trial / f"{code}.jsonl", rows)
            for method, column in (("frozen-head", "before"), ("lingraft", "value")):
                accuracy = sum(row[column] == row["gold"] for row in rows) / texts
                for metric, value in (("accuracy", accuracy), ("macro_f1", accuracy - 0.03)):
                    score = {"task": "market-talk", "method": method, "language": code, "metric": metric}
                    score |= {"value": value, "low": value - 0.08, "high": value + 0.08, "n": texts}
                    score |= {"shots": k, "draw": draw, "seed": seed, "run": folder.name, "context_language": None}
                    scores.append(score)
    write_lines(folder / "scores.jsonl", scores)
    write_lines(folder / "training.jsonl", training)
    (folder / "recipe.yaml").write_text("task: {name: market-talk}\nshots: {k: 5, draws: 3}\n", encoding="utf-8")
    saved = "k{}-draw{}-seed{}".format(*trials[-1])
    write_object(folder / "summary.json", invented_summary(targets, saved))
    write_object(folder / "data.json", invented_data(targets, texts, licence))
    write_object(folder / "states.json", invented_states(rng, targets))
    return folder


def invented_predictions(rng, code, texts, before, after):
    """Predictions about the same texts in every trial; ``before`` and ``after`` are the two accuracies."""
    same = random.Random(code)
    rows = []
    for number in range(texts):
        gold = LABELS[min(int(same.random() ** 1.3 * 5), 4)]
        others = [label for label in LABELS if label != gold]
        row = {"id": f"{number:03}", "group": f"{number:03}", "text": " ".join(same.choices(SYLLABLES, k=7)) + "."}
        row |= {"text_b": None, "gold": gold, "before": gold if same.random() < before else same.choice(others)}
        row |= {"before_confidence": min(0.9, max(0.21, same.gauss(0.36, 0.08)))}
        right = 0.8 * same.random() + 0.2 * rng.random() < after
        row |= {"value": gold if right else others[0 if rng.random() < 0.6 else 2]}
        for start, column in (("", "value"), ("before_", "before")):
            hit = float(row[column] == gold)
            row |= {f"{start}counts": [hit, 1.0], f"{start}right": hit}
        row |= {"confidence": min(0.97, max(0.22, rng.gauss(0.62 + 0.08 * right, 0.17)))}
        rows.append(row)
    return rows


def invented_training(rng, trial):
    """A loss that falls and an accuracy that rises, over eight epochs."""
    return [
        {"trial": trial, "epoch": epoch, "step": 12 * epoch, "loss": 1.62 * 0.8**epoch + 0.9 * 0.7**epoch + 0.35,
         "task_loss": 1.62 * 0.8**epoch + 0.2, "alignment_loss": 0.9 * 0.7**epoch + 0.15,
         "dev_score": 0.56 - 0.3 * 0.7**epoch + rng.uniform(-0.02, 0.02),
         "learning_rate": 0.002, "tokens_per_second": 5400.0}
        for epoch in range(9)
    ]  # fmt: skip


def invented_summary(targets, saved):
    """Twelve layers cut after the eighth."""
    parts = [{"part": "task", "name": "prompt.task", "count": 24_576, "trained": True}]
    parts += [
        {"part": f"language:{code}", "name": f"adapter.{code}", "count": 98_688, "trained": True} for code in targets
    ]
    parts += [{"part": "head", "name": "head", "count": 1_925, "trained": True}]
    return {
        "lingraft": "0.1.0",
        "backbone": {
            "name": "bundled:invented-small", "weights_digest": "sha256:5f1c0a", "digest_after": "sha256:5f1c0a",
            "parameters": 117_653_760, "licence": "MIT", "layers": 12, "cut": 8, "width": 384,
        },
        "parameters": parts,
        "frozen": [{"name": "embeddings", "count": 96_206_592}, {"name": "layers 1-8", "count": 14_298_112},
                   {"name": "layers 9-12", "count": 7_149_056}],
        "calibration": {code: {"before": 0.061, "after": 0.083} for code in [*targets, "eng-Latn"]},
        "seconds": {"encode": 41.0, "train": 187.2, "evaluate": 12.4, "total": 252.0},
        "verification": {"max_difference": 3.1e-7, "texts": 64},
        "selected_trial": saved,
    }  # fmt: skip


def invented_data(targets, texts, licence):
    """Counts of a small task."""
    counts = {"train": 701, "dev": 99, "test": texts, "parallel": 997}
    languages = {
        code: {"name": NAMES[code], "texts": counts, "shots": 25, "pairs": 351 if code in targets else 0,
               "truncated": 4 if code == "yor-Latn" else 0, "tokens": 18_204, "unknown_rate": 0.002}
        for code in [*targets, "eng-Latn"]
    }  # fmt: skip
    return {
        "task": "market-talk", "words": WORDS, "licence": licence, "citation": "@misc{invented, year={2031}}",
        "labels": LABELS, "classes": LABELS, "source_language": "eng-Latn", "target_languages": list(targets),
        "languages": languages,
        "overlap_removed": {"train": 3, "parallel": 11}, "notes": ["Texts are invented."], "max_length": 128,
    }  # fmt: skip


def invented_states(rng, targets):
    """Two clouds apart, then two clouds on each other."""

    def cloud(x, y):
        places = [(x + 3 * (number % 5), y + 2 * (number % 3)) for number in range(60)]
        return [[across + rng.gauss(0, 0.6), up + rng.gauss(0, 0.6)] for across, up in places]

    def moments():
        source = cloud(0, 0)
        return {
            "before": {"source": source, "target": cloud(9, 5)},
            "after": {"source": source, "target": cloud(1, 0.4)},
        }

    axes = "First two principal components of the source states."
    return {"axes": axes, "labels": None, "languages": {code: moments() for code in targets}}


def write_object(path, content):
    """A JSON file."""
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def write_lines(path, rows):
    """A JSONL file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
