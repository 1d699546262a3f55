"""Florence-2: a task's token in, `phrase<loc_12><loc_34><loc_56><loc_78>` out, in thousandths of the sides.

From its paper (arXiv 2311.06242, section 3) and model card. A location is the middle of one of a thousand
bins, x before y. It answers no questions.
"""

from __future__ import annotations

import re

from ...answers import Request
from ...errors import AssistantError
from ...grounding import BINS, Box
from ...tasks import ABSENT_ANSWER, BOX_TASKS, Task
from .base import Dialect, LabelledBox, Reading, Size, checked_argument, plain, to_box, within

_SCALE = 1000
_LOCATIONS = re.compile(r"(?:<loc_\d{1,3}>\s?){4}")
_LOCATION = re.compile(r"<loc_\d{1,3}>")


def _ask(request: Request, _: Size) -> str:
    argument = checked_argument(request)
    match request.task:
        case Task.CAPTION:
            return "<CAPTION>"
        case Task.REFER:
            return f"<CAPTION_TO_PHRASE_GROUNDING>{argument}"
        case Task.DETECTION:
            return f"<OPEN_VOCABULARY_DETECTION>{argument}"
        case Task.GROUNDING:
            return "<DENSE_REGION_CAPTION>"
        case Task.IDENTIFY if request.region:
            return f"<REGION_TO_CATEGORY>{_written(request.region)}"
        case _:
            raise AssistantError("Florence-2 answers no questions: have it describe, find or name things")


def _written(box: Box) -> str:
    return "".join(f"<loc_{min(value * _SCALE // BINS, _SCALE - 1)}>" for value in box.bins)


def _read(request: Request, text: str, _: Size) -> Reading:
    words = plain(_LOCATION.sub("", text))
    if request.task not in BOX_TASKS:
        return Reading(words)
    found = []
    label, cursor = "", 0
    for match in _LOCATIONS.finditer(text):
        label = plain(text[cursor : match.start()]).strip(" ,;.") or label
        cursor = match.end()
        x0, y0, x1, y1 = (int(value[5:-1]) + 0.5 for value in _LOCATION.findall(match[0]))
        if (box := to_box((x0, y0, x1, y1), (_SCALE, _SCALE))) is not None:
            found.append(LabelledBox(label, box, *match.span()))
    if request.task is Task.GROUNDING:
        labels = dict.fromkeys(one.label for one in found if one.label)
        return Reading(", ".join(labels) or words, tuple(found))
    # If it finds nothing, it repeats the phrase without a location.
    return Reading(words, tuple(found)) if found else Reading(ABSENT_ANSWER if not cursor else words)


FLORENCE = Dialect(
    name="florence-2",
    model_names=re.compile(r"florence", re.IGNORECASE),
    ask=_ask,
    read=_read,
    sizes=within(768),
    extras={"skip_special_tokens": False},
)
