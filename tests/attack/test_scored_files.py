"""Whatever file is given to `score` is scored, or refused in one line."""

import json
import random

import pytest

from attack.record import record
from attack.sample import TIMES
from lingraft.core.errors import LingraftError
from lingraft.tasks.score_files import FileColumns, score_files

pytestmark = pytest.mark.attack

ASKED = {"id": "1", "question": "x", "answers": [{"text": "ada", "answer_start": 0}]}
SQUAD = {"data": [{"title": "ada", "paragraphs": [{"context": "ada beli", "qas": [ASKED]}]}]}
FILES = {
    "squad": (
        {"p.json": '{"1": "ada"}', "p.jsonl": '{"id": "1", "label": "ada", "confidence": 0.5}\n'},
        "g.json",
        SQUAD,
    ),
    "span_f1": (
        {"p.conll": "ada\tX\tB-PER\nbeli\tX\tO\n\ncora\tX\tO\n", "p.jsonl": '{"words": ["ada"], "label": "O"}\n'},
        "g.conll",
        "ada B-PER\nbeli O\n\ncora O\n",
    ),
    "accuracy": (
        {
            "p.json": '{"1": "a", "2": 1.0}',
            "p.csv": "id,label,confidence\n1,a,0.5\n2,,0\n",
            "p.tsv": "text\tlabel\nx\ta\ny\tb\n",
        },
        "g.csv",
        "id,label\n1,a\n2,b\n",
    ),
    "squad_v2": (
        {"p.json": '[{"id": 1, "label": "ada"}]', "p.csv": "id,label,confidence\n1,ada,0.5\n"},
        "g.jsonl",
        '{"id": 1, "context": "ada beli", "answers": {"text": ["ada"], "answer_start": [0]}}\n',
    ),
    "tag_accuracy": (
        {"p.csv": 'words,label,confidence\n"[""ada"", ""beli""]",B-PER O,0.5\ncora,O,0.5\n'},
        "g.jsonl",
        '{"words": ["ada", "beli"], "tags": [1, 0]}\n{"words": "cora", "tags": "O"}\n',
    ),
    "macro_f1": (
        {"p.jsonl": '{"text": "x", "label": "A", "confidence": 1}\n{"text": "y", "label": "b", "confidence": 1}\n'},
        "g.json",
        '[{"text": "x", "label": "a"},\n {"text": "y", "label": "B"}]',
    ),
    "multilabel": (
        {"p.json": '{"1": "a|b", "2": ""}', "p.csv": "id,label,confidence\n1,a|b,0.5\n2,,0\n"},
        "g.jsonl",
        '{"id": 1, "labels": ["a", "b"]}\n{"id": 2, "labels": []}\n',
    ),
    "regression": (
        {"p.json": '{"1": 3.5, "2": -2}', "p.jsonl": '{"id": 1, "label": 3.5}\n{"id": 2, "label": 2}\n'},
        "g.csv",
        "id,number\n1,3.25\n2,9e14\n",
    ),
}
BOUNDS = {"spearman": (-1, 1), "pearson": (-1, 1), "mean_absolute_error": (0, 2e15)}
LABELS = ["as_written", "normalise", ["O", "B-PER"]]
SPLICED = [
    *(b"\x00", b"\xff", b"\n", b"\n\n", b"\t", b'"', b"{", b"}", b"[", b"]", b",", b"null", b"1e999", b"NaN", b"true"),
    *(b"\\ud83d", b"[" * 2000, b'{"words": {}}\n', b'{"id": [1], "label": {}}\n', b'{"words": [1], "label": "O"}\n'),
    b"\x1b[",
]


def mutated(rng, text):
    """The bytes with some cut out, doubled or spliced in."""
    content = text.encode()
    for _ in range(rng.randint(1, 3)):
        at, size = rng.randint(0, len(content)), rng.choice([0, 1, 8])
        put = rng.choice([b"", rng.choice(SPLICED), content[at : at + size] * 2])
        content = content[:at] + put + content[at + size :]
    return content


@pytest.mark.parametrize("metric", FILES)
def test_mutated_predictions_are_scored_or_refused(tmp_path, metric):
    """Either file may be damaged; no score is outside of its bounds, and what is refused has a cure in one line."""
    rng, (given, gold_name, gold) = random.Random(metric), FILES[metric]
    gold = json.dumps(gold) if isinstance(gold, dict) else gold
    tried = round(75 * TIMES)
    for _ in range(tried):
        name = rng.choice(list(given))
        right, guess = tmp_path / gold_name, tmp_path / name
        right.write_bytes(mutated(rng, gold) if rng.random() < 0.3 else gold.encode())
        guess.write_bytes(mutated(rng, given[name]))
        columns = rng.choice([FileColumns(), FileColumns(), FileColumns(words=(0, 1)), FileColumns(group="text")])
        wrong, labels = rng.random() < 0.5, rng.choice(LABELS)
        try:
            report = score_files(guess, right, metric, missing_is_wrong=wrong, columns=columns, labels=labels)
            for one in report.scores:
                least, most = BOUNDS.get(one.metric, (0, 1))
                low, high = (one.value, one.value) if one.low is None else (one.low, one.high)
                assert least <= low <= high <= most
            assert all((one.low is None) == (report.groups == 1) for one in report.scores)
        except LingraftError as error:
            assert "\n" not in str(error)
    record("mutated files for `score`", tried=tried, held=tried)
