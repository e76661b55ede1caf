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
    checks, means = [], defaultdict(list)
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    places = {trial: folder / "trials" / trial for trial in summary["trials"]}  # in the order of the recipe
    checks.append(("trials", {place.name for place in (folder / "trials").iterdir()}, set(places)))
    for name in ("scores.jsonl", "training.jsonl"):
        checks.append(
            (name, rows_of(folder / name), [row for place in places.values() for row in rows_of(place / name)])
        )
    both = (folder / "adaptation.safetensors", places[summary["selected_trial"]] / "adaptation.safetensors")
    checks.append(("saved", *(path.read_bytes() for path in both)))
    with safe_open(both[0], framework="np") as file:
        names = [name for name in file.keys() if not name.endswith("alpha")]  # noqa: SIM118 (alpha is set, not trained)
        trained = sum(file.get_tensor(name).size for name in names)
    checks.append(("parameters", trained, sum(part["count"] for part in summary["parameters"])))
    checks.append(("backbone", summary["backbone"]["weights_digest"], summary["backbone"]["digest_after"]))
    for trial, place in places.items():
        record, identity = (json.loads((place / f"{name}.json").read_bytes()) for name in ("trial", "identity"))
        files, _ = record.pop("files"), record.pop("format")
        checks.append((f"{trial}: facts", record, summary["trials"][trial]))
        checks.append((f"{trial}: backbone", identity["backbone"], summary["backbone"]["weights_digest"]))
        left = [*place.iterdir(), *(folder / "predictions" / trial).iterdir()]
        digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in left}
        unsigned = {f"trials/{trial}/{name}.json" for name in ("trial", "identity")}
        checks.append((f"{trial}: checksums", {key: digests[key] for key in digests.keys() - unsigned}, files))
        for score in rows_of(place / "scores.jsonl"):
            answers = rows_of(folder / "predictions" / trial / f"{score['language']}.jsonl")
            checks.append(
                (f"{trial}: n", (len(answers), len({row["id"] for row in answers})), (score["n"], score["n"]))
            )
            column = "before" if score["method"] == "frozen-head" else "value"
            right = sum(row[column] == row["gold"] for row in answers) / len(answers)
            checks.append(
                (f"{trial}: accuracy", {"accuracy": right}.get(score["metric"], score["value"]), score["value"])
            )
            means[score["shots"], score["method"], score["language"], score["metric"]].append(score["value"])
    card = (folder / "README.md").read_text(encoding="utf-8")
    for key, values in means.items():
        checks.append((f"README.md: {key}", f"{100 * sum(values) / len(values):.1f}\u00a0%" in card, True))
    return [what for what, one, other in checks if one != other]
