"""How far a box's score can be trusted: precision and recall of referrals by the least score believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .metrics import proportion

THRESHOLDS = tuple(step / 20 for step in range(20))
ENOUGH = 20


@dataclass(frozen=True)
class Referred:
    """One thing that was asked for: whether it is there, whether the box is right, and the box's score.

    `score` is None where the model gave no box.
    """

    there: bool
    right: bool
    score: float | None

    def is_believed(self, threshold: float) -> bool:
        """Return whether the box is taken for the thing."""
        return self.score is not None and self.score >= threshold


def threshold_table(
    asked: Sequence[Referred], thresholds: Sequence[float] = THRESHOLDS
) -> list[dict[str, Any]]:
    """Return a row for each threshold, every figure with its interval.

    `believed` is the share of all boxes that reach it; `precision` how many of these are right, a thing that
    is not there being always wrong, and `precision_present` without such things; `recall` the share of things
    that are there and found; `false_finds` the share of absent things that are found all the same.
    """
    return [{"threshold": threshold, **_row(asked, threshold)} for threshold in thresholds]


def _row(asked: Sequence[Referred], threshold: float) -> dict[str, Any]:
    believed = [it for it in asked if it.is_believed(threshold)]
    present = [it for it in asked if it.there]
    measures = {
        "believed": [it.is_believed(threshold) for it in asked],
        "precision": [it.right for it in believed],
        "precision_present": [it.right for it in believed if it.there],
        "recall": [it.right and it.is_believed(threshold) for it in present],
        "false_finds": [it.is_believed(threshold) for it in asked if not it.there],
    }
    return {name: asdict(proportion(hits)) for name, hits in measures.items()}


def lowest_with(table: Sequence[dict[str, Any]], measure: str, least: float) -> float | None:
    """Return the lowest threshold at which a measure is at least `least`; None if there is none.

    Thresholds that fewer than `ENOUGH` boxes reach say too little and are passed over.
    """
    known = (row for row in table if row[measure]["count"] >= ENOUGH)
    return next((row["threshold"] for row in known if row[measure]["value"] >= least), None)


__all__ = ["THRESHOLDS", "Referred", "lowest_with", "threshold_table"]
