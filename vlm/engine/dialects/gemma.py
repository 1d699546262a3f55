"""Google's models: y comes first.

PaliGemma answers `detect cat ; dog` with `<loc0123><loc0045><loc0900><loc0700> cat ; …`, each number y or x
in 1024ths of the side (arXiv 2407.07726, section 3.2.4, and its model card). Gemma and Gemini write
`[{"box_2d": [y0, x0, y1, x1], "label": "…"}]` in thousandths (Gemini's documentation on object detection;
according to its card Gemma 3 was not trained for boxes, so take its boxes as guesses).
"""

from __future__ import annotations

import re

from ...answers import Request
from ...errors import AssistantError
from ...grounding import BINS, Box
from ...tasks import ABSENT_ANSWER, Task
from .base import (
    Dialect,
    LabelledBox,
    Reading,
    Size,
    checked_argument,
    plain,
    to_box,
    within,
    without_thoughts,
)
from .json_boxes import Form

_FORM = Form("box_2d", "in coordinates from 0 to 1000 relative to the image, y before x", y_first=True)
_SCALE = 1024
_LOCATIONS = re.compile(r"((?:<loc\d{4}>\s?){4})\s{0,4}([^<;\n]*)")
_LOCATION = re.compile(r"<loc\d{4}>")


def _read_gemma(request: Request, text: str, size: Size) -> Reading:
    if _LOCATIONS.search(text):  # a model fine-tuned on locations
        return _read_paligemma(request, text, size)
    return _FORM.read(request, text, size)


def _ask_paligemma(request: Request, _: Size) -> str:
    argument = checked_argument(request)
    match request.task:
        case Task.REFER:
            return f"detect {argument.replace(';', ',')}"
        case Task.DETECTION:
            things = re.split(r"\s*(?:[,;]|\band\b)\s*", argument)
            return f"detect {' ; '.join(filter(None, things))}"
        case Task.IDENTIFY if request.region:
            return f"caption {_written(request.region)}"
        case Task.CAPTION | Task.GROUNDING:
            return "caption en"  # it has no format for a description with boxes
        case Task.VQA:
            return f"answer en {argument}"
        case _:
            raise AssistantError("PaliGemma talks about nothing but images: ask one of the six tasks")


def _written(box: Box) -> str:
    x0, y0, x1, y1 = (min(value * _SCALE // BINS, _SCALE - 1) for value in box.bins)
    return "".join(f"<loc{value:04}>" for value in (y0, x0, y1, x1))


def _read_paligemma(request: Request, text: str, _: Size) -> Reading:
    text = without_thoughts(text)
    found = []
    for match in _LOCATIONS.finditer(text):
        y0, x0, y1, x1 = (float(value[4:8]) for value in _LOCATION.findall(match[1]))
        if (box := to_box((x0, y0, x1, y1), (_SCALE, _SCALE))) is not None:
            found.append(LabelledBox(plain(match[2]), box, *match.span(1)))
    words = plain(_LOCATION.sub(" ", text))
    if request.task in (Task.REFER, Task.DETECTION) and not found and not _LOCATION.search(text):
        return Reading(ABSENT_ANSWER)  # its only way to deny
    return Reading(words, tuple(found))


PALIGEMMA = Dialect(
    name="paligemma",
    model_names=re.compile(r"paligemma", re.IGNORECASE),
    ask=_ask_paligemma,
    read=_read_paligemma,
    sizes=within(896),
    extras={"skip_special_tokens": False},
)
GEMMA = Dialect(
    name="gemma",
    model_names=re.compile(r"gemma|gemini", re.IGNORECASE),
    ask=_FORM.ask,
    read=_read_gemma,
    sizes=within(1344),
)
