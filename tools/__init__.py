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
    "CaptionTool": "tasks",
    "DetectTool": "tasks",
    "FoundBox": "results",
    "GroundTool": "tasks",
    "IdentifyTool": "tasks",
    "ImageAccess": "images",
    "ImageReference": "results",
    "ImageSource": "images",
    "LazyModel": "vision_tool",
    "ListPicturesTool": "listing",
    "PictureList": "results",
    "ReferTool": "tasks",
    "VisionResult": "results",
    "VisionTool": "vision_tool",
    "VisionToolkit": "toolkit",
    "VqaTool": "tasks",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that `import assistant.tools` is cheap."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


__all__ = ["CaptionTool", "DetectTool", "FoundBox", "GroundTool", "IdentifyTool", "ImageAccess"]
__all__ += ["ImageReference", "ImageSource", "LazyModel", "ListPicturesTool", "PictureList", "ReferTool"]
__all__ += ["VisionResult", "VisionTool", "VisionToolkit", "VqaTool"]
