"""A small invented world: two languages that translate word by word, and texts with a topic.

The conftest's words are sixteen of one language and, in the same order, their sixteen translations.
What a text is about shows in its first twelve words; the last four are filler.
"""

import csv
import random
from itertools import pairwise

from lingraft.recipe.parsing import parse_recipe
from tiny import WORDS

SOURCE, TARGET = "eng-Latn", "yor-Latn"
TOPICS = {"bird": WORDS[0:4], "river": WORDS[4:8], "stone": WORDS[8:12]}
FILLER = WORDS[12:16]
TRANSLATION = dict(zip(WORDS[:16], WORDS[16:], strict=True))


def translated(text):
    """The text in the other language."""
    return " ".join(TRANSLATION[word] for word in text.split())


def labelled_texts(count, seed=0, labels=tuple(TOPICS)):
    """Different texts with their labels, as many of one as of the other (give or take one)."""
    rng = random.Random(seed)
    found = {}
    while len(found) < count:
        label = labels[len(found) % len(labels)]
        words = rng.choices(TOPICS[label], k=rng.randint(1, 3)) + rng.choices(FILLER, k=rng.randint(1, 4))
        rng.shuffle(words)
        found.setdefault(" ".join(words), label)
    return list(found.items())


def write_csv(path, header, rows):
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_world(folder, *, train=24, dev=9, test=12, pairs=24, labels=tuple(TOPICS)):
    """Write ``LANGUAGE.SPLIT.csv`` in both languages, parallel by id, and ``pairs.yor-Latn.tsv`` of other texts."""
    texts = labelled_texts(train + dev + test + pairs, labels=labels)
    bounds = [0, train, train + dev, train + dev + test, len(texts)]
    *splits, rest = [texts[a:b] for a, b in pairwise(bounds)]
    for split, found in zip(("train", "dev", "test"), splits, strict=True):
        for language, say in ((SOURCE, str), (TARGET, translated)):
            rows = [(f"{split}{i}", say(text), label) for i, (text, label) in enumerate(found)]
            write_csv(folder / f"{language}.{split}.csv", ["key", "sentence", "topic"], rows)
    lines = ["source\ttarget", *(f"{text}\t{translated(text)}" for text, _ in rest)]
    (folder / f"pairs.{TARGET}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def world_recipe(folder, overrides=(), *, splits=("train", "dev", "test"), **changes):
    """A recipe for that world; ``changes`` replace its blocks."""
    values = {
        "task": {
            "name": "classification",
            "source_language": SOURCE,
            "target_languages": [TARGET],
            "files": {split: f"{{language}}.{split}.csv" for split in splits},
            "fields": {"text": "sentence", "label": "topic", "id": "key"},
            "data_dir": str(folder),
            "parallel": True,
        },
    }
    return parse_recipe(values | changes, overrides)
