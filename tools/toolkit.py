"""All tools, sharing one model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, BaseToolkit
from pydantic import ConfigDict, Field, field_validator

from ..vlm.models.presets import DEFAULT_MODEL
from ..vlm.vision_language_model import VisionLanguageModel
from .images import ImageAccess, ImageSource
from .listing import ListPicturesTool
from .tasks import TOOLS
from .vision_tool import LazyModel, lazy_model


class VisionToolkit(BaseToolkit):
    """Vision tools for any LangChain agent.

    `model` is a loaded model, or a name, folder or address to load when a tool is first used. Calling models
    may open images by path only in `folders`, by default the current working directory. `sources` return
    images by id, before any path is tried; `list_pictures` lists sources with a method `references()`.

    The current image, used if a call names none, is `config["configurable"]["current_image"]`: a path or an
    id (with the same restrictions as a model's), a `pathlib.Path` (unrestricted), bytes, a Pillow
    image, an opened `Picture`, a data URL, or a message's image block with base64 data. Without one, an
    agent's tools use the image in the latest user message that has any.

    >>> caption, *_ = VisionToolkit(model=model, folders=(".",)).get_tools()
    >>> caption.invoke({}, {"configurable": {"current_image": "cat.jpg"}})
    'a cat on a rug'
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    model: VisionLanguageModel | LazyModel | str = Field(default=DEFAULT_MODEL, validate_default=True)
    folders: tuple[str | Path, ...] = Field(default_factory=lambda: (Path.cwd(),))
    sources: tuple[ImageSource, ...] = ()

    _lazy = field_validator("model", mode="before")(lazy_model)

    @cached_property
    def images(self) -> ImageAccess:
        """Opens images for the tools."""
        return ImageAccess(self.folders, self.sources)

    def get_tools(self) -> list[BaseTool]:
        """Return the six vision tools and `list_pictures`; they share one model, loaded once."""
        parts: dict[str, Any] = {"model": self.model, "images": self.images}
        return [*(tool(**parts) for tool in TOOLS), ListPicturesTool(images=self.images)]
