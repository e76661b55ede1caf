"""Pieces of a recipe, and how one is laid over another."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Any, TypeGuard

from ruamel.yaml import YAML


def merge_fragments(base: Mapping[str, Any], fragment: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the keys of ``fragment`` over ``base``, nested mappings key by key.

    Lists are replaced as a whole, and so is a block that names another factory: the options of a
    deep prompt mean nothing to a gated one.
    """
    result = dict(base)
    for key, over in fragment.items():
        under = result.get(key)
        result[key] = merge_fragments(under, over) if _same_block(under, over) else over
    return result


def _same_block(under: Any, over: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether both are mappings, and do not name two different factories."""
    if not (isinstance(under, Mapping) and isinstance(over, Mapping)):
        return False
    return bool(over.get("name", under.get("name")) == under.get("name"))


def read_packaged_yaml(package: str, name: str) -> Any:
    """Return the content of the YAML file ``name`` in ``package``, such as ``lingraft.recipe.presets``; a copy."""
    return deepcopy(_parsed(package, name))


@cache
def _parsed(package: str, name: str) -> Any:
    """Read and parse it, which takes far longer than a copy."""
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    return YAML(typ="safe", pure=True).load(text)
