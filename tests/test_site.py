"""The site of ``make docs``: built without a warning, whole when opened from disk, and nothing loaded from outside."""

import inspect
import logging
import os
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from pydantic import BaseModel

import lingraft
from browser import chromium, run
from lingraft.backbones.walk import states_at
from lingraft.core import errors
from lingraft.core.errors import LingraftError
from lingraft.recipe import settings
from lingraft.serving.predictor import Adapted
from tiny import REPOSITORY

INSIDE = {
    f"lingraft.serving.predictor.Adapted.{name}"
    for name in ("language_of", "logits", "predict_examples", "read_examples", "resolve")
}
"""What the product's other parts call."""
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}

TYPED = """(() => {
  document.querySelector('#__search').click();
  const field = document.querySelector('[data-md-component="search-query"]');
  field.focus();
  field.value = 'Satterthwaite';
  field.dispatchEvent(new KeyboardEvent('keyup', {bubbles: true}));
})()"""
FIRST_FOUND = """new Promise((found) => {
  const look = (patience) => {
    const link = document.querySelector('.md-search-result__item a');
    if (link || !patience) found(link ? link.getAttribute('href') : 'nothing');
    else setTimeout(look, 100, patience - 1);
  };
  look(1000);
})"""


class Found(HTMLParser):
    """Collects what a page links to, what it loads, the anchors that it has, and its text."""

    def __init__(self, page):
        super().__init__()
        self.links, self.loaded, self.anchors, self.text = [], [], set(), ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Keep what an element names."""
        attrs = dict(attrs)
        self.anchors |= {attrs["id"]} if "id" in attrs else set()
        self.links += [attrs["href"]] if tag == "a" and "href" in attrs else []
        self.loaded += [attrs[LOADED[tag]]] if LOADED.get(tag) in attrs else []

    def handle_data(self, data):
        """Keep the text."""
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built strictly: a warning ends the build."""
    folder = tmp_path_factory.mktemp("site")
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    with (REPOSITORY / "mkdocs.yml").open("rb") as file:
        build(load_config(file, strict=True, site_dir=str(folder)))
    logging.getLogger("mkdocs").handlers.clear()
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Each page of the site with what was found in it; the page of unknown addresses has no place of its own."""
    return {path: Found(path) for path in site.rglob("*.html") if path.name != "404.html"}


def test_links_of_the_site_lead_somewhere_on_disk(site, pages):
    """Files and anchors, also those that the theme writes."""
    broken = []
    for page, found in pages.items():
        for link in found.links + found.loaded:
            if re.match(r"https?:|mailto:|data:", link):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = (page.parent / path).resolve() if path else page
            there = target.is_file() and (not anchor or target not in pages or anchor in pages[target].anchors)
            broken += [] if there else [(str(page.relative_to(site)), link)]
    assert len(pages) > 25
    assert broken == []


def test_nothing_is_loaded_from_outside(pages):
    """Scripts, styles, fonts and pictures lie beside the pages."""
    assert [link for found in pages.values() for link in found.loaded if re.match(r"(https?:)?//", link)] == []


def test_every_recipe_of_the_examples_is_on_the_site(site, pages):
    """Word for word, in the section that links to the file lead to."""
    recipes = sorted((REPOSITORY / "examples").rglob("*.yaml"))
    assert len(recipes) > 50
    for recipe in recipes:
        page = pages[site / recipe.relative_to(REPOSITORY).parent.with_suffix(".html")]
        assert recipe.stem in page.anchors
        assert recipe.read_text(encoding="utf-8").strip() in page.text


def test_a_recipe_named_in_a_page_is_one_click_away(site, pages):
    """A link to a file in a checkout is a link to its section on the site."""
    assert "examples/situations.html#names" in pages[site / "situations.html"].links
    assert "situations.html" in pages[site / "index.html"].links


def test_every_public_name_is_in_the_reference(site, pages):
    """What ``lingraft`` exports, what a loaded run can do, its errors, and every setting of a recipe."""
    anchors = pages[site / "reference.html"].anchors
    exported = {getattr(lingraft, name) for name in lingraft.__all__ if name != "__version__"}
    methods = {one for name, one in vars(Adapted).items() if inspect.isfunction(one) and not name.startswith("_")}
    failures = {
        error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, LingraftError)
    }
    names = {f"{one.__module__}.{one.__qualname__}" for one in exported | (methods - {states_at}) | failures}
    blocks = [block for block in vars(settings).values() if isinstance(block, type) and issubclass(block, BaseModel)]
    fields = {
        f"{settings.__name__}.{block.__name__}.{field}"
        for block in blocks
        if block.__module__ == settings.__name__ and block not in (settings.Block, settings.WeightedBlock)
        for field in block.model_fields
    }
    assert len(names) > 15
    assert len(fields) > 80
    assert sorted((names | fields) - anchors - INSIDE) == []


def test_pictures_of_reports_are_small_and_all_shown(site, pages):
    """Each below 150 kB, and on the page that they were taken for."""
    pictures = {path.name: path.stat().st_size for path in (REPOSITORY / "docs" / "gallery").glob("*.png")}
    assert {f"gallery/{name}" for name in pictures} <= set(pages[site / "gallery.html"].loaded)
    assert len(pictures) >= 4
    assert max(pictures.values()) < 150_000


def test_the_site_searches_from_disk(site, tmp_path):
    """In a browser, without a server: a word of one page is found there; nothing is asked for outside the folder."""
    with chromium(tmp_path) as browser, browser.opened(site / "index.html", width=1280, dark=False) as ask:
        run(ask, TYPED)
        found = ask("Runtime.evaluate", expression=FIRST_FOUND, awaitPromise=True, returnByValue=True)["result"][
            "value"
        ]
        requests, complaints = browser.told(site / "index.html")
    assert "experiments.html" in found
    assert [url for url in requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert complaints == []
