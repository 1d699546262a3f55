"""What the six tools have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from pydantic import Field, ValidationError, field_validator
from pydantic.v1 import ValidationError as ValidationErrorV1

from ..vlm.errors import AssistantError
from ..vlm.grounding import Box, GroundedPhrase
from ..vlm.pictures import Picture
from ..vlm.tasks import Task
from ..vlm.vision_language_model import VisionLanguageModel
from .images import ImageAccess
from .results import in_words, result_of

Output = tuple[str, dict[str, Any]]
"""What a model reads, and a `VisionResult` as JSON-able values."""


class LazyModel:
    """A model that is loaded when it is first asked for; safe to share between threads."""

    def __init__(self, model: VisionLanguageModel | str) -> None:
        self._model = model
        self._loading = threading.Lock()

    def get(self) -> VisionLanguageModel:
        """Return the model, loading it by its name the first time.

        Raises:
            WeightsError: there is no such model, or its weights cannot be had; the next call tries again.
        """
        with self._loading:
            if isinstance(self._model, str):
                self._model = VisionLanguageModel.load(self._model)
            return self._model


@dataclass(frozen=True)
class Found:
    """What a look at a picture came to: words, and boxes under their phrases."""

    text: str
    phrases: tuple[GroundedPhrase, ...] = ()


# Pixels. Bins are cut off, not rounded: without it a box that a tool gave could come back as its neighbour.
_WHISKER = 1e-6

Look = Callable[[Picture], Found]


def arguments_in_words(error: ValidationError | ValidationErrorV1) -> str:
    """Say what is wrong with a call's arguments, for the model that made it."""
    problems = (f"{'.'.join(map(str, item['loc'])) or 'arguments'}: {item['msg']}" for item in error.errors())
    return f"Wrong arguments: {'; '.join(problems)}"


class VisionTool(BaseTool):
    """A tool that asks the model one thing about one picture.

    `model` may be given as a name, a folder or a loaded model, and is shared by tools that are given the
    same `LazyModel`. What a model can mend (no such picture, a region outside of it, wrong arguments, weights
    that are missing) comes back as an error message; anything else is a fault and is raised.
    """

    model: LazyModel = Field(exclude=True, repr=False)
    images: ImageAccess = Field(default_factory=ImageAccess, exclude=True, repr=False)
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"
    handle_tool_error: bool | str | Callable[[ToolException], str] | None = True
    handle_validation_error: bool | str | Callable[[ValidationError | ValidationErrorV1], str] | None = (
        arguments_in_words
    )

    @field_validator("model", mode="before")
    @classmethod
    def _lazy(cls, model: Any) -> Any:
        return LazyModel(model) if isinstance(model, str | VisionLanguageModel) else model

    def _answer(self, task: Task, look: Look, image: str | None, config: RunnableConfig) -> Output:
        opened = self.images.open(image, config)
        try:
            found = look(opened.picture)
        except (AssistantError, ValueError) as error:  # ValueError: a text that the model has no room for
            raise ToolException(str(error)) from error
        text = found.text.strip() or "The vision model gave no answer."
        result = result_of(task, opened.picture, opened.reference, text, found.phrases)
        return in_words(result), result.model_dump(mode="json")


def region_box(region: list[float], picture: Picture) -> Box:
    """Return a region, in pixels of the picture, as a box.

    Raises:
        ToolException: it sticks out of the picture.
    """
    _, _, x1, y1 = region
    if x1 > picture.width or y1 > picture.height:
        raise ToolException(
            f"the region {region} sticks out of the picture, which is {picture.width} pixels wide and "
            f"{picture.height} high: keep x1 <= {picture.width} and y1 <= {picture.height}"
        )
    x0, y0, x1, y1 = (value + _WHISKER for value in region)
    return Box.from_pixels(x0, y0, x1, y1, picture.width, picture.height)


__all__ = ["Found", "LazyModel", "Output", "VisionTool", "region_box"]
