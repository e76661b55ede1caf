"""The methods of a comparison as variants of one recipe; no torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError

from ..core.errors import ConfigError
from ..core.wrong_values import say_wrong
from ..recipe.comparison import OURS, CompareSettings
from ..recipe.label_words import LabelWordsSettings
from ..recipe.merging import merge_fragments, read_packaged_yaml
from ..recipe.parsing import parse_recipe
from ..recipe.presets import preset_values
from ..recipe.settings import Recipe

LABEL_WORDS = "label-words"
"""The network that answers in words."""

UNTRAINED = ("frozen-head", "prototype", LABEL_WORDS)
"""Networks that nothing is trained in."""

PEERS = ("hf-trainer", "setfit")
"""Networks of other libraries, which read texts and train by themselves, as their users have them do."""

ALIGNED = ("lora+alignment", "full+alignment", "paper")
"""Methods that would be something else without translations to align."""


@dataclass(frozen=True)
class Method:
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

    @property
    def is_peer(self) -> bool:
        """Whether another library does all of it, so that it needs no frozen states."""
        return self.network in PEERS

    @property
    def needs_states(self) -> bool:
        """Whether it works on frozen states; others read texts themselves."""
        return not self.is_peer and self.network != LABEL_WORDS

    def chosen(self, tuning_epochs: int) -> dict[str, Any]:
        """Return what makes the method beside its recipe, as plain data."""
        tuned = len(self.rates) > 1
        return {
            "network": self.network,
            "options": dict(self.options),
            "rates": list(self.rates),
            "tuning_epochs": tuning_epochs if tuned else None,
        }

    def at_rate(self, rate: float | None, **train: Any) -> Recipe:
        """Return the recipe with this learning rate, and other ``train`` settings."""
        stage, _, setting = self.rate.partition(".")
        fragment = {stage: train | ({setting: rate} if rate is not None else {})}
        return parse_recipe(merge_fragments(as_plain(self.recipe), fragment), where=f"method {self.name}")

    def recipe_at(self, rate: float | None) -> Recipe:
        """Return the recipe that the trials are trained by, at the learning rate that was chosen, if one was."""
        return self.at_rate(rate) if rate is not None else self.recipe


def list_methods(recipe: Recipe) -> list[Method]:
    """Return all methods that a recipe compares, in the order of its table.

    Raises:
        ConfigError: A fragment does not fit the recipe; with the problems of all of them.
    """
    settings: CompareSettings = recipe.compare or CompareSettings()
    unaligned = [name for name in settings.names if lacks_pairs(name, recipe, settings)]
    problems = [*_unaligned(unaligned, settings), *_rates_for_nothing(settings), *_steps_for_nothing(settings)]
    found = []
    for name in settings.names:
        if name in unaligned:
            continue
        try:
            found.append(make_method(name, recipe, settings))
        except ConfigError as error:
            problems += [f"compare, {name}: {problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return found


def built_in_methods() -> dict[str, dict[str, Any]]:
    """Return the built-in methods as ``baselines/methods.yaml`` describes them."""
    return {name: entry for name, entry in _entries().items() if "about" in entry}


def _entries() -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = read_packaged_yaml("lingraft.experiments.baselines", "methods.yaml")
    return entries


def _built_in(name: str, settings: CompareSettings) -> str:
    """Return the built-in method that a method is, or starts from."""
    found: str = settings.variants.get(name, {}).get("method", name if name in built_in_methods() else OURS)
    return found


def lacks_pairs(name: str, recipe: Recipe, settings: CompareSettings) -> bool:
    """Return whether a method that is nothing without alignment has nothing to align."""
    if _built_in(name, settings) not in ALIGNED:
        return False
    try:
        values = _values(name, recipe, settings)
    except ConfigError:  # reported with the rest
        return False
    train = values["train"]
    without = isinstance(train, Mapping) and train.get("max_pairs") == 0
    return without or values["parallel"] is None or not values["alignment"]


def _unaligned(names: Sequence[str], settings: CompareSettings) -> list[str]:
    """Refuse the methods that lack what they align."""
    methods = [name for name in names if name in settings.methods]
    problems = [
        f"compare.variants.{name}: {_built_in(name, settings)} needs parallel text and an alignment loss; leave it out"
        for name in names
        if name not in methods
    ]
    if methods:
        rest = [name for name in settings.methods if name not in methods]
        needs = "need" if len(methods) > 1 else "needs"
        it = "them" if len(methods) > 1 else "it"
        problems.append(
            f"compare.methods: {', '.join(methods)} {needs} parallel text and an alignment loss; leave {it} out: "
            f"methods: [{', '.join(rest)}]"
        )
    return problems


def _rates_for_nothing(settings: CompareSettings) -> list[str]:
    """Refuse learning rates that nobody would use."""
    problems = []
    for name in settings.learning_rates:
        if name not in settings.names:
            why = f"no such method is compared; compared are {', '.join(settings.names)}"
        elif built_in_methods()[_built_in(name, settings)].get("network") in UNTRAINED:
            why = "nothing is trained there, so there is no learning rate; leave it out"
        else:
            continue
        problems.append(f"compare.learning_rates.{name}: {why}")
    return problems


def _steps_for_nothing(settings: CompareSettings) -> list[str]:
    """Refuse a number of steps that nobody would count."""
    problems = []
    for name in settings.max_steps:
        if name not in settings.names:
            why = f"no such method is compared; compared are {', '.join(settings.names)}"
        elif built_in_methods()[_built_in(name, settings)].get("network") not in PEERS:
            why = f"of {' and '.join(PEERS)} alone; others have epochs, train.num_train_epochs"
        else:
            continue
        problems.append(f"compare.max_steps.{name}: {why}")
    return problems


def lacks_packages(name: str, settings: CompareSettings) -> str:
    """Say which packages a method needs that are not installed, and how they are got; empty where all are."""
    needed = built_in_methods()[_built_in(name, settings)].get("needs", ())
    missing = [package.replace("_", "-") for package in needed if find_spec(package) is None]
    return f'needs {", ".join(missing)}: pip install "lingraft[peers]"' if missing else ""


def _values(name: str, recipe: Recipe, settings: CompareSettings) -> dict[str, Any]:
    """Return a method's recipe as plain data: the recipe, the built-in method, the variant's preset, its own keys."""
    own = dict(settings.variants.get(name, {}))
    own.pop("method", None)
    own.pop("label_words", None)
    preset = own.pop("preset", None)
    values = merge_fragments(as_plain(recipe), _fragment(_built_in(name, settings)))
    values = merge_fragments(merge_fragments(values, preset_values(preset) if preset is not None else {}), own)
    values["output_dir"] = str(recipe.output_dir / name)
    return values


def make_method(name: str, recipe: Recipe, settings: CompareSettings) -> Method:
    """Return a method, or a variant of one, on a recipe.

    Raises:
        ConfigError: It does not fit the recipe.
    """
    own = {key: value for key, value in settings.variants.get(name, {}).items() if key != "method"}
    built_in = _built_in(name, settings)
    entry = built_in_methods()[built_in]
    network = entry.get("network", "grafted")
    options = dict(entry.get("options", {}))
    about = entry["about"]
    if network == "prototype":
        options = {"by": settings.prototype, "neighbours": settings.neighbours}
        by = "nearest class centre" if settings.prototype == "centroid" else f"{settings.neighbours} nearest neighbours"
        about = f"{by} of frozen states"
    if network == LABEL_WORDS:
        options = _words_of(name, own, settings)
        about += f" ({corrections})" if (corrections := _corrections(options)) else ""
    if name in settings.max_steps:
        options["max_steps"] = settings.max_steps[name]
    return Method(
        name=name,
        about=_about(name, built_in, about, _keys(own)),
        network=network,
        options=options,
        rate=entry.get("rate", "train.learning_rate"),
        rates=tuple(settings.learning_rates.get(name, ())),
        recipe=parse_recipe(_values(name, recipe, settings), where=f"method {name}"),
    )


def _words_of(name: str, own: Mapping[str, Any], settings: CompareSettings) -> dict[str, Any]:
    """Return what a method asks a decoder: what all ask, and its own over it.

    Raises:
        ConfigError: Nothing is asked, or it is no template.
    """
    common = settings.label_words.model_dump() if settings.label_words else {}
    given = merge_fragments(common, own.get("label_words") or {})
    if not given:
        raise ConfigError(['needs compare.label_words: {template: "{text}\\nTopic: {label}"}, or leave it out'])
    try:
        return LabelWordsSettings.model_validate(given).model_dump()
    except ValidationError as error:
        keys = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ConfigError([f"label_words.{keys}: {say_wrong(dict(one))}" for one in error.errors()]) from None


def _corrections(options: Mapping[str, Any]) -> str:
    """Say what is taken off the likelihoods."""
    said = {"pmi": "pointwise mutual information", "batch_calibration": "batch calibration"}
    return ", ".join(what for key, what in said.items() if options[key])


def _about(name: str, built_in: str, what: str, changes: str) -> str:
    """Return what a method is, for people; one that takes the place of a built-in method is still described as that."""
    if not changes:
        return what
    return f"{what}; {changes}" if name == built_in else f"{built_in} with {changes}"


def _fragment(name: str) -> dict[str, Any]:
    """Return what a method changes in the recipe."""
    entry, fragment = _entries()[name], dict[str, Any]()
    if "like" in entry:
        fragment = _fragment(entry["like"])
    if "preset" in entry:
        fragment = merge_fragments(fragment, preset_values(entry["preset"]))
    return merge_fragments(fragment, entry.get("recipe", {}))


def as_plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain data that fragments are laid over: resolved, without comparison and preset."""
    values = recipe.model_dump(mode="json", by_alias=True)
    others = ("notes", "compare", "stability", "shot_curve", "source_choice", "tune", "preset")
    return {key: value for key, value in values.items() if key not in others}


def _keys(fragment: Mapping[str, Any], path: str = "") -> str:
    """Return what a variant changes, for people: ``train.source_regularisation 0, prompt.name deep``."""
    parts = []
    for key, value in fragment.items():
        where = f"{path}{key}"
        parts.append(_keys(value, f"{where}.") if isinstance(value, Mapping) else f"{where} {value}")
    return ", ".join(parts)
