"""LangChain tools for images, their toolkit, and an MCP server with the same tools.

`README.md` in this folder covers the risks first: prompt injection, and which files a model may open.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .images import ImageAccess, ImageSource
    from .listing import ListPicturesTool
    from .results import FoundBox, ImageReference, PictureList, VisionResult
    from .tasks import CaptionTool, DetectTool, GroundTool, IdentifyTool, ReferTool, VqaTool
    from .toolkit import VisionToolkit
    from .vision_tool import LazyModel, VisionTool

_MODULES = {
    "images": {"ImageAccess", "ImageSource"},
    "listing": {"ListPicturesTool"},
    "results": {"FoundBox", "ImageReference", "PictureList", "VisionResult"},
    "tasks": {"CaptionTool", "DetectTool", "GroundTool", "IdentifyTool", "ReferTool", "VqaTool"},
    "toolkit": {"VisionToolkit"},
    "vision_tool": {"LazyModel", "VisionTool"},
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import assistant.tools` is cheap."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["CaptionTool", "DetectTool", "FoundBox", "GroundTool", "IdentifyTool", "ImageAccess"]
__all__ += ["ImageReference", "ImageSource", "LazyModel", "ListPicturesTool", "PictureList", "ReferTool"]
__all__ += ["VisionResult", "VisionTool", "VisionToolkit", "VqaTool"]
