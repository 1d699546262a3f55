"""An open visual assistant: an image and a question in, words and boxes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .vlm.architecture.modeling import MiniGPTv2ForConditionalGeneration
    from .vlm.architecture.processing import MiniGPTv2Processor
    from .vlm.grounding import Box, GroundedPhrase, GroundedText
    from .vlm.tasks import Task
    from .vlm.vision_language_model import VisionLanguageModel

_ROOMS = {
    "Box": "vlm.grounding",
    "GroundedPhrase": "vlm.grounding",
    "GroundedText": "vlm.grounding",
    # Either import makes transformers' Auto classes know the model.
    "MiniGPTv2ForConditionalGeneration": "vlm.architecture.registration",
    "MiniGPTv2Processor": "vlm.architecture.registration",
    "Task": "vlm.tasks",
    "VisionLanguageModel": "vlm.vision_language_model",
}

__all__ = ["Box", "GroundedPhrase", "GroundedText", "MiniGPTv2ForConditionalGeneration", "MiniGPTv2Processor"]
__all__ += ["Task", "VisionLanguageModel"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that the package itself stays light."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
