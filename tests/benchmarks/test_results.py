"""Pages of results: what makes them, and what becomes of sections that are not made again."""

import importlib
import shutil
from pathlib import Path

import pytest

from lingraft.experiments.methods import list_methods
from lingraft.recipe.parsing import read_recipe
from tiny import REPOSITORY

PAGES = ("knowledge_transfer", "closed_form", "pairs", "pseudo", "tokens", "stability", "shots")


@pytest.fixture(scope="module")
def benchmarks():
    """``benchmarks/results.py`` and ``comparison_pages.py`` as modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPOSITORY / "benchmarks")
        patch.chdir(REPOSITORY)
        yield importlib.import_module("results"), importlib.import_module("comparison_pages")


@pytest.mark.parametrize("name", PAGES)
def test_every_comparison_of_a_page_has_a_recipe(benchmarks, name):
    """Which can be read with the settings that are printed beside its table."""
    results, pages = benchmarks
    for part in pages.SECTIONS[name]:
        _, path, *overrides = results.compare_command(name, part)
        assert read_recipe(Path(path), overrides).output_dir.as_posix() == f"runs/{name}/{part}"


@pytest.mark.parametrize("name", PAGES)
def test_a_quick_comparison_is_one_trial_of_three_methods(benchmarks, name, tmp_path):
    """In one language, for an epoch at most."""
    results, _ = benchmarks
    _, path, *overrides = results.compare_command(name, results.QUICK[name], tmp_path)
    recipe = read_recipe(Path(path), overrides)
    assert recipe.output_dir == tmp_path
    assert recipe.compare.names == [one.name for one in list_methods(recipe)] == ["frozen-head", "instant", "lingraft"]
    assert len(recipe.task.options["target_languages"]) == 1
    assert (len(recipe.shots.ks), recipe.shots.draws, len(recipe.seeds)) == (1, 1, 1)
    assert recipe.train.num_train_epochs <= 1


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_which_nothing_is_made_again_stays_as_it_is(benchmarks, name, tmp_path):
    """To the letter: what stands above its tables is what is written beside the benchmarks."""
    _, pages = benchmarks
    there = REPOSITORY / "docs" / "results" / f"{name.replace('_', '-')}.md"
    page = tmp_path / there.name
    shutil.copy(there, page)
    shutil.copytree(there.with_suffix(""), page.with_suffix(""))
    pages.write_page(name, tmp_path / "runs", page, pages.introduction(name))
    assert page.read_text(encoding="utf-8") == there.read_text(encoding="utf-8")
    scores = (page.with_suffix("") / "scores.jsonl").read_text(encoding="utf-8")
    assert scores == (there.with_suffix("") / "scores.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_every_remark_on_a_page_is_of_one_of_its_recipes(benchmarks, name):
    """Whole, above the tables, in the order of the recipes; none is written on the page alone."""
    _, pages = benchmarks
    page = (REPOSITORY / "docs" / "results" / f"{name.replace('_', '-')}.md").read_text(encoding="utf-8")
    _, _, said = page.partition("\n## ")[0].partition("What is compared, and how far it can be trusted:\n\n")
    notes = [note for part in pages.SECTIONS[name] for note in read_recipe(Path(f"examples/{name}/{part}.yaml")).notes]
    assert notes
    assert said == "".join("- " + note.replace("\n|", "\n  |") + "\n" for note in notes)


def test_the_page_of_tasks_has_the_remarks_of_its_recipes(benchmarks):
    """Above its tables, after what the numbers are."""
    tasks = importlib.import_module("tasks")
    page = (REPOSITORY / "docs" / "results" / "tasks.md").read_text(encoding="utf-8")
    assert page.startswith(tasks.introduction() + "\n## XQuAD\n")
    assert "- **XCOPA** from 400 items" in tasks.introduction()
