"""The invented world as files of the kinds of task that are not classification."""

import json
import random

from invented import FILLER, SOURCE, TARGET, TOPICS, labelled_texts, translated
from tiny import WORDS

SIZES = {"train": 12, "dev": 4, "test": 6}


def say(text, language):
    """The text in one of the two languages."""
    return text if language == SOURCE else translated(text)


def write_span_qa(folder, language, split, count, rng):
    """SQuAD JSON; a question names a word, which is the answer. Every third context needs several windows."""
    paragraphs = []
    for i in range(count // 2):
        words = rng.sample(WORDS[:16], 9) + rng.choices(FILLER, k=18 if i % 3 == 0 else 0)
        context, asked = say(" ".join(words), language), [say(words[place], language) for place in (2, 7)]
        paragraphs.append(
            {
                "context": context,
                "qas": [
                    {
                        "id": f"{split}{i}-{n}",
                        "question": word,
                        "answers": [{"text": word, "answer_start": context.index(word)}],
                    }
                    for n, word in enumerate(asked)
                ],
            }
        )
    about = {"version": "1.1", "data": [{"title": "invented", "paragraphs": paragraphs}]}
    (folder / f"{language}.{split}.json").write_text(json.dumps(about), encoding="utf-8")


def write_tagging(folder, language, split, count, rng):
    """CoNLL; birds and rivers are names, two in a row are one. One sentence is longer than a window."""
    lines = []
    for i in range(count):
        words = rng.choices(WORDS[:16], k=30 if i == 0 else rng.randint(2, 6))
        before = "O"
        for word in words:
            kind = "BIRD" if word in TOPICS["bird"] else "RIVER" if word in TOPICS["river"] else ""
            tag = f"{'I' if before == kind else 'B'}-{kind}" if kind else "O"
            before = kind or "O"
            lines.append(f"{say(word, language)} {tag}")
        lines.append("")
    (folder / f"{language}.{split}.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_choice(folder, language, split, count, rng):
    """JSON lines; the alternative of the same topic goes with the text."""
    rows = []
    for i in range(count):
        right, wrong = rng.sample(sorted(TOPICS), 2)
        text, *alternatives = (" ".join(rng.sample(TOPICS[topic], 2)) for topic in (right, right, wrong))
        label = rng.randint(0, 1)
        first, second = alternatives[::-1] if label else alternatives
        rows.append(
            {"premise": say(text, language), "one": say(first, language), "two": say(second, language),
             "label": label, "key": f"{split}{i}"}
        )  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"{language}.{split}.jsonl").write_text(text, encoding="utf-8")


WRITERS = {"span_qa": write_span_qa, "tagging": write_tagging, "choice": write_choice}
SUFFIXES = {"span_qa": "json", "tagging": "conll", "choice": "jsonl"}


def write_kinds(folder):
    """Write files of every kind in both languages, and pairs of other sentences."""
    for kind, write in WRITERS.items():
        place = folder / kind
        place.mkdir()
        for language in (SOURCE, TARGET):
            for number, (split, count) in enumerate(SIZES.items()):
                write(place, language, split, count, random.Random(number if language == SOURCE else 10 + number))
    lines = ["source\ttarget", *(f"{text}\t{translated(text)}" for text, _ in labelled_texts(10, 5))]
    (folder / f"pairs.{TARGET}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
