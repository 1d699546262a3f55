"""How a training stream is mixed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..tasks import Task

PHOTOS = "photos"
"""The source that is the person's own: annotated photos, or records written by hand."""


@dataclass(frozen=True)
class SourceConfig:
    """Where a published data set lies, if not at its usual place under the data folder.

    `path` holds the annotations and `pictures` the pictures, both in the published layout.
    """

    path: Path | None = None
    pictures: Path | None = None
    split: str = "train"


@dataclass(frozen=True)
class MixtureConfig:
    """Which sources are mixed, and how they are asked about.

    `recipe` names the ratios to start from (`RECIPES`); `ratios` says how often a source is drawn, relative
    to the others, beside the recipe or in place of what it says (one with 0 is not opened), and `sources`
    where those lie that are not at their usual place. `dialogue` is the probability that the questions over
    a picture are asked in one conversation, each seeing those before, instead of each by itself.

    Of annotated photos, `per_task` is the most samples of each task asked over one view of a photo,
    `grounded_weight` how much more often a photo with a referring expression is drawn than one without, and
    `mirror` and `crop` the probabilities of those views; with `colours` those of things are measured, asked
    for, and used to tell things apart. Of published data sets, `per_picture` is the most conversations over
    one picture.
    """

    recipe: str = PHOTOS
    ratios: dict[str, float] = field(default_factory=dict)
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    dialogue: float = 0.0
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
    colours: bool = False
    per_picture: int = 4


__all__ = ["PHOTOS", "MixtureConfig", "SourceConfig"]
