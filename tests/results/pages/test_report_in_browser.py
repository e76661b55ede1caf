"""The report of a run in a browser: what is searched, filtered, folded and scrolled, by hand and by keyboard."""

import base64
import io
import json
import shutil

import pytest
from PIL import Image

from browser import WIDTHS, press, run
from invented_run import LABELS, write_lines, write_object, write_run
from lingraft.results.pages import write_page
from lingraft.results.run_files import is_right, read_predictions

CODES = {"Yoruba": "yor-Latn", "Ayacucho Quechua": "quy-Latn", "English": "eng-Latn"}
EVIL = "</script><script>window.evil = 1</script><img src=x onerror='window.evil = 2'>\u202e`|"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run in three languages; a text and a class of it are of evil intent."""
    folder = write_run(tmp_path_factory.mktemp("run") / "market-talk", targets=("yor-Latn", "quy-Latn"), shots=(1, 5))
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    write_object(folder / "data.json", data | {"classes": [*LABELS, EVIL], "task": EVIL})
    path = folder / "predictions" / "k5-draw2-seed2" / "yor-Latn.jsonl"
    first, *rows = read_predictions(path)
    bad = {"text": EVIL, "text_b": EVIL, "gold": EVIL, "right": 0.0, "before_right": 0.0, "confidence": 0.999}
    write_lines(path, [first | bad, *(row | {"text_b": "Náírà"} for row in rows)])
    return folder


@pytest.fixture(scope="module")
def page(folder):
    """Its report."""
    return write_page(folder, "report.html")


@pytest.fixture(scope="module")
def rows(folder):
    """Predictions of the saved trial, by the name of the language."""
    saved = folder / "predictions" / "k5-draw2-seed2"
    return {name: read_predictions(saved / f"{code}.jsonl") for name, code in CODES.items()}


FOUND = "document.querySelector('output').textContent"
CELLS = (
    "[...document.querySelectorAll('#predictions tbody tr')].map((row) => [...row.cells].map((one) => one.innerText))"
)


def choose(ask, **values):
    """Set fields of the form as a person does; return what is said to be found."""
    for name, value in values.items():
        run(ask, f"document.querySelector('.filters').elements[{name!r}].value = {json.dumps(value)}")
    run(ask, "document.querySelector('.filters').dispatchEvent(new Event('input'))")
    return run(ask, FOUND)


def test_predictions_are_those_of_the_run_and_can_be_filtered(browser, page, rows):
    """By words, language, outcome, gold and predicted class, alone and together; the number found is said."""
    everything = [row for part in rows.values() for row in part]
    wrong = [row for row in everything if not is_right(row)]
    quechua = [row for row in rows["Ayacucho Quechua"] if is_right(row)]
    gained = [row for row in quechua if not is_right(row, "before")]
    lost = [row for row in wrong if is_right(row, "before")]
    music = [row for row in gained if row["gold"] == "music"]
    with browser.opened(page, width=1280, dark=False) as ask:
        assert run(ask, FOUND) == f"{len(everything)} of 360 found, the first 50 shown"
        assert len(run(ask, CELLS)) == 50
        assert choose(ask, outcome="wrong").startswith(f"{len(wrong)} of 360 found")
        assert choose(ask, outcome="lost") == f"{len(lost)} of 360 found"
        assert choose(ask, outcome="right", language="1").startswith(f"{len(quechua)} of 360 found")
        assert choose(ask, outcome="gained").startswith(f"{len(gained)} of 360 found")
        assert choose(ask, gold="music") == f"{len(music)} of 360 found"
        assert choose(ask, value="trade") == "0 of 360 found"
        choose(ask, value="music", search=music[0]["text"].upper())
        assert run(ask, CELLS) == [[
            music[0]["text"], "music", "music ✓", f"{100 * music[0]['confidence']:.0f}\u00a0%", music[0]["before"],
            "Ayacucho Quechua",
        ]]  # fmt: skip
        run(ask, "document.querySelector('[type=reset]').click()")
        run(ask, "new Promise((done) => setTimeout(done, 50))")
        assert run(ask, FOUND).startswith("360 of 360 found")
        for _ in range(7):
            run(ask, "document.querySelector('button.more').click()")
        assert len(run(ask, CELLS)) == 360
        assert run(ask, FOUND) == "360 of 360 found"
        assert run(ask, "document.querySelector('button.more').hidden")


def test_a_search_without_accents_ignores_them(browser, page):
    """Who has no Yoruba keyboard finds the word; who writes a mark means it."""
    with browser.opened(page, width=1280, dark=False) as ask:
        assert choose(ask, search="NAIRA").startswith("119 of 360 found")
        assert choose(ask, search="náírà").startswith("119 of 360 found")
        assert choose(ask, search="na\u0301i\u0301ra\u0300").startswith("119 of 360 found")
        assert choose(ask, search="nàírà") == "0 of 360 found"


def test_a_search_is_of_what_is_shown(browser, folder, tmp_path):
    """Line ends and tabs of a text are blanks on the page, and found as such; no word runs on into the next column."""
    copy = shutil.copytree(folder, tmp_path / "run")
    path = copy / "predictions" / "k5-draw2-seed2" / "yor-Latn.jsonl"
    first, *rows = read_predictions(path)
    write_lines(path, [first | {"text": "ends\r\n  here\tand there", "text_b": None}, *rows])
    with browser.opened(write_page(copy, "report.html"), width=1280, dark=False) as ask:
        assert choose(ask, search="ends here  and there") == "1 of 360 found"
        assert choose(ask, search="there <") == "0 of 360 found"


def test_who_comes_back_finds_what_the_fields_say(browser, page):
    """A browser fills them in again after the page is read."""
    with browser.opened(page, width=1280, dark=False) as ask:
        told = choose(ask, outcome="lost")
        for go in (("Page.navigate", {"url": "about:blank"}), ("Page.navigateToHistoryEntry", {})):
            entries = ask("Page.getNavigationHistory")["entries"]
            there = {"entryId": entries[-2]["id"]} if "History" in go[0] else {}
            browser.events.clear()
            ask(go[0], **go[1], **there)
            browser.wait_for("Page.loadEventFired")
        chosen = run(ask, "document.querySelector('.filters').elements.outcome.value")
        found = run(ask, FOUND)
    everything = "360 of 360 found, the first 50 shown"
    assert found == {"lost": told, "": everything}[chosen]
    assert told != everything


def test_what_comes_from_data_is_text(browser, page):
    """Neither a text nor a class nor the task becomes an element, in the table, the filters and the titles."""
    with browser.opened(page, width=1280, dark=False) as ask:
        choose(ask, gold=EVIL + "\u202c")
        ((text, gold, *_),) = run(ask, CELLS)
        assert (text.split("\n")[0], gold) == (EVIL + "\u202c", EVIL + "\u202c")
        assert run(ask, "document.querySelectorAll('img, script').length") == 2
        assert run(ask, "window.evil ?? null") is None
        assert browser.told(page) == ([], [])


@pytest.mark.parametrize("width", WIDTHS)
def test_long_words_stay_on_the_page(browser, tmp_path, width):
    """Names, labels, texts and remarks without a space: broken, or shortened in charts."""
    long = "aẹ" * 60
    folder = write_run(tmp_path / "run", draws=1, seeds=1)
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    data["languages"]["yor-Latn"]["name"] = f"A language called {long}"
    changed = {"task": long, "classes": [*LABELS[:-1], long], "notes": [long], "licence": long}
    write_object(folder / "data.json", data | changed)
    path = folder / "predictions" / "k5-draw0-seed1" / "yor-Latn.jsonl"
    rows = [row | {"text": long, "gold": long, "before": long, "right": 0.0} for row in read_predictions(path)]
    write_lines(path, rows)

    seen = browser.look(write_page(folder, "report.html"), width=WIDTHS[width], dark=False).layout

    assert seen["width"] == seen["room"] == WIDTHS[width]
    assert (seen["wide"], seen["clipped"]) == ([], [])


def test_all_of_it_works_from_the_keyboard(browser, page):
    """Tab reaches every field, table and folded part, one sees where it is, and Enter unfolds."""
    focus = "document.activeElement"
    named = f"{focus}.id || {focus}.name || {focus}.getAttribute('aria-label') || {focus}.className || {focus}.type"
    with browser.opened(page, width=375, dark=False) as ask:
        ask("Emulation.setFocusEmulationEnabled", enabled=True)
        run(ask, "document.querySelector('nav a:last-of-type').closest('ol').lastElementChild.firstChild.focus()")
        visited = []
        for _ in range(9):
            press(ask, "Tab")
            visited.append((run(ask, named), run(ask, f"getComputedStyle({focus}).outlineStyle")))
        names = ["Scores before and after", "search", "language", "outcome", "gold", "value", "reset", "Predictions"]
        assert visited == [(name, "solid") for name in [*names, "more"]]
        press(ask, "Enter", text="\r")
        assert run(ask, CELLS + ".length") == 100
        run(ask, "document.querySelector('#learning summary').focus()")
        assert not run(ask, "document.querySelector('#learning').open")
        press(ask, "Enter", text="\r")
        assert run(ask, "document.querySelector('#learning').open")


def test_every_field_has_a_name_and_what_is_found_is_said(browser, page):
    """For screen readers: from the tree that they are given."""
    with browser.opened(page, width=1280, dark=False) as ask:
        ask("Accessibility.enable")
        nodes = ask("Accessibility.getFullAXTree")["nodes"]
    named = [(one["role"]["value"], one["name"]["value"]) for one in nodes if one.get("name") and not one["ignored"]]
    for expected in (
        ("searchbox", "Search"), ("combobox", "Language"), ("combobox", "Answers"), ("combobox", "Gold"),
        ("combobox", "Predicted"), ("button", "Show all"), ("button", "Show more"), ("region", "Predictions"),
        ("navigation", "Parts"),
    ):  # fmt: skip
        assert expected in named
    assert sum(one["role"]["value"] == "status" for one in nodes if "role" in one) == 1
    assert sum(name == "Accuracy before and after adaptation, with 95 % intervals" for _, name in named) == 1


def test_parts_are_numbered_from_one_and_what_researchers_look_up_is_folded(browser, page):
    """In the list at the top as in the parts themselves, each of which it leads to."""
    with browser.opened(page, width=1280, dark=False) as ask:
        listed = run(ask, "[...document.querySelectorAll('nav a')].map((one) => [one.hash, one.innerText])")
        titles = run(ask, "[...document.querySelectorAll('main > [id] .kicker')].map((one) => one.innerText)")
        ids = run(ask, "[...document.querySelectorAll('main > [id]')].map((one) => '#' + one.id)")
        folded = run(ask, "[...document.querySelectorAll('details.part:not([open])')].map((one) => one.id)")
        seen = run(ask, "[...document.querySelectorAll('details.part h2')].every((one) => one.offsetHeight > 20)")
    assert [number for number, _ in (title.split(" · ") for title in titles)] == [str(n) for n in range(1, 10)]
    assert listed == [list(pair) for pair in zip(ids, titles, strict=True)]
    assert folded == ["learning", "network", "states", "recipe"]
    assert seen


@pytest.mark.parametrize("width", WIDTHS)
def test_the_result_is_large_and_its_chart_fills_the_width(browser, page, width):
    """One chart is seen, the one that is drawn for that width."""
    with browser.opened(page, width=WIDTHS[width], dark=False) as ask:
        size = "parseFloat(getComputedStyle(document.querySelector({!r})).fontSize)"
        sizes = [run(ask, size.format(one)) for one in ("h1", ".large", "h2", ".result p:nth-of-type(2)")]
        charts = run(ask, "[...document.querySelectorAll('.fill svg')].map((one) => one.clientWidth)")
        room = run(ask, "document.querySelector('header').clientWidth")
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] >= 30
    assert charts == ([0, room] if width == "phone" else [room, 0])


def test_confusions_are_side_by_side_where_there_is_room(browser, page):
    """Before and after in one row on a desk, one below the other on a phone."""
    places = (
        "[...document.querySelectorAll('.matrices figure')].map((one) => one.getBoundingClientRect()).map((one) => "
    )
    with browser.opened(page, width=1280, dark=False) as ask:
        tops = run(ask, f"{places}one.top)")
    with browser.opened(page, width=375, dark=False) as ask:
        lefts = run(ask, f"{places}one.left)")
    assert len(tops) == 6 and tops[::2] == tops[1::2] == sorted(set(tops))
    assert len(set(lefts)) == 1


def test_a_table_shows_that_it_scrolls(browser, page):
    """At its right end there is a shadow while there is more, and none where the end is reached."""

    def brightness(ask, side):
        box = run(ask, "(() => { const box = document.querySelector('#numbers .scroll').getBoundingClientRect(); "
                       "return [box.left, box.right, box.top + scrollY, box.width] })()")  # fmt: skip
        at = box[1] - 3 if side == "right" else box[0] + 1
        clip = {"x": at, "y": box[2] + 4, "width": 2, "height": 4, "scale": 1}
        shot = ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        return Image.open(io.BytesIO(base64.b64decode(shot))).convert("L").getpixel((0, 0))

    with browser.opened(page, width=375, dark=False) as ask:
        first = [brightness(ask, side) for side in ("left", "right")]
        run(ask, "document.querySelector('#numbers .scroll').scrollLeft = 9999")
        last = [brightness(ask, side) for side in ("left", "right")]
    assert first[1] < 225 < 250 < first[0]
    assert last[0] < 225 < 250 < last[1]


def test_without_scripts_the_largest_mistakes_are_there(browser, page, rows):
    """Twelve of each language at most, and nothing to press that does nothing."""
    with browser.opened(page, width=1280, dark=False) as ask:
        ask("Emulation.setScriptExecutionDisabled", value=True)
        browser.events.clear()
        ask("Page.reload")
        browser.wait_for("Page.loadEventFired")
        shown = run(ask, CELLS)
        assert run(ask, "document.querySelector('.filters').hidden")
        assert run(ask, "document.querySelector('button.more').hidden")
    assert [row[-1] for row in shown] == [name for name in rows for _ in range(12)]
    surest = sorted((row for row in rows["English"] if not is_right(row)), key=lambda row: -row["confidence"])
    assert [row[0] for row in shown[-12:]] == [row["text"] for row in surest[:12]]
