"""Every number of the README is computed here from the file that it comes from; what is left over is a mistake."""

import json
import re
import tomllib
from itertools import dropwhile, takewhile
from statistics import mean
from typing import get_args

import pytest
import typer

from family_table import between
from lingraft.cli.info import Kind
from lingraft.cli.main import app
from lingraft.cli.starters import starters
from lingraft.core.files import read_lines
from lingraft.recipe.parsing import read_recipe
from tiny import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
RESULTS = REPOSITORY / "docs" / "results"
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), REPOSITORY / "benchmarks" / "README.md"])

NAMES = ("SIB-200", "mT5", "T5", "multilingual-e5-small", "macro-F1", "Apache-2.0", "95 % interval", 'width="480"')
"""Digits that measure nothing."""
IN_WORDS = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|twenty|thirty"
    r"|dozens?|hundreds?|thousands?|half|third|quarter|twice)\b",
    re.IGNORECASE,
)
METHODS = {
    "full+alignment": "full fine-tuning with alignment",
    "lora+alignment-all-layers": "LoRA in all layers with alignment",
    "lora+alignment": "LoRA above the cut with alignment",
    "lingraft-shared": "lingraft without language parts",
    "lingraft": "**lingraft**",
    "bottleneck": "bottleneck adapters in all layers",
    "peft-lora": "LoRA (PEFT)",
    "full-sequential": "full fine-tuning, English first",
    "peft-prompt": "prompt tuning (PEFT)",
    "top-k": "fine-tuning of the top layers",
    "bottleneck-as-many-steps": "bottleneck adapters, as many steps as here",
    "full-joint": "full fine-tuning, all together",
    "frozen-head-shots-0.2": "frozen head, target labels weighted as here",
    "peft-prefix": "prefix tuning (PEFT)",
    "paper": "one input prompt with alignment (`paper`)",
    "frozen-head": "frozen head (linear probe)",
    "prototype": "nearest class centre",
}
"""What README calls the methods of ``lingraft compare``."""


LISTED = get_args(Kind)


# ---- The files that the numbers come from -----------------------------------------------------------


def _table(page, heading):
    """The first table under a heading: first cell without code marks -> heading of the column -> cell."""
    _, found, text = page.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    lines = dropwhile(lambda line: not line.startswith("|"), text.splitlines())
    lines = takewhile(lambda line: line.startswith("|"), lines)
    columns, _, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def _methods():
    """Labels of each class in the target -> method -> its row on the page of the comparison."""
    page, topics = RESULTS / "knowledge-transfer.md", "## Topics (SIB-200), "
    return {
        0: _table(page, f"{topics}no labels in the target language"),
        5: _table(page, f"{topics}five labels a class"),
    }


def _demo_rows():
    for name, row in _table(RESULTS / "demo.md", "## 0 shots per label in the target language").items():
        (before, *around), (after, *about) = (row[key].split(" ", 1) for key in ("frozen head", "lingraft"))
        first, second = row["macro-F1"].split(" → ")
        instant = row["instant"].partition(" ")[0]
        cells = (f"{before} ({first}) {around[0]}", instant, f"{after} ({second}) {about[0]}", row["gain"], row["n"])
        yield f"{name.removesuffix(' (source)')} 0 {' '.join(cells)}"


def _method_rows():
    found = _methods()
    for name, label in METHODS.items():
        cells = []
        for rows in found.values():
            row = rows.get(name, {"mean": "", "difference": ""})
            score = row["mean"].partition(" ")[0]
            cells += [f"**{score}**" if name == "lingraft" else score, row["difference"]]
        yield " ".join(f"| {' | '.join([label, *cells, found[5][name]['trained']])} |".split())


