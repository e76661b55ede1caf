"""What a choice of sources and a search of settings found, every number of it invented."""

import random

from lingraft.results.findings import Estimate
from lingraft.results.source_choice import Candidate, Joint, SourceChoice, rank_candidates
from lingraft.results.statistics import Difference
from lingraft.results.tuning import Tried, Tuned

SOURCES = {
    "eng-Latn": "English", "ind-Latn": "Indonesian", "swh-Latn": "Swahili", "hin-Deva": "Hindi", "fra-Latn": "French",
    "arb-Arab": "Standard Arabic", "amh-Ethi": "Amharic", "quy-Latn": "Ayacucho Quechua",
}  # fmt: skip
TARGETS = {"hau-Latn": "Hausa", "ban-Latn": "Balinese"}
MEASURES = ("agreement", "transfer", "retrieval", "tokens", "genetic")


def invented_choice(*, scored=True, sources=SOURCES, task="market-talk", **what):
    """A choice for two targets; where ``scored``, their test sets have labels."""
    rankings = tuple(_ranking(code, name, sources, scored) for code, name in TARGETS.items())
    first = tuple(one.language for one in rankings[0].candidates[:3])
    return SourceChoice(
        task=task, metric="accuracy", source="eng-Latn", rankings=rankings, offered=first, names=dict(sources),
        left_out={"ibo-Latn": "there is no file"}, notes=("Distances need tables.",),
        revision="0.1.0, revision c0ffee1", **what,
    )  # fmt: skip


def _ranking(target, name, sources, scored):
    drawn, found = random.Random(target), []
    for number, (code, source) in enumerate(sources.items()):
        true = 0.5 + 0.03 * (number % 5) + drawn.uniform(-0.03, 0.03)
        measures = {one: min(1.0, max(0.0, true + drawn.uniform(-0.1, 0.1))) for one in MEASURES}
        apart = None if code == "eng-Latn" else Difference(true - 0.5, true - 0.55, true - 0.45, 0.03, 0.2)
        score = Estimate(true, true - 0.05, true + 0.06) if scored else None
        found.append(Candidate(code, source, 350 - number, measures, score, apart if scored else None))
    ranking = rank_candidates(target, name, found, ["labels", "agreement", "tokens"])
    if not scored:
        return ranking
    both = tuple(one.language for one in ranking.candidates[:2])
    joint = Joint(both, Estimate(0.64, 0.58, 0.7), Difference(0.1, 0.04, 0.17, 0.03, 0.004))
    return type(ranking)(**{**vars(ranking), "joint": (joint,)})


SETTINGS = {
    "train.learning_rate": {"low": 4e-4, "high": 1e-2, "log": True},
    "prompt.length": [4, 8, 16, 32],
    "adapter.name": ["bottleneck", "lora-with-a-name-that-is-longer-than-a-phone-is-wide"],
    "train.weight_decay": {"low": 0.0, "high": 0.1, "log": False},
}


def invented_search(*, trials=24, failed=(5, 11), task="market-talk", settings=SETTINGS, shares=None):
    """A search whose scores rise with the learning rate; the recipe's own settings came first."""
    drawn, tried = random.Random(3), []
    for number in range(trials):
        values = {key: _value(one, drawn, own=number == 0) for key, one in settings.items()}
        score = 0.6 + 0.1 * drawn.random() + 20 * values.get("train.learning_rate", 0.0)
        apart = None if number == 0 else Difference(score - 0.65, score - 0.7, score - 0.6, 0.03, 0.2)
        error = "the loss diverged" if number in failed else None
        tried.append(
            Tried(f"trial-{number:03}", number == 0, values, 40.0 + number, error)
            if error
            else Tried(f"trial-{number:03}", number == 0, values, 40.0 + number, None,
                       Estimate(score, score - 0.06, score + 0.05), apart, None if apart is None else 0.4)
        )  # fmt: skip
    about = {
        "data": {
            "task": task, "source_language": "eng-Latn", "target_languages": ["yor-Latn"], "classes": ["a", "b"],
            "languages": {"eng-Latn": {"name": "English"}, "yor-Latn": {"name": "Yoruba"}},
            "words": {"example": "text", "shot": "shot", "per": " per label"},
        },
        "settings": settings, "units": ["k0-draw0-seed1"],
        "importance": dict.fromkeys(settings, 1 / len(settings)) if shares is None else shares,
        "trials": [{"name": one.name, "own": one.own, "version": "0.1.0", "revision": "c0ffee1"} for one in tried],
    }  # fmt: skip
    ordered = sorted(tried, key=lambda one: -(one.score.value if one.score else 0))
    return Tuned(about, tuple(ordered), examples=100, resolution=0.01)


def _value(searched, drawn, *, own):
    if isinstance(searched, list):
        return searched[0] if own else drawn.choice(searched)
    low, high = searched["low"], searched["high"]
    return float(f"{low + (high - low) * (0.2 if own else drawn.random()):.3g}")
