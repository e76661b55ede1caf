"""What blocks of a recipe have in common: keys that are known, or the name of a part and its options."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from ..core.amounts import Factor, LayersOrNone


class Settings(BaseModel):
    """Unknown keys are refused; values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Block(BaseModel):
    """Names a registered factory; all other keys are its options."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    name: str
    """Registered name, see `lingraft list`."""

    @property
    def options(self) -> dict[str, Any]:
        """The factory's keyword arguments."""
        return dict(self.model_extra or {})


class WeightedBlock(Block):
    """A block that takes part in a weighted sum."""

    weight: Factor = 1.0
    """Factor in front of this loss."""
    layer: LayersOrNone | None = None
    """Compare the states after this layer; by default after the last."""