def _sentences():
    texts = json.loads((RESULTS / "demo" / "data.json").read_text(encoding="utf-8"))["languages"]
    yield f"learnt from {texts['eng-Latn']['texts']['train']} English names"
    yield f"the same names, {texts['yor-Latn']['pairs']} of them with their Yoruba translation"

    page = (RESULTS / "knowledge-transfer.md").read_text(encoding="utf-8")
    recipe = read_recipe(REPOSITORY / "examples" / "knowledge_transfer" / "sib200.yaml", [])
    examples = re.search(r"^n: k5-draw0-seed1; 4 languages, (\d+) test examples", page, re.MULTILINE)[1]
    labelled, pairs = re.search(r"A \((\d+), labelled in English\) and B \((\d+)\)", page).groups()
    assert int(pairs) == recipe.parallel.pairs
    yield (
        f"on {examples} test sentences, from {labelled} labelled English sentences, "
        f"{recipe.train.num_train_epochs} epochs"
    )
    yield f"{pairs} translated sentences"
    yield f"| {recipe.shots.k} a class |"

    steps = json.loads((RESULTS / "step_time.json").read_text(encoding="utf-8"))["rows"]
    seconds = {row["method"]: f"{row['seconds_per_step']:.2f} s" for row in steps}
    benchmark = (REPOSITORY / "benchmarks" / "step_time.py").read_text(encoding="utf-8")
    batch = re.search(r"^BATCH, FIXED_LENGTH = (\d+)", benchmark, re.MULTILINE)[1]
    yield (
        f"on {batch} English sentences takes {seconds['lingraft']} on a CPU (LoRA by PEFT {seconds['peft-lora']}, "
        f"prompt tuning {seconds['peft-prompt']}, full fine-tuning {seconds['full']}), and "
        f"{seconds['lingraft+pairs']} with {batch} translated ones"
    )
    yield " ".join(between(README).split())  # names of families; the table has a test of its own
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield f"Python {project['requires-python'].removeprefix('>=')} or newer"


def _explained():
    return [*_demo_rows(), *_method_rows(), *_sentences()]


def _unexplained(text, explained):
    """What the files say and ``text`` does not, and the words of ``text`` with numbers that no file says."""
    text = " ".join(text.split())
    missing = [passage for passage in explained if text.count(passage) != 1]
    for passage in (*explained, *NAMES):
        text = text.replace(passage, " ")
    return missing + [word for word in text.split() if re.search(r"\d", word)]


# ---- The numbers ------------------------------------------------------------------------------------


def test_every_number_of_the_readme_comes_from_a_file():
    """Tables and sentences are put together from the files of ``docs/results``; no digit is left over."""
    assert _unexplained(README, _explained()) == []


def test_numbers_of_the_readme_are_digits():
    """A number in words would escape the comparison with the files."""
    assert IN_WORDS.findall(README) == []


def test_another_figure_anywhere_in_the_readme_is_noticed():
    """The comparison itself: each number of the README is changed in turn."""
    explained = _explained()
    changed = [
        README[: found.end() - 1] + str((int(found[0][-1]) + 1) % 10) + README[found.end() :]
        for found in re.finditer(r"\d+", README)
    ]
    assert len(changed) > 200
    assert [text for text in changed if not _unexplained(text, explained)] == []


def test_the_readme_has_a_row_for_every_method_of_the_comparison():
    """Also for those that are better than ours."""
    assert _methods()[5].keys() == METHODS.keys()
    assert _methods()[0].keys() <= METHODS.keys()


@pytest.mark.parametrize(("comparison", "shots"), [("zero_shot", 0), ("sib200", 5)])
def test_means_of_the_comparison_are_those_of_its_scores(comparison, shots):
    """The page's means over languages, from ``scores.jsonl`` beside it."""
    rows = list(read_lines(RESULTS / "knowledge-transfer" / "scores.jsonl"))
    first = {"comparison": comparison, "metric": "accuracy", "shots": shots, "draw": 0, "seed": 1}
    rows = [row for row in rows if first.items() <= row.items() and row["language"] != "eng-Latn"]
    for method, shown in _methods()[shots].items():
        found = [row["value"] for row in rows if row["method"] == method]
        assert len(found) == 4  # languages
        assert shown["mean"].startswith(f"{100 * mean(found):.1f} % ")


def test_means_of_the_demo_are_those_of_its_scores():
    """The page's means over seeds, from ``scores.jsonl`` beside it."""
    rows = list(read_lines(RESULTS / "demo" / "scores.jsonl"))
    for name, language in (("Yoruba", "yor-Latn"), ("English (source)", "eng-Latn")):
        shown = _table(RESULTS / "demo.md", "## 0 shots per label in the target language")[name]
        for column, method in (("frozen head", "frozen-head"), ("lingraft", "lingraft")):
            wanted = {"method": method, "language": language, "metric": "accuracy"}
            found = [row["value"] for row in rows if wanted.items() <= row.items()]
            assert len(found) == 2  # seeds
            assert shown[column].startswith(f"{mean(found):.3f} [")


