"""Photos with phrases and boxes, written by hand."""

from __future__ import annotations

import re
from typing import Any

from assistant.vlm.data.photos import DetectedObject, Photo, Phrase

Fractions = tuple[float, float, float, float]
LEFT, MIDDLE, RIGHT = (0.0, 0.2, 0.2, 0.8), (0.4, 0.2, 0.6, 0.8), (0.75, 0.2, 0.95, 0.8)
BOXES = {"left": LEFT, "middle": MIDDLE, "right": RIGHT}

_MARKED = re.compile(r"\[(?P<words>[^|\]]+)\|(?P<chain>[^|\]]+)\|(?P<type>[^|\]]+)\|?(?P<boxes>[^\]]*)\]")


def phrased(*captions: str, objects: tuple[DetectedObject, ...] = (), **fields: Any) -> Photo:
    """Return a photo from captions like `[a man|1|people|left] walks`.

    A phrase is marked with its chain, its type and its boxes, any of left, middle and right.
    """
    phrases: list[Phrase] = []
    plain: list[str] = []
    for index, caption in enumerate(captions):
        text, cursor = "", 0
        for match in _MARKED.finditer(caption):
            text += caption[cursor : match.start()]
            phrases.append(
                Phrase(
                    text=match["words"],
                    caption=index,
                    start=len(text),
                    type=match["type"],
                    chain=match["chain"],
                    boxes=tuple(BOXES[place] for place in match["boxes"].split()),
                )
            )
            text, cursor = text + match["words"], match.end()
        plain.append(text + caption[cursor:])
    given: dict[str, Any] = {"image": "a.png", "source": "generated", "split": "train"} | fields
    return Photo(captions=tuple(plain), phrases=tuple(phrases), objects=objects, **given)


def seen(label: str, box: Fractions, score: float = 0.9) -> DetectedObject:
    """Return a detected object."""
    return DetectedObject(label=label, score=score, box=box)
