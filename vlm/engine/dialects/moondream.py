"""Moondream by its own HTTP API: `/caption`, `/query`, `/detect` and `/point`.

From Moondream's API reference and the source of its Python client: an image is sent as a data URL in
`image_url`; boxes come back as `{"objects": [{"x_min": …, "y_min": …, "x_max": …, "y_max": …}]}` and points
as `{"points": [{"x": …, "y": …}]}`, in fractions of the sides. The same server runs in the cloud and as
Moondream Station, at port 2020. It gives no confidences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...answers import Request
from ...errors import AssistantError
from ...grounding import Box
from ...tasks import ABSENT_ANSWER, Task
from .base import (
    Dialect,
    LabelledBox,
    Post,
    Reading,
    Size,
    checked_argument,
    plain,
    plain_prompt,
    to_box,
    within,
)

_SIDES = ("x_min", "y_min", "x_max", "y_max")
_MAX_PHRASES = 8


async def _answer(request: Request, image_url: str, post: Post) -> Reading:
    """Make the calls that the task needs, one after the other."""
    argument = checked_argument(request)
    if not image_url:
        raise AssistantError("Moondream talks about nothing but images: give one")
    image = {"image_url": image_url}
    match request.task:
        case Task.CAPTION | Task.GROUNDING:
            length = "short" if request.task is Task.CAPTION else "normal"
            answer = await post("/caption", {**image, "length": length, "stream": False})
            return Reading(_text(answer, "caption"))
        case Task.REFER:
            return await _refer(argument, image, post)
        case Task.DETECTION:
            things = list(filter(None, re.split(r"\s*(?:[,;]|\band\b)\s*", argument)))[:_MAX_PHRASES]
            each = [(name, await _detect(name, image, post)) for name in things]
            found = tuple(LabelledBox(name, box) for name, boxes in each for box in boxes)
            return Reading("" if found else ABSENT_ANSWER, found)
        case _:
            question = plain_prompt(request, _format_region(request.region) if request.region else "")
            return Reading(
                _text(await post("/query", {**image, "question": question, "stream": False}), "answer")
            )


async def _refer(expression: str, image: Mapping[str, Any], post: Post) -> Reading:
    """Detect; of several boxes take the smallest that contains the point for the expression."""
    boxes = await _detect(expression, image, post)
    if len(boxes) > 1:
        points = _things(await post("/point", {**image, "object": expression}), "points", ("x", "y"))
        pointed = [box for x, y in points[:1] for box in boxes if _contains(box, x, y)]
        boxes = sorted(pointed, key=lambda box: box.area)[:1] or boxes
    return Reading("", (LabelledBox("", boxes[0]),)) if boxes else Reading(ABSENT_ANSWER)


async def _detect(thing: str, image: Mapping[str, Any], post: Post) -> list[Box]:
    corners = _things(await post("/detect", {**image, "object": thing}), "objects", _SIDES)
    boxes = (to_box((x0, y0, x1, y1), (1.0, 1.0)) for x0, y0, x1, y1 in corners)
    return [box for box in boxes if box is not None]


def _things(answer: Mapping[str, Any], key: str, sides: tuple[str, ...]) -> list[tuple[float, ...]]:
    things = answer.get(key)
    if not isinstance(things, list):
        raise AssistantError(f"the server answered without {key!r}: is it Moondream's own API?")
    read = [tuple(thing.get(side) if isinstance(thing, dict) else None for side in sides) for thing in things]
    return [values for values in read if all(isinstance(value, int | float) for value in values)]  # type: ignore[misc]


def _text(answer: Mapping[str, Any], key: str) -> str:
    text = answer.get(key)
    if not isinstance(text, str):
        raise AssistantError(f"the server answered without {key!r}: is it Moondream's own API?")
    return plain(text)


def _contains(box: Box, x: float, y: float) -> bool:
    x0, y0, x1, y1 = box.to_pixels(1, 1)
    return x0 <= x <= x1 and y0 <= y <= y1


def _format_region(box: Box) -> str:
    return "[" + ", ".join(f"{value:.2f}" for value in box.to_pixels(1, 1)) + "]"


def _ask(request: Request, _: Size) -> str:
    return request.argument


def _read(_request: Request, text: str, _size: Size) -> Reading:
    return Reading(plain(text))


MOONDREAM = Dialect(
    name="moondream",
    # On other servers it speaks the chat API; its own servers are recognised by their address.
    model_names=re.compile(r"(?!)"),
    ask=_ask,
    read=_read,
    sizes=within(1536),
    post=_answer,
)
