"""The tool of each task, and the name of the tool's argument that takes the step's argument."""

from __future__ import annotations

from ..vlm.tasks import Task

TOOLS: dict[Task, tuple[str, str | None]] = {
    Task.CAPTION: ("caption", None),
    Task.VQA: ("vqa", "question"),
    Task.REFER: ("refer", "expression"),
    Task.DETECTION: ("detect", "phrase"),
    Task.GROUNDING: ("ground", "instruction"),
    Task.IDENTIFY: ("identify", None),
}
TASKS: dict[str, tuple[Task, str | None]] = {
    tool: (task, argument) for task, (tool, argument) in TOOLS.items()
}

__all__ = ["TASKS", "TOOLS"]
