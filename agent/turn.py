"""One turn: run the steps of a plan over a picture, and answer in words."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from PIL import Image

from ..vlm.answers import Request
from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task, Turn
from ..vlm.vision_language_model import VisionLanguageModel
from .answer import compose
from .plan import Plan, Step

logger = logging.getLogger(__name__)

# All but `identify`, which names a region to the model, look at the part of the picture that is asked about
# alone, with this much of the region's size around it, since things make sense in their surroundings.
_MARGIN = 0.15


@dataclass(frozen=True)
class StepResult:
    """A step, the sentence that it came to, and what the model wrote; `error` says why it failed, or None."""

    step: Step
    text: str
    raw: str = ""
    phrases: tuple[GroundedPhrase, ...] = ()
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class TurnResult:
    """The answer to one message; `seconds` is wall time."""

    plan: Plan
    steps: tuple[StepResult, ...]
    answer: str
    seconds: float

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """Every phrase that was grounded, in the order of the steps."""
        return tuple(phrase for step in self.steps for phrase in step.phrases)


def run(
    model: VisionLanguageModel,
    plan: Plan,
    image: Image.Image | None,
    history: tuple[Turn, ...] = (),
) -> TurnResult:
    """Run the steps in order; one that fails says so and leaves the others their results."""
    start = time.perf_counter()
    results = tuple(_run_step(model, step, image, history) for step in plan.steps)
    answer = " ".join(dict.fromkeys(result.text for result in results))
    return TurnResult(plan, results, answer, time.perf_counter() - start)


def _run_step(
    model: VisionLanguageModel, step: Step, image: Image.Image | None, history: tuple[Turn, ...]
) -> StepResult:
    start = time.perf_counter()
    try:
        generation = model.generate([_request(step, image, history)])[0]
    except (AssistantError, ValueError) as error:
        logger.info("step %s failed", step.name, exc_info=True)
        text = f"I could not do [{step.name}]: {error}."
        return StepResult(step, text, error=str(error), seconds=time.perf_counter() - start)
    grounded = generation.grounded
    if image is not None and step.region is not None and step.task is not Task.IDENTIFY:
        grounded = _in_the_whole(grounded, image, window(image, step.region))
    text = compose(step, grounded)
    return StepResult(step, text, grounded.raw, _phrases(step, grounded), time.perf_counter() - start)


def _request(step: Step, image: Image.Image | None, history: tuple[Turn, ...]) -> Request:
    if image is None and step.task is not None:
        raise AssistantError("there is no picture to look at: give one")
    if step.task is Task.IDENTIFY and step.region is None:
        raise AssistantError("no region is marked: draw a box, or give --region x0,y0,x1,y1")
    if step.task is Task.IDENTIFY:
        return Request(step.task, region=step.region, image=image)
    if step.region is not None and image is not None:
        return Request(step.task, step.argument, image=crop(image, step.region))
    return Request(step.task, step.argument, image=image, history=() if step.task else history)


def crop(image: Image.Image, region: Box) -> Image.Image:
    """Return what is looked at for a region: it and a margin round it."""
    return image.crop(window(image, region))


def window(image: Image.Image, region: Box) -> tuple[int, int, int, int]:
    """Return the pixels `(left, top, right, bottom)` to look at for a region, at least one pixel in size."""
    x0, y0, x1, y1 = region.to_pixels(image.width, image.height)
    across, down = (x1 - x0) * _MARGIN, (y1 - y0) * _MARGIN
    left, top = max(int(x0 - across), 0), max(int(y0 - down), 0)
    right, bottom = min(round(x1 + across), image.width), min(round(y1 + down), image.height)
    left, top = min(left, image.width - 1), min(top, image.height - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _in_the_whole(
    grounded: GroundedText, image: Image.Image, part: tuple[int, int, int, int]
) -> GroundedText:
    """Return boxes found in a part of the picture as boxes of the whole."""
    left, top, right, bottom = part

    def moved(box: Box) -> Box:
        x0, y0, x1, y1 = box.to_pixels(right - left, bottom - top)
        corners = (x0 + left, y0 + top, x1 + left, y1 + top)
        return Box.from_pixels(*corners, image.width, image.height).with_score(box.score)

    phrases = (replace(phrase, boxes=tuple(map(moved, phrase.boxes))) for phrase in grounded.phrases)
    return replace(grounded, phrases=tuple(phrases))


def _phrases(step: Step, grounded: GroundedText) -> tuple[GroundedPhrase, ...]:
    """Name boxes that the model wrote without a phrase after what was asked for."""
    if step.task is Task.IDENTIFY and step.region is not None:
        return (GroundedPhrase(grounded.text, (step.region,)),)
    named = (replace(phrase, text=phrase.text or step.argument) for phrase in grounded.phrases)
    if step.task is Task.REFER:
        return tuple(GroundedPhrase(phrase.text, phrase.boxes[:1]) for phrase in named)[:1]
    return _once(named)


def _once(phrases: Iterable[GroundedPhrase]) -> tuple[GroundedPhrase, ...]:
    """Leave out what a small model repeats: a box that the same phrase has had before."""
    seen: set[tuple[str, Box]] = set()
    kept: list[GroundedPhrase] = []
    for phrase in phrases:
        boxes = tuple(box for box in dict.fromkeys(phrase.boxes) if (phrase.text, box) not in seen)
        seen.update((phrase.text, box) for box in boxes)
        if boxes:
            kept.append(GroundedPhrase(phrase.text, boxes, phrase.start))
    return tuple(kept)


__all__ = ["StepResult", "TurnResult", "crop", "run", "window"]
