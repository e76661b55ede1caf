"""Translation by Apertium, rules and dictionaries that run offline in a moment (Forcada et al., 2011).

Which pairs are installed, ``apertium -l`` lists; Debian has them as ``apertium-eng-spa`` and the like. Texts stand
apart by an empty line, which no word or sentence of Apertium's crosses.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from ...core.errors import ServiceError
from ...data.languages import aliases
from . import Translator, translators
from .command import Seconds, as_many, filter_text


@translators.register("apertium")
def apertium(*, mode: str | None = None, timeout: Seconds = 600) -> Translator:
    """Apertium, where it is installed with the pair of languages.

    Args:
        mode: Of those that `apertium -l` lists, such as `eng-spa`; by default the one of the two languages.
        timeout: Seconds that it may take for 64 texts.
    """

    def chosen(source: str, target: str) -> str:
        modes = installed_modes()
        return mode or mode_of(source, target, modes)

    def translate(texts: Sequence[str], source: str, target: str) -> list[str]:
        out = filter_text(["apertium", "-u", chosen(source, target)], "\n\n".join(texts), timeout)
        return as_many(out.strip("\n").split("\n\n"), texts, "apertium")

    def identity(source: str, target: str) -> Mapping[str, Any]:
        return {"translator": "apertium", "mode": mode}

    return Translator(translate, identity, chosen)


def installed_modes() -> list[str]:
    """Return the names of what is installed.

    Raises:
        ServiceError: Apertium is not.
    """
    if shutil.which("apertium") is None:
        raise ServiceError("apertium is not installed; with Debian: apt-get install apertium apertium-eng-spa")
    return filter_text(["apertium", "-l"], "", 60).split()


def mode_of(source: str, target: str, modes: Sequence[str]) -> str:
    """Return the mode that translates between two languages.

    Raises:
        ServiceError: None of those that there are does.
    """
    wanted = [f"{one}-{other}" for one, other in product(_codes(source), _codes(target))]
    if found := [mode for mode in wanted if mode in modes]:
        return found[0]
    raise ServiceError(
        f"no mode of Apertium translates {source} to {target}; installed are {', '.join(modes) or 'none'}; install the "
        f"pair (apertium-{wanted[0]}, if there is one), or name one as `mode`"
    )


def _codes(language: str) -> list[str]:
    """Return how Apertium may call a language: three letters, in older packages two."""
    return [name for name in dict.fromkeys(aliases(language)) if name.isalpha() and name.islower() and len(name) <= 3]
