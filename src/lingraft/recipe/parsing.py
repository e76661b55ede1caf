"""A recipe: YAML in, validated settings out, and back.

Settings of our own stages are pydantic models; blocks that name a registered factory (task,
prompt, adapter, alignment losses) are checked against the factory's signature. Every mistake is
collected before anything is loaded, so one round of editing is enough.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    ValidationError,
)
from pydantic_core import PydanticSerializationError

from ..core.errors import ConfigError, shown
from ..core.registry import Registry, unknown
from ..core.wrong_values import say_wrong
from ..core.yaml_text import MAX_CHARACTERS, MAX_DEPTH, load_yaml, name_of, read_yaml_file
from .blocks import Block
from .presets import with_preset
from .renamed import take_renamed
from .settings import ParallelSettings, Recipe
from .shorthand import expand_shorthand

FEW_KEYS = 8
"""Of a block with no more, all are explained to whoever gives one that is none of them."""

MOST_TRIALS = 2_000
"""Of one recipe; ten seeds of ten draws of ten numbers of shots are half of it."""


EXPERIMENTS = ("compare", "stability", "shot_curve", "tune", "source_choice")
"""Blocks of what is done with many trainings on one recipe."""


def read_recipe(path: Path, overrides: Iterable[str] = (), *, block: str | None = None) -> Recipe:
    """Read and check a recipe file; ``overrides`` are ``key.path=value`` as on the command line.

    Args:
        path: The file.
        overrides: Settings that are others than in the file.
        block: Of the experiment that the recipe is for, None where it is run: where there is no such file, one that is
            for the same is rather offered.

    Raises:
        ConfigError: With all problems at once.
    """

    def suits(other: Path) -> bool:
        found = _experiments_in(other)
        return block in found if block else not found

    return _beside(parse_recipe(read_yaml_file(path, suits), overrides, where=name_of(path)), path.parent)


def _experiments_in(path: Path) -> set[str]:
    """Return which experiments a file has blocks of, as far as its lines tell."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_CHARACTERS)
    except OSError:
        return set()
    return set(re.findall(rf"^({'|'.join(EXPERIMENTS)}):", text, re.MULTILINE))


def draft_recipe(path: Path, overrides: Iterable[str] = ()) -> tuple[Recipe, list[str]]:
    """Read a recipe that may be wrong, so that all else that it names can be checked as well.

    Returns:
        The recipe with the default in the place of each wrong setting, and what is wrong with those.

    Raises:
        ConfigError: Too much is wrong for anything else to be checked.
    """
    values = read_yaml_file(path)
    recipe, problems = _draft(values, list(overrides), name_of(path))
    if recipe is None:
        raise ConfigError(problems, where=name_of(path))
    return _beside(recipe, path.parent), problems


