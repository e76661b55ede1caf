"""Memory of loading and of runs, and the start of ``lingraft predict``, each in processes of its own.

The yardstick imports torch and transformers and loads the same weights, nothing else: what no
program can do without that predicts with them. ``predict`` labels one line with a run that this
benchmark trained. The two take turns; ratios are medians over the rounds of what stood side by side,
so that another process that wakes up disturbs both alike. CPU seconds say the same where the
machine is busy.

A run's memory is measured with 1, 3 and 6 target languages, two epochs each, on states that are encoded
in the same run. Peaks are ``ru_maxrss`` of the process, Python and torch and the mapped weights
included, and that of its verification in a process of its own where that is more. A process inherits
the peak of the one that starts it, which is why nothing large is imported here.

    python benchmarks/footprint.py --json docs/results/footprint.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingraft.core.files import cache_root

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "sib200"
CHECKPOINT = "bundled:multilingual-e5-small"
LANGUAGES = ("yor-Latn", "quy-Latn", "wol-Latn", "ibo-Latn", "swh-Latn", "hau-Latn")
COUNTS = (1, 3, 6)
TRIAL = 1 if sys.platform == "darwin" else 1024
"""Bytes of what ``ru_maxrss`` counts."""

YARDSTICK = """
import sys, torch, transformers
model = transformers.AutoModel.from_pretrained(sys.argv[1], local_files_only=True, add_pooling_layer=False)
"""
FOLDER = """
import sys
from lingraft.backbones.checkpoint_files import checkpoint_folder
print(checkpoint_folder(sys.argv[1]))
"""
LOADED = """
import sys
from lingraft.backbones.loading import load_backbone
backbone = load_backbone(sys.argv[1])
"""
RESIDENT = """
import sys
for line in open("/proc/self/status"):
    if line.startswith(("RssAnon", "RssFile")):
        print(line.split()[0].rstrip(":"), 1024 * int(line.split()[1]))
"""


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds on the wall and of the processor, bytes at its peak, and what it printed."""

    seconds: float
    cpu_seconds: float
    peak: int
    printed: str


def spend(arguments: Sequence[str], cache: Path) -> Usage:
    """Run a Python process to its end, alone."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "LINGRAFT_CACHE": str(cache), "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=complaints, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        complaints.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(arguments)[:200]} failed:\n{complaints.read()}")
        return Usage(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * TRIAL, output.read())


def measure_loading(folder: str, cache: Path) -> dict[str, Any]:
    """Peak and resident bytes after loading, of transformers' way and of ours."""
    found = {}
    for name, program, given in (("transformers", YARDSTICK, folder), ("lingraft", LOADED, CHECKPOINT)):
        usage = spend(["-c", program + (RESIDENT if sys.platform == "linux" else ""), given], cache)
        resident = dict(line.split() for line in usage.printed.splitlines())
        found[name] = {"peak_bytes": usage.peak} | {
            key: int(resident[kind])
            for key, kind in (("own_bytes", "RssAnon"), ("mapped_bytes", "RssFile"))
            if kind in resident
        }
        print(f"loading with {name:<13} " + ", ".join(f"{k[:-6]} {v / 1e6:,.0f} MB" for k, v in found[name].items()))
    return found


def measure_runs(counts: Sequence[int], data: Path, output: Path, cache: Path) -> list[dict[str, Any]]:
    """Peak bytes of a run by the number of its target languages."""
    rows = []
    for count in counts:
        say(f"a run on {count} languages")
        recipe = {
            "backbone": {"checkpoint": CHECKPOINT},
            "task": {"name": "sib200", "target_languages": list(LANGUAGES[:count]), "data_dir": str(data)},
            "parallel": {"from": "task"},
            "seeds": [1],
            "device": "cpu",
            "train": {"num_train_epochs": 2},
            "output_dir": str(output / f"run-{count}"),
        }
        path = output / f"recipe-{count}.yaml"
        path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
        usage = spend(["-m", "lingraft", "run", str(path), "--quiet"], cache)
        rows.append({"languages": count, "peak_bytes": usage.peak, "seconds": usage.seconds})
        print(f"a run on {count} languages    peak {usage.peak / 1e6:,.0f} MB, {usage.seconds:,.0f} s", flush=True)
    return rows


def measure_start(
    run: Path, folder: str, rounds: int, cache: Path, spend: Callable[[Sequence[str], Path], Usage] = spend
) -> dict[str, Any]:
    """``predict`` on one line beside the yardstick, in turns; the first of each warms the file cache."""
    text = run.parent / "line.txt"
    text.write_text("The match ended with two goals.\n", encoding="utf-8")
    programs: Mapping[str, Sequence[str]] = {
        "yardstick": ["-c", YARDSTICK, folder],
        "predict": ["-m", "lingraft", "predict", str(run), str(text)],
    }
    usages: dict[str, list[Usage]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        say(f"predict and its yardstick: round {turn} of {rounds}")
        for name, arguments in programs.items():
            usages[name].append(spend(arguments, cache))
    found: dict[str, Any] = {}
    for name, (_, *measured) in usages.items():
        found[name] = {
            "seconds": statistics.median(usage.seconds for usage in measured),
            "cpu_seconds": statistics.median(usage.cpu_seconds for usage in measured),
            "peak_bytes": max(usage.peak for usage in measured),
        }
    pairs = list(zip(usages["predict"][1:], usages["yardstick"][1:], strict=True))
    found["ratio"] = statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)
    found["cpu_ratio"] = statistics.median(ours.cpu_seconds / theirs.cpu_seconds for ours, theirs in pairs)
    for name in programs:
        row = found[name]
        print(
            f"{name:<26} {row['seconds']:.2f} s, {row['cpu_seconds']:.2f} s of the processor, "
            f"peak {row['peak_bytes'] / 1e6:,.0f} MB"
        )
    print(
        f"predict takes {found['ratio']:.2f} times its yardstick, of the processor {found['cpu_ratio']:.2f} times "
        "(aim: at most 1.3)"
    )
    return found


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print; see the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], epilog="A run takes about five minutes.")
    parser.add_argument("--data-dir", type=Path, default=DATA, help="SIB-200: LANGUAGE.train.tsv and so on")
    parser.add_argument("--rounds", type=int, default=7, help="of predict and its yardstick")
    parser.add_argument("--languages", type=int, nargs="+", default=COUNTS, help="of the runs; at most 6")
    parser.add_argument("--run", type=Path, help="predict with this run, and train none")
    parser.add_argument("--json", type=Path, help="write the results here")
    options = parser.parse_args(arguments)
    if not options.data_dir.is_dir():
        parser.error(f"there is no folder {options.data_dir}; give the one with SIB-200's files with --data-dir")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    folder = spend(["-c", FOLDER, CHECKPOINT], cache_root()).printed.strip()  # converts it, if need be
    with tempfile.TemporaryDirectory() as place:
        cache = Path(place) / "cache"
        cache.mkdir()
        (cache / "backbones").symlink_to(Path(folder).parent)  # states and digests are our own
        result: dict[str, Any] = {"load_average": load, "loading": measure_loading(folder, cache)}
        if options.run is None:
            result["runs"] = measure_runs(options.languages, options.data_dir.resolve(), Path(place), cache)
        run = options.run or Path(place) / f"run-{options.languages[0]}"
        result["start"] = measure_start(run.resolve(), folder, options.rounds, cache)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
