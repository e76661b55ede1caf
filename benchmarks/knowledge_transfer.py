"""The page ``docs/results/knowledge-transfer.md``, from the comparisons of ``examples/knowledge_transfer``.

Each comparison is run by the command at the head of its recipe (minutes to an hour on two cores, resumable);
what is finished becomes a section: who wins, the table, the methods. All scores go to one ``scores.jsonl``.

    python benchmarks/knowledge_transfer.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lingraft.comparison_page import blocks, finding, page_text, read_comparison
from lingraft.folders import write_atomically
from lingraft.run_files import read_lines

SECTIONS = {
    "sib200": "Topics (SIB-200), five labels a class",
    "zero_shot": "Topics (SIB-200), no labels in the target language",
    "nusax": "Sentiment (NusaX)",
    "ablation": "What each part is worth (Hausa, Guarani)",
    "losses": "Other alignment losses (Hausa, Guarani)",
    "cuts": "Where to cut (Hausa, Guarani)",
    "tuning": "Learning rates (Hausa, four passes)",
}
EXAMPLES = "examples/knowledge_transfer"


def main() -> None:
    """Write the page from what is finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/knowledge_transfer"))
    parser.add_argument("--page", type=Path, default=Path("docs/results/knowledge-transfer.md"))
    parser.add_argument("--introduction", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    finished = {name: options.runs / name for name in SECTIONS if (options.runs / name / "comparison.json").is_file()}
    parts, scores = [_head(finished, options.introduction)], []
    for name, folder in finished.items():
        data = "nusax" if name == "nusax" else "sib200"
        command = f"lingraft compare {EXAMPLES}/{name}.yaml task.data_dir=../shared/data/{data}"
        _, _, body = page_text(read_comparison(folder), command=command).partition("\n")
        parts.append(f"# {SECTIONS[name]}\n{body.replace(chr(10) + '## ', chr(10) + '### ')}".replace("\n# ", "\n## "))
        scores += [{"comparison": name, **row} for row in read_lines(folder / "scores.jsonl")]
    text = "\n".join([parts[0], *(f"#{part}" for part in parts[1:])])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scores)
    where = options.page.with_suffix("") / "scores.jsonl"
    where.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.page, lambda path: _write(path, text))
    write_atomically(where, lambda path: _write(path, lines))
    print(f"{options.page}: {', '.join(finished)}")


def _head(finished: dict[str, Path], introduction: Path) -> str:
    """Who wins, comparison by comparison, then what is written by hand."""
    lines = ["# Does it transfer? lingraft beside other methods", ""]
    for name, folder in finished.items():
        comparison = read_comparison(folder)
        lines += [f"- {SECTIONS[name]}. {finding(block, comparison)}" for block in blocks(comparison)[:1]]
    written = introduction.read_text(encoding="utf-8") if introduction.is_file() else ""
    return "\n".join([*lines, "", written])


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
