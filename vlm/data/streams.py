"""What a mixture draws from: at every index a picture, a view of it, and what is asked over that.

A draw depends on the index and the seed alone, and reads no picture.
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
from ..tasks import split_identifier
from ..weights import cache_folder
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


WHOLE = View()


@dataclass(frozen=True)
class Draw:
    """A picture that is not read yet, or none, and what is asked over the view of it.

    `references` are all captions that people gave what is seen in the view.
    """

    picture: ImageReference | None
    samples: list[Sample]
    view: View = WHOLE
    references: tuple[str, ...] = ()

    def image(self) -> Image.Image | None:
        """Read the picture and return what the view shows of it.

        Raises:
            DataError: it is not there, or damaged.
        """
        return None if self.picture is None else self.view.picture(self.picture.read())


class Stream(Protocol):
    """An endless series of draws; where it `crops`, some show but a part of a picture, cut out by chance."""

    crops: bool

    def draw(self, index: int, seed: int) -> Draw:
        """Return the draw at an index, always the same for the same seed."""
        ...

    def references(self) -> list[tuple[str, ...]]:
        """Return, for each picture whose captions by people are known, all of them."""
        ...


class PhotoStream:
    """Annotated photos, asked about anew in every view.

    Raises:
        DataError: no photo has an annotation to learn from.
    """

    def __init__(self, folder: PhotoFolder, config: MixtureConfig) -> None:
        self.folder = folder
        self.config = config
        self.crops = config.crop > 0
        photos = with_colours(folder, cache_folder() / "colours") if config.colours else folder.photos
        self._absent = AbsentNames(photos)
        self.photos = [photo for photo in photos if self._samples(photo, random.Random(0))]
        if not self.photos:
            raise DataError(f"no photo of {folder.folder} ({folder.split}) has an annotation to learn from")
        if len(self.photos) < len(folder.photos):
            logger.warning("%d photos have nothing to learn from", len(folder.photos) - len(self.photos))
        weights = [config.grounded_weight if expressions(photo) else 1.0 for photo in self.photos]
        self._cumulative_weights = list(accumulate(weights))

    def draw(self, index: int, seed: int) -> Draw:
        """Return a view of a photo and samples of each task over it."""
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
        while not samples:  # some questions are there on one side of a border alone
            view = WHOLE
            samples = self._samples(photo, random_)
        if view.window is None:  # a part may not show what its photo does
            samples += self._absent_samples(view.photo(photo), random_)
        references = view.photo(photo).captions
        return Draw(self.folder.reference(photo), _arrange(samples, self.config, random_), view, references)

    def references(self) -> list[tuple[str, ...]]:
        """Return the captions of each photo that has some."""
        return [photo.captions for photo in self.photos if photo.captions]

    def _photo_index(self, index: int, seed: int) -> int:
        """Return which photo is drawn, by its weight.

        In every pass of as many indices as there are photos, the draws are spread evenly over the weights, so
        that no photo waits longer for its turn than its weight says, where all indices are drawn.
        """
        count = len(self.photos)
        offset = random.Random(f"{seed}:{index // count}").random()
        point = (shuffled(index, count, seed) + offset) / count * self._cumulative_weights[-1]
        return min(bisect_right(self._cumulative_weights, point), count - 1)

    def _absent_samples(self, photo: Photo, random_: random.Random) -> list[Sample]:
        """Return questions about things that are not there, a different one for each task."""
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


class RecordStream:
    """The pictures of a data set, each with some of the conversations over it.

    Every picture has one place in each pass of as many indices as there are pictures, in a new shuffled
    order; a mixture of several streams takes only some of the indices from each.
    """

    def __init__(self, records: RecordFile, config: MixtureConfig) -> None:
        self.records = records
        self.config = config
        self.crops = False

    def draw(self, index: int, seed: int) -> Draw:
        """Return a picture, or none, and conversations over it."""
        random_ = random.Random(f"{seed}:{index}")
        found = self.records.records_of(shuffled(index, len(self.records), seed))
        chosen = random_.sample(found, min(self.config.per_picture, len(found)))
        samples = [sample_from_record(record, random_) for record in chosen]
        return Draw(found[0].picture, _arrange(samples, self.config, random_))

    def references(self) -> list[tuple[str, ...]]:
        """Return nothing: records are questions and answers, not all that is said of a picture."""
        return []


def _arrange(samples: list[Sample], config: MixtureConfig, random_: random.Random) -> list[Sample]:
    """Return the samples as they are asked: in one conversation, by chance, and with identifiers or without.

    Conversations that were published stay as they are.
    """
    if random_.random() < config.dialogue and not any(sample.follow_ups for sample in samples):
        samples = [dialogue(samples, random_)]
    return samples if config.identifiers else [_without_identifiers(sample) for sample in samples]


def _without_identifiers(sample: Sample) -> Sample:
    _, words = split_identifier(sample.turn.user)
    follow_ups = tuple(map(_without_identifiers, sample.follow_ups))
    return replace(sample, turn=replace(sample.turn, user=words), follow_ups=follow_ups)


__all__ = ["Draw", "PhotoStream", "RecordStream", "Stream"]
