"""The methods of a comparison as variants of one recipe; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .comparison_settings import OURS, CompareSettings
from .config import Recipe, parse_recipe
from .errors import ConfigError
from .fragments import overlaid, packaged

UNTRAINED = ("frozen-head", "prototype")
"""Networks that nothing is trained in."""


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    ``network`` says who does the forward pass, ``options`` go to it; ``rate`` is the setting that a learning rate is
    written to, and ``rates`` are those to try (none: the recipe's own).
    """

    name: str
    about: str
    network: str
    options: Mapping[str, Any]
    rate: str
    rates: tuple[float, ...]
    recipe: Recipe

    @property
    def trained(self) -> bool:
        """Whether anything is learnt by gradient."""
        return self.network not in UNTRAINED

    def at_rate(self, rate: float | None, **train: Any) -> Recipe:
        """The recipe with this learning rate, and other ``train`` settings."""
        stage, _, setting = self.rate.partition(".")
        fragment = {stage: train | ({setting: rate} if rate is not None else {})}
        return parse_recipe(overlaid(as_plain(self.recipe), fragment), where=f"method {self.name}")


def variants(recipe: Recipe) -> list[Variant]:
    """All methods that a recipe compares, in the order of its table.

    Raises:
        ConfigError: A fragment does not fit the recipe; with the problems of all of them.
    """
    settings: CompareSettings = recipe.compare or CompareSettings()
    problems = [
        f"compare.learning_rates.{name}: no such method is compared; compared are {', '.join(settings.names)}"
        for name in settings.learning_rates
        if name not in settings.names
    ]
    found = []
    for name in settings.names:
        try:
            found.append(_variant(name, recipe, settings))
        except ConfigError as error:
            problems += [f"compare, {name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return found


def described() -> dict[str, dict[str, Any]]:
    """The built-in methods as ``baselines/methods.yaml`` describes them."""
    return {name: entry for name, entry in _entries().items() if "about" in entry}


def _entries() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = packaged("baselines", "methods.yaml")
    return entries


def _variant(name: str, recipe: Recipe, settings: CompareSettings) -> Variant:
    own = dict(settings.variants.get(name, {}))
    built_in = own.pop("method", name if name in described() else OURS)
    entry = described()[built_in]
    network = entry.get("network", "grafted")
    options = dict(entry.get("options", {}))
    if network == "prototype":
        options = {"by": settings.prototype, "neighbours": settings.neighbours}
    values = overlaid(overlaid(as_plain(recipe), _fragment(built_in)), own)
    values["output_dir"] = str(recipe.output_dir / name)
    return Variant(
        name=name,
        about=f"{built_in} with {_keys(own)}" if own else entry["about"],
        network=network,
        options=options,
        rate=entry.get("rate", "train.learning_rate"),
        rates=tuple(settings.learning_rates.get(name, ())),
        recipe=parse_recipe(values, where=f"method {name}"),
    )


def _fragment(name: str) -> dict[str, Any]:
    """What a method changes in the recipe."""
    entry, fragment = _entries()[name], dict[str, Any]()
    if "like" in entry:
        fragment = _fragment(entry["like"])
    if "preset" in entry:
        fragment = overlaid(fragment, packaged("presets", f"{entry['preset']}.yaml"))
    return overlaid(fragment, entry.get("recipe", {}))


def as_plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain data that fragments are laid over: resolved, without comparison and preset."""
    values = recipe.model_dump(mode="json", by_alias=True)
    return {key: value for key, value in values.items() if key not in ("compare", "preset")}


def method_folder(output: Path, name: str) -> Path:
    """Where a method's files are."""
    return output / name


def _keys(fragment: Mapping[str, Any], path: str = "") -> str:
    """What a variant changes, for people: ``train.keep_weight 0, prompt.name deep``."""
    parts = []
    for key, value in fragment.items():
        where = f"{path}{key}"
        parts.append(_keys(value, f"{where}.") if isinstance(value, Mapping) else f"{where} {value}")
    return ", ".join(parts)
