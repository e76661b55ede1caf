"""The page ``docs/results/knowledge-transfer.md``, from the comparisons of ``examples/knowledge_transfer``.

Each comparison is run by the command at the head of its recipe (minutes to an hour on two cores, resumable);
what is finished becomes a section: who wins, the table, the methods. All scores go to one ``scores.jsonl``.

    python benchmarks/knowledge_transfer.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lingraft.core.files import read_lines, write_atomically
from lingraft.results.comparison import blocks, read_comparison
from lingraft.results.pages.comparison_markdown import finding, page_text

SECTIONS = {
    "sib200": "Topics (SIB-200), five labels a class",
    "second_seed": "Topics (SIB-200), five labels a class, another seed",
    "zero_shot": "Topics (SIB-200), no labels in the target language",
    "other_languages": "Topics (SIB-200), four further languages",
    "nusax": "Sentiment (NusaX)",
    "ablation": "What each part is worth (Hausa, Guarani)",
    "words": "What the n-gram classifier adds (Hausa, Guarani, Acehnese, Amharic, Balinese)",
    "parts": "Start, averaging, order, and how many pairs (Hausa, Guarani)",
    "more_pairs": "Five times as many pairs, from the news (Hausa)",
    "lexicon": "A list of words instead of sentences (Guarani)",
    "losses": "Other alignment losses (Hausa, Guarani)",
    "cuts": "Where to cut (Hausa, Guarani)",
    "tuning": "Learning rates (Hausa, four epochs)",
}
EXAMPLES = "examples/knowledge_transfer"
NEWS = "../shared/data/ntrex/newstest2019"
SETTINGS = {
    "nusax": ["task.data_dir=../shared/data/nusax"],
    "more_pairs": [
        "task.data_dir=../shared/data/sib200",
        f"parallel.files={NEWS}-src.eng.txt.gz",
        f"parallel.target_files={NEWS}-ref.hau.txt.gz",
    ],
    "lexicon": ["task.data_dir=../shared/data/sib200", "parallel.lexicon=../shared/data/gatitos/en_gn.tsv.gz"],
}
"""Where the data are, of those that need more than the folder of SIB-200."""


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
        settings = SETTINGS.get(name, ["task.data_dir=../shared/data/sib200"])
        command = " ".join(["lingraft compare", f"{EXAMPLES}/{name}.yaml", *settings])
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
        for block in blocks(comparison):
            trials = f" ({len(block.trials)} trials a method)" if len(block.trials) > 1 else ""
            lines.append(f"- {SECTIONS[name]}{trials}. {finding(block, comparison)}")
    written = introduction.read_text(encoding="utf-8") if introduction.is_file() else ""
    return "\n".join([*lines, "", written])


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
