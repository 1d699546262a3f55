"""The six tools together, over one model."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, BaseToolkit
from pydantic import ConfigDict, Field

from ..vlm.presets import DEFAULT_MODEL
from ..vlm.vision_language_model import VisionLanguageModel
from .images import ImageAccess, ImageSource
from .tasks import TOOLS
from .vision_tool import LazyModel


class VisionToolkit(BaseToolkit):
    """Tools for any LangChain agent that look at pictures.

    `model` is a loaded model, or one's name, folder or address, which is loaded when a tool is first used.
    `folders` are those whose pictures a model may open by path; by default the one that the program works in.
    `sources` give pictures by id and are asked before a path is looked for.

    The current picture, used where a call names none, is `config["configurable"]["current_image"]`: a path
    or an id (held to the same rules as a model's), a `pathlib.Path` (opened wherever it leads), bytes, a
    Pillow image, an opened `Picture`, or an image block of a message with base64 data.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid", frozen=True)

    model: VisionLanguageModel | str = DEFAULT_MODEL
    folders: tuple[str | Path, ...] = Field(default_factory=lambda: (Path.cwd(),))
    sources: tuple[ImageSource, ...] = ()

    @cached_property
    def images(self) -> ImageAccess:
        """What opens pictures for the tools."""
        return ImageAccess(self.folders, self.sources)

    @cached_property
    def _parts(self) -> dict[str, Any]:
        """What every tool of this toolkit is made with, and so shares with the others."""
        return {"model": LazyModel(self.model), "images": self.images}

    def get_tools(self) -> list[BaseTool]:
        """Return the six tools; those of one toolkit share its model, which is loaded once."""
        return [tool(**self._parts) for tool in TOOLS]


__all__ = ["VisionToolkit"]
