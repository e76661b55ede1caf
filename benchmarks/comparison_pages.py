"""Pages of ``docs/results`` that are made of comparisons and studies, such as ``knowledge-transfer.md``.

Each comparison is run by the command at the head of its recipe (minutes to an hour on two cores, resumable);
what is finished becomes a section: who wins, the table, the methods. All scores go to one ``scores.jsonl``. Sections
whose folder is not there stay as they were; each says which revision it is of.

    python benchmarks/comparison_pages.py knowledge_transfer
    python benchmarks/comparison_pages.py closed_form
    python benchmarks/comparison_pages.py pairs
    python benchmarks/comparison_pages.py pseudo
    python benchmarks/comparison_pages.py tokens
    python benchmarks/comparison_pages.py decoders
    python benchmarks/comparison_pages.py stability
    python benchmarks/comparison_pages.py shots

The remarks above the tables are the ``notes`` of the recipes: edited there, they are new on the page with the next of
these commands, and nothing runs again.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from lingraft.core.files import Row, read_lines, write_atomically
from lingraft.data.languages import display_name
from lingraft.recipe.parsing import read_recipe
from lingraft.results.comparison import Comparison, blocks, read_comparison
from lingraft.results.pages.comparison_markdown import finding, page_text
from lingraft.results.pages.escaping import describe_notes
from lingraft.results.pages.shot_curve_markdown import findings, shot_curve_page
from lingraft.results.pages.stability_markdown import stability_finding, stability_page
from lingraft.results.shot_curve import read_shot_curve
from lingraft.results.stability import read_stability

KNOWLEDGE_TRANSFER = {
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
CLOSED_FORM = {
    "sib200": "Topics (SIB-200), eight languages that nothing was chosen on",
    "choices": "What a map is made of, and how many pairs (six development languages)",
    "shots": "What labels in the target language add (six development languages)",
    "labels": "Whether training gains from labels in the target language (six development languages, two draws)",
    "best": "What reaches below the cut (three development languages)",
    "trained": "What training adds, and what reaches below the cut (the eight languages, one draw)",
    "trained_labels": "Whether training everything gains from labels (the eight languages, five a class, one draw)",
}
PAIRS = {
    "pawsx": "Paraphrases (PAWS-X), 1,600 English pairs",
    "pawsx_400": "Paraphrases (PAWS-X), 400 English pairs",
}
PSEUDO = {
    "study_topics": "Word-translated topics (SIB-200: Acehnese, Guarani)",
    "study_sentiment": "Word-translated sentiment (NusaX: Acehnese, Balinese)",
}
TOKENS = {
    "xquad": "Questions (XQuAD), 17 English articles: copies to learn from",
    "xquad_parts": "Questions (XQuAD), 17 English articles: copies that must get the same answers",
    "xquad_words": "Questions (XQuAD), 17 English articles: words aligned, and everything together",
    "masakhaner": "Names in news (MasakhaNER: Hausa, Yoruba), 2,000 English titles and sentences of Wikipedia",
    "masakhaner_labels": "Names in news with 16 labelled sentences (MasakhaNER: Hausa, Yoruba)",
    "ud": "Parts of speech (Universal Dependencies: Marathi, Telugu)",
    "pawsx": "Paraphrases (PAWS-X), 1,600 English pairs, the network alone",
}
DECODERS = {
    "sib200": "Topics (SIB-200, six languages) by a decoder, Gemma 3 270M",
    "sib200_trained": "What training adds (Yoruba, Ayacucho Quechua)",
    "sib200_encoder": "The same by an encoder, multilingual-e5-small",
    "xquad": "Questions (XQuAD) by Gemma 3 270M, pointed at and in writing",
}
STABILITY = {
    "sib200": "Topics (SIB-200: Yoruba, Ayacucho Quechua) from little data",
    "sib200_others": "The same with methods that train whole models, and the preset paper",
}
SHOTS = {"sib200": "Topics (SIB-200: Yoruba, Ayacucho Quechua), none to sixteen labels a class"}
SECTIONS = {
    "knowledge_transfer": KNOWLEDGE_TRANSFER,
    "closed_form": CLOSED_FORM,
    "pairs": PAIRS,
    "pseudo": PSEUDO,
    "tokens": TOKENS,
    "decoders": DECODERS,
    "stability": STABILITY,
    "shots": SHOTS,
}
TITLES = {
    "knowledge_transfer": "Does it transfer? lingraft beside other methods",
    "closed_form": "Closed form: what a map gives before any training, and after it",
    "pairs": "Pairs of texts: what comparing them adds to reading them",
    "pseudo": "Pseudo-data: what made examples are worth",
    "tokens": "Questions, tags and pairs: words aligned, switched, projected",
    "decoders": "A small decoder beside a small encoder",
    "stability": "How much depends on chance: labels, seeds, and both",
    "shots": "What labels are worth, with and without translations",
}
COMMANDS = {"stability": "stability", "shots": "shots"}
"""Of lingraft, what makes the sections of a page; others are made by ``compare``."""
NEWS = "../shared/data/ntrex/newstest2019"
SETTINGS: dict[str, list[str]] = {
    **{name: [] for name in TOKENS},
    "nusax": ["task.data_dir=../shared/data/nusax"],
    "study_sentiment": ["task.data_dir=../shared/data/nusax"],
    "pawsx_400": [],
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
    parser.add_argument("name", choices=SECTIONS)
    name = parser.parse_args().name
    write_page(name, Path("runs") / name, Path("docs/results") / f"{name.replace('_', '-')}.md", introduction(name))


def settings_of(part: str) -> list[str]:
    """Return where the data of a comparison are, as overrides."""
    return SETTINGS.get(part, ["task.data_dir=../shared/data/sib200"])


def command_of(name: str) -> str:
    """Return the command of lingraft that makes the sections of a page."""
    return COMMANDS.get(name, "compare")


def introduction(name: str) -> str:
    """Return what stands above the tables of a page: the remarks of its recipes."""
    return remarks(Path("examples") / name / f"{part}.yaml" for part in SECTIONS[name])


def remarks(recipes: Iterable[Path]) -> str:
    """Return the remarks of recipes as a list in Markdown, in the order of the recipes."""
    notes = [note for recipe in recipes for note in read_recipe(recipe).notes]
    return "\n".join(describe_notes(notes, "What is compared, and how far it can be trusted:"))


def write_page(name: str, runs: Path, page: Path, text: str) -> None:
    """Write a page, and its scores beside it, from the comparisons that came to their end.

    Args:
        name: Of the page, as its recipes' folder.
        runs: The folder that has a folder for each comparison.
        page: Where to write; sections whose folder is not there stay as they are in it.
        text: What stands above the tables.
    """
    sections = SECTIONS[name]
    finished = {part: runs / part for part in sections if (runs / part / "comparison.json").is_file()}
    before = _sections(page.read_text(encoding="utf-8")) if page.is_file() else {}
    where = page.with_suffix("") / "scores.jsonl"
    noted = list(read_lines(where)) if where.is_file() else []
    parts, scores = [_head(name, finished, before, text)], list[Row]()
    for part, title in sections.items():
        if part not in finished and title in before:
            parts.append(f"# {title}\n{before[title]}")
            scores += [row for row in noted if row["comparison"] == part]
        if part not in finished:
            continue
        folder = finished[part]
        command = " ".join(["lingraft", command_of(name), f"examples/{name}/{part}.yaml", *settings_of(part)])
        comparison = read_comparison(folder)
        told = replace(comparison, notes=())  # above, with those of the others
        _, _, body = _told(name, told, command).partition("\n")
        body += "".join(f"{line}\n" for line in _elsewhere(folder))
        parts.append(f"# {sections[part]}\n{re.sub(r'^#', '##', body, flags=re.MULTILINE)}")
        scores += [{"comparison": part, **row} for row in read_lines(folder / "scores.jsonl")]
    whole = "\n".join([parts[0], *(f"#{part}" for part in parts[1:])])
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in scores)
    where.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, lambda path: _write(path, whole))
    write_atomically(where, lambda path: _write(path, lines))
    print(f"{page}: {', '.join(finished)}")


def _sections(page: str) -> dict[str, str]:
    """What stands under each title of a page, and under the empty title what stands before the first."""
    head, *rest = page.split("\n## ")
    return {"": head} | {title: f"{text.rstrip()}\n" for title, _, text in (one.partition("\n") for one in rest)}


def _head(name: str, finished: dict[str, Path], before: dict[str, str], text: str) -> str:
    """Who wins, comparison by comparison, then the remarks."""
    lines = [f"# {TITLES[name]}", ""]
    for part, title in SECTIONS[name].items():
        if part not in finished:
            said = before.get("", "").splitlines()
            lines += [line for line in said if line.startswith((f"- {title}. ", f"- {title} ("))]
            continue
        lines += [f"- {title}{said}" for said in _findings(name, read_comparison(finished[part]))]
    return "\n".join([*lines, "", text])


def _findings(name: str, comparison: Comparison) -> Iterator[str]:
    """Yield what a comparison or a study found, with its trials where it has several, to stand behind its title."""
    if command_of(name) == "stability":
        yield from (f". {stability_finding(study, comparison)}" for study in read_stability(comparison))
        return
    if command_of(name) == "shots":
        yield from (f". {sentence}" for sentence in findings(read_shot_curve(comparison), comparison))
        return
    for block in blocks(comparison):
        trials = f" ({len(block.trials)} trials a method)" if len(block.trials) > 1 else ""
        yield f"{trials}. {finding(block, comparison)}"


def _told(name: str, comparison: Comparison, command: str) -> str:
    """Return a comparison or a study in Markdown, as its folder has it."""
    if command_of(name) == "stability":
        return stability_page(read_stability(comparison), comparison, command=command)
    if command_of(name) == "shots":
        return shot_curve_page(read_shot_curve(comparison), comparison, command=command)
    return page_text(blocks(comparison), comparison, command=command)


def _elsewhere(folder: Path) -> Iterator[str]:
    """Tables of methods that were scored on another benchmark: F1, all questions there, one row for two languages."""
    for path in sorted({path.name for path in folder.glob("*/*.evaluated.jsonl")}):
        benchmark, split, _ = path.split(".", 2)
        files = {file.parent.name: list(read_lines(file)) for file in sorted(folder.glob(f"*/{path}"))}
        found = {name: _by_languages(rows) for name, rows in files.items()}
        yield from ("", f"## The same trainings on {benchmark.upper()} ({split}), all questions", "")
        yield f"    lingraft evaluate {folder}/METHOD --task {benchmark} --split {split} \\"
        yield f"      --data-dir ../shared/data/{benchmark} --output {folder}/METHOD/{path}"
        yield ""
        yield f"| question | context | {' | '.join(f'`{name}`' for name in found)} | n |"
        yield "|---|---|" + "---|" * len(found) + "--:|"
        pairs = sorted(next(iter(found.values())), key=lambda pair: (pair[0] != pair[1], pair))
        for question, context in pairs:
            rows = [one[question, context] for one in found.values()]
            cells = [f"{100 * row['value']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" for row in rows]
            names = f"{display_name(question)} | {display_name(context)}"
            yield f"| {names} | {' | '.join(cells)} | {rows[0]['n']:,} |"
        for what, chosen in (
            ("one language, not English", [pair for pair in pairs if pair[0] == pair[1] != "eng-Latn"]),
            ("two languages", [pair for pair in pairs if pair[0] != pair[1]]),
        ):
            means = [f"{100 * fmean(one[pair]['value'] for pair in chosen):.1f}" for one in found.values()]
            yield f"| mean of {what} | | {' | '.join(means)} | |"


def _by_languages(rows: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """F1 by the languages of question and context."""
    f1 = [row for row in rows if row["metric"] == "f1"]
    return {(row["language"], row.get("context_language") or row["language"]): row for row in f1}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
