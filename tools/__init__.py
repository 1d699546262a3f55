"""LangChain tools that look at pictures, their toolkit, and an MCP server of the same tools.

`README.md` in this folder says first what can go wrong: prompt injection, and which files a model may open.
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

_HOMES = {
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
    """Import a public name when it is first asked for: `import assistant.tools` alone costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


__all__ = [
    "CaptionTool",
    "DetectTool",
    "FoundBox",
    "GroundTool",
    "IdentifyTool",
    "ImageAccess",
    "ImageReference",
    "ImageSource",
    "LazyModel",
    "ListPicturesTool",
    "PictureList",
    "ReferTool",
    "VisionResult",
    "VisionTool",
    "VisionToolkit",
    "VqaTool",
]
