"""What people wrote is shown as it is, in Markdown, in front matter, in HTML and at the terminal."""

import html
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lingraft.core.terminal_text import Terminal, as_text, printable
from lingraft.results.pages.escaping import code_span, describe_notes, identifier, markdown_text, verbatim

COMMONMARK = MarkdownIt("commonmark", {"html": True})
HOSTILE = [
    "<script>alert(1)</script>",
    "radio [2023/24] [/b]",
    "[old]",
    "[a](javascript:alert(1))",
    "![x](http://example.org/pixel.png)",
    "&lt;b&gt; &#60;",
    "a *b* _c_ `d` **e** __f__",
    "# heading",
    "- item",
    "1. one",
    "12) twelve",
    "> said",
    "\\*",
    "line one\n\n# line two\n---\n",
    "a | b",
    "<!-- hidden",
    "snake_case_name",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07\x9b2Jend\r",
]
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from("ab \\`*_[]()!<>&#+-.1~|$;:\n\t\x1b\x07\r"), max_size=20),
    st.text(max_size=20),
)


def shown_of(text):
    """What a reader should see of a text: one line without control characters."""
    return " ".join(printable(text).split())


def rendered(markdown):
    """The text of a paragraph that Markdown makes, and which elements are in it."""
    page = COMMONMARK.render(markdown).replace("<p>", "", 1).replace("</p>", "", 1)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split()), re.findall(r"<(\w+)", page)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_what_was_written(text):
    """No element comes of it."""
    assert rendered(markdown_text(text)) == (shown_of(text), [])


@settings(max_examples=300, deadline=None)
@given(texts)
def test_no_text_becomes_markdown(text):
    """Whatever is in it, at the beginning of a paragraph too."""
    assert rendered(markdown_text(text).strip()) == (shown_of(text), [])


@settings(max_examples=200, deadline=None)
@given(texts)
def test_code_shows_what_was_written(text):
    """Backticks within do not end it."""
    assert rendered(f"x {code_span(text or '-')} y") == (" ".join(f"x {shown_of(text or '-')} y".split()), ["code"])


def test_a_block_of_code_is_not_ended_from_within():
    """Its fence is the template's."""
    assert COMMONMARK.render(f"```\n{verbatim(chr(10).join(['@misc{a', '```', '# b', '}']))}\n```\n") == (
        "<pre><code>@misc{a\n'''\n# b\n}\n</code></pre>\n"
    )


@pytest.mark.parametrize(
    ("licence", "name"),
    [
        ("CC BY-SA 4.0", "cc-by-sa-4.0"),
        ("Apache-2.0", "apache-2.0"),
        ("<script>alert(1)</script>\n---\nx: y", "script-alert-1-script-x-y"),
    ],
)
def test_a_licence_in_front_matter_is_an_identifier(licence, name):
    """As the Hub writes licences."""
    assert identifier(licence) == name


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x9b2Jb", "ab"),
        ("a\x08\x7f\rb", "ab"),
        ("half \ud800", "half ?"),
        ("Ọ̀rọ̀ 𞤀 日本\tx", "Ọ̀rọ̀ 𞤀 日本\tx"),
        ("a \u202egpj.exe", "a \u202egpj.exe\u202c"),
        ("\u2067\u202bשלום", "\u2067\u202bשלום\u202c\u2069"),
        ("\u2067\u202bשלום\u2069 and \u202e", "\u2067\u202bשלום\u2069 and \u202e\u202c"),
        ("\u202ea\nb \u202bc\u202c", "\u202ea\u202c\nb \u202bc\u202c"),
        ("\u2069\u202c\u200fא", "\u2069\u202c\u200fא"),
    ],
)
def test_a_terminal_is_not_steered(text, seen):
    """Control sequences go whole, changes of direction end with their line; letters of every script stay."""
    assert printable(text) == seen


def test_a_terminal_shows_brackets_and_names_of_signs():
    """Nothing that people write is markup, in lines, in cells and in titles."""
    from rich.table import Table

    stream = io.StringIO()
    console = Terminal(file=stream, width=100, force_terminal=True)
    table = Table("[old]", title="radio [2023/24] [/b]")
    table.add_row("\x1b[31m[bold]a[/bold] :smile:")
    console.print(table)
    console.print(as_text("warning:", "yellow"), "[/b] :warning: \x1b]0;t\x07")
    said = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert "\x1b" not in said
    for piece in ("[old]", "radio [2023/24] [/b]", "[bold]a[/bold] :smile:", "warning: [/b] :warning:"):
        assert piece in said


def test_one_remark_is_a_paragraph_and_several_are_a_list():
    """What belongs to an item is indented, so that it stays in it; control sequences go."""
    assert describe_notes([]) == []
    assert describe_notes(["One, *so*\x1b[31m."]) == ["Remarks:", "", "One, *so*.", ""]
    table = "One:\n\n| a |\n|---|\n| 1 |"
    lines = describe_notes([table, "Two."], "Mind:")
    assert lines == ["Mind:", "", "- One:", "", "  | a |", "  |---|", "  | 1 |", "- Two.", ""]
    shown = MarkdownIt("commonmark").enable("table").render("\n".join(lines))
    assert shown.count("<li>") == 2 and shown.count("<td>1</td>") == 1


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("```\ncode", "```\ncode\n```"),
        ("```py\n# no heading\n```\n# Big ##", "```py\n# no heading\n```\n**Big**"),
        ("~~~\n```\n~~~", "~~~\n```\n~~~"),
        ("one <script>x</script> <https://a.org> 1 < 2", "one &lt;script>x&lt;/script> <https://a.org> 1 < 2"),
        ("`a` and #5, C# too", "`a` and #5, C# too"),
    ],
)
def test_a_remark_changes_nothing_around_it(note, shown):
    """Code ends with it, a heading is a bold line, HTML is text."""
    assert describe_notes([note]) == ["Remarks:", "", *shown.split("\n"), ""]
