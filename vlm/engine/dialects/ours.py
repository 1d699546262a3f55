"""Our dialect: MiniGPT-v2's identifiers, boxes `{<x0><y0><x1><y1>}` in hundredths (arXiv 2310.09478, 2.2)."""

from __future__ import annotations

import re

from ...answers import Request
from ...grounding import find_boxes, parse
from ...tasks import BOX_TASKS
from .base import Dialect, LabelledBox, Reading, Size, checked_argument, reading_of, within


def _ask(request: Request, _: Size) -> str:
    checked_argument(request)
    return request.turns[-1].user


def _read(request: Request, text: str, _: Size) -> Reading:
    grounded = parse(text)
    if request.task not in BOX_TASKS:
        return Reading(grounded.text.strip())
    labels = [phrase.text.strip() for phrase in grounded.phrases for _ in phrase.boxes]
    spans = find_boxes(text)
    found = tuple(
        LabelledBox(label, span.box, span.start, span.end) for label, span in zip(labels, spans, strict=True)
    )
    return reading_of(request, grounded.text.strip(), found)


OURS = Dialect(
    name="ours",
    model_names=re.compile(r"minigpt|(?:\A|/)nano\Z", re.IGNORECASE),
    ask=_ask,
    read=_read,
    sizes=within(896),  # twice what the paper's model sees
    zooms=True,
    lossless=True,  # for the answers of the local engine: they change with the pixels
)
