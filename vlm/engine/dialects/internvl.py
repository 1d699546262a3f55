"""InternVL: `<ref>phrase</ref><box>[[x0, y0, x1, y1], …]</box>` in thousandths of the sides.

From the model cards of InternVL2 to 3.5 (visual grounding) and InternVL's data format for grounding. The tags
are control tokens that some servers strip, so boxes are read without them too.
"""

from __future__ import annotations

import re

from ...answers import Request
from ...grounding import BINS, Box
from ...tasks import BOX_TASKS, Task
from .base import (
    Dialect,
    LabelledBox,
    Reading,
    Size,
    checked_argument,
    plain,
    plain_prompt,
    reading_of,
    to_box,
    within,
    without_thoughts,
)

_SCALE = 1000
_NUMBER = r"\s{0,4}(-?\d{1,6}(?:\.\d{1,6})?)\s{0,4}"
_QUAD = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_REF = re.compile(r"<ref>((?:[^<]|<(?!/?ref>|box>))*+)(?:</ref>|(?=<box>)|\Z)")
_MARKUP = re.compile(r"</?ref>|<box>.*?(?:</box>|\Z)|</box>|\[\s{0,4}\[[-\d\s.,\[\]]*\]?", re.DOTALL)
_SEPARATOR = re.compile(r"[\s,;\[\]]*")


def _ask(request: Request, _: Size) -> str:
    argument = checked_argument(request)
    match request.task:
        case Task.REFER:
            return (
                "Please provide the bounding box coordinate of the region this sentence describes: "
                f"<ref>{argument}</ref>. If it is not in the image, answer: none."
            )
        case Task.DETECTION:
            return (
                f"Please detect and label all of these in the image: <ref>{argument}</ref>. Give "
                "each as <ref>label</ref><box>[[x1, y1, x2, y2]]</box>. If there is none, answer: none."
            )
        case Task.GROUNDING:
            return (
                f"{argument or 'Please describe the image in detail.'} Mark each thing that you name "
                "with its bounding box, as <ref>phrase</ref><box>[[x1, y1, x2, y2]]</box>."
            )
        case _:
            return plain_prompt(request, _written(request.region) if request.region else "")


def _written(box: Box) -> str:
    return f"<box>[[{', '.join(str(value * _SCALE // BINS) for value in box.bins)}]]</box>"


def _read(request: Request, text: str, _: Size) -> Reading:
    text = without_thoughts(text)
    words = plain(_MARKUP.sub("", text))
    if request.task not in BOX_TASKS:
        return Reading(words)
    found = []
    label, cursor = "", 0
    for match in _QUAD.finditer(text):
        label = _label(text[cursor : match.start()], label, request.task)
        cursor = match.end()
        a, b, c, d = map(float, match.groups())
        if (box := to_box((a, b, c, d), (_SCALE, _SCALE))) is not None:
            found.append(LabelledBox(label, box, match.start(), match.end()))
    return reading_of(request, words, tuple(found))


def _label(before: str, last: str, task: Task | None) -> str:
    """Return a box's label from the text before it: a new phrase, or the last one after a mere separator."""
    refs = _REF.findall(before)
    if refs:
        return plain(refs[-1])
    bare = re.sub(r"</?box>", "", before)
    if _SEPARATOR.fullmatch(bare):
        return last
    # Without tags, nothing shows where in a sentence the phrase begins.
    return "" if task is Task.GROUNDING else plain(bare.rstrip("[ :").rpartition("\n")[2]).strip(" ,;:.]-")


INTERNVL = Dialect(
    name="internvl",
    model_names=re.compile(r"intern[-_ ]?(?:vl|s1)", re.IGNORECASE),
    ask=_ask,
    read=_read,
    sizes=within(1344),
    extras={"skip_special_tokens": False},
)
