"""A second, closer look for referring expressions: at the surroundings of the box that the first look gave.

A model that sees a picture at 224 pixels places large things well and small ones badly. Cut out and seen as
large, a small thing is a large one. What this is worth is measured (suites `refer` and `refer_one_look` of
`benchmarks/nano_val.py`); it takes one more answer, and only where the box is small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from PIL import Image

from ..answers import Generation, Request
from ..grounding import Box, with_scores
from ..regions import MARGIN, crop, in_the_whole
from ..tasks import Task
from .base import Engine, GenerationListener

# What is seen the second time, along each side: this many times the box, and at least so much of the picture.
_TIMES = 2.0
_LEAST = 50.0
# Where that would be more than this share of the picture, there is nothing to be gained.
_MOST = 0.7


class CloserLook:
    """An engine that looks twice for a small thing; whoever listens hears the first look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests; those for one small thing once more from nearby, unless they are stopped."""
        answers = self._engine.generate(requests, listener)
        nearby: dict[int, tuple[Image.Image, Box]] = {}
        for index, (request, answer) in enumerate(zip(requests, answers, strict=True)):
            region = _surroundings(request, answer)
            if request.image is not None and region is not None:
                nearby[index] = request.image, region
        if not nearby:
            return answers
        closer = [replace(requests[index], image=crop(*part)) for index, part in nearby.items()]
        seen = self._engine.generate(closer, _StopAlone(listener) if listener else None)
        for (index, part), second in zip(nearby.items(), seen, strict=True):
            if second.complete and second.grounded.boxes:
                answers[index] = _both(answers[index], second, part)
        return answers

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


def _both(first: Generation, second: Generation, part: tuple[Image.Image, Box]) -> Generation:
    """Return what the second look found in a part of the picture, as sure as the less sure of both looks.

    From nearby the model is surer of everything, what is not there included.
    """
    looks = first.grounded.boxes[0].score, second.grounded.boxes[0].score
    score = min((score for score in looks if score is not None), default=None)
    found = in_the_whole(second.grounded, *part)
    found = with_scores(found, [score, *(box.score for box in found.boxes[1:])])
    return Generation(found, first.seconds + second.seconds)


def _surroundings(request: Request, answer: Generation) -> Box | None:
    """Return the region to look at more closely, if there is one: a crop of it has the wanted size."""
    if request.task is not Task.REFER or request.history or not answer.complete or not answer.grounded.boxes:
        return None
    x0, y0, x1, y1 = answer.grounded.boxes[0].bins
    left, right = _stretch(x0, x1)
    top, bottom = _stretch(y0, y1)
    if (right - left) * (bottom - top) > _MOST * 100 * 100:
        return None
    across, down = (side * MARGIN / (1 + 2 * MARGIN) for side in (right - left, bottom - top))
    return Box(round(left + across), round(top + down), round(right - across), round(bottom - down))


def _stretch(start: int, end: int) -> tuple[float, float]:
    """Return what is seen along one side, all of it within the picture."""
    length = min(max((end - start) * _TIMES, _LEAST), 100.0)
    first = min(max((start + end - length) / 2, 0.0), 100.0 - length)
    return first, first + length


__all__ = ["CloserLook"]
