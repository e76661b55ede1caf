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


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed all that draws random numbers on a device.

    ``torch.manual_seed`` does it for every kind of device, and keeps a stack trace for each kind that is not there,
    which in a step of a small model took longer than a layer.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
