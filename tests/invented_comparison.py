"""The folder of a finished comparison, every word and number of it invented."""

import random
from itertools import product

from lingraft.core.files import write_json, write_lines
from lingraft.core.shots import TRIAL
from lingraft.results.comparison import read_comparison

LANGUAGES = {"yor-Latn": "Yoruba", "quy-Latn": "Ayacucho Quechua", "ibo-Latn": "Igbo", "eng-Latn": "English"}
TARGETS = ("yor-Latn", "quy-Latn", "ibo-Latn")
LABELS = ("harvest", "weather", "music")
METHODS = {"lingraft": 0.8, "peft-lora": 0.7, "frozen-head": 0.6, "full-joint-with-alignment-and-more-steps": 0.75}


def invented_comparison(folder, *, shots=(5,), draws=1, seeds=1, orders=0, methods=None, texts=60, task="market-talk"):
    """A comparison whose trials cross draws, seeds and orders; each method has about the share of right answers told.

    More labels make all of them better, and of two draws one is better than the other.
    """
    methods = METHODS if methods is None else methods
    trials = [
        f"k{k}-draw{draw}-seed{seed}" + (f"-order{order}" if order else "")
        for k, draw, seed in product(shots, range(draws), range(1, seeds + 1))
        for order in (range(1, orders + 1) if orders else (0,))
    ]
    scores = []
    for (method, share), trial in product(methods.items(), trials):
        luck = random.Random(method + trial).gauss(0, 0.04) + 0.03 * (trial.partition("draw")[2][0] == "1")
        better = share + 0.02 * int(trial.partition("-")[0][1:]) ** 0.5 + luck
        for code in TARGETS:
            rows = _answers(code, trial, better, texts)
            write_lines(folder / method / "predictions" / trial / f"{code}.jsonl", rows)
            scores.append(_score(method, trial, code, rows))
        write_lines(folder / method / "trials" / trial / "development.jsonl", _development(method, trial, better))
    write_lines(folder / "scores.jsonl", scores)
    about = [_method(name, number, trials) for number, name in enumerate(methods)]
    about.append({"name": "peft-prefix", "about": "PEFT's prefix tuning", "impossible": "it is not installed"})
    data = {
        "task": task, "source_language": "eng-Latn", "target_languages": list(TARGETS), "classes": list(LABELS),
        "languages": {code: {"name": name, "pairs": 300} for code, name in LANGUAGES.items()},
        "words": {"example": "text", "shot": "shot", "per": " per label"},
    }  # fmt: skip
    content = {"data": data, "reference": "lingraft", "epochs": 8, "methods": about}
    write_json(folder / "comparison.json", content)
    return read_comparison(folder)


def _answers(code, trial, share, texts):
    same, here = random.Random(code), random.Random(trial + code)
    rows = []
    for number in range(texts):
        gold, hard = same.choice(LABELS), same.random()
        right = float(0.6 * hard + 0.4 * here.random() < share)
        value = gold if right else LABELS[LABELS.index(gold) - 1]
        row = {"id": f"s{number}", "group": f"s{number}", "gold": gold, "value": value}
        rows.append(row | {"counts": [right, 1.0], "right": right})
    return rows


def _score(method, trial, code, rows):
    parts = TRIAL.fullmatch(trial).groupdict()
    return {
        "task": "market-talk", "method": method, "language": code, "metric": "accuracy", "low": None, "high": None,
        "value": sum(row["right"] for row in rows) / len(rows), "n": len(rows), "run": "invented",
        "context_language": None, "version": "0.1.0", "revision": "c0ffee1",
        **{name: int(value) for name, value in parts.items() if value is not None},
    }  # fmt: skip


def _development(method, trial, share):
    drawn = random.Random(method + trial + "development")
    return [{"id": f"d{i}", "group": f"d{i}", "counts": [float(drawn.random() < share), 1.0]} for i in range(40)]


def _method(name, number, trials):
    return {
        "name": name, "about": "a change of the recipe", "trials": trials,
        "trainable_parameters": 2_695 * 50**number, "seconds": dict.fromkeys(trials, 7.0 * 10**number),
        "peak_bytes": 900_000_000 * (number + 1), "labels": {trial: trial for trial in trials},
        "steps": dict.fromkeys(trials, 88 * number), "pairs": {trial: trial for trial in trials},
        "learning_rate": {"setting": "train.learning_rate", "value": 0.002, "tried": {"0.002": 0.7, "0.01": None}},
    }  # fmt: skip
