"""One turn: run the steps of a plan on an image, and compose the answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from ..storage import NewTurn, StoredStep
from ..vlm.answers import Request
from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase, GroundedText
from ..vlm.tasks import Task, Turn
from ..vlm.vision_language_model import VisionLanguageModel
from .answer import compose, compose_doubt, compose_unfinished, is_retracted, is_unsure
from .listening import TurnListener
from .plan import Plan, Step
from .replies import REPLIES
from .verification import ask_back

logger = logging.getLogger(__name__)

NO_REGION = "no region is marked: draw a box, or give --region x0,y0,x1,y1"
NOTHING_SAID = "You stopped me before I had an answer."
# Run only this many steps of a longer plan; the answer says to ask again for the rest.
STEP_LIMIT = 8


@dataclass(frozen=True)
class RunContext:
    """The context that all steps of a turn share; `verify` makes the model check its boxes."""

    model: VisionLanguageModel
    image: Image.Image | None
    history: tuple[Turn, ...] = ()
    listener: TurnListener | None = None
    verify: bool = False


def run(
    model: VisionLanguageModel,
    plan: Plan,
    image: Image.Image | None,
    history: tuple[Turn, ...] = (),
    listener: TurnListener | None = None,
    verify: bool = False,
) -> NewTurn:
    """Run the steps in order; a failed step does not affect the others.

    The turn is without its message, region and stored image, which `Assistant.ask` adds.

    When the listener asks to stop, the running step ends with its partial answer. The listener's exceptions
    reach the caller; wrap it in `GuardedListener` to prevent that.
    """
    start = time.perf_counter()
    context = RunContext(model, image, history, listener, verify)
    if listener:
        listener.on_plan(plan)
    results: tuple[StoredStep, ...] = ()
    while (more := run_next(context, plan, results)) is not None:
        results = more
    return finish(plan, results, time.perf_counter() - start)


def run_next(
    context: RunContext, plan: Plan, results: tuple[StoredStep, ...]
) -> tuple[StoredStep, ...] | None:
    """Run the next step and return the results including its own, or None at the end of the turn."""
    number, listener = len(results), context.listener
    if number == min(len(plan.steps), STEP_LIMIT) or (results and results[-1].stopped):
        return None
    if listener and listener.should_stop():
        return None
    result = _run_step(context, in_place(plan.steps[number], results), number)
    if listener:
        listener.on_step(number, result)
    return (*results, result)


def finish(plan: Plan, results: tuple[StoredStep, ...], seconds: float) -> NewTurn:
    """Compose the answer from the results of the steps."""
    one = len(plan.steps) == 1
    texts = [_part(result, one) for result in results if result.text] or [NOTHING_SAID]
    stopped = len(results) < min(len(plan.steps), STEP_LIMIT) or results[-1].stopped
    if len(plan.steps) > STEP_LIMIT and not stopped:
        texts.append(f"I do at most {STEP_LIMIT} things at once: ask me again for the rest.")
    answer = " ".join(dict.fromkeys(texts))
    return NewTurn("", answer, steps=results, seconds=seconds, why=plan.why, stopped=stopped)


def _part(result: StoredStep, one: bool) -> str:
    """Return a step's part of the answer; among several, a short answer repeats its question."""
    if one or result.error or result.task != Task.VQA:
        return result.text
    question = result.argument.strip()
    return f"{question[:1].upper()}{question[1:].rstrip('?.! ')}? {result.text}"


def done(step: Step, text: str, **more: Any) -> StoredStep:
    """Return a step of a plan as it was done, with the sentence of its answer."""
    return StoredStep(step.task, step.argument, step.region, text, **more)


def failed(step: Step, error: str, **more: Any) -> StoredStep:
    """Return a step that failed."""
    return done(step, f"I could not do [{step.name}]: {error}.", error=error, **more)


def in_place(step: Step, results: tuple[StoredStep, ...]) -> Step:
    """Return the step with its source step's box as region, if that has exactly one confident box."""
    if step.region_from is None:
        return step
    found = results[step.region_from]
    doubted = any(verified and not verified.agrees for verified in found.verifications)
    sure = len(found.boxes) == 1 and not doubted and not is_unsure(found.boxes[0])
    return replace(step, region=found.boxes[0] if sure else None)


class _StepListener:
    """Forwards one step's generation, a batch of one request, to the turn's listener."""

    def __init__(self, listener: TurnListener, step: int) -> None:
        self._listener = listener
        self._step = step
        self._stopped = False

    def on_text(self, request: int, raw: str) -> None:  # noqa: ARG002
        self._listener.on_text(self._step, raw)

    def should_stop(self) -> bool:
        self._stopped = self._stopped or self._listener.should_stop()
        return self._stopped


def _run_step(context: RunContext, step: Step, number: int) -> StoredStep:
    name = context.model.name
    if step.reply:
        return done(step, REPLIES[step.reply], model=name)
    start = time.perf_counter()
    image, listener = context.image, context.listener
    step_listener = _StepListener(listener, number) if listener else None
    try:
        request = _request(step, image, context.history)
        generation = context.model.generate([request], step_listener)[0]
    except (AssistantError, ValueError) as error:
        logger.info("step %s failed", step.name, exc_info=True)
        return failed(step, str(error), seconds=time.perf_counter() - start, model=name)
    grounded = generation.grounded
    # An answer that reaches its maximum length is incomplete too, but not stopped.
    stopped = step_listener is not None and not generation.complete and step_listener.should_stop()
    text = (compose_unfinished if stopped else compose)(step, grounded)
    phrases = _phrases(step, grounded)
    if context.verify and image is not None and not stopped:
        phrases = ask_back(context.model, step, phrases, image, step_listener)
        boxes = [box for phrase in phrases for box in phrase.boxes]
        text = compose_doubt(step, text, boxes)
        phrases = () if is_retracted(step, boxes) else phrases
    seconds = time.perf_counter() - start
    return done(step, text, raw=grounded.raw, phrases=phrases, seconds=seconds, model=name, stopped=stopped)


def _request(step: Step, image: Image.Image | None, history: tuple[Turn, ...]) -> Request:
    if image is None and step.task is not None:
        raise AssistantError("there is no image: give one")
    if step.task is Task.IDENTIFY and step.region is None:
        raise AssistantError(NO_REGION)
    region = step.region if image else None
    history = () if step.task or region else history
    return Request(step.task, step.argument, region, image, history, step.typed)


def _phrases(step: Step, grounded: GroundedText) -> tuple[GroundedPhrase, ...]:
    """Return the phrases; a box without a phrase takes the step's argument as its name."""
    if step.task is Task.IDENTIFY and step.region is not None:
        return (GroundedPhrase(grounded.text, (step.region,)),)
    named = (replace(phrase, text=phrase.text or step.argument) for phrase in grounded.phrases)
    if step.task is Task.REFER:
        return tuple(GroundedPhrase(phrase.text, phrase.boxes[:1]) for phrase in named)[:1]
    return _without_repeats(named)


def _without_repeats(phrases: Iterable[GroundedPhrase]) -> tuple[GroundedPhrase, ...]:
    """Drop boxes that a small model repeats for the same phrase."""
    seen: set[tuple[str, Box]] = set()
    kept: list[GroundedPhrase] = []
    for phrase in phrases:
        boxes = tuple(box for box in dict.fromkeys(phrase.boxes) if (phrase.text, box) not in seen)
        seen.update((phrase.text, box) for box in boxes)
        if boxes:
            kept.append(GroundedPhrase(phrase.text, boxes, phrase.start))
    return tuple(kept)
