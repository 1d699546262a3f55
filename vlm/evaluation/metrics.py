"""Measures over predictions and references, with 95 % confidence intervals where they can be had."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from ..errors import AssistantError
from ..grounding import Box

RESAMPLES = 500

_BETWEEN_THINGS = re.compile(r",(?:\s*and\s)?|\sand\s", re.IGNORECASE)


@dataclass(frozen=True)
class Measure:
    """A figure over `count` items and the interval that holds it with 95 % confidence, None if unknown."""

    value: float
    low: float | None
    high: float | None
    count: int


def proportion(hits: Sequence[bool]) -> Measure:
    """Return the share of hits with Wilson's interval."""
    count = len(hits)
    if count == 0:
        return Measure(0.0, 0.0, 1.0, 0)
    share, z = sum(hits) / count, 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    spread = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return Measure(share, max(centre - spread, 0.0), min(centre + spread, 1.0), count)


def mean(values: Sequence[float]) -> Measure:
    """Return the mean with a bootstrap interval."""
    return bootstrap(values, fmean) if values else Measure(0.0, 0.0, 0.0, 0)


def bootstrap(items: Sequence[float], statistic: Callable[[Sequence[float]], float]) -> Measure:
    """Return a statistic with the interval that resampling the items gives."""
    random_ = random.Random(0)
    samples = sorted(statistic(random_.choices(items, k=len(items))) for _ in range(RESAMPLES))
    low, high = samples[int(RESAMPLES * 0.025)], samples[int(RESAMPLES * 0.975)]
    return Measure(statistic(items), low, high, len(items))


def normalise(answer: str) -> str:
    """Lower case, no punctuation, no articles: how answers in words are compared."""
    words = re.findall(r"[a-z0-9']+", answer.lower())
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def same_answer(predicted: str, wanted: Sequence[str]) -> bool:
    """Return whether an answer names exactly the things wanted, in any order."""
    return _things([predicted]) == _things(wanted)


def _things(answers: Sequence[str]) -> set[str]:
    return {normalise(part) for answer in answers for part in _BETWEEN_THINGS.split(answer)}


def match_boxes(found: Sequence[Box], wanted: Sequence[Box], threshold: float = 0.5) -> list[bool]:
    """Return for each found box whether it is paired with a wanted box of its own at the IoU threshold."""
    pairs = sorted(
        ((f.iou(w), i, j) for i, f in enumerate(found) for j, w in enumerate(wanted)), reverse=True
    )
    matched: dict[int, int] = {}
    for overlap, i, j in pairs:
        if overlap >= threshold and i not in matched and j not in matched.values():
            matched[i] = j
    return [i in matched for i in range(len(found))]


def average_precision(scored: Sequence[tuple[float, bool]], wanted: int) -> float:
    """Return the area under the precision-recall curve of scored hits, over `wanted` true boxes."""
    ranked = sorted(scored, key=lambda pair: -pair[0])
    precisions: list[float] = []
    for rank, (_, hit) in enumerate(ranked, start=1):
        if hit:
            precisions.append((len(precisions) + 1) / rank)
    # The curve is made monotone: at each recall the best precision at that recall or beyond counts.
    area = sum(max(precisions[index:]) for index in range(len(precisions)))
    return area / wanted if wanted else 0.0


def caption_scores(predicted: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Measure]:
    """Return CIDEr-D and BLEU-4 of captions, by pycocoevalcap's scorers.

    The words are split by a plain rule instead of the Java tokenizer that belongs to them, so that figures
    may differ in the second digit from published ones.

    Raises:
        AssistantError: the scorers are not installed.
    """
    cider, bleu = caption_scorers()
    for caption, wanted in zip(predicted, references, strict=True):
        pair = (_words(caption), [_words(text) for text in wanted])
        cider += pair
        bleu += pair
    _, each = cider.compute_score()
    (_, _, _, bleu4), _ = bleu.compute_score(option="closest", verbose=0)
    return {
        "cider_d": mean([float(score) for score in each]),
        "bleu_4": Measure(bleu4, None, None, len(predicted)),
    }


def caption_scorers() -> tuple[Any, Any]:
    """Return fresh scorers of CIDEr-D and of BLEU-4.

    Raises:
        AssistantError: they are not installed.
    """
    try:
        from pycocoevalcap.bleu.bleu_scorer import BleuScorer
        from pycocoevalcap.cider.cider_scorer import CiderScorer
    except ImportError as error:
        raise AssistantError("captions are scored by pycocoevalcap: pip install pycocoevalcap") from error
    return CiderScorer(n=4, sigma=6.0), BleuScorer(n=4)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


__all__ = ["Measure", "average_precision", "bootstrap", "caption_scorers", "caption_scores", "match_boxes"]
__all__ += ["mean", "normalise", "proportion", "same_answer"]
