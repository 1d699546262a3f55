"""Zoom in on small referents: locate each again in two crops around the first box.

At 336 pixels the model locates large things well and small ones badly; in a crop a small thing is large. Two
crops of different sizes locate it better than one. `phrase_refer` and `phrase_refer_one_look` of
`benchmarks/nano_val.py` measure the gain; the cost is one more batch of two answers if the box is small.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean

from PIL import Image

from ..answers import Generation, Request
from ..calibration import BoxEvidence
from ..grounding import BINS, Box
from ..regions import MARGIN, crop, to_full_image
from ..tasks import Task
from .base import EngineWrapper, GenerationListener, StopOnly

# Each crop spans the box times the first number, along each side, and at least the second in bins.
_ZOOMS = ((2.0, 50.0), (1.5, 40.0))
# A larger crop, as a share of the image, gains nothing.
_LARGEST_CROP = 0.7
# A crop does not show where in the image a thing is.
_PLACES = re.compile(
    r"\b(left|right|top|bottom|upper|lower|middle|cent(er|re)|corner)(most)?\b", re.IGNORECASE
)


class ZoomRefiner(EngineWrapper):
    """Refines the box of a small referent; listeners and streams get the first answer."""

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests, and locate small referents again in crops unless the listener stops."""
        answers = self._engine.generate(requests, listener)
        crops = [
            _Crop(index, request.image, region)
            for index, (request, answer) in enumerate(zip(requests, answers, strict=True))
            if request.image is not None
            for region in _crop_regions(request, answer)
        ]
        if not crops:
            return answers
        zoomed = [replace(requests[it.index], image=crop(it.image, it.region)) for it in crops]
        refined: dict[int, list[Generation]] = defaultdict(list)
        found = self._engine.generate(zoomed, listener and StopOnly(listener))
        for it, answer in zip(crops, found, strict=True):
            if answer.complete and answer.grounded.boxes:
                grounded = to_full_image(answer.grounded, it.image, it.region)
                refined[it.index].append(replace(answer, grounded=grounded))
        for index, of_crops in refined.items():
            answers[index] = _merged(answers[index], of_crops)
        return answers


@dataclass(frozen=True)
class _Crop:
    """A region of the image of the request at an index."""

    index: int
    image: Image.Image
    region: Box


def _merged(first: Generation, refined: Sequence[Generation]) -> Generation:
    """Return the mean of the refined boxes, with the lowest score of all answers.

    In a crop the model is more confident of everything, even of absent things.
    """
    found = [answer.grounded.boxes[0] for answer in refined]
    scores = [box.score for box in (first.grounded.boxes[0], *found) if box.score is not None]
    box = _mean(found).with_score(min(scores, default=None))
    text = refined[0].grounded
    phrase = replace(text.phrases[0], boxes=(box,))
    seconds = first.seconds + max(answer.seconds for answer in refined)
    evidence = _evidence(first, refined, box)
    return Generation(replace(text, phrases=(phrase,)), seconds, evidence=(evidence,) if evidence else ())


def _evidence(first: Generation, refined: Sequence[Generation], box: Box) -> BoxEvidence | None:
    """Return the evidence for the merged box: the weakest of all answers', and how well they agree."""
    parts = [answer.evidence[0] for answer in (first, *refined) if answer.evidence]
    if not parts:
        return None
    return BoxEvidence(
        opening=min(part.opening for part in parts),
        place=min(part.place for part in parts),
        area=box.area / BINS**2,
        agreement=min(answer.grounded.boxes[0].iou(box) for answer in (first, *refined)),
    )


def _mean(boxes: Sequence[Box]) -> Box:
    return Box(*(round(mean(side)) for side in zip(*(box.bins for box in boxes), strict=True)))


def _crop_regions(request: Request, answer: Generation) -> list[Box]:
    """Return the regions to zoom in on; empty unless the answer is one small referent's box."""
    if request.task is not Task.REFER or request.history or _PLACES.search(request.argument):
        return []
    if not answer.complete or not answer.grounded.boxes:
        return []
    windows = [_window(answer.grounded.boxes[0], *zoom) for zoom in _ZOOMS]
    (x0, y0, x1, y1), *_ = windows
    if (x1 - x0) * (y1 - y0) > _LARGEST_CROP * BINS**2:
        return []
    return [_region(*window) for window in windows]


def _window(box: Box, times: float, least: float) -> tuple[float, float, float, float]:
    """Return the corners of the crop around a box, in bins."""
    (x0, x1), (y0, y1) = _stretch(box.x0, box.x1, times, least), _stretch(box.y0, box.y1, times, least)
    return x0, y0, x1, y1


def _region(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Return the region whose crop, with its margin, has these corners."""
    across, down = (side * MARGIN / (1 + 2 * MARGIN) for side in (x1 - x0, y1 - y0))
    return Box(round(x0 + across), round(y0 + down), round(x1 - across), round(y1 - down))


def _stretch(start: int, end: int, times: float, least: float) -> tuple[float, float]:
    """Return one side of the crop in bins, within the image."""
    length = min(max((end - start) * times, least), float(BINS))
    first = min(max((start + end - length) / 2, 0.0), BINS - length)
    return first, first + length


__all__ = ["ZoomRefiner"]
