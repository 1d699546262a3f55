"""Which photo, which view of it and which questions: a training stream that its seed determines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch.utils.data import Dataset

from ..tasks import Task
from .expressions import expressions
from .instructions import BUILDERS, Sample
from .photos import Photo, PhotoFolder
from .views import cropped, mirrored


@dataclass(frozen=True)
class MixtureConfig:
    """How the stream is mixed.

    `per_task` is the most samples of each task asked over one view of a photo; `grounded_weight` is how
    much more often a photo with a referring expression is drawn than one without; `mirror` and `crop` are
    the probabilities of those views.
    """

    per_task: dict[Task, int] = field(
        default_factory=lambda: {
            Task.CAPTION: 2,
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
        self.config = config
        self.length = length
        self.seed = seed
        weights = [config.grounded_weight if expressions(photo) else 1.0 for photo in folder.photos]
        generator = torch.Generator().manual_seed(seed)
        self._drawn = torch.multinomial(
            torch.tensor(weights), length, replacement=True, generator=generator
        ).tolist()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Example:
        random_ = random.Random(f"{self.seed}:{index}")
        photo = self.folder.photos[self._drawn[index]]
        image = self.folder.read(photo)
        for view, seen in self._views(photo, image, random_):
            samples = self._samples(view, random_)
            if samples:
                return Example(seen, samples)
        raise ValueError(f"{photo.image} has no annotation to learn from")

    def _views(
        self, photo: Photo, image: Image.Image, random_: random.Random
    ) -> Iterator[tuple[Photo, Image.Image]]:
        """Yield the view drawn and, in case that it holds nothing to ask for, the whole photo."""
        if random_.random() < self.config.mirror:
            photo, image = mirrored(photo, image)
        if photo.objects and random_.random() < self.config.crop:
            yield cropped(photo, image, random_)
        yield photo, image

    def _samples(self, photo: Photo, random_: random.Random) -> list[Sample]:
        chosen: list[Sample] = []
        for task, most in self.config.per_task.items():
            samples = BUILDERS[task](photo, random_)
            chosen += random_.sample(samples, min(most, len(samples)))
        return chosen


__all__ = ["Example", "InstructionMixture", "MixtureConfig"]
