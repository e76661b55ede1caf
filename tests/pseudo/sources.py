"""Something of everything that a generator of pseudo-data may use."""

import sys

from lingraft.core.examples import PairExample, ParallelPair
from lingraft.core.records import Prediction
from lingraft.data.lexicon import lexicon_of
from lingraft.pseudo import Sources
from lingraft.tasks import Task
from lingraft.tasks.kinds import kind_of

SOURCE, TARGET, LABELS = "eng-Latn", "yor-Latn", ("nature", "sport")
LABELLED = (
    PairExample("train/1", "g1", SOURCE, text_a="The fast water in New York", label="nature"),
    PairExample("train/2", "g2", SOURCE, text_a="A fast horse, a fast win", label="sport"),
    PairExample("train/3", "g3", SOURCE, text_a="Nothing known", label="sport"),
)
LEXICON = lexicon_of(
    [
        ParallelPair(source, target, SOURCE, TARGET)
        for source, target in (("fast", "yára"), ("fast", "kíákíá"), ("water", "omi"), ("New York", "Niu Yoki"))
    ]
)
OPTIONS = {
    "llm": {"url": "http://127.0.0.1:9/v1", "model": "none"},
    "templates": {"templates": [{"text": "omi {what}", "label": "nature"}], "words": {"what": ["yára", "pọ̀"]}},
    "translation": {
        "translator": {
            "name": "command",
            "command": [sys.executable, "-c", "import sys; sys.stdout.write(sys.stdin.read().upper())"],
        }
    },
}
"""Of generators that need some."""
SERVED = {"llm"}
"""What waits for a server, whose tests have one."""


def classification_task():
    """Topics in two languages, whose files nobody reads."""
    kind = kind_of("classification", LABELS, {})
    return Task("topics", kind, SOURCE, (TARGET,), lambda language, split: [], "CC0", "nobody")


def classification_sources(**changed):
    """Sources of the classification task."""
    pairs = tuple(
        (
            PairExample(f"p{i}", f"p{i}", SOURCE, text_a=source),
            PairExample(f"p{i}", f"p{i}", TARGET, text_a=target),
        )
        for i, (source, target) in enumerate([("the fast water", "omi náà yára"), ("a house", "ilé kan")])
    )
    values = {
        "task": classification_task(),
        "language": TARGET,
        "draw": 0,
        "labelled": LABELLED,
        "pairs": pairs,
        "shots": (PairExample("train/9", "g9", TARGET, text_a="omi", label="nature"),),
        "texts": ("ọmọ náà yára", "omi pọ̀"),
        "lexicon": LEXICON,
        "predict": lambda examples, language: [
            Prediction(example.id, language, LABELS[i % 2], 0.9, probabilities=(0.9, 0.1) if i % 2 == 0 else (0.1, 0.9))
            for i, example in enumerate(examples)
        ],
        "align": lambda pairs: [[(i, i) for i in range(min(len(one), len(other)))] for one, other in pairs],
    }
    return Sources(**values | changed)
