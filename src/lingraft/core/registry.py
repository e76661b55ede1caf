"""Named factories: one file, one decorator, and the signature is the configuration schema.

A factory takes keyword-only options and returns what its registry's contract promises. The
annotations validate a recipe's block (an idea of explosion/confection). Modules of a registry's
package are imported on first look-up, so a new file registers itself and ``--help`` stays fast;
outside packages add theirs under the registry's entry-point group.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from pydantic import PydanticInvalidForJsonSchema, TypeAdapter, ValidationError

from .errors import ConfigError, shown
from .wrong_values import say_each_wrong

NEAR = 0.5
"""How alike two names are, of 1, for one to be offered for the other."""

Factory = TypeVar("Factory", bound=Callable[..., Any])


class Registry:
    """Factories of one kind, looked up by name.

    Args:
        group: Entry-point group that outside packages register under, e.g. ``lingraft.alignment``.
        package: Import path whose modules, and those of its sub-packages, hold the factories; by default
            named as the group.
        elsewhere: What other libraries call some of them, to our names: what is offered for it.
    """

    def __init__(
        self, group: str, package: str | None = None, elsewhere: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.group = group
        self.elsewhere = elsewhere
        self.package = package or group
        self._factories: dict[str, Callable[..., Any]] = {}
        self._complete = False

    @property
    def kind(self) -> str:
        """What is registered, as messages call one of it: the last part of the group's name, in the singular."""
        return self.group.rpartition(".")[2].removesuffix("s")

    def register(self, name: str) -> Callable[[Factory], Factory]:
        """Return a decorator that files a factory under ``name``."""

        def decorate(factory: Factory) -> Factory:
            if name in self._factories:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._factories[name] = factory
            return factory

        return decorate

    @contextmanager
    def temporarily(self) -> Iterator[None]:
        """Forget at the end of the context what was registered in it, for a test or a notebook."""
        self._find_siblings()
        before = dict(self._factories)
        try:
            yield
        finally:
            self._factories = before

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        self._find_siblings()
        return sorted(self._factories)

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def get(self, name: str) -> Callable[..., Any]:
        """Return the factory called ``name``.

        Raises:
            ConfigError: There is none; the nearest name is offered.
        """
        self._find_siblings()
        if name not in self._factories:
            raise ConfigError([self._unknown(name)])
        return self._factories[name]

    def build(self, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """Call the factory with validated options.

        Raises:
            ConfigError: The options do not fit the signature.
        """
        problems, values = self._validate(name, options or {})
        if problems:
            raise ConfigError(problems)
        return self.get(name)(**values)

    def check(self, name: str, options: Mapping[str, Any], path: str = "") -> list[str]:
        """Return every problem of a block, each beginning with its ``path`` in the recipe."""
        return self._validate(name, options, path)[0]

    def defaults(self, name: str) -> dict[str, Any]:
        """Return the options of a factory that have a default, with it."""
        parameters = inspect.signature(self.get(name)).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}

    def describe(self) -> list[tuple[str, str, str]]:
        """Return ``(name, options, first docstring line)`` of every factory."""
        rows = []
        for name in self.names():
            factory = self._factories[name]
            parameters, adapters = _schema(factory)
            options = ", ".join(_readable(p, adapters[name]) for name, p in parameters.items())
            rows.append((name, options, (inspect.getdoc(factory) or "").partition("\n")[0]))
        return rows

    def _validate(self, name: str, options: Mapping[str, Any], path: str = "") -> tuple[list[str], dict[str, Any]]:
        dot = f"{path}." if path else ""
        self._find_siblings()
        if name not in self._factories:
            return [f"{dot}name: {self._unknown(name)}"], {}
        parameters, adapters = _schema(self._factories[name])
        problems, values = [], {}
        for key, value in options.items():
            if key not in parameters:
                problems.append(f"{dot}{key}: {unknown(key, parameters, what=f'option of {name}')}")
                continue
            try:
                values[key] = adapters[key].validate_python(value)
                if isinstance(value, float) and not math.isfinite(value):
                    problems.append(f"{dot}{key}: expected a finite number (got {shown(value)})")
            except ValidationError as error:
                problems.extend(f"{dot}{key}: {said}" for said in say_each_wrong(error.errors(), value))
        for key, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty and key not in options:
                problems.append(f"{dot}{key}: is missing; {name} needs it")
        return problems, values

    def _unknown(self, name: str) -> str:
        ours = self.elsewhere.get(str(name).lower().replace("-", "_"))
        return unknown(name, [ours] if ours else self._factories, what=self.kind, cutoff=0 if ours else NEAR)

    def _find_siblings(self) -> None:
        if self._complete:
            return
        self._complete = True  # at once: a module that is being imported may look something up
        try:
            package = importlib.import_module(self.package)
            for module in pkgutil.walk_packages(package.__path__, f"{self.package}."):
                importlib.import_module(module.name)
            for entry in entry_points(group=self.group):
                entry.load()
        except BaseException:
            self._complete = False  # half a registry must not pass for a whole one
            raise


@cache
def _schema(factory: Callable[..., Any]) -> tuple[Mapping[str, inspect.Parameter], dict[str, TypeAdapter[Any]]]:
    """Return the options of a factory, and what validates each."""
    parameters, hints = inspect.signature(factory).parameters, get_type_hints(factory, include_extras=True)
    return parameters, {name: TypeAdapter(hints.get(name, Any)) for name in parameters}


def _readable(parameter: inspect.Parameter, adapter: TypeAdapter[Any]) -> str:
    """Return an option as documentation writes it, a number with its bounds: ``width: 0 to 16384 = 32``."""
    default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default}"
    bounds = " or ".join(_bounds(one) for one in _alternatives(adapter) if one.get("type") != "null")
    return f"{parameter.name}: {bounds or parameter.annotation}{default}"


def _alternatives(adapter: TypeAdapter[Any]) -> list[dict[str, Any]]:
    """Return the JSON Schemas of an option, where all that it may be are numbers or nothing; else none."""
    try:
        schema = adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return []
    found: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return found if all(one.get("type") in ("integer", "number", "null") for one in found) else []


def _bounds(schema: Mapping[str, Any]) -> str:
    low = f"{schema['minimum']:g}" if "minimum" in schema else f"above {schema.get('exclusiveMinimum', '-∞')}"
    high = f"{schema['maximum']:g}" if "maximum" in schema else f"below {schema.get('exclusiveMaximum', '∞')}"
    return f"{low} to {high}"


def unknown(name: str, known: Mapping[str, Any] | list[str], what: str, cutoff: float = NEAR) -> str:
    """Refuse ``name`` in one sentence, which offers the nearest known one, if it is as near as ``cutoff``."""
    nearest = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(sorted(known)) or 'none'}"
    return f"unknown {what} {shown(name)}; {hint}"
