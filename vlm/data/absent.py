"""Names of things that are not in a photo, so that a model learns to say so.

The phrases of other photos: what people look for in pictures. A name is absent where no caption, phrase or
detector's box of the photo hints at its noun. People caption what stands out, so what nobody would mention
(clothes, parts of bodies, scenery) is never called absent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from .photos import Photo
from .referents import head, is_plural, may_show, referents, strip_determiner

# Where nobody captioned a photo, only what a detector hardly misses is called absent.
PLAIN_CLASSES = (
    "dog", "cat", "horse", "bicycle", "boat", "bird", "cow", "umbrella", "train", "bus", "airplane",
    "elephant", "zebra", "giraffe", "bear", "sheep", "pizza", "teddy bear", "motorcycle", "surfboard",
    "toilet", "kite",
)  # fmt: skip
# The types of phrases that captions seldom leave out.
_SALIENT = {"animals", "vehicles", "instruments", "people", "other"}
# People are in most photos: denied often where there are none, or the answer could be told without looking.
_NOBODY = 0.3
# How many names are tried.
_TRIES = 8


class AbsentNames:
    """Draws from the names of all photos."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        self._names = [
            strip_determiner(name)
            for photo in photos
            for referent in referents(photo)
            if referent.type in _SALIENT and len(referent.boxes) == 1
            for name in referent.names
            if not is_plural(name)
        ]

    def draw(self, photo: Photo, random_: random.Random) -> str | None:
        """Return the name of something that is not in the photo; None where there is none to be sure of."""
        if not photo.captions and not photo.objects:
            return None
        if photo.captions and random_.random() < _NOBODY and not may_show(photo, "person"):
            return "person"
        common = not self._names or not photo.captions or random_.random() < 0.3
        names: Sequence[str] = PLAIN_CLASSES if common else self._names
        for _ in range(_TRIES):
            name = random_.choice(names)
            if head(name) and not may_show(photo, name):
                return name
        return None


__all__ = ["PLAIN_CLASSES", "AbsentNames"]
