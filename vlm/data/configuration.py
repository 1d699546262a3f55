"""Settings of the training mixture."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ..tasks import Task

Probability = Annotated[float, Field(ge=0, le=1)]

PHOTOS = "photos"
"""The source for a user's own data: annotated photos, or records written by hand."""
PLANNING = "planning"
"""The source of messages with plans, which ship in the package."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SourceConfig:
    """Where to find a published dataset that is not at its default place under the data folder.

    `path` holds the annotations and `pictures` the images, both in the published layout.
    """

    path: Path | None = None
    pictures: Path | None = None
    split: str = "train"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MixtureConfig:
    """Which sources to mix, and how to turn them into samples.

    `recipe` names the default ratios (`RECIPES`); `ratios` adds to them or overrides them, relative to one
    another (a source with 0 is not opened); `sources` locates datasets that are not at their default place.
    `dialogue` is the probability of asking all questions about an image in one conversation rather than
    separately. Without `identifiers`, prompts have no task identifier: the paper's ablation.

    For annotated photos: `per_task` is the maximum number of samples per task and view, `grounded_weight` the
    weight of photos with a referring expression (others: 1), `mirror` and `crop` the probabilities of those
    views, and `absent` that of one more sample about an absent thing, per task that can refuse.
    With `colours`, the colours of objects are measured, asked about and used to distinguish objects. For
    published datasets, `per_picture` is the maximum number of conversations per image. For planning,
    `messages` is the number of messages in an example.
    """

    recipe: str = PHOTOS
    ratios: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = field(default_factory=dict)
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    dialogue: Probability = 0.0
    identifiers: bool = True
    per_task: dict[Task, Annotated[int, Field(ge=0)]] = field(
        default_factory=lambda: {
            Task.CAPTION: 3,
            Task.VQA: 1,
            Task.REFER: 3,
            Task.DETECTION: 1,
            Task.GROUNDING: 1,
            Task.IDENTIFY: 1,
        }
    )
    grounded_weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    mirror: Probability = 0.5
    crop: Probability = 0.4
    absent: Probability = 0.4
    colours: bool = False
    per_picture: Annotated[int, Field(ge=1)] = 4
    messages: Annotated[int, Field(ge=1)] = 6
