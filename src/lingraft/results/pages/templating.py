"""Templates of pages: what is filled in is escaped, in HTML or in Markdown, and what nobody gave is refused."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from ...core.terminal_text import printable
from .. import wording
from .escaping import code_span, markdown_text, verbatim

Context = dict[str, Any]


def fill_template(template: str, context: Context) -> str:
    """Return a page: one of the folder ``templates``, with what it is to be filled with."""
    return _environment(template.endswith(".html.j2")).get_template(template).render(context)


def script_of(name: str) -> Context:
    """Return a script of the folder ``templates`` for a page that loads nothing, and the policy under which it runs.

    The policy names the script by its digest, so that no other runs, whatever data bring into the page.
    """
    script = resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"script": Markup(script), "policy": Markup(policy)}  # our own text


@cache
def _environment(html: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("lingraft.results.pages"),
        autoescape=html,
        finalize=_printable if html else _as_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    said = (
        wording.percent,
        wording.score,
        wording.count,
        wording.size,
        wording.change,
        wording.duration,
        wording.span,
    )
    environment.filters |= {function.__name__: function for function in said}
    environment.filters["interval"] = partial(wording.interval, digits=1)  # as the numbers that they stand beside
    environment.filters |= {"plural": wording.plural, "capital": wording.capital}
    environment.filters |= {"code": code_span, "verbatim": verbatim}
    environment.filters |= {"inline": _inline, "paragraphs": _paragraphs, "words": _words}
    return environment


def _printable(value: object) -> object:
    """Return a text without control characters, which HTML does not have."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _as_markdown(value: object) -> object:
    """Return a text as Markdown that shows it, unless it is Markdown."""
    return markdown_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


# ---- Sentences of Markdown pages, in HTML ------------------------------------------------------------


@cache
def _commonmark() -> MarkdownIt:
    """Return what reads sentences; tags in them are text, nothing is loaded or linked to, wide tables are scrolled."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    reader.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0">\n<table>\n')
    reader.add_render_rule("table_close", lambda *_: "</table>\n</div>\n")
    return reader.disable(["image", "link", "autolink", "reference"])


def _inline(markdown: str) -> Markup:
    """Return a line of Markdown as HTML."""
    return Markup(_commonmark().renderInline(printable(markdown)))


def _paragraphs(markdown: str) -> Markup:
    """Return paragraphs and lists of Markdown as HTML."""
    return Markup(_commonmark().render(printable(markdown)))


def _words(markdown: str) -> str:
    """Return what a line of Markdown says, without marks."""
    return Markup(_inline(markdown)).striptags()
