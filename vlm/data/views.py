"""Mirror or crop a photo together with its annotations."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageOps

from .photos import DetectedObject, Photo, Phrase, Question

Window: TypeAlias = tuple[float, float, float, float]
"""`(left, top, right, bottom)` in fractions 0..1 of the image's width and height."""

# Do not ask for an object of which a crop shows less than this share ...
VISIBLE = 0.6
# ... but keep it as a rival, with a low score, while it shows more than this.
GLIMPSED = 0.1
GLIMPSED_SCORE = 0.3

_SIDES = {"left": "right", "right": "left"}
# "right next to" is not a side.
_SIDE = re.compile(
    r"\b(left|right(?!\s+(?:next|beside|behind|above|below|in front)\b))(?=(?:most)?\b)", re.IGNORECASE
)


@dataclass(frozen=True)
class View:
    """A view of a photo: mirrored if `mirror`, then cropped to `window`."""

    mirror: bool = False
    window: Window | None = None

    def photo(self, photo: Photo) -> Photo:
        """Return the annotations in the view."""
        if self.mirror:
            photo = mirrored(photo)
        return photo if self.window is None else cropped(photo, self.window)

    def image(self, image: Image.Image) -> Image.Image:
        """Return the view of an image."""
        if self.mirror:
            image = ImageOps.mirror(image)
        if self.window is None:
            return image
        left, top, right, bottom = self.window
        width, height = image.size
        return image.crop(
            (round(left * width), round(top * height), round(right * width), round(bottom * height))
        )


def random_window(random_: random.Random) -> Window:
    """Return a random window over half to all of each side."""
    width, height = random_.uniform(0.5, 1.0), random_.uniform(0.5, 1.0)
    left, top = random_.uniform(0, 1 - width), random_.uniform(0, 1 - height)
    return left, top, left + width, top + height


def mirrored(photo: Photo) -> Photo:
    """Return the annotations flipped left to right, with the words left and right swapped."""
    objects = tuple(item.model_copy(update={"box": _mirrored_box(item.box)}) for item in photo.objects)
    questions = tuple(
        Question(question=_swap_sides(item.question), answer=tuple(map(_swap_sides, item.answer)))
        for item in photo.questions
    )
    captions = tuple(map(_swap_sides, photo.captions))
    phrases = tuple(_mirrored_phrase(phrase, photo, captions) for phrase in photo.phrases)
    update = {"objects": objects, "questions": questions, "captions": captions, "phrases": phrases}
    return photo.model_copy(update=update)


def _mirrored_phrase(phrase: Phrase, photo: Photo, captions: tuple[str, ...]) -> Phrase:
    boxes = tuple(map(_mirrored_box, phrase.boxes))
    if not photo.captions:
        return phrase.model_copy(update={"boxes": boxes, "text": _swap_sides(phrase.text)})
    caption = photo.captions[phrase.caption]
    # Swap in the whole caption: the text after a phrase decides whether its "right" is a side.
    start, end = (_mirrored_offset(caption, place) for place in (phrase.start, phrase.end))
    text = captions[phrase.caption][start:end]
    return phrase.model_copy(update={"boxes": boxes, "text": text, "start": start})


def _mirrored_offset(text: str, place: int) -> int:
    """Map an offset in a text to the text with its sides swapped."""
    sides = [match[1] for match in _SIDE.finditer(text) if match.end() <= place]
    return place + sum(len(_SIDES[side.lower()]) - len(side) for side in sides)


def _mirrored_box(box: Window) -> Window:
    return 1 - box[2], box[1], 1 - box[0], box[3]


def cropped(photo: Photo, window: Window) -> Photo:
    """Return the objects and phrases in a window.

    Annotations of the whole photo (captions, questions, name) are dropped. A phrase with a box that is cut
    off loses its boxes; a phrase that is not visible at all is dropped.
    """
    objects = tuple(seen for item in photo.objects if (seen := _seen_through(window, item)) is not None)
    phrases = tuple(part for it in photo.phrases if (part := _phrase_through(window, it)) is not None)
    update = {"objects": objects, "phrases": phrases, "captions": (), "questions": (), "name": None}
    return photo.model_copy(update=update)


def _phrase_through(window: Window, phrase: Phrase) -> Phrase | None:
    seen = [_box_through(window, box) for box in phrase.boxes]
    if seen and all(visible < GLIMPSED for _, visible in seen):
        return None
    whole = all(visible >= VISIBLE for _, visible in seen)
    return phrase.model_copy(update={"boxes": tuple(box for box, _ in seen) if whole else ()})


def _seen_through(window: Window, item: DetectedObject) -> DetectedObject | None:
    box, visible = _box_through(window, item.box)
    if visible < GLIMPSED:
        return None
    score = item.score if visible >= VISIBLE else min(item.score, GLIMPSED_SCORE)
    return item.model_copy(update={"score": score, "box": box})


def _box_through(window: Window, box: Window) -> tuple[Window, float]:
    """Return a box clipped to the window, in fractions of it, and the share of its area inside, 0..1."""
    left, top, right, bottom = window
    x0, y0, x1, y1 = box
    seen = (max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))
    area = max(seen[2] - seen[0], 0.0) * max(seen[3] - seen[1], 0.0)
    width, height = right - left, bottom - top
    inside = (
        (seen[0] - left) / width,
        (seen[1] - top) / height,
        (seen[2] - left) / width,
        (seen[3] - top) / height,
    )
    return inside, area / max((x1 - x0) * (y1 - y0), 1e-9)


def _swap_sides(text: str) -> str:
    return _SIDE.sub(lambda match: _SIDES[match[1].lower()], text)
