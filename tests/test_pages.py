"""Pages of the documentation that speak of numbers and of other libraries: the numbers are measured, the code runs."""

import importlib
import re

import pytest
from ruamel.yaml import YAML

from lingraft.data.tokenizer_coverage import MANY_PIECES, MANY_UNKNOWN
from lingraft.recipe.parsing import parse_recipe
from tiny import REPOSITORY

DOCS = REPOSITORY / "docs"
MEASURED = ("which-method", "new-language")
LIBRARIES = {"from-setfit": "setfit", "from-peft": "peft", "from-adapters": "adapters"}

NUMBER = re.compile(r"(?<![\w.,])[-+]?\d+(?:[.,]\d+)*(?!\w)")
INTERVAL = re.compile(r"([-+]?\d+\.\d+)[^|\[\]\d]{0,20}\[([-+\d.]+), ([-+\d.]+)\]")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SMALL = [
    *("train.num_train_epochs=1", "seeds=[1]", "device=cpu", "backbone.max_length=32", "backbone.precision=float32"),
    *("shots.folds=0",),
]


def written(name):
    """The text of a page."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def plain(number):
    """A number without what depends on the sentence."""
    return number.removeprefix("+")


def intervals(text):
    """Every estimate with its interval."""
    return {tuple(map(plain, found)) for found in INTERVAL.findall(text)}


def prose(name):
    """The lines of a page that are no code and no generated table, with what they link to among the results."""
    text = re.sub(r"<!-- python .*?<!-- end -->", "", written(name), flags=re.DOTALL)
    for line in BLOCK.sub("", text).splitlines():
        linked = [path for path in re.findall(r"\]\((results/[\w-]+\.md)", line) if path != "results/README.md"]
        also = ["results/README.md"] if "results/README.md" in line else []
        shown = re.sub(r"^\d\. |^#+ .*|\]\([^)]*\)|`[^`]*`", "", line)
        yield shown, "\n".join((DOCS / path).read_text(encoding="utf-8") for path in [*linked, *also])


@pytest.mark.parametrize("name", MEASURED)
def test_numbers_of_a_page_are_on_the_page_of_results_that_its_sentence_links_to(name):
    """Each number, and each estimate with its interval; without such a link a sentence has no decimals."""
    checked = 0
    for line, results in prose(name):
        numbers = {plain(number) for number in NUMBER.findall(line)}
        if not results:
            assert [number for number in numbers if "." in number] == [], line
            continue
        assert numbers <= {plain(number) for number in NUMBER.findall(results)}, line
        assert intervals(line) <= intervals(results), line
        checked += len(numbers)
    assert checked > 10


def test_the_table_of_methods_is_that_of_the_scores(monkeypatch):
    """``python benchmarks/which_method.py`` changes nothing."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    page = written("which-method")
    assert page.count("](results/") > 20
    assert importlib.import_module("which_method").with_table(page) == page


def test_means_of_the_table_are_those_of_the_pages(monkeypatch):
    """Computed there by ``lingraft compare`` and here from its scores."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    module = importlib.import_module("which_method")
    told = (DOCS / "results" / "knowledge-transfer.md").read_text(encoding="utf-8")
    (row,) = (row for row in module.ROWS if row.anchor == module.FOUR_LABELLED)
    means = {method: sum(values.values()) / len(values) for method, values in module.scores_of(row).items()}
    section = told.partition("## Topics (SIB-200), five labels a class\n")[2]
    assert len(means) == 6
    for method, mean in means.items():
        assert re.search(rf"^\| `{re.escape(method)}` \| {100 * mean:.1f} %", section, re.MULTILINE)


def test_bounds_of_the_tokenizer_are_those_that_check_warns_at():
    """What new-language.md says of ``lingraft check``."""
    page = written("new-language")
    assert f"warns above {100 * MANY_UNKNOWN:g} %" in page
    assert f"warns above {MANY_PIECES:g}, where" in page


@pytest.mark.parametrize("name", LIBRARIES)
def test_recipes_of_a_page_are_recipes(name, monkeypatch):
    """As they stand, from the root of a checkout."""
    monkeypatch.chdir(REPOSITORY)
    recipes = [text for language, text in BLOCK.findall(written(name)) if language == "yaml"]
    assert recipes
    for text in recipes:
        assert parse_recipe(YAML(typ="safe").load(text), []).task.name == "classification"


@pytest.mark.parametrize("name", LIBRARIES)
def test_code_of_a_page_runs(name, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    """In its order, with a small random checkpoint.

    The code of `adapters`, which cannot be installed beside our transformers, is compiled alone.
    """
    if name != "from-adapters":
        pytest.importorskip("datasets")
        pytest.importorskip(LIBRARIES[name])
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    names = {"__name__": name}
    for language, text in BLOCK.findall(written(name)):
        if language == "yaml" and "run" not in names:
            recipe = parse_recipe(
                YAML(typ="safe").load(text), [*SMALL, f"backbone.checkpoint={tiny_checkpoint}", "backbone.cut=1"]
            )
            (tmp_path / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
        if language == "python":
            code = compile(text.replace("intfloat/multilingual-e5-small", str(tiny_checkpoint)), name, "exec")
            if "from adapters" not in text:
                exec(code, names)
    assert names["run"].joinpath("report.html").is_file()
    assert re.search(r"'(health|market|weather)'", capsys.readouterr().out)
