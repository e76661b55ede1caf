"""Pages as a browser shows them: on a phone and on a desk, by day and by night."""

import pytest

from browser import WIDTHS, chromium
from invented_run import write_run
from lingraft.results.pages import write_page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, started once; the tests are skipped where there is none."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each page by its name."""
    run = tmp_path_factory.mktemp("run")
    write_run(run, targets=("yor-Latn", "quy-Latn"), shots=(1, 5))
    return {"run": write_page(run, "report.html")}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", ["run"])
def test_a_page_fits_and_is_quiet(browser, pages, page, width, dark):
    """It asks for nothing, complains of nothing, sticks out nowhere, and can be read."""
    seen = browser.look(pages[page], width=WIDTHS[width], dark=dark)
    assert seen.requests == []
    assert seen.complaints == []
    assert seen.layout["width"] <= seen.layout["room"] == WIDTHS[width]
    assert {what: found for what, found in seen.layout.items() if what not in ("width", "room")} == {
        "wide": [], "clipped": [], "met": [], "pale": [],
    }  # fmt: skip


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
