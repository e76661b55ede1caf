"""Whatever comes in on standard input is answered, or refused in one line."""

import io
import json
import random
import sys

import pytest

from answering import adapted_of
from attack.record import record
from attack.sample import TIMES
from lingraft.core.errors import LingraftError
from lingraft.serving.answer_lines import write_answers
from lingraft.serving.inputs import STREAMED, read_given, shape_of
from lingraft.serving.own_names import OwnNames

pytestmark = pytest.mark.attack

WELL = {
    "text": "ada beli, cora.\n\n{name}, dune\n",
    "jsonl": '{"id": 1, "text": "ada", "words": ["ada", "beli"]}\n{"question": "ada", "context": "be", "text": null}\n'
    '{"text": "cora", "alternatives": ["ada", "beli"], "question": "cause"}\n',
    "csv": 'id,text,question,context\n1,"ada, beli",ada,be\n2,,,\n',
    "tsv": "id\ttext\twords\n1\tada\tada beli\n",
    "conll": "ada\tB-PER\nbeli O\n\n-DOCSTART- O\n\ncora\tO\n",
}
SPLICED = [
    *(b"\x00", b"\xff", b"\xed\xa0\xbd", b"\r", b"\n\n", b"\t", b'"', b"{", b"}", b"[", b"]", b"\xef\xbb\xbf", b"#"),
    *(b"\\ud83d", b"\xe2\x80\x8b", b"null", b"1e999", b"NaN", b"-1", b'{"text": 5}\n', b"[" * 3000, b"a" * 5000, b","),
    *(b'{"": {}}\n', b'{"text": "a", "text": ["b"]}\n', b'{"words": [[]]}\n', b'{"alternatives": {"a": 1}}\n'),
]
KINDS = ("classification", "tagging", "span_qa", "choice")


def mutated(rng, content):
    """The bytes with some of them cut out, doubled, exchanged or spliced in."""
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randint(0, len(content)), rng.choice([0, 1, 1, 8, 40])
        put = rng.choice([b"", rng.choice(SPLICED), rng.choice(SPLICED), content[at : at + size] * 2])
        content = content[:at] + put + content[at + size :]
    return content


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", [None, *STREAMED])
def test_mutated_standard_input_is_answered_or_refused(tiny_backbone, monkeypatch, kind, said):
    """In the shape that somebody says, or that is guessed: no other error than one with a cure, and whole lines."""
    rng, adapted = random.Random(f"{kind} {said}"), adapted_of(tiny_backbone, kind)
    names = adapted.names.choose(text="text", text_b=None) if rng.random() < 0.5 else OwnNames()
    refused, tried = 0, round(60 * TIMES)
    for _ in range(tried):
        content = mutated(rng, (WELL[said] if said else rng.choice(list(WELL.values()))).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        stream = io.StringIO()
        try:
            shape = said or shape_of(None, adapted.kind, names)
            given = read_given(None, shape, adapted.kind, names=names, language="swh-Latn", guessed=said is None)
            write_answers(stream, given, adapted, "jsonl", abstain=0.2)
        except LingraftError as error:
            refused += 1
            assert "\n" not in str(error)
        stream.getvalue().encode()
        assert all(isinstance(json.loads(line), dict) for line in stream.getvalue().splitlines() if line)
    record("mutated standard input of `predict`", tried=tried, held=tried)
    assert refused > 0
