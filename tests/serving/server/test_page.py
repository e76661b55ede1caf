"""The page at ``/`` in a browser: asked by hand and by keyboard, on a phone and a desk, by day and by night."""

import base64
import hashlib
import json
import re
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest
import torch

from answering import adapted_of
from browser import LOOK, WIDTHS, press, run
from invented_run import LABELS, write_run
from lingraft.data.character_model import CharacterModel
from lingraft.model.ensembles import LanguageEnsemble
from lingraft.model.heads.ngrams import fit_ngram_classifier
from lingraft.results.run_files import is_right, read_predictions
from lingraft.serving.server.limits import Limits
from lingraft.serving.server.page import build_page
from served import ask, served

CODE = "yor-Latn"
EVIL = "<img src=x onerror=\"alert('evil')\"><script>alert(1)</script>"
DONE = "document.getElementById('details').getAttribute('aria-busy') === 'false'"
ANSWERED = f"new Promise((done) => {{ const look = () => {DONE} ? done(true) : setTimeout(look, 20); look(); }})"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run with mistakes in three languages, one of them of evil intent, in text and class."""
    folder = write_run(tmp_path_factory.mktemp("run") / "market-talk", targets=(CODE, "quy-Latn"), draws=1, seeds=1)
    (path,) = folder.glob(f"predictions/*/{CODE}.jsonl")
    first, *rows = path.read_text(encoding="utf-8").splitlines()
    bad = json.loads(first) | {
        "text": EVIL, "value": EVIL, "gold": "music", "confidence": 0.99, "right": 0.0, "counts": [0.0, 1.0],
    }  # fmt: skip
    path.write_text("\n".join([json.dumps(bad), *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def adapted(tiny_backbone):
    """A loaded run of two languages, one of which has an n-gram classifier."""
    adapted = adapted_of(tiny_backbone, languages=(CODE, "quy-Latn"))
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["ada", "beli", "cora", "dune"], 4)) + f" x{i}" for i in range(30)]
    classifier, _ = fit_ngram_classifier(texts, rng.dirichlet([1, 1, 1], 30))
    weights = torch.tensor([0.5, 2.0])
    adapted.model.adaptation.add_ensemble(CODE, LanguageEnsemble(weights, None, {"ngrams": classifier}))
    return adapted


@pytest.fixture(scope="module")
def address(adapted, folder):
    """Where it is served."""
    with served(adapted, folder) as at:
        yield f"{at}/"


def filled(ask, **values):
    """Fill in the form."""
    for name, value in values.items():
        run(ask, f"document.getElementById({name!r}).value = {json.dumps(value)}")


def sent(ask):
    """Ask, and wait for the answer and its explanation; their text."""
    run(ask, "document.querySelector('button.ask').click()")
    run(ask, ANSWERED)
    return run(ask, "['answer', 'details'].map((id) => document.getElementById(id).innerText).join('\\n').trim()")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_and_is_quiet(browser, address, width, dark):
    """With an answer and without; it speaks to its own server alone, and complains of nothing."""
    with browser.opened(address, width=WIDTHS[width], dark=dark) as ask:
        before = run(ask, LOOK)
        filled(ask, text="ada cora " + "dune" * 40, language=CODE)
        sent(ask)
        after = run(ask, LOOK)
        requests, complaints = browser.told(address)
    assert complaints == []
    assert requests == [f"{address}predict", f"{address}explain"]
    for layout in (before, after):
        assert layout["width"] <= layout["room"] == WIDTHS[width]
        assert {what: found for what, found in layout.items() if what not in ("width", "room")} == {
            "wide": [], "clipped": [], "met": [], "pale": [],
        }  # fmt: skip


def test_an_answer_is_shown_with_its_probabilities_and_what_spoke_for_it(browser, address, adapted):
    """As the run says them: all classes, words, n-grams."""
    why = adapted.explain("ada cora", language=CODE)
    with browser.opened(address, width=1280, dark=False) as ask:
        filled(ask, text="ada cora", language=CODE)
        told = sent(ask)
        widths = run(ask, "[...document.querySelectorAll('.bar')].map((one) => parseFloat(one.style.width))")
    assert told.startswith(f"{why.answer.value}\n")
    assert f"{100 * why.answer.confidence:.1f} % sure" in told
    probable = told.split("Probabilities")[1]
    places = [probable.index(f"\n{100 * one:.1f} %") for one in sorted(why.answer.probabilities, reverse=True)]
    assert places == sorted(places)
    assert widths[:3] == pytest.approx([100 * one for one in sorted(why.answer.probabilities, reverse=True)], abs=0.1)
    loudest = why.ngrams[0]
    size = f"{abs(loudest.score):.1g}" if abs(loudest.score) < 0.01 else f"{abs(loudest.score):.2f}"
    shown = f"{loudest.text.replace(' ', '␣')}\n{'−' if loudest.score < 0 else '+'}{size}"
    words, ngrams = told.split("Words that spoke for it, or against")[1].split("Character n-grams that spoke for it")
    words, _, meaning = words.partition("How much less likely")
    assert meaning.strip().endswith("the answer is without it.")
    assert {one.text for one in why.words} == set(words.split()[::2])
    assert ngrams.removeprefix(", or against").strip().startswith(shown)


def test_the_language_must_be_said_where_there_are_several(browser, address, tiny_backbone):
    """Nothing is asked without; the only target is chosen already."""
    with browser.opened(address, width=1280, dark=False) as tab:
        filled(tab, text="ada")
        run(tab, "document.querySelector('button.ask').click()")
        assert run(tab, "document.querySelector('select').validity.valueMissing")
        assert browser.told(address)[0] == []
    with served(adapted_of(tiny_backbone)) as at:
        found = re.findall(r'<option value="([^"]*)"( selected)?', ask(at, "/").text)
    assert found == [(CODE, " selected"), ("eng-Latn", "")]


def test_a_text_may_say_its_language_by_its_letters(browser, tiny_backbone):
    """Where the run knows all of them; the answer says which it was taken for, and nothing of n-grams without any."""
    letters = {
        CODE: CharacterModel.of_texts(["ada beli ada beli"]),
        "swh-Latn": CharacterModel.of_texts(["cora dune cora dune"]),
    }
    adapted = replace(adapted_of(tiny_backbone, languages=tuple(letters)), letters=letters)
    with served(adapted) as at, browser.opened(f"{at}/", width=375, dark=False) as tab:
        assert run(tab, "document.getElementById('language').value") == "letters"
        filled(tab, text="cora dune")
        by_letters = sent(tab)
        filled(tab, language=CODE)
        as_told = sent(tab)
    assert "Taken for Swahili (swh-Latn).\n\nno language given; each text is taken for" in by_letters
    assert "Words that spoke for it" in by_letters
    assert "n-grams" not in by_letters
    assert "Taken for" not in as_told


def test_all_of_it_works_from_the_keyboard(browser, address):
    """Ctrl and Enter asks; Tab goes through the form, and one sees where it is."""
    focused = "document.activeElement.id || document.activeElement.className"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    with browser.opened(address, width=1280, dark=False) as ask:
        ask("Emulation.setFocusEmulationEnabled", enabled=True)
        visited = []
        for _ in range(7):
            press(ask, "Tab")
            visited.append((run(ask, focused), run(ask, outline)))
        filled(ask, text="ada", language=CODE)
        run(ask, "document.getElementById('text').focus()")
        press(ask, "Enter", text="\r", modifiers=2)
        run(ask, ANSWERED)
        assert "% sure" in run(ask, "document.getElementById('answer').innerText")
    names = ["text", "language", "ask", "search", "in-language", "gold", "value"]
    assert visited == [(name, "solid") for name in names]


def test_every_field_has_a_name_and_what_changes_is_said(browser, address):
    """For screen readers: from the tree that they are given."""
    with browser.opened(address, width=1280, dark=False) as ask:
        ask("Accessibility.enable")
        nodes = ask("Accessibility.getFullAXTree")["nodes"]
    named = [(one["role"]["value"], one["name"]["value"]) for one in nodes if one.get("name") and not one["ignored"]]
    for expected in (
        ("textbox", "Text"), ("combobox", "Language"), ("button", "Answer"), ("searchbox", "Search"),
        ("combobox", "Gold"), ("combobox", "Predicted"),
    ):  # fmt: skip
        assert expected in named
    fields = [name for role, name in named if role in ("textbox", "combobox", "searchbox", "button")]
    assert "" not in fields
    assert sum(one["role"]["value"] == "status" for one in nodes if "role" in one) == 2


def test_mistakes_are_those_of_the_run_and_can_be_filtered(browser, address, folder):
    """By words, by language, by what was right and what was said; the number that is left is said."""
    shown = "document.getElementById('shown').textContent"
    wrong = {
        code: [row for row in read_predictions(path) if not is_right(row)]
        for code in (CODE, "quy-Latn", "eng-Latn")
        for path in folder.glob(f"predictions/*/{code}.jsonl")
    }
    total = sum(map(len, wrong.values()))

    def choose(ask, name, value):
        filled(ask, **{name: value})
        run(ask, f"document.getElementById({name!r}).dispatchEvent(new Event('input', {{bubbles: true}}))")
        return run(ask, shown)

    music = [row for row in wrong["quy-Latn"] if row["gold"] == "music"]
    trade = [row for row in music if row["value"] == LABELS[0]]
    with browser.opened(address, width=1280, dark=False) as ask:
        assert run(ask, shown) == f"{total} of {total} shown"
        assert choose(ask, "in-language", "Ayacucho Quechua") == f"{len(wrong['quy-Latn'])} of {total} shown"
        assert choose(ask, "gold", "music") == f"{len(music)} of {total} shown"
        assert choose(ask, "value", LABELS[0]) == f"{len(trade)} of {total} shown"
        choose(ask, "value", "")
        assert choose(ask, "search", music[0]["text"].upper()) == f"1 of {total} shown"
        cells = run(ask, "[...document.querySelector('tbody tr:not([hidden])').cells].map((one) => one.textContent)")
    assert cells[:3] == [music[0]["text"], "music", music[0]["value"]]


def test_nothing_that_comes_from_data_is_html(browser, adapted, folder):
    """The task, its labels, a text of the test set, a text that is asked, and what is said of it."""
    evil = replace(adapted.identity, task=EVIL, labels=(f"{EVIL}1", f"{EVIL}2", f"{EVIL}3"))
    elements = "document.querySelectorAll('img').length + document.querySelectorAll('script').length"
    with served(replace(adapted, identity=evil), folder) as at, browser.opened(f"{at}/", width=1280, dark=False) as ask:
        assert run(ask, "document.querySelector('h1').textContent") == EVIL
        assert run(ask, "document.querySelector('tbody tr').cells[0].textContent") == EVIL
        filled(ask, text=EVIL, language=CODE)
        assert sent(ask).count(EVIL) == 4  # the answer, and three probabilities
        assert run(ask, elements) == 1
        _, complaints = browser.told(f"{at}/")
    assert complaints == []


def test_only_the_pages_own_script_and_style_may_run(browser, address):
    """The policy names them by their digests; what is put into the page otherwise does nothing, and it is said."""
    found = ask(address.rstrip("/"), "/")
    policy, html = found.headers["Content-Security-Policy"], found.text
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy, "another than the page's own"
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    put = "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.evil = true'}))"
    with browser.opened(address, width=1280, dark=False) as tab:
        run(tab, put)
        assert run(tab, "window.evil === undefined")
        assert "Content Security Policy" in "".join(browser.told(address)[1])


ITEMS = {
    "tagging": ({"text": "ada beli"}, "% sure"),
    "span_qa": ({"question": "ada", "context": "be cora"}, "of the context"),
    "choice": ({"text": "ada", "alternatives": "beli\n\ncora dune\n"}, "cora dune"),
    "multilabel": ({"text": "ada beli"}, "% sure of just these"),
}


def test_a_number_is_shown_as_one(browser, tiny_backbone):
    """A zero too, which is no answer that there is none; nothing is said of how sure it is."""
    adapted = adapted_of(tiny_backbone, "regression")
    head, shown = adapted.model.adaptation.head, []
    with served(adapted) as at, browser.opened(f"{at}/", width=375, dark=False) as ask:
        for bias in (-1.25, 0.0):
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.constant_(head.bias, bias)
            filled(ask, text=f"ada beli {bias}")
            shown.append(sent(ask).strip())
    assert shown == ["-1.25", "0"]


@pytest.mark.parametrize("kind", ITEMS)
def test_the_form_asks_for_what_the_kind_of_task_takes(browser, tiny_backbone, kind):
    """And shows its answer; without a folder there are no mistakes to show."""
    values, told = ITEMS[kind]
    with served(adapted_of(tiny_backbone, kind)) as at, browser.opened(f"{at}/", width=375, dark=False) as ask:
        filled(ask, **values)
        assert told in sent(ask)
        assert run(ask, LOOK)["wide"] == []
        requests, complaints = browser.told(f"{at}/")
    assert (requests, complaints) == ([f"{at}/predict"], [])


def test_a_pair_has_two_fields(browser, tiny_backbone):
    """In their order."""
    adapted = adapted_of(tiny_backbone, paired=True)
    (expected,) = adapted.predict([("ada", "beli cora")])
    with served(adapted) as at, browser.opened(f"{at}/", width=1280, dark=False) as ask:
        filled(ask, text="ada", text_b="beli cora")
        assert sent(ask).startswith(f"{expected.value}\n\n{100 * expected.confidence:.1f} % sure")


def test_a_refusal_is_shown(browser, tiny_backbone):
    """The line that the server says."""
    with served(adapted_of(tiny_backbone), body=200) as at, browser.opened(f"{at}/", width=1280, dark=False) as ask:
        filled(ask, text="ada " * 99)
        assert "expected at most 200: ask for fewer items" in sent(ask)


def test_blanks_are_no_text(browser, address):
    """They have no class, and nothing is sure of that."""
    with browser.opened(address, width=1280, dark=False) as tab:
        filled(tab, text="  ", language=CODE)
        assert sent(tab) == "There is no text to answer."


def test_a_server_that_has_ended_is_said(browser, adapted):
    """What a browser says of that helps nobody."""
    with ExitStack() as server:
        at = server.enter_context(served(adapted))
        with browser.opened(f"{at}/", width=1280, dark=False) as tab:
            filled(tab, text="ada", language=CODE)
            server.close()
            assert sent(tab) == "The server does not answer. Is lingraft serve still running? Then ask again."


def test_damaged_predictions_are_said_and_stop_nobody(adapted, tmp_path):
    """The page is there without them."""
    (tmp_path / "summary.json").write_text("{", encoding="utf-8")
    html = build_page(adapted, tmp_path, Limits()).html
    assert "The mistakes on test texts cannot be shown: " in html
    assert "summary.json: expected JSON" in html