def _beside(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with the path of its checkpoint if that is a folder beside it, and none in the working one."""
    named = Path(recipe.backbone.checkpoint)
    if named.is_dir() or not (folder / named / "config.json").is_file():
        return recipe
    found = recipe.backbone.model_copy(update={"checkpoint": str(folder / named)})
    return recipe.model_copy(update={"backbone": found})


def parse_recipe(values: Any, overrides: Iterable[str] = (), where: str = "recipe") -> Recipe:
    """Check a recipe given as plain data, e.g. in a notebook; see :func:`read_recipe`."""
    recipe, problems = _draft(values, list(overrides), where)
    if recipe is None or problems:
        raise ConfigError(problems, where=where)
    return recipe


def _draft(values: Any, overrides: list[str], where: str) -> tuple[Recipe | None, list[str]]:
    """Return a recipe without its wrong settings, if something is left to check, and what is wrong with them."""
    if not isinstance(values, Mapping):
        got = "nothing; `lingraft init` writes one to start from" if values is None else type(values).__name__
        raise ConfigError([f"expected keys and values, got {got}"], where=where)
    problems: list[str] = []
    values = _plain(values, "", problems)
    for override in overrides:
        if override.startswith("preset="):
            values["preset"] = override.removeprefix("preset=") or None
    asked = "alignment" in values or any(override.startswith("alignment") for override in overrides)
    values = with_preset(values)
    problems += [problem for override in overrides for problem in _apply(values, override)]
    problems += take_renamed(values)
    problems += expand_shorthand(values)
    wrong: list[tuple[Any, ...]] = []
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems += [_explain(dict(entry)) for entry in error.errors()]
        wrong = [entry["loc"] for entry in error.errors()]
    blocks = _check_blocks(values)
    wrong += [tuple(problem.partition(":")[0].split(".")) for problem in blocks]
    problems += blocks
    if not wrong:
        problems += _check_together(recipe, asked)
        return fill_defaults(recipe), problems
    while wrong:  # what is left of a list may be too short for one, so once more
        last_first = sorted(wrong, key=lambda path: [str(part) for part in path], reverse=True)
        taken_out = [_leave_out(values, path) for path in last_first]
        if not any(taken_out):
            return None, problems
        try:
            recipe = Recipe.model_validate(values)
        except ValidationError as error:
            wrong = [entry["loc"] for entry in error.errors()]
        else:
            wrong = []
    return (None if _check_blocks(values) else fill_defaults(recipe)), problems


def _leave_out(values: Any, path: Sequence[Any]) -> bool:
    """Take what a path leads to out of a recipe, or the last that there is on it; a block without a name goes whole.

    Returns:
        Whether there was anything to take out.
    """
    place, at = None, values
    for part in path[:-1] if path[-1] == "name" else path:
        key = int(part) if isinstance(at, list) and str(part).isdecimal() else part
        if key not in (range(len(at)) if isinstance(at, list) else at if isinstance(at, dict) else ()):
            break
        place, at = (at, key), at[key]
    if place is None:
        return False
    del place[0][place[1]]
    return True


def fill_defaults(recipe: Recipe) -> Recipe:
    """Fill in the defaults of a recipe's named factories, and leave out losses that lack their text."""
    values = recipe.model_dump(by_alias=True)
    if recipe.parallel is None:
        values["alignment"] = []
    if recipe.parallel is not None and recipe.parallel.generator is not None:
        values["parallel"]["augmentation"] = recipe.parallel.generator.model_dump()
    for key in BLOCKS:
        found = _at(values, key)
        for block in found if isinstance(found, list) else [found]:
            if block:
                block |= registry_of(key).defaults(block["name"]) | block
    try:
        plain = Recipe.model_validate(values).model_dump(mode="json", by_alias=True)
    except PydanticSerializationError as error:
        raise ConfigError([f"has a value that no file could hold: {error}"]) from None
    return Recipe.model_validate(plain)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, for editors."""
    return Recipe.model_json_schema(by_alias=True)


BLOCKS = {
    "task": ("lingraft.tasks", "tasks"),
    "parallel.augmentation": ("lingraft.data.augmentation", "augmentation"),
    "pseudo.filters": ("lingraft.pseudo.filters", "filters"),
    "pseudo.generators": ("lingraft.pseudo.generators", "generators"),
    "prompt": ("lingraft.model.prompts", "prompts"),
    "adapter": ("lingraft.model.adapters", "adapters"),
    "map": ("lingraft.model.maps", "maps"),
    "alignment": ("lingraft.training.alignment", "alignment"),
    "freezing": ("lingraft.model.freezing", "freezing"),
}
"""Recipe key -> (package, name of its registry). Looked up late: factories may import torch."""


def registry_of(key: str) -> Registry:
    """Return the registry that a recipe's block names its factory in."""
    package, name = BLOCKS[key]
    registry = getattr(importlib.import_module(package), name)
    assert isinstance(registry, Registry)
    return registry


def _at(values: Mapping[str, Any], path: str) -> Any:
    """Return what the keys of a path such as ``parallel.augmentation`` lead to; None where they lead nowhere."""
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _check_blocks(values: Mapping[str, Any]) -> list[str]:
    problems = []
    for key in BLOCKS:
        block = _at(values, key)
        many = block if isinstance(block, list) else [block]
        for i, one in enumerate(many):
            if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
                continue  # reported by pydantic, or absent
            path = f"{key}.{i}" if isinstance(block, list) else key
            skip = {"name", "weight", "layer"} if key == "alignment" else {"name"}
            options = {name: value for name, value in one.items() if name not in skip}
            problems += registry_of(key).check(one["name"], options, path)
    return problems


def _check_together(recipe: Recipe, asked: bool) -> list[str]:
    """Find what does not go together; ``asked`` is whether the user, not a preset, wants alignment losses."""
    problems = []
    parallel = recipe.parallel
    problems += _check_parallel(parallel) if parallel else []
    if recipe.pseudo is not None and not (recipe.pseudo.generators or recipe.pseudo.files):
        problems.append("pseudo: needs `generators`, e.g. [{name: word-translation}], or `files`")
    if parallel is not None and recipe.task.options.get("target_languages") == []:
        problems.append("parallel: the task is in one language, so there is nothing to translate into; leave it out")
    if recipe.alignment and asked and parallel is None:
        problems.append("alignment: needs parallel text; add a `parallel` block or set `alignment: []`")
    orders = recipe.orders or [0]
    if (trials := len(recipe.seeds) * len(orders) * len(recipe.shots.ks) * recipe.shots.draws) > MOST_TRIALS:
        crossed = "seeds × shots.k × shots.draws" + (" × orders" if recipe.orders else "")
        problems.append(f"{crossed}: are {trials:,} trials; at most {MOST_TRIALS:,} are run")
    for key, seeds in (("seeds", recipe.seeds), ("orders", orders)):
        if len(set(seeds)) != len(seeds):
            problems.append(f"{key}: {shown(seeds)} names a seed twice")
    if recipe.train.balance is not None and recipe.train.order == "sequential":
        problems.append(
            "train.balance: compares the gradients of task and alignment, which never meet in a step with order: "
            "sequential; leave one of the two out"
        )
    if recipe.consistency is not None and recipe.train.num_train_epochs == 0:
        problems.append("consistency: nothing is trained with train.num_train_epochs: 0; leave it out")
    if recipe.prompt and recipe.prompt.name == "input" and recipe.backbone.cut not in ("auto", 0):
        problems.append(f"backbone.cut: an input prompt implies cut 0, got {recipe.backbone.cut}; leave it out")
    return problems


def _check_parallel(parallel: ParallelSettings) -> list[str]:
    problems = []
    if not (parallel.files or parallel.from_ or parallel.switches):
        problems.append("parallel: needs `files`, `from: task`, a `lexicon`, `text`, or an `augmentation`")
    if parallel.labelled and not parallel.from_:
        problems.append("parallel.labelled: goes with `from: task`; other parallel text has no labels")
    if parallel.fields and not parallel.files:
        problems.append("parallel.fields: goes with `files`; the task has its own field map")
    if parallel.target_files and not parallel.files:
        problems.append("parallel.target_files: needs `files` for the source side")
    if not parallel.switches and parallel.copies != ParallelSettings.model_fields["copies"].default:
        problems.append("parallel.copies: goes with a `lexicon`, with `text` or with an `augmentation`")
    return problems


def _explain(error: dict[str, Any]) -> str:
    """Return a pydantic error as one sentence, with the nearest key where one was misspelt."""
    location = ".".join(str(part) for part in error["loc"] if part not in ("function-after", "int", "list[int]"))
    if error["type"] == "extra_forbidden":
        return f"{location}: {_unknown_key(str(error['loc'][-1]), _fields(error['loc'][:-1]))}"
    if error["type"] == "missing":
        return f"{location}: is missing"
    if error["type"] == "model_type":
        return f"{location}: {_no_block(error)}"
    return f"{location}: {say_wrong(error)} (got {shown(error['input'])})"


def _no_block(error: Mapping[str, Any]) -> str:
    """Say how a block is written where something else stands."""
    given, named = error["input"], error["ctx"]["class_name"].endswith("Block")
    keys = "{name: …}" if named else f"a block of keys ({', '.join(_fields(error['loc'])) or 'key: value'})"
    if named and isinstance(given, str) and given:
        keys = f"{{name: {given}}}, with its options beside the name"
    got = "nothing; are the lines that belong to it indented?" if given is None else shown(given)
    return f"expected {keys}, got {got}"


def _unknown_key(key: str, known: Mapping[str, str]) -> str:
    """Refuse a key; of few others that it may have meant, what each means is said."""
    explained = {f"{name} ({about})": about for name, about in known.items()} if len(known) <= FEW_KEYS else known
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return unknown(key, known if near else explained, what="key")


def _fields(path: tuple[Any, ...]) -> dict[str, str]:
    """Return the keys of a block of a recipe, and how what is said of each begins."""
    model: Any = Recipe
    for part in path:
        field = model.model_fields.get(part)
        if field is None:
            return {}
        arguments = getattr(field.annotation, "__args__", ())
        candidates = [field.annotation, *arguments]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if model is None:
            return {}
    return {field.alias or name: _beginning(field.description or "") for name, field in model.model_fields.items()}


def _beginning(description: str) -> str:
    """Return the first part of a sentence, as it stands in another one."""
    first = re.split(r"[.;:]\s|[.]$| \(", description)[0]
    return first[:1].lower() + first[1:]


def _apply(values: dict[str, Any], override: str) -> list[str]:
    """Set ``key.path=value`` in place; returns problems."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        return [f"{override!r}: an override looks like train.learning_rate=1e-3"]
    *parents, last = path.split(".")
    at: Any = values
    for parent in parents:
        if isinstance(at, list) and parent.isdecimal() and int(parent) < len(at):
            at = at[int(parent)]
        elif isinstance(at, dict):
            if parent not in at and at is values:
                at[parent] = _default(parent)
            if at.get(parent) is None:
                at[parent] = {}
            at = at[parent]
        else:
            return [f"{shown(override)}: {parent!r} leads nowhere, the recipe has {shown(at)} there"]
    place: Any = last
    if isinstance(at, list) and last.isdecimal() and int(last) < len(at):
        place = int(last)
    elif not isinstance(at, dict):
        return [f"{shown(override)}: {last!r} leads nowhere, the recipe has {shown(at)} there"]
    try:
        value = load_yaml(text, override) if text else None
    except ConfigError:
        value = text
    problems: list[str] = []
    at[place] = _plain(value, path, problems)
    return problems


def _default(key: str) -> Any:
    """Return what a recipe that leaves out ``key`` has there, as plain data."""
    field = Recipe.model_fields.get(key)
    default = field.get_default(call_default_factory=True) if field and not field.is_required() else None
    if isinstance(default, list):
        return [item.model_dump() if isinstance(item, BaseModel) else item for item in default]
    return default.model_dump() if isinstance(default, Block) else None


def _plain(value: Any, path: str, problems: list[str]) -> Any:
    """Copy plain data, with keys that are texts.

    Args:
        value: What to copy.
        path: Where it is in the recipe.
        problems: Gets a line for each text that could not be written, and for what is too deep; it is left out.
    """
    dot = f"{path}." if path else ""
    if dot.count(".") > MAX_DEPTH:
        problems.append(f"{shown(path)}: is more than {MAX_DEPTH} levels deep")
        return None
    if isinstance(value, Mapping):
        return {_whole(str(key), path, problems): _plain(item, f"{dot}{key}", problems) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{dot}{i}", problems) for i, item in enumerate(value)]
    return _whole(value, path, problems) if isinstance(value, str) else value


def _whole(text: str, path: str, problems: list[str]) -> str:
    """Return a text, without what no file could hold: half a surrogate pair, or the character NUL."""
    try:
        text.encode()
        wrong = "the character NUL (\\0)" if "\0" in text else ""
    except UnicodeEncodeError as error:
        wrong = f"half a surrogate pair, {text[error.start]!a}, which is no character"
    if not wrong:
        return text
    problems.append(f"{path or 'recipe'}: {shown(text)} holds {wrong}; write the character itself")
    return text.encode(errors="replace").decode().replace("\0", "?")
