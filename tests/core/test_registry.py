"""Registries: names, options, siblings, and what outside packages bring."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingraft.backbones import backbones
from lingraft.core.errors import ConfigError
from lingraft.core.registry import Registry, unknown
from lingraft.data import sources
from lingraft.data.augmentation import augmentation
from lingraft.model.adapters import adapters
from lingraft.model.freezing import freezing
from lingraft.model.prompts import prompts
from lingraft.results.pages import pages
from lingraft.tasks import tasks
from lingraft.training.alignment import alignment

ALL = [adapters, alignment, augmentation, backbones, freezing, pages, prompts, sources, tasks]

CONTRACT = "from lingraft.core.registry import Registry\ngreetings = Registry('{package}')\n"
SIBLING = '''
from __future__ import annotations
from typing import Literal
from pydantic import PositiveInt
from . import greetings

@greetings.register("hello")
def hello(*, to: str, times: PositiveInt = 1, tone: Literal["warm", "cool"] = "warm"):
    """Say hello, so many times.

    More lines, which a list leaves out.
    """
    return " ".join(["hello", to] * times)

@greetings.register("silence")
def silence():
    return ""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of its own with a registry and one sibling module; returns a function that imports the registry."""
    name = f"greetings_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(CONTRACT.format(package=name), encoding="utf-8")
    (folder / "plain.py").write_text(SIBLING, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for module in [m for m in sys.modules if m.partition(".")[0] in (name, "outside_greetings")]:
        del sys.modules[module]


def registry(folder):
    """The registry of a package."""
    return __import__(folder.name).greetings


def test_siblings_register_on_first_look_up(package):
    """Nobody imports the modules of a package; asking for names does."""
    found = registry(package)
    assert f"{package.name}.plain" not in sys.modules
    assert list(found) == found.names() == ["hello", "silence"]
    assert "hello" in found
    assert "goodbye" not in found


def test_a_factory_is_built_with_validated_options(package):
    """Options are converted to the annotated types before the factory sees them."""
    assert registry(package).build("hello", {"to": "you", "times": "2"}) == "hello you hello you"
    assert registry(package).build("silence") == ""


def test_the_nearest_name_is_offered(package):
    """A misspelt name is met with the right one."""
    with pytest.raises(ConfigError, match=r"'helo'; did you mean 'hello'\?"):
        registry(package).get("helo")


def test_all_names_are_offered_where_none_is_near(package):
    """A name like no other is met with the list."""
    assert registry(package).check("xyz", {}, "task") == [
        f"task.name: unknown {package.name} 'xyz'; known: hello, silence"
    ]


def test_every_mistake_of_a_block_is_reported(package):
    """Unknown, wrong and missing options come together, each with its place in the recipe."""
    problems = registry(package).check("hello", {"tims": 2, "tone": "loud", "times": "many"}, "greeting")
    assert len(problems) == 4
    assert problems[0] == "greeting.tims: unknown option of hello 'tims'; did you mean 'times'?"
    assert problems[1].startswith("greeting.tone: expected 'warm' or 'cool' (got 'loud')")
    assert problems[2].startswith("greeting.times: expected a whole number")
    assert problems[3] == "greeting.to: is missing; hello needs it"


def test_bounds_in_the_annotation_count(package):
    """An option annotated as a positive number must be one."""
    (problem,) = registry(package).check("hello", {"to": "you", "times": 0})
    assert problem.startswith("times: expected a number greater than 0 (got 0)")


def test_building_with_wrong_options_tells_them(package):
    """A block that was never checked is refused on building."""
    with pytest.raises(ConfigError, match="to: is missing; hello needs it"):
        registry(package).build("hello")


def test_defaults_are_those_of_the_signature(package):
    """What may be left out is known with its value."""
    assert registry(package).defaults("hello") == {"times": 1, "tone": "warm"}


def test_describe_has_options_and_the_first_line(package):
    """A list shows names, signatures and what each does, in one line."""
    (hello, options, line), silence = registry(package).describe()
    assert (hello, line, silence) == ("hello", "Say hello, so many times.", ("silence", "", ""))
    assert all(part in options for part in ("to: ", "times: ", " = 1", "tone: ", "warm"))


def test_a_name_is_given_once():
    """Two factories of one name are a mistake of ours, not of the user."""
    twice = Registry("lingraft.training.alignment")
    twice.register("x")(dict)
    with pytest.raises(ValueError, match="alignment 'x' is registered twice"):
        twice.register("x")(list)


def test_what_is_registered_for_a_while_is_forgotten():
    """Also where the context ends in an error; what was there before stays."""
    among = Registry("lingraft.training.alignment")
    among.register("z")(dict)
    with pytest.raises(ZeroDivisionError), among.temporarily():
        among.register("x")(dict)
        assert among.names() == ["x", "z"]
        among.register("y")(lambda: 1 / 0)()
    assert among.names() == ["z"]


def distribution(folder, package, module, code):
    """Install a distribution of one module with an entry point in the folder."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{package}]\nfarewell = {module}\n", encoding="utf-8")
    (folder / f"{module}.py").write_text(code, encoding="utf-8")


def test_outside_packages_register_by_entry_point(package):
    """An installed distribution extends a registry without a change to ours."""
    code = f"from {package.name} import greetings\n\n@greetings.register('bye')\ndef bye():\n    return 'bye'\n"
    distribution(package.parent, package.name, "outside_greetings", code)
    assert registry(package).names() == ["bye", "hello", "silence"]
    assert registry(package).build("bye") == "bye"


def test_a_failed_import_is_not_forgotten(package):
    """Where a sibling cannot be imported, the second look-up does not pass off half a registry as whole."""
    (package / "broken.py").write_text("import no_such_module_anywhere\n", encoding="utf-8")
    found = registry(package)
    for _ in range(2):
        with pytest.raises((ImportError, ConfigError), match="no_such_module_anywhere"):
            found.names()


@settings(max_examples=40)
@given(st.text(max_size=12), st.dictionaries(st.text(min_size=1, max_size=12), st.none(), max_size=5))
def test_refusals_quote_what_was_given(name, known):
    """Any name is refused in one sentence that quotes it."""
    sentence = unknown(name, known, what="thing")
    assert sentence.startswith(f"unknown thing {name!r}; ")


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_every_factory_of_ours_explains_itself(kind):
    """Each has a one-line description, and all its options are keyword-only and annotated."""
    import inspect

    for name, _, line in kind.describe():
        parameters = inspect.signature(kind.get(name)).parameters.values()
        assert line.endswith((".", "?", "path.")) or ":" in line, name
        assert all(p.kind is p.KEYWORD_ONLY and p.annotation is not p.empty for p in parameters), name


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.kind)
def test_defaults_of_ours_fit_their_annotations(kind):
    """No factory refuses its own defaults."""
    for name in kind:
        problems = kind.check(name, kind.defaults(name))
        assert [p for p in problems if "is missing" not in p] == [], name


@pytest.mark.parametrize(
    ("theirs", "ours"), [("question-answering", "span_qa"), ("NER", "tagging"), ("multiple_choice", "choice")]
)
def test_the_names_of_other_libraries_lead_to_ours(theirs, ours):
    """Which are not spelled alike."""
    assert tasks.check(theirs, {}, "task") == [f"task.name: unknown task '{theirs}'; did you mean '{ours}'?"]
