"""The suites for annotated photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..data.photos import Photo, PhotoFolder
from ..errors import DataError
from . import hallucination, localization, phrases, text_suites
from .items import EvaluationSet, Item, Score, Suite

Build = Callable[[Photo], list[Item]]


def _per_photo(build: Build) -> Callable[[Sequence[Photo]], Build]:
    """Adapt a builder that needs one photo only to the signature that also takes all photos."""
    return lambda _: build


SUITES: dict[str, tuple[Callable[[Sequence[Photo]], Build], Score]] = {
    "phrase_refer": (_per_photo(phrases.refer_items), phrases.refer_score),
    "phrase_identify": (_per_photo(phrases.identify_items), phrases.identify_score),
    "phrase_grounding": (_per_photo(phrases.grounding_items), phrases.grounding_score),
    "phrase_detection": (_per_photo(phrases.detection_items), phrases.detection_score),
    "phrase_absent": (phrases.absent_items, phrases.absent_score),
    "phrase_presence": (phrases.presence_items, phrases.presence_score),
    "refer": (_per_photo(localization.refer_items), localization.refer_score),
    "caption": (_per_photo(text_suites.caption_items), text_suites.caption_score),
    "vqa": (_per_photo(text_suites.vqa_items), text_suites.vqa_score),
    "counting": (_per_photo(text_suites.counting_items), text_suites.counting_score),
    "identify": (_per_photo(text_suites.identify_items), text_suites.identify_score),
    "detection": (_per_photo(localization.detection_items), localization.detection_score),
    "grounding": (_per_photo(localization.grounding_items), localization.grounding_score),
    "hallucination": (_per_photo(hallucination.description_items), hallucination.description_score),
    "absent": (_per_photo(hallucination.absent_items), hallucination.absent_score),
    "presence": (_per_photo(hallucination.presence_items), hallucination.presence_score),
}
"""The item builder and score of each suite.

The `phrase_...` suites ask about phrases that people boxed; the others about detections.
"""


def photo_set(folder: PhotoFolder, names: Sequence[str] | None = None) -> EvaluationSet:
    """Return the named suites for annotated photos, by default all that the annotations allow.

    Raises:
        DataError: no photo has the annotations for a named suite, or for any.
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
        raise DataError(f"no photo of {folder.folder} ({folder.split}) has annotations for any suite")
    return EvaluationSet(
        folder.folder.name, folder.split, len(photos), suites, lambda image: folder.read(photos[image])
    )
