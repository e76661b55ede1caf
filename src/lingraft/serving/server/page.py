"""The page at ``/``: a form to ask a run, its answer with what speaks for it, and the mistakes that it made.

One file that loads nothing. Its policy names the style and the script of its template by their digests, so nothing
else can run, wherever it comes from.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import LingraftError
from ...data.languages import display_name
from ...results import findings
from ...results.pages.mistakes import mistakes_of
from ...results.pages.templating import Context, fill_template
from ...results.run_files import read_run
from ..explaining import can_explain
from ..predictor import Adapted
from .limits import Limits

TEMPLATE = "try.html.j2"
BLANK: Context = {
    "task": "",
    "name": "",
    "shape": "",
    "fields": (),
    "explained": False,
    "probable": False,
    "languages": {},
    "chosen": "",
    "lettered": False,
    "characters": 0,
    "limit": "",
    "wrong": "",
    "confident": True,
    "mistakes": (),
    "classes": (),
    "problem": "",
}
"""What the page is filled with, without anything that comes from data."""

MOST = 500
"""Mistakes of a language that the page holds."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and what a browser may do with it."""

    html: str
    policy: str
    """Its Content-Security-Policy."""


@dataclass(frozen=True, slots=True)
class Field:
    """A part of an item, as a form asks for it."""

    name: str
    label: str
    several: bool = False
    """Whether each line is a text."""


def build_page(adapted: Adapted, folder: Path | None, limits: Limits) -> Page:
    """Return the page of a run.

    Args:
        adapted: The run.
        folder: Where its predictions of test texts are; None shows no mistakes.
        limits: Of what may be asked.
    """
    source, targets = adapted.identity.source_language, adapted.targets
    html = fill_template(
        TEMPLATE,
        BLANK
        | {
            "task": adapted.identity.task,
            "name": folder.name if folder is not None else "",
            "shape": _shape_of(adapted),
            "fields": _fields_of(adapted),
            "explained": can_explain(adapted.kind),
            "probable": adapted.kind.probabilities is not None,
            "languages": {code: display_name(code) for code in dict.fromkeys((*targets, source))},
            "lettered": adapted.resolve(None)[0] is None,
            "chosen": (targets or (source,))[0] if len(targets) < 2 else "",
            "characters": limits.characters,
            "limit": adapted.kind.words.limit,
            "wrong": adapted.kind.words.wrong,
            "confident": not adapted.kind.numeric,
            **_mistakes(folder),
        },
    )
    return Page(html, policy_of(fill_template(TEMPLATE, BLANK)))


def policy_of(html: str) -> str:
    """Return a Content-Security-Policy under which the styles and scripts of a page work, and nothing else does.

    The page may ask the server that it came from, and may not be shown inside another.

    Args:
        html: A page without anything that comes from data, which might bring a script along.
    """

    def digests(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        named = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode() for text in found)
        return " ".join(f"'sha256-{one}'" for one in named)

    return (
        f"default-src 'none'; script-src {digests('script')}; style-src {digests('style')}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _shape_of(adapted: Adapted) -> str:
    """Return how an item is put together from its fields: ``object``, ``pair`` or ``text``."""
    return "object" if adapted.kind.item_columns else "pair" if adapted.identity.paired else "text"


def _fields_of(adapted: Adapted) -> list[Field]:
    """Return what a form asks for: the columns of an item, of which the item that is shown says which are lists."""
    columns = adapted.kind.item_columns
    if not columns:
        return [Field("text", "First text"), Field("text_b", "Second text")] if adapted.identity.paired else [TEXT]
    try:
        item: Any = json.loads(adapted.kind.words.item)
    except json.JSONDecodeError:
        item = {}
    lists = {name for name, value in item.items() if isinstance(value, list)} if isinstance(item, dict) else set()
    return [
        Field(name, f"{name[:1].upper()}{name[1:]}{', one a line' if name in lists else ''}", name in lists)
        for name in columns
    ]


TEXT = Field("text", "Text")


def _mistakes(folder: Path | None) -> Context:
    """Return the mistakes of a run's test texts; what is damaged of them is said, and stops nobody."""
    if folder is None:
        return {}
    try:
        run = read_run(folder)
        found = mistakes_of(run, MOST)
        classes = list(run.data["classes"]) if found and findings.has_classes(run.data) else []
    except LingraftError as error:
        return {"problem": str(error)}
    return {"mistakes": found, "classes": classes}
