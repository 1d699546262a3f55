"""How a training stream is mixed."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from ..tasks import Task

Probability = Annotated[float, Field(ge=0, le=1)]

PHOTOS = "photos"
"""The source that is the person's own: annotated photos, or records written by hand."""
PLANNING = "planning"
"""The source of messages with their plans, which lie in the package."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SourceConfig:
    """Where a published data set lies, if not at its usual place under the data folder.

    `path` holds the annotations and `pictures` the pictures, both in the published layout.
    """

    path: Path | None = None
    pictures: Path | None = None
    split: str = "train"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MixtureConfig:
    """Which sources are mixed, and how they are asked about.

    `recipe` names the ratios to start from (`RECIPES`); `ratios` says how often a source is drawn, relative
    to the others, beside the recipe or in place of what it says (one with 0 is not opened), and `sources`
    where those lie that are not at their usual place. `dialogue` is the probability that the questions over
    a picture are asked in one conversation, each seeing those before, instead of each by itself. Without
    `identifiers`, prompts say what they want in words alone: the paper's ablation.

    Of annotated photos, `per_task` is the most samples of each task asked over one view of a photo,
    `grounded_weight` how much more often a photo with a referring expression is drawn than one without, and
    `mirror` and `crop` the probabilities of those views, and `absent`, for each task that can say so, the
    probability of one more sample about a thing that is not there; with `colours` those of things are
    measured, asked for, and used to tell things apart. Of published data sets, `per_picture` is the most
    conversations over one picture. Of messages to plan, `messages` stand in one example.
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


__all__ = ["PHOTOS", "PLANNING", "MixtureConfig", "SourceConfig"]
