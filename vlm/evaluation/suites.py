"""The suites over a folder of annotated photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..data.photos import Photo, PhotoFolder
from ..errors import DataError
from . import hallucination, locating, telling
from .items import EvaluationSet, Item, Score, Suite

SUITES: dict[str, tuple[Callable[[Photo], list[Item]], Score]] = {
    "refer": (locating.refer_items, locating.refer_score),
    "caption": (telling.caption_items, telling.caption_score),
    "vqa": (telling.vqa_items, telling.vqa_score),
    "counting": (telling.counting_items, telling.counting_score),
    "identify": (telling.identify_items, telling.identify_score),
    "detection": (locating.detection_items, locating.detection_score),
    "grounding": (locating.grounding_items, locating.grounding_score),
    "hallucination": (hallucination.description_items, hallucination.description_score),
    "absent": (hallucination.absent_items, hallucination.absent_score),
    "presence": (hallucination.presence_items, hallucination.presence_score),
}
"""What is asked over a photo, and how all the answers are scored, by the suite's name."""


def photo_set(folder: PhotoFolder, names: Sequence[str] | None = None) -> EvaluationSet:
    """Return the named suites over annotated photos, by default every one that the annotations allow.

    Raises:
        DataError: no photo has what a named suite needs, or what any suite needs.
    """
    photos = {photo.image: photo for photo in folder.photos}
    suites: dict[str, Suite] = {}
    for name in names or SUITES:
        build, score = SUITES[name]
        items = [item for photo in folder.photos for item in build(photo)]
        if items:
            suites[name] = Suite(items, score)
        elif names:
            raise DataError(f"no photo of {folder.folder} ({folder.split}) has what {name!r} needs")
    if not suites:
        raise DataError(f"no photo of {folder.folder} ({folder.split}) has anything to be asked about")
    return EvaluationSet(
        folder.folder.name, folder.split, len(photos), suites, lambda image: folder.read(photos[image])
    )


__all__ = ["SUITES", "photo_set"]
