"""Streams that a mixture draws from: at each index an image, a view of it, and samples about that view.

A draw depends on the index and the seed alone, and does not read the image.
"""

from __future__ import annotations

import logging
import random
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Protocol

from PIL import Image

from ..errors import DataError
from ..models.weights import cache_folder
from ..prompt_form import OURS, PromptForm
from ..tasks import split_identifier
from .absent import AbsentNames
from .colours import with_colours
from .configuration import MixtureConfig
from .expressions import expressions
from .instructions import ABSENT_TASKS, BUILDERS, Sample, absent_sample, dialogue, sample_from_record
from .photos import Photo, PhotoFolder
from .record_file import RecordFile
from .records import ImageReference
from .shuffling import shuffled
from .views import View, random_window

logger = logging.getLogger(__name__)


WHOLE_IMAGE = View()


@dataclass(frozen=True)
class Draw:
    """The location of an image or None, a view of it, and samples about that view.

    `references` are the human captions of the view.
    """

    picture: ImageReference | None
    samples: list[Sample]
    view: View = WHOLE_IMAGE
    references: tuple[str, ...] = ()

    def image(self) -> Image.Image | None:
        """Read the image and apply the view.

        Raises:
            DataError: it is missing or damaged.
        """
        return None if self.picture is None else self.view.image(self.picture.read())


class Stream(Protocol):
    """An endless series of draws; if it `crops`, some views are random crops."""

    crops: bool = False

    def draw(self, index: int, seed: int) -> Draw:
        """Return the draw at an index, the same for the same seed."""

    def references(self) -> list[tuple[str, ...]]:
        """Return the human captions of each image that has some, by default of none."""
        return []


class PhotoStream(Stream):
    """Annotated photos, with new samples for every view.

    Raises:
        DataError: no photo has an annotation to train on.
    """

    def __init__(self, folder: PhotoFolder, config: MixtureConfig) -> None:
        self.folder = folder
        self.config = config
        self.crops = config.crop > 0
        photos = with_colours(folder, cache_folder() / "colours") if config.colours else folder.photos
        self._absent = AbsentNames(photos)
        self.photos = [photo for photo in photos if self._samples(photo, random.Random(0))]
        if not self.photos:
            raise DataError(f"no photo of {folder.folder} ({folder.split}) has an annotation to train on")
        if len(self.photos) < len(folder.photos):
            logger.warning("%d photos have no annotation to train on", len(folder.photos) - len(self.photos))
        weights = [config.grounded_weight if expressions(photo) else 1.0 for photo in self.photos]
        self._cumulative_weights = list(accumulate(weights))

    def draw(self, index: int, seed: int) -> Draw:
        """Return a view of a photo with samples of each task."""
        random_ = random.Random(f"{seed}:{index}")
        photo = self.photos[self._photo_index(index, seed)]
        view = View(mirror=random_.random() < self.config.mirror)
        samples: list[Sample] = []
        if photo.objects and random_.random() < self.config.crop:
            part = replace(view, window=random_window(random_))
            samples = self._samples(part.photo(photo), random_)
            if samples:
                view = part
        samples = samples or self._samples(view.photo(photo), random_)
        while not samples:  # mirroring can leave no sample
            view = WHOLE_IMAGE
            samples = self._samples(photo, random_)
        if view.window is None:  # captions do not say what a crop shows
            samples += self._absent_samples(view.photo(photo), random_)
        references = view.photo(photo).captions
        return Draw(self.folder.reference(photo), _arranged(samples, self.config, random_), view, references)

    def references(self) -> list[tuple[str, ...]]:
        """Return the captions of each photo that has some."""
        return [photo.captions for photo in self.photos if photo.captions]

    def _photo_index(self, index: int, seed: int) -> int:
        """Return the index of a photo, drawn by weight.

        Every pass of as many indices as photos spreads the draws evenly over the weights (systematic
        sampling), so that a photo is drawn as regularly as its weight allows.
        """
        count = len(self.photos)
        offset = random.Random(f"{seed}:{index // count}").random()
        point = (shuffled(index, count, seed) + offset) / count * self._cumulative_weights[-1]
        return min(bisect_right(self._cumulative_weights, point), count - 1)

    def _absent_samples(self, photo: Photo, random_: random.Random) -> list[Sample]:
        """Return samples about absent things, a different one for each task."""
        denials: list[Sample] = []
        for task in ABSENT_TASKS:
            if self.config.per_task.get(task) and random_.random() < self.config.absent:
                name = self._absent.draw(photo, random_)
                denials += [] if name is None else [absent_sample(task, name, random_)]
        return denials

    def _samples(self, photo: Photo, random_: random.Random) -> list[Sample]:
        chosen: list[Sample] = []
        for task, most in self.config.per_task.items():
            samples = BUILDERS[task](photo, random_)
            chosen += random_.sample(samples, min(most, len(samples)))
        return chosen


class RecordStream(Stream):
    """The images of a dataset, each with some of its conversations.

    Every pass of as many indices as images draws each image once, in a new order; a mixture of several
    streams takes only some of the indices of each.
    """

    def __init__(self, records: RecordFile, config: MixtureConfig, form: PromptForm = OURS) -> None:
        self.records = records
        self.config = config
        self.form = form

    def draw(self, index: int, seed: int) -> Draw:
        """Return an image, or none, with conversations about it."""
        random_ = random.Random(f"{seed}:{index}")
        found = self.records.records_of(shuffled(index, len(self.records), seed))
        chosen = random_.sample(found, min(self.config.per_picture, len(found)))
        samples = [sample_from_record(record, random_, self.form) for record in chosen]
        return Draw(found[0].picture, _arranged(samples, self.config, random_))


def _arranged(samples: list[Sample], config: MixtureConfig, random_: random.Random) -> list[Sample]:
    """Join the samples into one conversation with probability `dialogue`, and drop identifiers if configured.

    Published conversations are not joined.
    """
    if random_.random() < config.dialogue and not any(sample.follow_ups for sample in samples):
        samples = [dialogue(samples, random_)]
    return samples if config.identifiers else [_without_identifiers(sample) for sample in samples]


def _without_identifiers(sample: Sample) -> Sample:
    _, words = split_identifier(sample.turn.user)
    follow_ups = tuple(map(_without_identifiers, sample.follow_ups))
    return replace(sample, turn=replace(sample.turn, user=words), follow_ups=follow_ups)
