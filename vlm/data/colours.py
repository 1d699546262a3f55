"""Measure the colours of objects from the pixels in the middle of their boxes, by eleven basic names.

Agreement with captions on the train photos, where one colour covers 70 % of the middle of the box: 91 % for a
single animal (n = 140), 85 % for the clothes of a single person (n = 66), 74 % for other single objects
(n = 53). Measured by `benchmarks/colours.py`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from ..atomic import write_text
from ..errors import DataError
from .photos import DetectedObject, Photo, PhotoFolder

logger = logging.getLogger(__name__)

# Upper bounds of hues in degrees; dark and pale pixels have no hue.
_HUES = {14: "red", 42: "orange", 68: "yellow", 170: "green", 255: "blue", 302: "purple", 345: "pink"}
_DARK, _PALE = 0.25, 0.18

# Colours of clothes that are rarely confused with skin, hair or shadow.
CLOTHES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
# Without grey: it is more often pavement, wall or shadow than the object.
THINGS = (*CLOTHES, "black", "brown")

# The sampled region in fractions of the box: a person's chest, the middle of other objects.
_CHEST = (0.3, 0.22, 0.7, 0.5)
_MIDDLE = (0.25, 0.25, 0.75, 0.75)
_SAMPLES = 16
# Smaller shares are dropped.
_LEAST = 0.05


def colour_shares(image: Image.Image, item: DetectedObject) -> dict[str, float]:
    """Return the share of each colour in the middle of an object's box, 0..1, without small shares."""
    x0, y0, x1, y1 = item.box
    left, top, right, bottom = _CHEST if item.label == "person" else _MIDDLE
    across, down = (x1 - x0) * image.width, (y1 - y0) * image.height
    if min(across, down) < 1:
        return {}
    x, y = x0 * image.width, y0 * image.height
    middle = (x + left * across, y + top * down, x + right * across, y + bottom * down)
    part = image.resize((_SAMPLES, _SAMPLES), Image.Resampling.BOX, box=middle)
    counts = Counter(_colour_names(part))
    return {name: count / _SAMPLES**2 for name, count in counts.items() if count >= _LEAST * _SAMPLES**2}


def dominant_colour(item: DetectedObject, share: float) -> str | None:
    """Return the colour that covers at least `share` of an object, None if there is no reliable one."""
    named = CLOTHES if item.label == "person" else THINGS
    return next((name for name in named if item.colours.get(name, 0.0) >= share), None)


def with_colours(folder: PhotoFolder, cache: Path) -> list[Photo]:
    """Return the folder's photos with the colours of their objects, measured once and cached.

    Raises:
        DataError: the cache cannot be written.
    """
    states = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in folder.files()]
    path = cache / f"{hashlib.sha256(repr((states, folder.split)).encode()).hexdigest()[:16]}.json"
    try:
        measured = json.loads(path.read_text()) if path.is_file() else _write_cache(_measure(folder), path)
    except OSError as error:
        raise DataError(
            f"cannot write the colours to {cache} ({error.strerror}): make room there, or set "
            "ASSISTANT_CACHE to another folder"
        ) from error
    return [_coloured(photo, measured[photo.image]) for photo in folder.photos]


def _measure(folder: PhotoFolder) -> dict[str, list[dict[str, float]]]:
    logger.info("measuring the colours of %d photos (once, then cached)", len(folder.photos))
    found: dict[str, list[dict[str, float]]] = {}
    for photo in folder.photos:
        try:
            image = folder.read(photo)
        except DataError:
            found[photo.image] = [{} for _ in photo.objects]  # training reports it when it draws the photo
        else:
            found[photo.image] = [colour_shares(image, item) for item in photo.objects]
    return found


def _write_cache(
    measured: dict[str, list[dict[str, float]]], path: Path
) -> dict[str, list[dict[str, float]]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(measured))
    return measured


def _coloured(photo: Photo, shares: list[dict[str, float]]) -> Photo:
    objects = tuple(
        item.model_copy(update={"colours": colours})
        for item, colours in zip(photo.objects, shares, strict=True)
    )
    return photo.model_copy(update={"objects": objects})


def _colour_names(image: Image.Image) -> list[str]:
    """Return the colour name of each pixel."""
    pixels = np.asarray(image.convert("HSV")).reshape(-1, 3) / 255
    hue, saturation, value = pixels[:, 0] * 360, pixels[:, 1], pixels[:, 2]
    pale = saturation < _PALE
    rules = {
        "black": (value < _DARK) | (pale & (value < 0.4)),
        "white": pale & (value > 0.75),
        "gray": pale,
        "brown": (hue >= 8) & (hue < 50) & ((value < 0.7) | (saturation < 0.5)),
    }
    named = np.select([hue <= border for border in _HUES], list(_HUES.values()), "red")
    names: list[str] = np.select(list(rules.values()), list(rules), named).tolist()
    return names
