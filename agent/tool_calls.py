"""Map tasks to tools and back, with the name of the tool argument that takes the step's argument."""

from __future__ import annotations

from ..tools.arguments import CaptionArguments
from ..tools.tasks import TOOLS as VISION_TOOLS
from ..tools.vision_tool import VisionTool
from ..vlm.tasks import Task


def _argument(tool: type[VisionTool]) -> str | None:
    """Return the name of a tool's argument other than the image and the region, or None."""
    names = tool.model_fields["args_schema"].default.model_fields
    return next((name for name in names if name not in CaptionArguments.model_fields), None)


TOOLS: dict[Task, tuple[str, str | None]] = {
    tool.task: (tool.model_fields["name"].default, _argument(tool)) for tool in VISION_TOOLS
}
TASKS: dict[str, tuple[Task, str | None]] = {
    tool: (task, argument) for task, (tool, argument) in TOOLS.items()
}
