"""Draw names of things that are not in a photo, so that the model learns to refuse them.

Names come from the phrases of other photos. A name counts as absent if no caption, phrase or detected object
of the photo hints at its noun. Captions mention only what stands out, so things that nobody would mention
(clothes, body parts, scenery) are never called absent.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from .photos import Photo
from .referents import head, is_plural, may_show, referents, strip_determiner

# For photos without captions: classes that the detector rarely misses.
PLAIN_CLASSES = (
    "dog", "cat", "horse", "bicycle", "boat", "bird", "cow", "umbrella", "train", "bus", "airplane",
    "elephant", "zebra", "giraffe", "bear", "sheep", "pizza", "teddy bear", "motorcycle", "surfboard",
    "toilet", "kite",
)  # fmt: skip
# Phrase types that captions rarely omit.
_SALIENT = {"animals", "vehicles", "instruments", "people", "other"}
# How often to deny people: most photos show some, and "yes" must not be a safe guess.
_NOBODY = 0.3
# Names to try before giving up.
_TRIES = 8


class AbsentNames:
    """Draws absent names from the phrases of all photos."""

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
        """Return the name of something that is not in the photo, None if none is certain."""
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
