"""A second reader of a finished run folder, which shares no code with lingraft: do its files agree with each other?"""

import hashlib
import json
from collections import defaultdict

from safetensors import safe_open


def rows_of(path):
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contradictions(folder):
    """Say what does not fit together in a finished run of a classification task; empty where everything does."""
    found, means = [], defaultdict(list)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    places = {trial: folder / "trials" / trial for trial in summary["trials"]}  # in the order of the recipe

    def expect(holds, what):
        found.extend([] if holds else [what])

    expect({place.name for place in (folder / "trials").iterdir()} == set(places), "trials: others than counted")
    for name in ("scores.jsonl", "training.jsonl"):
        expect(rows_of(folder / name) == [r for p in places.values() for r in rows_of(p / name)], f"{name}: not theirs")
    saved = (folder / "adaptation.safetensors").read_bytes()
    expect(saved == (places[summary["selected_trial"]] / "adaptation.safetensors").read_bytes(), "saved: not the chosen")
    with safe_open(folder / "adaptation.safetensors", framework="np") as file:
        trained = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    expect(trained == sum(part["count"] for part in summary["parameters"]), "saved: another number of parameters")
    expect(summary["backbone"]["weights_digest"] == summary["backbone"]["digest_after"], "backbone: not frozen")
    for trial, place in places.items():
        record, identity = (json.loads((place / f"{n}.json").read_text()) for n in ("trial", "identity"))
        digests = record.pop("files")
        expect(record == summary["trials"][trial], f"{trial}: other facts than in the summary")
        expect(identity["backbone"] == summary["backbone"]["weights_digest"], f"{trial}: of another backbone")
        left = {p.relative_to(folder).as_posix() for p in [*place.iterdir(), *(folder / "predictions" / trial).iterdir()]}
        records = {f"trials/{trial}/{name}.json" for name in ("trial", "identity")}
        expect(left - records == set(digests), f"{trial}: other files than recorded")
        for name, digest in digests.items():
            expect(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, f"{name}: another checksum")
        for score in rows_of(place / "scores.jsonl"):
            answers = rows_of(folder / "predictions" / trial / f"{score['language']}.jsonl")
            column = "before" if score["method"] == "frozen-head" else "value"
            right = sum(row[column] == row["gold"] for row in answers) / len(answers)
            expect(len(answers) == len({row["id"] for row in answers}) == score["n"], f"{trial}: predictions lack or repeat")
            expect(score["metric"] != "accuracy" or score["value"] == right, f"{trial}: {score['language']}: other score")
            means[score["shots"], score["method"], score["language"], score["metric"]].append(score["value"])
    card = (folder / "README.md").read_text(encoding="utf-8")
    for key, values in means.items():
        expect(f"{100 * sum(values) / len(values):.1f}\u00a0%" in card, f"README.md: another mean of {key}")
    return found
