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
from ..vlm.regions import crop, in_the_whole
from ..vlm.tasks import Task, Turn
from ..vlm.vision_language_model import VisionLanguageModel
from .answer import compose, compose_unfinished
from .listening import TurnListener
from .plan import Plan, Step

logger = logging.getLogger(__name__)

_NOTHING_SAID = "You stopped me before I had an answer."


@dataclass(frozen=True)
class StepResult:
    """A step, the sentence that it came to, and what the model wrote.

    `error` says why it failed, or is None; `stopped` tells that it was ended before the model had done.
    """

    step: Step
    text: str
    raw: str = ""
    phrases: tuple[GroundedPhrase, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    stopped: bool = False


@dataclass(frozen=True)
class TurnResult:
    """The answer to one message; `seconds` is wall time.

    `stopped` tells that the person ended it: the last of `steps` may be unfinished, and further ones of the
    plan were not run.
    """

    plan: Plan
    steps: tuple[StepResult, ...]
    answer: str
    seconds: float
    stopped: bool = False

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """Every phrase that was grounded, in the order of the steps."""
        return tuple(phrase for step in self.steps for phrase in step.phrases)


def run(
    model: VisionLanguageModel,
    plan: Plan,
    image: Image.Image | None,
    history: tuple[Turn, ...] = (),
    listener: TurnListener | None = None,
) -> TurnResult:
    """Run the steps in order; one that fails says so and leaves the others their results.

    A listener that wants a stop ends the running step with what the model has written so far. What a
    listener raises is the caller's: see `GuardedListener`.
    """
    start = time.perf_counter()
    if listener:
        listener.planned(plan)
    results: list[StepResult] = []
    for number, step in enumerate(plan.steps):
        if listener and listener.wants_stop():
            break
        result = _run_step(model, step, image, history, _ear(listener, number))
        results.append(result)
        if listener:
            listener.finished(number, result)
        if result.stopped:
            break
    stopped = len(results) < len(plan.steps) or results[-1].stopped
    answer = " ".join(dict.fromkeys(result.text for result in results if result.text))
    return TurnResult(plan, tuple(results), answer or _NOTHING_SAID, time.perf_counter() - start, stopped)


class _Ear:
    """What the model is given to tell one step's listener; the step is the only request of its batch."""

    def __init__(self, listener: TurnListener, step: int) -> None:
        self._listener = listener
        self._step = step
        self._stopped = False

    def heard(self, request: int, raw: str) -> None:  # noqa: ARG002
        self._listener.heard(self._step, raw)

    def wants_stop(self) -> bool:
        self._stopped = self._stopped or self._listener.wants_stop()
        return self._stopped


def _ear(listener: TurnListener | None, step: int) -> _Ear | None:
    return _Ear(listener, step) if listener else None


def _run_step(
    model: VisionLanguageModel,
    step: Step,
    image: Image.Image | None,
    history: tuple[Turn, ...],
    ear: _Ear | None,
) -> StepResult:
    start = time.perf_counter()
    try:
        generation = model.generate([_request(step, image, history)], ear)[0]
    except (AssistantError, ValueError) as error:
        logger.info("step %s failed", step.name, exc_info=True)
        text = f"I could not do [{step.name}]: {error}."
        return StepResult(step, text, error=str(error), seconds=time.perf_counter() - start)
    grounded = generation.grounded
    if image is not None and step.region is not None and step.task is not Task.IDENTIFY:
        grounded = in_the_whole(grounded, image, step.region)
    # An answer may also be incomplete because it came to its longest.
    stopped = ear is not None and not generation.complete and ear.wants_stop()
    text = (compose_unfinished if stopped else compose)(step, grounded)
    seconds = time.perf_counter() - start
    return StepResult(step, text, grounded.raw, _phrases(step, grounded), seconds, stopped=stopped)


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


__all__ = ["StepResult", "TurnResult", "run"]
