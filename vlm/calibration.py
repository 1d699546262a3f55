"""Calibrated confidence: the probability that the thing is there and its box correct.

Token probabilities alone are a poor confidence: the model can spell a box with confidence for an absent
thing. A logistic regression over the evidence of one answer gives the probability that a box is correct (IoU
0.5 or more). Its weights are fitted on held-out images and stored with the adapter (`calibration.json`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .folders.reading import read_settings
from .tasks import Task

FILE = "calibration.json"

# Keeps the logarithms of probabilities finite.
_FLOOR = 1e-4


@dataclass(frozen=True)
class BoxEvidence:
    """The regression's input for one box of an answer.

    `opening` is the probability of the answer's first token, which says whether something is there; `place`
    the geometric mean of the probabilities of the coordinates' digits; `area` the box's share of the image.
    `agreement` is the IoU between the answers to the full image and to crops, None without crops.
    """

    opening: float
    place: float
    area: float
    agreement: float | None = None

    def features(self) -> dict[str, float]:
        """Return the regression's features by name."""
        zoomed = self.agreement is not None
        return {
            "bias": 1.0,
            "opening": math.log(max(self.opening, _FLOOR)),
            "absence": math.log(max(1.0 - self.opening, _FLOOR)),
            "place": math.log(max(self.place, _FLOOR)),
            "size": math.sqrt(self.area),
            "looked_closer": float(zoomed),
            "agreement": self.agreement or 0.0,
        }


class Calibration(BaseModel):
    """The regression's weights, by task and feature name.

    A `[refer]` answer whose box is less probable than `refuse_below` counts as no box.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
    weights: Mapping[str, Mapping[str, Annotated[float, Field(ge=-1e6, le=1e6)]]]
    refuse_below: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: Mapping[str, Mapping[str, float]]) -> Mapping[str, Mapping[str, float]]:
        features = BoxEvidence(1.0, 1.0, 1.0).features()
        for task, of_task in weights.items():
            unknown = [task] * (task not in list(Task)) + [name for name in of_task if name not in features]
            if unknown:
                raise ValueError(f"there is no task or feature {unknown[0]!r}")
        return weights

    @classmethod
    def load(cls, folder: Path) -> Calibration | None:
        """Return the calibration in an adapter's folder, None if it has none.

        Raises:
            WeightsError: the file is damaged, or has a task or feature that this version does not know.
        """
        path = folder / FILE
        return read_settings(path, cls) if path.exists() else None

    def probability(self, task: str, evidence: BoxEvidence) -> float | None:
        """Return the probability 0..1 that a box is correct, None for an uncalibrated task."""
        weights = self.weights.get(task)
        if weights is None:
            return None
        features = evidence.features()
        return _sigmoid(sum(weight * features[name] for name, weight in weights.items()))


def fit(evidence: Sequence[BoxEvidence], right: Sequence[bool], decay: float = 1.0) -> dict[str, float]:
    """Fit the regression of whether a box is correct by Newton's method, and return its weights.

    `decay` is the L2 penalty on all weights but the bias.

    Raises:
        ValueError: all boxes are correct, or none is.
    """
    import numpy as np

    if len(set(right)) < 2:
        raise ValueError("fitting needs correct boxes and wrong ones")
    names = list(evidence[0].features())
    rows = np.array([[it.features()[name] for name in names] for it in evidence])
    wanted = np.array(right)
    penalty = np.diag([0.0 if name == "bias" else decay for name in names]) + 1e-6 * np.eye(len(names))
    weights = np.zeros(len(names))
    for _ in range(50):
        chance = (1 + np.tanh(rows @ weights / 2)) / 2
        gradient = rows.T @ (chance - wanted) + penalty @ weights
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + penalty
        weights = weights - np.linalg.solve(curvature, gradient)
    return {name: round(float(weight), 4) for name, weight in zip(names, weights, strict=True)}


def _sigmoid(value: float) -> float:
    return (1 + math.tanh(value / 2)) / 2  # unlike 1 / (1 + exp(-value)), without overflow
