"""Closer looks for referring expressions: two more, at the surroundings of the box that the first look gave.

A model that sees a picture at 224 pixels places large things well and small ones badly. Cut out and seen as
large, a small thing is a large one. Seen from two distances it is placed better than from one. What this is
worth is measured (suites `refer` and `refer_one_look` of `benchmarks/nano_val.py`); it takes two more answers
in one batch, and only where the box is small.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from PIL import Image

from ..answers import Completion, Generation, Request, Written
from ..calibration import BoxEvidence
from ..grounding import BINS, Box
from ..regions import MARGIN, crop, in_the_whole
from ..tasks import Task
from .base import Engine, GenerationListener

# What is seen from nearby, along each side: this many times the box, and at least so much of the picture.
_DISTANCES = ((2.0, 50.0), (1.5, 40.0))
# Where the first of them would be more than this share of the picture, there is nothing to be gained.
_MOST = 0.7
# Where in the picture a thing is cannot be told from a part of it.
_PLACES = re.compile(
    r"\b(left|right|top|bottom|upper|lower|middle|cent(er|re)|corner)(most)?\b", re.IGNORECASE
)


class CloserLook:
    """An engine that looks again for a small thing; whoever listens hears the first look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan."""
        return self._engine.plans

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests; those for one small thing again from nearby, unless they are stopped."""
        answers = self._engine.generate(requests, listener)
        parts = [
            _Part(index, request.image, region)
            for index, (request, answer) in enumerate(zip(requests, answers, strict=True))
            if request.image is not None
            for region in _surroundings(request, answer)
        ]
        if not parts:
            return answers
        nearby = [replace(requests[part.index], image=crop(part.image, part.region)) for part in parts]
        seen = self._engine.generate(nearby, _StopAlone(listener) if listener else None)
        closer: dict[int, list[Generation]] = defaultdict(list)
        for part, answer in zip(parts, seen, strict=True):
            if answer.complete and answer.grounded.boxes:
                found = in_the_whole(answer.grounded, part.image, part.region)
                closer[part.index].append(replace(answer, grounded=found))
        for index, looks in closer.items():
            answers[index] = _joined(answers[index], looks)
        return answers

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        """Continue texts, which have no picture to look at."""
        return self._engine.complete(completions)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer of the first look piece by piece."""
        return self._engine.stream(request)


class _StopAlone:
    """Passes on a listener's wish to stop, and tells it nothing."""

    def __init__(self, listener: GenerationListener) -> None:
        self._listener = listener

    def heard(self, request: int, raw: str) -> None:
        """Leave the first look's words as the last that were heard."""

    def wants_stop(self) -> bool:
        """Whether the answers shall end where they are."""
        return self._listener.wants_stop()


@dataclass(frozen=True)
class _Part:
    """A part of the picture of the request at an index, to be looked at alone."""

    index: int
    image: Image.Image
    region: Box


def _joined(first: Generation, closer: Sequence[Generation]) -> Generation:
    """Return what the closer looks found on average, as sure as the least sure of all looks.

    From nearby the model is surer of everything, what is not there included.
    """
    found = [answer.grounded.boxes[0] for answer in closer]
    scores = [box.score for box in (first.grounded.boxes[0], *found) if box.score is not None]
    box = _mean(found).with_score(min(scores, default=None))
    text = closer[0].grounded
    phrase = replace(text.phrases[0], boxes=(box,))
    seconds = first.seconds + max(answer.seconds for answer in closer)
    evidence = _evidence(first, closer, box)
    return Generation(replace(text, phrases=(phrase,)), seconds, evidence=(evidence,) if evidence else ())


def _evidence(first: Generation, closer: Sequence[Generation], box: Box) -> BoxEvidence | None:
    """Return what speaks for the joint box: the least sure of all looks, and how far they agree."""
    looks = [answer.evidence[0] for answer in (first, *closer) if answer.evidence]
    if not looks:
        return None
    return BoxEvidence(
        opening=min(look.opening for look in looks),
        place=min(look.place for look in looks),
        area=box.area / BINS**2,
        agreement=min(answer.grounded.boxes[0].iou(box) for answer in (first, *closer)),
    )


def _mean(boxes: Sequence[Box]) -> Box:
    return Box(*(round(mean(side)) for side in zip(*(box.bins for box in boxes), strict=True)))


def _surroundings(request: Request, answer: Generation) -> list[Box]:
    """Return the regions to look at more closely, if any: a crop of each has the wanted size."""
    if request.task is not Task.REFER or request.history or _PLACES.search(request.argument):
        return []
    if not answer.complete or not answer.grounded.boxes:
        return []
    seen = [_seen(answer.grounded.boxes[0], *distance) for distance in _DISTANCES]
    (x0, y0, x1, y1), *_ = seen
    if (x1 - x0) * (y1 - y0) > _MOST * 100 * 100:
        return []
    return [_region(*window) for window in seen]


def _seen(box: Box, times: float, least: float) -> tuple[float, float, float, float]:
    """Return the corners of what is seen around a box, in bins."""
    (x0, x1), (y0, y1) = _stretch(box.x0, box.x1, times, least), _stretch(box.y0, box.y1, times, least)
    return x0, y0, x1, y1


def _region(x0: float, y0: float, x1: float, y1: float) -> Box:
    """Return the region of which a crop, with its margin, has these corners."""
    across, down = (side * MARGIN / (1 + 2 * MARGIN) for side in (x1 - x0, y1 - y0))
    return Box(round(x0 + across), round(y0 + down), round(x1 - across), round(y1 - down))


def _stretch(start: int, end: int, times: float, least: float) -> tuple[float, float]:
    """Return what is seen along one side, all of it within the picture."""
    length = min(max((end - start) * times, least), 100.0)
    first = min(max((start + end - length) / 2, 0.0), 100.0 - length)
    return first, first + length


__all__ = ["CloserLook"]
