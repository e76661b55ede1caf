"""Where to compute: what a recipe asks for, and what this machine offers."""

from __future__ import annotations

import torch

from ..core.errors import ConfigError


def list_devices() -> list[str]:
    """Return the kinds of device that torch finds here, the fastest first."""
    accelerators = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [*(name for name, there in accelerators.items() if there), "cpu"]


def find_device(wanted: str) -> torch.device:
    """Return the device that ``wanted`` (``auto``, ``cpu``, ``cuda`` or ``mps``) stands for.

    Raises:
        ConfigError: Torch finds none of that kind.
    """
    there = list_devices()
    if wanted not in ("auto", *there):
        usable = " or ".join(["auto", *reversed(there)])
        raise ConfigError([f"device: {wanted} was asked for, but torch finds none on this machine; choose {usable}"])
    return torch.device(there[0] if wanted == "auto" else wanted)
