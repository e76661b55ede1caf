"""What the site shows beside the pages of this folder: README, changes, recipes of ``examples``, and the notebook.

Links are written as they work in a checkout and on a code host, ``../examples/situations/names.yaml``. On the site the
README is the first page, each folder of examples a page with a section for each recipe, and the links lead there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

REPOSITORY = Path(__file__).parents[1]
DOCS, EXAMPLES, NOTEBOOK = Path("docs"), Path("examples"), Path("docs/tour.ipynb")
ELSEWHERE = {"README.md": "index.md", "CHANGELOG.md": "changes.md", "CONTRIBUTING.md": "contributing.md"}
"""Pages of the repository's root, and what they are called on the site."""

LINK = re.compile(r"""(\]\(|\bsrc=")([^)\s"#:]+)(#[^)\s"]*)?(?=[)"])""")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere or are put together from recipes."""
    for source, page in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(REPOSITORY / source)))
    notebook, _ = MarkdownExporter().from_filename(str(REPOSITORY / NOTEBOOK))
    files.append(File.generated(config, _on_site(NOTEBOOK), content=notebook))
    for folder, recipes in _recipes():
        text = "\n".join([f"# `{folder}`\n", *map(_section, recipes)])
        files.append(File.generated(config, f"{folder}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links from file to file of the repository into links from page to page of the site."""
    found = (source for source, name in ELSEWHERE.items() if name == page.file.src_uri)
    folder = Path(next(found, DOCS / page.file.src_uri)).parent

    def lead(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        if not (REPOSITORY / target).exists():
            return link[0]  # the strict build says so
        here = os.path.relpath(_on_site(target), Path(page.file.src_uri).parent)
        anchor = f"#{target.stem}" if target.suffix == ".yaml" else link[3] or ""
        return f"{link[1]}{here}{anchor}"

    return LINK.sub(lead, markdown)


def _on_site(target: Path) -> str:
    """Return the page of the site, or its file, that a file of the repository is."""
    if target == NOTEBOOK:
        target = target.with_suffix(".md")
    if target.is_relative_to(DOCS):
        return str(target.relative_to(DOCS))
    if target.is_relative_to(EXAMPLES):
        return f"{target.parent if target.suffix else target}.md"
    return ELSEWHERE.get(str(target), str(target))


def _recipes() -> Iterator[tuple[Path, list[Path]]]:
    """Yield each folder of examples, from the repository's root, with its recipes."""
    for folder in sorted({path.parent for path in (REPOSITORY / EXAMPLES).rglob("*.yaml")}):
        yield folder.relative_to(REPOSITORY), sorted(folder.glob("*.yaml"))


def _section(recipe: Path) -> str:
    text = recipe.read_text(encoding="utf-8")
    return f"## {recipe.name} {{ #{recipe.stem} }}\n\n```yaml\n{text}```\n"
