"""A server under load: how fast it answers, whether anything is lost, what memory does.

Starts ``lingraft serve`` on a free port, asks each item once alone, and then so many requests of one item with each
number of clients, each of which asks the next thing once it has an answer. Every answer is compared with the one that
its item got alone. Memory is that of the server's process (resident), when a tenth of the requests are answered and at
their end. Clients share the machine with the server. Ends with 1 where an answer was lost or another's, or a malformed
request was not refused with 4xx.

    python benchmarks/serve_load.py runs/my-run --requests 20000
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from itertools import islice
from pathlib import Path
from typing import Any

from lingraft.results.run_files import read_run

JSON = {"Content-Type": "application/json"}
MALFORMED: tuple[tuple[str, str, bytes, dict[str, str]], ...] = (
    ("POST", "/predict", b"{", JSON),
    ("POST", "/predict", b"", JSON),
    ("POST", "/predict", b"[" * 50_000, JSON),
    ("POST", "/predict", b"\xff\xff", JSON),
    ("POST", "/predict", b'{"items": 5}', JSON),
    ("POST", "/predict", b'{"items": [{"a": [[[5]]]}]}', JSON),
    ("POST", "/predict", b'{"items": ["a"], "language": "\\ud800"}', JSON),
    ("POST", "/predict", b'{"items": ["a"]}', {"Content-Type": "text/plain"}),
    ("POST", "/predict", b"x" * 1_100_000, JSON),
    ("POST", "/explain", b'{"item": null}', JSON),
    ("GET", "/predict", b"", {}),
    ("GET", "/nothing", b"", {}),
    ("GET", "/healthz", b"", {"Host": "elsewhere.example"}),
)


@dataclass(frozen=True)
class Row:
    """What came of some requests by so many clients."""

    clients: int
    requests: int
    seconds: float
    times: tuple[float, ...]
    """Of each request, in seconds."""
    lost: int
    """Without an answer, or with another status than 200."""
    other: int
    """With another answer than their item got alone, see :func:`alike`."""
    memory: tuple[float, float]
    """Bytes when a tenth was answered, and at the end."""


@contextmanager
def server(run: str, options: Sequence[str]) -> Iterator[int]:
    """Start a server, yield its port, and end it."""
    command = [sys.executable, "-m", "lingraft", "serve", run, "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"answering at http://[\d.]+:(\d+) ", line):
                yield int(found[1])
                return
            sys.stderr.write(line)
        sys.exit("the server did not start")
    finally:
        process.terminate()
        process.wait()


def ask(connection: HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body of an answer; 0 where there is none."""
    try:
        connection.request(method, path, body or None, headers)
        answered = connection.getresponse()
        return answered.status, answered.read()
    except (OSError, HTTPException):
        connection.close()  # the next request opens it again
        return 0, b""


def alike(found: Any, expected: Any) -> bool:
    """Return whether two answers are the same, but for the last digit of a number, which in bfloat16 is the third."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(alike(found[key], one) for key, one in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(alike, found, expected))
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) < 5e-3
    return bool(found == expected)


def memory_of(port: int) -> float:
    """Return the bytes that the server says it has; nothing where its system does not tell."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        text = ask(connection, "GET", "/metrics", b"", {})[1].decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else float("nan")


def load(port: int, bodies: Sequence[bytes], alone: Sequence[bytes], clients: int, requests: int) -> Row:
    """Ask so many requests by so many clients, the items in turn."""

    def client(number: int, share: range) -> list[tuple[float, int, bool]]:
        found = []
        with closing(HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
            for at in share[number::clients]:
                begun = time.perf_counter()
                status, answer = ask(connection, "POST", "/predict", bodies[at % len(bodies)], JSON)
                took, expected = time.perf_counter() - begun, alone[at % len(bodies)]
                same = answer == expected or (status == 200 and alike(json.loads(answer), json.loads(expected)))
                found.append((took, status, same))
        return found

    def all_of(share: range) -> list[tuple[float, int, bool]]:
        with ThreadPoolExecutor(clients) as pool:
            done = pool.map(lambda number: client(number, share), range(clients))
            return [one for some in done for one in some]

    begun, tenth = time.perf_counter(), max(1, requests // 10)
    first = all_of(range(tenth))
    before = memory_of(port)
    found = [*first, *all_of(range(tenth, requests))]
    seconds = time.perf_counter() - begun
    return Row(
        clients=clients,
        requests=requests,
        seconds=seconds,
        times=tuple(took for took, _, _ in found),
        lost=requests - sum(status == 200 for _, status, _ in found),
        other=sum(status == 200 and not same for _, status, same in found),
        memory=(before, memory_of(port)),
    )


def items_of(run: Path, given: Path | None, most: int) -> list[Any]:
    """Return items to ask: lines of a file, each a text or JSON, or the texts that the run was tested on."""
    if given is not None:
        lines = [line for line in given.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [json.loads(line) if line.startswith(("{", "[", '"')) else line for line in lines[:most]]
    files = read_run(run)
    rows = (row for language in files.languages for row in files.predictions(files.selected_trial, language))
    texts = [(row["text"], row["text_b"]) if row.get("text_b") else row["text"] for row in islice(rows, most)]
    return texts or sys.exit(f"{run} has no predictions of test texts; give --items FILE, one a line")


def main() -> None:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--requests", type=int, default=2_000, help="with each number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--items", type=Path, help="lines of texts or JSON; default: the run's test texts")
    parser.add_argument("--distinct", type=int, default=200, help="different items at most")
    parser.add_argument("--language")
    parser.add_argument("options", nargs="*", help="of lingraft serve, after --")
    asked = parser.parse_args()
    more = {"language": asked.language} if asked.language else {}
    items = items_of(asked.run, asked.items, asked.distinct)
    bodies = [json.dumps({"items": [one], **more}).encode() for one in items]
    with server(str(asked.run), asked.options) as port:
        with closing(HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
            answers = [ask(connection, "POST", "/predict", body, JSON) for body in bodies]
            if wrong := next((text for status, text in answers if status != 200), None):
                sys.exit(f"an item is not answered: {wrong.decode()}")
        print(f"\n{asked.run}: {len(items)} different items, one a request\n")
        print("| clients | requests | a second | median, ms | 95th percentile, ms | lost | another's | memory, MB |")
        print("|--:|--:|--:|--:|--:|--:|--:|--:|")
        rows = []
        for clients in asked.clients:
            row = load(port, bodies, [text for _, text in answers], clients, asked.requests)
            cuts = statistics.quantiles(row.times, n=20, method="inclusive")
            print(
                f"| {row.clients} | {row.requests:,} | {row.requests / row.seconds:,.1f} | {1000 * cuts[9]:,.1f} | "
                f"{1000 * cuts[18]:,.1f} | {row.lost} | {row.other} | "
                f"{row.memory[0] / 1e6:,.1f} → {row.memory[1] / 1e6:,.1f} |",
                flush=True,
            )
            rows.append(row)
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            statuses = [ask(connection, *one)[0] for one in MALFORMED]
    refused = sum(400 <= status < 500 for status in statuses)
    print(f"\nmalformed requests refused with 4xx: {refused} of {len(MALFORMED)} ({', '.join(map(str, statuses))})")
    sys.exit(int(refused < len(MALFORMED) or any(row.lost or row.other for row in rows)))


if __name__ == "__main__":
    main()
