"""Recipes made easy: ``preset: NAME`` puts the fragment ``NAME.yaml`` of this folder under a recipe's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ...core.errors import ConfigError
from ...core.registry import unknown
from ..merging import merge_fragments, read_packaged_yaml

__all__ = ["preset_text", "preset_values", "presets", "with_preset"]


def presets() -> list[str]:
    """Return names of all presets."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__package__).iterdir() if entry.name[-5:] == ".yaml"
    )


def with_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe with its preset's keys under its own; unchanged where it names none.

    Raises:
        ConfigError: There is no such preset.
    """
    name = values.get("preset")
    return dict(values) if name is None else merge_fragments(preset_values(name), values)


def preset_values(name: str) -> dict[str, Any]:
    """Return a preset's keys.

    Raises:
        ConfigError: There is no such preset.
    """
    _check(name)
    values: dict[str, Any] = read_packaged_yaml(__package__, f"{name}.yaml")
    return values


def preset_text(name: str) -> str:
    """Return the file of a preset, comments included.

    Raises:
        ConfigError: There is no such preset.
    """
    _check(name)
    return files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def _check(name: Any) -> None:
    if name not in presets():
        raise ConfigError([f"preset: {unknown(str(name), presets(), what='preset')}"])
