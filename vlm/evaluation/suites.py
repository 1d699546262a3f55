"""The suites over a folder of annotated photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..data.photos import Photo, PhotoFolder
from ..errors import DataError
from . import hallucination, localization, phrases, text_suites
from .items import EvaluationSet, Item, Score, Suite

Build = Callable[[Photo], list[Item]]


def _alone(build: Build) -> Callable[[Sequence[Photo]], Build]:
    """Return a builder for suites that ask of each photo by itself, whatever the others show."""
    return lambda _: build


SUITES: dict[str, tuple[Callable[[Sequence[Photo]], Build], Score]] = {
    "phrase_refer": (_alone(phrases.refer_items), phrases.refer_score),
    "phrase_identify": (_alone(phrases.identify_items), phrases.identify_score),
    "phrase_grounding": (_alone(phrases.grounding_items), phrases.grounding_score),
    "phrase_detection": (_alone(phrases.detection_items), phrases.detection_score),
    "phrase_absent": (phrases.absent_items, phrases.absent_score),
    "phrase_presence": (phrases.presence_items, phrases.presence_score),
    "refer": (_alone(localization.refer_items), localization.refer_score),
    "caption": (_alone(text_suites.caption_items), text_suites.caption_score),
    "vqa": (_alone(text_suites.vqa_items), text_suites.vqa_score),
    "counting": (_alone(text_suites.counting_items), text_suites.counting_score),
    "identify": (_alone(text_suites.identify_items), text_suites.identify_score),
    "detection": (_alone(localization.detection_items), localization.detection_score),
    "grounding": (_alone(localization.grounding_items), localization.grounding_score),
    "hallucination": (_alone(hallucination.description_items), hallucination.description_score),
    "absent": (_alone(hallucination.absent_items), hallucination.absent_score),
    "presence": (_alone(hallucination.presence_items), hallucination.presence_score),
}
"""What is asked over photos, and how all the answers are scored, by the suite's name.

Those called `phrase_...` ask about what people named and boxed; the others about a detector's boxes.
"""


def photo_set(folder: PhotoFolder, names: Sequence[str] | None = None) -> EvaluationSet:
    """Return the named suites over annotated photos, by default every one that the annotations allow.

    Raises:
        DataError: no photo has what a named suite needs, or what any suite needs.
    """
    photos = {photo.image: photo for photo in folder.photos}
    suites: dict[str, Suite] = {}
    for name in names or SUITES:
        build, score = SUITES[name]
        of_one = build(folder.photos)
        items = [item for photo in folder.photos for item in of_one(photo)]
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
