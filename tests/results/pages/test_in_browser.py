"""Pages as a browser shows them: on a phone and on a desk, by day and by night."""

import pytest

from browser import WIDTHS, press, run
from invented_choices import SOURCES, invented_choice, invented_search
from invented_comparison import invented_comparison
from invented_run import write_run
from lingraft.results.comparison import blocks
from lingraft.results.pages import write_page
from lingraft.results.pages.experiment_page import write_report
from lingraft.results.pages.experiment_report import (
    comparison_report,
    shot_curve_report,
    stability_report,
)
from lingraft.results.pages.source_choice_report import source_choice_report
from lingraft.results.pages.tuning_report import tuning_report
from lingraft.results.shot_curve import read_shot_curve
from lingraft.results.stability import read_stability


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each page by its name."""
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, targets=("yor-Latn", "quy-Latn"), shots=(1, 5))
    return (
        {"run": write_page(folder, "report.html")}
        | {name: experiment(name, tmp_path_factory.mktemp(name)) for name in ("compare", "stability", "shots")}
        | {name: choice(name, tmp_path_factory.mktemp(name)) for name in CHOICES}
    )


MANY = SOURCES | {f"x{i:02}-Latn": f"A language of no. {i}" for i in range(25)}
CHOICES = {
    "sources": lambda: source_choice_report(invented_choice(remarks=REMARKS)),
    "many-sources": lambda: source_choice_report(invented_choice(sources=MANY)),
    "tune": lambda: tuning_report(invented_search(), "train:\n  learning_rate: 0.002\n"),
    "short-tune": lambda: tuning_report(invented_search(trials=2, failed=(), shares={}), "prompt:\n  length: 4\n"),
}
REMARKS = (
    "Run **beside** others.",
    "By half:\n\n| half of the sentences that were tested | n |\n|---|--:|\n| first | 12 |",
)


def choice(name, folder):
    """The report of an invented choice of sources or settings."""
    write_report(CHOICES[name](), folder, command=f"lingraft {name} recipe.yaml")
    return folder / "report.html"


def experiment(name, folder):
    """The report of an invented experiment."""
    grid = {"compare": {"draws": 2}, "stability": {"draws": 2, "seeds": 2, "orders": 2}, "shots": {"shots": (0, 2, 8)}}
    found = invented_comparison(folder, texts=24, **grid[name])
    tables = blocks(found)
    told = {
        "compare": lambda: comparison_report(tables, found),
        "stability": lambda: stability_report(read_stability(found), tables, found),
        "shots": lambda: shot_curve_report(read_shot_curve(found), tables, found),
    }
    write_report(told[name](), found.folder, command=f"lingraft {name} recipe.yaml")
    return folder / "report.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", ["run", "compare", "stability", "shots", *CHOICES])
def test_a_page_fits_and_is_quiet(browser, pages, page, width, dark):
    """It asks for nothing, complains of nothing, sticks out nowhere, and can be read."""
    seen = browser.look(pages[page], width=WIDTHS[width], dark=dark)
    assert seen.requests == []
    assert seen.complaints == []
    assert seen.layout["width"] <= seen.layout["room"] == WIDTHS[width]
    assert {what: found for what, found in seen.layout.items() if what not in ("width", "room")} == {
        "wide": [], "clipped": [], "met": [], "pale": [],
    }  # fmt: skip


SHOWN = "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => row.cells[0].textContent)"


def test_a_heading_sorts_its_table_from_the_keyboard(browser, pages):
    """Numbers from the highest, then from the lowest; names from A."""

    def press_enter(ask, heading):
        focus = f"[...document.querySelectorAll('th button')].find((one) => one.textContent === '{heading}').focus()"
        run(ask, focus)
        press(ask, "Enter", text="\r")
        return run(ask, SHOWN)

    with browser.opened(pages["stability"], width=1280, dark=False) as ask:
        ask("Emulation.setFocusEmulationEnabled", enabled=True)  # a tab in the background gets no keys
        by_mean = run(ask, SHOWN)
        assert press_enter(ask, "method") == sorted(by_mean)
        assert press_enter(ask, "mean") == by_mean
        assert press_enter(ask, "mean") == by_mean[::-1]
        assert run(ask, "document.querySelector('[aria-sort]').textContent") == "mean"


@pytest.mark.parametrize("page", ["run", "stability"])
def test_a_page_runs_no_script_but_its_own(browser, pages, page):
    """Whoever brings one along, and however."""
    injected = "Object.assign(document.createElement('script'), {textContent: 'window.evil = 1'})"
    image = "`<img src='data:,' onerror='window.evil = 2'>`"
    with browser.opened(pages[page], width=1280, dark=False) as ask:
        run(ask, f"document.body.append({injected}); document.body.insertAdjacentHTML('beforeend', {image})")
        assert run(ask, "new Promise((done) => setTimeout(() => done(window.evil ?? 0), 100))") == 0
        complaints = browser.told(pages[page])[1]
    assert sum("Content Security Policy" in one for one in complaints) == 2


BAD = """<!DOCTYPE html><meta charset="utf-8"><body style="margin: 0; background: #fff">
<script>console.error("no")</script><img src="elsewhere.png"><p style="width: 2000px; color: #eee">far</p>
<svg width="50" height="20"><text y="15">much too long for it</text><text y="15">upon</text></svg>"""


def test_what_is_wrong_with_a_page_is_seen(browser, tmp_path):
    """Else nothing would be said by nothing being found."""
    page = tmp_path / "bad.html"
    page.write_text(BAD, encoding="utf-8")
    seen = browser.look(page, width=375, dark=False)
    assert [url.rpartition("/")[2] for url in seen.requests] == ["elsewhere.png"]
    assert any("no" in one for one in seen.complaints)
    assert seen.layout["width"] == 2000
    assert seen.layout["wide"] == ["p far"]
    assert seen.layout["clipped"] == [seen.layout["clipped"][0]]
    assert seen.layout["clipped"][0].startswith("text much too long for it")
    assert seen.layout["met"] == ["text upon | text much too long for it"]
    assert seen.layout["pale"] == ["p far: 1.2"]