def test_step_times_of_the_results_page_are_those_of_the_benchmark():
    """Each row of the table, from ``step_time.json``."""
    rows = json.loads((RESULTS / "step_time.json").read_text(encoding="utf-8"))["rows"]
    ours = next(row["seconds_per_step"] for row in rows if row["method"] == "lingraft")
    table = _table(RESULTS / "README.md", "## Time and memory of a training step")
    assert [list(shown.values())[1:] for shown in table.values()] == [
        [
            f"{row['seconds_per_step']:.3f}",
            f"{row['seconds_per_step'] / ours:.1f}",
            f"{row['peak_memory_bytes'] / 1e6:,.0f}",
            f"{row['trainable_parameters']:,}",
        ]
        for row in rows
    ]


def test_footprint_of_the_results_page_is_that_of_the_benchmark():
    """Each row of the table, from ``footprint.json``."""
    found = json.loads((RESULTS / "footprint.json").read_text(encoding="utf-8"))
    table = _table(RESULTS / "README.md", "## Memory of a run, and the start of `lingraft predict`")
    runs = [(row["peak_bytes"], f"{row['seconds']:.1f}") for row in found["runs"]]
    starts = [found["start"][name] for name in ("yardstick", "predict")]
    rows = runs + [(row["peak_bytes"], f"{row['seconds']:.2f}") for row in starts]
    assert [list(shown.values())[1:] for shown in table.values()] == [[f"{peak / 1e6:,.0f}", s] for peak, s in rows]
    assert f"takes {found['start']['ratio']:.2f} times" in (RESULTS / "README.md").read_text(encoding="utf-8")


# ---- Links, files and commands ----------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    """Relative links and pictures of every page that is read on its own."""
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"", text)
    relative = [link for pair in links for link in pair if link and not re.match(r"https?:|#", link)]
    assert [link for link in relative if not (page.parent / link.partition("#")[0]).exists()] == []


def _code(page):
    """The lines of a page's code blocks, and what stands between back-quotes in its text."""
    blocks = re.split(r"^```.*$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = "\n".join(blocks[::2])
    yield from (line.strip() for block in blocks[1::2] for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", text)
    yield from (line.strip() for line in text.splitlines() if line.startswith("    "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_commands_exist(page):
    """Commands, what ``list`` lists, and options are those of the command line."""
    lines = [line.partition(" #")[0].split() for line in _code(page)]
    assert [words for words in lines if len(words) > 1 and words[0] == "lingraft" and not _is_command(*words[1:])] == []


def _is_command(name, *words):
    command = typer.main.get_command(app).commands.get(name)
    if command is None:
        return False
    options = {option for param in command.params for option in param.opts}
    named = words[0] if name == "list" and words else "tasks"
    return {word.partition("=")[0] for word in words if word.startswith("--")} <= options and named in LISTED


def test_the_readme_names_every_kind_of_own_data_that_a_recipe_is_written_for():
    """Who has questions cannot guess that their task is called span_qa."""
    own = set(starters()) - {"sib200", "cldr_names"}
    (sentence,) = (line for line in README.splitlines() if "lingraft init --task" in line)
    assert len(own) == 7
    assert [name for name in own if f"{name}`" not in sentence and name.capitalize() not in sentence] == []


def test_layers_of_the_architecture_are_those_that_are_checked():
    """The lines that begin with a package, and the contract of the import linter."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    checked = project["tool"]["importlinter"]["contracts"][0]["layers"]
    block = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    told = [re.split(r"  +", line)[0] for line in block.split("\n")[1:-1]]
    assert told == [layer.replace("| lingraft.", "| .") for layer in checked]


def test_make_targets_exist():
    """What README and CONTRIBUTING tell to make."""
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    told = {
        line.split()[1]
        for name in ("README.md", "CONTRIBUTING.md")
        for line in _code(REPOSITORY / name)
        if re.match(r"make [a-z-]+$", line)
    }
    assert {"demo", "test"} <= told <= targets


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_files_and_folders_exist(name):
    """Paths between back-quotes, from the root of the repository, of the package, or of the page's own folder."""
    places = (REPOSITORY, REPOSITORY / "src" / "lingraft")
    told = [
        path
        for path in re.findall(r"`([\w./-]+)`", (REPOSITORY / name).read_text(encoding="utf-8"))
        if re.search(r"/|\.(py|md|toml|yaml)$", path) and not re.search(r"[A-Z]{4}|^\.\./", path)
    ]
    assert told
    assert [path for path in told if not any((place / path).exists() for place in places)] == []
