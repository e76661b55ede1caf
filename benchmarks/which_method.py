"""Write the table of docs/which-method.md from the scores in docs/results.

    python benchmarks/which_method.py

Each row is a comparison whose methods had the same labels, pairs and test examples; scores are those of its first draw
and seed, averaged over the target languages. Rounding apart, the pages of results have the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from lingraft.core.files import read_lines, write_atomically

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "which-method.md"
MARKED = re.compile(r"(<!-- python benchmarks/which_method\.py -->\n).*?(<!-- end -->)", re.DOTALL)

COLUMNS = {
    "frozen-head": "frozen head",
    "instant": "`instant`",
    "lingraft": "lingraft",
    "peft-lora": "LoRA (PEFT)",
    "full-joint": "full fine-tuning",
    "lora+alignment": "LoRA, aligned",
    "full+alignment": "full, aligned",
}
"""Methods of ``lingraft compare``, and what the table calls them."""


@dataclass(frozen=True)
class Row:
    """A comparison: where its scores lie, and where its page tells of it."""

    title: str
    page: str
    anchor: str
    task: str
    shots: int
    metric: str = "accuracy"
    source: str = "eng-Latn"
    comparison: str | None = None
    """Its name in the scores, where it is not the task's."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Methods that another stage ran on the same data."""


EIGHT = "topics-sib-200-eight-languages-that-nothing-was-chosen-on"
FOUR, FOUR_LABELLED = "topics-sib-200-no-labels-in-the-target-language", "topics-sib-200-five-labels-a-class"
ROWS = [
    Row("Topics", "closed-form", EIGHT, "sib200", 0),
    Row("Topics", "closed-form", EIGHT, "sib200", 5),
    Row("Topics", "knowledge-transfer", FOUR, "sib200", 0, comparison="zero_shot"),
    Row("Topics", "knowledge-transfer", FOUR_LABELLED, "sib200", 5),
    Row("Sentiment of reviews", "knowledge-transfer", "sentiment-nusax", "nusax", 5, source="ind-Latn"),
    Row("Paraphrases", "pairs", "paraphrases-paws-x-1600-english-pairs", "pawsx", 0),
    Row("Questions", "tasks", "xquad", "xquad", 0, "f1", elsewhere={"peft-lora": "xquad-peft"}),
    Row("Names", "tasks", "masakhaner", "masakhaner", 0, "span_f1"),
    Row("Names", "tasks", "masakhaner", "masakhaner", 16, "span_f1"),
    Row("Sentiment of tweets", "tasks", "afrisenti", "afrisenti", 0),
    Row("Sentiment of tweets", "tasks", "afrisenti", "afrisenti", 16),
    Row("Inference", "tasks", "americasnli", "americasnli", 0),
    Row("Inference", "tasks", "americasnli", "americasnli", 16),
    Row("Causes", "tasks", "xcopa", "xcopa", 0),
    Row("Causes", "tasks", "xcopa", "xcopa", 16),
]


def scores_of(row: Row) -> dict[str, dict[str, float]]:
    """Return method -> target language -> score, of the first draw and seed."""
    found: dict[str, dict[str, float]] = {}
    for line in read_lines(DOCS / "results" / row.page / "scores.jsonl"):
        part = line.get("comparison") or line.get("stage")
        wanted = row.elsewhere.get(line["method"], row.comparison or row.task)
        same = {"task": row.task, "metric": row.metric, "shots": row.shots, "draw": 0, "seed": 1}
        listed = line["language"] != row.source and line["method"] in COLUMNS
        if listed and part == wanted and same.items() <= line.items():
            found.setdefault(line["method"], {})[line["language"]] = line["value"]
    return found


def table() -> str:
    """Return the table in Markdown.

    Raises:
        SystemExit: The methods of a row were not tested in the same languages.
    """
    lines = [
        f"| task (its page) | languages | labels | {' | '.join(COLUMNS.values())} |",
        f"|---|--:|--:|{'--:|' * len(COLUMNS)}",
    ]
    for row in ROWS:
        scores = scores_of(row)
        languages, *others = {frozenset(values) for values in scores.values()}
        if others:
            raise SystemExit(f"{row.page}, {row.anchor}: expected all methods in the same languages, got {scores}")
        means = {method: f"{100 * fmean(values.values()):.1f}" for method, values in scores.items()}
        link = f"[{row.title}](results/{row.page}.md#{row.anchor})"
        cells = [link, str(len(languages)), str(row.shots), *(means.get(method, "") for method in COLUMNS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """Return a page with the table of today between its marks."""
    return MARKED.sub(lambda found: f"{found[1]}{table()}{found[2]}", page)


if __name__ == "__main__":
    text = with_table(PAGE.read_text(encoding="utf-8"))
    write_atomically(PAGE, lambda path: path.write_text(text, encoding="utf-8"))
