"""Which photo, which view of it and which questions: a training stream that its seed determines."""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, field, replace

import torch
from PIL import Image
from torch.utils.data import Dataset

from ..errors import DataError
from ..tasks import Task
from .expressions import expressions
from .instructions import BUILDERS, Sample
from .lengths import text_length
from .photos import Photo, PhotoFolder
from .views import View, random_window

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MixtureConfig:
    """How the stream is mixed.

    `per_task` is the most samples of each task asked over one view of a photo; `grounded_weight` is how
    much more often a photo with a referring expression is drawn than one without; `mirror` and `crop` are
    the probabilities of those views.
    """

    per_task: dict[Task, int] = field(
        default_factory=lambda: {
            Task.CAPTION: 3,
            Task.VQA: 1,
            Task.REFER: 3,
            Task.DETECTION: 1,
            Task.GROUNDING: 1,
            Task.IDENTIFY: 1,
        }
    )
    grounded_weight: float = 3.0
    mirror: float = 0.5
    crop: float = 0.4


@dataclass(frozen=True)
class Example:
    """One picture and the samples asked over it."""

    image: Image.Image
    samples: list[Sample]


class InstructionMixture(Dataset[Example]):
    """`length` examples; the one at an index depends on the seed and the index alone, so a run can resume."""

    def __init__(self, folder: PhotoFolder, config: MixtureConfig, length: int, seed: int) -> None:
        self.folder = folder
        self.photos = [photo for photo in folder.photos if _can_be_asked(photo)]
        if not self.photos:
            raise DataError(f"no photo of {folder.folder} ({folder.split}) has an annotation to learn from")
        if len(self.photos) < len(folder.photos):
            logger.warning("%d photos have nothing to learn from", len(folder.photos) - len(self.photos))
        self.config = config
        self.length = length
        self.seed = seed
        weights = [config.grounded_weight if expressions(photo) else 1.0 for photo in self.photos]
        generator = torch.Generator().manual_seed(seed)
        self._drawn = torch.multinomial(
            torch.tensor(weights), length, replacement=True, generator=generator
        ).tolist()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Example:
        photo, view, samples = self._draw(index)
        return Example(view.picture(self.folder.read(photo)), samples)

    def length_of(self, index: int) -> int:
        """Return about how many tokens of text the example has; its picture is not read."""
        _, _, samples = self._draw(index)
        return sum(text_length(sample.turn) for sample in samples)

    def _draw(self, index: int) -> tuple[Photo, View, list[Sample]]:
        """Return which photo, which view of it and what is asked over that."""
        random_ = random.Random(f"{self.seed}:{index}")
        photo = self.photos[self._drawn[index]]
        view = View(mirror=random_.random() < self.config.mirror)
        if photo.objects and random_.random() < self.config.crop:
            part = replace(view, window=random_window(random_))
            samples = self._samples(part.photo(photo), random_)
            if samples:
                return photo, part, samples
        return photo, view, self._samples(view.photo(photo), random_)

    def _samples(self, photo: Photo, random_: random.Random) -> list[Sample]:
        chosen: list[Sample] = []
        for task, most in self.config.per_task.items():
            samples = BUILDERS[task](photo, random_)
            chosen += random_.sample(samples, min(most, len(samples)))
        return chosen


def _can_be_asked(photo: Photo) -> bool:
    return any(builder(photo, random.Random(0)) for builder in BUILDERS.values())


__all__ = ["Example", "InstructionMixture", "MixtureConfig"]
