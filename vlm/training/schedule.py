"""The learning rates of the reference's `linear_warmup_cosine_lr`."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Schedule:
    """Rises linearly from the rate `first` to the peak, then falls in a cosine to `last`.

    The cosine counts all steps of the run, so the rate drops a little when warm-up ends.
    """

    first: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    last: Annotated[float, Field(ge=0, allow_inf_nan=False)]

    def rate(self, step: int, peak: float, warmup_steps: int, steps: int) -> float:
        """Return the rate of a step, counted from 0, in a run of `steps` steps."""
        if step < warmup_steps:
            return min(peak, self.first + (peak - self.first) * step / warmup_steps)
        return (peak - self.last) * 0.5 * (1 + math.cos(math.pi * step / steps)) + self.last
