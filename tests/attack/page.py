"""Write the table of docs/robustness.md from what attack tests noted: ``python tests/attack/page.py NOTES PAGE``."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

BEGIN, END = "<!-- made by `make robustness`: begin -->", "<!-- end -->"
HEADING = ("attack", "tried", "held")


def read_notes(path):
    """How often each attack was tried, and held: several notes of one name are one row."""
    tried, held = Counter(), Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        note = json.loads(line)
        tried[note["attack"]] += note["tried"]
        held[note["attack"]] += note["held"]
    return [(attack, tried[attack], held[attack]) for attack in sorted(tried)]


def render(rows, revision):
    """The lines between the page's two marks."""
    cells = [HEADING, ("---", "--:", "--:"), *((attack, f"{tried:,}", f"{held:,}") for attack, tried, held in rows)]
    return "\n".join([f"At revision {revision}:", "", *(f"| {' | '.join(row)} |" for row in cells)])


def read_rows(page):
    """The rows of a written page, as numbers."""
    lines = [line for line in between(page).splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return [(attack, int(tried.replace(",", "")), int(held.replace(",", ""))) for attack, tried, held in rows]


def between(page):
    """What stands between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0]


def filled(page, table):
    """The page with another table."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}"


def revision_of(folder):
    """The commit that was tried, marked where files have changed since."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    notes, place = map(Path, sys.argv[1:])
    text = place.read_text(encoding="utf-8")
    place.write_text(filled(text, render(read_notes(notes), revision_of(place.parent))), encoding="utf-8")
