"""Which precision the matrix products inside the blocks have: what the recipe says, or what is faster here.

Products in bfloat16 (mixed precision: Micikevicius et al., 2018) take half the time on processors with
instructions for them, and several times as long on those that imitate them. So both are measured,
once a day on each machine, on products of the model's own shapes; on a GPU, float32 stays unless the recipe
says otherwise.
"""

from __future__ import annotations

import hashlib
import math
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from ..core.errors import LingraftError
from ..core.files import cache_root, read_object, write_json
from . import Precision

NARROWEST = 128
"""Width of a model below which its time does not go into products."""

TOKENS = 1024
"""Of a batch: rows of the products that are measured."""

WIDEST = 8192
"""Of the products that are measured: wider ones are as fast, and a configuration may promise any width."""

CLEARLY_FASTER = 1.2
"""How many times as fast as in float32 products in bfloat16 must be, to be worth their rounding."""

SECONDS = 0.8
"""For which the two precisions take turns."""

TRUSTED = 24 * 60 * 60
"""Seconds for which measured rates are taken as they are."""

Rates = Mapping[Precision, float]
"""FLOP/s by precision."""


@dataclass(frozen=True)
class Choice:
    """A precision, and in half a sentence why it is this one."""

    precision: Precision
    why: str


def choose_precision(
    wanted: Precision | Literal["auto"],
    device: torch.device,
    width: int,
    measure: Callable[[int], Rates] | None = None,
    kept: Precision | None = None,
) -> Choice:
    """Choose what matrix products are computed in.

    Args:
        wanted: What the recipe says.
        device: Where they are computed.
        width: ``H`` of the model.
        measure: Gives the rates of both precisions for a width; by default they are measured, and remembered.
        kept: What the trials were computed in that are there already, which others are to be averaged with.
    """
    if wanted != "auto":
        return Choice(wanted, "as backbone.precision says")
    if kept is not None:
        return Choice(kept, "as the trials that are there already")
    if device.type != "cpu":
        return Choice("float32", f"on {device.type}, bfloat16 is for who asks for it")
    if width < NARROWEST:
        return Choice("float32", f"a model of width {width} does not spend its time on products")
    rates = (measure or remembered_rates)(width)
    factor = rates["bfloat16"] / rates["float32"]
    compared = f"bfloat16 is {factor:.1f} times as fast here as float32"
    if factor >= CLEARLY_FASTER:
        return Choice("bfloat16", compared)
    return Choice("float32", f"{compared}, and less than {CLEARLY_FASTER} is not worth their rounding")


def remembered_rates(width: int, measure: Callable[[int], Rates] | None = None) -> Rates:
    """Return the rates of both precisions, from the cache where this machine was measured in the last day.

    What was measured beside other work is too low, so of two measurements the higher rates count.
    """
    machine = f"{_processor()}; {torch.get_num_threads()} threads; torch {torch.__version__}; width {width}"
    path = cache_root() / "precision" / f"{hashlib.sha256(machine.encode()).hexdigest()[:32]}.json"
    known, age = _read_rates(path)
    if known and age < TRUSTED:
        return known
    rates = measure(width) if measure else _measured_here(width, torch.get_num_threads())
    rates = {name: max(rate, known.get(name, 0.0)) for name, rate in rates.items()}
    with suppress(LingraftError, OSError):  # a cache that we may only read makes the next start slower, no more
        write_json(path, {"machine": machine, "flops": rates})
    return rates


def _read_rates(path: Path) -> tuple[Rates, float]:
    """Return the rates in a file and how many seconds old they are; none where there are none."""
    with suppress(LingraftError, OSError, LookupError, TypeError, ValueError):
        found, age = read_object(path)["flops"], abs(time.time() - path.stat().st_mtime)
        known: Rates = {"float32": float(found["float32"]), "bfloat16": float(found["bfloat16"])}
        if all(math.isfinite(rate) and rate > 0 for rate in known.values()):
            return known, age
    return {}, 0.0


@cache
def _measured_here(width: int, threads: int) -> Rates:
    """Measure with so many threads once a process, also where the cache may only be read."""
    return measure_rates(width)


def measure_rates(width: int, seconds: float = SECONDS) -> Rates:
    """Measure FLOP/s of both precisions on products of a model's shapes, the better of those that took turns."""
    mkldnn: Any = torch.backends.mkldnn  # untyped
    kernel = mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    few = TOKENS if kernel else TOKENS // 16  # imitated, a product of all may take seconds
    rows: dict[Precision, int] = {"float32": TOKENS, "bfloat16": few}
    width = min(width, WIDEST)
    products = {name: _product(count, width, name) for name, count in rows.items()}
    best = dict.fromkeys(products, math.inf)
    until = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < until or turns < 2:  # the first is a warm-up
        for name, product in products.items():
            started = time.perf_counter()
            product()
            best[name] = min(best[name], time.perf_counter() - started)
        turns += 1
    return {name: 2 * count * width * 4 * width / best[name] for name, count in rows.items()}


def _product(count: int, width: int, precision: Precision) -> Callable[[], Tensor]:
    """Return what widens the states ``[count, width]`` in a feed-forward network, their conversion included."""
    dtype = getattr(torch, precision)
    states, weight = torch.randn(count, width), torch.randn(4 * width, width).to(dtype)
    return lambda: functional.linear(states.to(dtype), weight)


def _processor() -> str:
    """Name the processor, as far as the system does."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
