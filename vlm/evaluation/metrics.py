"""Measures with 95 % confidence intervals, and the matching of boxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..grounding import Box

HIT = 0.5
"""The minimum IoU of a right box."""
WHOLE_IMAGE = Box(0, 0, 100, 100)
"""The box of a model that always answers with the whole image."""

RESAMPLES = 500
# The 97.5 % quantile of the normal distribution.
_Z = 1.96


@dataclass(frozen=True)
class Measure:
    """A figure over `count` items with its 95 % confidence interval, None if unknown."""

    value: float
    low: float | None
    high: float | None
    count: int


def proportion(hits: Sequence[bool]) -> Measure:
    """Return the share of hits with Wilson's interval.

    >>> share = proportion([True, True, False, True])
    >>> share.value, round(share.low, 2), round(share.high, 2)
    (0.75, 0.3, 0.95)
    """
    count = len(hits)
    if count == 0:
        return Measure(0.0, 0.0, 1.0, 0)
    share = sum(hits) / count
    centre = (share + _Z * _Z / (2 * count)) / (1 + _Z * _Z / count)
    spread = _Z / (1 + _Z * _Z / count) * math.sqrt(share * (1 - share) / count + (_Z / (2 * count)) ** 2)
    return Measure(share, max(centre - spread, 0.0), min(centre + spread, 1.0), count)


def mean(values: Sequence[float]) -> Measure:
    """Return the mean with a bootstrap interval."""
    return ratio(values, [1.0] * len(values))


def ratio(parts: Sequence[float], wholes: Sequence[float]) -> Measure:
    """Return the sum of `parts` over the sum of `wholes`, with a bootstrap interval over the items.

    The count is the sum of the wholes; if it is 0, so is the ratio, without an interval.

    >>> found = ratio([1, 0], [2, 3])
    >>> found.value, found.count
    (0.2, 5)
    """
    above, below = np.asarray(parts), np.asarray(wholes)

    def statistic(drawn: np.ndarray) -> float:
        return float(above[drawn].sum() / max(below[drawn].sum(), 1e-12))

    return bootstrap(len(above) if below.any() else 0, statistic, count=round(below.sum()))


def bootstrap(
    size: int, statistic: Callable[[np.ndarray], float], resamples: int = RESAMPLES, count: int | None = None
) -> Measure:
    """Return a statistic of the indices of `size` items, with its percentile interval.

    `count` is the reported count, by default `size`; without items the value is 0, without an interval.
    """
    if size == 0:
        return Measure(0.0, None, None, 0)
    random = np.random.default_rng(0)
    samples = [statistic(random.integers(size, size=size)) for _ in range(resamples)]
    low, high = (float(np.quantile(samples, level)) for level in (0.025, 0.975))
    return Measure(statistic(np.arange(size)), low, high, size if count is None else count)


def match_boxes(found: Sequence[Box], wanted: Sequence[Box], threshold: float = HIT) -> list[bool]:
    """Return for each found box whether it matches a wanted box of its own at the IoU threshold.

    As in COCO's evaluation, boxes match by descending score, each with the free box that it overlaps most;
    among equal or missing scores the largest overlap comes first.

    >>> match_boxes([Box(0, 0, 10, 10), Box(1, 0, 11, 10)], wanted=[Box(0, 0, 10, 10)])
    [True, False]
    """
    pairs = sorted(
        ((f.score or 0.0, f.iou(w), i, j) for i, f in enumerate(found) for j, w in enumerate(wanted)),
        key=lambda pair: pair[:2],
        reverse=True,
    )
    matched: dict[int, int] = {}
    for _, overlap, i, j in pairs:
        if overlap >= threshold and i not in matched and j not in matched.values():
            matched[i] = j
    return [i in matched for i in range(len(found))]


def average_precision(scored: Sequence[tuple[float, bool]], wanted: int) -> float:
    """Return the area under the precision-recall curve of scored hits, over `wanted` true boxes.

    >>> average_precision([(0.9, True), (0.8, False), (0.7, True)], wanted=2)
    0.8333333333333333
    """
    if not scored or not wanted:
        return 0.0
    hits = np.array([hit for _, hit in sorted(scored, key=lambda pair: -pair[0])])
    precisions = hits.cumsum() / np.arange(1, len(hits) + 1)
    # Make the curve monotone: at each recall use the best precision at that recall or beyond.
    best = np.maximum.accumulate(precisions[::-1])[::-1]
    return float(best[hits].sum() / wanted)
