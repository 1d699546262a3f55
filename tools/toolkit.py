"""The tools together, over one model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, BaseToolkit
from pydantic import ConfigDict, Field, field_validator

from ..vlm.presets import DEFAULT_MODEL
from ..vlm.vision_language_model import VisionLanguageModel
from .images import ImageAccess, ImageSource
from .listing import ListPicturesTool
from .tasks import TOOLS
from .vision_tool import LazyModel, lazy_model


class VisionToolkit(BaseToolkit):
    """Tools for any LangChain agent that look at pictures.

    `model` is a loaded model, or one's name, folder or address, which is loaded when a tool is first used.
    `folders` are those whose pictures a model may open by path; by default the one that the program works in.
    `sources` give pictures by id and are asked before a path is looked for; what they have is listed where
    they have a method `references()`.

    The current picture, used where a call names none, is `config["configurable"]["current_image"]`: a path
    or an id (held to the same rules as a model's), a `pathlib.Path` (opened wherever it leads), bytes, a
    Pillow image, an opened `Picture`, a data URL, or an image block of a message with base64 data. Where
    there is none, an agent's tools take the picture of the person's latest message that has one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    model: VisionLanguageModel | LazyModel | str = Field(default=DEFAULT_MODEL, validate_default=True)
    folders: tuple[str | Path, ...] = Field(default_factory=lambda: (Path.cwd(),))
    sources: tuple[ImageSource, ...] = ()

    _lazy = field_validator("model", mode="before")(lazy_model)

    @cached_property
    def images(self) -> ImageAccess:
        """What opens pictures for the tools."""
        return ImageAccess(self.folders, self.sources)

    def get_tools(self) -> list[BaseTool]:
        """Return the six tools that look and the one that lists; the model they share is loaded once."""
        parts: dict[str, Any] = {"model": self.model, "images": self.images}
        return [*(tool(**parts) for tool in TOOLS), ListPicturesTool(images=self.images)]


__all__ = ["VisionToolkit"]
